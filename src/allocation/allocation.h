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

#include "allocation/scheduler.h"
#include "allocation/sitechoice.h"
#include "base/random.h"
#include "load/table.h"

struct allocation;

enum allocation_where { ALLOCATION_NONE, ALLOCATION_SERVER, ALLOCATION_SITE };

struct allocation_decision {
	enum allocation_where where;
	uint32_t server;             /* SERVER */
	uint32_t site, site_service; /* SITE */
};

/* table: borrowed.  interval: load.interval in seconds. */
struct allocation *allocation_new(struct load_table *table, double interval);
void allocation_free(struct allocation *a);

/* A new connection of a client to our service: own server or other site. */
void allocation_decide(struct allocation *a, uint32_t service, bool v4, struct random *random,
    uint64_t now, struct allocation_decision *decision);

/* A connection that another site sent us: own servers only. */
uint32_t allocation_decide_received(struct allocation *a, uint32_t service, bool v4,
    struct random *random);

/* The inputs of a decision, without deciding (no state changes, no turn is taken). */
const struct sitechoice *allocation_explain(struct allocation *a, uint32_t service,
    uint64_t now);

/* The servers that may be chosen for a family, as the scheduler's list has them. */
const struct scheduler *allocation_candidates(struct allocation *a, uint32_t service, bool v4);

#endif
