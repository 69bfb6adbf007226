#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"
#include "control/commands.h"
#include "control/grammar.h"
#include "control/sampler.h"
#include "control_fixture.h"

static struct control_fixture fixture;

static int
setup(void **arg)
{
	(void)arg;
	control_fixture_init(&fixture, SITE_TEXT, 64);
	fixture_all_up(fixture.parts.load);
	return 0;
}

static int
teardown(void **arg)
{
	(void)arg;
	control_fixture_fini(&fixture);
	return 0;
}

static void
test_version(void **arg)
{
	json_t *root = ask(&fixture, "version", "version");

	(void)arg;
	assert_text(root, "site", "tokyo");
	assert_true(json_string_length(json_object_get(root, "version")) > 0);
	json_decref(root);
}

static void
test_help_is_the_table(void **arg)
{
	json_t *root = ask(&fixture, "help", "help");
	char syntax[GRAMMAR_SYNTAX];
	size_t next = 0;

	(void)arg;
	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		const struct grammar_command *command = grammar_command((enum grammar_id)i);
		const json_t *o;

		if (command->right == GRAMMAR_TOOL)
			continue;
		o = at(root, "commands", next++);
		assert_text(o, "command", grammar_syntax((enum grammar_id)i, syntax));
		assert_text(o, "help", command->help);
		assert_text(o, "right", command->right == GRAMMAR_CHANGE ? "change" : "look");
	}
	assert_count(root, "commands", next);
	json_decref(root);
}

static void
test_summary(void **arg)
{
	struct sampler sampler = {0};
	json_t *root;
	const json_t *o;

	(void)arg;
	sampler_read(&sampler, &fixture.counters, NOW - 2 * CLOCK_SECOND);
	counter_add(&fixture.counters, COUNTER_connections_local, 10);
	counter_add(&fixture.counters, COUNTER_connections_received, 5);
	counter_add(&fixture.counters, COUNTER_bytes_in, 3000);
	counter_add(&fixture.counters, COUNTER_transfer_packets_out, 1);
	sampler_read(&sampler, &fixture.counters, NOW);
	fixture.parts.sampler = &sampler;
	control_fixture_osaka(&fixture, 200);
	load_table_transferred_opened(fixture.parts.load, OSAKA, WEB);
	control_fixture_connect(&fixture, 1, 4000, false);
	load_table_server_opened(fixture.parts.load, WEB_A);
	root = ask(&fixture, "show summary", "summary");
	assert_text(root, "site", "tokyo");
	assert_number(root, "uptime_s", 20);
	assert_number(root, "connections", 1);
	assert_number(root, "connections_limit", 64);
	assert_number(root, "new_per_second", 7.5);
	assert_number(root, "bytes_in_per_second", 1500);
	assert_number(root, "transfer_packets_out_per_second", 0.5);
	assert_number(root, "packets_in_per_second", 0);
	assert_number(json_object_get(root, "connections_by_kind"), "local", 1);
	assert_number(json_object_get(root, "connections_by_state"), "opening", 1);
	assert_count(root, "services", 2);
	o = at(root, "services", 0);
	assert_text(o, "service", "web");
	assert_number(o, "servers", 2);
	assert_number(o, "servers_up", 2);
	assert_number(o, "load", 0.005);
	assert_number(o, "transferred_active", 1);
	assert_count(root, "sites", 2);
	o = at(root, "sites", 0);
	assert_text(o, "site", "osaka");
	assert_text(o, "state", "up");
	assert_text(o, "session", site_session_name(SITE_SESSION));
	assert_number(o, "transferred_active", 1);
	assert_text(at(root, "sites", 1), "state", "down");
	json_decref(root);
}

/* Without a sampler, and at a coordinator, which has no connections. */
static void
test_summary_without(void **arg)
{
	struct control_parts parts = fixture.parts;
	struct connection_table *connections = parts.connections;
	json_t *root;

	(void)arg;
	fixture.parts.connections = NULL;
	root = ask(&fixture, "show summary", "summary");
	assert_number(root, "connections", 0);
	assert_number(root, "connections_limit", 0);
	assert_number(root, "new_per_second", 0);
	json_decref(root);
	root = ask(&fixture, "show connections", "connections");
	assert_count(root, "connections", 0);
	json_decref(root);
	root = ask(&fixture, "explain 192.0.2.1:4000 web", "explain");
	assert_count(root, "existing", 0);
	json_decref(root);
	fixture.parts.connections = connections;
}

static void
test_services(void **arg)
{
	json_t *root = ask(&fixture, "show services", "services");
	const json_t *o = at(root, "services", 0);

	(void)arg;
	assert_text(o, "service", "web");
	assert_text(o, "protocol", "tcp");
	assert_text(o, "address", "203.0.113.10");
	assert_count(o, "addresses", 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "addresses"), 1)),
	    "2001:db8::10");
	assert_text(o, "ports", "80,443,8000-8002");
	assert_text(o, "scheduler", "twos");
	assert_text(o, "prefer", "local");
	assert_true(json_is_true(json_object_get(o, "permitted")));
	assert_number(o, "high_load", 0.75);
	assert_number(o, "capacity", 200);
	o = at(root, "services", 1);
	assert_text(o, "protocol", "udp");
	assert_text(o, "scheduler", "rr");
	assert_text(o, "ports", "53");
	assert_count(root, "services", 2);
	json_decref(root);
}

static void
test_servers(void **arg)
{
	struct load_table *load = fixture.parts.load;
	json_t *root;
	const json_t *o;

	(void)arg;
	for (int i = 0; i < 80; i++)
		load_table_server_opened(load, WEB_A);
	load_table_server_closed(load, WEB_A);
	load_table_server(load, WEB_A)->bytes_in = 1000000007;
	load_table_server_set_state(
	    load, WEB_B, SERVER_DOWN, "connection refused", NOW - 5 * CLOCK_SECOND);
	root = ask(&fixture, "show servers", "servers");
	assert_count(root, "servers", 3);
	o = at(root, "servers", 0);
	assert_text(o, "service", "web");
	assert_text(o, "name", "a");
	assert_text(o, "address", "10.1.0.11:8080");
	assert_text(o, "state", "up");
	assert_text(o, "admin", "enabled");
	assert_is_null(o, "cause");
	assert_number(o, "load", 0.79);
	assert_true(json_is_true(json_object_get(o, "high")));
	assert_number(o, "weight", 10);
	assert_number(o, "active", 79);
	assert_number(o, "max_connections", 100);
	assert_number(o, "total", 80);
	assert_number(o, "bytes_in", 1000000007);
	assert_number(o, "bytes_out", 0);
	assert_number(o, "packets_in", 0);
	assert_number(o, "packets_out", 0);
	o = at(root, "servers", 1);
	assert_text(o, "address", "10.1.0.12");
	assert_count(o, "addresses", 2);
	assert_text(o, "state", "down");
	assert_text(o, "cause", "connection refused");
	assert_number(o, "since_s", 5);
	json_decref(root);
	root = ask(&fixture, "show servers weather", "servers");
	assert_count(root, "servers", 1);
	assert_text(at(root, "servers", 0), "service", "weather");
	json_decref(root);
	assert_error(&fixture, "show servers nope", CONTROL_NOT_FOUND, "no service \"nope\"");
	/* names are no words of the grammar: prefixes do not count */
	assert_error(&fixture, "show servers we", CONTROL_NOT_FOUND, "no service \"we\"");
}

/* A server that a reload took out is shown while it has connections. */
static void
test_removed_server(void **arg)
{
	struct config *config = fixture_config(
	    "site = \"tokyo\"; services: ( { name = \"web\"; address = \"203.0.113.10\";"
	    " protocol = \"tcp\"; ports = [ 80 ]; servers: ( { name = \"c\";"
	    " address = \"10.1.0.14\"; } ); } );");
	json_t *root;

	(void)arg;
	load_table_server_opened(fixture.parts.load, WEB_A);
	load_table_apply(fixture.parts.load, config, NOW);
	root = ask(&fixture, "show servers", "servers");
	assert_count(root, "servers", 2);
	assert_text(at(root, "servers", 0), "name", "a");
	assert_true(json_is_false(json_object_get(at(root, "servers", 0), "present")));
	assert_true(json_is_true(json_object_get(at(root, "servers", 1), "present")));
	json_decref(root);
	root = ask(&fixture, "show services", "services");
	assert_count(root, "services", 1);
	json_decref(root);
	root = ask(&fixture, "show sites", "sites");
	assert_count(root, "sites", 0);
	json_decref(root);
	assert_error(&fixture, "server web/a drain", CONTROL_NOT_FOUND, "no server");
	config_free(config);
}

static void
test_sites(void **arg)
{
	json_t *root;
	const json_t *o, *s;

	(void)arg;
	control_fixture_osaka(&fixture, 375);
	load_table_site_error(fixture.parts.load, KOBE, "certificate \"%s\" expired", "kobe");
	load_table_transferred_opened(fixture.parts.load, OSAKA, WEB);
	load_table_received_opened(fixture.parts.load, OSAKA, WEB, CLOCK_SECOND);
	load_table_received_opened(fixture.parts.load, OSAKA, WEB, CLOCK_SECOND);
	load_table_received_closed(fixture.parts.load, OSAKA, WEB);
	root = ask(&fixture, "show sites", "sites");
	o = at(root, "sites", 0);
	assert_text(o, "site", "osaka");
	assert_text(o, "state", "up");
	assert_text(o, "direct", "unknown");
	assert_number(o, "rtt_ms", 12.5);
	assert_number(o, "session_s", 20);
	assert_true(json_is_true(json_object_get(o, "keys")));
	assert_is_null(o, "error");
	assert_text(o, "transfer_address", "192.0.2.2:7210");
	assert_number(o, "transferred_active", 1);
	assert_number(o, "transferred_total", 1);
	assert_number(o, "received_active", 1);
	assert_number(o, "received_total", 2);
	s = at(o, "services", 0);
	assert_text(s, "service", "web");
	assert_number(s, "servers_up", 3);
	assert_number(s, "servers_not_high", 2);
	assert_number(s, "transferable", 250);
	assert_true(json_is_true(json_object_get(s, "permitted")));
	assert_number(s, "load", 0.375);
	assert_number(s, "age_ms", 300);
	o = at(root, "sites", 1);
	assert_text(o, "state", "down");
	assert_is_null(o, "rtt_ms");
	assert_text(o, "error", "certificate \"kobe\" expired");
	assert_count(o, "services", 0);
	json_decref(root);
}

/* What was not reported is null, not 0. */
static void
test_site_without_report(void **arg)
{
	json_t *root;
	const json_t *s;

	(void)arg;
	control_fixture_osaka(&fixture, 0);
	load_table_site(fixture.parts.load, OSAKA)->services[0].reported = false;
	root = ask(&fixture, "show sites", "sites");
	s = at(at(root, "sites", 0), "services", 0);
	assert_is_null(s, "load");
	assert_is_null(s, "servers_up");
	assert_is_null(s, "permitted");
	assert_is_null(s, "age_ms");
	json_decref(root);
}

static void
test_connections(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	control_fixture_connect(&fixture, 1, 4000, false);
	control_fixture_connect(&fixture, 2, 4001, true);
	root = ask(&fixture, "show connections", "connections");
	assert_count(root, "connections", 2);
	assert_number(root, "listed", 2);
	assert_number(root, "live", 2);
	assert_true(json_is_false(json_object_get(root, "truncated")));
	json_decref(root);
	root = ask(&fixture, "show connections kind local", "connections");
	assert_count(root, "connections", 1);
	o = at(root, "connections", 0);
	assert_text(o, "protocol", "tcp");
	assert_text(o, "kind", "local");
	assert_text(o, "service", "web");
	assert_text(o, "client", "192.0.2.1:4000");
	assert_text(o, "service_address", "203.0.113.10:443");
	assert_text(o, "server", "10.1.0.11:8080");
	assert_text(o, "server_name", "a");
	assert_is_null(o, "transferor");
	assert_is_null(o, "transferee");
	assert_memory_equal(json_string_value(json_object_get(o, "self")), "203.0.113.10:", 13);
	assert_text(o, "state", "opening");
	assert_number(o, "idle_ms", 1000);
	assert_number(o, "packets", 1);
	assert_number(o, "bytes", 60);
	json_decref(root);
	root = ask(&fixture, "show connections kind transferred", "connections");
	o = at(root, "connections", 0);
	assert_text(o, "client", "192.0.2.2:4001");
	assert_text(o, "transferor", "tokyo");
	assert_text(o, "transferee", "osaka");
	assert_is_null(o, "server");
	assert_is_null(o, "self");
	json_decref(root);
}

static void
assert_listed(const char *line, size_t count)
{
	json_t *root = ask(&fixture, line, "connections");

	assert_count(root, "connections", count);
	json_decref(root);
}

static void
test_connection_filters(void **arg)
{
	(void)arg;
	for (unsigned i = 0; i < 10; i++)
		control_fixture_connect(&fixture, 1 + i % 2, (uint16_t)(4000 + i), i % 5 == 0);
	assert_listed("show connections service web", 10);
	assert_listed("show connections service weather", 0);
	assert_listed("show connections client 192.0.2.1", 5);
	assert_listed("show connections client 192.0.2.1:4002", 1);
	assert_listed("show connections client 192.0.2.1:4001", 0);
	assert_listed("show connections client 2001:db8::1", 0);
	assert_listed("show connections kind local", 8);
	assert_listed("show connections kind l", 8);
	assert_listed("show connections kind received", 0);
	assert_listed("show connections state opening", 10);
	assert_listed("show connections state est", 0);
	assert_listed("show connections client 192.0.2.1 kind transferred", 1);
	assert_listed("sh conn k t cl 192.0.2.2 li 9 st op se web", 1);
	assert_error(&fixture, "show connections service nope", CONTROL_NOT_FOUND, "nope");
	assert_error(&fixture, "show connections client 192.0.2", CONTROL_BAD, "address");
	assert_error(&fixture, "show connections client 192.0.2.1:0", CONTROL_BAD, "address");
	assert_error(&fixture, "show connections kind foreign", CONTROL_BAD,
	    "kind is one of local|transferred|received|passed");
	assert_error(
	    &fixture, "show connections s web", CONTROL_BAD, "ambiguous \"s\": service, state");
	assert_error(&fixture, "show connections web", CONTROL_BAD, "unexpected \"web\"");
	assert_error(&fixture, "show connections kind", CONTROL_BAD, "kind lacks its value");
	assert_error(&fixture, "show connections kind local kind local", CONTROL_BAD, "twice");
}

static void
test_connection_limit(void **arg)
{
	static const char *const bad[] = {
	    "0", "4294967296", "-1", "1x", "+1", "0x10", "1.0", "99999999999999999999999"};
	char line[80];
	json_t *root;

	(void)arg;
	for (unsigned i = 0; i < 10; i++)
		control_fixture_connect(&fixture, 1, (uint16_t)(4000 + i), false);
	root = ask(&fixture, "show connections limit 9", "connections");
	assert_count(root, "connections", 9);
	assert_true(json_is_true(json_object_get(root, "truncated")));
	json_decref(root);
	root = ask(&fixture, "show connections limit 10", "connections");
	assert_count(root, "connections", 10);
	assert_true(json_is_false(json_object_get(root, "truncated")));
	json_decref(root);
	assert_listed("show connections limit 10000", 10);
	assert_listed("show connections limit 4294967295", 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "show connections limit %s", bad[i]);
		assert_error(
		    &fixture, line, CONTROL_BAD, "limit is a number from 1 to 4294967295");
	}
}

/* A table of many: all of them without a limit, and a request that takes more than one slice. */
static void
test_many_connections(void **arg)
{
	struct control_fixture big;
	struct request *request;
	unsigned slices = 1;
	json_t *root;

	(void)arg;
	control_fixture_init(&big, SITE_TEXT, 131072); /* a quarter may be half open */
	for (unsigned i = 0; i < 20000; i++)
		control_fixture_connect(&big, 1 + i / 10000, (uint16_t)(2000 + i % 10000), true);
	root = ask(&big, "show connections", "connections");
	assert_count(root, "connections", 20000);
	assert_true(json_is_false(json_object_get(root, "truncated")));
	assert_number(root, "live", 20000);
	json_decref(root);
	root = ask(&big, "show connections client 192.0.2.2 limit 10000", "connections");
	assert_count(root, "connections", 10000);
	assert_true(json_is_false(json_object_get(root, "truncated")));
	json_decref(root);
	request = request_new(&big.parts, "show connections kind local", 27, 0, true);
	while (!request_run(request, NOW))
		slices++;
	assert_in_range(slices, 2, 10);
	request_free(request);
	request = request_new(&big.parts, "show connections kind t", 23, 0, true);
	for (slices = 1; !request_run(request, NOW); slices++)
		;
	assert_in_range(slices, 20000 / 150, 20000 / 100);
	request_free(request);
	/* one that is given up half way leaves nothing behind */
	request = request_new(&big.parts, "show connections", 16, 0, true);
	assert_false(request_run(request, NOW));
	request_free(request);
	control_fixture_fini(&big);
}

/* The pieces, without what stands around them, are the answer that is given whole; each is small, and
 * each line holds one connection. */
static void
test_connections_in_pieces(void **arg)
{
	const char *line = "show connections";
	size_t len, whole_len, all = 0, most = 0, lines = 0;
	struct request *request;
	struct control_fixture big;
	char *whole, *joined, *body, *text;
	bool done;

	(void)arg;
	control_fixture_init(&big, SITE_TEXT, 131072);
	for (unsigned i = 0; i < 12000; i++)
		control_fixture_connect(&big, 1 + i / 10000, (uint16_t)(2000 + i % 10000), true);
	whole = ask_as(&big, line, 0, 0);
	whole_len = strtoul(whole + 3, &body, 10);
	body++;
	joined = xmalloc(whole_len + 1);
	request = request_new(&big.parts, line, strlen(line), 0, false);
	do {
		char *at;
		unsigned long piece;

		done = request_run(request, NOW);
		assert_true(request->pieces);
		text = done ? request_answer(request, &len) : request_piece(request, &len);
		at = text;
		if (all == 0) {
			assert_memory_equal(at, "ok pieces\n", 10);
			at += 10;
		}
		piece = strtoul(at, &at, 10);
		assert_int_equal(*at, '\n');
		assert_true(all + piece <= whole_len);
		memcpy(joined + all, at + 1, piece);
		all += piece;
		most = piece > most ? piece : most;
		assert_string_equal(at + 1 + piece, done ? "0\n" : "");
		assert_int_equal(at + 1 + piece + (done ? 2 : 0) - text, len);
		free(text);
	} while (!done);
	request_free(request);
	assert_int_equal(all, whole_len);
	assert_memory_equal(joined, body, whole_len);
	assert_true(most < 131072);
	for (size_t i = 0; i < all; i++)
		lines += joined[i] == '\n';
	assert_int_equal(lines, 12000 + 2);
	free(joined);
	free(whole);
	control_fixture_fini(&big);
}

static void
test_counters(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(&fixture.counters, (enum counter)i, (uint64_t)i + 100);
	for (int i = 0; i < DROP_COUNT; i++)
		counter_drop(&fixture.counters, (enum drop)i);
	root = ask(&fixture, "show counters", "counters");
	o = json_object_get(root, "counters");
	assert_int_equal(json_object_size(o), COUNTER_COUNT);
	for (int i = 0; i < COUNTER_COUNT; i++)
		assert_number(o, counter_name((enum counter)i), i + 100);
	o = json_object_get(root, "drops");
	assert_int_equal(json_object_size(o), DROP_COUNT - 1);
	assert_null(json_object_get(o, "none"));
	assert_number(o, "table_full", 1);
	json_decref(root);
}

static void
test_explain_at_home(void **arg)
{
	json_t *root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	const json_t *o;

	(void)arg;
	assert_text(root, "client", "192.0.2.1");
	assert_text(root, "family", "ipv4");
	assert_text(root, "service_address", "203.0.113.10");
	assert_true(json_is_false(json_object_get(root, "martian")));
	o = json_object_get(root, "own");
	assert_number(o, "gate", 0);
	assert_number(o, "servers_up", 2);
	assert_text(at(root, "sites", 0), "reason", "no session");
	assert_number(at(root, "sites", 0), "probability", 0);
	assert_count(root, "servers", 2);
	/* (0 + 1) / 10 against (0 + 1) / 30: b wins unless both picks are a */
	assert_number(at(root, "servers", 0), "probability", 0.0625);
	assert_number(at(root, "servers", 1), "probability", 0.9375);
	assert_text(at(root, "servers", 0), "reason", "candidate");
	o = json_object_get(root, "outcome");
	assert_number(o, "own_server", 1);
	assert_number(o, "other_site", 0);
	assert_number(o, "refused", 0);
	json_decref(root);
}

static void
test_explain_away(void **arg)
{
	struct load_table *load = fixture.parts.load;
	json_t *root;
	const json_t *o;

	(void)arg;
	control_fixture_osaka(&fixture, 200);
	for (int i = 0; i < 80; i++) {
		load_table_server_opened(load, WEB_A);
		load_table_server_opened(load, WEB_B);
	}
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_number(json_object_get(root, "own"), "gate", 0.5);
	o = at(root, "sites", 0);
	assert_text(o, "site", "osaka");
	assert_text(o, "reason", "candidate");
	assert_true(json_is_true(json_object_get(o, "candidate")));
	assert_number(o, "capacity", 300);
	assert_number(o, "load", 0.2);
	assert_number(o, "fresh", 1);
	assert_number(o, "slow_start", 1);
	assert_number(o, "near", 0.8889);
	assert_number(o, "probability", 0.5);
	assert_text(at(root, "sites", 1), "reason", "no session");
	assert_float_equal(
	    json_number_value(json_object_get(at(root, "servers", 1), "probability")), 0.46875,
	    0.0001);
	o = json_object_get(root, "outcome");
	assert_number(o, "own_server", 0.5);
	assert_number(o, "other_site", 0.5);
	json_decref(root);
}

static void
test_explain_reasons(void **arg)
{
	struct load_table *load = fixture.parts.load;
	json_t *root;

	(void)arg;
	load_table_server_set_admin(load, WEB_A, SERVER_DRAINING, NOW);
	root = ask(&fixture, "explain [2001:db8::77]:4000 web", "explain");
	assert_text(root, "family", "ipv6");
	assert_text(at(root, "servers", 0), "reason", "draining");
	assert_text(at(root, "servers", 1), "address", "2001:db8:1::12");
	assert_number(at(root, "servers", 1), "probability", 1);
	json_decref(root);
	load_table_server_set_admin(load, WEB_A, SERVER_ENABLED, NOW);
	root = ask(&fixture, "explain 2001:db8::77 web", "explain");
	assert_text(at(root, "servers", 0), "reason", "no address of the client's family");
	assert_number(at(root, "servers", 1), "probability", 1);
	json_decref(root);
	load_table_server_set_state(load, WEB_A, SERVER_DOWN, "no answer in time", NOW);
	for (int i = 0; i < 100; i++)
		load_table_server_opened(load, WEB_B);
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_text(at(root, "servers", 0), "reason", "down");
	assert_text(at(root, "servers", 1), "reason", "full");
	assert_number(json_object_get(root, "outcome"), "refused", 1);
	json_decref(root);
	root = ask(&fixture, "explain 127.0.0.1 weather", "explain");
	assert_true(json_is_true(json_object_get(root, "martian")));
	json_decref(root);
}

/* Every scheduler is explained: certain for those that go by connections or address, else in shares. */
static void
test_explain_schedulers(void **arg)
{
	struct load_table *load = fixture.parts.load;

	(void)arg;
	for (int i = 0; i < 5; i++)
		load_table_server_opened(load, WEB_A);
	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		bool shared = kind == CONFIG_TWOS || kind == CONFIG_RR || kind == CONFIG_WRR;
		double sum = 0, most = 0;
		json_t *root;

		load_table_service(load, WEB)->scheduler = (enum config_scheduler)kind;
		load_table_service(load, WEB)->version++;
		root = ask(&fixture, "explain 192.0.2.1 web", "explain");
		assert_text(
		    root, "scheduler", config_scheduler_name((enum config_scheduler)kind));
		for (size_t i = 0; i < 2; i++) {
			double p = json_number_value(
			    json_object_get(at(root, "servers", i), "probability"));

			sum += p;
			most = p > most ? p : most;
		}
		assert_float_equal(sum, 1, 0.001);
		assert_true(shared ? most < 1 : most == 1);
		if (kind == CONFIG_LC)
			assert_number(at(root, "servers", 1), "probability", 1);
		json_decref(root);
	}
}

static void
test_explain_backup(void **arg)
{
	struct load_table *load = fixture.parts.load;
	struct service *web = load_table_service(load, WEB);
	json_t *root;

	(void)arg;
	/* as if the file said backup = true of b, which is among no sums meanwhile */
	load_table_server_set_weight(load, WEB_B, 0);
	load_table_server(load, WEB_B)->backup = true;
	web->backups = 1;
	load_table_server_set_weight(load, WEB_B, 3);
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_number(at(root, "servers", 0), "probability", 1);
	assert_text(at(root, "servers", 1), "reason", "backup, not in use");
	assert_true(json_is_false(json_object_get(at(root, "servers", 1), "candidate")));
	json_decref(root);
	load_table_server_set_state(load, WEB_A, SERVER_DOWN, "no answer in time", NOW);
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_text(at(root, "servers", 0), "reason", "down");
	assert_number(at(root, "servers", 1), "probability", 1);
	json_decref(root);
	root = ask(&fixture, "show services", "services");
	assert_true(json_is_true(json_object_get(at(root, "services", WEB), "on_backup")));
	assert_number(at(root, "services", WEB), "servers_up", 1);
	json_decref(root);
	root = ask(&fixture, "show servers web", "servers");
	assert_true(json_is_true(json_object_get(at(root, "servers", 1), "backup")));
	json_decref(root);
}

/* Up, but not for this family, and below the load at which the gate opens: the other site. */
static void
test_explain_last_resort(void **arg)
{
	struct allocation_decision decision;
	struct ip client;
	json_t *root;

	(void)arg;
	control_fixture_osaka(&fixture, 200);
	root = ask(&fixture, "explain 2001:db8::77 web", "explain");
	assert_true(json_is_false(json_object_get(json_object_get(root, "own"), "last_resort")));
	assert_text(at(root, "sites", 0), "reason", "not better than here");
	json_decref(root);
	load_table_server_set_admin(fixture.parts.load, WEB_B, SERVER_DISABLED, NOW);
	root = ask(&fixture, "explain 2001:db8::77 web", "explain");
	assert_number(json_object_get(root, "own"), "gate", 0);
	assert_true(json_is_true(json_object_get(json_object_get(root, "own"), "last_resort")));
	assert_text(at(root, "sites", 0), "reason", "candidate");
	assert_number(at(root, "sites", 0), "probability", 1);
	assert_number(json_object_get(root, "outcome"), "other_site", 1);
	assert_number(json_object_get(root, "outcome"), "refused", 0);
	json_decref(root);
	/* and that is what happens */
	assert_int_equal(ip_parse("2001:db8::77", &client), 0);
	allocation_decide(
	    fixture.parts.allocation, WEB, &client, &fixture.random, NOW, &decision);
	assert_int_equal(decision.where, ALLOCATION_SITE);
	assert_int_equal(decision.site, OSAKA);
}

/* What explain calculates is what allocation_decide() does, over and over. */
static void
test_explain_is_true(void **arg)
{
	enum { DECISIONS = 100000 };
	struct load_table *load = fixture.parts.load;
	unsigned away = 0, servers[2] = {0};
	struct ip client = ip_from_v4("\300\000\002\001");
	json_t *root;

	(void)arg;
	control_fixture_osaka(&fixture, 300);
	for (int i = 0; i < 78; i++) {
		load_table_server_opened(load, WEB_A);
		load_table_server_opened(load, WEB_B);
	}
	for (int i = 0; i < DECISIONS; i++) {
		struct allocation_decision decision;

		allocation_decide(
		    fixture.parts.allocation, WEB, &client, &fixture.random, NOW, &decision);
		if (decision.where == ALLOCATION_SITE)
			away++;
		else
			servers[decision.server == WEB_B]++;
	}
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_number(json_object_get(root, "outcome"), "other_site", 0.3);
	assert_float_equal(away / (double)DECISIONS, 0.3, 0.01);
	for (int i = 0; i < 2; i++)
		assert_float_equal(servers[i] / (double)DECISIONS,
		    json_number_value(
			json_object_get(at(root, "servers", (size_t)i), "probability")),
		    0.01);
	json_decref(root);
}

static void
test_explain_existing(void **arg)
{
	json_t *root;

	(void)arg;
	control_fixture_connect(&fixture, 1, 4000, false);
	root = ask(&fixture, "explain 192.0.2.1:4000 web", "explain");
	assert_count(root, "existing", 1);
	assert_text(at(root, "existing", 0), "server_name", "a");
	assert_text(at(root, "existing", 0), "service_address", "203.0.113.10:443");
	json_decref(root);
	root = ask(&fixture, "explain 192.0.2.1:4001 web", "explain");
	assert_count(root, "existing", 0);
	json_decref(root);
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_count(root, "existing", 0);
	json_decref(root);
}

static void
test_explain_bad(void **arg)
{
	(void)arg;
	assert_error(&fixture, "explain", CONTROL_BAD,
	    "incomplete command: explain CLIENT[:PORT] SERVICE");
	assert_error(&fixture, "explain 192.0.2.1", CONTROL_BAD, "incomplete command");
	assert_error(&fixture, "explain web 192.0.2.1", CONTROL_BAD, "client is an address");
	assert_error(
	    &fixture, "explain 192.0.2.1:99999 web", CONTROL_BAD, "client is an address");
	assert_error(&fixture, "explain 192.0.2.1 nope", CONTROL_NOT_FOUND, "nope");
	assert_error(&fixture, "explain 2001:db8::1 weather", CONTROL_BAD, "no IPv6 address");
	assert_error(&fixture, "explain 192.0.2.1 web x", CONTROL_BAD, "unexpected \"x\"");
}

static char logged[512];

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static void
test_server(void **arg)
{
	const struct server *server = load_table_server(fixture.parts.load, WEB_A);
	char *answer;
	json_t *root;

	(void)arg;
	logged[0] = '\0';
	log_set_hook(keep_line, NULL);
	answer = ask_as(&fixture, "server web/a disable", 1234, 1);
	assert_memory_equal(answer, "ok ", 3);
	free(answer);
	assert_int_equal(server->admin, SERVER_DISABLED);
	assert_non_null(strstr(logged, "service=web server=a admin=disabled uid=1234"));
	assert_false(server_usable(server));
	logged[0] = '\0';
	root = ask(&fixture, "server web/a disable", "server");
	assert_text(root, "before", "disabled");
	assert_string_equal(logged, ""); /* nothing changed */
	json_decref(root);
	root = ask(&fixture, "serve web/a dr", "server");
	assert_int_equal(server->admin, SERVER_DRAINING);
	assert_text(root, "admin", "draining");
	assert_text(root, "service", "web");
	assert_text(root, "name", "a");
	json_decref(root);
	root = ask(&fixture, "server web/a enable", "server");
	assert_int_equal(server->admin, SERVER_ENABLED);
	assert_true(server_usable(server));
	json_decref(root);
	log_set_hook(NULL, NULL);
}

static void
test_server_bad(void **arg)
{
	char line[300];

	(void)arg;
	assert_error(&fixture, "server web/a d", CONTROL_BAD, "ambiguous \"d\": disable, drain");
	assert_error(&fixture, "server web/a", CONTROL_BAD, "incomplete command: server");
	assert_error(&fixture, "server", CONTROL_BAD,
	    "incomplete command: next is one of add, remove, set, reset, or SERVICE/NAME");
	assert_error(&fixture, "server web/a stop", CONTROL_BAD, "enable|disable|drain|weight");
	assert_error(&fixture, "server web/a drain now", CONTROL_BAD, "unexpected \"now\"");
	assert_error(&fixture, "server web drain", CONTROL_BAD, "SERVICE/NAME");
	assert_error(&fixture, "server web/ drain", CONTROL_NOT_FOUND, "no server \"\"");
	assert_error(&fixture, "server /a drain", CONTROL_NOT_FOUND, "no service \"\"");
	assert_error(&fixture, "server web/a/b drain", CONTROL_NOT_FOUND, "no server \"a/b\"");
	assert_error(&fixture, "server web/A drain", CONTROL_NOT_FOUND, "no server \"A\"");
	snprintf(line, sizeof(line), "server %0200d/a drain", 0);
	assert_error(&fixture, line, CONTROL_NOT_FOUND, "no service");
	assert_int_equal(load_table_server(fixture.parts.load, WEB_A)->admin, SERVER_ENABLED);
}

static void
test_rights(void **arg)
{
	static const char *const changes[] = {"server web/a drain", "server add", "log debug",
	    "log nonsense", "se web/a dr", "server web/a weight 0", "reload", "re",
	    "server remove web/a", "server set web/a port 1", "server reset web/a"};
	static const char *const looks[] = {"show summary", "show servers", "show connections",
	    "explain 192.0.2.1 web", "version", "help"};
	char *answer;

	(void)arg;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		answer = ask_as(&fixture, changes[i], 1000, 0);
		assert_memory_equal(answer, "err 1 ", 6);
		free(answer);
	}
	assert_int_equal(load_table_server(fixture.parts.load, WEB_A)->admin, SERVER_ENABLED);
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		answer = ask_as(&fixture, looks[i], 1000, 0);
		assert_memory_equal(answer, "ok ", 3);
		free(answer);
	}
}

static void
test_log(void **arg)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	char line[32];
	json_t *root;

	(void)arg;
	log_set_hook(keep_line, NULL);
	for (int i = 3; i >= 0; i--) {
		snprintf(line, sizeof(line), "log %s", levels[i]);
		logged[0] = '\0';
		root = ask(&fixture, line, "log");
		assert_text(root, "level", levels[i]);
		json_decref(root);
		/* from info on it is said; from warn down only if the level before was chattier */
		if (i >= LOG_LEVEL_WARN)
			assert_non_null(strstr(logged, "uid=0"));
		logged[0] = '\0';
		log_info("probe");
		assert_string_equal(logged, i >= LOG_LEVEL_INFO ? "probe" : "");
	}
	json_decref(ask(&fixture, "log i", "log"));
	log_set_hook(NULL, NULL);
	assert_error(&fixture, "log", CONTROL_BAD, "incomplete command: log LEVEL");
	assert_error(&fixture, "log loud", CONTROL_BAD, "error|warn|info|debug");
}

static void
test_prefixes(void **arg)
{
	static const struct {
		const char *line, *view;
	} cases[] = {
	    {"sh su", "summary"},
	    {"sho serve", "servers"},
	    {"show servers", "servers"},
	    {"show servi", "services"},
	    {"sh si", "sites"},
	    {"sh conn", "connections"},
	    {"sh conf", "config"},
	    {"sh k", "keys"},
	    {"sh e", "errors"},
	    {"sh cou", "counters"},
	    {"v", "version"},
	    {"h", "help"},
	    {"e 192.0.2.1 web", "explain"},
	    {"  sh \t su  ", "summary"},
	    {"\tversion", "version"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		json_decref(ask(&fixture, cases[i].line, cases[i].view));
}

static void
test_ambiguous(void **arg)
{
	(void)arg;
	assert_error(&fixture, "s", CONTROL_BAD, "ambiguous \"s\": show, server, site");
	assert_error(&fixture, "show s", CONTROL_BAD,
	    "ambiguous \"s\": summary, services, servers, sites");
	assert_error(&fixture, "show ser", CONTROL_BAD, "ambiguous \"ser\": services, servers");
	assert_error(&fixture, "show co", CONTROL_BAD,
	    "ambiguous \"co\": connections, counters, config");
}

static void
test_bad_lines(void **arg)
{
	char line[CONTROL_LINE_MAX + 2], *answer;
	size_t len;

	(void)arg;
	assert_error(&fixture, "", CONTROL_BAD,
	    "incomplete command: next is one of show, explain, server, site, transfer, flush, "
	    "probe, "
	    "reload, log, monitor, version, help");
	assert_error(&fixture, " \t ", CONTROL_BAD, "incomplete command");
	assert_error(&fixture, "show", CONTROL_BAD, "next is one of summary, services");
	assert_error(&fixture, "shov", CONTROL_BAD, "unknown command \"shov\"");
	assert_error(&fixture, "Show summary", CONTROL_BAD, "unknown command");
	assert_error(&fixture, "show nothing", CONTROL_BAD, "unknown command \"nothing\"");
	assert_error(&fixture, "show summary x", CONTROL_BAD, "unexpected \"x\"");
	assert_error(&fixture, "cert ca", CONTROL_BAD, "unknown command \"cert\"");
	assert_error(&fixture, "top", CONTROL_BAD, "unknown command \"top\"");
	assert_error(&fixture, "version\r", CONTROL_BAD, "not text");
	assert_error(&fixture, "show \x1b[2J", CONTROL_BAD, "not text");
	assert_error(&fixture, "show \xc3\xa9", CONTROL_BAD, "not text");
	answer = control_answer(&fixture.parts, "version\0", 8, 0, 1, NOW, &len);
	assert_string_equal(answer, "err 2 request holds octets that are not text\n");
	free(answer);
	memset(line, 'x', sizeof(line));
	line[CONTROL_LINE_MAX + 1] = '\0';
	assert_error(&fixture, line, CONTROL_BAD, "longer than 1024");
	line[CONTROL_LINE_MAX] = '\0';
	assert_error(&fixture, line, CONTROL_BAD, "unknown command \"xxxxx");
	for (size_t i = 0; i < CONTROL_LINE_MAX; i += 2)
		line[i] = ' ';
	assert_error(&fixture, line, CONTROL_BAD, "more than 32 words");
}

/* The grammar's choices are in the order of what they stand for. */
static void
test_choices(void **arg)
{
	char choices[128] = "";

	(void)arg;
	for (int i = 0; i < CONNECTION_KINDS; i++)
		sprintf(choices + strlen(choices), "%s%s", i > 0 ? "|" : "",
		    connection_kind_name((enum connection_kind)i));
	assert_string_equal(
	    grammar_command(GRAMMAR_SHOW_CONNECTIONS)->arguments[2].choices, choices);
	choices[0] = '\0';
	for (int i = 0; i < CONNECTION_STATES; i++)
		sprintf(choices + strlen(choices), "%s%s", i > 0 ? "|" : "",
		    connection_state_name((enum connection_state)i));
	assert_string_equal(
	    grammar_command(GRAMMAR_SHOW_CONNECTIONS)->arguments[3].choices, choices);
	choices[0] = '\0';
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		sprintf(choices + strlen(choices), "%s%s", i > 0 ? "|" : "",
		    log_level_name((enum log_level)i));
	assert_string_equal(grammar_command(GRAMMAR_LOG)->arguments[0].choices, choices);
	assert_string_equal(grammar_command(GRAMMAR_MONITOR)->arguments[0].choices, choices);
}

static void
test_sampler(void **arg)
{
	struct sampler sampler = {0};
	struct counters counters = {0};

	(void)arg;
	assert_true(sampler_rate(NULL, COUNTER_packets_in) == 0);
	counter_add(&counters, COUNTER_packets_in, 1000);
	sampler_read(&sampler, &counters, NOW);
	/* what was counted before the first reading is no rate */
	assert_true(sampler_rate(&sampler, COUNTER_packets_in) == 0);
	counter_add(&counters, COUNTER_packets_in, 300);
	sampler_read(&sampler, &counters, NOW + 2 * CLOCK_SECOND);
	assert_float_equal(sampler_rate(&sampler, COUNTER_packets_in), 150, 1e-9);
	sampler_read(&sampler, &counters, NOW + 2 * CLOCK_SECOND);
	assert_float_equal(sampler_rate(&sampler, COUNTER_packets_in), 150, 1e-9);
	sampler_read(&sampler, &counters, NOW + 3 * CLOCK_SECOND);
	assert_true(sampler_rate(&sampler, COUNTER_packets_in) == 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_version),
	    T(test_help_is_the_table),
	    T(test_summary),
	    T(test_summary_without),
	    T(test_services),
	    T(test_servers),
	    T(test_removed_server),
	    T(test_sites),
	    T(test_site_without_report),
	    T(test_connections),
	    T(test_connection_filters),
	    T(test_connection_limit),
	    T(test_connections_in_pieces),
	    T(test_many_connections),
	    T(test_counters),
	    T(test_explain_at_home),
	    T(test_explain_away),
	    T(test_explain_reasons),
	    T(test_explain_schedulers),
	    T(test_explain_backup),
	    T(test_explain_last_resort),
	    T(test_explain_is_true),
	    T(test_explain_existing),
	    T(test_explain_bad),
	    T(test_server),
	    T(test_server_bad),
	    T(test_rights),
	    T(test_log),
	    T(test_prefixes),
	    T(test_ambiguous),
	    T(test_bad_lines),
	    cmocka_unit_test(test_choices),
	    cmocka_unit_test(test_sampler),
	};
#undef T

	log_open("test", true);
	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
