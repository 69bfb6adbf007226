/*
 * exchange_sites: SITES between peers: of what is behind whom (chain.c).
 *
 * Changes are told in batches of 100 ms; to a peer that is slow to read, later.
 */
#include "base/clock.h"
#include "load/exchange_internal.h"

#define BATCH (CLOCK_SECOND / 10)

static void
arm(struct exchange *x)
{
	if (!x->sites_armed && !x->stopping)
		loop_timer_set(x->sites_timer, BATCH);
	x->sites_armed = true;
}

static void
tell(struct peer *peer)
{
	struct exchange *x = peer->exchange;
	struct sites_writer w;

	if (peer->current == NULL)
		return;
	if (!peering_can_send(peer->current)) {
		arm(x);
		return;
	}
	if (!chain_tell(x->chain, peer->site, x->parts.config->transfer.max_transfers,
		peer->sites_whole, &w))
		return;
	peer->sites_whole = false;
	peering_send(peer->current, &w.b, w.messages);
	codec_buffer_fini(&w.b);
}

static void
on_sites_timer(void *arg, uint64_t now)
{
	struct exchange *x = arg;

	(void)now;
	x->sites_armed = false;
	for (size_t i = 0; i < x->peers_count; i++)
		tell(x->peers[i]);
}

void
exchange_sites_init(struct exchange *x)
{
	x->chain = chain_new(x->parts.table, x->parts.config->site);
	x->sites_timer = loop_timer_new(x->parts.session.loop, on_sites_timer, x);
}

void
exchange_sites_fini(struct exchange *x)
{
	loop_timer_free(x->sites_timer);
	chain_free(x->chain);
}

void
peer_sites_due(struct peer *peer)
{
	peer->sites_whole = true;
	arm(peer->exchange);
}

void
peer_sites_hello(struct peer *peer, const struct hello *hello)
{
	chain_hello(peer->exchange->chain, peer->site, hello);
	arm(peer->exchange);
}

void
peer_sites_take(struct peer *peer, const struct sites *sites)
{
	chain_take(peer->exchange->chain, peer->site, sites);
	arm(peer->exchange);
}

void
peer_sites_forget(struct peer *peer)
{
	chain_forget(peer->exchange->chain, peer->site);
	arm(peer->exchange);
}
