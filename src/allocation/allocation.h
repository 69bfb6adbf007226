/*
 * allocation: the server allocation unit 32: where a new connection goes.
 *
 * Puts scheduler (inside the site) and sitechoice (between sites) together.  `wladmctl explain` runs the same
 * functions and shows what they saw.
 */
#ifndef WLAD_ALLOCATION_ALLOCATION_H
#define WLAD_ALLOCATION_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "allocation/limits.h"
#include "allocation/persistence.h"
#include "allocation/scheduler.h"
#include "allocation/sitechoice.h"
#include "base/counters.h"
#include "base/random.h"
#include "connection/connection.h"
#include "load/table.h"

struct allocation;

enum allocation_where { ALLOCATION_NONE, ALLOCATION_SERVER, ALLOCATION_SITE };

struct allocation_decision {
	enum allocation_where where;
	uint32_t server;             /* SERVER */
	uint32_t site, site_service; /* SITE */
	bool persistent;             /* where the client's connections went before */
};

/* table: borrowed, and its counted callback taken.  interval: load.interval in seconds. */
struct allocation *allocation_new(struct load_table *table, double interval);
void allocation_free(struct allocation *a);

/* Whom connections would go to if there were keys: called with the site for each that would. */
typedef void allocation_wanted(void *arg, uint32_t site);
void allocation_set_wanted(struct allocation *a, allocation_wanted *wanted, void *arg);

/* A reload changed load.interval. */
void allocation_set_interval(struct allocation *a, double interval);

/*
 * What is remembered of clients: for so many connections.  Called once, by who has connections;
 * without it there is neither persistence nor a limit.  0, or -1 if memory is short.
 */
int allocation_remember_clients(
    struct allocation *a, uint32_t connections, const struct siphash_key *key);

/*
 * A configuration was applied to the table: where services want to know their clients by other
 * prefixes than before, all connections are looked at once.
 */
void allocation_apply_clients(
    struct allocation *a, struct connection_table *connections, uint64_t now);

/* Within the client's limits?  To be asked once before a connection of an own client is decided
 * on.  DROP_none, DROP_client_connections or DROP_client_rate. */
enum drop allocation_admit(
    struct allocation *a, uint32_t service, const struct ip *client, uint64_t now);

/* A connection was entered, or is over: in TIME_WAIT, or ended before that. */
void allocation_opened(struct allocation *a, const struct connection *c, uint64_t now);
void allocation_over(struct allocation *a, const struct connection *c, uint64_t now);

/* Forgets clients that need not be known any more, a part at a time. */
void allocation_expire_clients(struct allocation *a, struct counters *counters, uint64_t now);

/* What control shows; NULL without allocation_remember_clients(). */
struct persistence *allocation_persistence(struct allocation *a);
struct limits *allocation_limits(struct allocation *a);

/* Where the connection of a client that was here before would go without more ado.  False if
 * there is no such place.  Changes nothing. */
bool allocation_persistent(struct allocation *a, uint32_t service, const struct ip *client,
    uint64_t now, struct allocation_decision *decision);

/*
 * A new connection of a client to our service: where its last one went, if the service has
 * persistence and that can take it; else own server or other site.  When all own
 * servers are full, a site that can take it comes first, then an own backup server.
 */
void allocation_decide(struct allocation *a, uint32_t service, const struct ip *client,
    struct random *random, uint64_t now, struct allocation_decision *decision);

/* A connection that another site sent us: own servers only. */
void allocation_decide_received(struct allocation *a, uint32_t service, const struct ip *client,
    struct random *random, uint64_t now, struct allocation_decision *decision);

/* One that may be passed on (Fig. 21), but to none of these sites, where it has been. */
void allocation_decide_passed(struct allocation *a, uint32_t service, const struct ip *client,
    const uint16_t *visited, size_t visited_count, struct random *random, uint64_t now,
    struct allocation_decision *decision);

/* The inputs of a decision, without deciding (no state changes, no turn is taken). */
const struct sitechoice *allocation_explain(struct allocation *a, uint32_t service, uint64_t now);

/* The list of servers that is chosen from for a family: that of the backup servers only if it
 * has one with room and the proper one has none. */
const struct scheduler *allocation_candidates(struct allocation *a, uint32_t service, bool v4);

#endif
