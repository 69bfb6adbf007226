/*
 * exchange_internal: the exchange's insides, for load/exchange*.c alone.
 *
 * exchange.c: life and reporting; exchange_peers.c: dialling, which session is a peer's current
 * one; exchange_keys.c: the keys of those that have ended; exchange_closed.c: the ends of
 * connections; exchange_messages.c: what peers say; exchange_sites.c: of other sites;
 * exchange_coordinator.c: the same at a coordinator; exchange_introduced.c: peers that are not
 * configured; exchange_listen.c: being dialled.
 */
#ifndef WLAD_LOAD_EXCHANGE_INTERNAL_H
#define WLAD_LOAD_EXCHANGE_INTERNAL_H

#include "base/ratelimit.h"
#include "load/chain.h"
#include "load/coordinator.h"
#include "load/exchange.h"
#include "load/introduced.h"
#include "load/peering.h"

struct closed_chunk;
struct evconnlistener;

/* Ends of connections that a peer is to be told. */
struct closed_queue {
	struct closed_chunk *first, *last; /* never NULL */
	size_t waiting;                    /* entries */
	size_t enough;                     /* so many are told early */
	uint64_t sent_at;                  /* the last message */
	struct loop_timer *timer;
};

enum peer_kind {
	PEER_CONFIGURED,
	PEER_COORDINATOR, /* configured as such */
	PEER_ENTERED      /* introduced by a coordinator, or by itself */
};

/* One peer. */
struct peer {
	enum peer_kind kind;
	struct exchange *exchange;
	const struct config_peer *config;
	uint32_t site;
	struct peering *current;  /* established */
	struct peering *dialling; /* by us, not established */
	struct loop_timer *dial_timer;
	uint64_t backoff;
	uint64_t since;          /* when current was established */
	bool known;              /* it has said who it is, and not that it stops */
	uint64_t boot_id;        /* if so: of the current session, or the one before */
	bool failing;            /* its last dial failed and was logged */
	struct ratelimit probes; /* that we confirm */
	uint32_t told_mtu;       /* by the last report */
	enum site_direct told_direct;
	struct closed_queue closed;
	bool sites_whole;     /* it is to be told of all sites, not of changes alone */
	bool reports;         /* it has told us its load */
	uint64_t answered_at; /* when it was last told at once that it may send more */

	/* entered */
	struct config_peer own; /* what config is then */
	bool listed;            /* a coordinator knows it */
	bool wanted;            /* we need a session */
	uint64_t wanted_at;     /* when it was dialled for that last */
	uint64_t used_at;       /* when there were connections between us last */
	uint64_t used;          /* of them all */

	/* A session has ended: its receive key stays (exchange_keys.c). */
	uint32_t held;
	uint64_t held_since;
	struct loop_timer *hold_timer;
};

struct exchange {
	struct peering_parts parts; /* first: peerings point to it */
	struct random *random;
	const struct exchange_handlers *handlers; /* never NULL */
	void *handlers_arg;
	struct peer **peers;
	size_t peers_count;
	struct peering **peerings; /* all that have not ended */
	size_t peerings_count;
	struct chain *chain;
	struct introduced *introduced;
	struct coordinator *coordinator; /* NULL: we are a site */
	struct loop_timer *sites_timer;
	bool sites_armed;
	uint64_t sites_told_at;
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

/* What a peering of an exchange, which is arg, tells of its life. */
void exchange_established(void *arg, struct peering *p);
void exchange_ended(void *arg, struct peering *p, const char *why);

/* NULL if the site is no peer. */
struct peer *exchange_peer(struct exchange *x, uint32_t site);

/* A configured peer, dialled with the loop if we are the one who dials.  NULL if it has no place
 * in the load table. */
struct peer *peer_new(struct exchange *x, const struct config_peer *config, enum peer_kind kind);
void peer_free(struct peer *peer); /* its peerings are gone */

/* The configuration of a peer that stays; a new session follows, the old one until then. */
void peer_renew(struct peer *peer, const struct config_peer *config);

/* The peer is no longer configured: its sessions end with BYE, its keys are wiped. */
void peer_dismiss(struct peer *peer);

/* The peer's session ends if its certificate has been revoked; keys of a session that is over cannot
 * be judged and go, too. */
void peer_judge(struct peer *peer);

/* No session, and none that is to follow. */
void peer_no_session(struct peer *peer);

/* True if we are the one who dials: a coordinator; who needs it, if it is entered; else if our site
 * has the smaller name. */
bool peer_is_dialled(const struct peer *peer);

/* Reports to it, as much as it is to know. */
void peer_report(struct peer *peer);

/* A peering that ends by itself from now on. */
void exchange_enter(struct exchange *x, struct peering *p);

/* ---- exchange_keys.c ---- */

/* The current session has ended, or another replaces it: there is none from now on, and its keys
 * stay for a while.  hold_on: another one is there, from now on for a short one. */
void peer_hold_keys(struct peer *peer);
void peer_hold_on(struct peer *peer);
void peer_on_hold(void *arg, uint64_t now); /* the hold timer's callback */

void peer_forget_tx(struct peer *peer); /* the key to the peer */
void peer_drop_keys(struct peer *peer); /* that, and the held one from it */

/* True if there are keys, and packets under them get through. */
bool peer_path_alive(const struct peer *peer);

/* ---- exchange_closed.c ---- */

void peer_closed_init(struct peer *peer);
void peer_closed_fini(struct peer *peer);
void peer_closed_add(struct peer *peer, const struct connection_closed *entry);
void peer_closed_resume(struct peer *peer);  /* there is a session again */
void peer_closed_measure(struct peer *peer); /* how many make a difference */
void peer_closed_clear(struct peer *peer);   /* nobody is to be told any more */

/* ---- exchange_messages.c ---- */

/* For all peerings of an exchange, which is their argument. */
extern const struct peering_handlers exchange_peerings;

/* Coordinators have told of others: who may send us much more now is told at once. */
void exchange_answer_needs(struct exchange *x);

/* ---- exchange_sites.c ---- */

void exchange_sites_init(struct exchange *x);
void exchange_sites_fini(struct exchange *x);

void exchange_sites_arm(struct exchange *x); /* there is something to tell */
void peer_sites_due(struct peer *peer); /* there is a new session: all is to be told again */
void peer_sites_hello(struct peer *peer, const struct hello *hello);
void peer_sites_take(struct peer *peer, const struct sites *sites);
void peer_sites_forget(struct peer *peer); /* nothing of what it said holds */

/* ---- exchange_coordinator.c ---- */

void coordinator_said_hello(struct peer *peer, struct peering *p, const struct hello *hello);
void coordinator_told_load(struct peer *peer, const struct load_report *report);
void coordinator_lost_peer(struct peer *peer, bool gone);
void coordinator_speak(struct exchange *x);  /* to all, at least that all still holds */
void coordinator_spread(struct exchange *x); /* what is new to whom */

/* ---- exchange_introduced.c ---- */

extern const struct introduced_handlers exchange_introductions;

/* For peering_handlers. */
const struct config_peer *exchange_find(void *arg, const char *site);
const struct config_peer *exchange_welcome(
    void *arg, struct peering *p, const struct hello *hello);

/* True if a session that has just been established is one too many: each of the two has dialled. */
bool peer_gives_way(const struct peer *peer, const struct peering *p);

/* The session of an entered peer ends after a while without connections between the two. */
void peer_end_if_idle(struct peer *peer);

/* True if there are connections between us. */
bool peer_has_connections(const struct peer *peer);

/* An entered peer's session is no longer needed. */
void peer_rests(struct peer *peer);

/* An entered peer's session has ended, or could not be had. */
void peer_unwanted(struct peer *peer);
void peer_leaves(struct peer *peer);

/* ---- exchange_listen.c ---- */

/* 0, or -1 with a sentence. */
int exchange_listen(
    struct exchange *x, const struct addr *address, char *error, size_t error_size);
void exchange_listen_stop(struct exchange *x);
void exchange_listen_fini(struct exchange *x);

#endif
