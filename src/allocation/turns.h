/*
 * turns: smooth weighted round robin, in logarithmic time.
 *
 * At each turn everybody is credited with his weight, and the one with the largest credit
 * (the first of several) has the turn and pays the sum of all weights: 5, 1, 1 gives
 * a a b a c a a.  Done literally that looks at everybody at each turn.  Here a credit is a
 * line over time, w * t + b, and a tournament tree holds who is ahead; each node knows at
 * which turn somebody behind will have caught up, and until then nothing is compared there
 * (a kinetic tournament: Basch, Guibas, Hershberger 1999).  Plain data.
 */
#ifndef WLAD_ALLOCATION_TURNS_H
#define WLAD_ALLOCATION_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNS_NONE UINT32_MAX

struct turns {
	int64_t now;      /* turns taken since turns_build() */
	int64_t sum;      /* of weights, */
	int64_t members;  /* of so many */
	int64_t credits;  /* of them together, which no turn changes */
	uint32_t *weight; /* up to 2^24; 0: takes no part */
	int64_t *base;    /* credit at turn 0 */
	uint32_t *ahead;  /* by node, the root 1: who has the largest credit below it */
	int64_t *until;   /* by node: first turn at which that may have changed */
	size_t count, size, leaves;
};

/* New weights.  Who took part before and still does keeps his credit in relation to the sum. */
void turns_build(struct turns *t, const uint32_t *weights, size_t count);
void turns_fini(struct turns *t);

/* Another weight: the credit of one that takes part stays; who comes has what the others have on
 * average; 0: takes part no longer. */
void turns_set(struct turns *t, uint32_t who, uint32_t weight);

/* Whose turn it is, and goes on to the next; TURNS_NONE if nobody takes part. */
uint32_t turns_next(struct turns *t);

#endif
