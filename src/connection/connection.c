#include "connection/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/pages.h"
#include "connection/internal.h"

#define CAPACITY_MIN 16
#define CAPACITY_MAX (UINT32_C(1) << 23)
#define POOL_MIN     256
#define POOL_MAX     65536
#define CACHE_LINE   64

/* Ports freed lately that are remembered, at least: however small the table, two minutes of
 * short connections may free that many. */
#define FREED_MIN 65536

/* Entries of a full table in each bucket of 15 */
#define ENTRIES_EACH 9

/* Not longer than 388 days, so that ticks can be added without a thought. */
static uint32_t
to_ticks(uint32_t seconds)
{
	const uint32_t longest = UINT32_C(1) << 28;

	return seconds < longest / TICKS_PER_SECOND ? seconds * TICKS_PER_SECOND : longest;
}

void
connection_table_set_timeouts(
    struct connection_table *table, const struct connection_timeouts *timeouts)
{
	table->ticks = (struct connection_timeouts){
	    .tcp_opening = to_ticks(timeouts->tcp_opening),
	    .tcp_established = to_ticks(timeouts->tcp_established),
	    .tcp_closing = to_ticks(timeouts->tcp_closing),
	    .tcp_time_wait = to_ticks(timeouts->tcp_time_wait),
	    .udp = to_ticks(timeouts->udp),
	    .udp_opening = to_ticks(timeouts->udp_opening),
	    .icmp = to_ticks(timeouts->icmp),
	};
}

/* Memory that is there: written once, so that the kernel has found every page of it. */
static void *
allocate(struct connection_table *table, size_t count, size_t size, int fill)
{
	size_t line = count * size < PAGES_HUGE ? CACHE_LINE : PAGES_HUGE;
	size_t octets = (count * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	void *memory;

	if (posix_memalign(&memory, line, octets) != 0)
		memory = NULL;
	if (memory != NULL) {
		if (line == PAGES_HUGE)
			pages_advise_huge(memory, octets);
		memset(memory, fill, octets);
		table->octets += octets;
	}
	return memory;
}

static uint32_t
power_of_two(uint32_t at_least)
{
	uint32_t n = 1;

	while (n < at_least)
		n <<= 1;
	return n;
}

static uint32_t
pool_size(uint32_t capacity)
{
	uint32_t size = capacity / 4;

	return size < POOL_MIN ? POOL_MIN : size > POOL_MAX ? POOL_MAX : size;
}

struct connection_table *
connection_table_new(const struct connection_settings *settings, uint64_t now)
{
	uint32_t capacity = settings->capacity;
	uint32_t buckets, freed;
	struct connection_table *table;

	if (capacity < CAPACITY_MIN || capacity > CAPACITY_MAX) {
		errno = EINVAL;
		return NULL;
	}
	table = calloc(1, sizeof(*table));
	if (table == NULL)
		return NULL;
	buckets = capacity * 2 / ENTRIES_EACH + 1;
	freed = power_of_two(capacity / 4 > FREED_MIN ? capacity / 4 : FREED_MIN);
	table->octets = sizeof(*table) + pool_octets(pool_size(capacity));
	table->capacity = capacity;
	table->bucket_count = buckets;
	table->freed_mask = freed - 1;
	table->key = settings->hash_key;
	table->free = NIL;
	table->start = now;
	connection_queues_init(&table->queues);
	connection_table_set_timeouts(table, &settings->timeouts);
	table->records = allocate(table, capacity, sizeof(*table->records), 0);
	table->buckets = allocate(table, buckets, sizeof(*table->buckets), 0);
	table->freed = allocate(table, freed, sizeof(*table->freed), 0);
	if (table->records == NULL || table->buckets == NULL || table->freed == NULL ||
	    pool_init(&table->pool, pool_size(capacity), &table->key) == -1) {
		connection_table_free(table);
		errno = ENOMEM;
		return NULL;
	}
	return table;
}

void
connection_table_free(struct connection_table *table)
{
	if (table == NULL)
		return;
	pool_fini(&table->pool);
	free(table->freed);
	free(table->buckets);
	free(table->records);
	free(table);
}

void
connection_table_set_port_taken(
    struct connection_table *table, connection_port_taken *taken, void *arg)
{
	table->port_taken = taken;
	table->port_taken_arg = arg;
}

void
connection_table_set_change(struct connection_table *table, connection_change *change, void *arg)
{
	table->change = change;
	table->change_arg = arg;
}

static struct connection *
take_record(struct connection_table *table)
{
	struct connection *c;

	if (table->free != NIL) {
		c = &table->records[table->free];
		table->free = c->queue_next;
	} else {
		c = &table->records[table->fresh++];
	}
	table->live++;
	return c;
}

static void
give_back_record(struct connection_table *table, struct connection *c)
{
	c->flags = 0;
	c->queue_next = table->free;
	table->free = connection_index(table, c);
	table->live--;
}

static void
put_addresses(struct connection_table *table, const struct connection *c)
{
	pool_put(&table->pool, c->service_ip);
	pool_put(&table->pool, c->server_ip);
	pool_put(&table->pool, c->self_ip);
}

/* The three addresses of a record, or none of them. */
static bool
get_addresses(
    struct connection_table *table, const struct connection_new *what, struct connection *c)
{
	static const struct ip zero;
	const struct ip *server = connection_has_server(c) ? &what->server.ip : &zero;
	const struct ip *self = c->kind == CONNECTION_PASSED || what->keep ? &zero
	    : c->relay_port != 0                                           ? &what->service.ip
	    : connection_has_server(c)                                     ? &what->self.ip
									   : &zero;

	c->service_ip = pool_get(&table->pool, &what->service.ip);
	c->server_ip = pool_get(&table->pool, server);
	c->self_ip = pool_get(&table->pool, self);
	if (c->service_ip != POOL_NONE && c->server_ip != POOL_NONE && c->self_ip != POOL_NONE)
		return true;
	if (c->service_ip != POOL_NONE)
		pool_put(&table->pool, c->service_ip);
	if (c->server_ip != POOL_NONE)
		pool_put(&table->pool, c->server_ip);
	if (c->self_ip != POOL_NONE)
		pool_put(&table->pool, c->self_ip);
	return false;
}

/* Fills in a record; the queue and the index are not told yet. */
static bool
fill_record(struct connection_table *table, const struct connection_new *what, uint16_t port,
    uint64_t now, struct connection *c)
{
	*c = (struct connection){
	    .client = what->client.ip,
	    .client_port = what->client.port,
	    .service_port = what->service.port,
	    .protocol = what->protocol,
	    .kind = what->kind,
	    .keep = what->keep,
	    .state = CONNECTION_OPENING,
	    .one_packet = what->one_packet,
	    .unkeyed = what->unkeyed,
	    .flags = FLAG_LIVE,
	    .service = what->service_number,
	    .site = what->site,
	    .next = what->kind == CONNECTION_PASSED ? what->next : CONNECTION_NO_SITE,
	    .server = what->server_number,
	    .touched = table->tick,
	    .opened = table->tick,
	};
	c->self_port = port;
	if (what->relayed)
		c->relay_port = what->kind == CONNECTION_PASSED ? what->relay_port : port;
	if (connection_has_server(c))
		c->server_port = what->server.port;
	if (c->protocol == IPPROTO_TCP || c->protocol == IPPROTO_UDP)
		c->flags |= FLAG_OPENING;
	if (connection_has_server(c) && !connection_is_one_sided(c))
		c->server_seq = connection_micros(table, now) & ~(uint32_t)WAITS_BITS;
	c->expires = table->tick + connection_timeout(table, c);
	return get_addresses(table, what, c);
}

static void
enter_record(struct connection_table *table, const struct connection *filled, uint64_t hash,
    struct connection **out)
{
	struct connection *c = take_record(table);
	struct connection_tuple tuple;

	*c = *filled;
	if (!c->unkeyed)
		connection_index_insert(table, c, CONNECTION_FROM_CLIENT, hash);
	if (!connection_is_one_sided(c)) {
		tuple = connection_index_tuple(table, c, CONNECTION_FROM_SERVER);
		connection_index_insert(
		    table, c, CONNECTION_FROM_SERVER, connection_index_hash(table, &tuple));
	}
	connection_queue_link(table, c);
	table->by_kind[c->kind]++;
	table->by_state[c->state]++;
	*out = c;
}

static void
evict(struct connection_table *table, struct connection *c)
{
	table->evicted++;
	connection_end(table, c);
}

/* The record that goes when this one comes: NULL if there is room. */
static struct connection *
find_victim(struct connection_table *table, const struct connection_new *what)
{
	struct connection *c = NULL;

	if (what->protocol == IPPROTO_TCP)
		c = connection_queue_excess(table);
	if (c == NULL && table->live == table->capacity)
		c = connection_queue_victim(table);
	return c;
}

/*
 * The port towards the server, 0 if there is none: for what comes back to us, ours to choose.  A
 * relay port waits for whoever is going to answer, so that it is looked for as if its server
 * were the address zero: no two connections have the same one.
 */
static uint16_t
choose_port(struct connection_table *table, const struct connection_new *what,
    struct random *random, struct connection **holder)
{
	struct connection_new relay;

	if (!what->relayed)
		return connection_port_choose(table, what, random, holder);
	if (what->kind != CONNECTION_TRANSFERRED)
		return what->relay_port;
	relay = *what;
	relay.server = (struct addr){0};
	relay.self = (struct addr){what->service.ip, what->relay_port};
	return connection_port_choose(table, &relay, random, holder);
}

enum drop
connection_open(struct connection_table *table, const struct connection_new *what,
    struct random *random, uint64_t now, struct connection **out, bool *existed)
{
	bool received = what->kind == CONNECTION_RECEIVED || what->kind == CONNECTION_PASSED;
	struct connection_tuple tuple = {
	    .source = what->client.ip,
	    .destination = what->service.ip,
	    .source_port = what->client.port,
	    .destination_port = what->service.port,
	    .protocol = what->protocol,
	    .origin = received ? (uint16_t)(what->site + 1) : 0,
	};
	struct connection filled = {.kind = what->kind};
	bool has_port = what->kind != CONNECTION_PASSED &&
	    (what->relayed || connection_has_server(&filled));
	uint64_t hash = connection_index_hash(table, &tuple);
	enum connection_side side;
	struct connection *victim, *holder = NULL;
	uint16_t port = 0;

	connection_clock(table, now);
	*out = what->unkeyed ? NULL : connection_index_find(table, &tuple, hash, &side);
	*existed = *out != NULL;
	if (*existed)
		return DROP_none;
	victim = find_victim(table, what);
	if (victim == NULL && table->live == table->capacity)
		return DROP_table_full;
	if (has_port) {
		port = choose_port(table, what, random, &holder);
		if (port == 0)
			return DROP_out_of_ports;
	}
	if (!fill_record(table, what, port, now, &filled))
		return DROP_table_full;
	if (holder != NULL) {
		evict(table, holder);
		victim = find_victim(table, what);
	}
	if (victim != NULL)
		evict(table, victim);
	enter_record(table, &filled, hash, out);
	return DROP_none;
}

void
connection_end(struct connection_table *table, struct connection *c)
{
	struct connection_tuple tuple;
	uint64_t hash;

	if (table->change != NULL)
		table->change(table->change_arg, c, connection_is_active(c), false, true);
	if (!c->unkeyed) {
		tuple = connection_index_tuple(table, c, CONNECTION_FROM_CLIENT);
		hash = connection_index_hash(table, &tuple);
		connection_index_remove(table, c, CONNECTION_FROM_CLIENT, hash);
	}
	if (!connection_is_one_sided(c)) {
		tuple = connection_index_tuple(table, c, CONNECTION_FROM_SERVER);
		hash = connection_index_hash(table, &tuple);
		connection_index_remove(table, c, CONNECTION_FROM_SERVER, hash);
		connection_port_freed(table, hash);
	}
	connection_queue_unlink(table, c);
	table->by_kind[c->kind]--;
	table->by_state[c->state]--;
	put_addresses(table, c);
	give_back_record(table, c);
}

bool
connection_pin(struct connection_table *table, struct connection *c, const struct addr *server)
{
	uint32_t ip = pool_get(&table->pool, &server->ip);

	if (ip == POOL_NONE)
		return false;
	pool_put(&table->pool, c->server_ip);
	c->server_ip = ip;
	c->server_port = server->port;
	return true;
}

void
connection_close(struct connection_table *table, struct connection *c, uint64_t now)
{
	connection_clock(table, now);
	if (c->state != CONNECTION_TIME_WAIT)
		connection_set_state(table, c, CONNECTION_TIME_WAIT);
}
