#include "allocation/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void
weights_fini(struct weights *w)
{
	free(w->sum);
	free(w->value);
	memset(w, 0, sizeof(*w));
}

static void
reserve(struct weights *w, size_t count)
{
	if (count <= w->size)
		return;
	w->sum = xrealloc_array(w->sum, count + 1, sizeof(*w->sum));
	w->value = xrealloc_array(w->value, count, sizeof(*w->value));
	w->size = count;
}

/* How many values a node holds: its lowest bit. */
static size_t
span(size_t node)
{
	return node & -node;
}

void
weights_build(struct weights *w, const uint32_t *values, size_t count)
{
	reserve(w, count);
	w->count = count;
	w->total = 0;
	w->step = 1;
	if (count == 0)
		return;
	while (w->step * 2 <= count)
		w->step *= 2;
	memset(w->sum, 0, (count + 1) * sizeof(*w->sum));
	for (size_t i = 0; i < count; i++) {
		size_t node = i + 1, above = node + span(node);

		w->value[i] = values[i];
		w->total += values[i];
		w->sum[node] += values[i];
		if (above <= count)
			w->sum[above] += w->sum[node];
	}
}

void
weights_set(struct weights *w, size_t index, uint32_t value)
{
	uint64_t change = (uint64_t)value - w->value[index]; /* modulo 2^64 */

	if (change == 0)
		return;
	w->value[index] = value;
	w->total += change;
	for (size_t node = index + 1; node <= w->count; node += span(node))
		w->sum[node] += change;
}

size_t
weights_find(const struct weights *w, uint64_t point)
{
	size_t found = 0;

	for (size_t step = w->step; step > 0; step /= 2) {
		if (found + step > w->count || w->sum[found + step] > point)
			continue;
		found += step;
		point -= w->sum[found];
	}
	return found;
}

uint64_t
weights_before(const struct weights *w, size_t index)
{
	uint64_t sum = 0;

	for (size_t node = index; node > 0; node -= span(node))
		sum += w->sum[node];
	return sum;
}

size_t
weights_next(const struct weights *w, size_t start)
{
	uint64_t before = weights_before(w, start < w->count ? start : 0);

	return weights_find(w, before < w->total ? before : 0);
}
