/*
 * datapath_answer: what wlad itself says to a sender, each kind within a rate.
 */
#include <netinet/in.h>

#include "datapath_internal.h"

/* Sends what was built at dp->reply + IO_HEADROOM. */
static bool
send_reply(struct datapath *dp, size_t len)
{
	struct packet p = {
	    .data = dp->reply + IO_HEADROOM, .len = (uint32_t)len, .headroom = IO_HEADROOM};

	if (len == 0 || packet_parse(&p) != DROP_none)
		return false;
	return datapath_output(dp, &p) == DROP_none;
}

static bool
allowed(struct datapath *dp, struct ratelimit *limit, uint64_t now)
{
	if (ratelimit_take(limit, now))
		return true;
	counter_drop(dp->counters, DROP_rate_limited);
	return false;
}

static void
answer_reset(struct datapath *dp, const struct packet *p, uint64_t now)
{
	size_t len = reply_reset(p, dp->reply + IO_HEADROOM, REPLY_MAX);

	if (len == 0 || !allowed(dp, &dp->resets, now))
		return;
	if (send_reply(dp, len))
		counter_add(dp->counters, COUNTER_resets_sent, 1);
}

static void
answer_icmp(struct datapath *dp, size_t len, uint64_t now)
{
	if (len == 0 || !allowed(dp, &dp->icmp, now))
		return;
	if (send_reply(dp, len))
		counter_add(dp->counters, COUNTER_icmp_sent, 1);
}

void
datapath_answer_unknown(
    struct datapath *dp, const struct packet *p, uint32_t service, uint64_t now)
{
	const struct service *s = load_table_service(dp->load, service);

	if (s != NULL && s->on_unknown == CONFIG_UNKNOWN_DROP)
		return;
	/* what is for no address of ours is none of our business */
	if (s == NULL && !datapath_is_martian(dp, &p->destination.ip))
		return;
	if (ip_is_martian(&p->destination.ip) || datapath_is_martian(dp, &p->source.ip))
		return;
	if (p->protocol == IPPROTO_TCP)
		answer_reset(dp, p, now);
	else
		answer_icmp(
		    dp, reply_port_unreachable(p, dp->reply + IO_HEADROOM, REPLY_MAX), now);
}

void
datapath_answer_too_big(struct datapath *dp, const struct packet *p, uint16_t mtu, uint64_t now)
{
	answer_icmp(dp, reply_too_big(p, mtu, dp->reply + IO_HEADROOM, REPLY_MAX), now);
}

void
datapath_answer_ttl(struct datapath *dp, const struct packet *p, uint64_t now)
{
	answer_icmp(dp,
	    reply_time_exceeded(p, &p->destination.ip, dp->reply + IO_HEADROOM, REPLY_MAX), now);
}

enum drop
datapath_answer_echo(struct datapath *dp, struct packet *p, uint64_t now)
{
	enum drop drop;

	if (!load_table_is_service_ip(dp->load, &p->destination.ip))
		return DROP_icmp;
	if (datapath_is_martian(dp, &p->source.ip))
		return DROP_martian;
	if (!ratelimit_take(&dp->echoes, now))
		return DROP_rate_limited;
	packet_make_echo_reply(p);
	drop = datapath_output(dp, p);
	if (drop == DROP_none)
		counter_add(dp->counters, COUNTER_echo_answered, 1);
	return drop;
}

/* No rate: each is owed to a connection that was ours, and the sweep has its budget. */
static void
reset(struct datapath *dp, const struct addr *from, const struct addr *to, uint32_t seq,
    uint32_t ack)
{
	size_t len = reply_build_reset(from, to, seq, ack, dp->reply + IO_HEADROOM, REPLY_MAX);

	if (send_reply(dp, len))
		counter_add(dp->counters, COUNTER_resets_sent, 1);
}

void
datapath_reset_client(struct datapath *dp, const struct connection *c)
{
	struct addr client = connection_client(dp->connections, c);
	struct addr service = connection_service(dp->connections, c);

	if (c->protocol == IPPROTO_TCP)
		reset(dp, &service, &client, c->server_seq, c->client_seq);
}

void
datapath_reset_server(struct datapath *dp, const struct connection *c)
{
	struct addr server = connection_server(dp->connections, c);
	struct addr self = connection_self(dp->connections, c);

	if (c->protocol == IPPROTO_TCP)
		reset(dp, &self, &server, datapath_proxy_seq(c), c->server_seq);
}
