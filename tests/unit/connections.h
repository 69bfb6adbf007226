/*
 * connections: tables, connections and packets for the tests of src/connection.
 */
#ifndef WLAD_TESTS_CONNECTIONS_H
#define WLAD_TESTS_CONNECTIONS_H

#include <netinet/in.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "connection/connection.h"

#define START (1000 * CLOCK_SECOND) /* the clock when a table is made */
#define SLACK (CLOCK_SECOND / 4)    /* two ticks: how late an expiry may be */

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

/* What the change callback was told. */
struct told {
	uint32_t inactive, over, ended, ended_active, wrong;
	struct connection last;
};

static inline void
told_change(
    void *arg, const struct connection *c, bool active_before, bool active_after, bool ended)
{
	struct told *told = arg;

	/* a record that ends still has its state, one that stops being active has the new one */
	told->wrong += active_after;
	told->wrong += connection_is_active(c) != (ended && active_before);
	told->wrong += !ended && !active_before && c->state != CONNECTION_TIME_WAIT;
	told->last = *c;
	told->over += !ended && c->state == CONNECTION_TIME_WAIT;
	if (ended)
		told->ended++;
	else
		told->inactive += active_before;
	if (ended && active_before)
		told->ended_active++;
}

static inline struct connection_settings
settings_of(uint32_t capacity)
{
	return (struct connection_settings){
	    .capacity = capacity,
	    .timeouts = {.tcp_opening = 60,
		.tcp_established = 7440,
		.tcp_closing = 240,
		.tcp_time_wait = 120,
		.udp = 300,
		.udp_opening = 30,
		.icmp = 60},
	    .hash_key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}},
	};
}

static inline struct connection_table *
table_of(uint32_t capacity)
{
	struct connection_settings settings = settings_of(capacity);
	struct connection_table *table = connection_table_new(&settings, START);

	assert_non_null(table);
	return table;
}

static inline struct addr
address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* 10.x.y.z:port */
static inline struct addr
ten(uint32_t host, uint16_t port)
{
	uint8_t octets[4] = {10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};

	return (struct addr){.ip = ip_from_v4(octets), .port = port};
}

/* A connection of client number i; its self port is to be chosen. */
static inline struct connection_new
connection_of(enum connection_kind kind, uint8_t protocol, uint32_t i)
{
	struct connection_new what = {
	    .kind = kind,
	    .protocol = protocol,
	    .client = ten(i / 50000, (uint16_t)(10000 + i % 50000)),
	    .service = address("203.0.113.10:80"),
	    .server = address("192.0.2.11:8080"),
	    .self = address("198.51.100.20:1"),
	    .service_number = 3,
	    .site = kind == CONNECTION_LOCAL ? CONNECTION_NO_SITE : 7,
	    .server_number = 5,
	};

	what.self.port = 0;
	return what;
}

static inline struct connection_key
client_key(const struct connection_new *what)
{
	bool received = what->kind == CONNECTION_RECEIVED || what->kind == CONNECTION_PASSED;

	return (struct connection_key){
	    .source = what->client,
	    .destination = what->service,
	    .protocol = what->protocol,
	    .origin = received ? (uint16_t)(what->site + 1) : 0,
	};
}

static inline struct connection_key
server_key(const struct connection_table *table, const struct connection *c)
{
	return (struct connection_key){
	    .source = connection_server(table, c),
	    .destination = connection_self(table, c),
	    .protocol = c->protocol,
	};
}

/* Opens a connection that must be new and fit. */
static inline struct connection *
open_new(struct connection_table *table, const struct connection_new *what,
    struct random *random, uint64_t now)
{
	struct connection *c = NULL;
	bool existed = true;

	assert_int_equal(connection_open(table, what, random, now, &c, &existed), DROP_none);
	assert_false(existed);
	assert_non_null(c);
	return c;
}

/* A packet without data; seq and ack are 0 for other protocols. */
static inline void
track(struct connection_table *table, struct connection *c, enum connection_side side,
    uint8_t flags, uint32_t seq, uint32_t ack, uint64_t now)
{
	struct connection_event event = {
	    .side = side,
	    .tcp_flags = flags,
	    .tcp_seq = seq,
	    .tcp_ack = ack,
	    .len = 40,
	};

	connection_track(table, c, &event, now);
}

/* The three packets of a handshake: 1000 and 5000 are the first sequence numbers. */
static inline void
establish(struct connection_table *table, struct connection *c, uint64_t now)
{
	track(table, c, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
	if (c->kind == CONNECTION_LOCAL || c->kind == CONNECTION_RECEIVED)
		track(table, c, CONNECTION_FROM_SERVER, SYN | ACK, 5000, 1001, now);
	track(table, c, CONNECTION_FROM_CLIENT, ACK, 1001, 5001, now);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
}

/* Both FINs and their acknowledgements after establish(). */
static inline void
close_both(struct connection_table *table, struct connection *c, uint64_t now)
{
	track(table, c, CONNECTION_FROM_CLIENT, FIN | ACK, 1001, 5001, now);
	track(table, c, CONNECTION_FROM_SERVER, FIN | ACK, 5001, 1002, now);
	track(table, c, CONNECTION_FROM_CLIENT, ACK, 1002, 5002, now);
	assert_int_equal(c->state, CONNECTION_TIME_WAIT);
}

/* A connection that is over at once; it has to find room. */
static inline struct connection *
open_and_close(struct connection_table *table, const struct connection_new *what,
    struct random *random, uint64_t now)
{
	struct connection *c = open_new(table, what, random, now);

	establish(table, c, now);
	close_both(table, c, now);
	return c;
}

static inline void
assert_found(struct connection_table *table, const struct connection_key *key,
    const struct connection *c, enum connection_side expected)
{
	enum connection_side side = (enum connection_side)77;

	assert_ptr_equal(connection_find(table, key, &side), c);
	/* in two steps, with others that are not there */
	uint64_t hashes[] = {connection_hash(table, key), 0, UINT64_MAX};
	connection_fetch(table, hashes, 3);
	assert_ptr_equal(connection_find_hashed(table, key, hashes[0], &side), c);
	assert_int_equal(side, expected);
}

static inline void
assert_not_found(struct connection_table *table, const struct connection_key *key)
{
	enum connection_side side;

	assert_null(connection_find(table, key, &side));
	assert_null(connection_find_hashed(table, key, connection_hash(table, key), &side));
}

static inline uint32_t
count_live(struct connection_table *table)
{
	uint32_t cursor = 0, n = 0;

	while (connection_walk(table, &cursor) != NULL)
		n++;
	return n;
}

#endif
