/*
 * The choice of a self port (RFC 6056, algorithm 1: random): one that is not in use from that
 * self address towards that server, so that each server has the whole range to itself.
 */
#include "connection/internal.h"

#define PORT_FIRST 1024
#define PORT_COUNT (65536 - PORT_FIRST)

/*
 * Random tries find a port as long as a few percent are free (of 97 % in use, 64 tries
 * miss one time in seven); the walk finds the last few.  Both are bounded, since a
 * flood towards a server without free ports must not cost more than another one.
 */
#define RANDOM_TRIES 64
#define WALK_TRIES   256

#define FREED_TICKS (120 * TICKS_PER_SECOND)

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
	*freed_slot(table, hash) = (uint32_t)(hash & 0xffff) << 16 |
	    ((table->tick / TICKS_PER_SECOND + 1) & 0xffff);
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
is_own_client_side(
    const struct connection_new *what, const struct connection_tuple *t)
{
	return t->destination_port == what->service.port &&
	    (what->kind == CONNECTION_LOCAL) &&
	    addr_equal(&what->client, &what->server) &&
	    ip_equal(&what->service.ip, &what->self.ip);
}

static bool
is_free(struct connection_table *table, const struct connection_new *what,
    const struct connection_tuple *tuple, uint64_t hash)
{
	enum connection_side side;

	return connection_index_find(table, tuple, hash, &side) == NULL &&
	    !is_own_client_side(what, tuple);
}

static bool
may_choose(struct connection_table *table, const struct connection_new *what,
    uint16_t port)
{
	struct addr self = {.ip = what->self.ip, .port = port};

	return table->port_taken == NULL ||
	    !table->port_taken(table->port_taken_arg, &self, what->protocol);
}

uint16_t
connection_port_choose(struct connection_table *table,
    const struct connection_new *what, struct random *random)
{
	struct connection_tuple t = {
	    .source = what->server.ip,
	    .destination = what->self.ip,
	    .source_port = what->server.port,
	    .destination_port = what->self.port,
	    .protocol = what->protocol,
	};
	uint32_t i, port;
	uint64_t hash;

	if (what->self.port != 0) {
		hash = connection_index_hash(table, &t);
		return is_free(table, what, &t, hash) ? what->self.port : 0;
	}
	for (i = 0; i < RANDOM_TRIES; i++) {
		t.destination_port =
		    (uint16_t)(PORT_FIRST + random_below(random, PORT_COUNT));
		hash = connection_index_hash(table, &t);
		if (!is_freed_lately(table, hash) &&
		    is_free(table, what, &t, hash) &&
		    may_choose(table, what, t.destination_port))
			return t.destination_port;
	}
	port = random_below(random, PORT_COUNT);
	for (i = 0; i < WALK_TRIES; i++, port++) {
		t.destination_port = (uint16_t)(PORT_FIRST + port % PORT_COUNT);
		hash = connection_index_hash(table, &t);
		if (is_free(table, what, &t, hash) &&
		    may_choose(table, what, t.destination_port))
			return t.destination_port;
	}
	return 0;
}
