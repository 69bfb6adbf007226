/*
 * heap: items by index, the one with the smallest key on top.
 *
 * A binary heap that knows where each item is, so that the key of any can change in
 * logarithmic time.  Keys are fractions, compared exactly, within a rank; among equal ones the
 * smaller turn wins.  Plain data, for the schedulers.
 */
#ifndef WLAD_ALLOCATION_HEAP_H
#define WLAD_ALLOCATION_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NONE UINT32_MAX

/* Compared by rank, then by the fraction, then by turn; numerator up to 2^39, denominator from
 * 1 to 2^24 */
struct heap_key {
	uint64_t numerator, turn;
	uint32_t denominator, rank;
};

struct heap {
	struct heap_key *key; /* by item */
	uint32_t *position;   /* by item: its place in order, or HEAP_NONE */
	uint32_t *order;      /* items; the one at n is not behind those at 2n + 1 and 2n + 2 */
	size_t count;         /* of items in the heap */
	size_t items, size;
};

/* Empty, for items 0 to items - 1. */
void heap_begin(struct heap *h, size_t items);
void heap_fini(struct heap *h);

/* Enters the item, or moves it if it is in. */
void heap_set(struct heap *h, uint32_t item, const struct heap_key *key);

/* Takes the item out, if it is in. */
void heap_remove(struct heap *h, uint32_t item);

/* The item with the smallest key; HEAP_NONE if the heap is empty. */
uint32_t heap_top(const struct heap *h);

#endif
