#include "allocation/turns.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Half of what the heap compares: from there on time starts again. */
#define DUE_MAX (UINT64_C(1) << 38)

void
turns_fini(struct turns *t)
{
	heap_fini(&t->heap);
	free(t->weight);
	memset(t, 0, sizeof(*t));
}

/* Where in the first stride: multiples of the golden ratio lie far from each other. */
static uint64_t
start_of(uint32_t who)
{
	return (who + UINT64_C(1)) * 40503 % TURNS_STRIDE;
}

/* What the one that is next says of the time, for one with this weight. */
static uint64_t
now_for(const struct turns *t, uint32_t weight)
{
	uint32_t next = heap_top(&t->heap);
	const struct heap_key *key;

	if (next == HEAP_NONE)
		return 0;
	key = &t->heap.key[next];
	return key->numerator * weight / key->denominator;
}

/* Parts of a stride until the turn of one that takes part. */
static uint64_t
left_of(const struct turns *t, uint32_t who)
{
	return t->heap.key[who].numerator - now_for(t, t->weight[who]);
}

static void
enter(struct turns *t, uint32_t who, uint64_t due)
{
	struct heap_key key = {due, t->taken++, t->weight[who], 0};

	heap_set(&t->heap, who, &key);
}

static void
reserve(struct turns *t, size_t count)
{
	if (count <= t->size)
		return;
	t->weight = xrealloc_array(t->weight, count, sizeof(*t->weight));
	t->size = count;
}

void
turns_build(struct turns *t, const uint32_t *weights, size_t count)
{
	uint64_t *left = xcalloc(count + 1, sizeof(*left));

	for (uint32_t i = 0; i < count; i++)
		left[i] = i < t->count && t->weight[i] > 0 ? left_of(t, i) : start_of(i);
	reserve(t, count);
	t->count = count;
	heap_begin(&t->heap, count);
	for (uint32_t i = 0; i < count; i++) {
		t->weight[i] = weights[i];
		if (weights[i] > 0)
			enter(t, i, left[i]);
	}
	free(left);
}

/* Time starts again: all are due earlier by the same, so that their order stays. */
static void
start_again(struct turns *t)
{
	uint32_t next = heap_top(&t->heap);
	uint64_t past = t->heap.key[next].numerator / t->heap.key[next].denominator;

	for (uint32_t i = 0; i < t->count; i++)
		if (t->weight[i] > 0)
			t->heap.key[i].numerator -= past * t->weight[i];
}

void
turns_set(struct turns *t, uint32_t who, uint32_t weight)
{
	uint64_t left;

	if (who >= t->count || t->weight[who] == weight)
		return;
	if (weight > 0 && now_for(t, weight) > DUE_MAX)
		start_again(t);
	left = t->weight[who] > 0 ? left_of(t, who) : start_of(who);
	heap_remove(&t->heap, who);
	t->weight[who] = weight;
	if (weight > 0)
		enter(t, who, now_for(t, weight) + left);
}

uint32_t
turns_next(struct turns *t)
{
	uint32_t who = heap_top(&t->heap);
	uint64_t due;

	if (who == HEAP_NONE)
		return TURNS_NONE;
	due = t->heap.key[who].numerator + TURNS_STRIDE;
	enter(t, who, due);
	if (due > DUE_MAX)
		start_again(t);
	return who;
}
