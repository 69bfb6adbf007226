/*
 * exchange_internal: the exchange's insides, for load/exchange*.c alone.
 *
 * exchange.c: life and reporting; exchange_peers.c: dialling, which session is a peer's current
 * one; exchange_listen.c: being dialled.
 */
#ifndef WLAD_LOAD_EXCHANGE_INTERNAL_H
#define WLAD_LOAD_EXCHANGE_INTERNAL_H

#include "base/ratelimit.h"
#include "load/exchange.h"
#include "load/peering.h"

struct evconnlistener;

/* One configured peer. */
struct peer {
	struct exchange *exchange;
	const struct config_peer *config;
	uint32_t site;
	struct peering *current;  /* established */
	struct peering *dialling; /* by us, not established */
	struct loop_timer *dial_timer;
	uint64_t backoff;
	uint64_t since;   /* when current was established */
	uint64_t boot_id; /* of the current session, or the one before */
	bool failing;     /* its last dial failed and was logged */

	/* A session has ended that another is to follow: its receive key, and until then its
	 * transmit key and the site's state, stay. */
	uint32_t held;
	struct loop_timer *hold_timer;
};

struct exchange {
	struct peering_parts parts; /* first: peerings point to it */
	struct random *random;
	struct peer **peers;
	size_t peers_count;
	struct peering **peerings; /* all that have not ended */
	size_t peerings_count;
	struct evconnlistener *listener;
	struct loop_timer *accept_timer;
	struct ratelimit strangers;
	struct loop_timer *report_timer;
	uint64_t reported_at;
	bool stopping;
	struct loop_timer *stop_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static inline uint64_t
exchange_now(const struct exchange *x)
{
	return loop_now(x->parts.session.loop);
}

static inline void
exchange_count(struct exchange *x, enum counter counter)
{
	counter_add(x->parts.session.counters, counter, 1);
}

/* ---- exchange_peers.c ---- */

/* For all peerings of an exchange, which is their argument. */
extern const struct peering_handlers exchange_handlers;

/* A configured peer, dialled with the loop if we are the one who dials.  NULL if it has no place
 * in the load table. */
struct peer *peer_new(struct exchange *x, const struct config_peer *config);
void peer_free(struct peer *peer); /* its peerings are gone */

/* The configuration of a peer that stays; a new session follows, the old one until then. */
void peer_renew(struct peer *peer, const struct config_peer *config);

/* The peer is no longer configured: its sessions end with BYE, its keys are wiped. */
void peer_dismiss(struct peer *peer);

/* True if we are the one who dials: our site has the smaller name. */
bool peer_is_dialled(const struct peer *peer);

/* A peering that ends by itself from now on. */
void exchange_enter(struct exchange *x, struct peering *p);

/* ---- exchange_listen.c ---- */

/* 0, or -1 with a sentence. */
int exchange_listen(
    struct exchange *x, const struct addr *address, char *error, size_t error_size);
void exchange_listen_stop(struct exchange *x);
void exchange_listen_fini(struct exchange *x);

#endif
