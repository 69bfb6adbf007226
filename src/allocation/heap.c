#include "allocation/heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void
heap_fini(struct heap *h)
{
	free(h->key);
	free(h->position);
	free(h->order);
	memset(h, 0, sizeof(*h));
}

void
heap_begin(struct heap *h, size_t items)
{
	if (items > h->size) {
		h->key = xrealloc_array(h->key, items, sizeof(*h->key));
		h->position = xrealloc_array(h->position, items, sizeof(*h->position));
		h->order = xrealloc_array(h->order, items, sizeof(*h->order));
		h->size = items;
	}
	h->items = items;
	h->count = 0;
	for (size_t i = 0; i < items; i++)
		h->position[i] = HEAP_NONE;
}

static bool
is_before(const struct heap *h, uint32_t a, uint32_t b)
{
	const struct heap_key *x = &h->key[a], *y = &h->key[b];
	uint64_t left = x->numerator * y->denominator, right = y->numerator * x->denominator;

	if (x->rank != y->rank)
		return x->rank < y->rank;
	return left != right ? left < right : x->turn < y->turn;
}

static void
put(struct heap *h, size_t place, uint32_t item)
{
	h->order[place] = item;
	h->position[item] = (uint32_t)place;
}

static void
move_up(struct heap *h, uint32_t item)
{
	size_t place = h->position[item];

	while (place > 0) {
		size_t above = (place - 1) / 2;

		if (!is_before(h, item, h->order[above]))
			break;
		put(h, place, h->order[above]);
		place = above;
	}
	put(h, place, item);
}

static void
move_down(struct heap *h, uint32_t item)
{
	size_t place = h->position[item];

	for (;;) {
		size_t below = 2 * place + 1;

		if (below >= h->count)
			break;
		if (below + 1 < h->count && is_before(h, h->order[below + 1], h->order[below]))
			below++;
		if (!is_before(h, h->order[below], item))
			break;
		put(h, place, h->order[below]);
		place = below;
	}
	put(h, place, item);
}

void
heap_set(struct heap *h, uint32_t item, const struct heap_key *key)
{
	h->key[item] = *key;
	if (h->position[item] == HEAP_NONE)
		put(h, h->count++, item);
	move_up(h, item);
	move_down(h, item);
}

void
heap_remove(struct heap *h, uint32_t item)
{
	size_t place = h->position[item];
	uint32_t last;

	if (place == HEAP_NONE)
		return;
	last = h->order[--h->count];
	h->position[item] = HEAP_NONE;
	if (last == item)
		return;
	put(h, place, last);
	move_up(h, last);
	move_down(h, last);
}

uint32_t
heap_top(const struct heap *h)
{
	return h->count > 0 ? h->order[0] : HEAP_NONE;
}
