#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "fixture.h"
#include "load/endpoints.h"

#define WEB(servers) \
	"site = \"x\"; services: ( { name = \"web\"; address = [ \"203.0.113.1\", " \
	"\"2001:db8::1\" ];" \
	" protocol = \"tcp\"; ports = [ 80, 443 ]; high_load = 0.75; servers: ( " servers \
	" ); } );" FIXTURE_PEER_KEYS "peers: ( { site = \"y\"; load = \"192.0.2.2:7210\"; " \
	"transfer = \"192.0.2.2:7210\"; } );"

#define A "{ name = \"a\"; address = \"10.0.0.1\"; max_connections = 20; }"
#define B "{ name = \"b\"; address = \"10.0.0.2\"; max_connections = 20; }"
#define SPARE \
	"{ name = \"spare\"; address = \"10.0.0.9\"; max_connections = 5; backup = true; }"
#define B2 "{ name = \"b\"; address = \"10.0.0.22\"; max_connections = 40; }"

static unsigned changes[3];

static void
count_change(void *arg, enum load_change change, uint32_t number)
{
	(void)arg;
	(void)number;
	changes[change]++;
}

static struct addr
addr_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void
apply(struct load_table *table, const char *text)
{
	struct config *config = fixture_config(text);

	load_table_apply(table, config, 5);
	config_free(config);
}

static void
test_lookup(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));
	struct addr v4 = addr_of("203.0.113.1:443"), v6 = addr_of("[2001:db8::1]:80");
	struct addr other = addr_of("203.0.113.1:81");

	(void)arg;
	assert_int_equal(load_table_lookup(table, &v4, IPPROTO_TCP), 0);
	assert_int_equal(load_table_lookup(table, &v6, IPPROTO_TCP), 0);
	assert_int_equal(load_table_lookup(table, &v4, IPPROTO_UDP), LOAD_NONE);
	assert_int_equal(load_table_lookup(table, &other, IPPROTO_TCP), LOAD_NONE);
	assert_true(load_table_is_service_ip(table, &other.ip));
	other = addr_of("203.0.113.2:80");
	assert_false(load_table_is_service_ip(table, &other.ip));
	load_table_free(table);
}

static void
test_sums_follow_states(void **arg)
{
	struct load_table *table = fixture_table(WEB(A "," B));
	struct service *web = load_table_service(table, 0);

	(void)arg;
	assert_int_equal(web->up, 0);
	assert_true(service_load(web) == 1);
	fixture_all_up(table);
	assert_int_equal(web->up, 2);
	assert_int_equal(web->capacity, 40);
	for (int i = 0; i < 10; i++)
		load_table_server_opened(table, 0);
	assert_int_equal(web->active, 10);
	assert_true(service_load(web) == 0.25);
	load_table_server_set_admin(table, 0, SERVER_DISABLED, 2);
	assert_int_equal(web->up, 1);
	assert_int_equal(web->active, 0);
	load_table_server_closed(table, 0);
	assert_int_equal(load_table_server(table, 0)->active, 9);
	assert_int_equal(web->active, 0);
	load_table_server_set_admin(table, 0, SERVER_ENABLED, 2);
	assert_int_equal(web->active, 9);
	assert_int_equal(web->total, 10);
	load_table_free(table);
}

/* Highly loaded from 0.75 on, and again below 0.70. */
static void
test_high_load_hysteresis(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));
	struct service *web = load_table_service(table, 0);

	(void)arg;
	fixture_all_up(table);
	memset(changes, 0, sizeof(changes));
	load_table_set_listener(table, count_change, NULL);
	for (int i = 0; i < 14; i++)
		load_table_server_opened(table, 0);
	assert_int_equal(web->not_high, 1);
	load_table_server_opened(table, 0); /* 15 of 20 */
	assert_int_equal(web->not_high, 0);
	load_table_server_closed(table, 0); /* 14: 0.70, not below */
	assert_int_equal(web->not_high, 0);
	load_table_server_closed(table, 0);
	assert_int_equal(web->not_high, 1);
	assert_int_equal(changes[LOAD_CHANGE_SERVICE], 2);
	load_table_free(table);
}

/* Backup servers, and those of weight 0, are in no sum; the backup ones are while they serve. */
static void
test_sums_leave_backups_out(void **arg)
{
	struct load_table *table = fixture_table(WEB(A "," B "," SPARE));
	struct service *web = load_table_service(table, 0);

	(void)arg;
	fixture_all_up(table);
	assert_int_equal(web->backups, 1);
	assert_int_equal(web->up, 2);
	assert_int_equal(web->not_high, 2);
	assert_int_equal(web->capacity, 40);
	for (int i = 0; i < 4; i++)
		load_table_server_opened(table, 2);
	assert_int_equal(web->active, 0);
	assert_int_equal(web->not_high, 2);
	load_table_server_set_weight(table, 0, 0);
	assert_int_equal(web->up, 1);
	assert_int_equal(web->capacity, 20);
	load_table_server_set_state(table, 1, SERVER_DOWN, "refused", 2);
	assert_true(web->on_backup);
	assert_int_equal(web->up, 1);
	assert_int_equal(web->not_high, 0);
	assert_int_equal(web->capacity, 5);
	assert_int_equal(web->active, 4);
	load_table_server_closed(table, 2);
	load_table_server_opened(table, 0);
	assert_int_equal(web->active, 3);
	assert_int_equal(web->not_high, 1);
	load_table_server_set_state(table, 2, SERVER_DOWN, "refused", 2);
	assert_false(web->on_backup);
	assert_int_equal(web->up, 0);
	assert_true(service_load(web) == 1);
	load_table_server_set_weight(table, 0, LOAD_NONE);
	assert_int_equal(web->up, 1);
	assert_int_equal(web->active, 1);
	load_table_free(table);
}

static void
count_server(void *arg, uint32_t server)
{
	unsigned *counts = arg;

	counts[server]++;
}

/* Whoever keeps servers in order hears of each connection, of servers that are down as well. */
static void
test_counted_hears_all(void **arg)
{
	struct load_table *table = fixture_table(WEB(A "," B));
	unsigned counts[2] = {0};

	(void)arg;
	load_table_set_counted(table, count_server, counts);
	load_table_server_opened(table, 0);
	load_table_server_opened(table, 1);
	load_table_server_closed(table, 1);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 2);
	load_table_set_counted(table, NULL, NULL);
	load_table_server_closed(table, 0);
	assert_int_equal(counts[0], 1);
	load_table_free(table);
}

static void
test_listener_hears_changes_only(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));

	(void)arg;
	memset(changes, 0, sizeof(changes));
	load_table_set_listener(table, count_change, NULL);
	load_table_server_set_state(table, 0, SERVER_UP, NULL, 1);
	load_table_server_set_state(table, 0, SERVER_UP, NULL, 2);
	load_table_server_set_state(table, 0, SERVER_DOWN, "refused", 3);
	load_table_server_set_admin(table, 0, SERVER_DRAINING, 3);
	assert_int_equal(changes[LOAD_CHANGE_SERVER], 3);
	assert_string_equal(load_table_server(table, 0)->why, "refused");
	load_table_free(table);
}

/* An administrator's weight is in force until it is reset; the configured one is remembered. */
static void
test_weight(void **arg)
{
	struct load_table *table = fixture_table(WEB(A "," B));
	const struct server *server = load_table_server(table, 0);
	const uint64_t *version = &load_table_service(table, 0)->version;
	uint32_t configured = server->weight;
	uint64_t before = *version;

	(void)arg;
	fixture_all_up(table);
	memset(changes, 0, sizeof(changes));
	load_table_set_listener(table, count_change, NULL);
	assert_false(server->weight_set);
	assert_int_equal(server->weight_configured, configured);
	load_table_server_set_weight(table, 0, configured + 5);
	assert_true(server->weight_set);
	assert_int_equal(server->weight, configured + 5);
	assert_int_equal(server->weight_configured, configured);
	assert_true(*version > before);
	before = *version;
	load_table_server_set_weight(table, 0, configured + 5);
	assert_int_equal(*version, before);
	assert_int_equal(changes[LOAD_CHANGE_SERVICE], 1);
	assert_int_equal(changes[LOAD_CHANGE_SERVER], 0);
	apply(table, WEB(B)); /* gone, and back */
	apply(table, WEB(A "," B));
	assert_int_equal(server->weight, configured + 5);
	load_table_server_set_weight(table, 0, 0);
	assert_int_equal(server->weight, 0);
	load_table_server_set_weight(table, 0, LOAD_NONE);
	assert_false(server->weight_set);
	assert_int_equal(server->weight, configured);
	load_table_free(table);
}

static void
test_reload_keeps_slots(void **arg)
{
	struct load_table *table = fixture_table(WEB(A "," B));

	(void)arg;
	fixture_all_up(table);
	load_table_server_opened(table, 1);
	load_table_server_set_admin(table, 0, SERVER_DRAINING, 2);
	/* b has another address: another server; the old one stays for its connection */
	apply(table, WEB(A "," B2));
	assert_int_equal(load_table_servers(table), 3);
	assert_false(load_table_server(table, 1)->present);
	assert_int_equal(load_table_server(table, 1)->active, 1);
	assert_int_equal(load_table_find_server(table, 0, "b"), 2);
	assert_int_equal(load_table_server(table, 0)->admin, SERVER_DRAINING);
	assert_int_equal(load_table_server(table, 2)->state, SERVER_DOWN);
	load_table_server_closed(table, 1);
	assert_int_equal(load_table_service(table, 0)->active, 0);
	/* and back */
	apply(table, WEB(B));
	assert_int_equal(load_table_servers(table), 3);
	assert_int_equal(load_table_find_server(table, 0, "b"), 1);
	assert_int_equal(load_table_find_server(table, 0, "a"), LOAD_NONE);
	load_table_free(table);
}

static struct site_service *
offer(const char *name, const char *address, uint8_t protocol)
{
	struct site_service *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup(name);
	s->number = 7;
	s->protocol = protocol;
	s->v4 = addr_of(address).ip;
	s->ports = xcalloc(1, sizeof(*s->ports));
	s->ports[0] = addr_of(address).port;
	s->ports_count = 1;
	return s;
}

static void
test_site_services_are_linked_by_name(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));
	struct addr l = addr_of("203.0.113.99:80");

	(void)arg;
	assert_int_equal(load_table_site_service(table, 0, 0), LOAD_NONE);
	load_table_site_services(table, 0, offer("web", "203.0.113.99:80", IPPROTO_TCP), 1);
	assert_int_equal(load_table_site_service(table, 0, 0), 0);
	assert_int_equal(load_table_site(table, 0)->services[0].local, 0);
	assert_int_equal(load_table_site_lookup(table, 0, &l, IPPROTO_TCP), 0);
	assert_int_equal(load_table_site_lookup(table, 0, &l, IPPROTO_UDP), LOAD_NONE);
	assert_int_equal(load_table_site_lookup(table, 1, &l, IPPROTO_TCP), LOAD_NONE);
	/* connections in flight are still counted after a new HELLO */
	load_table_transferred_opened(table, 0, 0);
	load_table_received_opened(table, 0, 0, CLOCK_SECOND);
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_TCP), 1);
	assert_int_equal(load_table_site(table, 0)->services[0].transferred, 1);
	assert_int_equal(load_table_site(table, 0)->services[0].received, 1);
	assert_int_equal(load_table_site_lookup(table, 0, &l, IPPROTO_TCP), LOAD_NONE);
	load_table_transferred_closed(table, 0, 0);
	load_table_received_closed(table, 0, 0);
	assert_int_equal(load_table_site(table, 0)->services[0].transferred, 0);
	assert_int_equal(load_table_service(table, 0)->transferred, 0);
	/* the same name with another protocol is another service */
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_UDP), 1);
	assert_int_equal(load_table_site_service(table, 0, 0), LOAD_NONE);
	load_table_site_services(table, 0, offer("mail", "203.0.113.98:25", IPPROTO_TCP), 1);
	assert_int_equal(load_table_site_service(table, 0, 0), LOAD_NONE);
	load_table_free(table);
}

static void
test_site_disabled(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));
	struct site *site = load_table_site(table, 0);

	(void)arg;
	load_table_site_set_disabled(table, 0, true, 5);
	assert_true(site->disabled);
	assert_int_equal(site->up_since, 0);
	load_table_site_session(table, 0, SITE_SESSION, 10);
	load_table_site_keys(table, 0, true, 10);
	load_table_site_set_path(table, 0, SITE_PATH_ALIVE, 10);
	assert_int_equal(site->up_since, 10);
	/* led in slowly again */
	load_table_site_set_disabled(table, 0, false, 50);
	assert_false(site->disabled);
	assert_int_equal(site->up_since, 50);
	load_table_site_set_disabled(table, 0, false, 60);
	assert_int_equal(site->up_since, 50);
	load_table_free(table);
}

/* HELLO again, in a session that replaces another: the report stays; in one after a gap it does
 * not, nor for what is another service now. */
static void
test_report_outlives_a_hello(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));
	struct site *site = load_table_site(table, 0);

	(void)arg;
	load_table_site_session(table, 0, SITE_SESSION, 10);
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_TCP), 1);
	assert_false(site->services[0].reported);
	site->services[0].reported = site->services[0].permitted = true;
	site->services[0].load = 250;
	site->services[0].received_at = 20;
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_TCP), 1);
	assert_true(site->services[0].reported);
	assert_true(site->services[0].permitted);
	assert_int_equal(site->services[0].load, 250);
	assert_int_equal(site->services[0].received_at, 20);
	load_table_site_session(table, 0, SITE_NO_SESSION, 30);
	load_table_site_session(table, 0, SITE_SESSION, 40);
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_TCP), 1);
	assert_false(site->services[0].reported);
	site->services[0].reported = true;
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_UDP), 1);
	assert_false(site->services[0].reported);
	site->services[0].reported = true;
	load_table_site_services(table, 0, offer("mail", "203.0.113.98:80", IPPROTO_UDP), 1);
	assert_false(site->services[0].reported);
	load_table_free(table);
}

static void
test_path_names(void **arg)
{
	(void)arg;
	assert_string_equal(site_path_name(SITE_PATH_UNKNOWN), "unknown");
	assert_string_equal(site_path_name(SITE_PATH_ALIVE), "alive");
	assert_string_equal(site_path_name(SITE_PATH_LOST), "lost");
	assert_string_equal(site_direct_name(SITE_DIRECT_UNKNOWN), "unknown");
	assert_string_equal(site_direct_name(SITE_DIRECT_OK), "ok");
	assert_string_equal(site_direct_name(SITE_DIRECT_BLOCKED), "blocked");
}

static void
test_site_is_up_with_session_keys_and_path(void **arg)
{
	struct load_table *table = fixture_table(WEB(A));
	struct site *site = load_table_site(table, 0);

	(void)arg;
	memset(changes, 0, sizeof(changes));
	load_table_set_listener(table, count_change, NULL);
	load_table_site_session(table, 0, SITE_SESSION, 10);
	load_table_site_keys(table, 0, true, 20);
	assert_int_equal(site->up_since, 0);
	load_table_site_set_path(table, 0, SITE_PATH_ALIVE, 25);
	assert_int_equal(site->up_since, 25);
	assert_int_equal(site->path_since, 25);
	assert_int_equal(changes[LOAD_CHANGE_SITE], 3);
	load_table_site_set_path(table, 0, SITE_PATH_ALIVE, 26);
	assert_int_equal(site->path_since, 25);
	assert_int_equal(changes[LOAD_CHANGE_SITE], 3); /* nothing has */
	load_table_site_keys(table, 0, true, 30);
	assert_int_equal(site->up_since, 25);
	load_table_site_set_path(table, 0, SITE_PATH_LOST, 31);
	assert_int_equal(site->up_since, 0);
	load_table_site_set_path(table, 0, SITE_PATH_ALIVE, 32);
	assert_int_equal(site->up_since, 32);
	load_table_set_listener(table, NULL, NULL);
	load_table_site_services(table, 0, offer("web", "203.0.113.98:80", IPPROTO_TCP), 1);
	site->services[0].reported = true;
	load_table_site_session(table, 0, SITE_NO_SESSION, 40);
	assert_int_equal(site->up_since, 0);
	assert_false(site->services[0].reported);
	load_table_site_error(table, 0, "peer %s", "left");
	assert_string_equal(site->last_error, "peer left");
	load_table_free(table);
}

static void
test_endpoints_hold_many(void **arg)
{
	struct endpoints *e = endpoints_new(5000);
	struct addr addr = addr_of("192.0.2.1:1");

	(void)arg;
	assert_int_equal(endpoints_find(NULL, &addr, 6), UINT32_MAX);
	for (uint32_t i = 0; i < 5000; i++) {
		addr.port = (uint16_t)(i + 1);
		endpoints_add(e, &addr, 6, i);
		endpoints_add(e, &addr, 6, 99999); /* the first stays */
	}
	for (uint32_t i = 0; i < 5000; i++) {
		addr.port = (uint16_t)(i + 1);
		assert_int_equal(endpoints_find(e, &addr, 6), i);
		assert_int_equal(endpoints_find(e, &addr, 17), UINT32_MAX);
	}
	/* more than announced is refused, not an endless search */
	for (uint32_t i = 5000; i < 60000; i++) {
		addr.port = (uint16_t)(i + 1);
		endpoints_add(e, &addr, 6, i);
	}
	addr.port = 65535;
	assert_int_equal(endpoints_find(e, &addr, 6), UINT32_MAX);
	endpoints_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lookup),
	    cmocka_unit_test(test_sums_follow_states),
	    cmocka_unit_test(test_high_load_hysteresis),
	    cmocka_unit_test(test_sums_leave_backups_out),
	    cmocka_unit_test(test_counted_hears_all),
	    cmocka_unit_test(test_listener_hears_changes_only),
	    cmocka_unit_test(test_weight),
	    cmocka_unit_test(test_reload_keeps_slots),
	    cmocka_unit_test(test_site_services_are_linked_by_name),
	    cmocka_unit_test(test_site_is_up_with_session_keys_and_path),
	    cmocka_unit_test(test_site_disabled),
	    cmocka_unit_test(test_report_outlives_a_hello),
	    cmocka_unit_test(test_path_names),
	    cmocka_unit_test(test_endpoints_hold_many),
	};

	return cmocka_run_group_tests_name("load_table", tests, NULL, NULL);
}
