#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "load/report.h"

static struct load_table *
two_services(void)
{
	return fixture_table(
	    "site = \"x\"; services: ("
	    "{ name = \"web\"; address = \"203.0.113.1\"; protocol = \"tcp\"; ports = [ 80 ];"
	    "  high_load = 0.5; servers: ("
	    "  { name = \"a\"; address = \"10.0.0.1\"; max_connections = 10; },"
	    "  { name = \"b\"; address = \"10.0.0.2\"; max_connections = 10; } ); },"
	    "{ name = \"dns\"; address = \"203.0.113.2\"; protocol = \"udp\"; ports = [ 53 ];"
	    "  transfer = \"prohibit\"; servers: ("
	    "  { name = \"c\"; address = \"10.0.0.3\"; max_connections = 10; } ); } "
	    ");" FIXTURE_PEER_KEYS "peers: ( { site = \"y\"; load = \"192.0.2.2:7210\"; "
	    "transfer = \"192.0.2.2:7210\"; } );");
}

static struct hello_service
their_service(const char *name, uint16_t number, uint8_t protocol)
{
	struct hello_service s = {.number = number, .protocol = protocol, .ports_count = 1};

	strcpy(s.name, name);
	assert_int_equal(ip_parse("198.51.100.7", &s.v4), 0);
	s.ports = calloc(1, sizeof(s.ports[0]));
	s.ports[0] = 80;
	return s;
}

/* HELLO of site y: its services in an order that is not ours. */
static void
enter_hello(struct load_table *table)
{
	struct hello hello = {.services_count = 3};

	hello.services = calloc(3, sizeof(hello.services[0]));
	hello.services[0] = their_service("other", 40, IPPROTO_TCP);
	hello.services[1] = their_service("dns", 7, IPPROTO_UDP);
	hello.services[2] = their_service("web", 65535, IPPROTO_TCP);
	report_enter_hello(table, 0, &hello);
	hello_fini(&hello);
}

static void
nothing_up(void **state)
{
	struct load_table *table = two_services();
	struct load_report report = {0};

	(void)state;
	enter_hello(table);
	report_load(table, 0, &report);
	assert_int_equal(report.services_count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(report.services[i].number, i);
		assert_int_equal(report.services[i].servers_up, 0);
		assert_int_equal(report.services[i].transferable, 0);
		assert_false(report.services[i].permitted);
		assert_int_equal(report.services[i].load, 1000);
	}
	load_report_fini(&report);
	load_table_free(table);
}

static void
what_is_said(void **state)
{
	struct load_table *table = two_services();
	struct load_report report = {0};

	(void)state;
	fixture_all_up(table);
	enter_hello(table);
	for (int i = 0; i < 7; i++)
		load_table_server_opened(table, 0);
	load_table_received_opened(table, 0, 0);
	load_table_received_opened(table, 0, 0);
	load_table_received_opened(table, 0, 1);
	report_load(table, 0, &report);
	assert_int_equal(report.services[0].servers_up, 2);
	assert_int_equal(report.services[0].servers_not_high, 1);
	assert_int_equal(report.services[0].transferable, 13);
	assert_true(report.services[0].permitted);
	assert_int_equal(report.services[0].load, 350);
	assert_int_equal(report.services[0].active, 7);
	assert_int_equal(report.services[0].held_from_you, 2);
	assert_false(report.services[1].permitted); /* although it is up */
	assert_int_equal(report.services[1].servers_up, 1);
	assert_int_equal(report.services[1].load, 0);
	assert_int_equal(report.services[1].held_from_you, 1);
	load_report_fini(&report);
	load_table_free(table);
}

/* More connections than the servers take: nothing wraps around. */
static void
overfull(void **state)
{
	struct load_table *table = two_services();
	struct load_report report = {0};

	(void)state;
	fixture_all_up(table);
	for (int i = 0; i < 30; i++)
		load_table_server_opened(table, 0);
	report_load(table, 0, &report);
	assert_int_equal(report.services[0].transferable, 0);
	assert_int_equal(report.services[0].load, 1000);
	assert_int_equal(report.services[0].held_from_you, 0);
	load_report_fini(&report);
	load_table_free(table);
}

static void
hello_is_entered(void **state)
{
	struct load_table *table = two_services();
	const struct site *site = load_table_site(table, 0);

	(void)state;
	enter_hello(table);
	assert_int_equal(site->services_count, 3);
	assert_int_equal(site->services[0].local, LOAD_NONE);
	assert_int_equal(site->services[1].local, 1);
	assert_int_equal(site->services[2].local, 0);
	assert_int_equal(site->services[2].number, 65535);
	assert_string_equal(site->services[2].name, "web");
	assert_int_equal(site->services[2].ports[0], 80);
	assert_false(site->services[2].reported);
	/* again, and none */
	enter_hello(table);
	assert_int_equal(site->services_count, 3);
	report_enter_hello(table, 0, &(struct hello){0});
	assert_int_equal(site->services_count, 0);
	load_table_free(table);
}

static void
load_is_entered(void **state)
{
	struct load_table *table = two_services();
	struct load_report_service services[] = {{.number = 65535, .load = 1, .active = 11},
	    {.number = 7, .load = 2, .permitted = true, .held_from_you = 9},
	    {.number = 1, .load = 3}, {.number = 40, .load = 4}};
	struct load_report report = {.sequence = 5, .services = services, .services_count = 3};
	const struct site *site = load_table_site(table, 0);

	(void)state;
	report_enter_load(table, 0, &report, 77); /* before HELLO: of no service */
	enter_hello(table);
	report_enter_load(table, 0, &report, 1000);
	assert_false(site->services[0].reported);
	assert_true(site->services[1].reported);
	assert_int_equal(site->services[1].load, 2);
	assert_int_equal(site->services[1].held_from_us, 9);
	assert_true(site->services[1].permitted);
	assert_int_equal(site->services[2].active, 11);
	assert_int_equal(site->services[2].sequence, 5);
	assert_int_equal(site->services[2].received_at, 1000);
	report.services_count = 4;
	report_enter_load(table, 0, &report, 2000);
	assert_int_equal(site->services[0].load, 4);
	assert_int_equal(site->services[2].received_at, 2000);
	load_table_free(table);
}

/* Services beyond what a HELLO holds are left out, and said to be. */
static void
too_many_services(void **state)
{
	enum { MANY = HELLO_SERVICES_MAX + 6 };
	char *text = malloc(MANY * 200), *at = text;
	struct load_table *table;
	struct hello hello = {0};
	struct load_report report = {0};
	struct codec_buffer b = {0};

	(void)state;
	at += sprintf(at, "site = \"x\"; services: (");
	for (int i = 0; i < MANY; i++)
		at += sprintf(at,
		    "%s{ name = \"s%d\"; address = \"203.0.%d.%d\"; protocol = \"tcp\"; "
		    "ports = [ 80 ]; servers: ( { name = \"a\"; address = \"10.0.0.1\"; } ); }",
		    i == 0 ? "" : ",", i, 100 + i / 250, 1 + i % 250);
	sprintf(at, ");");
	table = fixture_table(text);
	free(text);
	assert_int_equal(report_hello(table, &hello), 6);
	assert_int_equal(hello.services_count, HELLO_SERVICES_MAX);
	assert_string_equal(hello.services[HELLO_SERVICES_MAX - 1].name, "s1023");
	hello_fini(&hello);
	report_load(table, 0, &report);
	assert_int_equal(report.services_count, HELLO_SERVICES_MAX);
	assert_int_equal(codec_encode_load(&b, &report), 0);
	codec_buffer_fini(&b);
	load_report_fini(&report);
	load_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_up),
	    cmocka_unit_test(what_is_said),
	    cmocka_unit_test(overfull),
	    cmocka_unit_test(hello_is_entered),
	    cmocka_unit_test(load_is_entered),
	    cmocka_unit_test(too_many_services),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
