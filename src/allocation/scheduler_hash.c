/*
 * scheduler_hash: sh and mh, which find a server by a hash of the client's address.
 */
#include <stdlib.h>
#include <string.h>

#include "allocation/scheduler.h"
#include "allocation/scheduler_internal.h"
#include "base/xalloc.h"

/* Rows or places that a hash may name before one with room is drawn by it. */
#define HASH_TRIES 64
/* sh: two to the power of it is above the sum of any weights, 2^24 servers of 2^24 parts. */
#define LEVELS_MAX 48

static void
make_shares(struct scheduler *s, struct load_table *table, bool v4, bool backup)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);

		sum += scheduler_is_member(server, v4, backup) ? server->weight_parts : 0;
		s->share[i] = sum;
	}
	s->levels = 0;
	while (UINT64_C(1) << s->levels < sum)
		s->levels++;
}

bool
scheduler_has_share(const struct scheduler *s, const struct server *server, size_t place)
{
	uint64_t before = place > 0 ? s->share[place - 1] : 0;
	uint64_t part = scheduler_is_member(server, s->v4, s->backup) ? server->weight_parts : 0;

	return s->share[place] - before == part;
}

/* What tells servers apart stays the same over restarts, and at another gateway. */
static void
make_rows(struct scheduler *s, struct load_table *table, bool v4)
{
	uint64_t *identity = xcalloc(s->count + 1, sizeof(*identity));

	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);
		struct addr addr = {v4 ? server->v4 : server->v6, server->port};
		uint8_t octets[18];

		memcpy(octets, addr.ip.octet, 16);
		octets[16] = (uint8_t)(addr.port >> 8);
		octets[17] = (uint8_t)addr.port;
		identity[i] = siphash13(&s->key, octets, sizeof(octets));
	}
	maglev_build(&s->maglev, identity, s->weight, s->count);
	free(identity);
}

static void
make_key(struct scheduler *s, const char *service)
{
	static const struct siphash_key first = {{1, 0}}, second = {{2, 0}};

	s->key.k[0] = siphash13(&first, service, strlen(service));
	s->key.k[1] = siphash13(&second, service, strlen(service));
}

void
scheduler_make_hash(
    struct scheduler *s, struct load_table *table, const char *service, bool v4, bool backup)
{
	make_key(s, service);
	if (s->kind == CONFIG_SH)
		make_shares(s, table, v4, backup);
	else
		make_rows(s, table, v4);
}

/* A client's numbers: series of them, each time the same. */
static uint64_t
client_hash(const struct scheduler *s, const struct ip *client, unsigned series, unsigned number)
{
	uint8_t octets[20];

	memcpy(octets, client->octet, 16);
	octets[16] = (uint8_t)series;
	octets[17] = (uint8_t)number;
	octets[18] = octets[19] = 0;
	return siphash13(&s->key, octets, sizeof(octets));
}

/*
 * The next of a client's points in a range of 2^levels.  It lies in the upper half if the next
 * number of that level says so, else it is the next one of the lower half: so a range that is
 * doubled has the same sequence in its lower half as before.
 */
static uint64_t
client_point(const struct scheduler *s, const struct ip *client, uint8_t *numbers)
{
	for (unsigned level = s->levels; level > 0; level--) {
		uint64_t hash = client_hash(s, client, level, numbers[level]++);
		uint64_t half = UINT64_C(1) << (level - 1);

		if (hash >> 63)
			return half + (hash & (half - 1));
	}
	return 0;
}

/* The place on whose part of the range the point lies; count if on none's. */
static size_t
by_share(const struct scheduler *s, uint64_t point)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (point < s->share[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * sh: the servers lie side by side in a range, those that are down too, each as wide as its
 * weight.  The first of a client's points that falls on a server with room decides.  So a
 * client moves only if its server goes, or if one comes that is in front of it in the client's
 * own sequence.
 */
size_t
scheduler_pick_sh(const struct scheduler *s, const struct ip *client)
{
	uint8_t numbers[LEVELS_MAX + 1] = {0};

	for (unsigned i = 0; i < HASH_TRIES; i++) {
		size_t place = by_share(s, client_point(s, client, numbers));

		if (place < s->count && scheduler_room(s)->value[place] > 0)
			return place;
	}
	return scheduler_by_weight(s, client_hash(s, client, 0, 0));
}

size_t
scheduler_pick_mh(const struct scheduler *s, const struct ip *client)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < HASH_TRIES; i++) {
		uint32_t place;

		hash = client_hash(s, client, 0, i);
		place = s->maglev.rows[hash % MAGLEV_ROWS];
		if (scheduler_room(s)->value[place] > 0)
			return place;
	}
	return scheduler_by_weight(s, hash);
}
