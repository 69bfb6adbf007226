#include "allocation/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Turns that may fall to full servers before one is drawn by weight. */
#define TRIES 8
/* Rows or places that a hash may name before one with room is drawn by it. */
#define HASH_TRIES 64
/* sh: two to the power of it is above the sum of any weights, 2^32 servers of 2^16. */
#define LEVELS_MAX 48

void
scheduler_fini(struct scheduler *s)
{
	free(s->servers);
	free(s->weight);
	free(s->last);
	free(s->share);
	weights_fini(&s->room);
	heap_fini(&s->heap);
	turns_fini(&s->turns);
	maglev_fini(&s->maglev);
	memset(s, 0, sizeof(*s));
}

/* ---- the order of lc, wlc, sed, nq and ovf ---- */

static bool
is_ordered(enum config_scheduler kind)
{
	return kind == CONFIG_LC || kind == CONFIG_WLC || kind == CONFIG_SED ||
	    kind == CONFIG_NQ || kind == CONFIG_OVF;
}

static struct heap_key
key_of(const struct scheduler *s, const struct server *server, uint32_t place)
{
	struct heap_key key = {server->active, s->last[place], s->weight[place]};

	switch (s->kind) {
	case CONFIG_LC:
		key.denominator = 1;
		break;
	case CONFIG_SED:
		key.numerator++;
		break;
	case CONFIG_NQ:
		key.numerator += server->active > 0;
		break;
	case CONFIG_OVF:
		key = (struct heap_key){UINT16_MAX - s->weight[place], place, 1};
		break;
	default: /* wlc */
		break;
	}
	return key;
}

/* ---- the list ---- */

static bool
has_room(const struct server *server)
{
	return server->active < server->max_connections;
}

/* Belongs to the list, be it up or down. */
static bool
is_member(const struct server *server, bool v4, bool backup)
{
	return server->backup == backup && !ip_is_zero(v4 ? &server->v4 : &server->v6);
}

static void
reserve(struct scheduler *s, size_t count)
{
	if (count <= s->size)
		return;
	s->servers = xrealloc_array(s->servers, count, sizeof(*s->servers));
	s->weight = xrealloc_array(s->weight, count, sizeof(*s->weight));
	s->last = xrealloc_array(s->last, count, sizeof(*s->last));
	s->share = xrealloc_array(s->share, count, sizeof(*s->share));
	for (; s->size < count; s->size++)
		s->last[s->size] = s->size;
}

static void
make_shares(struct scheduler *s, struct load_table *table, bool v4, bool backup)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);

		sum += is_member(server, v4, backup) ? server->weight : 0;
		s->share[i] = sum;
	}
	s->levels = 0;
	while (UINT64_C(1) << s->levels < sum)
		s->levels++;
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

static void
make_order(struct scheduler *s, struct load_table *table)
{
	/* at first it is the turn of each in the order of the file */
	if (s->turn < s->count)
		s->turn = s->count;
	heap_begin(&s->heap, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);
		struct heap_key key;

		if (s->room.value[i] == 0)
			continue;
		key = key_of(s, server, i);
		heap_set(&s->heap, i, &key);
	}
}

static void
make_room(struct scheduler *s, struct load_table *table)
{
	weights_build(&s->room, s->weight, s->count);
	for (size_t i = 0; i < s->count; i++)
		if (!has_room(load_table_server(table, s->servers[i])))
			weights_set(&s->room, i, 0);
}

void
scheduler_refresh(
    struct scheduler *s, struct load_table *table, uint32_t service, bool v4, bool backup)
{
	const struct service *owner = load_table_service(table, service);

	if (s->version == owner->version)
		return;
	reserve(s, owner->servers_count);
	s->version = owner->version;
	s->kind = owner->scheduler;
	s->count = owner->servers_count;
	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, owner->servers[i]);
		bool candidate = server_usable(server) && is_member(server, v4, backup);

		s->servers[i] = owner->servers[i];
		s->weight[i] = candidate ? server->weight : 0;
	}
	make_room(s, table);
	make_key(s, owner->name);
	if (is_ordered(s->kind))
		make_order(s, table);
	else if (s->kind == CONFIG_WRR)
		turns_build(&s->turns, s->weight, s->count);
	else if (s->kind == CONFIG_SH)
		make_shares(s, table, v4, backup);
	else if (s->kind == CONFIG_MH)
		make_rows(s, table, v4);
}

void
scheduler_changed(struct scheduler *s, struct load_table *table, uint32_t number)
{
	const struct server *server = load_table_server(table, number);
	uint32_t place = server->place;
	struct heap_key key;

	if (place >= s->count || s->servers[place] != number || s->weight[place] == 0)
		return;
	weights_set(&s->room, place, has_room(server) ? s->weight[place] : 0);
	if (!is_ordered(s->kind))
		return;
	if (!has_room(server)) {
		heap_remove(&s->heap, place);
		return;
	}
	key = key_of(s, server, place);
	heap_set(&s->heap, place, &key);
}

/* ---- decisions: places; there is one with room ---- */

static size_t
by_weight(const struct scheduler *s, uint64_t number)
{
	/* lists are far below 2^37 entries: the bias of % is below 2^-10 of a weight */
	return weights_find(&s->room, number % s->room.total);
}

/* True if a is less loaded: (active + 1) / weight, compared without division. */
static bool
less_loaded(const struct server *a, uint32_t a_weight, const struct server *b, uint32_t b_weight)
{
	return (a->active + 1) * b_weight < (b->active + 1) * a_weight;
}

static size_t
pick_twos(const struct scheduler *s, struct load_table *table, struct random *random)
{
	size_t a = by_weight(s, random_next(random));
	size_t b = by_weight(s, random_next(random));
	const struct server *first = load_table_server(table, s->servers[a]);
	const struct server *second = load_table_server(table, s->servers[b]);

	return less_loaded(second, s->weight[b], first, s->weight[a]) ? b : a;
}

static size_t
pick_rr(struct scheduler *s)
{
	size_t place = weights_next(&s->room, s->turn);

	s->turn = place + 1;
	return place;
}

static size_t
pick_wrr(struct scheduler *s, struct random *random)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t place = turns_next(&s->turns);

		if (s->room.value[place] > 0)
			return place;
	}
	return by_weight(s, random_next(random));
}

static size_t
pick_ordered(struct scheduler *s, struct load_table *table)
{
	uint32_t place = heap_top(&s->heap);
	struct heap_key key;

	s->last[place] = ++s->turn;
	key = key_of(s, load_table_server(table, s->servers[place]), place);
	heap_set(&s->heap, place, &key);
	return place;
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
static size_t
pick_sh(const struct scheduler *s, const struct ip *client)
{
	uint8_t numbers[LEVELS_MAX + 1] = {0};

	for (unsigned i = 0; i < HASH_TRIES; i++) {
		size_t place = by_share(s, client_point(s, client, numbers));

		if (place < s->count && s->room.value[place] > 0)
			return place;
	}
	return by_weight(s, client_hash(s, client, 0, 0));
}

static size_t
pick_mh(const struct scheduler *s, const struct ip *client)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < HASH_TRIES; i++) {
		uint32_t place;

		hash = client_hash(s, client, 0, i);
		place = s->maglev.rows[hash % MAGLEV_ROWS];
		if (s->room.value[place] > 0)
			return place;
	}
	return by_weight(s, hash);
}

uint32_t
scheduler_next(const struct scheduler *s, const struct ip *client)
{
	if (s->room.total == 0)
		return LOAD_NONE;
	if (is_ordered(s->kind))
		return s->servers[heap_top(&s->heap)];
	if (s->kind == CONFIG_SH)
		return s->servers[pick_sh(s, client)];
	if (s->kind == CONFIG_MH)
		return s->servers[pick_mh(s, client)];
	return LOAD_NONE;
}

uint32_t
scheduler_pick(struct scheduler *s, struct load_table *table, const struct ip *client,
    struct random *random)
{
	if (s->room.total == 0)
		return LOAD_NONE;
	switch (s->kind) {
	case CONFIG_RR:
		return s->servers[pick_rr(s)];
	case CONFIG_WRR:
		return s->servers[pick_wrr(s, random)];
	case CONFIG_SH:
	case CONFIG_MH:
		return scheduler_next(s, client);
	case CONFIG_LC:
	case CONFIG_WLC:
	case CONFIG_SED:
	case CONFIG_NQ:
	case CONFIG_OVF:
		return s->servers[pick_ordered(s, table)];
	case CONFIG_TWOS:
	default:
		return s->servers[pick_twos(s, table, random)];
	}
}
