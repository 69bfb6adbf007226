/*
 * One hash table, chained by index, finds both directions.  An entry is record * 2 + side, so
 * the chain runs through next[side] of the records themselves, and a look-up touches the
 * bucket, the record and the (few, hot) addresses of the pool.
 */
#include "connection/internal.h"

_Static_assert(sizeof(struct connection_tuple) == 40,
    "a tuple has no padding: it is hashed");

uint64_t
connection_index_hash(
    const struct connection_table *table, const struct connection_tuple *tuple)
{
	return siphash13(&table->key, tuple, sizeof(*tuple));
}

static inline bool
same_ip(const struct ip *a, const struct ip *b)
{
	return memcmp(a->octet, b->octet, sizeof(a->octet)) == 0;
}

/* Transferors are told apart by their number: two of them may have clients, and even
 * services, of the same private addresses. */
static inline uint16_t
origin_of(const struct connection *c)
{
	if (c->kind == CONNECTION_RECEIVED || c->kind == CONNECTION_PASSED)
		return (uint16_t)(c->site + 1);
	return 0;
}

static inline bool
client_side_matches(const struct connection_table *table,
    const struct connection *c, const struct connection_tuple *t)
{
	return c->client_port == t->source_port &&
	    c->service_port == t->destination_port &&
	    c->protocol == t->protocol && origin_of(c) == t->origin &&
	    same_ip(&c->client, &t->source) &&
	    same_ip(pool_ip(&table->pool, c->service_ip), &t->destination);
}

static inline bool
server_side_matches(const struct connection_table *table,
    const struct connection *c, const struct connection_tuple *t)
{
	return c->self_port == t->destination_port &&
	    c->server_port == t->source_port && c->protocol == t->protocol &&
	    t->origin == 0 &&
	    same_ip(pool_ip(&table->pool, c->server_ip), &t->source) &&
	    same_ip(pool_ip(&table->pool, c->self_ip), &t->destination);
}

struct connection *
connection_index_find(struct connection_table *table,
    const struct connection_tuple *tuple, uint64_t hash,
    enum connection_side *side)
{
	uint32_t entry = table->buckets[hash & table->bucket_mask];
	struct connection *c;

	for (; entry != NIL; entry = c->next[entry & 1]) {
		c = &table->records[entry >> 1];
		if ((entry & 1) == CONNECTION_FROM_CLIENT
			? client_side_matches(table, c, tuple)
			: server_side_matches(table, c, tuple)) {
			*side = entry & 1;
			return c;
		}
	}
	return NULL;
}

struct connection *
connection_find(struct connection_table *table,
    const struct connection_key *key, enum connection_side *side)
{
	struct connection_tuple tuple = {
	    .source = key->source.ip,
	    .destination = key->destination.ip,
	    .source_port = key->source.port,
	    .destination_port = key->destination.port,
	    .protocol = key->protocol,
	    .origin = key->origin,
	};

	return connection_index_find(
	    table, &tuple, connection_index_hash(table, &tuple), side);
}

struct connection_tuple
connection_index_tuple(const struct connection_table *table,
    const struct connection *c, enum connection_side side)
{
	const struct pool *pool = &table->pool;

	if (side == CONNECTION_FROM_CLIENT)
		return (struct connection_tuple){
		    .source = c->client,
		    .destination = *pool_ip(pool, c->service_ip),
		    .source_port = c->client_port,
		    .destination_port = c->service_port,
		    .protocol = c->protocol,
		    .origin = origin_of(c),
		};
	return (struct connection_tuple){
	    .source = *pool_ip(pool, c->server_ip),
	    .destination = *pool_ip(pool, c->self_ip),
	    .source_port = c->server_port,
	    .destination_port = c->self_port,
	    .protocol = c->protocol,
	};
}

void
connection_index_insert(struct connection_table *table, struct connection *c,
    enum connection_side side, uint64_t hash)
{
	uint32_t *bucket = &table->buckets[hash & table->bucket_mask];

	c->next[side] = *bucket;
	*bucket = connection_index(table, c) * 2 + side;
}

void
connection_index_remove(struct connection_table *table, struct connection *c,
    enum connection_side side, uint64_t hash)
{
	uint32_t entry = connection_index(table, c) * 2 + side;
	uint32_t *link = &table->buckets[hash & table->bucket_mask];

	while (*link != entry)
		link = &table->records[*link >> 1].next[*link & 1];
	*link = c->next[side];
}
