/*
 * exchange_peers: the configured peers: when they are dialled, and which session is the current one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "load/exchange_internal.h"

#define BACKOFF_MIN         (CLOCK_SECOND / 2)
#define BACKOFF_MAX         (15 * CLOCK_SECOND)
#define BACKOFF_COORDINATOR (4 * CLOCK_SECOND)    /* the same; without them sites grow blind */
#define LIVED               (10 * CLOCK_SECOND)   /* a session this old was a good one */
#define STOP_PAUSE          (2 * CLOCK_SECOND)    /* no dial after the peer's BYE */
#define RENEW               (3600 * CLOCK_SECOND) /* a new session, for new keys */
#define RENEW_SPREAD        300000                /* ms; not all sites at once */
#define PROBES              100                   /* confirmed a second; each is a message */

struct peer *
exchange_peer(struct exchange *x, uint32_t site)
{
	for (size_t i = 0; i < x->peers_count; i++)
		if (x->peers[i]->site == site)
			return x->peers[i];
	return NULL;
}

bool
peer_is_dialled(const struct peer *peer)
{
	if (peer->exchange->coordinator != NULL)
		return false;
	if (peer->kind != PEER_CONFIGURED)
		return peer->kind == PEER_COORDINATOR || peer->wanted;
	return strcmp(peer->exchange->parts.config->site, peer->config->site) < 0;
}

void
exchange_enter(struct exchange *x, struct peering *p)
{
	x->peerings = xrealloc_array(x->peerings, x->peerings_count + 1, sizeof(x->peerings[0]));
	x->peerings[x->peerings_count++] = p;
}

static void
remove_peering(struct exchange *x, const struct peering *p)
{
	for (size_t i = 0; i < x->peerings_count; i++) {
		if (x->peerings[i] != p)
			continue;
		x->peerings[i] = x->peerings[--x->peerings_count];
		return;
	}
}

/* ---- dialling ---- */

static void
dial_in(struct peer *peer, uint64_t delay)
{
	if (peer_is_dialled(peer) && !peer->exchange->stopping)
		loop_timer_set(peer->dial_timer, delay);
}

/* After a failure: half a second, doubled each time up to the most, half to one and a half of that. */
static void
dial_later(struct peer *peer)
{
	double jitter = 0.5 + random_unit(peer->exchange->random);
	uint64_t most = peer->kind == PEER_COORDINATOR ? BACKOFF_COORDINATOR : BACKOFF_MAX;

	dial_in(peer, (uint64_t)((double)peer->backoff * jitter));
	peer->backoff = peer->backoff * 2 < most ? peer->backoff * 2 : most;
}

static void
dial_failed(struct peer *peer, const char *why)
{
	struct load_table *table = peer->exchange->parts.table;
	const struct site *site = load_table_site(table, peer->site);
	char address[ADDR_TEXT];

	addr_format(&peer->config->load, address);
	if (!peer->failing || site->last_error == NULL || strcmp(site->last_error, why) != 0)
		log_warnx("no session to peer, tries again site=%s address=%s reason=\"%s\"",
		    peer->config->site, address, why);
	peer->failing = true;
	load_table_site_error(table, peer->site, "%s", why);
	peer_unwanted(peer);
	dial_later(peer);
}

/* An entered peer may have left, or dialled us meanwhile. */
static bool
may_dial(const struct peer *peer, uint64_t now)
{
	const struct site *site = load_table_site(peer->exchange->parts.table, peer->site);

	if (peer->kind != PEER_ENTERED)
		return true;
	return site->present && peer->config->load.port != 0 &&
	    (peer->current == NULL || now - peer->since > RENEW / 2);
}

static void
on_dial(void *arg, uint64_t now)
{
	struct peer *peer = arg;
	struct exchange *x = peer->exchange;

	if (peer->dialling != NULL || !may_dial(peer, now))
		return;
	peer->dialling = peering_dial(&x->parts, peer->config, &exchange_peerings, x);
	if (peer->dialling == NULL) {
		dial_failed(peer, strerror(errno));
		return;
	}
	exchange_enter(x, peer->dialling);
	if (load_table_site(x->parts.table, peer->site)->session == SITE_NO_SESSION)
		load_table_site_session(x->parts.table, peer->site, SITE_CONNECTING, now);
}

/* ---- sessions come and go ---- */

void
peer_no_session(struct peer *peer)
{
	struct exchange *x = peer->exchange;

	load_table_site_session(x->parts.table, peer->site, SITE_NO_SESSION, exchange_now(x));
}

/* The peer knows nothing any more of what has been before. */
static void
peer_forgot(struct peer *peer)
{
	struct exchange *x = peer->exchange;

	peer->known = false;
	peer->reports = false;
	peer_closed_clear(peer);
	peer_sites_forget(peer);
	if (x->handlers->forgotten != NULL)
		x->handlers->forgotten(x->handlers_arg, peer->site);
}

/* Who has established a session: the same process as before? */
static void
recognize(struct peer *peer, const struct peering_info *info)
{
	bool same = peer->known && info->boot_id == peer->boot_id;

	/* started anew, or does not take transfers any more: the key to it is no good */
	if (!same || info->offered == 0)
		peer_forget_tx(peer);
	if (!same && peer->known)
		peer_forgot(peer);
	peer->known = true;
	peer->boot_id = info->boot_id;
}

void
exchange_established(void *arg, struct peering *p)
{
	struct exchange *x = arg;
	const struct peering_info *info = peering_info(p);
	struct peer *peer = exchange_peer(x, info->site);
	struct peering *old;
	char address[ADDR_TEXT];

	if (peer == NULL || x->stopping) {
		peering_bye(p, BYE_STOP);
		return;
	}
	if (p == peer->dialling)
		peer->dialling = NULL;
	if (peer_gives_way(peer, p)) {
		peering_bye(p, BYE_REPLACED);
		return;
	}
	old = peer->current;
	if (old != NULL) {
		peer_hold_keys(peer);
		peering_bye(old, BYE_REPLACED);
	}
	recognize(peer, info);
	peer_hold_on(peer);
	peer->current = p;
	peer->since = exchange_now(x);
	peer->failing = false;
	dial_in(peer, RENEW - random_below(x->random, RENEW_SPREAD) * CLOCK_MILLISECOND);
	exchange_count(x, COUNTER_sessions_opened);
	load_table_site_session(x->parts.table, peer->site, SITE_SESSION, peer->since);
	load_table_site_no_error(x->parts.table, peer->site);
	peer_closed_resume(peer);
	peer_sites_due(peer);
	log_change("session up site=%s address=%s dialled=%s replaces=%s", peer->config->site,
	    addr_format(peering_address(p), address), info->dialled ? "yes" : "no",
	    old != NULL ? "yes" : "no");
}

/* The keys and the state of a peer whose session has ended. */
static void
keep_or_drop(struct peer *peer, const struct peering_info *info)
{
	peer_hold_keys(peer);
	if (info->said_bye == BYE_REPLACED || info->said_bye == BYE_RESTART)
		return;
	peer_no_session(peer);
	if (info->said_bye == BYE_STOP || !peer_path_alive(peer))
		peer_drop_keys(peer);
	if (info->said_bye == BYE_STOP)
		peer_forgot(peer);
}

/* The session that was in use has ended. */
static void
current_ended(struct peer *peer, const struct peering_info *info, const char *why)
{
	if (exchange_now(peer->exchange) - peer->since >= LIVED)
		peer->backoff = BACKOFF_MIN;
	if (info->said_bye == BYE_REPLACED && peer->dialling == NULL && peer->kind != PEER_ENTERED)
		log_warnx(
		    "session replaced by none of ours, does another daemon use the name of "
		    "this site? site=%s",
		    peer->config->site);
	if (info->said_bye != BYE_IDLE)
		load_table_site_error(peer->exchange->parts.table, peer->site, "%s", why);
	keep_or_drop(peer, info);
	peer_leaves(peer);
	if (peer->exchange->coordinator != NULL)
		coordinator_lost_peer(peer, info->said_bye == BYE_STOP);
	if (peer->dialling != NULL)
		return;
	if (info->said_bye == BYE_IDLE)
		peer_rests(peer);
	else if (info->said_bye == BYE_RESTART)
		dial_in(peer, 0);
	else if (info->said_bye == BYE_STOP)
		dial_in(peer, STOP_PAUSE);
	else
		dial_later(peer);
}

static void
log_ended(struct exchange *x, struct peering *p, const char *why)
{
	const struct peering_info *info = peering_info(p);
	const struct site *site = load_table_site(x->parts.table, info->site);
	const char *name = site != NULL ? site->name : "unknown";
	char address[ADDR_TEXT];

	addr_format(peering_address(p), address);
	if (info->established) {
		exchange_count(x, COUNTER_sessions_lost);
		log_change("session ended site=%s address=%s reason=\"%s\"", name, address, why);
	} else if (!info->dialled) {
		exchange_count(x, COUNTER_sessions_refused);
		log_warnx("session refused site=%s address=%s reason=\"%s\"", name, address, why);
	} else if (info->secured) {
		exchange_count(x, COUNTER_sessions_refused); /* dial_failed() logs it */
	}
}

void
exchange_ended(void *arg, struct peering *p, const char *why)
{
	struct exchange *x = arg;
	const struct peering_info *info = peering_info(p);
	struct peer *peer = exchange_peer(x, info->site);

	log_ended(x, p, why);
	remove_peering(x, p);
	if (peer != NULL && p == peer->current) {
		current_ended(peer, info, why);
	} else if (peer != NULL && p == peer->dialling) {
		peer->dialling = NULL;
		if (load_table_site(x->parts.table, peer->site)->session == SITE_CONNECTING)
			peer_no_session(peer);
		dial_failed(peer, why);
	}
	if (x->stopping && x->peerings_count == 0)
		loop_timer_set(x->stop_timer, 0);
}

/* ---- life ---- */

struct peer *
peer_new(struct exchange *x, const struct config_peer *config, enum peer_kind kind)
{
	uint32_t site = load_table_find_site(x->parts.table, config->site);
	struct loop *loop = x->parts.session.loop;
	struct peer *peer;

	if (site > UINT16_MAX)
		return NULL;
	peer = xcalloc(1, sizeof(*peer));
	peer->kind = kind;
	peer->exchange = x;
	peer->config = config;
	peer->site = site;
	peer->backoff = BACKOFF_MIN;
	peer->dial_timer = loop_timer_new(loop, on_dial, peer);
	peer->hold_timer = loop_timer_new(loop, peer_on_hold, peer);
	peer->probes = ratelimit_make(PROBES, PROBES);
	peer_closed_init(peer);
	x->peers = xrealloc_array(x->peers, x->peers_count + 1, sizeof(x->peers[0]));
	x->peers[x->peers_count++] = peer;
	dial_in(peer, 0);
	return peer;
}

static void
cancel_dialling(struct peer *peer, enum bye_reason reason)
{
	struct peering *p = peer->dialling;

	/* it was begun under the old configuration, which is about to go */
	peer->dialling = NULL;
	if (p != NULL)
		peering_bye(p, reason);
}

void
peer_renew(struct peer *peer, const struct config_peer *config)
{
	struct peering *current = peer->current;

	peer->config = config;
	peer->failing = false;
	/* the peer may have taken it for established: the keys are to stay until the next */
	cancel_dialling(peer, BYE_RESTART);
	if (peer_is_dialled(peer)) {
		dial_in(peer, 0);
	} else if (current != NULL) {
		peer_hold_keys(peer);
		peering_bye(current, BYE_RESTART);
	}
}

void
peer_dismiss(struct peer *peer)
{
	struct peering *current = peer->current;

	cancel_dialling(peer, BYE_STOP);
	if (current != NULL) {
		peer_hold_keys(peer);
		peering_bye(current, BYE_STOP);
	}
	peer_forgot(peer);
	if (peer->kind == PEER_COORDINATOR)
		introduced_dismiss(peer->exchange->introduced, peer->site);
	if (peer->exchange->coordinator != NULL)
		coordinator_lost_peer(peer, true);
	if (peer->kind == PEER_ENTERED)
		load_table_site_leave(
		    peer->exchange->parts.table, peer->site, exchange_now(peer->exchange));
	peer_free(peer);
}

void
peer_judge(struct peer *peer)
{
	struct exchange *x = peer->exchange;
	struct peering *current = peer->current;

	if (current == NULL) {
		peer_drop_keys(peer);
		return;
	}
	if (!peering_is_revoked(current))
		return;
	log_warnx("session ended, the peer's certificate has been revoked site=%s",
	    peer->config->site);
	peer_hold_keys(peer);
	peering_bye(current, BYE_PROTOCOL);
	peer_drop_keys(peer);
	peer_no_session(peer);
	peer_forgot(peer);
	load_table_site_error(x->parts.table, peer->site, "its certificate has been revoked");
}

void
peer_free(struct peer *peer)
{
	peer_drop_keys(peer);
	peer_no_session(peer);
	peer_closed_fini(peer);
	loop_timer_free(peer->dial_timer);
	loop_timer_free(peer->hold_timer);
	free(peer->own.site);
	free(peer->own.fingerprint);
	free(peer);
}
