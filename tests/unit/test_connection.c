#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "connections.h"

static struct random random_source;

static int
setup(void **state)
{
	(void)state;
	random_init(&random_source, 42);
	return 0;
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
	static const uint32_t capacities[] = {65536, 70000, 250000, 1000000};
	struct connection_table *small = table_of(1024);

	(void)state;
	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct connection_table *table = table_of(capacities[i]);

		assert_true(connection_table_bytes_each(table) <= 128);
		assert_true(connection_table_bytes_each(table) > 96);
		connection_table_free(table);
	}
	/* the ports freed lately are remembered by the smallest one too */
	assert_true(connection_table_bytes_each(small) <= 128 + 256 + 16);
	connection_table_free(small);
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
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &c[0], &existed), DROP_none);
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
	assert_int_equal(
	    connection_open(table, &what, &random_source, START, &again, &existed), DROP_none);
	assert_true(existed);
	assert_ptr_equal(again, c);
	assert_int_equal(c->server, 5);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	connection_table_counts(table, &counts);
	assert_int_equal(counts.live, 1);
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
		what = connection_of(
		    i == 0 ? CONNECTION_TRANSFERRED : CONNECTION_PASSED, IPPROTO_UDP, 1);
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

/* A table that was full and is nearly empty: a part of it at a time. */
static void
test_walk_some(void **state)
{
	struct connection_table *table = table_of(10000);
	struct connection *last = NULL, *c;
	uint32_t cursor = 0, budget, steps = 0, found = 0;
	bool done;

	(void)state;
	budget = 5;
	assert_null(connection_walk_some(table, &cursor, &budget, &done));
	assert_true(done);
	assert_int_equal(budget, 5);
	for (uint32_t i = 0; i < 10000; i++) {
		struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);

		last = open_new(table, &what, &random_source, START);
	}
	cursor = 0;
	while ((c = connection_walk(table, &cursor)) != NULL) {
		if (c != last && c->client_port % 5000 != 0)
			connection_end(table, c);
	}
	/* ports 15000 and 10000, and the last one */
	cursor = 0;
	do {
		budget = 100;
		while ((c = connection_walk_some(table, &cursor, &budget, &done)) != NULL)
			found++;
		assert_true(done || budget == 0);
		steps++;
	} while (!done);
	assert_int_equal(found, 3);
	assert_in_range(steps, 100, 101);
	/* with nothing to spend it stays where it is */
	cursor = budget = 0;
	assert_null(connection_walk_some(table, &cursor, &budget, &done));
	assert_false(done);
	assert_int_equal(cursor, 0);
	budget = 1;
	assert_non_null(connection_walk_some(table, &cursor, &budget, &done));
	assert_int_equal(budget, 0);
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
			struct connection_new what =
			    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);

			open_new(table, &what, &random_source, START);
		}
		for (i = 0; i < 2000; i++) {
			struct connection_new what =
			    connection_of(CONNECTION_LOCAL, IPPROTO_UDP, i);
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
	    cmocka_unit_test_setup(test_datagrams, setup),
	    cmocka_unit_test_setup(test_counters, setup),
	    cmocka_unit_test_setup(test_change_is_told_once, setup),
	    cmocka_unit_test_setup(test_walk_and_counts, setup),
	    cmocka_unit_test_setup(test_walk_some, setup),
	    cmocka_unit_test_setup(test_names, setup),
	    cmocka_unit_test_setup(test_any_key, setup),
	};

	return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
