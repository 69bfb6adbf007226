/*
 * exchange_keys: what becomes of a session's keys when it has ended.
 *
 * Of a session that another one replaces, the receive key stays for what is still under way.  Of
 * one that was lost, both stay as long as transfer packets get through: it may be the network
 * between the two TCP ports alone that has failed, and connections need no session.  Of a site
 * that has said that it stops nothing stays.
 */
#include "base/clock.h"
#include "load/exchange_internal.h"

#define HOLD      (10 * CLOCK_SECOND)   /* another session follows, or has followed */
#define HOLD_LOOK CLOCK_SECOND          /* is the path of a lost session still alive? */
#define HOLD_MAX  (3600 * CLOCK_SECOND) /* without a session no key is used for longer */

void
peer_forget_tx(struct peer *peer)
{
	struct exchange *x = peer->exchange;

	keyring_set_tx(x->parts.keyring, (uint16_t)peer->site, NULL);
	load_table_site_keys(x->parts.table, peer->site, false, exchange_now(x));
}

static void
release_held(struct peer *peer)
{
	loop_timer_cancel(peer->hold_timer);
	if (peer->held != 0)
		keyring_remove(peer->exchange->parts.keyring, peer->held);
	peer->held = 0;
}

void
peer_drop_keys(struct peer *peer)
{
	release_held(peer);
	peer_forget_tx(peer);
}

void
peer_hold_keys(struct peer *peer)
{
	release_held(peer);
	peer->held = peering_take_index(peer->current);
	peer->held_since = exchange_now(peer->exchange);
	peer->current = NULL;
	loop_timer_set(peer->hold_timer, HOLD);
}

void
peer_hold_on(struct peer *peer)
{
	if (peer->held != 0)
		loop_timer_set(peer->hold_timer, HOLD);
}

bool
peer_path_alive(const struct peer *peer)
{
	const struct site *site = load_table_site(peer->exchange->parts.table, peer->site);

	return site->keys && site->path == SITE_PATH_ALIVE;
}

/* A site that was met when it was needed is met again when it is: its next session brings keys. */
static bool
is_used(const struct peer *peer)
{
	return peer->kind != PEER_ENTERED || peer_has_connections(peer);
}

void
peer_on_hold(void *arg, uint64_t now)
{
	struct peer *peer = arg;

	if (peer->current != NULL) {
		release_held(peer);
		return;
	}
	peer_no_session(peer);
	if (peer_path_alive(peer) && now - peer->held_since < HOLD_MAX && is_used(peer))
		loop_timer_set(peer->hold_timer, HOLD_LOOK);
	else
		peer_drop_keys(peer);
}
