/*
 * exchange_messages: what the current session of a peer says, and who is told.
 */
#include "load/exchange_internal.h"

/* The peer whose current session that is, or NULL. */
static struct peer *
current_peer(struct exchange *x, const struct peering *p)
{
	struct peer *peer = exchange_peer(x, peering_info(p)->site);

	return peer != NULL && peer->current == p ? peer : NULL;
}

static void
on_hello(void *arg, struct peering *p, const struct hello *hello)
{
	struct exchange *x = arg;
	struct peer *peer = current_peer(x, p);

	if (peer == NULL)
		return;
	if (x->coordinator != NULL) {
		coordinator_said_hello(peer, p, hello);
		return;
	}
	if (peer->kind != PEER_COORDINATOR)
		peer_sites_hello(peer, hello);
	peer_report(peer);
}

/* One that says nothing of load counts for nothing. */
static bool
tells_load(const struct load_report *report)
{
	for (size_t i = 0; i < report->services_count; i++)
		if (!report->services[i].between)
			return true;
	return false;
}

static void
on_reported(void *arg, struct peering *p, const struct load_report *report)
{
	struct exchange *x = arg;
	struct peer *peer = current_peer(x, p);

	if (peer == NULL || !tells_load(report))
		return;
	peer->reports = true;
	if (x->coordinator != NULL)
		coordinator_told_load(peer, report);
}

static void
on_closed(void *arg, struct peering *p, const struct closed *closed)
{
	struct exchange *x = arg;
	const struct peer *peer = current_peer(x, p);

	if (peer == NULL || x->handlers->closed == NULL)
		return;
	for (size_t i = 0; i < closed->count; i++)
		x->handlers->closed(x->handlers_arg, peer->site, &closed->entries[i]);
}

static void
on_probe_seen(void *arg, struct peering *p, uint64_t id)
{
	struct exchange *x = arg;
	const struct peer *peer = current_peer(x, p);

	if (peer != NULL && x->handlers->probe_seen != NULL)
		x->handlers->probe_seen(x->handlers_arg, peer->site, id);
}

static void
on_sites(void *arg, struct peering *p, const struct sites *sites)
{
	struct peer *peer = current_peer(arg, p);

	if (peer != NULL)
		peer_sites_take(peer, sites);
}

const struct peering_handlers exchange_peerings = {
    .find = exchange_find,
    .welcome = exchange_welcome,
    .established = exchange_established,
    .ended = exchange_ended,
    .hello = on_hello,
    .reported = on_reported,
    .closed = on_closed,
    .probe_seen = on_probe_seen,
    .sites = on_sites,
};
