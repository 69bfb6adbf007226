/*
 * What is in force, what is wrong with it, and what changes it: show config, show errors, show
 * keys, reload, weights, and monitor as far as it needs no socket.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <time.h>

#include "base/log.h"
#include "config/write.h"
#include "control/commands.h"
#include "control_fixture.h"
#include "transfer/keyring.h"

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
	log_set_hook(NULL, NULL);
	control_fixture_fini(&fixture);
	return 0;
}

static char logged[512];

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

/* ---- show config ---- */

static void
test_config(void **arg)
{
	json_t *root = ask(&fixture, "show config", "config"), *config;
	char *text = config_text(fixture.config);
	const json_t *web, *b;
	struct config_faults faults;
	struct config *again;

	(void)arg;
	assert_text(root, "file", "fixture");
	assert_text(root, "text", text);
	again = config_parse(text, "again", &faults);
	assert_non_null(again);
	config_faults_free(&faults);
	config_free(again);
	free(text);
	config = json_object_get(root, "config");
	assert_text(config, "site", "tokyo");
	assert_text(json_object_get(config, "device"), "name", "wlad0"); /* a default */
	assert_count(config, "self_addresses", 0);
	assert_count(config, "services", 2);
	web = at(config, "services", 0);
	assert_number(web, "high_load", 0.75);
	assert_count(web, "ports", 5);
	assert_true(json_is_array(json_object_get(web, "address")));
	assert_text(json_object_get(web, "check"), "type", "tcp");
	assert_is_null(json_object_get(web, "check"), "path"); /* no http */
	assert_number(at(web, "servers", 0), "port", 8080);
	b = at(web, "servers", 1);
	assert_is_null(b, "port"); /* the port that the client asked for */
	assert_number(b, "weight", 30);
	assert_text(at(config, "peers", 1), "site", "kobe");
	assert_text(json_object_get(config, "load"), "key", "/a.key"); /* where it is, not what */
	json_decref(root);
}

/* What is shown is the configuration: an administrator's weight is not. */
static void
test_config_is_the_file(void **arg)
{
	json_t *root;

	(void)arg;
	json_decref(ask(&fixture, "server web/a weight 7", "server"));
	root = ask(&fixture, "show config", "config");
	assert_number(
	    at(at(json_object_get(root, "config"), "services", 0), "servers", 0), "weight", 10);
	json_decref(root);
}

/* ---- show errors ---- */

static int64_t expiry;

static int64_t
fake_expiry(void *arg)
{
	assert_ptr_equal(arg, &expiry);
	return expiry;
}

static void
test_no_errors(void **arg)
{
	json_t *root;

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	load_table_site_services(fixture.parts.load, KOBE, NULL, 0);
	load_table_site_session(fixture.parts.load, KOBE, SITE_SESSION, NOW);
	load_table_site_keys(fixture.parts.load, KOBE, true, NOW);
	load_table_site_set_path(fixture.parts.load, KOBE, SITE_PATH_ALIVE, NOW);
	root = ask(&fixture, "show errors", "errors");
	assert_count(root, "sites", 0);
	assert_count(root, "servers", 0);
	assert_count(root, "drops", 0);
	assert_is_null(root, "reload");
	assert_is_null(root, "certificate");
	json_decref(root);
}

static void
test_error_sites(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	load_table_site_error(fixture.parts.load, OSAKA, "certificate \"%s\" expired", "osaka");
	load_table_site_session(
	    fixture.parts.load, KOBE, SITE_CONNECTING, NOW - 9 * CLOCK_SECOND);
	root = ask(&fixture, "show errors", "errors");
	assert_count(root, "sites", 2);
	o = at(root, "sites", 0);
	assert_text(o, "site", "osaka"); /* up again, but that is what was wrong last */
	assert_text(o, "state", "up");
	assert_text(o, "error", "certificate \"osaka\" expired");
	o = at(root, "sites", 1);
	assert_text(o, "site", "kobe");
	assert_text(o, "state", "down");
	assert_text(o, "session", "connecting");
	assert_number(o, "session_s", 9);
	assert_is_null(o, "error");
	json_decref(root);
}

static void
test_error_servers(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	load_table_server_set_state(fixture.parts.load, WEB_B, SERVER_DOWN, "no answer in time",
	    NOW - 75 * CLOCK_SECOND);
	load_table_server_set_admin(fixture.parts.load, WEB_A, SERVER_DISABLED, NOW); /* no error */
	root = ask(&fixture, "show errors", "errors");
	assert_count(root, "servers", 1);
	o = at(root, "servers", 0);
	assert_text(o, "service", "web");
	assert_text(o, "name", "b");
	assert_text(o, "address", "10.1.0.12");
	assert_count(o, "addresses", 2);
	assert_text(o, "cause", "no answer in time");
	assert_number(o, "since_s", 75);
	json_decref(root);
}

static void
test_error_drops(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	counter_drop(&fixture.counters, DROP_none);
	counter_drop(&fixture.counters, DROP_ttl);
	counter_drop(&fixture.counters, DROP_ttl);
	counter_drop(&fixture.counters, DROP_internal);
	root = ask(&fixture, "show errors", "errors");
	assert_count(root, "drops", 2);
	o = at(root, "drops", 0);
	assert_text(o, "reason", "ttl");
	assert_number(o, "count", 2);
	assert_text(o, "help", drop_help(DROP_ttl));
	assert_text(at(root, "drops", 1), "reason", "internal");
	json_decref(root);
}

static void
test_error_certificate(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	fixture.parts.certificate_expiry = fake_expiry;
	fixture.parts.certificate_arg = &expiry;
	expiry = 0; /* there is none */
	root = ask(&fixture, "show errors", "errors");
	assert_is_null(root, "certificate");
	json_decref(root);
	expiry = 2000000000;
	root = ask(&fixture, "show errors", "errors");
	o = json_object_get(root, "certificate");
	assert_text(o, "file", "/a.crt");
	assert_text(o, "expires", "2033-05-18T03:33:20Z");
	assert_float_equal(json_number_value(json_object_get(o, "left_s")),
	    2000000000.0 - (double)time(NULL), 5);
	json_decref(root);
	expiry = 1000000000; /* it is over */
	root = ask(&fixture, "show errors", "errors");
	o = json_object_get(root, "certificate");
	assert_true(json_number_value(json_object_get(o, "left_s")) < -700000000);
	json_decref(root);
}

/* ---- reload ---- */

static const char *faults_to_give;
static int reloads;

static int
fake_reload(void *arg, char *error, size_t size)
{
	assert_ptr_equal(arg, &reloads);
	assert_true(size >= 4096);
	assert_int_equal(error[0], '\0');
	reloads++;
	if (faults_to_give == NULL)
		return 0;
	snprintf(error, size, "%s", faults_to_give);
	return -1;
}

static void
test_reload(void **arg)
{
	struct control_reload last = {0};
	json_t *root;

	(void)arg;
	assert_error(&fixture, "reload", CONTROL_FAILED, "not supported");
	fixture.parts.reload = fake_reload;
	fixture.parts.reload_arg = &reloads;
	fixture.parts.last_reload = &last;
	reloads = 0;
	faults_to_give = NULL;
	log_set_hook(keep_line, NULL);
	root = ask(&fixture, "rel", "reload");
	assert_int_equal(reloads, 1);
	assert_true(json_is_true(json_object_get(root, "reloaded")));
	assert_count(root, "faults", 0);
	assert_string_equal(logged, "reload requested uid=0");
	json_decref(root);
	root = ask(&fixture, "show errors", "errors");
	assert_true(json_is_true(json_object_get(json_object_get(root, "reload"), "reloaded")));
	assert_number(json_object_get(root, "reload"), "since_s", 0);
	json_decref(root);
	assert_error(&fixture, "reload now", CONTROL_BAD, "unexpected \"now\"");
	assert_int_equal(reloads, 1);
	free(last.faults);
}

/* Several faults are an answer, every one of them, and are remembered until it is done. */
static void
test_reload_faults(void **arg)
{
	static const char faults[] =
	    "/etc/wlad.conf:3: site: must be \"a\"\n/etc/wlad.conf:9: x\n";
	struct control_reload last = {0};
	json_t *root;
	const json_t *o;

	(void)arg;
	fixture.parts.reload = fake_reload;
	fixture.parts.reload_arg = &reloads;
	fixture.parts.last_reload = &last;
	faults_to_give = faults;
	root = ask(&fixture, "reload", "reload");
	assert_true(json_is_false(json_object_get(root, "reloaded")));
	assert_count(root, "faults", 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(root, "faults"), 0)),
	    "/etc/wlad.conf:3: site: must be \"a\"");
	json_decref(root);
	root = ask(&fixture, "show errors", "errors");
	o = json_object_get(root, "reload");
	assert_true(json_is_false(json_object_get(o, "reloaded")));
	assert_count(o, "faults", 2);
	json_decref(root);
	/* one that gives no reason is refused all the same */
	faults_to_give = "";
	root = ask(&fixture, "reload", "reload");
	assert_true(json_is_false(json_object_get(root, "reloaded")));
	assert_count(root, "faults", 0);
	json_decref(root);
	root = ask(&fixture, "show errors", "errors");
	assert_true(json_is_false(json_object_get(json_object_get(root, "reload"), "reloaded")));
	json_decref(root);
	faults_to_give = NULL;
	json_decref(ask(&fixture, "reload", "reload"));
	assert_null(last.faults);
	assert_int_equal(last.at, NOW);
	/* without a place to keep it */
	fixture.parts.last_reload = NULL;
	json_decref(ask(&fixture, "reload", "reload"));
}

/* ---- show keys ---- */

static void
test_keys(void **arg)
{
	static const uint8_t direction[KEYS_SECRET_LEN] = {1};
	struct keyring *ring = keyring_new(&fixture.random);
	struct transfer_tx *tx = transfer_tx_new(KEYS_AES_128_GCM, direction, 0xabc);
	const struct transfer_info info = {.service = 1};
	const struct addr from = {.port = 1};
	uint32_t index = keyring_reserve(ring);
	uint8_t packet[256];
	char text[16];
	json_t *root;
	const json_t *o;

	(void)arg;
	root = ask(&fixture, "show keys", "keys"); /* no keyring */
	assert_count(root, "keys", 0);
	json_decref(root);
	fixture.parts.keyring = ring;
	root = ask(&fixture, "show keys", "keys"); /* reserved is no key yet */
	assert_count(root, "keys", 0);
	json_decref(root);
	keyring_enter(ring, index, transfer_rx_new(KEYS_AES_128_GCM, direction), KOBE, &from);
	keyring_enter(ring, keyring_reserve(ring), transfer_rx_new(KEYS_AES_128_GCM, direction),
	    OSAKA, &from);
	keyring_enter(ring, keyring_reserve(ring), transfer_rx_new(KEYS_AES_128_GCM, direction),
	    999, &from);
	keyring_set_tx(ring, OSAKA, tx);
	for (int i = 0; i < 3; i++)
		assert_true(transfer_seal(tx, TRANSFER_DATA, &info, NULL, 0, packet, 8,
				packet + 64, sizeof(packet) - 64) > 0);
	keyring_next_epoch(ring);
	root = ask(&fixture, "show keys", "keys");
	assert_count(root, "keys", 4);
	o = at(root, "keys", 0);
	assert_text(o, "site", "osaka");
	assert_text(o, "direction", "in");
	assert_number(o, "packets", 0);
	o = at(root, "keys", 1);
	assert_text(o, "site", "osaka");
	assert_text(o, "direction", "out");
	assert_text(o, "index", "00000abc");
	assert_text(o, "cipher", "AES-128-GCM");
	assert_number(o, "epoch", 1);
	assert_number(o, "packets", 3); /* of the epoch that is over as well */
	assert_true(json_is_true(json_object_get(o, "usable")));
	o = at(root, "keys", 2);
	assert_text(o, "site", "kobe");
	snprintf(text, sizeof(text), "%08x", (unsigned)index);
	assert_text(o, "index", text);
	assert_is_null(at(root, "keys", 3), "site"); /* of no site that is known */
	json_decref(root);
	fixture.parts.keyring = NULL;
	keyring_free(ring);
}

/* ---- weights ---- */

static void
test_weight(void **arg)
{
	const struct server *a = load_table_server(fixture.parts.load, WEB_A);
	uint64_t version = load_table_service(fixture.parts.load, WEB)->version;
	json_t *root;
	const json_t *o;

	(void)arg;
	log_set_hook(keep_line, NULL);
	root = ask(&fixture, "server web/a weight 0", "server");
	assert_number(root, "weight", 0);
	assert_number(root, "weight_before", 10);
	assert_number(root, "weight_configured", 10);
	assert_number(root, "weight_admin", 0);
	assert_text(root, "admin", "enabled");
	assert_text(root, "before", "enabled");
	json_decref(root);
	assert_string_equal(
	    logged, "server weight changed service=web server=a weight=0 configured=10 uid=0");
	assert_int_equal(a->weight, 0);
	assert_true(load_table_service(fixture.parts.load, WEB)->version > version);
	root = ask(&fixture, "show servers web", "servers");
	o = at(root, "servers", 0);
	assert_number(o, "weight", 0);
	assert_number(o, "weight_configured", 10);
	assert_number(o, "weight_admin", 0);
	o = at(root, "servers", 1);
	assert_number(o, "weight_configured", 30);
	assert_is_null(o, "weight_admin");
	json_decref(root);
	root = ask(&fixture, "explain 192.0.2.1 web", "explain");
	assert_text(at(root, "servers", 0), "reason", "weight is 0");
	assert_number(at(root, "servers", 1), "probability", 1);
	json_decref(root);
	logged[0] = '\0';
	json_decref(ask(&fixture, "server web/a weight 0", "server"));
	assert_string_equal(logged, ""); /* nothing changed */
	root = ask(&fixture, "ser web/a w res", "server");
	assert_number(root, "weight", 10);
	assert_number(root, "weight_before", 0);
	assert_is_null(root, "weight_admin");
	json_decref(root);
	assert_string_equal(
	    logged, "server weight changed service=web server=a weight=10 configured=10 uid=0");
	json_decref(ask(&fixture, "server web/a weight 65535", "server"));
	assert_int_equal(a->weight, 65535);
}

/* An administrator's weight outlives a reload, even one that changes the configured weight. */
static void
test_weight_and_reload(void **arg)
{
	const struct server *a = load_table_server(fixture.parts.load, WEB_A);
	struct config *config = fixture_config(
	    "site = \"tokyo\"; services: ( { name = \"web\"; address = \"203.0.113.10\";"
	    " ports = [ 80 ]; servers: ( { name = \"a\"; address = \"10.1.0.11\"; weight = 77; "
	    "},"
	    " { name = \"c\"; address = \"10.1.0.13\"; weight = 5; } ); } );");

	(void)arg;
	json_decref(ask(&fixture, "server web/a weight 3", "server"));
	load_table_apply(fixture.parts.load, config, NOW);
	assert_int_equal(a->weight, 3);
	assert_int_equal(a->weight_configured, 77);
	json_decref(ask(&fixture, "server web/c weight 5", "server")); /* the same, but set */
	load_table_apply(fixture.parts.load, fixture.config, NOW);     /* without c */
	assert_int_equal(a->weight, 3);
	assert_int_equal(a->weight_configured, 10);
	json_decref(ask(&fixture, "server web/a weight reset", "server"));
	assert_int_equal(a->weight, 10);
	load_table_apply(fixture.parts.load, config, NOW);
	assert_int_equal(a->weight, 77);
	config_free(config);
}

static void
test_weight_bad(void **arg)
{
	static const char *const bad[] = {"65536", "-1", "+1", "1.0", "0x1", "1x", "resets",
	    "R", "99999999999999999999", "000000"};
	char line[80];

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "server web/a weight %s", bad[i]);
		assert_error(&fixture, line, CONTROL_BAD,
		    "a weight is a number from 0 to 65535, or reset");
	}
	assert_error(&fixture, "server web/a weight", CONTROL_BAD, "a weight is a number");
	assert_error(&fixture, "server web/a weight 1 2", CONTROL_BAD, "unexpected \"2\"");
	assert_error(&fixture, "server web/a drain 5", CONTROL_BAD, "unexpected \"5\"");
	assert_error(&fixture, "server web/z weight 5", CONTROL_NOT_FOUND, "no server \"z\"");
	assert_int_equal(load_table_server(fixture.parts.load, WEB_A)->weight, 10);
	assert_int_equal(load_table_server(fixture.parts.load, WEB_A)->admin, SERVER_ENABLED);
}

/* ---- monitor ---- */

static void
test_monitor(void **arg)
{
	static const struct {
		const char *line;
		enum log_level level;
	} cases[] = {{"monitor", LOG_LEVEL_DEBUG}, {"mon error", LOG_LEVEL_ERROR},
	    {"mon w", LOG_LEVEL_WARN}, {"monitor info", LOG_LEVEL_INFO}};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request *request = request_new(
		    &fixture.parts, cases[i].line, strlen(cases[i].line), 1000, false);
		size_t len;
		char *answer;

		assert_true(request_run(request, NOW));
		assert_true(request->stream);
		assert_int_equal(request->stream_level, cases[i].level);
		answer = request_answer(request, &len);
		assert_string_equal(answer, "ok stream\n");
		assert_int_equal(len, 10);
		free(answer);
		request_free(request);
	}
	assert_error(&fixture, "monitor loud", CONTROL_BAD, "error|warn|info|debug");
	assert_error(&fixture, "monitor info info", CONTROL_BAD, "unexpected \"info\"");
}

/* ---- commands of the tool ---- */

#define WORD(text) ((char[]){text}) /* that may be written to */

static void
test_find_any(void **arg)
{
	char *topology[] = {WORD("topo"), WORD("--dot")}, *top[] = {WORD("top")};
	char *t[] = {WORD("t")}, *show[] = {WORD("sh"), WORD("su")};
	struct grammar_match match;
	enum grammar_id id;
	char error[400];

	(void)arg;
	assert_int_equal(grammar_find_any(topology, 2, &id, error, sizeof(error)), 1);
	assert_int_equal(id, GRAMMAR_TOPOLOGY);
	assert_int_equal(grammar_arguments(id, topology + 1, 1, &match, error, sizeof(error)), 0);
	assert_string_equal(match.value[0], "--dot");
	assert_int_equal(grammar_arguments(id, topology + 1, 0, &match, error, sizeof(error)), 0);
	assert_null(match.value[0]);
	assert_int_equal(grammar_find_any(top, 1, &id, error, sizeof(error)), 1);
	assert_int_equal(id, GRAMMAR_TOP);
	assert_int_equal(
	    grammar_arguments(id, topology + 1, 1, &match, error, sizeof(error)), -1);
	assert_string_equal(error, "unexpected \"--dot\"");
	assert_int_equal(grammar_find_any(t, 1, &id, error, sizeof(error)), -1);
	assert_string_equal(error, "ambiguous \"t\": transfer, top, topology");
	assert_int_equal(grammar_find_any(show, 2, &id, error, sizeof(error)), 2);
	assert_int_equal(id, GRAMMAR_SHOW_SUMMARY);
}

static void
test_flag_twice(void **arg)
{
	char *words[] = {WORD("--dot"), WORD("--d")};
	struct grammar_match match;
	char error[400];

	(void)arg;
	assert_int_equal(
	    grammar_arguments(GRAMMAR_TOPOLOGY, words, 2, &match, error, sizeof(error)), -1);
	assert_string_equal(error, "--dot given twice");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_config),
	    T(test_config_is_the_file),
	    T(test_no_errors),
	    T(test_error_sites),
	    T(test_error_servers),
	    T(test_error_drops),
	    T(test_error_certificate),
	    T(test_reload),
	    T(test_reload_faults),
	    T(test_keys),
	    T(test_weight),
	    T(test_weight_and_reload),
	    T(test_weight_bad),
	    T(test_monitor),
	    cmocka_unit_test(test_find_any),
	    cmocka_unit_test(test_flag_twice),
	};
#undef T

	log_open("test", true);
	return cmocka_run_group_tests_name("control_state", tests, NULL, NULL);
}
