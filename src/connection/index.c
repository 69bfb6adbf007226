/*
 * One hash table finds both directions.  An entry is record * 2 + side, with 8 bits of the
 * hash in front; 15 of them share a cache line.  So a packet of no connection, of which a
 * flood consists, costs that one line, and one of a connection that and its record; the
 * addresses of the pool are few and hot.
 *
 * An entry that finds its line full goes to the next that is not.  Each line it has passed
 * counts it, so that a search goes on there and nowhere else, and an end leaves nothing
 * behind.  With 9 entries a line, as in a full table, one entry in 200 is not at home.
 */
#include "connection/internal.h"

_Static_assert(sizeof(struct connection_tuple) == 40, "a tuple has no padding: it is hashed");
_Static_assert(sizeof(struct connection_bucket) == 64, "a bucket is a cache line");

#define TAG UINT32_C(0xff000000)

uint64_t
connection_index_hash(const struct connection_table *table, const struct connection_tuple *tuple)
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
client_side_matches(const struct connection_table *table, const struct connection *c,
    const struct connection_tuple *t)
{
	return c->client_port == t->source_port && c->service_port == t->destination_port &&
	    c->protocol == t->protocol && origin_of(c) == t->origin &&
	    same_ip(&c->client, &t->source) &&
	    same_ip(pool_ip(&table->pool, c->service_ip), &t->destination);
}

/* A relay port waits for whoever answers: its entry has no source. */
static inline bool
server_side_matches(const struct connection_table *table, const struct connection *c,
    const struct connection_tuple *t)
{
	static const struct ip zero;

	if (c->kind == CONNECTION_TRANSFERRED)
		return c->self_port == t->destination_port && t->source_port == 0 &&
		    c->protocol == t->protocol && t->origin == 0 && same_ip(&zero, &t->source) &&
		    same_ip(pool_ip(&table->pool, c->self_ip), &t->destination);
	return c->self_port == t->destination_port && c->server_port == t->source_port &&
	    c->protocol == t->protocol && t->origin == 0 &&
	    same_ip(pool_ip(&table->pool, c->server_ip), &t->source) &&
	    same_ip(connection_self_ip(table, c), &t->destination);
}

static inline struct connection_bucket *
home_of(struct connection_table *table, uint64_t hash)
{
	return &table->buckets[(hash & UINT32_MAX) * table->bucket_count >> 32];
}

static inline struct connection_bucket *
bucket_after(struct connection_table *table, struct connection_bucket *b)
{
	return b + 1 < table->buckets + table->bucket_count ? b + 1 : table->buckets;
}

/* 0 is the empty entry, so no tag is 0. */
static inline uint32_t
tag_of(uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32) & TAG;

	return tag != 0 ? tag : TAG;
}

static inline uint32_t
entry_of(const struct connection_table *table, const struct connection *c,
    enum connection_side side, uint64_t hash)
{
	return tag_of(hash) | (connection_index(table, c) * 2 + side);
}

/* Puts an entry in the place of another; false if that is not in this bucket. */
static bool
replace_entry(struct connection_bucket *b, uint32_t old, uint32_t entry)
{
	uint32_t i;

	for (i = 0; i < BUCKET_ENTRIES; i++) {
		if (b->entry[i] == old) {
			b->entry[i] = entry;
			return true;
		}
	}
	return false;
}

void
connection_index_insert(struct connection_table *table, struct connection *c,
    enum connection_side side, uint64_t hash)
{
	uint32_t entry = entry_of(table, c, side, hash);
	struct connection_bucket *b = home_of(table, hash);

	for (; !replace_entry(b, 0, entry); b = bucket_after(table, b))
		b->passed++;
}

void
connection_index_remove(struct connection_table *table, struct connection *c,
    enum connection_side side, uint64_t hash)
{
	uint32_t entry = entry_of(table, c, side, hash);
	struct connection_bucket *b = home_of(table, hash);

	for (; !replace_entry(b, entry, 0); b = bucket_after(table, b))
		b->passed--;
}

/* Whether an entry with the right tag is that of the tuple. */
static inline bool
entry_matches(
    const struct connection_table *table, uint32_t entry, const struct connection_tuple *tuple)
{
	const struct connection *c = &table->records[(entry & ~TAG) >> 1];

	return (entry & 1) == CONNECTION_FROM_CLIENT ? client_side_matches(table, c, tuple)
						     : server_side_matches(table, c, tuple);
}

struct connection *
connection_index_find(struct connection_table *table, const struct connection_tuple *tuple,
    uint64_t hash, enum connection_side *side)
{
	const uint32_t tag = tag_of(hash);
	struct connection_bucket *b = home_of(table, hash);
	uint32_t i, entry;

	for (;; b = bucket_after(table, b)) {
		for (i = 0; i < BUCKET_ENTRIES; i++) {
			entry = b->entry[i];
			if ((entry & TAG) != tag || !entry_matches(table, entry, tuple))
				continue;
			*side = entry & 1;
			return &table->records[(entry & ~TAG) >> 1];
		}
		if (b->passed == 0)
			return NULL;
	}
}

/* It lies in two lines of the cache, and a packet changes both. */
static inline void
fetch_record(const struct connection *c)
{
	__builtin_prefetch(c, 1);
	__builtin_prefetch((const uint8_t *)(c + 1) - 1, 1);
}

void
connection_index_fetch(struct connection_table *table, const uint64_t *hashes, uint32_t count)
{
	const struct connection_bucket *b;
	uint32_t i, n;

	for (i = 0; i < count; i++)
		__builtin_prefetch(home_of(table, hashes[i]));
	for (i = 0; i < count; i++) {
		b = home_of(table, hashes[i]);
		for (n = 0; n < BUCKET_ENTRIES; n++)
			if ((b->entry[n] & TAG) == tag_of(hashes[i]))
				fetch_record(&table->records[(b->entry[n] & ~TAG) >> 1]);
	}
	/* to gcc a function that only fetches does nothing, and nobody would call it */
	__asm__ volatile("");
}

static inline struct connection_tuple
tuple_of_key(const struct connection_key *key)
{
	return (struct connection_tuple){
	    .source = key->source.ip,
	    .destination = key->destination.ip,
	    .source_port = key->source.port,
	    .destination_port = key->destination.port,
	    .protocol = key->protocol,
	    .origin = key->origin,
	};
}

uint64_t
connection_hash(const struct connection_table *table, const struct connection_key *key)
{
	struct connection_tuple tuple = tuple_of_key(key);

	return connection_index_hash(table, &tuple);
}

void
connection_fetch(struct connection_table *table, const uint64_t *hashes, uint32_t count)
{
	connection_index_fetch(table, hashes, count);
}

struct connection *
connection_find_hashed(struct connection_table *table, const struct connection_key *key,
    uint64_t hash, enum connection_side *side)
{
	struct connection_tuple tuple = tuple_of_key(key);

	return connection_index_find(table, &tuple, hash, side);
}

struct connection *
connection_find(struct connection_table *table, const struct connection_key *key,
    enum connection_side *side)
{
	return connection_find_hashed(table, key, connection_hash(table, key), side);
}

struct connection *
connection_find_relay(struct connection_table *table, const struct connection_key *key)
{
	struct connection_tuple tuple = {
	    .destination = key->destination.ip,
	    .destination_port = key->destination.port,
	    .protocol = key->protocol,
	};
	enum connection_side side;

	return connection_index_find(table, &tuple, connection_index_hash(table, &tuple), &side);
}

struct connection_tuple
connection_index_tuple(
    const struct connection_table *table, const struct connection *c, enum connection_side side)
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
	if (c->kind == CONNECTION_TRANSFERRED)
		return (struct connection_tuple){
		    .destination = *pool_ip(pool, c->self_ip),
		    .destination_port = c->self_port,
		    .protocol = c->protocol,
		};
	return (struct connection_tuple){
	    .source = *pool_ip(pool, c->server_ip),
	    .destination = *connection_self_ip(table, c),
	    .source_port = c->server_port,
	    .destination_port = c->self_port,
	    .protocol = c->protocol,
	};
}
