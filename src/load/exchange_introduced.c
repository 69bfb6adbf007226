/*
 * exchange_introduced: peers that no configuration names: those that coordinators introduce
 * (introduced.c), and, with load.accept_unknown, those that introduce themselves.
 *
 * A session with an introduced site is for keys and what else is between the two alone; it is
 * dialled by whoever needs it.  If both do at the same time, the one that was dialled by the smaller
 * name stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "load/exchange_internal.h"

#define DIALS_MAX 8                    /* of introduced sites, at a time */
#define WANTED    CLOCK_SECOND         /* between two dials because of connections */
#define TOGETHER  (10 * CLOCK_SECOND)  /* sessions this close in time are of the same need */
#define IDLE      (600 * CLOCK_SECOND) /* who needs each other now and then stays in touch */

/* ---- being found ---- */

const struct config_peer *
exchange_find(void *arg, const char *site)
{
	struct exchange *x = arg;

	for (size_t i = 0; i < x->peers_count; i++) {
		const struct peer *peer = x->peers[i];

		/* one that has left is as unknown as before */
		if (peer->kind != PEER_COORDINATOR && strcmp(peer->config->site, site) == 0 &&
		    load_table_site(x->parts.table, peer->site)->present)
			return peer->config;
	}
	return NULL;
}

static struct peer *
enter(struct exchange *x, uint32_t number)
{
	struct peer *peer = exchange_peer(x, number);
	const struct config_peer nobody = {0};

	if (peer != NULL)
		return peer->kind == PEER_ENTERED ? peer : NULL;
	peer = peer_new(x,
	    &(struct config_peer){.site = load_table_site(x->parts.table, number)->name},
	    PEER_ENTERED);
	if (peer == NULL)
		return NULL;
	peer->own = nobody;
	peer->own.site = xstrdup(load_table_site(x->parts.table, number)->name);
	peer->own.reply = CONFIG_REPLY_AUTO;
	peer->own.chained = true;
	peer->config = &peer->own;
	return peer;
}

/* Where it is, for the next session. */
static void
locate(struct exchange *x, struct peer *peer, const struct addr *load, const struct addr *transfer)
{
	struct site *site = load_table_site(x->parts.table, peer->site);

	peer->own.load = *load;
	peer->own.transfer = *transfer;
	if (site->session == SITE_SESSION)
		return;
	site->load = *load;
	site->transfer = *transfer;
	site->reply = peer->own.reply;
}

const struct config_peer *
exchange_welcome(void *arg, struct peering *p, const struct hello *hello)
{
	struct exchange *x = arg;
	uint32_t number;
	struct addr transfer = hello->transfer, none = {0};
	struct peer *peer;

	if (strcmp(hello->site, x->parts.config->site) == 0)
		return NULL;
	number = load_table_site_enter(x->parts.table, hello->site);
	if (number == LOAD_NONE || number >= UINT16_MAX)
		return NULL;
	peer = enter(x, number);
	if (peer == NULL)
		return NULL;
	if (transfer.port != 0 && ip_is_zero(&transfer.ip))
		transfer.ip = peering_address(p)->ip;
	free(peer->own.fingerprint); /* what somebody once said of it */
	peer->own.fingerprint = NULL;
	locate(x, peer, &none, &transfer);
	log_info("site introduces itself site=%s", hello->site);
	return peer->config;
}

/* ---- being introduced ---- */

static void
pin(struct peer *peer, const struct sites_record *record)
{
	char text[2 * KEYS_DIGEST_LEN + 1];

	free(peer->own.fingerprint);
	peer->own.fingerprint = NULL;
	if (!record->certified)
		return;
	for (size_t i = 0; i < KEYS_DIGEST_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", record->certificate[i]);
	peer->own.fingerprint = xstrdup(text);
}

static void
on_entered(void *arg, uint32_t site, const struct sites_record *record)
{
	struct exchange *x = arg;
	struct peer *peer = enter(x, site);

	if (peer == NULL)
		return;
	if (!peer->listed)
		log_debug("site is introduced site=%s", peer->own.site);
	peer->listed = true;
	pin(peer, record);
	locate(x, peer, &record->load, &record->hello.transfer);
}

static void
on_left(void *arg, uint32_t site)
{
	struct exchange *x = arg;
	struct peer *peer = exchange_peer(x, site);

	if (peer == NULL || peer->kind != PEER_ENTERED)
		return;
	peer->listed = false;
	peer_leaves(peer);
}

const struct introduced_handlers exchange_introductions = {on_entered, on_left};

/* ---- sessions ---- */

static size_t
dials(const struct exchange *x)
{
	size_t count = 0;

	for (size_t i = 0; i < x->peers_count; i++)
		count += x->peers[i]->kind == PEER_ENTERED && x->peers[i]->dialling != NULL;
	return count;
}

void
exchange_wanted(struct exchange *x, uint32_t site)
{
	struct peer *peer = exchange_peer(x, site);
	uint64_t now = exchange_now(x);

	if (peer == NULL || peer->kind != PEER_ENTERED || peer->current != NULL ||
	    peer->dialling != NULL || x->stopping)
		return;
	if (peer->wanted && now - peer->wanted_at < WANTED)
		return;
	if (dials(x) >= DIALS_MAX)
		return;
	peer->wanted = true;
	peer->wanted_at = now;
	loop_timer_set(peer->dial_timer, 0);
}

bool
peer_gives_way(const struct peer *peer, const struct peering *p)
{
	const struct exchange *x = peer->exchange;
	const struct peering_info *info = peering_info(p), *current;

	if (peer->kind != PEER_ENTERED || peer->current == NULL)
		return false;
	current = peering_info(peer->current);
	if (current->dialled == info->dialled || current->boot_id != info->boot_id ||
	    exchange_now(x) - peer->since > TOGETHER)
		return false;
	return info->dialled != (strcmp(x->parts.config->site, peer->config->site) < 0);
}

bool
peer_has_connections(const struct peer *peer)
{
	const struct site *site = load_table_site(peer->exchange->parts.table, peer->site);

	for (size_t i = 0; i < site->services_count; i++)
		if (site->services[i].transferred > 0 || site->services[i].received > 0)
			return true;
	return false;
}

void
peer_unwanted(struct peer *peer)
{
	if (peer->kind == PEER_ENTERED && !peer_has_connections(peer))
		peer->wanted = false;
}

/* Of all connections that there have been between us. */
static uint64_t
used(const struct peer *peer)
{
	const struct site *site = load_table_site(peer->exchange->parts.table, peer->site);
	uint64_t sum = 0;

	for (size_t i = 0; i < site->services_count; i++)
		sum += site->services[i].transferred_total + site->services[i].received_total;
	return sum;
}

void
peer_rests(struct peer *peer)
{
	peer->wanted = false;
	loop_timer_cancel(peer->dial_timer); /* of its renewal */
}

void
peer_end_if_idle(struct peer *peer)
{
	uint64_t now = exchange_now(peer->exchange), sum = used(peer);
	struct peering *current = peer->current;

	if (peer->kind != PEER_ENTERED || current == NULL || !peer->listed)
		return;
	if (peer->used_at < peer->since || sum != peer->used || peer_has_connections(peer)) {
		peer->used_at = now;
		peer->used = sum;
	}
	if (now - peer->used_at < IDLE || peer->dialling != NULL)
		return;
	peer_hold_keys(peer);
	peer_no_session(peer);
	peering_bye(current, BYE_IDLE);
	peer_rests(peer);
}

void
peer_leaves(struct peer *peer)
{
	struct exchange *x = peer->exchange;

	if (peer->kind == PEER_ENTERED && !peer->listed && peer->current == NULL &&
	    load_table_site(x->parts.table, peer->site)->introduced)
		load_table_site_leave(x->parts.table, peer->site, exchange_now(x));
}
