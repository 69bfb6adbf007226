#include "control/shares.h"

#include <stdlib.h>

#include "base/xalloc.h"

/* A candidate with room, for sorting by (active + 1) / weight. */
struct candidate {
	size_t index;
	uint64_t active, weight;
	double part; /* of what is drawn from */
};

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
		uint32_t weight = scheduler_room(s)->value[i];
		const struct server *server;

		if (weight == 0)
			continue;
		server = load_table_server(table, s->servers[i]);
		list[count++] = (struct candidate){i, server->active, server->weight, weight};
	}
	qsort(list, count, sizeof(*list), compare);
	return count;
}

/*
 * With p the weight's share, W the share of the more loaded and E of the equally loaded ones
 * (itself included), a candidate is taken with p (W + E) as the first and p W as the second.
 */
static void
shares_twos(const struct scheduler *s, struct load_table *table, double *share)
{
	struct candidate *list = xcalloc(s->count, sizeof(*list));
	size_t count = collect(s, table, list);
	double sum = (double)scheduler_room(s)->total, behind = 1;

	for (size_t i = 0, next; i < count; i = next) {
		double equal = 0;

		for (next = i; next < count && compare(&list[i], &list[next]) == 0; next++)
			equal += list[next].part / sum;
		behind -= equal;
		for (size_t k = i; k < next; k++)
			share[list[k].index] = list[k].part / sum * (2 * behind + equal);
	}
	free(list);
}

static void
shares_turns(const struct scheduler *s, struct load_table *table, double *share)
{
	const struct weights *room = scheduler_room(s);
	double sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);

		if (room->value[i] == 0)
			continue;
		share[i] = s->kind == CONFIG_WRR ? room->value[i] : server->ramp;
		sum += share[i];
	}
	for (size_t i = 0; i < s->count; i++)
		share[i] /= sum;
}

void
shares_calculate(
    const struct scheduler *s, struct load_table *table, const struct ip *client, double *share)
{
	uint32_t next;

	for (size_t i = 0; i < s->count; i++)
		share[i] = 0;
	if (scheduler_room(s)->total == 0)
		return;
	if (s->kind == CONFIG_TWOS) {
		shares_twos(s, table, share);
		return;
	}
	next = scheduler_next(s, client);
	if (next == LOAD_NONE)
		shares_turns(s, table, share);
	else
		share[load_table_server(table, next)->place] = 1;
}
