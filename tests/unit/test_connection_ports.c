#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

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
	struct connection_new what =
	    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 0);
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
	struct connection_new what =
	    connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection_key key = client_key(&what);
	struct connection *c;
	bool existed;

	(void)state;
	connection_table_set_port_taken(table, all_ports_taken, NULL);
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed),
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
	struct connection_new what =
	    connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 0);
	struct connection *c;
	bool existed;

	(void)state;
	what.self = address("203.0.113.10:33000");
	c = open_new(table, &what, &random_source, START);
	assert_int_equal(c->self_port, 33000);
	what.client = ten(9, 9);
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed),
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
	struct connection_new what =
	    connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection_key key;
	struct connection *c;
	bool existed;

	(void)state;
	what.service = address("203.0.113.10:8080");
	what.self = what.service;
	what.client = what.server;
	/* its own client side would be found instead of the server's */
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	what.self.port = 0;
	connection_table_set_port_taken(table, only_service_port_free, NULL);
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed),
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
	struct connection_new what =
	    connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
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
	assert_int_equal(
	    connection_open(table, &other, &random_source, START, &d, &existed),
	    DROP_out_of_ports);
	/* and the other way round */
	other.self = address("198.51.100.99:9000");
	d = open_new(table, &other, &random_source, START);
	what.client = other.server;
	what.service = other.self;
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed),
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
		if (connection_open(table, &what, &random_source, START, &c,
			&existed) == DROP_out_of_ports) {
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
		struct connection_new what =
		    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		struct connection *c =
		    open_new(table, &what, &random_source, START);

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
		struct connection_new what =
		    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		struct connection *c =
		    open_new(table, &what, &random_source, now);

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
		struct connection_new what =
		    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		struct connection *c =
		    open_new(table, &what, &random_source, now);

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
			struct connection_new what =
			    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);

			c[i] = open_new(table, &what, &random_source, START);
			assert_int_equal(c[i]->self_port % 16, 0);
		}
		for (i = 0; i < 200; i++)
			connection_end(table, c[i]);
	}
	connection_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_port_taken, setup),
	    cmocka_unit_test_setup(test_no_port, setup),
	    cmocka_unit_test_setup(test_given_port, setup),
	    cmocka_unit_test_setup(test_hairpin, setup),
	    cmocka_unit_test_setup(test_sides_do_not_collide, setup),
	    cmocka_unit_test_setup(test_out_of_ports, setup),
	    cmocka_unit_test_setup(test_ports_are_random, setup),
	    cmocka_unit_test_setup(test_freed_ports_are_used_last, setup),
	    cmocka_unit_test_setup(test_freed_ports_are_used_nonetheless, setup),
	};

	return cmocka_run_group_tests_name("connection_ports", tests, NULL, NULL);
}
