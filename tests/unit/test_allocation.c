/*
 * allocation: own servers, backup servers, other sites: who comes when.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "allocation/allocation.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "fixture.h"

#define NOW (1000 * CLOCK_SECOND)

enum { A, B, SPARE, SPARE6, A_MAIL };

static const char config_text[] =
    "site = \"x\"; services: ("
    " { name = \"web\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ]; ports = [ 80 ]; "
    "servers: ("
    "  { name = \"a\"; address = [ \"10.0.0.1\", \"2001:db8:1::1\" ]; max_connections = 10; },"
    "  { name = \"b\"; address = \"10.0.0.2\"; max_connections = 10; },"
    "  { name = \"spare\"; address = \"10.0.0.3\"; max_connections = 5; backup = true; },"
    "  { name = \"spare6\"; address = \"2001:db8:1::4\"; max_connections = 5; backup = true; } "
    "); },"
    " { name = \"mail\"; address = \"203.0.113.1\"; ports = [ 25 ]; scheduler = \"lc\"; "
    "servers: ("
    "  { name = \"a\"; address = \"10.0.0.1\"; } ); } );" FIXTURE_PEER_KEYS
    "peers: ( { site = \"y\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; } );";

struct state {
	struct load_table *table;
	struct allocation *allocation;
	struct random random;
	struct ip v4, v6;
};

static int
setup(void **arg)
{
	struct state *s = test_calloc(1, sizeof(*s));

	s->table = fixture_table(config_text);
	fixture_all_up(s->table);
	s->allocation = allocation_new(s->table, 1.0);
	random_init(&s->random, 3);
	assert_int_equal(ip_parse("192.0.2.1", &s->v4), 0);
	assert_int_equal(ip_parse("2001:db8:77::1", &s->v6), 0);
	*arg = s;
	return 0;
}

static int
teardown(void **arg)
{
	struct state *s = *arg;

	allocation_free(s->allocation);
	load_table_free(s->table);
	test_free(s);
	return 0;
}

/* The other site offers web, with room for 100 connections, of which so many are taken. */
static void
other_site(struct state *s, uint32_t active)
{
	struct site_service *web = xcalloc(1, sizeof(*web));

	*web = (struct site_service){.name = xstrdup("web"),
	    .protocol = IPPROTO_TCP,
	    .ports = xcalloc(1, sizeof(*web->ports)),
	    .ports_count = 1,
	    .v4 = ip_from_v4("\313\000\161\062"),
	    .v6 = s->v6,
	    .reported = true,
	    .servers_up = 1,
	    .servers_not_high = 1,
	    .transferable = 100 - active,
	    .active = active,
	    .permitted = true,
	    .load = (uint16_t)(active * 10),
	    .received_at = NOW};
	load_table_site_services(s->table, 0, web, 1);
	load_table_site_session(s->table, 0, SITE_SESSION, 1);
	load_table_site_keys(s->table, 0, true, 1);
	load_table_site_set_path(s->table, 0, SITE_PATH_ALIVE, 1);
}

/* Where one that another site sent us goes: the number of the server. */
static uint32_t
decide_received(struct state *s, uint32_t service, const struct ip *client)
{
	struct allocation_decision decision;

	allocation_decide_received(s->allocation, service, client, &s->random, NOW, &decision);
	assert_int_equal(
	    decision.where, decision.server == LOAD_NONE ? ALLOCATION_NONE : ALLOCATION_SERVER);
	return decision.server;
}

static struct allocation_decision
decide(struct state *s, const struct ip *client)
{
	struct allocation_decision decision;

	allocation_decide(s->allocation, 0, client, &s->random, NOW, &decision);
	return decision;
}

/* Opens a connection of a client; returns the server, LOAD_NONE if there was none. */
static uint32_t
open_one(struct state *s, const struct ip *client)
{
	struct allocation_decision decision = decide(s, client);

	if (decision.where != ALLOCATION_SERVER)
		return LOAD_NONE;
	load_table_server_opened(s->table, decision.server);
	return decision.server;
}

static void
set_up(struct state *s, uint32_t server, bool up)
{
	load_table_server_set_state(s->table, server, up ? SERVER_UP : SERVER_DOWN, NULL, NOW);
}

static uint64_t
active(struct state *s, uint32_t server)
{
	return load_table_server(s->table, server)->active;
}

static void
test_backup_waits(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 14; i++)
		assert_true(open_one(s, &s->v4) <= B);
	assert_int_equal(active(s, A) + active(s, B), 14);
	assert_int_equal(active(s, SPARE), 0);
}

/* Down, disabled, weight 0: each makes room for the backup servers, and coming back ends it. */
static void
test_backup_takes_over_and_gives_back(void **arg)
{
	struct state *s = *arg;
	struct service *web = load_table_service(s->table, 0);

	set_up(s, A, false);
	assert_int_equal(open_one(s, &s->v4), B);
	load_table_server_set_admin(s->table, B, SERVER_DISABLED, NOW);
	assert_true(web->on_backup);
	assert_int_equal(open_one(s, &s->v4), SPARE);
	assert_int_equal(open_one(s, &s->v6), SPARE6);
	load_table_server_set_admin(s->table, B, SERVER_ENABLED, NOW);
	assert_false(web->on_backup);
	assert_int_equal(open_one(s, &s->v4), B);
	load_table_server_set_weight(s->table, B, 0);
	assert_int_equal(open_one(s, &s->v4), SPARE);
	load_table_server_set_weight(s->table, B, LOAD_NONE);
	assert_int_equal(open_one(s, &s->v4), B);
	/* what it has it keeps */
	assert_int_equal(active(s, SPARE), 2);
	/* up, but not for this family */
	assert_int_equal(open_one(s, &s->v6), SPARE6);
	set_up(s, A, true);
	assert_int_equal(open_one(s, &s->v6), A);
}

static void
test_backup_when_full(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 20; i++)
		assert_true(open_one(s, &s->v4) <= B);
	for (int i = 0; i < 5; i++)
		assert_int_equal(open_one(s, &s->v4), SPARE);
	assert_int_equal(open_one(s, &s->v4), LOAD_NONE);
	assert_int_equal(decide_received(s, 0, &s->v4), LOAD_NONE);
	load_table_server_closed(s->table, SPARE);
	assert_int_equal(open_one(s, &s->v4), SPARE);
	load_table_server_closed(s->table, B);
	assert_int_equal(open_one(s, &s->v4), B);
	assert_int_equal(open_one(s, &s->v4), LOAD_NONE);
}

/* Full here: another site comes before a backup server, unless it is full itself. */
static void
test_backup_and_other_site(void **arg)
{
	struct state *s = *arg;

	other_site(s, 10);
	for (int i = 0; i < 10; i++) {
		load_table_server_opened(s->table, A);
		load_table_server_opened(s->table, B);
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(decide(s, &s->v4).where, ALLOCATION_SITE);
	/* one that comes from there is not sent back */
	assert_int_equal(decide_received(s, 0, &s->v4), SPARE);
	load_table_site(s->table, 0)->services[0].load = 950;
	assert_int_equal(open_one(s, &s->v4), SPARE);
	/* down here: the backup servers are the service, and its load is theirs */
	load_table_site(s->table, 0)->services[0].load = 100;
	set_up(s, A, false);
	set_up(s, B, false);
	assert_int_equal(open_one(s, &s->v4), SPARE);
	for (int i = 0; i < 10; i++) {
		uint32_t server = open_one(s, &s->v4);

		assert_true(server == SPARE || server == LOAD_NONE);
	}
	assert_true(active(s, SPARE) <= 5);
	set_up(s, SPARE, false);
	set_up(s, SPARE6, false);
	assert_int_equal(decide(s, &s->v4).where, ALLOCATION_SITE);
}

/* The limit holds whoever sends: one more than the room is one too many. */
static void
test_limit_is_hard(void **arg)
{
	struct state *s = *arg;

	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		unsigned opened = 0;

		load_table_service(s->table, 0)->scheduler = (enum config_scheduler)kind;
		load_table_service(s->table, 0)->version++;
		for (int i = 0; i < 40; i++) {
			uint8_t octets[4] = {192, 0, 2, (uint8_t)i};
			struct ip client = ip_from_v4(octets);

			opened += open_one(s, &client) != LOAD_NONE;
		}
		assert_int_equal(opened, 25);
		assert_int_equal(active(s, A), 10);
		assert_int_equal(active(s, B), 10);
		assert_int_equal(active(s, SPARE), 5);
		for (uint32_t server = A; server <= SPARE; server++)
			while (active(s, server) > 0)
				load_table_server_closed(s->table, server);
	}
}

/* Each service has its own list; connections of one change nothing at the other. */
static void
test_services_apart(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 20; i++)
		open_one(s, &s->v4);
	assert_int_equal(decide_received(s, 1, &s->v4), A_MAIL);
	assert_int_equal(decide_received(s, 1, &s->v6), LOAD_NONE);
}

/* A reload brings more services while connections are counted. */
static void
test_reload(void **arg)
{
	struct state *s = *arg;
	struct config *config = fixture_config(
	    "site = \"x\"; services: ("
	    " { name = \"web\"; address = \"203.0.113.1\"; ports = [ 80 ]; scheduler = "
	    "\"wlc\"; servers: ("
	    "  { name = \"b\"; address = \"10.0.0.2\"; max_connections = 3; },"
	    "  { name = \"new\"; address = \"10.0.0.9\"; max_connections = 3; } ); },"
	    " { name = \"more\"; address = \"203.0.113.3\"; ports = [ 80 ]; servers: ("
	    "  { name = \"m\"; address = \"10.0.0.8\"; } ); } );");

	for (int i = 0; i < 12; i++)
		open_one(s, &s->v4);
	load_table_apply(s->table, config, NOW);
	config_free(config);
	/* of a server that is gone, and of a service that has not been asked for yet */
	load_table_server_closed(s->table, A);
	load_table_server_opened(s->table, load_table_find_server(s->table, 2, "m"));
	fixture_all_up(s->table);
	for (int i = 0; i < 3; i++)
		assert_int_equal(open_one(s, &s->v4), load_table_find_server(s->table, 0, "new"));
	assert_int_equal(open_one(s, &s->v4), LOAD_NONE);
	assert_int_equal(decide_received(s, 2, &s->v4), load_table_find_server(s->table, 2, "m"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_backup_waits),
	    T(test_backup_takes_over_and_gives_back),
	    T(test_backup_when_full),
	    T(test_backup_and_other_site),
	    T(test_limit_is_hard),
	    T(test_services_apart),
	    T(test_reload),
	};

	return cmocka_run_group_tests_name("allocation", tests, NULL, NULL);
}
