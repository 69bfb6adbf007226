#include "allocation/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "allocation/scheduler_internal.h"
#include "base/xalloc.h"

/* Turns that may fall to full servers before one is drawn by weight. */
#define TRIES 8
/* lrt: of so many connections one goes to each server in turn, or nobody would notice that one
 * has become faster. */
#define EXPLORE 32
/* Between two makings of the table of mh, which take milliseconds. */
#define REMAKE UINT64_C(100000000)
/* Behind all others */
#define RANK_DOUBTFUL (UINT32_C(1) << 31)

void
scheduler_fini(struct scheduler *s)
{
	free(s->servers);
	free(s->weight);
	free(s->last);
	free(s->owed);
	free(s->share);
	weights_fini(&s->room);
	weights_fini(&s->doubtful);
	heap_fini(&s->heap);
	turns_fini(&s->turns);
	maglev_fini(&s->maglev);
	memset(s, 0, sizeof(*s));
}

/* ---- the order of lc, wlc, sed, nq, lrt and ovf ---- */

static bool
is_ordered(enum config_scheduler kind)
{
	return kind == CONFIG_LC || kind == CONFIG_WLC || kind == CONFIG_SED ||
	    kind == CONFIG_NQ || kind == CONFIG_OVF || kind == CONFIG_LRT;
}

/* An idle server that has never answered is tried first; while it owes its first answer, it
 * comes last. */
static uint32_t
rank_of(const struct scheduler *s, const struct server *server)
{
	unsigned class = 0;

	if (s->kind == CONFIG_LRT) {
		class = signals_class(&server->signals);
		if (class == 0 && server->active > 0)
			class = SIGNALS_CLASSES;
	}
	return server->avoided ? RANK_DOUBTFUL + class : class;
}

static struct heap_key
key_of(const struct scheduler *s, const struct server *server, uint32_t place)
{
	struct heap_key key = {
	    server->active, s->last[place], s->weight[place], rank_of(s, server)};

	switch (s->kind) {
	case CONFIG_LC:
		key.denominator = server->ramp;
		break;
	case CONFIG_SED:
	case CONFIG_NQ:
		/* (active / part + 1) / weight: an idle one waits no longer for its small part */
		key.numerator = server->active * LOAD_RAMP + server->ramp;
		if (s->kind == CONFIG_NQ && server->active == 0)
			key.numerator = 0;
		break;
	case CONFIG_OVF:
		key = (struct heap_key){UINT16_MAX - server->weight, place, 1, key.rank};
		break;
	default: /* wlc, lrt */
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

bool
scheduler_is_member(const struct server *server, bool v4, bool backup)
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
	s->owed = xrealloc_array(s->owed, count, sizeof(*s->owed));
	for (; s->size < count; s->size++) {
		s->last[s->size] = s->size;
		s->owed[s->size] = 0;
	}
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

		if (s->room.value[i] == 0 && s->doubtful.value[i] == 0)
			continue;
		key = key_of(s, server, i);
		heap_set(&s->heap, i, &key);
	}
}

static void
make_room(struct scheduler *s, struct load_table *table)
{
	uint32_t *doubtful = xcalloc(s->count + 1, sizeof(*doubtful));
	uint32_t *room = xcalloc(s->count + 1, sizeof(*room));

	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);

		if (has_room(server))
			(server->avoided ? doubtful : room)[i] = s->weight[i];
	}
	weights_build(&s->room, room, s->count);
	weights_build(&s->doubtful, doubtful, s->count);
	free(doubtful);
	free(room);
}

/* Whether servers that start slowly have a part of their weight. */
static bool
ramps(enum config_scheduler kind)
{
	return kind != CONFIG_SH && kind != CONFIG_MH && kind != CONFIG_OVF;
}

/* The weight of a candidate, in parts of LOAD_RAMP. */
static uint32_t
weight_of(const struct scheduler *s, const struct server *server)
{
	uint64_t parts = server->weight_parts;

	if (ramps(s->kind))
		parts = parts * server->ramp / LOAD_RAMP;
	return parts == 0 && server->weight > 0 ? 1 : (uint32_t)parts;
}

/* The same, 0 of one that may not be chosen from this list. */
static uint32_t
weight_now(const struct scheduler *s, const struct server *server)
{
	if (!server_usable(server) || !scheduler_is_member(server, s->v4, s->backup))
		return 0;
	return weight_of(s, server);
}

static bool
may_remake(const struct scheduler *s)
{
	/* one without any server must not stay */
	return s->now == 0 || s->now - s->made_at >= REMAKE || s->maglev.rows[0] >= s->count;
}

/* Of sh and mh. */
static void
make_table(struct scheduler *s, struct load_table *table, const char *service)
{
	scheduler_make_hash(s, table, service, s->v4, s->backup);
	s->stale = false;
	s->made_at = s->now;
}

void
scheduler_refresh(
    struct scheduler *s, struct load_table *table, uint32_t service, bool v4, bool backup)
{
	const struct service *owner = load_table_service(table, service);

	if (s->version == owner->version) {
		if (s->stale && may_remake(s))
			make_table(s, table, owner->name);
		return;
	}
	reserve(s, owner->servers_count);
	s->version = owner->version;
	s->kind = owner->scheduler;
	s->v4 = v4;
	s->backup = backup;
	s->count = owner->servers_count;
	for (size_t i = 0; i < s->count; i++) {
		const struct server *server = load_table_server(table, owner->servers[i]);

		s->servers[i] = owner->servers[i];
		s->weight[i] = weight_now(s, server);
	}
	make_room(s, table);
	if (is_ordered(s->kind))
		make_order(s, table);
	else if (s->kind == CONFIG_WRR)
		turns_build(&s->turns, s->weight, s->count);
	else if (s->kind == CONFIG_SH || s->kind == CONFIG_MH)
		make_table(s, table, owner->name);
}

/* Another weight of a place, where 0 is none. */
static void
set_weight(struct scheduler *s, uint32_t place, uint32_t weight)
{
	uint32_t before = s->weight[place];

	s->weight[place] = weight;
	if (s->kind == CONFIG_WRR)
		turns_set(&s->turns, place, weight);
	else if (s->kind == CONFIG_MH)
		s->stale |= weight != before;
}

void
scheduler_changed(struct scheduler *s, struct load_table *table, uint32_t number)
{
	const struct server *server = load_table_server(table, number);
	uint32_t place = server->place;
	struct heap_key key;
	uint32_t weight;

	if (place >= s->count || s->servers[place] != number)
		return;
	weight = weight_now(s, server);
	if (weight != s->weight[place])
		set_weight(s, place, weight);
	/* those that are down have their parts of the range, too */
	if (s->kind == CONFIG_SH && !scheduler_has_share(s, server, place))
		s->version = 0;
	if (!has_room(server))
		weight = 0;
	weights_set(&s->room, place, server->avoided ? 0 : weight);
	weights_set(&s->doubtful, place, server->avoided ? weight : 0);
	if (!is_ordered(s->kind))
		return;
	if (weight == 0) {
		heap_remove(&s->heap, place);
		return;
	}
	key = key_of(s, server, place);
	heap_set(&s->heap, place, &key);
}

/* ---- decisions: places; there is one with room ---- */

size_t
scheduler_by_weight(const struct scheduler *s, uint64_t number)
{
	/* lists are far below 2^37 entries: the bias of % is below 2^-10 of a weight */
	const struct weights *room = scheduler_room(s);

	return weights_find(room, number % room->total);
}

/* True if a is less loaded: (active + 1) / weight, compared without division.  One that starts
 * slowly is drawn less often, and that is all: or it would hardly ever be the better one. */
static bool
less_loaded(const struct server *a, const struct server *b)
{
	return (a->active + 1) * b->weight < (b->active + 1) * a->weight;
}

static size_t
pick_twos(const struct scheduler *s, struct load_table *table, struct random *random)
{
	size_t a = scheduler_by_weight(s, random_next(random));
	size_t b = scheduler_by_weight(s, random_next(random));
	const struct server *first = load_table_server(table, s->servers[a]);
	const struct server *second = load_table_server(table, s->servers[b]);

	return less_loaded(second, first) ? b : a;
}

static size_t
pick_rr(struct scheduler *s, struct load_table *table)
{
	size_t place = 0;

	for (int i = 0; i < TRIES; i++) {
		const struct server *server;

		place = weights_next(scheduler_room(s), s->turn);
		s->turn = place + 1;
		server = load_table_server(table, s->servers[place]);
		if (server->ramp == LOAD_RAMP)
			break;
		s->owed[place] += server->ramp;
		if (s->owed[place] >= LOAD_RAMP) {
			s->owed[place] -= LOAD_RAMP;
			break;
		}
	}
	return place;
}

static size_t
pick_wrr(struct scheduler *s, struct random *random)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t place = turns_next(&s->turns);

		if (scheduler_room(s)->value[place] > 0)
			return place;
	}
	return scheduler_by_weight(s, random_next(random));
}

static bool
explores(const struct scheduler *s)
{
	return s->kind == CONFIG_LRT && s->turn % EXPLORE == EXPLORE - 1;
}

/* Who is on top; of some connections with lrt, whoever is next of all. */
static uint32_t
first_in_order(const struct scheduler *s)
{
	if (explores(s))
		return (uint32_t)weights_next(scheduler_room(s), s->asked);
	return heap_top(&s->heap);
}

/* One that starts slowly waits for its next turn longer than the others. */
static size_t
pick_ordered(struct scheduler *s, struct load_table *table)
{
	uint32_t place = first_in_order(s);
	const struct server *server = load_table_server(table, s->servers[place]);
	struct heap_key key;

	if (explores(s))
		s->asked = place + 1;
	s->last[place] = ++s->turn + s->heap.count * (LOAD_RAMP - server->ramp) / server->ramp;
	key = key_of(s, server, place);
	heap_set(&s->heap, place, &key);
	return place;
}

uint32_t
scheduler_next(const struct scheduler *s, const struct ip *client)
{
	if (scheduler_room(s)->total == 0)
		return LOAD_NONE;
	if (is_ordered(s->kind))
		return s->servers[first_in_order(s)];
	if (s->kind == CONFIG_SH)
		return s->servers[scheduler_pick_sh(s, client)];
	if (s->kind == CONFIG_MH)
		return s->servers[scheduler_pick_mh(s, client)];
	return LOAD_NONE;
}

uint32_t
scheduler_pick(struct scheduler *s, struct load_table *table, const struct ip *client,
    struct random *random)
{
	if (scheduler_room(s)->total == 0)
		return LOAD_NONE;
	switch (s->kind) {
	case CONFIG_RR:
		return s->servers[pick_rr(s, table)];
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
	case CONFIG_LRT:
		return s->servers[pick_ordered(s, table)];
	case CONFIG_TWOS:
	default:
		return s->servers[pick_twos(s, table, random)];
	}
}
