/*
 * table_slots: servers that come and go, as where an autoscaler adds and removes them for years:
 * the table stays as small as they are many at a time, and nobody is taken for another.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fixture.h"
#include "load/table.h"

#define WEB(mode, servers) \
	"site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\"; ports = [ 80 " \
	"];" \
	"  client_address = \"" mode "\"; servers: ( " servers " ); }," \
	"  { name = \"mail\"; address = \"203.0.113.1\"; ports = [ 25 ]; servers: (" \
	"    { name = \"m\"; address = \"10.0.1.1\"; } ); } );"

#define A "{ name = \"a\"; address = \"10.0.0.1\"; }"
#define B "{ name = \"b\"; address = \"10.0.0.2\"; }"
#define C "{ name = \"c\"; address = \"10.0.0.3\"; }"
#define E "{ name = \"e\"; address = \"10.0.0.5\"; }"
#define D "{ name = \"d\"; address = \"10.0.0.4\"; }"

#define MINUTE (60 * CLOCK_SECOND)

static struct load_table *table;
static uint64_t now;

static void
apply(const char *text)
{
	struct config *config = fixture_config(text);

	load_table_apply(table, config, now);
	config_free(config);
}

static int
setup(void **state)
{
	(void)state;
	now = 1000 * CLOCK_SECOND;
	table = load_table_new();
	apply(WEB("hide", A "," B));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	load_table_free(table);
	return 0;
}

static uint32_t
find(const char *name)
{
	return load_table_find_server(table, load_table_find_service(table, "web"), name);
}

static void
test_another_gets_it(void **state)
{
	uint32_t b = find("b"), c;
	const struct server *slot = load_table_server(table, b);

	(void)state;
	load_table_server_set_weight(table, b, 7);
	load_table_server_set_admin(table, b, SERVER_DRAINING, now);
	load_table_server_opened(table, b);
	load_table_server_closed(table, b);
	load_table_server_forgotten(table, b);
	apply(WEB("hide", A));
	now += 10 * MINUTE;
	apply(WEB("hide", A "," C));
	c = find("c");
	assert_int_equal(c, b);
	assert_ptr_equal(load_table_server(table, c), slot);
	assert_int_equal(load_table_servers(table), 3);
	assert_int_equal(find("b"), LOAD_NONE);
	/* nothing is left of who was there */
	assert_string_equal(slot->name, "c");
	assert_int_equal(slot->admin, SERVER_ENABLED);
	assert_false(slot->weight_set);
	assert_int_equal(slot->total, 0);
	assert_int_equal(slot->state, SERVER_DOWN);
	/* b comes back: as somebody new */
	apply(WEB("hide", A "," B "," C));
	assert_int_equal(load_table_servers(table), 4);
	assert_int_equal(find("c"), c);
	assert_int_not_equal(find("b"), c);
}

static void
test_not_at_once(void **state)
{
	(void)state;
	apply(WEB("hide", A));
	now += 10 * MINUTE - 1;
	apply(WEB("hide", A "," C));
	assert_int_equal(load_table_servers(table), 4);
	/* and back: the same that it was */
	apply(WEB("hide", A "," B "," C));
	assert_int_equal(load_table_servers(table), 4);
	assert_int_equal(find("b"), 1);
}

static void
test_not_while_it_has_connections(void **state)
{
	uint32_t b = find("b");

	(void)state;
	load_table_server_opened(table, b);
	apply(WEB("hide", A));
	now += 600 * MINUTE;
	apply(WEB("hide", A "," C));
	assert_int_not_equal(find("c"), b);
	assert_string_equal(load_table_server(table, b)->name, "b");
	/* half closed, which may last for hours */
	load_table_server_closed(table, b);
	apply(WEB("hide", A "," D));
	assert_int_not_equal(find("d"), b);
	load_table_server_forgotten(table, b);
	now += 10 * MINUTE;
	apply(WEB("hide", A "," C "," D "," E));
	assert_int_equal(find("e"), b);
}

/* Its own server comes back in the same configuration, before or behind a new one. */
static void
test_who_returns_first(void **state)
{
	(void)state;
	apply(WEB("hide", A));
	now += 10 * MINUTE;
	apply(WEB("hide", A "," B "," C));
	assert_int_equal(find("b"), 1);
	assert_int_equal(find("c"), 3);
	apply(WEB("hide", A));
	now += 10 * MINUTE;
	apply(WEB("hide", A "," D "," C "," B));
	assert_int_equal(load_table_servers(table), 5);
	assert_string_equal(load_table_server(table, find("d"))->name, "d");
	assert_string_equal(load_table_server(table, find("c"))->name, "c");
	assert_string_equal(load_table_server(table, find("b"))->name, "b");
}

/* Entries of persistence go by the number within a service. */
static void
test_within_its_service(void **state)
{
	(void)state;
	apply("site = \"x\"; services: ( { name = \"mail\"; address = \"203.0.113.1\";"
	      " ports = [ 25 ]; servers: ( { name = \"m\"; address = \"10.0.1.1\"; } ); } );");
	now += 10 * MINUTE;
	apply("site = \"x\"; services: ( { name = \"mail\"; address = \"203.0.113.1\";"
	      " ports = [ 25 ]; servers: ( { name = \"m\"; address = \"10.0.1.1\"; }," C
	      " ); } );");
	assert_int_equal(load_table_servers(table), 4);
}

/* Rules of the kernel may lead packets of such a server to us for as long as it runs. */
static void
test_not_of_servers_that_saw_clients(void **state)
{
	struct ip b;

	(void)state;
	apply(WEB("keep", A "," B));
	apply(WEB("keep", A));
	now += 10 * MINUTE;
	apply(WEB("keep", A "," C));
	assert_int_equal(load_table_servers(table), 4);
	assert_int_equal(ip_parse("10.0.0.2", &b), 0);
	assert_true(load_table_keeps(table, &b));
}

/* Years of an autoscaler. */
static void
test_comes_and_goes_for_ever(void **state)
{
	char text[1024], server[128], name[16];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		now += MINUTE;
		snprintf(name, sizeof(name), "s%u", i);
		snprintf(server, sizeof(server),
		    A ", { name = \"%s\"; address = \"10.%u.%u.9\"; }", name, i / 256 + 1,
		    i % 256);
		snprintf(text, sizeof(text), WEB("hide", "%s"), server);
		apply(text);
		load_table_server_set_state(table, find(name), SERVER_UP, NULL, now);
	}
	/* those of the last ten minutes, and who was there from the beginning */
	assert_in_range(load_table_servers(table), 12, 15);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_another_gets_it),
	    T(test_not_at_once),
	    T(test_not_while_it_has_connections),
	    T(test_who_returns_first),
	    T(test_within_its_service),
	    T(test_not_of_servers_that_saw_clients),
	    T(test_comes_and_goes_for_ever),
	};

	return cmocka_run_group_tests_name("table_slots", tests, NULL, NULL);
}
