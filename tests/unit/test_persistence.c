/*
 * persistence: what is fresh, what goes first, and where a decision follows it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "allocation/allocation.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "fixture.h"

#define NOW  (1000 * CLOCK_SECOND)
#define ROOM 1024

static const struct siphash_key key = {{5, 6}};

enum { A, B, C, SPARE };

#define SERVICE(name, port, persistence) \
	" { name = \"" name \
	"\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ]; ports = [ " port \
	" ]; scheduler = \"rr\"; persistence: { " persistence " }; servers: (" \
	"  { name = \"a\"; address = [ \"10.0.0.1\", \"2001:db8:1::1\" ]; max_connections = " \
	"4; }," \
	"  { name = \"b\"; address = \"10.0.0.2\"; }, { name = \"c\"; address = " \
	"\"10.0.0.3\"; }," \
	"  { name = \"spare\"; address = \"10.0.0.4\"; backup = true; } ); }"

#define CONFIG(web, mail) \
	"site = \"x\"; services: (" SERVICE("web", "80", web) "," SERVICE( \
	    "mail", "25", mail) " );" FIXTURE_PEER_KEYS \
				"peers: ( { site = \"y\"; load = \"192.0.2.2:7210\"; " \
				"transfer = \"192.0.2.2:7210\"; } );"

struct state {
	struct load_table *table;
	struct allocation *allocation;
	struct persistence *p;
	struct random random;
	struct ip v4, v6;
};

static void
apply(struct state *s, const char *text)
{
	struct config *config = fixture_config(text);

	load_table_apply(s->table, config, NOW);
	config_free(config);
}

static int
setup(void **arg)
{
	struct state *s = test_calloc(1, sizeof(*s));

	s->table = load_table_new();
	apply(s, CONFIG("timeout = 100;", "timeout = 10; mask_v4 = 24; mask_v6 = 64;"));
	fixture_all_up(s->table);
	s->allocation = allocation_new(s->table, 1.0);
	assert_int_equal(allocation_remember_clients(s->allocation, ROOM, &key), 0);
	s->p = allocation_persistence(s->allocation);
	assert_true(persistence_apply(s->p));
	persistence_counted(s->p);
	random_init(&s->random, 3);
	ip_parse("192.0.2.1", &s->v4);
	ip_parse("2001:db8:77::1", &s->v6);
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

static struct persistence_target
at(uint32_t server)
{
	return (struct persistence_target){PERSISTENCE_SERVER, server};
}

static uint32_t
server_of(struct state *s, uint16_t service, const struct ip *client, uint64_t now)
{
	struct persistence_target t = persistence_find(s->p, service, client, now);

	assert_int_not_equal(t.kind, PERSISTENCE_SITE);
	return t.kind == PERSISTENCE_SERVER ? t.number : LOAD_NONE;
}

/* ---- entries ---- */

static void
test_fresh(void **arg)
{
	struct state *s = *arg;
	uint64_t over = NOW + 1000 * CLOCK_SECOND;

	assert_int_equal(server_of(s, 0, &s->v4, NOW), LOAD_NONE);
	persistence_opened(s->p, 0, &s->v4, at(B), NOW);
	persistence_opened(s->p, 0, &s->v4, at(B), NOW);
	/* as long as one of its connections lives */
	persistence_over(s->p, 0, &s->v4, NOW + CLOCK_SECOND);
	assert_int_equal(server_of(s, 0, &s->v4, over - 1), B);
	/* and the timeout from then on */
	persistence_over(s->p, 0, &s->v4, over);
	assert_int_equal(server_of(s, 0, &s->v4, over + 100 * CLOCK_SECOND - 1), B);
	assert_int_equal(server_of(s, 0, &s->v4, over + 100 * CLOCK_SECOND), LOAD_NONE);
	/* nobody else */
	assert_int_equal(server_of(s, 1, &s->v4, over), LOAD_NONE);
	assert_int_equal(server_of(s, 0, &s->v6, over), LOAD_NONE);
	persistence_expire(s->p, over + 100 * CLOCK_SECOND - 1);
	assert_int_equal(persistence_clients(s->p)->used, 1);
	persistence_expire(s->p, over + 100 * CLOCK_SECOND);
	assert_int_equal(persistence_clients(s->p)->used, 0);
}

static void
test_prefix(void **arg)
{
	struct state *s = *arg;
	struct ip neighbour;

	persistence_opened(s->p, 1, &s->v4, at(C), NOW);
	ip_parse("192.0.2.77", &neighbour);
	assert_int_equal(server_of(s, 1, &neighbour, NOW), C);
	ip_parse("192.0.3.1", &neighbour);
	assert_int_equal(server_of(s, 1, &neighbour, NOW), LOAD_NONE);
	persistence_opened(s->p, 1, &s->v6, at(A), NOW);
	ip_parse("2001:db8:77::ffff:1", &neighbour);
	assert_int_equal(server_of(s, 1, &neighbour, NOW), A);
}

static void
test_oldest_goes(void **arg)
{
	struct state *s = *arg;
	uint32_t capacity = clients_capacity(ROOM);
	uint8_t octets[4] = {10, 9, 0, 0};
	struct ip ip;

	persistence_opened(s->p, 0, &s->v4, at(B), NOW); /* has a connection: stays */
	for (uint32_t i = 0; i < capacity + 10; i++) {
		octets[2] = (uint8_t)(i >> 8);
		octets[3] = (uint8_t)i;
		ip = ip_from_v4(octets);
		persistence_opened(s->p, 0, &ip, at(C), NOW + i);
		persistence_over(s->p, 0, &ip, NOW + i);
	}
	assert_int_equal(persistence_clients(s->p)->used, capacity);
	assert_int_equal(persistence_clients(s->p)->forgotten, 11);
	assert_int_equal(server_of(s, 0, &s->v4, NOW + capacity), B);
	for (uint32_t i = 0; i < 20; i++) {
		octets[2] = 0;
		octets[3] = (uint8_t)i;
		ip = ip_from_v4(octets);
		assert_int_equal(server_of(s, 0, &ip, NOW), i < 11 ? LOAD_NONE : C);
	}
}

static void
test_flush(void **arg)
{
	struct state *s = *arg;
	struct ip ip;

	persistence_opened(s->p, 0, &s->v4, at(B), NOW);
	persistence_opened(s->p, 0, &s->v6, at(A), NOW);
	persistence_opened(s->p, 1, &s->v4, at(B), NOW);
	persistence_over(s->p, 1, &s->v4, NOW);
	ip_parse("192.0.2.55", &ip);
	assert_int_equal(persistence_flush(s->p, 1, &s->v6, NOW), 0);
	assert_int_equal(persistence_flush(s->p, 1, &ip, NOW), 1); /* the same prefix */
	assert_int_equal(persistence_flush(s->p, LOAD_NONE, &s->v6, NOW), 1);
	assert_int_equal(server_of(s, 0, &s->v6, NOW), LOAD_NONE);
	assert_int_equal(server_of(s, 0, &s->v4, NOW), B);
	assert_int_equal(persistence_flush(s->p, 0, NULL, NOW), 1);
	assert_int_equal(persistence_flush(s->p, LOAD_NONE, NULL, NOW), 0);
	/* its connection is still counted: the next one makes a target, the end of both its time */
	persistence_opened(s->p, 0, &s->v4, at(C), NOW);
	persistence_over(s->p, 0, &s->v4, NOW);
	assert_int_equal(server_of(s, 0, &s->v4, NOW + 1000 * CLOCK_SECOND), C);
	persistence_over(s->p, 0, &s->v4, NOW);
	assert_int_equal(server_of(s, 0, &s->v4, NOW + 1000 * CLOCK_SECOND), LOAD_NONE);
}

static void
test_reload(void **arg)
{
	struct state *s = *arg;

	persistence_opened(s->p, 0, &s->v4, at(B), NOW);
	persistence_over(s->p, 0, &s->v4, NOW);
	persistence_opened(s->p, 1, &s->v4, at(B), NOW);
	apply(s, CONFIG("timeout = 5;", "timeout = 10; mask_v4 = 16; mask_v6 = 64;"));
	assert_true(persistence_apply(s->p));
	/* a timeout holds at once, for what there is as well */
	assert_false(persistence_counts_anew(s->p, 0));
	assert_int_equal(server_of(s, 0, &s->v4, NOW + 5 * CLOCK_SECOND - 1), B);
	assert_int_equal(server_of(s, 0, &s->v4, NOW + 5 * CLOCK_SECOND), LOAD_NONE);
	/* other prefixes: all anew */
	assert_true(persistence_counts_anew(s->p, 1));
	assert_int_equal(server_of(s, 1, &s->v4, NOW), LOAD_NONE);
	persistence_counted(s->p);
	apply(s, CONFIG("", "timeout = 10; mask_v4 = 16; mask_v6 = 64;"));
	assert_false(persistence_apply(s->p));
	assert_false(persistence_wanted(s->p, 0));
	assert_int_equal(persistence_clients(s->p)->used, 0);
	persistence_opened(s->p, 0, &s->v4, at(B), NOW);
	assert_int_equal(server_of(s, 0, &s->v4, NOW), LOAD_NONE);
	persistence_over(s->p, 0, &s->v4, NOW);
}

/* ---- decisions ---- */

static struct allocation_decision
decide(struct state *s, const struct ip *client)
{
	struct allocation_decision peek, decision;

	allocation_persistent(s->allocation, 0, client, NOW, &peek);
	allocation_decide(s->allocation, 0, client, &s->random, NOW, &decision);
	assert_int_equal(decision.persistent, peek.persistent);
	if (decision.persistent) {
		assert_int_equal(decision.where, peek.where);
		assert_int_equal(decision.server, peek.server);
		assert_int_equal(decision.site, peek.site);
	}
	return decision;
}

/* The server that it decides on; persistent or not is what is expected. */
static uint32_t
decide_server(struct state *s, const struct ip *client, bool persistent)
{
	struct allocation_decision decision = decide(s, client);

	assert_int_equal(decision.where, ALLOCATION_SERVER);
	assert_int_equal(decision.persistent, persistent);
	return decision.server;
}

static void
test_follows(void **arg)
{
	struct state *s = *arg;
	struct allocation_decision received;

	persistence_opened(s->p, 0, &s->v4, at(C), NOW);
	for (int i = 0; i < 10; i++)
		assert_int_equal(decide_server(s, &s->v4, true), C);
	/* what other sites send as well */
	allocation_decide_received(s->allocation, 0, &s->v4, &s->random, NOW, &received);
	assert_int_equal(received.server, C);
	assert_true(received.persistent);
	assert_true(decide_server(s, &s->v6, false) == A);
}

static void
test_server_cannot(void **arg)
{
	struct state *s = *arg;
	struct load_table *t = s->table;

	persistence_opened(s->p, 0, &s->v4, at(A), NOW);
	load_table_server_set_state(t, A, SERVER_DOWN, NULL, NOW);
	assert_int_not_equal(decide_server(s, &s->v4, false), A);
	load_table_server_set_state(t, A, SERVER_UP, NULL, NOW);
	load_table_server_set_admin(t, A, SERVER_DRAINING, NOW);
	assert_int_not_equal(decide_server(s, &s->v4, false), A);
	load_table_server_set_admin(t, A, SERVER_DISABLED, NOW);
	assert_int_not_equal(decide_server(s, &s->v4, false), A);
	load_table_server_set_admin(t, A, SERVER_ENABLED, NOW);
	assert_int_equal(decide_server(s, &s->v4, true), A);
	/* weight 0: those who know it, and nobody else */
	load_table_server_set_weight(t, A, 0);
	assert_int_equal(decide_server(s, &s->v4, true), A);
	assert_int_equal(decide(s, &s->v6).where, ALLOCATION_NONE);
	load_table_server_set_weight(t, A, LOAD_NONE);
	/* full: the next one */
	for (int i = 0; i < 4; i++)
		load_table_server_opened(t, A);
	assert_int_not_equal(decide_server(s, &s->v4, false), A);
	load_table_server_closed(t, A);
	assert_int_equal(decide_server(s, &s->v4, true), A);
	/* has no address of the family */
	persistence_opened(s->p, 0, &s->v6, at(B), NOW);
	assert_int_equal(decide_server(s, &s->v6, false), A);
}

static void
test_removed_and_back(void **arg)
{
	struct state *s = *arg;
	static const char without[] =
	    "site = \"x\"; services: ( { name = \"web\"; address = [ \"203.0.113.1\", "
	    "\"2001:db8::1\" ]; ports = [ 80 ]; persistence: { timeout = 100; }; servers: ("
	    "  { name = \"b\"; address = \"10.0.0.2\"; } ); } );";

	persistence_opened(s->p, 0, &s->v4, at(C), NOW);
	apply(s, without);
	persistence_apply(s->p);
	assert_int_equal(decide_server(s, &s->v4, false), B);
	apply(s, CONFIG("timeout = 100;", ""));
	persistence_apply(s->p);
	load_table_server_set_state(s->table, C, SERVER_UP, NULL, NOW);
	assert_int_equal(decide_server(s, &s->v4, true), C);
}

static void
test_backup(void **arg)
{
	struct state *s = *arg;

	for (uint32_t i = A; i <= C; i++)
		load_table_server_set_state(s->table, i, SERVER_DOWN, NULL, NOW);
	assert_int_equal(decide_server(s, &s->v4, false), SPARE);
	persistence_opened(s->p, 0, &s->v4, at(SPARE), NOW);
	assert_int_equal(decide_server(s, &s->v4, true), SPARE);
	load_table_server_set_state(s->table, B, SERVER_UP, NULL, NOW);
	assert_int_equal(decide_server(s, &s->v4, false), B);
}

/* The other site offers web, with room for 100 connections, of which so many are taken. */
static void
other_site(struct state *s, uint32_t active)
{
	struct site_service *web = xcalloc(1, sizeof(*web));

	*web = (struct site_service){.name = xstrdup("web"),
	    .protocol = 6,
	    .ports = xcalloc(1, sizeof(*web->ports)),
	    .ports_count = 1,
	    .v4 = s->v4,
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

static void
test_site(void **arg)
{
	struct state *s = *arg;
	static const struct persistence_target y = {PERSISTENCE_SITE, 0};
	struct allocation_decision decision;

	other_site(s, 50);
	persistence_opened(s->p, 0, &s->v4, y, NOW);
	/* although there is room here, and it is not better there */
	decision = decide(s, &s->v4);
	assert_int_equal(decision.where, ALLOCATION_SITE);
	assert_int_equal(decision.site, 0);
	assert_int_equal(decision.site_service, 0);
	assert_true(decision.persistent);
	assert_int_equal(decide_server(s, &s->v6, false), A);
	/* one that was sent to us cannot go on */
	allocation_decide_received(s->allocation, 0, &s->v4, &s->random, NOW, &decision);
	assert_int_equal(decision.where, ALLOCATION_SERVER);
	assert_false(decision.persistent);
	/* one that may be passed on goes there, unless it comes from there */
	allocation_decide_passed(
	    s->allocation, 0, &s->v4, (const uint16_t[]){7}, 1, &s->random, NOW, &decision);
	assert_int_equal(decision.where, ALLOCATION_SITE);
	allocation_decide_passed(
	    s->allocation, 0, &s->v4, (const uint16_t[]){0}, 1, &s->random, NOW, &decision);
	assert_int_equal(decision.where, ALLOCATION_SERVER);
	/* no longer a candidate: full, disabled, without session */
	load_table_site(s->table, 0)->services[0].load = 990;
	decide_server(s, &s->v4, false);
	load_table_site(s->table, 0)->services[0].load = 500;
	load_table_site_set_disabled(s->table, 0, true, NOW);
	decide_server(s, &s->v4, false);
	load_table_site_set_disabled(s->table, 0, false, NOW);
	assert_int_equal(decide(s, &s->v4).where, ALLOCATION_SITE);
	load_table_site_session(s->table, 0, SITE_NO_SESSION, NOW);
	decide_server(s, &s->v4, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_fresh, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_prefix, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_oldest_goes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_follows, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_server_cannot, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_removed_and_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_backup, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_site, setup, teardown),
	};

	return cmocka_run_group_tests_name("persistence", tests, NULL, NULL);
}
