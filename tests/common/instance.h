/*
 * instance: a whole datapath on the memory backend, and two of them as sites of each other.
 *
 * For the oracle driver, fuzz targets and benchmarks.  What the load exchange would agree
 * over TLS (services, keys, reports) is entered directly.
 */
#ifndef WLAD_TESTS_INSTANCE_H
#define WLAD_TESTS_INSTANCE_H

#include <stdint.h>

#include "allocation/allocation.h"
#include "base/counters.h"
#include "base/random.h"
#include "config/config.h"
#include "datapath.h"
#include "io/memory.h"
#include "load/table.h"
#include "transfer/keyring.h"

#define INSTANCE_CLOSED_MAX 256
#define INSTANCE_SEEN_MAX   16
#define INSTANCE_QUEUES_MAX 8

struct instance {
	struct config *config;
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct counters counters;
	struct random random;
	struct io *io;
	struct guard *guard;                   /* NULL: one queue */
	struct io *queue[INSTANCE_QUEUES_MAX]; /* the further ones, of the numbers 1 to .. */
	unsigned queues;                       /* of these */
	struct datapath *datapath;

	/* Reports to other sites, the oldest first, as CLOSED would carry them. */
	struct {
		uint32_t site;
		struct connection_closed entry;
	} closed[INSTANCE_CLOSED_MAX];
	size_t closed_count; /* of all; what is beyond the room is lost */

	/* Direct-reply probes that arrived, as PROBE would report them. */
	struct {
		uint32_t site;
		uint64_t id;
	} seen[INSTANCE_SEEN_MAX];
	size_t seen_count; /* likewise */
};

/* All servers up.  NULL after messages on stderr if the configuration is wrong. */
struct instance *instance_new(const char *config, uint64_t seed, uint64_t now);
void instance_free(struct instance *i);

/* The same with a guard and so many queues, io being the first; the time is the clock's. */
struct instance *instance_new_queues(const char *config, uint64_t seed, unsigned queues);

/*
 * Makes a and b know each other, which are peers in each other's configuration: services as HELLO says, keys in
 * both directions, a report of an idle site.  Returns 0, or -1 if one does not have the other as peer.
 */
int instance_link(struct instance *a, struct instance *b, uint64_t now);

/*
 * A chain: what near would tell its peers far, of owner behind it, and owner, of far behind it: far
 * takes owner's connections from near, owner takes packets of far's servers to its relay ports.
 */
void instance_chain(
    struct instance *owner, struct instance *near, struct instance *far, uint64_t now);

/* Reports a's load to b as LOAD would. */
void instance_report(struct instance *a, struct instance *b, uint64_t now);

/* Tells b what a has reported to it; returns how many.  Reports to others are dropped. */
unsigned instance_tell(struct instance *a, struct instance *b, uint64_t now);

/* Carries a's datagrams to b as coming from a's transfer address; returns how many. */
unsigned instance_carry(struct instance *a, struct instance *b, uint64_t now);

#endif
