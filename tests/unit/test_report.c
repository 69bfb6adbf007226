#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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
	load_table_received_opened(table, 0, 0, CLOCK_SECOND);
	load_table_received_opened(table, 0, 0, CLOCK_SECOND);
	load_table_received_opened(table, 0, 1, CLOCK_SECOND);
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

/* ---- rates ---- */

/* What y is granted goes out in thousandths and comes in as y says it of its own. */
static void
rates_travel(void **state)
{
	const uint64_t second = 1000000000;
	struct load_table *table = two_services();
	struct load_report report = {0};
	struct load_report_service theirs = {.number = 65535,
	    .limited = true,
	    .quota = 2500,
	    .new_per_second = 1250,
	    .mean_life = 333};
	struct load_report from_y = {.sequence = 1, .services = &theirs, .services_count = 1};
	const struct site_service *web;

	(void)state;
	fixture_all_up(table);
	enter_hello(table);
	load_table_site_session(table, 0, SITE_SESSION, second);
	load_table_measure(table, second);
	report_load(table, 0, &report);
	web = &load_table_site(table, 0)->services[2];
	assert_true(report.services[0].limited);
	/* 20 connections, none of them in use: 1 - 2 / root of 20 is what it aims at, in 5 s */
	assert_int_equal(report.services[0].quota, 2211);
	assert_int_equal(report.services[0].quota, (uint32_t)(web->granted * 1000 + 0.5));
	assert_int_equal(report.services[0].mean_life, 10000);
	assert_int_equal(report.services[0].new_per_second, 0);
	/* of dns transfer is prohibited */
	assert_true(report.services[1].limited);
	assert_int_equal(report.services[1].quota, 0);
	load_report_fini(&report);

	report_enter_load(table, 0, &from_y, 2 * second);
	assert_true(web->limited);
	assert_true(web->quota == 2.5 && web->new_per_second == 1.25 && web->mean_life == 0.333);
	/* an older peer says nothing of it */
	theirs = (struct load_report_service){.number = 65535};
	report_enter_load(table, 0, &from_y, 3 * second);
	assert_false(web->limited);
	assert_true(web->mean_life == 0);
	load_table_free(table);
}

/* ---- rule 3, path, direct replies ---- */

static struct addr
addr_of(const char *ip, uint16_t port)
{
	struct addr addr = {.port = port};

	assert_int_equal(ip_parse(ip, &addr.ip), 0);
	return addr;
}

static bool
serves(struct load_table *table, const char *ip, uint16_t port, uint8_t protocol)
{
	struct addr addr = addr_of(ip, port);

	return load_table_site_has_server(table, 0, &addr, protocol);
}

static void
own_servers_are_told(void **state)
{
	struct load_table *table = fixture_table(
	    "site = \"x\"; services: ("
	    "{ name = \"web\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ]; protocol = "
	    "\"tcp\"; ports = [ 80 ];"
	    "  servers: ("
	    "  { name = \"a\"; address = [ \"10.0.0.1\", \"2001:db8::a\" ]; port = 8080; },"
	    "  { name = \"b\"; address = \"10.0.0.2\"; weight = 0; },"
	    "  { name = \"c\"; address = \"2001:db8::c\"; backup = true; } ); },"
	    "{ name = \"dns\"; address = \"203.0.113.2\"; protocol = \"udp\"; ports = [ 53 ];"
	    "  servers: ( { name = \"d\"; address = \"10.0.0.3\"; } ); } );");
	const struct addr expected[] = {addr_of("10.0.0.1", 8080), addr_of("2001:db8::a", 8080),
	    addr_of("10.0.0.2", 0), addr_of("2001:db8::c", 0)};
	struct hello hello = {0};

	(void)state;
	/* down as they all are: a connection may be older than that */
	assert_int_equal(report_hello(table, &hello), 0);
	assert_int_equal(hello.services[0].servers_count, 0);
	assert_int_equal(report_servers(table, &hello), 0);
	assert_int_equal(hello.services[0].servers_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_true(addr_equal(&hello.services[0].servers[i], &expected[i]));
	assert_int_equal(hello.services[1].servers_count, 1);
	hello_fini(&hello);
	load_table_free(table);
}

/* More addresses than a HELLO takes of one service. */
static void
too_many_servers(void **state)
{
	enum { MANY = HELLO_SERVERS_MAX / 2 + 5 };
	char *text = malloc(MANY * 120 + 1000), *at = text;
	struct load_table *table;
	struct hello hello = {0};

	(void)state;
	at += sprintf(at,
	    "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\";"
	    " protocol = \"tcp\"; ports = [ 80 ]; servers: (");
	for (int i = 0; i < MANY; i++)
		at += sprintf(at,
		    "%s{ name = \"s%d\"; address = [ \"10.0.%d.%d\", \"2001:db8::%x\" ]; }",
		    i == 0 ? "" : ",", i, i / 250, 1 + i % 250, i + 1);
	sprintf(at, "); } );");
	table = fixture_table(text);
	free(text);
	assert_int_equal(report_hello(table, &hello), 0);
	assert_int_equal(report_servers(table, &hello), 10);
	assert_int_equal(hello.services[0].servers_count, HELLO_SERVERS_MAX);
	hello_fini(&hello);
	load_table_free(table);
}

static void
their_servers_are_entered(void **state)
{
	struct load_table *table = two_services();
	struct hello_service services[2] = {
	    their_service("web", 1, IPPROTO_TCP), their_service("dns", 2, IPPROTO_UDP)};
	uint16_t ports[] = {80, 443};
	struct addr web[] = {
	    addr_of("10.9.0.1", 8080), addr_of("10.9.0.2", 0), addr_of("2001:db8::9", 0)};
	struct addr dns[] = {addr_of("10.9.0.2", 0)};
	struct hello hello = {
	    .services = services, .services_count = 2, .demand_port = 7211, .interval_ms = 250};
	const struct site *site = load_table_site(table, 0);

	(void)state;
	assert_false(serves(table, "10.9.0.1", 8080, IPPROTO_TCP));
	free(services[0].ports);
	services[0].ports = ports;
	services[0].ports_count = 2;
	services[0].servers = web;
	services[0].servers_count = 3;
	services[1].servers = dns;
	services[1].servers_count = 1;
	report_enter_hello(table, 0, &hello);
	assert_int_equal(site->demand_port, 7211);
	assert_true(site->interval > 0.249 && site->interval < 0.251);
	assert_true(serves(table, "10.9.0.1", 8080, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.1", 80, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.1", 8080, IPPROTO_UDP));
	assert_true(serves(table, "10.9.0.2", 80, IPPROTO_TCP));
	assert_true(serves(table, "10.9.0.2", 443, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.2", 444, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.2", 0, IPPROTO_TCP));
	assert_true(serves(table, "10.9.0.2", 80, IPPROTO_UDP));
	assert_false(serves(table, "10.9.0.2", 443, IPPROTO_UDP));
	assert_true(serves(table, "2001:db8::9", 443, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.3", 80, IPPROTO_TCP));
	{
		struct addr addr = addr_of("10.9.0.1", 8080);

		assert_false(load_table_site_has_server(table, 1, &addr, IPPROTO_TCP));
	}
	/* the next HELLO replaces them */
	hello.interval_ms = 4000000000u;
	hello.demand_port = 0;
	services[0].servers_count = 1;
	report_enter_hello(table, 0, &hello);
	assert_true(serves(table, "10.9.0.1", 8080, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.2", 80, IPPROTO_TCP));
	assert_true(serves(table, "10.9.0.2", 80, IPPROTO_UDP));
	assert_int_equal(site->demand_port, 0);
	assert_true(site->interval > 59 && site->interval < 61);
	free(services[1].ports);
	load_table_free(table);
}

/* A HELLO that would become millions of endpoints: then any port of such a server is taken. */
static void
endpoints_are_bounded(void **state)
{
	struct load_table *table = two_services();
	struct hello_service service = their_service("web", 1, IPPROTO_TCP);
	struct hello hello = {.services = &service, .services_count = 1};

	(void)state;
	free(service.ports);
	service.ports = calloc(HELLO_PORTS_MAX, sizeof(service.ports[0]));
	service.ports_count = HELLO_PORTS_MAX;
	for (int i = 0; i < HELLO_PORTS_MAX; i++)
		service.ports[i] = (uint16_t)(i + 1);
	service.servers = calloc(HELLO_SERVERS_MAX, sizeof(service.servers[0]));
	service.servers_count = 64;
	for (int i = 0; i < HELLO_SERVERS_MAX; i++) {
		service.servers[i] = addr_of("10.9.0.0", 0);
		service.servers[i].ip.octet[14] = (uint8_t)(i / 256);
		service.servers[i].ip.octet[15] = (uint8_t)i;
	}
	report_enter_hello(table, 0, &hello);
	assert_true(serves(table, "10.9.0.63", 1024, IPPROTO_TCP));
	assert_false(serves(table, "10.9.0.63", 1025, IPPROTO_TCP));
	service.servers_count = HELLO_SERVERS_MAX;
	report_enter_hello(table, 0, &hello);
	assert_true(serves(table, "10.9.15.255", 1, IPPROTO_TCP));
	assert_true(serves(table, "10.9.15.255", 1025, IPPROTO_TCP));
	assert_false(serves(table, "10.9.15.255", 1, IPPROTO_UDP));
	assert_false(serves(table, "10.9.16.0", 1, IPPROTO_TCP));
	free(service.ports);
	free(service.servers);
	load_table_free(table);
}

static void
path_is_told_and_entered(void **state)
{
	struct load_table *table = two_services();
	struct site *site = load_table_site(table, 0);
	struct load_report report = {0}, theirs = {.sequence = 1};

	(void)state;
	load_table_site_set_mtu(table, 0, 1432);
	load_table_site_set_direct_out(table, 0, SITE_DIRECT_OK);
	report_load(table, 0, &report);
	assert_int_equal(report.path_mtu, 1432);
	assert_int_equal(report.direct, SITE_DIRECT_OK);
	load_report_fini(&report);

	theirs.path_mtu = 1280;
	theirs.direct = SITE_DIRECT_BLOCKED;
	report_enter_load(table, 0, &theirs, 1000);
	assert_int_equal(site->peer_mtu, 1280);
	assert_int_equal(site->direct, SITE_DIRECT_BLOCKED);
	/* no path between sites is that narrow */
	theirs.path_mtu = 1279;
	theirs.direct = SITE_DIRECT_OK;
	report_enter_load(table, 0, &theirs, 2000);
	assert_int_equal(site->peer_mtu, 0);
	assert_int_equal(site->direct, SITE_DIRECT_OK);
	load_table_free(table);
}

/* What clients have shown is not contradicted by a probe for a minute. */
static void
clients_are_believed_more(void **state)
{
	const uint64_t second = UINT64_C(1000000000), start = 100 * second;
	struct load_table *table = two_services();
	struct site *site = load_table_site(table, 0);
	struct load_report ok = {.sequence = 1, .direct = SITE_DIRECT_OK};

	(void)state;
	report_enter_load(table, 0, &ok, start);
	assert_int_equal(site->direct, SITE_DIRECT_OK);
	load_table_site_direct_blocked(table, 0, start);
	report_enter_load(table, 0, &ok, start + 59 * second);
	assert_int_equal(site->direct, SITE_DIRECT_BLOCKED);
	report_enter_load(table, 0, &ok, start + 61 * second);
	assert_int_equal(site->direct, SITE_DIRECT_OK);
	load_table_free(table);
}

/* The listener is told of changes, and of nothing else. */
static void
note_change(void *arg, enum load_change change, uint32_t number)
{
	assert_int_equal(change, LOAD_CHANGE_SITE);
	assert_int_equal(number, 0);
	(*(int *)arg)++;
}

static void
changes_are_told(void **state)
{
	struct load_table *table = two_services();
	int changes = 0;

	(void)state;
	load_table_set_listener(table, note_change, &changes);
	load_table_site_set_mtu(table, 0, 1400);
	load_table_site_set_mtu(table, 0, 1400);
	assert_int_equal(changes, 1);
	load_table_site_set_direct_out(table, 0, SITE_DIRECT_OK);
	load_table_site_set_direct_out(table, 0, SITE_DIRECT_OK);
	assert_int_equal(changes, 2);
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
	    cmocka_unit_test(rates_travel),
	    cmocka_unit_test(too_many_services),
	    cmocka_unit_test(own_servers_are_told),
	    cmocka_unit_test(too_many_servers),
	    cmocka_unit_test(their_servers_are_entered),
	    cmocka_unit_test(endpoints_are_bounded),
	    cmocka_unit_test(path_is_told_and_entered),
	    cmocka_unit_test(clients_are_believed_more),
	    cmocka_unit_test(changes_are_told),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
