#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connections.h"

#define PORTS 64512 /* 1024 to 65535 */

static struct random random_source;

static int
setup(void **state)
{
	(void)state;
	random_init(&random_source, 42);
	return 0;
}

static void
assert_found(struct connection_table *table, const struct connection_key *key,
    const struct connection *c, enum connection_side expected)
{
	enum connection_side side = (enum connection_side)77;

	assert_ptr_equal(connection_find(table, key, &side), c);
	assert_int_equal(side, expected);
}

static void
assert_not_found(struct connection_table *table, const struct connection_key *key)
{
	enum connection_side side;

	assert_null(connection_find(table, key, &side));
}

static void
test_capacity(void **state)
{
	static const uint32_t wrong[] = {0, 1, 15, 8388609, UINT32_MAX};
	struct connection_settings settings;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		settings = settings_of(wrong[i]);
		errno = 0;
		assert_null(connection_table_new(&settings, START));
		assert_int_equal(errno, EINVAL);
	}
	connection_table_free(table_of(16));
	connection_table_free(table_of(17));
	connection_table_free(NULL);
}

static void
test_memory_budget(void **state)
{
	static const uint32_t capacities[] = {10000, 65536, 70000, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct connection_table *table = table_of(capacities[i]);

		assert_true(connection_table_bytes_each(table) <= 128);
		assert_true(connection_table_bytes_each(table) > 96);
		connection_table_free(table);
	}
}

/* Changing anything in a key must find nothing. */
static void
assert_key_is_exact(struct connection_table *table, const struct connection_key *key)
{
	struct connection_key k;
	size_t i;

	for (i = 0; i < 16; i++) {
		k = *key;
		k.source.ip.octet[i] ^= 1;
		assert_not_found(table, &k);
		k = *key;
		k.destination.ip.octet[i] ^= 0x80;
		assert_not_found(table, &k);
	}
	k = *key;
	k.source.port ^= 0x100;
	assert_not_found(table, &k);
	k = *key;
	k.destination.port ^= 1;
	assert_not_found(table, &k);
	k = *key;
	k.protocol ^= 0x10;
	assert_not_found(table, &k);
	k = *key;
	k.origin ^= 1;
	assert_not_found(table, &k);
	k = (struct connection_key){key->destination, key->source, key->protocol, key->origin};
	assert_not_found(table, &k);
}

static void
check_found_from_both_sides(const struct connection_new *what)
{
	struct connection_table *table = table_of(16);
	struct connection *c = open_new(table, what, &random_source, START);
	struct connection_key from_client = client_key(what);
	struct connection_key from_server = server_key(table, c);
	struct addr client = connection_client(table, c), service = connection_service(table, c);

	assert_true(addr_equal(&client, &what->client));
	assert_true(addr_equal(&service, &what->service));
	assert_int_equal(c->kind, what->kind);
	assert_int_equal(c->service, what->service_number);
	assert_int_equal(c->site, what->site);
	assert_int_equal(c->server, what->server_number);
	assert_int_equal(c->state, CONNECTION_OPENING);
	assert_int_equal(c->packets, 0);
	assert_found(table, &from_client, c, CONNECTION_FROM_CLIENT);
	assert_key_is_exact(table, &from_client);
	if (what->kind == CONNECTION_LOCAL || what->kind == CONNECTION_RECEIVED) {
		assert_true(addr_equal(&from_server.source, &what->server));
		assert_true(ip_equal(&from_server.destination.ip, &what->self.ip));
		assert_true(from_server.destination.port >= 1024);
		assert_found(table, &from_server, c, CONNECTION_FROM_SERVER);
		assert_key_is_exact(table, &from_server);
	} else {
		/* its servers answer elsewhere: there is no such address, and no such entry */
		assert_true(ip_is_zero(&from_server.source.ip));
		assert_int_equal(from_server.destination.port, 0);
		assert_not_found(table, &from_server);
	}
	connection_end(table, c);
	assert_not_found(table, &from_client);
	assert_not_found(table, &from_server);
	connection_table_free(table);
}

static void
test_find(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	struct connection_new what;

	(void)state;
	for (int kind = 0; kind < CONNECTION_KINDS; kind++) {
		for (size_t i = 0; i < sizeof(protocols); i++) {
			what = connection_of((enum connection_kind)kind, protocols[i], 9);
			check_found_from_both_sides(&what);
			what.client = address("[2001:db8:1::9]:4711");
			what.service = address("[2001:db8:2::1]:443");
			what.server = address("[2001:db8:3::1]:8443");
			what.self = address("[2001:db8:2::20]:1");
			what.self.port = 0;
			check_found_from_both_sides(&what);
		}
	}
}

/* The largest site number must not look like "no transferor". */
static void
test_transferors_are_told_apart(void **state)
{
	static const uint16_t sites[] = {0, 1, 7, UINT16_MAX - 2, UINT16_MAX - 1};
	struct connection_table *table = table_of(64);
	struct connection *c[6];
	struct connection_new what = connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 1);
	struct connection_new local = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 1);
	struct connection_key key = client_key(&what);
	bool existed;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		what.site = sites[i];
		c[i] = open_new(table, &what, &random_source, START);
	}
	c[5] = open_new(table, &local, &random_source, START);
	for (size_t i = 0; i < 5; i++) {
		key.origin = (uint16_t)(sites[i] + 1);
		assert_found(table, &key, c[i], CONNECTION_FROM_CLIENT);
	}
	key.origin = 0;
	assert_found(table, &key, c[5], CONNECTION_FROM_CLIENT);
	what.site = 1;
	assert_int_equal(connection_open(table, &what, &random_source, START, &c[0], &existed),
	    DROP_none);
	assert_true(existed);
	assert_ptr_equal(c[0], c[1]);
	connection_table_free(table);
}

static void
test_insert_notices(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 1);
	struct connection *c = open_new(table, &what, &random_source, START), *again = NULL;
	struct connection_counts counts;
	bool existed = false;

	(void)state;
	establish(table, c, START);
	/* whatever else would be new about it */
	what.server = address("192.0.2.12:8080");
	what.server_number = 6;
	assert_int_equal(connection_open(table, &what, &random_source, START, &again, &existed),
	    DROP_none);
	assert_true(existed);
	assert_ptr_equal(again, c);
	assert_int_equal(c->server, 5);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 1);
	connection_table_free(table);
}

static bool
odd_ports_taken(void *arg, const struct addr *self, uint8_t protocol)
{
	const struct connection_new *what = arg;

	assert_true(ip_equal(&self->ip, &what->self.ip));
	assert_int_equal(protocol, what->protocol);
	return self->port % 2 == 1;
}

static void
test_port_taken(void **state)
{
	struct connection_table *table = table_of(2000);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 0);
	struct connection *c;

	(void)state;
	connection_table_set_port_taken(table, odd_ports_taken, &what);
	for (uint32_t i = 0; i < 2000; i++) {
		what.client = ten(1, (uint16_t)(i + 1));
		c = open_new(table, &what, &random_source, START);
		assert_int_equal(c->self_port % 2, 0);
		assert_true(c->self_port >= 1024);
	}
	connection_table_free(table);
}

static bool
all_ports_taken(void *arg, const struct addr *self, uint8_t protocol)
{
	(void)arg;
	(void)self;
	(void)protocol;
	return true;
}

/* A refusal must leave nothing behind, and refuse nobody else. */
static void
test_no_port(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection_key key = client_key(&what);
	struct connection *c;
	bool existed;

	(void)state;
	connection_table_set_port_taken(table, all_ports_taken, NULL);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	assert_not_found(table, &key);
	assert_int_equal(count_live(table), 0);
	assert_int_equal(connection_next_expiry(table), UINT64_MAX);
	/* those without a self port */
	what.kind = CONNECTION_TRANSFERRED;
	connection_end(table, open_new(table, &what, &random_source, START));
	/* those that bring one: the other site has chosen it */
	what.kind = CONNECTION_RECEIVED;
	what.self.port = 80;
	c = open_new(table, &what, &random_source, START);
	assert_int_equal(c->self_port, 80);
	connection_table_free(table);
}

static void
test_given_port(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 0);
	struct connection *c;
	bool existed;

	(void)state;
	what.self = address("203.0.113.10:33000");
	c = open_new(table, &what, &random_source, START);
	assert_int_equal(c->self_port, 33000);
	what.client = ten(9, 9);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	/* the same port towards another server, and of another protocol */
	what.server.port++;
	c = open_new(table, &what, &random_source, START);
	assert_int_equal(c->self_port, 33000);
	what.server.port--;
	what.protocol = IPPROTO_UDP;
	c = open_new(table, &what, &random_source, START);
	assert_int_equal(c->self_port, 33000);
	connection_table_free(table);
}

/* Any port may be given or chosen, but for one: the self address may be the service's, and
 * the client one of its servers. */
static bool
only_service_port_free(void *arg, const struct addr *self, uint8_t protocol)
{
	(void)arg;
	(void)protocol;
	return self->port != 8080;
}

static void
test_hairpin(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection_key key;
	struct connection *c;
	bool existed;

	(void)state;
	what.service = address("203.0.113.10:8080");
	what.self = what.service;
	what.client = what.server;
	/* its own client side would be found instead of the server's */
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	what.self.port = 0;
	connection_table_set_port_taken(table, only_service_port_free, NULL);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	connection_table_set_port_taken(table, NULL, NULL);
	c = open_new(table, &what, &random_source, START);
	key = client_key(&what);
	assert_found(table, &key, c, CONNECTION_FROM_CLIENT);
	key = server_key(table, c);
	assert_found(table, &key, c, CONNECTION_FROM_SERVER);
	connection_table_free(table);
}

/* The client side of one connection is the server side of another: never both. */
static void
test_sides_do_not_collide(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection_new other;
	struct connection *c, *d;
	bool existed;

	(void)state;
	what.service = address("203.0.113.10:8080");
	what.client = address("192.0.2.11:8080");
	c = open_new(table, &what, &random_source, START);
	/* from that client's address and port, as a server, to the same address and port */
	other = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 1);
	other.server = what.client;
	other.self = what.service;
	assert_int_equal(connection_open(table, &other, &random_source, START, &d, &existed),
	    DROP_out_of_ports);
	/* and the other way round */
	other.self = address("198.51.100.99:9000");
	d = open_new(table, &other, &random_source, START);
	what.client = other.server;
	what.service = other.self;
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_none);
	assert_true(existed);
	assert_ptr_equal(c, d);
	connection_table_free(table);
}

/* One self address carries its whole range towards each server. */
static void
test_out_of_ports(void **state)
{
	struct connection_table *table = table_of(200000);
	struct connection_new what;
	static bool used[2][65536];
	struct connection *c;
	uint32_t i, opened = 0, server;
	bool existed;

	(void)state;
	memset(used, 0, sizeof(used));
	for (i = 0; i < PORTS + 100; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		if (connection_open(table, &what, &random_source, START, &c, &existed) ==
		    DROP_out_of_ports) {
			/* not before only a few are left */
			assert_true(opened > PORTS * 0.98);
			continue;
		}
		assert_false(existed);
		opened++;
		assert_true(c->self_port >= 1024);
		assert_false(used[0][c->self_port]);
		used[0][c->self_port] = true;
	}
	assert_in_range(opened, PORTS * 99 / 100, PORTS);
	/* the next server, and the next self address, have all of theirs */
	for (server = 0; server < 2; server++) {
		memset(used[1], 0, sizeof(used[1]));
		for (i = 0; i < 30000; i++) {
			what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP,
			    200000 + server * 100000 + i);
			if (server == 0)
				what.server.port++;
			else
				what.self.ip.octet[15]++;
			c = open_new(table, &what, &random_source, START);
			assert_false(used[1][c->self_port]);
			used[1][c->self_port] = true;
		}
	}
	connection_table_free(table);
}

/* RFC 6056: an attacker must not be able to tell the next port from those before. */
static void
test_ports_are_random(void **state)
{
	struct connection_table *table = table_of(8192);
	uint32_t buckets[64] = {0};
	uint32_t i, near = 0;
	uint16_t last = 0;
	double chi = 0;

	(void)state;
	for (i = 0; i < 8192; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		struct connection *c = open_new(table, &what, &random_source, START);

		buckets[(c->self_port - 1024) / (PORTS / 64)]++;
		near += abs((int)c->self_port - (int)last) < 64;
		last = c->self_port;
	}
	for (i = 0; i < 64; i++)
		chi += (buckets[i] - 128.0) * (buckets[i] - 128.0) / 128.0;
	assert_true(chi < 120); /* 63 degrees of freedom: beyond this 2 in 100,000 */
	assert_true(near < 60); /* expected: 16 */
	connection_table_free(table);
}

/* A port that was just freed may still mean something to the server. */
static void
test_freed_ports_are_used_last(void **state)
{
	struct connection_table *table = table_of(1000000);
	static uint32_t freed[65536];
	uint32_t i, repeated = 0;
	uint64_t now = START;

	(void)state;
	memset(freed, 0, sizeof(freed));
	/* 110 s with 200 short connections a second */
	for (i = 1; i <= 22000; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		struct connection *c = open_new(table, &what, &random_source, now);

		repeated += freed[c->self_port] != 0;
		freed[c->self_port] = i;
		connection_end(table, c);
		now += 5 * CLOCK_MILLISECOND;
	}
	/* without a memory it would be 3,350; it may forget some */
	assert_true(repeated < 500);
	/* after two minutes they are as good as the others */
	now += 121 * CLOCK_SECOND;
	for (repeated = 0, i = 1; i <= 4000; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		struct connection *c = open_new(table, &what, &random_source, now);

		repeated += freed[c->self_port] != 0;
	}
	assert_in_range(repeated, 900, 1400); /* 28 % of the ports are known */
	connection_table_free(table);
}

static bool
few_ports_left(void *arg, const struct addr *self, uint8_t protocol)
{
	(void)arg;
	(void)protocol;
	return self->port % 16 != 0;
}

static void
test_freed_ports_are_used_nonetheless(void **state)
{
	struct connection_table *table = table_of(10000);
	struct connection *c[200];
	uint32_t i, round;

	(void)state;
	connection_table_set_port_taken(table, few_ports_left, NULL);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 200; i++) {
			struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);

			c[i] = open_new(table, &what, &random_source, START);
			assert_int_equal(c[i]->self_port % 16, 0);
		}
		for (i = 0; i < 200; i++)
			connection_end(table, c[i]);
	}
	connection_table_free(table);
}

/* Half-open TCP of a flood: the quarter, oldest first. */
static void
test_half_open_quarter(void **state)
{
	struct connection_table *table = table_of(400);
	struct told told = {0};
	struct connection_counts counts;
	struct connection_key key;
	uint32_t i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 1000; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		struct connection *c = open_new(table, &what, &random_source, START);

		track(table, c, CONNECTION_FROM_CLIENT, SYN, i, 0, START);
		if (i >= 100) {
			struct connection_new oldest =
			    connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i - 100);

			assert_true(addr_equal(&oldest.client,
			    &(struct addr){told.last.client, told.last.client_port}));
			key = client_key(&oldest);
			assert_not_found(table, &key);
		}
	}
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 100);
	assert_int_equal(counts.by_state[CONNECTION_OPENING], 100);
	assert_int_equal(told.ended, 900);
	assert_int_equal(told.ended_active, 900);
	assert_int_equal(told.inactive, 0);
	assert_int_equal(told.wrong, 0);
	connection_table_free(table);
}

/* What was established before the flood, and what answers during it, stays. */
static void
test_flood_harms_nobody_else(void **state)
{
	struct connection_table *table = table_of(1000);
	struct connection *alive[500], *udp[100], *c;
	struct connection_new what;
	struct told told = {0};
	uint32_t i;
	bool existed;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 500; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		alive[i] = open_new(table, &what, &random_source, START);
		establish(table, alive[i], START);
	}
	for (i = 0; i < 100; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		udp[i] = open_new(table, &what, &random_source, START);
		track(table, udp[i], CONNECTION_FROM_CLIENT, 0, 0, 0, START);
	}
	for (i = 1000; i < 20000; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		c = open_new(table, &what, &random_source, START);
		track(table, c, CONNECTION_FROM_CLIENT, SYN, i, 0, START);
		/* one honest client in 200 */
		if (i % 200 == 0)
			establish(table, c, START);
	}
	assert_int_equal(told.inactive, 0);
	for (i = 0; i < 500; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		assert_int_equal(
		    connection_open(table, &what, &random_source, START, &c, &existed), DROP_none);
		assert_true(existed);
		assert_ptr_equal(c, alive[i]);
		assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	}
	for (i = 0; i < 100; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		assert_int_equal(
		    connection_open(table, &what, &random_source, START, &c, &existed), DROP_none);
		assert_true(existed);
		assert_ptr_equal(c, udp[i]);
	}
	connection_table_free(table);
}

static void
test_full_of_live_ones(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what;
	struct told told = {0};
	struct connection *c;
	uint32_t i;
	bool existed;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 16; i++) {
		what = connection_of((enum connection_kind)(i % 4), IPPROTO_TCP, i);
		establish(table, open_new(table, &what, &random_source, START), START);
	}
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 16);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_table_full);
	assert_null(c);
	assert_false(existed);
	assert_int_equal(told.ended, 0);
	assert_int_equal(count_live(table), 16);
	/* what exists is found in a full table too */
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 4);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_none);
	assert_true(existed);
	connection_end(table, c);
	assert_int_equal(told.ended, 1);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 16);
	open_new(table, &what, &random_source, START);
	connection_table_free(table);
}

/* Of two floods the larger one pays. */
static void
test_full_of_unanswered_ones(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what;
	struct connection *udp[14], *c;
	struct told told = {0};
	uint32_t i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 2; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		open_new(table, &what, &random_source, START);
	}
	for (i = 0; i < 14; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		udp[i] = open_new(table, &what, &random_source, START + i * CLOCK_SECOND);
	}
	/* the oldest by its last packet is the second now */
	track(table, udp[0], CONNECTION_FROM_CLIENT, 0, 0, 0, START + 14 * CLOCK_SECOND);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 99);
	c = open_new(table, &what, &random_source, START + 14 * CLOCK_SECOND);
	assert_int_equal(told.ended, 1);
	assert_int_equal(told.last.protocol, IPPROTO_UDP);
	assert_int_equal(told.last.client_port, 10001);
	/* with one that was answered, likewise: the third */
	track(table, udp[2], CONNECTION_FROM_SERVER, 0, 0, 0, START + 14 * CLOCK_SECOND);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 99);
	open_new(table, &what, &random_source, START + 14 * CLOCK_SECOND);
	assert_int_equal(told.last.client_port, 10003);
	/* ICMP queries and answered ones are not looked at, nor the TCP ones that are fewer */
	assert_int_equal(told.ended_active, 2);
	assert_int_equal(c->state, CONNECTION_OPENING);
	assert_int_equal(count_live(table), 16);
	connection_table_free(table);
}

/* A refused connection must not have cost another one its record. */
static void
test_refusal_evicts_nobody(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what;
	struct connection *c;
	struct told told = {0};
	uint32_t i;
	bool existed;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 16; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		open_new(table, &what, &random_source, START);
	}
	connection_table_set_port_taken(table, all_ports_taken, NULL);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 99);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	assert_int_equal(told.ended, 0);
	assert_int_equal(count_live(table), 16);
	connection_table_free(table);
}

/* Each connection with a server of its own: the pool is used up before the table. */
static void
test_too_many_addresses(void **state)
{
	struct connection_table *table = table_of(2000);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection *c = NULL, *first = NULL;
	uint32_t i, opened = 0;
	enum drop drop;
	bool existed;

	(void)state;
	for (i = 0; i < 2000; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		what.server = ten(0x500000 + i, 80);
		drop = connection_open(table, &what, &random_source, START, &c, &existed);
		if (drop != DROP_none)
			break;
		establish(table, c, START);
		if (first == NULL)
			first = c;
		opened++;
	}
	assert_int_equal(drop, DROP_table_full);
	assert_int_equal(opened, 498); /* a quarter of the capacity, with service and self */
	assert_int_equal(count_live(table), opened);
	/* again and again: a refusal keeps no address */
	for (i = 0; i < 1000; i++)
		assert_int_equal(
		    connection_open(table, &what, &random_source, START, &c, &existed),
		    DROP_table_full);
	/* known servers are as good as before */
	for (i = 0; i < 1000; i++) {
		struct connection_new known = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 5000 + i);

		known.server = ten(0x500000 + i % 400, 80);
		open_new(table, &known, &random_source, START);
	}
	connection_end(table, first);
	/* that server has other connections by now: its address stays */
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_table_full);
	connection_table_free(table);
}

/* One address short: the two that fit must not be kept. */
static void
test_refusal_keeps_no_address(void **state)
{
	struct connection_table *table = table_of(2000);
	struct connection_new what;
	struct connection *c;
	bool existed;
	uint32_t i;

	(void)state;
	for (i = 0; i < 496; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		what.server = ten(0x500000 + i, 80);
		open_new(table, &what, &random_source, START);
	}
	/* 498 of 500 are in use: each refusal comes from another one of the three */
	for (i = 0; i < 3; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 1000);
		what.service = ten(0x700000, 80);
		what.server = ten(0x700001, 80);
		what.self = ten(0x700002, 0);
		assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
		    DROP_table_full);
	}
	what.self = address("198.51.100.20:1");
	what.self.port = 0;
	c = open_new(table, &what, &random_source, START);
	connection_end(table, c);
	what.service = address("203.0.113.10:80");
	what.self = ten(0x700003, 0);
	open_new(table, &what, &random_source, START);
	assert_int_equal(count_live(table), 497);
	connection_table_free(table);
}

static void
test_addresses_return(void **state)
{
	struct connection_table *table = table_of(2000);
	uint32_t i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);

		what.server = ten(i, 80);
		what.self = ten(0x800000 + i, 0);
		what.service = ten(0xc00000 + i, 80);
		connection_end(table, open_new(table, &what, &random_source, START));
	}
	connection_table_free(table);
}

static void
test_datagrams(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 0);
	struct connection *c = open_new(table, &what, &random_source, START);
	struct told told = {0};
	int i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 5; i++) {
		track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, START);
		assert_int_equal(c->state, CONNECTION_OPENING);
	}
	track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, START);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	assert_true(connection_is_active(c));
	assert_int_equal(c->packets, 6);
	assert_int_equal(c->bytes, 240);
	/* where no reply is seen, the second packet of the client tells */
	for (i = 0; i < 2; i++) {
		what = connection_of(i == 0 ? CONNECTION_TRANSFERRED : CONNECTION_PASSED,
		    IPPROTO_UDP, 1);
		c = open_new(table, &what, &random_source, START);
		track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, START);
		assert_int_equal(c->state, CONNECTION_OPENING);
		track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, START);
		assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	}
	what = connection_of(CONNECTION_RECEIVED, IPPROTO_ICMP, 1);
	c = open_new(table, &what, &random_source, START);
	track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, START);
	assert_int_equal(c->state, CONNECTION_OPENING);
	track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, START);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	assert_int_equal(told.inactive + told.ended, 0);
	connection_table_free(table);
}

static void
test_counters(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 0);
	struct connection *c = open_new(table, &what, &random_source, START);
	struct connection_event event = {.side = CONNECTION_FROM_SERVER, .len = 65535};
	uint64_t bytes = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		connection_track(table, c, &event, START);
		bytes += 65535;
	}
	assert_true(bytes > UINT32_MAX);
	assert_true(c->bytes == bytes);
	assert_int_equal(c->packets, 100000);
	/* it stays at the end of its range */
	c->packets = UINT32_MAX - 1;
	for (int i = 0; i < 3; i++)
		connection_track(table, c, &event, START);
	assert_true(c->packets == UINT32_MAX);
	connection_table_free(table);
}

static void
test_change_is_told_once(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection *c = open_new(table, &what, &random_source, START);
	struct told told = {0};

	(void)state;
	connection_table_set_change(table, told_change, &told);
	establish(table, c, START);
	assert_int_equal(told.inactive + told.ended, 0);
	track(table, c, CONNECTION_FROM_CLIENT, FIN | ACK, 1001, 5001, START);
	assert_int_equal(told.inactive, 1);
	assert_int_equal(told.last.server, 5);
	track(table, c, CONNECTION_FROM_SERVER, FIN | ACK, 5001, 1002, START);
	track(table, c, CONNECTION_FROM_CLIENT, ACK, 1002, 5002, START);
	assert_int_equal(c->state, CONNECTION_TIME_WAIT);
	track(table, c, CONNECTION_FROM_CLIENT, RST, 1002, 0, START);
	assert_int_equal(told.inactive, 1);
	connection_end(table, c);
	assert_int_equal(told.ended, 1);
	assert_int_equal(told.ended_active, 0);
	/* one that ends in the middle */
	c = open_new(table, &what, &random_source, START);
	establish(table, c, START);
	connection_end(table, c);
	assert_int_equal(told.inactive, 1);
	assert_int_equal(told.ended, 2);
	assert_int_equal(told.ended_active, 1);
	assert_int_equal(told.wrong, 0);
	connection_table_free(table);
}

static void
test_walk_and_counts(void **state)
{
	struct connection_table *table = table_of(400);
	struct connection_counts counts;
	struct connection *c;
	uint32_t i, cursor = 0, seen = 0;
	uint8_t visits[200] = {0};

	(void)state;
	assert_null(connection_walk(table, &cursor));
	for (i = 0; i < 200; i++) {
		struct connection_new what =
		    connection_of((enum connection_kind)(i % 4), IPPROTO_UDP, i);

		c = open_new(table, &what, &random_source, START);
		if (i % 4 == 0)
			track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, START);
	}
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 200);
	assert_int_equal(counts.capacity, 400);
	for (i = 0; i < CONNECTION_KINDS; i++)
		assert_int_equal(counts.by_kind[i], 50);
	assert_int_equal(counts.by_state[CONNECTION_ESTABLISHED], 50);
	assert_int_equal(counts.by_state[CONNECTION_OPENING], 150);
	/* ending what the walk is at, and others, does not disturb it */
	cursor = 0;
	while ((c = connection_walk(table, &cursor)) != NULL) {
		i = c->client_port - 10000u;
		assert_int_equal(visits[i]++, 0);
		seen++;
		if (i % 3 == 0)
			connection_end(table, c);
	}
	assert_int_equal(seen, 200);
	assert_int_equal(count_live(table), 133);
	assert_null(connection_walk(table, &cursor));
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 133);
	connection_table_free(table);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(connection_kind_name(CONNECTION_LOCAL), "local");
	assert_string_equal(connection_kind_name(CONNECTION_TRANSFERRED), "transferred");
	assert_string_equal(connection_kind_name(CONNECTION_RECEIVED), "received");
	assert_string_equal(connection_kind_name(CONNECTION_PASSED), "passed");
	assert_string_equal(connection_kind_name(CONNECTION_KINDS), "unknown");
	assert_string_equal(connection_state_name(CONNECTION_OPENING), "opening");
	assert_string_equal(connection_state_name(CONNECTION_ESTABLISHED), "established");
	assert_string_equal(connection_state_name(CONNECTION_CLOSING), "closing");
	assert_string_equal(connection_state_name(CONNECTION_TIME_WAIT), "time_wait");
	assert_string_equal(connection_state_name(CONNECTION_STATES), "unknown");
}

/* Two tables with different keys chain differently: the order of ports and finds must not
 * depend on it, and a key of zeros is a key. */
static void
test_any_key(void **state)
{
	struct connection_settings settings = settings_of(1000);
	struct connection_table *table;
	uint32_t i, k;

	(void)state;
	for (k = 0; k < 8; k++) {
		settings.hash_key = (struct siphash_key){{k * UINT64_C(0x9e3779b97f4a7c15), k}};
		table = connection_table_new(&settings, START);
		assert_non_null(table);
		for (i = 0; i < 1000; i++) {
			struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);

			open_new(table, &what, &random_source, START);
		}
		for (i = 0; i < 2000; i++) {
			struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
			struct connection_key key = client_key(&what);
			enum connection_side side;
			struct connection *c = connection_find(table, &key, &side);

			assert_true((c != NULL) == (i < 1000));
			if (c == NULL)
				continue;
			assert_int_equal(c->client_port, what.client.port);
			key = server_key(table, c);
			assert_found(table, &key, c, CONNECTION_FROM_SERVER);
		}
		connection_table_free(table);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_capacity, setup),
	    cmocka_unit_test_setup(test_memory_budget, setup),
	    cmocka_unit_test_setup(test_find, setup),
	    cmocka_unit_test_setup(test_transferors_are_told_apart, setup),
	    cmocka_unit_test_setup(test_insert_notices, setup),
	    cmocka_unit_test_setup(test_port_taken, setup),
	    cmocka_unit_test_setup(test_no_port, setup),
	    cmocka_unit_test_setup(test_given_port, setup),
	    cmocka_unit_test_setup(test_hairpin, setup),
	    cmocka_unit_test_setup(test_sides_do_not_collide, setup),
	    cmocka_unit_test_setup(test_out_of_ports, setup),
	    cmocka_unit_test_setup(test_ports_are_random, setup),
	    cmocka_unit_test_setup(test_freed_ports_are_used_last, setup),
	    cmocka_unit_test_setup(test_freed_ports_are_used_nonetheless, setup),
	    cmocka_unit_test_setup(test_half_open_quarter, setup),
	    cmocka_unit_test_setup(test_flood_harms_nobody_else, setup),
	    cmocka_unit_test_setup(test_full_of_live_ones, setup),
	    cmocka_unit_test_setup(test_full_of_unanswered_ones, setup),
	    cmocka_unit_test_setup(test_refusal_evicts_nobody, setup),
	    cmocka_unit_test_setup(test_too_many_addresses, setup),
	    cmocka_unit_test_setup(test_refusal_keeps_no_address, setup),
	    cmocka_unit_test_setup(test_addresses_return, setup),
	    cmocka_unit_test_setup(test_datagrams, setup),
	    cmocka_unit_test_setup(test_counters, setup),
	    cmocka_unit_test_setup(test_change_is_told_once, setup),
	    cmocka_unit_test_setup(test_walk_and_counts, setup),
	    cmocka_unit_test_setup(test_names, setup),
	    cmocka_unit_test_setup(test_any_key, setup),
	};

	return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
