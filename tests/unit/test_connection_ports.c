#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connections.h"

#define PORTS 64512 /* 1024 to 65535 */
#define TICK  (CLOCK_SECOND / 8)

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
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed), DROP_none);
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
			what = connection_of(
			    CONNECTION_LOCAL, IPPROTO_UDP, 200000 + server * 100000 + i);
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

/* What is over lends its port, the longest quiet one that is met, when there is no other. */
static void
test_ports_of_the_past(void **state)
{
	struct connection_table *table = table_of(200000);
	struct connection_new what;
	struct told told = {0};
	struct connection *c;
	uint64_t now = START;
	uint32_t i, opened = 0, taken = 0, early = 0;
	bool existed;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	/* twice the ports, 2000 a second */
	for (i = 0; i < 2 * PORTS; i++) {
		now += CLOCK_SECOND / 2000;
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		told.ended = 0;
		assert_int_equal(
		    connection_open(table, &what, &random_source, now, &c, &existed), DROP_none);
		opened++;
		if (told.ended > 0) {
			taken++;
			early += i < PORTS / 2;
			assert_int_equal(told.ended, 1);
			assert_int_equal(told.last.state, CONNECTION_TIME_WAIT);
			assert_int_equal(told.last.self_port, c->self_port);
			assert_true(connection_idle_ms(table, &told.last, now) >= 1000);
		}
		establish(table, c, now);
		track(table, c, CONNECTION_FROM_SERVER, RST, 5001, 0, now);
		assert_int_equal(c->state, CONNECTION_TIME_WAIT);
	}
	assert_int_equal(early, 0);
	assert_in_range(taken, PORTS, PORTS + PORTS / 10);
	assert_int_equal(connection_table_evicted(table), taken);
	assert_int_equal(count_live(table), opened - taken);
	connection_table_free(table);
}

/* SYNs of a flood hold all ports: they pay, not those who have been answered, and not one whose
 * handshake is under way. */
static void
test_ports_of_a_flood(void **state)
{
	struct connection_table *table = table_of(400000);
	struct connection *live[1000], *c;
	struct connection_new what;
	uint64_t now = START;
	uint32_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		live[i] = open_new(table, &what, &random_source, now);
		establish(table, live[i], now);
	}
	for (i = 1000; i < 3 * PORTS; i++) {
		now += CLOCK_SECOND / 5000;
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		c = open_new(table, &what, &random_source, now);
		track(table, c, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
		if (i % 1000 == 0) {
			/* answered after half a second of the flood */
			live[i / 1000] = c;
		} else if (i % 1000 == 500 && i > 1500) {
			uint32_t slow = (i - 500) / 1000;
			struct connection_key key;

			what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, slow * 1000);
			key = client_key(&what);
			assert_found(table, &key, live[slow], CONNECTION_FROM_CLIENT);
		}
	}
	assert_true(connection_table_evicted(table) > PORTS);
	for (i = 3 * PORTS / 1000 + 1; i < 1000; i++) {
		struct connection_key key;

		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		key = client_key(&what);
		assert_found(table, &key, live[i], CONNECTION_FROM_CLIENT);
		assert_int_equal(live[i]->state, CONNECTION_ESTABLISHED);
	}
	connection_table_free(table);
}

/* All ports but for a few in use by connections that live. */
static void
leave_few(struct connection_table *table, uint32_t few)
{
	uint32_t i, left = PORTS;
	struct connection *c;
	bool existed;

	for (i = 0; left > few; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);

		assert_true(i < PORTS + 1000);
		if (connection_open(table, &what, &random_source, START, &c, &existed) !=
		    DROP_none)
			continue;
		track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, START);
		track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, START);
		left--;
	}
}

/* Opens as many as that and ends them again; how many could be opened? */
static uint32_t
try_opening(struct connection_table *table, uint32_t count, uint64_t now, uint64_t step)
{
	uint32_t opened = 0;
	struct connection *c;
	bool existed;

	for (uint32_t i = 0; i < count; i++, now += step) {
		struct connection_new what =
		    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 500000 + i);

		if (connection_open(table, &what, &random_source, now, &c, &existed) != DROP_none)
			continue;
		opened++;
		connection_end(table, c);
	}
	return opened;
}

/* For a second after a search that found nothing the next ones are short; what they find
 * ends that, and so does the second. */
static void
test_exhausted_server(void **state)
{
	struct connection_table *table = table_of(100000);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 900000);
	uint64_t now = START + 10 * CLOCK_SECOND;

	(void)state;
	leave_few(table, 300);
	/* one of 215 is free: 320 tries meet one three times in four, 33 one time in seven */
	assert_in_range(try_opening(table, 400, now, 2 * CLOCK_SECOND), 260, 340);
	now += 1000 * CLOCK_SECOND;
	assert_in_range(try_opening(table, 4000, now, CLOCK_MILLISECOND / 8), 800, 1800);
	/* others do not suffer */
	what.server.port++;
	connection_end(table, open_new(table, &what, &random_source, now));
	assert_int_equal(count_live(table), PORTS - 300);
	connection_table_free(table);
}

static bool
only_port_2000(void *arg, const struct addr *self, uint8_t protocol)
{
	(void)arg;
	(void)protocol;
	return self->port != 2000;
}

/* Until the given connection may be opened, ns; it must then have ended the other one. */
static uint64_t
wait_for_port(struct connection_table *table, const struct connection_new *what,
    struct connection *over, uint64_t since)
{
	struct connection_key key = server_key(table, over);
	uint64_t now = since, evicted = connection_table_evicted(table);
	struct connection *c;
	bool existed;

	while (connection_open(table, what, &random_source, now, &c, &existed) ==
	    DROP_out_of_ports) {
		assert_found(table, &key, over, CONNECTION_FROM_SERVER);
		now += TICK;
		assert_true(now < since + 10 * CLOCK_SECOND);
	}
	assert_false(existed);
	assert_int_equal(c->client_port, what->client.port);
	assert_int_equal(c->state, CONNECTION_OPENING);
	assert_found(table, &key, c, CONNECTION_FROM_SERVER);
	assert_int_equal(connection_table_evicted(table), evicted + 1);
	return now - since;
}

/* Not before a second without a packet, and not that of one that lives. */
static void
test_port_of_the_past_is_quiet(void **state)
{
	struct connection_table *table = table_of(64);
	struct connection_new first = connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 0);
	struct connection_new second = connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 1);
	struct connection *c, *d;
	struct connection_key key;
	enum connection_side side;
	uint64_t now = START + 3 * TICK / 2;
	bool existed;

	(void)state;
	/* a given port has no other */
	first.self.port = second.self.port = 2000;
	c = open_new(table, &first, &random_source, now);
	for (int i = 0; i < 2; i++) {
		now += CLOCK_SECOND / 2;
		if (i == 0)
			establish(table, c, now);
		else
			track(table, c, CONNECTION_FROM_CLIENT, FIN | ACK, 1001, 5001, now);
		assert_int_equal(connection_open(table, &second, &random_source,
				     now + 5 * CLOCK_SECOND, &d, &existed),
		    DROP_out_of_ports);
	}
	now += 10 * CLOCK_SECOND;
	close_both(table, c, now);
	now += 5 * CLOCK_SECOND;
	track(table, c, CONNECTION_FROM_SERVER, ACK, 5002, 1002, now);
	assert_in_range(
	    wait_for_port(table, &second, c, now), CLOCK_SECOND, CLOCK_SECOND + SLACK);
	assert_int_equal(count_live(table), 1);
	/* and that of one that nobody has answered */
	now += 2 * CLOCK_SECOND;
	key = client_key(&second);
	c = connection_find(table, &key, &side);
	assert_non_null(c);
	track(table, c, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
	first.client.port = 7;
	assert_in_range(wait_for_port(table, &first, c, now), CLOCK_SECOND, CLOCK_SECOND + SLACK);
	assert_int_equal(count_live(table), 1);
	connection_table_free(table);
}

/* The same where the port is chosen; but not one on which there is a service now. */
static void
test_port_of_the_past_is_chosen(void **state)
{
	struct connection_table *table = table_of(64);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 0);
	struct connection *c;
	uint64_t now = START;
	uint32_t i;
	bool existed;

	(void)state;
	what.self.port = 2000;
	c = open_and_close(table, &what, &random_source, now);
	/* a table that is full besides: that one record makes room too */
	for (i = 10; i < 73; i++) {
		what = connection_of(CONNECTION_PASSED, IPPROTO_TCP, i);
		establish(table, open_new(table, &what, &random_source, now), now);
	}
	assert_int_equal(count_live(table), 64);
	connection_table_set_port_taken(table, only_port_2000, NULL);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 1);
	/* one port of 64512 is met by 320 tries one time in 200 */
	for (i = 0; i < 20000; i++) {
		if (connection_open(table, &what, &random_source, now + CLOCK_SECOND / 2, &c,
			&existed) == DROP_none)
			break;
	}
	assert_int_equal(i, 20000);
	for (i = 0; i < 20000; i++) {
		if (connection_open(table, &what, &random_source, now + 2 * CLOCK_SECOND, &c,
			&existed) == DROP_none)
			break;
	}
	assert_in_range(i, 0, 19999);
	assert_int_equal(c->self_port, 2000);
	assert_int_equal(count_live(table), 64);
	assert_int_equal(connection_table_evicted(table), 1);
	/* taken by a service since: nothing of the past is had there */
	track(table, c, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
	establish(table, c, now);
	close_both(table, c, now);
	connection_table_set_port_taken(table, all_ports_taken, NULL);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 2);
	for (i = 0; i < 2000; i++)
		assert_int_equal(connection_open(table, &what, &random_source,
				     now + 60 * CLOCK_SECOND, &c, &existed),
		    DROP_out_of_ports);
	connection_table_free(table);
}

/* Two records go for one: that of the port, and a half-open one of a full quarter. */
static void
test_port_of_the_past_and_the_quarter(void **state)
{
	struct connection_table *table = table_of(64);
	struct connection_new what = connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 0);
	struct told told = {0};
	uint32_t i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	what.self.port = 2000;
	open_and_close(table, &what, &random_source, START);
	for (i = 1; i <= 16; i++) {
		what = connection_of(CONNECTION_TRANSFERRED, IPPROTO_TCP, i);
		open_new(table, &what, &random_source, START);
	}
	assert_int_equal(told.ended, 0);
	what = connection_of(CONNECTION_RECEIVED, IPPROTO_TCP, 50);
	what.self.port = 2000;
	open_new(table, &what, &random_source, START + 2 * CLOCK_SECOND);
	assert_int_equal(told.ended, 2);
	assert_int_equal(told.ended_active, 1);
	assert_int_equal(told.last.client_port, 10001);
	assert_int_equal(connection_table_evicted(table), 2);
	assert_int_equal(count_live(table), 16);
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
	    cmocka_unit_test_setup(test_exhausted_server, setup),
	    cmocka_unit_test_setup(test_ports_of_the_past, setup),
	    cmocka_unit_test_setup(test_ports_of_a_flood, setup),
	    cmocka_unit_test_setup(test_port_of_the_past_is_quiet, setup),
	    cmocka_unit_test_setup(test_port_of_the_past_is_chosen, setup),
	    cmocka_unit_test_setup(test_port_of_the_past_and_the_quarter, setup),
	};

	return cmocka_run_group_tests_name("connection_ports", tests, NULL, NULL);
}
