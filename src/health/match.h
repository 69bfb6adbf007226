/*
 * match: finds octets in a stream that arrives in pieces (Knuth, Morris, Pratt).
 *
 * Looks at each octet once and keeps none.
 */
#ifndef WLAD_HEALTH_MATCH_H
#define WLAD_HEALTH_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/octets.h"

struct match {
	struct octets want;
	uint16_t at;               /* octets of it that the latest ones are */
	uint16_t back[OCTETS_MAX]; /* what is left of a match that the next octet breaks */
};

void match_init(struct match *match, const struct octets *want);

/* True once the octets have come, and then for good; at once if none are wanted. */
bool match_feed(struct match *match, const void *data, size_t len);

#endif
