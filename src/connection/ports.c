/*
 * The choice of a self port (RFC 6056, algorithm 1: random): one that is not in use from that
 * self address towards that server, so that each server has the whole range to itself.
 *
 * A record in TIME_WAIT holds its port for two minutes, and 64512 ports are 537 connections a
 * second and no more; forged SYNs, of which each holds one for a minute, need 1075.  So where
 * none is free, that of a connection that is over is taken, or else that of one that was never
 * answered, the quietest that was met.  The server may have it in its own TIME_WAIT: then it
 * takes the SYN if its timestamp or sequence number is later (RFC 6191; RFC 9293, 3.6.1), else,
 * and if it is half-open there, it answers with an acknowledgement, the client resets what it
 * has never heard of, and its next SYN, a second later, opens.  Late packets of the old
 * connection fall outside the new one's windows but for bad luck; after a second without a
 * packet there are hardly any.
 */
#include "connection/internal.h"

#define PORT_FIRST 1024
#define PORT_COUNT (65536 - PORT_FIRST)

/*
 * Random tries find a port as long as a few percent are free (of 97 % in use, 64 tries
 * miss one time in seven); the walk finds the last few where there is nothing of the past.
 * Both are bounded, since a flood towards a server without free ports must not cost more
 * than another one.  After a search that found no better than a port that was just in use,
 * the next ones give up sooner: at thousands of connections a second all ports are like that.
 * So do, for a second, those towards a server for which a search has found nothing at all.
 */
#define RANDOM_TRIES    64
#define SCARCE_TRIES    8
#define EXHAUSTED_TRIES 33
#define WALK_TRIES      256

#define EXHAUSTED_TICKS TICKS_PER_SECOND

/* All that a try costs is waiting for memory, and for many places as long as for one: but for the
 * first try, which mostly is the last, ports are looked at so many at a time. */
#define AHEAD 16

#define FREED_TICKS (120 * TICKS_PER_SECOND)

/* A search: what for, and what was met. */
struct search {
	struct connection_table *table;
	const struct connection_new *what;
	struct connection_tuple tuple; /* of the server side that is tried */
	uint64_t hash;

	struct random *random;  /* where the next ports come from; */
	uint32_t walk;          /* or else from here on, if it is not 0 */
	uint32_t tries;         /* at random, at most */
	uint16_t port[AHEAD];   /* the next ones, */
	uint64_t hashes[AHEAD]; /* and of their tuples */
	uint32_t next, count;   /* the first of them that was not tried; all of them */

	uint16_t lately;         /* a free port that was freed lately, 0 if none */
	struct connection *past; /* whose port may be taken, NULL if none */
};

/*
 * Ports freed lately, by the hash of their server side: a direct-mapped memory of 16 bits of
 * the hash and the tick / 8 of the end.  It forgets (overwritten by others) and it errs (one
 * time in 65536): both are harmless, as it only says which port to use last.
 */
static inline uint32_t *
freed_slot(const struct connection_table *table, uint64_t hash)
{
	return &table->freed[(hash >> 32) & table->freed_mask];
}

void
connection_port_freed(struct connection_table *table, uint64_t hash)
{
	*freed_slot(table, hash) =
	    (uint32_t)(hash & 0xffff) << 16 | ((table->tick / TICKS_PER_SECOND + 1) & 0xffff);
}

static bool
is_freed_lately(const struct connection_table *table, uint64_t hash)
{
	uint32_t memory = *freed_slot(table, hash);
	uint32_t age = table->tick / TICKS_PER_SECOND + 1 - memory;

	return memory != 0 && memory >> 16 == (hash & 0xffff) &&
	    (age & 0xffff) * TICKS_PER_SECOND <= FREED_TICKS;
}

/* A local server that is a client of the service to which it belongs: its two directions
 * would look the same if its self port were the service's. */
static bool
is_own_client_side(const struct connection_new *what, const struct connection_tuple *t)
{
	return t->destination_port == what->service.port && (what->kind == CONNECTION_LOCAL) &&
	    addr_equal(&what->client, &what->server) &&
	    ip_equal(&what->service.ip, &what->self.ip);
}

static bool
may_choose(const struct search *s)
{
	const struct connection_table *table = s->table;
	struct addr self = {
	    .ip = s->what->self.ip,
	    .port = s->tuple.destination_port,
	};

	return s->what->self.port != 0 || table->port_taken == NULL ||
	    !table->port_taken(table->port_taken_arg, &self, s->what->protocol);
}

static void
try_port(struct search *s, uint16_t port)
{
	s->tuple.destination_port = port;
	s->hash = connection_index_hash(s->table, &s->tuple);
}

static void
look_ahead(struct search *s)
{
	s->count = s->count == 0 ? 1 : AHEAD;
	for (s->next = 0; s->next < s->count; s->next++) {
		uint32_t n = s->walk != 0 ? s->walk++ : random_below(s->random, PORT_COUNT);

		s->port[s->next] = (uint16_t)(PORT_FIRST + n % PORT_COUNT);
		try_port(s, s->port[s->next]);
		s->hashes[s->next] = s->hash;
	}
	s->next = 0;
	if (s->count > 1)
		connection_index_fetch(s->table, s->hashes, s->count);
}

static void
try_next_port(struct search *s)
{
	if (s->next == s->count)
		look_ahead(s);
	s->tuple.destination_port = s->port[s->next];
	s->hash = s->hashes[s->next++];
}

/* Over, or never answered, and quiet. */
static bool
is_past(const struct connection_table *table, const struct connection *c)
{
	return connection_queue_of(c) != NO_QUEUE && table->tick - c->touched >= QUIET_TICKS;
}

/* Over before unanswered, then the one that has been quiet for longer. */
static bool
is_better(const struct connection *a, const struct connection *b)
{
	bool over = a->state == CONNECTION_TIME_WAIT;

	if (b == NULL || over != (b->state == CONNECTION_TIME_WAIT))
		return b == NULL || over;
	return a->touched < b->touched;
}

/* Nothing is held against the port that is tried.  One of the past is kept in mind. */
static bool
is_free(struct search *s)
{
	enum connection_side side = CONNECTION_FROM_CLIENT;
	struct connection *c = connection_index_find(s->table, &s->tuple, s->hash, &side);

	if (c == NULL)
		return !is_own_client_side(s->what, &s->tuple) && may_choose(s);
	if (side == CONNECTION_FROM_SERVER && is_past(s->table, c) && is_better(c, s->past) &&
	    !is_own_client_side(s->what, &s->tuple) && may_choose(s))
		s->past = c;
	return false;
}

/* A port that has not been in use for a while; else the search knows the next best. */
static uint16_t
find_at_random(struct search *s)
{
	bool *scarce = &s->table->ports_scarce;
	uint32_t i;
	bool lately;

	for (i = 0; i < s->tries; i++) {
		if (i >= SCARCE_TRIES && *scarce && (s->lately != 0 || s->past != NULL))
			return 0;
		try_next_port(s);
		lately = is_freed_lately(s->table, s->hash);
		if ((lately && s->lately != 0) || !is_free(s))
			continue;
		if (!lately) {
			*scarce = false;
			return s->tuple.destination_port;
		}
		s->lately = s->tuple.destination_port;
	}
	*scarce = true;
	return 0;
}

static uint16_t
find_by_walk(struct search *s)
{
	uint32_t i;

	s->walk = 1 + random_below(s->random, PORT_COUNT);
	s->next = s->count;
	for (i = 0; i < WALK_TRIES; i++) {
		try_next_port(s);
		if (is_free(s))
			return s->tuple.destination_port;
	}
	return 0;
}

/* What is remembered of the server.  It errs if two share a place, which is harmless. */
static struct connection_exhausted *
exhausted_place(struct search *s, uint32_t *tag)
{
	try_port(s, 0);
	*tag = (uint32_t)(s->hash >> 32) | 1;
	return &s->table->exhausted[s->hash % EXHAUSTED_PLACES];
}

static bool
is_exhausted(struct search *s)
{
	const struct connection_table *table = s->table;
	const struct connection_exhausted *place;
	uint32_t tag;

	if (table->tick - table->exhausted_last >= EXHAUSTED_TICKS)
		return false;
	place = exhausted_place(s, &tag);
	return place->tag == tag && table->tick - place->tick < EXHAUSTED_TICKS;
}

static void
set_exhausted(struct search *s, bool exhausted)
{
	uint32_t tag;
	struct connection_exhausted *place = exhausted_place(s, &tag);

	*place = (struct connection_exhausted){exhausted ? tag : 0, s->table->tick};
	if (exhausted)
		s->table->exhausted_last = s->table->tick;
}

static uint16_t
find_port(struct search *s)
{
	bool exhausted = is_exhausted(s);
	uint16_t port;

	s->tries = exhausted ? EXHAUSTED_TRIES : RANDOM_TRIES;
	port = find_at_random(s);
	if (port == 0)
		port = s->lately;
	if (port == 0 && s->past == NULL && !exhausted)
		port = find_by_walk(s);
	/* not put off for as long as somebody asks: once a second all is tried */
	if (exhausted != (port == 0 && s->past == NULL))
		set_exhausted(s, !exhausted);
	return port;
}

uint16_t
connection_port_choose(struct connection_table *table, const struct connection_new *what,
    struct random *random, struct connection **holder)
{
	struct search s = {
	    .table = table,
	    .what = what,
	    .random = random,
	    .tuple =
		{
		    .source = what->server.ip,
		    .destination = what->self.ip,
		    .source_port = what->server.port,
		    .protocol = what->protocol,
		},
	};
	uint16_t port;

	*holder = NULL;
	if (what->self.port != 0) {
		try_port(&s, what->self.port);
		port = is_free(&s) ? what->self.port : 0;
	} else {
		port = find_port(&s);
	}
	if (port != 0 || s.past == NULL)
		return port;
	*holder = s.past;
	return s.past->self_port;
}
