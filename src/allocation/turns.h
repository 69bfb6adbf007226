/*
 * turns: weighted round robin, smoothly, in logarithmic time at each turn.
 *
 * Who has weight w is due every 1/w of a round; whoever is due first has the turn (stride
 * scheduling: Waldspurger and Weihl 1995).  Each starts at a point of his own in his first
 * stride, so that equal ones do not come in a row: 5, 1, 1 gives a b a a a c a.  In each round
 * everybody has exactly as many turns as he has weight.
 *
 * The credits of the better known smooth round robin of nginx spread turns no better, and cost
 * time linear in the list, or, in a tree, thousands of comparisons at once whenever many meet.
 */
#ifndef WLAD_ALLOCATION_TURNS_H
#define WLAD_ALLOCATION_TURNS_H

#include <stddef.h>
#include <stdint.h>

#include "allocation/heap.h"

#define TURNS_NONE UINT32_MAX

/* Parts of a stride. */
#define TURNS_STRIDE (1 << 16)

struct turns {
	struct heap heap; /* by when they are due: parts of a stride by weight */
	uint32_t *weight; /* up to 2^24; 0: takes no part */
	uint64_t taken;   /* turns */
	size_t count, size;
};

/* New weights.  Who took part before and still does is as near to his next turn as he was. */
void turns_build(struct turns *t, const uint32_t *weights, size_t count);
void turns_fini(struct turns *t);

/* Another weight: one that takes part is as near to his next turn, in parts of a stride, as he
 * was; who comes starts as at first; 0: takes part no longer. */
void turns_set(struct turns *t, uint32_t who, uint32_t weight);

/* Whose turn it is, and goes on to the next; TURNS_NONE if nobody takes part. */
uint32_t turns_next(struct turns *t);

#endif
