#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "connections.h"

static struct random random_source;

static int
setup(void **state)
{
	(void)state;
	random_init(&random_source, 42);
	return 0;
}

static bool
all_ports_taken(void *arg, const struct addr *self, uint8_t protocol)
{
	(void)arg;
	(void)self;
	(void)protocol;
	return true;
}

/* Half-open TCP of a flood: the quarter, oldest first; but each has a second. */
static void
test_half_open_quarter(void **state)
{
	struct connection_table *table = table_of(400);
	struct told told = {0};
	struct connection_counts counts;
	struct connection_key key;
	uint64_t now = START;
	uint32_t i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 1000; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		struct connection *c = open_new(table, &what, &random_source, now);

		now += CLOCK_SECOND / 80;
		track(table, c, CONNECTION_FROM_CLIENT, SYN, i, 0, now);
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
	/* ten times as fast: a burst of good ones looks like that, and there is room for it */
	for (i = 1000; i < 1300; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);

		open_new(table, &what, &random_source, now);
		now += CLOCK_SECOND / 800;
	}
	connection_table_counts(table, &counts);
	assert_in_range(counts.live, 350, 370);
	/* a second later one goes for each that comes */
	now += 2 * CLOCK_SECOND;
	i = told.ended;
	connection_end(table,
	    open_new(table,
		&(struct connection_new){
		    .kind = CONNECTION_TRANSFERRED,
		    .protocol = IPPROTO_TCP,
		    .client = ten(77, 77),
		    .service = address("203.0.113.10:80"),
		},
		&random_source, now));
	assert_int_equal(told.ended, i + 2);
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
		    connection_open(table, &what, &random_source, START, &c, &existed),
		    DROP_none);
		assert_true(existed);
		assert_ptr_equal(c, alive[i]);
		assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	}
	for (i = 0; i < 100; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		assert_int_equal(
		    connection_open(table, &what, &random_source, START, &c, &existed),
		    DROP_none);
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
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c, &existed), DROP_none);
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

/* What is over goes before anything that opens, and nothing that is not over goes. */
static void
test_time_wait_goes_first(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what;
	struct connection *over[4], *syn, *closing, *c;
	struct told told = {0};
	uint64_t now = START;
	uint32_t i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 100);
	syn = open_new(table, &what, &random_source, now);
	track(table, syn, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 101);
	closing = open_new(table, &what, &random_source, now);
	establish(table, closing, now);
	track(table, closing, CONNECTION_FROM_CLIENT, FIN | ACK, 1001, 5001, now);
	for (i = 0; i < 4; i++) {
		now += CLOCK_SECOND;
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		over[i] = open_and_close(table, &what, &random_source, now);
	}
	for (i = 10; i < 20; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
		open_new(table, &what, &random_source, now);
	}
	assert_int_equal(count_live(table), 16);
	assert_int_equal(connection_table_evicted(table), 0);
	/* the first of them says something: it is the last from now on */
	now += CLOCK_SECOND;
	track(table, over[0], CONNECTION_FROM_SERVER, FIN | ACK, 5001, 1002, now);
	for (i = 1; i <= 4; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 50 + i);
		open_new(table, &what, &random_source, now);
		assert_int_equal(told.ended, i);
		assert_int_equal(told.last.state, CONNECTION_TIME_WAIT);
		assert_int_equal(told.last.client_port, 10000 + i % 4);
		assert_int_equal(connection_table_evicted(table), i);
	}
	/* none is left: the oldest of the 14 UDP ones; the SYN and the closing one stay */
	assert_int_equal(told.ended_active, 0);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 60);
	c = open_new(table, &what, &random_source, now);
	assert_int_equal(told.ended_active, 1);
	assert_int_equal(told.last.client_port, 10010);
	assert_int_equal(c->state, CONNECTION_OPENING);
	assert_int_equal(syn->client_port, 10100);
	assert_int_equal(syn->state, CONNECTION_OPENING);
	assert_int_equal(closing->state, CONNECTION_CLOSING);
	assert_int_equal(told.wrong, 0);
	connection_table_free(table);
}

/* Short connections one after the other: the table never refuses one, and those that are held
 * stay. */
static void
test_short_connections(void **state)
{
	struct connection_table *table = table_of(1024);
	struct connection *held[1000];
	struct connection_new what;
	struct connection_counts counts;
	struct told told = {0};
	uint32_t i;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	for (i = 0; i < 1000; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		held[i] = open_new(table, &what, &random_source, START);
		establish(table, held[i], START);
	}
	for (i = 1000; i < 50000; i++) {
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		open_and_close(table, &what, &random_source, START);
	}
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 1024);
	assert_int_equal(counts.by_state[CONNECTION_ESTABLISHED], 1000);
	assert_int_equal(counts.by_state[CONNECTION_TIME_WAIT], 24);
	assert_int_equal(connection_table_evicted(table), 49000 - 24);
	assert_int_equal(told.ended, 49000 - 24);
	assert_int_equal(told.ended_active, 0);
	for (i = 0; i < 1000; i++) {
		struct connection_key key;

		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		key = client_key(&what);
		assert_found(table, &key, held[i], CONNECTION_FROM_CLIENT);
	}
	connection_table_free(table);
}

/* A flood of SYNs takes the records of what is over, then its own. */
static void
test_flood_among_short_connections(void **state)
{
	struct connection_table *table = table_of(1000);
	struct connection_counts counts;
	struct connection_new what;
	uint64_t now = START;
	uint32_t i;

	(void)state;
	/* 200 a second */
	for (i = 0; i < 20000; i++) {
		struct connection *c;

		now += 5 * CLOCK_MILLISECOND;
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		c = open_new(table, &what, &random_source, now);
		track(table, c, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
		if (i % 6 == 0) {
			establish(table, c, now);
			close_both(table, c, now);
		}
	}
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 1000);
	assert_in_range(counts.by_state[CONNECTION_OPENING], 250, 251);
	assert_in_range(counts.by_state[CONNECTION_TIME_WAIT], 749, 750);
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
		what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, i);
		open_and_close(table, &what, &random_source, START);
	}
	told = (struct told){0};
	connection_table_set_port_taken(table, all_ports_taken, NULL);
	what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 99);
	assert_int_equal(connection_open(table, &what, &random_source, START, &c, &existed),
	    DROP_out_of_ports);
	assert_int_equal(told.ended, 0);
	assert_int_equal(connection_table_evicted(table), 0);
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
		struct connection_new known =
		    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 5000 + i);

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
		assert_int_equal(
		    connection_open(table, &what, &random_source, START, &c, &existed),
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_half_open_quarter, setup),
	    cmocka_unit_test_setup(test_flood_harms_nobody_else, setup),
	    cmocka_unit_test_setup(test_full_of_live_ones, setup),
	    cmocka_unit_test_setup(test_full_of_unanswered_ones, setup),
	    cmocka_unit_test_setup(test_time_wait_goes_first, setup),
	    cmocka_unit_test_setup(test_short_connections, setup),
	    cmocka_unit_test_setup(test_flood_among_short_connections, setup),
	    cmocka_unit_test_setup(test_refusal_evicts_nobody, setup),
	    cmocka_unit_test_setup(test_too_many_addresses, setup),
	    cmocka_unit_test_setup(test_refusal_keeps_no_address, setup),
	    cmocka_unit_test_setup(test_addresses_return, setup),
	};

	return cmocka_run_group_tests_name("connection_full", tests, NULL, NULL);
}
