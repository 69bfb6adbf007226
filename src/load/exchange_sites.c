/*
 * exchange_sites: SITES between peers, of what is behind whom (chain.c), and what coordinators say
 * (introduced.c).
 *
 * A change is told at once, those that follow in batches of 100 ms; to a peer that is slow to
 * read, later.
 */
#include "base/clock.h"
#include "load/exchange_internal.h"

#define BATCH (CLOCK_SECOND / 10)

void
exchange_sites_arm(struct exchange *x)
{
	uint64_t now = exchange_now(x), next = x->sites_told_at + BATCH;

	if (!x->sites_armed && !x->stopping)
		loop_timer_set(x->sites_timer, next > now ? next - now : 0);
	x->sites_armed = true;
}

/* A coordinator hears of nobody from us but ourselves. */
static void
tell(struct peer *peer)
{
	struct exchange *x = peer->exchange;
	struct sites_writer w;

	if (peer->current == NULL || peer->kind == PEER_COORDINATOR)
		return;
	if (!peering_can_send(peer->current)) {
		exchange_sites_arm(x);
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

	x->sites_armed = false;
	x->sites_told_at = now;
	if (x->coordinator != NULL) {
		coordinator_spread(x);
		return;
	}
	chain_enter(x->chain);
	for (size_t i = 0; i < x->peers_count; i++)
		tell(x->peers[i]);
}

void
exchange_sites_init(struct exchange *x)
{
	x->chain = chain_new(x->parts.table, x->parts.config->site);
	x->introduced =
	    introduced_new(x->parts.table, x->parts.config->site, &exchange_introductions, x);
	if (x->parts.config->role == CONFIG_ROLE_COORDINATOR)
		x->coordinator = coordinator_new();
	x->sites_timer = loop_timer_new(x->parts.session.loop, on_sites_timer, x);
}

void
exchange_sites_fini(struct exchange *x)
{
	loop_timer_free(x->sites_timer);
	chain_free(x->chain);
	introduced_free(x->introduced);
	coordinator_free(x->coordinator);
}

void
peer_sites_due(struct peer *peer)
{
	peer->sites_whole = true;
	if (peer->exchange->coordinator != NULL)
		coordinator_listens(peer->exchange->coordinator, peer->site, true);
	exchange_sites_arm(peer->exchange);
}

void
peer_sites_hello(struct peer *peer, const struct hello *hello)
{
	chain_hello(peer->exchange->chain, peer->site, hello);
	exchange_sites_arm(peer->exchange);
}

void
peer_sites_take(struct peer *peer, const struct sites *sites)
{
	struct exchange *x = peer->exchange;

	if (peer->kind == PEER_COORDINATOR) {
		introduced_take(x->introduced, peer->site,
		    load_table_site(x->parts.table, peer->site)->interval, sites,
		    exchange_now(x));
		exchange_answer_needs(x);
	} else if (x->coordinator == NULL) {
		chain_take(x->chain, peer->site, sites);
		exchange_sites_arm(x);
	}
}

void
peer_sites_forget(struct peer *peer)
{
	chain_forget(peer->exchange->chain, peer->site);
	exchange_sites_arm(peer->exchange);
}
