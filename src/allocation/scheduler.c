#include "allocation/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Picks that are tried before the list is searched for a server with room. */
#define TRIES 8

void
scheduler_fini(struct scheduler *s)
{
	free(s->servers);
	free(s->cumulative);
	free(s->current);
	memset(s, 0, sizeof(*s));
}

static bool
is_candidate(const struct server *server, bool v4)
{
	return server_usable(server) && server->weight > 0 &&
	    !ip_is_zero(v4 ? &server->v4 : &server->v6);
}

static void
reserve(struct scheduler *s, size_t count)
{
	if (count <= s->size)
		return;
	s->servers = xrealloc_array(s->servers, count, sizeof(*s->servers));
	s->cumulative = xrealloc_array(s->cumulative, count, sizeof(*s->cumulative));
	s->current = xrealloc_array(s->current, count, sizeof(*s->current));
	s->size = count;
}

void
scheduler_refresh(struct scheduler *s, struct load_table *table, uint32_t service, bool v4)
{
	const struct service *owner = load_table_service(table, service);
	uint64_t sum = 0;

	if (s->version == owner->version)
		return;
	reserve(s, owner->servers_count);
	s->version = owner->version;
	s->count = 0;
	for (size_t i = 0; i < owner->servers_count; i++) {
		const struct server *server =
		    load_table_server(table, owner->servers[i]);

		if (!is_candidate(server, v4))
			continue;
		sum += server->weight;
		s->servers[s->count] = owner->servers[i];
		s->cumulative[s->count] = sum;
		s->current[s->count] = 0;
		s->count++;
	}
	s->turn = 0;
}

static bool
has_room(const struct server *server)
{
	return server->active < server->max_connections;
}

/* Index of the candidate on whose share of the weights the point lies. */
static size_t
by_weight(const struct scheduler *s, uint64_t point)
{
	size_t low = 0, high = s->count - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (point < s->cumulative[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static size_t
weighted_random(const struct scheduler *s, struct random *random)
{
	uint64_t sum = s->cumulative[s->count - 1];

	/* weights up to 65535 and lists far below 2^37 entries: the bias of % is below 2^-10 of a weight */
	return by_weight(s, random_next(random) % sum);
}

/* True if a is less loaded: (active + 1) / weight, compared without division. */
static bool
less_loaded(const struct server *a, const struct server *b)
{
	return (a->active + 1) * b->weight < (b->active + 1) * a->weight;
}

static size_t
pick_twos(struct scheduler *s, struct load_table *table, struct random *random)
{
	size_t a = weighted_random(s, random);
	size_t b = weighted_random(s, random);
	const struct server *first = load_table_server(table, s->servers[a]);
	const struct server *second = load_table_server(table, s->servers[b]);

	if (!has_room(first))
		return b;
	if (has_room(second) && less_loaded(second, first))
		return b;
	return a;
}

static size_t
pick_rr(struct scheduler *s)
{
	size_t turn = s->turn % s->count;

	s->turn = (turn + 1) % s->count;
	return turn;
}

/* Smooth weighted round robin: the one with the largest credit pays the sum of all. */
static size_t
pick_wrr(struct scheduler *s)
{
	size_t best = 0;

	for (size_t i = 0; i < s->count; i++) {
		uint64_t before = i > 0 ? s->cumulative[i - 1] : 0;

		s->current[i] += (int64_t)(s->cumulative[i] - before);
		if (s->current[i] > s->current[best])
			best = i;
	}
	s->current[best] -= (int64_t)s->cumulative[s->count - 1];
	return best;
}

static size_t
pick_once(struct scheduler *s, struct load_table *table, enum config_scheduler kind,
    struct random *random)
{
	switch (kind) {
	case CONFIG_RR:
		return pick_rr(s);
	case CONFIG_WRR:
		return pick_wrr(s);
	case CONFIG_TWOS:
	default:
		return pick_twos(s, table, random);
	}
}

/* When picks keep meeting full servers: the first with room from a random place on. */
static uint32_t
search(const struct scheduler *s, struct load_table *table, struct random *random)
{
	size_t start = random_below(random, (uint32_t)s->count);

	for (size_t i = 0; i < s->count; i++) {
		uint32_t number = s->servers[(start + i) % s->count];

		if (has_room(load_table_server(table, number)))
			return number;
	}
	return LOAD_NONE;
}

uint32_t
scheduler_pick(struct scheduler *s, struct load_table *table, enum config_scheduler kind,
    struct random *random)
{
	if (s->count == 0)
		return LOAD_NONE;
	for (int i = 0; i < TRIES; i++) {
		uint32_t number = s->servers[pick_once(s, table, kind, random)];

		if (has_room(load_table_server(table, number)))
			return number;
	}
	return search(s, table, random);
}
