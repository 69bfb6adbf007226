/*
 * datapath_join: packets out of transfer packets leave joined where the device takes super-packets:
 * one write for all neighbours of a flow in a batch.
 *
 * They arrive at the other site as one more often than not, and are cut for the transfer alone.
 */
#include <netinet/in.h>

#include "datapath_internal.h"

void
datapath_join_begin(struct datapath *dp)
{
	dp->joining = dp->lane->io->takes_super || dp->lane->io->takes_uso;
}

/* What is refused has been taken for sent: it is counted here. */
static void
leave(struct datapath *dp, struct join *j)
{
	unsigned count = j->count;
	enum drop drop;

	join_finish(j);
	j->count = 0;
	if (count == 1) {
		drop = datapath_write(dp, &j->packet);
		if (drop != DROP_none)
			counter_drop(dp->counters, drop);
	} else if (dp->lane->io->ops->device_send_pieces(
		       dp->lane->io, &j->packet, j->piece, count) == -1) {
		dp->counters->drop[DROP_write_failed] += count;
	} else {
		counter_add(dp->counters, COUNTER_packets_out, 1);
		counter_add(dp->counters, COUNTER_bytes_out, j->packet.len);
		counter_add(dp->counters, COUNTER_packets_joined, count);
	}
}

void
datapath_join_end(struct datapath *dp)
{
	for (unsigned i = 0; i < dp->joins_used; i++)
		if (dp->join[i].count > 0)
			leave(dp, &dp->join[i]);
	dp->joins_used = 0;
	dp->joining = false;
}

/* A fragment or an ICMP message may belong to any flow between its addresses. */
static bool
is_of_flow(const struct packet *waiting, const struct packet *p)
{
	if (!ip_equal(&waiting->source.ip, &p->source.ip) ||
	    !ip_equal(&waiting->destination.ip, &p->destination.ip))
		return false;
	if (p->fragment != PACKET_WHOLE ||
	    (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP))
		return true;
	return waiting->protocol == p->protocol && waiting->source.port == p->source.port &&
	    waiting->destination.port == p->destination.port;
}

/* What waits of a flow leaves before a packet of it that cannot wait. */
static void
leave_before(struct datapath *dp, const struct packet *p)
{
	for (unsigned i = 0; i < dp->joins_used; i++) {
		struct join *j = &dp->join[i];

		if (j->count > 0 && is_of_flow(&j->packet, p))
			leave(dp, j);
	}
}

static struct join *
find(struct datapath *dp, const struct packet *p)
{
	for (unsigned i = 0; i < dp->joins_used; i++)
		if (dp->join[i].count > 0 && join_same_flow(&dp->join[i], p))
			return &dp->join[i];
	return NULL;
}

static struct join *
unused(struct datapath *dp)
{
	struct join *j;

	for (unsigned i = 0; i < dp->joins_used; i++)
		if (dp->join[i].count == 0)
			return &dp->join[i];
	if (dp->joins_used < JOINS_MAX)
		return &dp->join[dp->joins_used++];
	j = &dp->join[dp->joins_turn++ % JOINS_MAX];
	leave(dp, j);
	return j;
}

static bool
taken_joined(const struct datapath *dp, const struct packet *p)
{
	return join_possible(p) &&
	    (p->protocol == IPPROTO_TCP ? dp->lane->io->takes_super : dp->lane->io->takes_uso);
}

enum drop
datapath_join(struct datapath *dp, const struct packet *p)
{
	struct join *j;

	if (!taken_joined(dp, p)) {
		leave_before(dp, p);
		return datapath_write(dp, p);
	}
	j = find(dp, p);
	if (j != NULL && join_add(j, p)) {
		if (j->closed)
			leave(dp, j);
		return DROP_none;
	}
	if (j != NULL)
		leave(dp, j);
	if ((p->tcp_flags & TCP_PSH) != 0) /* nothing may follow it */
		return datapath_write(dp, p);
	join_start(unused(dp), p);
	return DROP_none;
}
