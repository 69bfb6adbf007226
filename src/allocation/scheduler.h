/*
 * scheduler: which server of a service.  Pure decisions over a list of candidates.
 *
 * The list is made anew when the set of servers changes (service->version), not per
 * connection; a decision costs the logarithm of the number of servers at most.
 * Names are those that ipvsadm users know.  Seed: server allocation unit 32.
 */
#ifndef WLAD_ALLOCATION_SCHEDULER_H
#define WLAD_ALLOCATION_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "load/table.h"

/* The candidates of one service for one address family. */
struct scheduler {
	uint64_t version;     /* of the service when the list was made; 0: never */
	uint32_t *servers;    /* numbers */
	uint64_t *cumulative; /* weights up to and including each */
	int64_t *current;     /* smooth weighted round robin */
	size_t count, size;
	size_t turn; /* round robin: next index */
};

void scheduler_fini(struct scheduler *s);

/* Makes the list: usable servers with weight above 0 that have an address of the family. */
void scheduler_refresh(struct scheduler *s, struct load_table *table, uint32_t service, bool v4);

/*
 * Chooses a server that has room (active below max_connections); LOAD_NONE if none has.
 * twos: the better by (active + 1) / weight of two weighted random picks.  rr: in turn, weights ignored.
 * wrr: smooth, in proportion to the weights.
 */
uint32_t scheduler_pick(struct scheduler *s, struct load_table *table,
    enum config_scheduler kind, struct random *random);

#endif
