/*
 * weights: numbers by index, of which one is drawn in proportion to its size.
 *
 * A tree of partial sums (Fenwick 1994): to change a number and to find the one that a point
 * falls on take the logarithm of their count.  Plain data, for the schedulers.
 */
#ifndef WLAD_ALLOCATION_WEIGHTS_H
#define WLAD_ALLOCATION_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

struct weights {
	uint64_t total;
	uint64_t *sum; /* node i, from 1: of the values that end with index i - 1 */
	uint32_t *value;
	size_t count, size;
	size_t step; /* the largest power of two up to count */
};

/* All values anew, count of them. */
void weights_build(struct weights *w, const uint32_t *values, size_t count);
void weights_fini(struct weights *w);

void weights_set(struct weights *w, size_t index, uint32_t value);

/* The index on whose share of the total the point lies; point is below total. */
size_t weights_find(const struct weights *w, uint64_t point);

/* Sum of the values in front of the index. */
uint64_t weights_before(const struct weights *w, size_t index);

/* The first index from start on, round the end, whose value is not 0; total is not 0. */
size_t weights_next(const struct weights *w, size_t start);

#endif
