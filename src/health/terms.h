/*
 * terms: what services ask of their checks, one copy of those that ask the same.
 *
 * Rise and fall are not among it: they say how a server is judged, not what it is asked.
 */
#ifndef WLAD_HEALTH_TERMS_H
#define WLAD_HEALTH_TERMS_H

#include <sys/queue.h>

#include "config/config.h"

#define TERMS_BUCKETS 1024

struct terms {
	struct config_check check; /* without rise and fall */
	unsigned references;
	uint32_t hash;
	LIST_ENTRY(terms) entry;
};

LIST_HEAD(terms_list, terms);

/* All zero at the beginning. */
struct terms_pool {
	struct terms_list bucket[TERMS_BUCKETS];
};

/* Those of the check; to be given back. */
struct terms *terms_get(struct terms_pool *pool, const struct config_check *check);
void terms_put(struct terms *terms);

#endif
