/*
 * introduced: at a site: the other sites as coordinators introduce them.
 *
 * Each coordinator's word stands for itself; of several that tell of one site the freshest report
 * counts, and it is there as long as one of them knows it.  While a coordinator speaks, it vouches
 * for what it has told: a report is as fresh as the last message of a coordinator that does not
 * call the site silent.  When all are gone, what they told stays and grows old.
 *
 * What a configured peer says itself is better: coordinators are not heard about those.
 *
 * Pure: no session; time is an argument.  Called by exchange_introduced.c.
 */
#ifndef WLAD_LOAD_INTRODUCED_H
#define WLAD_LOAD_INTRODUCED_H

#include <stdbool.h>
#include <stdint.h>

#include "load/codec.h"
#include "load/table.h"

struct introduced;

struct introduced_handlers {
	/* A site is introduced, or elsewhere or with another certificate than before. */
	void (*entered)(void *arg, uint32_t site, const struct sites_record *record);
	/* No coordinator knows it any more. */
	void (*left)(void *arg, uint32_t site);
};

/* table: borrowed; own: our name, copied. */
struct introduced *introduced_new(struct load_table *table, const char *own,
    const struct introduced_handlers *handlers, void *arg);
void introduced_free(struct introduced *in);

/* A coordinator (its number in the load table) tells of sites; interval: seconds between two of its
 * messages, 0: not said. */
void introduced_take(struct introduced *in, uint32_t coordinator, double interval,
    const struct sites *sites, uint64_t now);

/* It is no coordinator of ours any more: its word does not count. */
void introduced_dismiss(struct introduced *in, uint32_t coordinator);

#endif
