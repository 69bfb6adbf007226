#include "control/shares.h"

#include <math.h>
#include <stdlib.h>

#include "base/xalloc.h"

#define TRIES 8 /* of scheduler_pick() before it searches */

/* A candidate with room, for sorting by (active + 1) / weight. */
struct candidate {
	size_t index;
	uint64_t active, weight;
};

static uint64_t
weight_of(const struct scheduler *s, size_t index)
{
	return s->cumulative[index] - (index > 0 ? s->cumulative[index - 1] : 0);
}

static bool
has_room(const struct scheduler *s, struct load_table *table, size_t index)
{
	const struct server *server = load_table_server(table, s->servers[index]);

	return server->active < server->max_connections;
}

static int
compare(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;
	uint64_t left = (a->active + 1) * b->weight, right = (b->active + 1) * a->weight;

	return left < right ? -1 : left > right;
}

/* Those with room, sorted; returns how many. */
static size_t
collect(const struct scheduler *s, struct load_table *table, struct candidate *list)
{
	size_t count = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (!has_room(s, table, i))
			continue;
		list[count++] = (struct candidate){i,
		    load_table_server(table, s->servers[i])->active, weight_of(s, i)};
	}
	qsort(list, count, sizeof(*list), compare);
	return count;
}

/*
 * One try of twos.  With p the weight's share, N the share of the full ones, W of the more
 * loaded and E of the equally loaded ones (itself included), a candidate is taken with
 * p (N + W + E) as the first and p (N + W) as the second.
 */
static void
one_try(const struct candidate *list, size_t count, double sum, double full, double *share)
{
	double behind = 1 - full;

	for (size_t i = 0, next; i < count; i = next) {
		double equal = 0;

		for (next = i; next < count && compare(&list[i], &list[next]) == 0; next++)
			equal += (double)list[next].weight / sum;
		behind -= equal;
		for (size_t k = i; k < next; k++)
			share[list[k].index] =
			    (double)list[k].weight / sum * (2 * full + 2 * behind + equal);
	}
}

/* After TRIES that met full servers only: from a random place to the next one with room. */
static void
add_search(const struct scheduler *s, struct load_table *table, double probability,
    double *share)
{
	size_t run = 0, index;

	/* twice round, so that the run before the first with room is complete */
	for (size_t i = 0; i < 2 * s->count; i++) {
		index = i % s->count;
		run++;
		if (!has_room(s, table, index))
			continue;
		if (i >= s->count)
			share[index] += probability * (double)run / (double)s->count;
		run = 0;
	}
}

static void
shares_twos(const struct scheduler *s, struct load_table *table, const struct candidate *list,
    size_t count, double *share)
{
	double sum = (double)s->cumulative[s->count - 1], room = 0, full, failed, all_failed;

	for (size_t i = 0; i < count; i++)
		room += (double)list[i].weight;
	full = 1 - room / sum;
	one_try(list, count, sum, full, share);
	failed = full * full;
	all_failed = pow(failed, TRIES);
	for (size_t i = 0; i < count; i++)
		share[list[i].index] *= (1 - all_failed) / (1 - failed);
	add_search(s, table, all_failed, share);
}

static void
shares_turns(const struct candidate *list, size_t count, bool weighted, double *share)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += weighted ? (double)list[i].weight : 1;
	for (size_t i = 0; i < count; i++)
		share[list[i].index] = (weighted ? (double)list[i].weight : 1) / sum;
}

void
shares_calculate(const struct scheduler *s, struct load_table *table,
    enum config_scheduler kind, double *share)
{
	struct candidate *list;
	size_t count;

	for (size_t i = 0; i < s->count; i++)
		share[i] = 0;
	if (s->count == 0)
		return;
	list = xcalloc(s->count, sizeof(*list));
	count = collect(s, table, list);
	if (count > 0 && (kind == CONFIG_RR || kind == CONFIG_WRR))
		shares_turns(list, count, kind == CONFIG_WRR, share);
	else if (count > 0)
		shares_twos(s, table, list, count, share);
	free(list);
}
