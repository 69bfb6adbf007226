/*
 * datapath_direct: do our replies under another site's addresses get through (rule 2)?
 *
 * A probe leaves like a direct reply does: an IP packet with a service address of that site as
 * its sender, out of the device.  It carries a sealed transfer packet to a third site, which
 * reports its arrival by the load exchange; where there is no third site, to that site itself.
 * It proves the way out of our network, not the one into each client's.
 */
#include "base/log.h"
#include "datapath_path.h"
#include "packet/reply.h"

#define DIRECT_INTERVAL (10 * CLOCK_SECOND)
#define DIRECT_WAIT     CLOCK_SECOND
#define DIRECT_MISSED   3 /* so many in a row: blocked */

/* ---- to whom, and under which address ---- */

/* True if it can say that a probe has arrived, and nothing but its sender's address can be in the
 * way of one. */
static bool
can_confirm(struct datapath *dp, uint32_t number)
{
	const struct site *site = load_table_site(dp->load, number);

	return site->present && site->session == SITE_SESSION &&
	    site->path == SITE_PATH_ALIVE && keyring_tx(dp->keyring, (uint16_t)number) != NULL;
}

/* A service address of the site, of which we hold the service too, and a port of it. */
static bool
find_sender(const struct site *site, bool v4, struct addr *sender)
{
	for (size_t i = 0; i < site->services_count; i++) {
		const struct site_service *s = &site->services[i];

		sender->ip = v4 ? s->v4 : s->v6;
		if (s->local == LOAD_NONE || s->ports_count == 0 || ip_is_zero(&sender->ip))
			continue;
		sender->port = s->ports[0];
		return true;
	}
	return false;
}

static bool
may_go_by(struct datapath *dp, uint32_t under, uint32_t by, struct addr *sender)
{
	const struct site *target = load_table_site(dp->load, by);

	return can_confirm(dp, by) &&
	    find_sender(load_table_site(dp->load, under), ip_is_v4(&target->transfer.ip), sender);
}

/* Third sites in turn, so that one whose network refuses such senders does not decide alone. */
static bool
choose(struct datapath *dp, uint32_t under, uint32_t *by, struct addr *sender)
{
	uint32_t count = load_table_sites(dp->load);
	uint32_t turn = dp->paths[under]->direct_turn;

	for (uint32_t i = 1; i <= count; i++) {
		*by = (turn + i) % count;
		if (*by != under && may_go_by(dp, under, *by, sender))
			return true;
	}
	*by = under;
	return may_go_by(dp, under, under, sender);
}

/* ---- sending ---- */

static bool
send_probe(struct datapath *dp, uint32_t by, const struct addr *sender, uint64_t id)
{
	const struct site *target = load_table_site(dp->load, by);
	const struct transfer_info info = {0};
	uint8_t body[PATH_DIRECT_LEN], sealed[TRANSFER_OVERHEAD + PATH_DIRECT_LEN];
	struct packet p = {.data = dp->reply + IO_HEADROOM, .headroom = IO_HEADROOM};
	size_t len;

	path_direct_encode(id, body);
	len = transfer_seal(keyring_tx(dp->keyring, (uint16_t)by), TRANSFER_DIRECT, &info, body,
	    sizeof(body), NULL, 0, sealed, sizeof(sealed));
	if (len == 0)
		return false;
	p.len = (uint32_t)reply_build_udp(
	    sender, &target->transfer, sealed, len, dp->reply + IO_HEADROOM, REPLY_MAX);
	if (packet_parse(&p) != DROP_none || datapath_output(dp, &p) != DROP_none)
		return false;
	counter_add(dp->counters, COUNTER_path_messages_out, 1);
	return true;
}

static void
begin(struct datapath *dp, struct datapath_path *dpath, uint32_t by, const struct addr *sender,
    uint64_t now)
{
	uint64_t id = random_next(dp->random);

	dpath->direct_turn = by;
	dpath->direct_due = now + DIRECT_INTERVAL;
	if (id == 0)
		id = 1;
	if (!send_probe(dp, by, sender, id))
		return;
	dpath->direct_id = id;
	dpath->direct_by = by;
	dpath->direct_at = now;
}

/* ---- judging ---- */

static void
judged(struct datapath *dp, uint32_t number, enum site_direct direct, uint64_t now)
{
	struct site *site = load_table_site(dp->load, number);

	site->direct_judged = now;
	if (site->direct_out == direct)
		return;
	load_table_site_set_direct_out(dp->load, number, direct);
	log_info("replies under addresses of site=%s direct=%s", site->name,
	    site_direct_name(direct));
}

/* The one under way was not seen in time. */
static void
missed(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	dpath->direct_id = 0;
	/* whether it arrived cannot be told */
	if (!can_confirm(dp, dpath->direct_by)) {
		dpath->direct_due = now;
		return;
	}
	if (dpath->direct_missed < DIRECT_MISSED)
		dpath->direct_missed++;
	if (dpath->direct_missed < DIRECT_MISSED)
		dpath->direct_due = now;
	else
		judged(dp, number, SITE_DIRECT_BLOCKED, now);
}

uint64_t
datapath_direct_probe(struct datapath *dp, uint32_t number, uint64_t now)
{
	struct datapath_path *dpath = dp->paths[number];
	struct addr sender;
	uint32_t by;

	if (dpath->direct_id != 0) {
		if (now - dpath->direct_at < DIRECT_WAIT)
			return dpath->direct_at + DIRECT_WAIT;
		missed(dp, number, dpath, now);
	}
	if (now < dpath->direct_due)
		return dpath->direct_due;
	if (!choose(dp, number, &by, &sender))
		return now + CLOCK_SECOND;
	begin(dp, dpath, by, &sender, now);
	return dpath->direct_id != 0 ? now + DIRECT_WAIT : dpath->direct_due;
}

void
datapath_probe_seen(struct datapath *dp, uint32_t site, uint64_t id, uint64_t now)
{
	for (uint32_t i = 0; id != 0 && i < dp->paths_count; i++) {
		struct datapath_path *dpath = dp->paths[i];

		if (!dpath->running || dpath->direct_id != id || dpath->direct_by != site)
			continue;
		dpath->direct_id = 0;
		dpath->direct_missed = 0;
		judged(dp, i, SITE_DIRECT_OK, now);
	}
}

void
datapath_direct_renew(struct datapath *dp, uint32_t site, uint64_t now)
{
	struct datapath_path *dpath = dp->paths[site];

	dpath->direct_id = 0;
	dpath->direct_missed = 0;
	dpath->direct_due = now;
}

void
datapath_direct_forget(struct datapath *dp, uint32_t site)
{
	datapath_direct_renew(dp, site, 0);
	load_table_site_set_direct_out(dp->load, site, SITE_DIRECT_UNKNOWN);
}
