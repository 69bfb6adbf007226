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
	struct peer *peer = current_peer(arg, p);

	if (peer != NULL)
		peer_sites_hello(peer, hello);
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
    .established = exchange_established,
    .ended = exchange_ended,
    .hello = on_hello,
    .closed = on_closed,
    .probe_seen = on_probe_seen,
    .sites = on_sites,
};
