/*
 * What is shown of clients and what forgets them: show persistence, show limits, flush
 * persistence, and their text.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"
#include "control_fixture.h"
#include "wladmctl/text.h"

#define CLIENTS_TEXT \
	"site = \"tokyo\"; services: (" \
	" { name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8::10\" ]; ports = [ 443 " \
	"];" \
	"   persistence: { timeout = 60; mask_v4 = 24; mask_v6 = 128; };" \
	"   client_limit: { connections = 3; rate = 0.5; burst = 8; };" \
	"   servers: ( { name = \"a\"; address = \"10.1.0.11\"; port = 8080; } ); }," \
	" { name = \"plain\"; address = \"203.0.113.11\"; ports = [ 80 ];" \
	"   servers: ( { name = \"a\"; address = \"10.1.0.12\"; } ); }," \
	" { name = \"slow\"; address = \"203.0.113.12\"; ports = [ 80 ];" \
	"   client_limit: { rate = 2.5; mask_v4 = 16; };" \
	"   servers: ( { name = \"a\"; address = \"10.1.0.13\"; } ); } );" FIXTURE_PEER_KEYS "peers: ( { site = \"osaka\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; }" \
	" );"

#define CONNECTIONS 65536

enum { SLOW = 2 };

static struct control_fixture fixture;

static int
setup(void **arg)
{
	static const struct siphash_key key = {{3, 4}};

	(void)arg;
	control_fixture_init(&fixture, CLIENTS_TEXT, CONNECTIONS);
	fixture_all_up(fixture.parts.load);
	assert_int_equal(
	    allocation_remember_clients(fixture.parts.allocation, CONNECTIONS, &key), 0);
	allocation_apply_clients(fixture.parts.allocation, fixture.parts.connections, NOW);
	return 0;
}

static int
teardown(void **arg)
{
	(void)arg;
	log_set_hook(NULL, NULL);
	control_fixture_fini(&fixture);
	return 0;
}

/* A connection of 192.0.2.CLIENT to web, as the datapath opens one. */
static struct connection *
open_one(unsigned client, uint16_t port, bool transfer)
{
	struct connection *c = control_fixture_connect(&fixture, client, port, transfer);

	allocation_opened(fixture.parts.allocation, c, NOW);
	return c;
}

static struct ip
ip(const char *text)
{
	struct ip result;

	assert_int_equal(ip_parse(text, &result), 0);
	return result;
}

static enum drop
admit(uint32_t service, const char *client)
{
	struct ip from = ip(client);

	return allocation_admit(fixture.parts.allocation, service, &from, NOW);
}

/* What wladmctl writes of an answer. */
static void
assert_written(const char *line, const char *view, const char *const *parts)
{
	static const struct table_style plain = {.colour = false, .width = 100};
	json_t *root = ask(&fixture, line, view);
	char *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);

	text_print(root, out, &plain);
	fclose(out);
	for (; *parts != NULL; parts++)
		if (strstr(output, *parts) == NULL)
			fail_msg("\"%s\" is not in:\n%s", *parts, output);
	free(output);
	json_decref(root);
}

/* ---- persistence ---- */

static void
test_persistence(void **arg)
{
	struct connection *c;
	json_t *root;
	const json_t *o;

	(void)arg;
	open_one(1, 4000, false);
	open_one(2, 4000, false); /* of the same /24 */
	root = ask(&fixture, "show persistence", "persistence");
	assert_count(root, "clients", 1);
	o = at(root, "clients", 0);
	assert_text(o, "service", "web");
	assert_text(o, "client", "192.0.2.0/24");
	assert_text(o, "server", "a");
	assert_is_null(o, "site");
	assert_number(o, "connections", 2);
	assert_number(o, "remaining_s", 60); /* all of it while there are connections */
	assert_number(root, "listed", 1);
	assert_true(json_is_false(json_object_get(root, "truncated")));
	assert_number(root, "entries", 1);
	assert_true(json_number_value(json_object_get(root, "capacity")) >= CONNECTIONS);
	assert_number(root, "forgotten", 0);
	json_decref(root);

	/* where the last one went, and less time from its end on */
	c = open_one(3, 4000, true);
	root = ask(&fixture, "show persistence service web client 192.0.2.77", "persistence");
	o = at(root, "clients", 0);
	assert_is_null(o, "server");
	assert_text(o, "site", "osaka");
	assert_number(o, "connections", 3);
	json_decref(root);
	allocation_over(fixture.parts.allocation, c, NOW);
	root = ask(&fixture, "show persistence", "persistence");
	assert_number(at(root, "clients", 0), "connections", 2);
	json_decref(root);
}

/* An entry is shown until its time is over, whether it was removed by then or not. */
static void
test_persistence_ends(void **arg)
{
	struct persistence *p = allocation_persistence(fixture.parts.allocation);
	struct persistence_target target = {PERSISTENCE_SERVER, WEB_A};
	struct ip client = ip("2001:db8:c::1");
	json_t *root;

	(void)arg;
	persistence_opened(p, WEB, &client, target, NOW - 100 * CLOCK_SECOND);
	persistence_over(p, WEB, &client, NOW - 50 * CLOCK_SECOND);
	root = ask(&fixture, "show persistence", "persistence");
	assert_text(at(root, "clients", 0), "client", "2001:db8:c::1"); /* 128 bits: no mask */
	assert_number(at(root, "clients", 0), "connections", 0);
	assert_number(at(root, "clients", 0), "remaining_s", 10);
	json_decref(root);

	client = ip("2001:db8:c::2");
	persistence_opened(p, WEB, &client, target, NOW - 100 * CLOCK_SECOND);
	persistence_over(p, WEB, &client, NOW - 61 * CLOCK_SECOND);
	root = ask(&fixture, "show persistence client 2001:db8:c::2", "persistence");
	assert_count(root, "clients", 0);
	assert_number(root, "entries", 2);
	json_decref(root);
}

/* Of more than are wanted those with the most connections, in that order. */
static void
test_persistence_most(void **arg)
{
	struct persistence *p = allocation_persistence(fixture.parts.allocation);
	struct persistence_target target = {PERSISTENCE_SERVER, WEB_A};
	char text[IP_TEXT];
	json_t *root;

	(void)arg;
	/* more than are looked at in one call */
	for (unsigned i = 0; i < 20000; i++) {
		struct ip client;

		snprintf(text, sizeof(text), "10.%u.%u.1", i / 256, i % 256);
		client = ip(text);
		for (unsigned n = 0; n < (i % 1000 == 999 ? 2 + i / 1000 : 1); n++)
			persistence_opened(p, WEB, &client, target, NOW);
	}
	root = ask(&fixture, "show persistence limit 3", "persistence");
	assert_count(root, "clients", 3);
	assert_number(root, "listed", 3);
	assert_number(root, "entries", 20000);
	assert_true(json_is_true(json_object_get(root, "truncated")));
	for (size_t i = 0; i < 3; i++)
		assert_number(at(root, "clients", i), "connections", 21 - (double)i);
	assert_text(at(root, "clients", 0), "client", "10.78.31.0/24");
	json_decref(root);
	root = ask(&fixture, "show persistence", "persistence");
	assert_number(root, "listed", 100);
	json_decref(root);
}

static void
test_flush(void **arg)
{
	static const char *const nothing[] = {"0 clients forgotten\n", NULL};
	static const char *const two[] = {"2 clients forgotten\n", NULL};
	struct persistence *p = allocation_persistence(fixture.parts.allocation);
	struct persistence_target target = {PERSISTENCE_SERVER, WEB_A};
	static const char *const clients[] = {"198.51.100.1", "198.51.101.1", "198.51.102.1"};
	json_t *root;

	(void)arg;
	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned i = 0; i < 3; i++) {
		struct ip client = ip(clients[i]);

		persistence_opened(p, WEB, &client, target, NOW);
	}
	assert_written("flush persistence service plain", "flush", nothing);
	assert_written("flush persistence client 203.0.113.1", "flush", nothing);
	root = ask(&fixture, "flush persistence client 198.51.101.99", "flush");
	assert_number(root, "flushed", 1);
	json_decref(root);
	root = ask(&fixture, "show persistence", "persistence");
	assert_count(root, "clients", 2);
	json_decref(root);
	assert_written("flush persistence service web", "flush", two);
	assert_written("flush persistence", "flush", nothing);
	log_set_level(LOG_LEVEL_INFO);
}

static void
test_persistence_text(void **arg)
{
	static const char *const empty[] = {"0 of ", " places used\n", NULL};
	static const char *const some[] = {
	    "SERVICE", "FOR", "192.0.2.0/24", "osaka", "1 of ", " places used\n", NULL};

	(void)arg;
	assert_written("show persistence", "persistence", empty);
	open_one(1, 4000, true);
	assert_written("show persistence", "persistence", some);
}

/* ---- limits ---- */

static void
test_limits_of_services(void **arg)
{
	json_t *root = ask(&fixture, "show limits", "limits");
	const json_t *o;

	(void)arg;
	assert_count(root, "services", 2); /* not the one without */
	o = at(root, "services", 0);
	assert_text(o, "service", "web");
	assert_number(o, "connections", 3);
	assert_number(o, "rate", 0.5);
	assert_number(o, "burst", 8);
	assert_number(o, "mask_v4", 32);
	assert_number(o, "mask_v6", 64);
	assert_number(o, "refused_connections", 0);
	assert_number(o, "refused_rate", 0);
	o = at(root, "services", 1);
	assert_text(o, "service", "slow");
	assert_number(o, "connections", 0); /* no such limit */
	assert_number(o, "burst", 3);       /* what comes in a second */
	assert_number(o, "mask_v4", 16);
	assert_count(root, "clients", 0);
	json_decref(root);
	root = ask(&fixture, "show limits service slow", "limits");
	assert_count(root, "services", 1);
	json_decref(root);
	root = ask(&fixture, "show limits service plain", "limits");
	assert_count(root, "services", 0);
	json_decref(root);
}

static void
test_limited(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(admit(WEB, "192.0.2.1"), DROP_none);
		open_one(1, 4000 + i, false);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(admit(WEB, "192.0.2.1"), DROP_client_connections);
	assert_int_equal(admit(WEB, "192.0.2.2"), DROP_none);
	open_one(2, 4000, false);
	root = ask(&fixture, "show limits", "limits");
	assert_number(at(root, "services", 0), "refused_connections", 2);
	assert_number(at(root, "services", 0), "refused_rate", 0);
	assert_count(root, "clients", 2);
	o = at(root, "clients", 0); /* the most first */
	assert_text(o, "client", "192.0.2.1");
	assert_number(o, "connections", 3);
	assert_number(o, "tokens", 5);
	assert_number(o, "refused", 2);
	assert_text(o, "limited_by", "connections");
	o = at(root, "clients", 1);
	assert_text(o, "client", "192.0.2.2");
	assert_number(o, "tokens", 7);
	assert_is_null(o, "limited_by");
	assert_number(root, "entries", 2);
	json_decref(root);
	root = ask(&fixture, "show limits client 192.0.2.2", "limits");
	assert_count(root, "clients", 1);
	json_decref(root);
}

static void
test_limited_by_rate(void **arg)
{
	json_t *root;

	(void)arg;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(admit(SLOW, i == 0 ? "192.0.2.1" : "192.0.99.1"), DROP_none);
	assert_int_equal(admit(SLOW, "192.0.2.1"), DROP_client_rate); /* all of 192.0/16 */
	root = ask(&fixture, "show limits service slow", "limits");
	assert_number(at(root, "services", 0), "refused_rate", 1);
	assert_text(at(root, "clients", 0), "client", "192.0.0.0/16");
	assert_number(at(root, "clients", 0), "tokens", 0);
	assert_text(at(root, "clients", 0), "limited_by", "rate");
	json_decref(root);
}

static void
test_limits_text(void **arg)
{
	static const char *const empty[] = {"BY RATE", "/32 /64", "/16 /64", "2.5", NULL};
	static const char *const none[] = {"no limits for clients\n", "0 of ", NULL};
	static const char *const some[] = {"192.0.2.1", "LIMITED BY", "connections\n", NULL};

	(void)arg;
	assert_written("show limits", "limits", empty);
	assert_written("show limits service plain", "limits", none);
	for (uint16_t i = 0; i < 3; i++)
		open_one(1, 4000 + i, false);
	assert_written("show limits", "limits", some);
}

/* ---- both ---- */

static void
test_faults(void **arg)
{
	static const char *const views[] = {"show persistence", "show limits"};
	char line[128];

	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(line, sizeof(line), "%s service no", views[i]);
		assert_error(&fixture, line, CONTROL_NOT_FOUND, "no");
		snprintf(line, sizeof(line), "%s client 192.0.2.1:80", views[i]);
		assert_error(&fixture, line, CONTROL_BAD, "address");
		snprintf(line, sizeof(line), "%s limit 0", views[i]);
		assert_error(&fixture, line, CONTROL_BAD, "1 to 10000");
		snprintf(line, sizeof(line), "%s limit 10001", views[i]);
		assert_error(&fixture, line, CONTROL_BAD, "1 to 10000");
		snprintf(line, sizeof(line), "%s limit -1", views[i]);
		assert_error(&fixture, line, CONTROL_BAD, "1 to 10000");
	}
	assert_error(&fixture, "flush persistence service no", CONTROL_NOT_FOUND, "no");
	assert_error(&fixture, "flush persistence client x", CONTROL_BAD, "address");
	assert_error(&fixture, "flush persistence limit 1", CONTROL_BAD, "");
}

/* Who may only look may not flush. */
static void
test_flush_is_a_change(void **arg)
{
	char *answer = ask_as(&fixture, "flush persistence", 1000, 0);

	(void)arg;
	assert_int_equal(strncmp(answer, "err ", 4), 0);
	free(answer);
}

/* A daemon that remembers nobody says so. */
static void
test_nothing_remembered(void **arg)
{
	struct control_fixture f;
	json_t *root;

	(void)arg;
	control_fixture_init(&f, SITE_TEXT, 64);
	root = ask(&f, "show persistence", "persistence");
	assert_count(root, "clients", 0);
	assert_number(root, "capacity", 0);
	json_decref(root);
	root = ask(&f, "show limits", "limits");
	assert_count(root, "services", 0);
	json_decref(root);
	root = ask(&f, "flush persistence", "flush");
	assert_number(root, "flushed", 0);
	json_decref(root);
	control_fixture_fini(&f);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_persistence),
	    CASE(test_persistence_ends),
	    CASE(test_persistence_most),
	    CASE(test_flush),
	    CASE(test_persistence_text),
	    CASE(test_limits_of_services),
	    CASE(test_limited),
	    CASE(test_limited_by_rate),
	    CASE(test_limits_text),
	    CASE(test_faults),
	    CASE(test_flush_is_a_change),
	    CASE(test_nothing_remembered),
	};

	return cmocka_run_group_tests_name("control_clients", tests, NULL, NULL);
}
