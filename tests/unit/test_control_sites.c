/*
 * What concerns the other sites: which is a candidate, and why not, the paths to them, the rule,
 * relay ports; site enable|disable, transfer permit|prohibit, probe; what the log is told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"
#include "control/commands.h"
#include "control/site_events.h"
#include "control_fixture.h"

static struct control_fixture fixture;
static char logged[8][256];
static enum log_level logged_level[8];
static size_t logged_count;

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	assert_true(logged_count < 8);
	logged_level[logged_count] = level;
	snprintf(logged[logged_count++], sizeof(logged[0]), "%s", line);
}

static uint32_t changes[LOAD_CHANGE_SITE + 1];

static void
count_change(void *arg, enum load_change change, uint32_t number)
{
	(void)arg;
	(void)number;
	changes[change]++;
}

static int
setup(void **arg)
{
	(void)arg;
	control_fixture_init(&fixture, SITE_TEXT, 64);
	fixture_all_up(fixture.parts.load);
	memset(changes, 0, sizeof(changes));
	logged_count = 0;
	log_set_hook(keep_line, NULL);
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

static struct site *
osaka(void)
{
	return load_table_site(fixture.parts.load, OSAKA);
}

static void
assert_flag(const json_t *object, const char *key, bool expected)
{
	assert_true(json_is_boolean(json_object_get(object, key)));
	assert_int_equal(json_is_true(json_object_get(object, key)), expected);
}

/* ---- what is shown ---- */

/* Each thing that keeps a site from being a candidate, in the order in which it is asked for. */
static void
test_reasons(void **arg)
{
	static const struct {
		enum site_session session;
		bool keys;
		enum site_path path;
		bool disabled;
		const char *reason; /* NULL: it is one */
	} cases[] = {
	    {SITE_SESSION, true, SITE_PATH_ALIVE, false, NULL},
	    {SITE_SESSION, true, SITE_PATH_ALIVE, true, "disabled by an administrator"},
	    {SITE_NO_SESSION, false, SITE_PATH_LOST, true, "disabled by an administrator"},
	    {SITE_NO_SESSION, true, SITE_PATH_ALIVE, false, "no session"},
	    {SITE_CONNECTING, true, SITE_PATH_ALIVE, false, "no session"},
	    {SITE_SESSION, false, SITE_PATH_ALIVE, false, "no keys"},
	    {SITE_SESSION, true, SITE_PATH_UNKNOWN, false, "path not proved yet"},
	    {SITE_SESSION, true, SITE_PATH_LOST, false, "path lost"},
	};

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *root;
		const json_t *o;

		osaka()->session = cases[i].session;
		osaka()->keys = cases[i].keys;
		osaka()->path = cases[i].path;
		osaka()->disabled = cases[i].disabled;
		root = ask(&fixture, "show sites", "sites");
		o = at(root, "sites", OSAKA);
		assert_text(o, "state", cases[i].reason == NULL ? "up" : "down");
		if (cases[i].reason == NULL)
			assert_is_null(o, "reason");
		else
			assert_text(o, "reason", cases[i].reason);
		assert_text(o, "admin", cases[i].disabled ? "disabled" : "enabled");
		json_decref(root);
		root = ask(&fixture, "explain 192.0.2.1 web", "explain");
		if (cases[i].reason != NULL) {
			assert_text(at(root, "sites", OSAKA), "reason", cases[i].reason);
			assert_flag(at(root, "sites", OSAKA), "candidate", false);
		}
		json_decref(root);
		root = ask(&fixture, "show summary", "summary");
		assert_text(at(root, "sites", OSAKA), "path", site_path_name(cases[i].path));
		json_decref(root);
	}
}

/* For each service besides: what the choice says of it now. */
static void
test_service_reasons(void **arg)
{
	struct site_service *services = xcalloc(2, sizeof(*services));
	json_t *root;
	const json_t *o;

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	root = ask(&fixture, "show sites", "sites");
	o = at(at(root, "sites", OSAKA), "services", 0);
	assert_flag(o, "candidate", false); /* nobody is better than who has nothing to do */
	assert_text(o, "reason", "not better than here");
	json_decref(root);
	fixture_all_up(fixture.parts.load);
	load_table_server_set_state(fixture.parts.load, WEB_A, SERVER_DOWN, NULL, NOW);
	load_table_server_set_state(fixture.parts.load, WEB_B, SERVER_DOWN, NULL, NOW);
	root = ask(&fixture, "show sites", "sites");
	o = at(at(root, "sites", OSAKA), "services", 0);
	assert_flag(o, "candidate", true);
	assert_text(o, "reason", "candidate");
	json_decref(root);
	osaka()->services[0].permitted = false;
	root = ask(&fixture, "show sites", "sites");
	assert_text(at(at(root, "sites", OSAKA), "services", 0), "reason", "transfer prohibited");
	json_decref(root);
	/* one that we do not have is nobody's candidate, and one of ours that it says nothing of */
	services[0].name = xstrdup("mail");
	services[0].protocol = IPPROTO_TCP;
	services[1].name = xstrdup("weather");
	services[1].protocol = IPPROTO_UDP;
	load_table_site_services(fixture.parts.load, OSAKA, services, 2);
	root = ask(&fixture, "show sites", "sites");
	o = at(at(root, "sites", OSAKA), "services", 0);
	assert_is_null(o, "candidate");
	assert_is_null(o, "reason");
	assert_text(at(at(root, "sites", OSAKA), "services", 1), "reason", "has not reported");
	json_decref(root);
}

static void
test_path(void **arg)
{
	json_t *root = ask(&fixture, "show sites", "sites");
	const json_t *o = at(root, "sites", OSAKA);

	(void)arg;
	assert_text(o, "path", "unknown");
	assert_is_null(o, "path_answered_ms");
	assert_is_null(o, "path_rtt_ms");
	assert_is_null(o, "path_loss");
	assert_is_null(o, "path_mtu");
	assert_is_null(o, "mtu_confirmed_ms");
	assert_is_null(o, "peer_mtu");
	assert_is_null(o, "direct_judged_ms");
	assert_is_null(o, "demand_port");
	assert_text(o, "direct", "unknown");
	assert_text(o, "direct_out", "unknown");
	json_decref(root);
	control_fixture_osaka(&fixture, 100);
	osaka()->path_rtt = 0.0115;
	osaka()->path_loss = 1.0 / 64;
	osaka()->path_mtu = 1472;
	osaka()->peer_mtu = 1500;
	osaka()->path_answered = NOW - 120 * CLOCK_MILLISECOND;
	osaka()->mtu_confirmed = NOW - 4 * CLOCK_SECOND;
	osaka()->direct_judged = NOW;
	osaka()->demand_port = 7211;
	osaka()->direct = SITE_DIRECT_OK;
	osaka()->direct_out = SITE_DIRECT_BLOCKED;
	root = ask(&fixture, "show sites", "sites");
	o = at(root, "sites", OSAKA);
	assert_text(o, "path", "alive");
	assert_number(o, "path_s", 20);
	assert_number(o, "path_answered_ms", 120);
	assert_number(o, "path_rtt_ms", 11.5);
	assert_number(o, "path_loss", 0.0156);
	assert_number(o, "path_mtu", 1472);
	assert_number(o, "mtu_confirmed_ms", 4000);
	assert_number(o, "peer_mtu", 1500);
	assert_number(o, "direct_judged_ms", 0);
	assert_number(o, "demand_port", 7211);
	assert_text(o, "direct", "ok");
	assert_text(o, "direct_out", "blocked");
	assert_number(o, "rtt_ms", 12.5); /* of the session still */
	json_decref(root);
	root = ask(&fixture, "show errors", "errors");
	assert_text(at(root, "sites", 0), "direct_out", "blocked"); /* though it is up */
	json_decref(root);
}

static void
test_rule(void **arg)
{
	static const struct {
		enum config_reply reply;
		enum site_direct direct;
		uint64_t blocked_at;
		unsigned rule;
		const char *reply_name, *reason;
	} cases[] = {
	    {CONFIG_REPLY_AUTO, SITE_DIRECT_UNKNOWN, 0, 2, "auto",
		"nothing is known against direct replies"},
	    {CONFIG_REPLY_AUTO, SITE_DIRECT_OK, 0, 2, "auto", "direct replies get through"},
	    {CONFIG_REPLY_AUTO, SITE_DIRECT_BLOCKED, 0, 3, "auto",
		"its direct-reply probes do not get through"},
	    {CONFIG_REPLY_AUTO, SITE_DIRECT_BLOCKED, NOW, 3, "auto",
		"clients did not get direct replies"},
	    {CONFIG_REPLY_DIRECT, SITE_DIRECT_BLOCKED, NOW, 2, "direct", "peers.reply is direct"},
	    {CONFIG_REPLY_TRANSFEROR, SITE_DIRECT_OK, 0, 3, "transferor",
		"peers.reply is transferor"},
	};
	static const char *const requests[] = {
	    "show sites", "explain 192.0.2.1 web", "show summary"};

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		osaka()->reply = cases[i].reply;
		osaka()->direct = cases[i].direct;
		osaka()->direct_blocked_at = cases[i].blocked_at;
		for (size_t k = 0; k < sizeof(requests) / sizeof(requests[0]); k++) {
			const char *view = k == 0 ? "sites" : k == 1 ? "explain" : "summary";
			json_t *root = ask(&fixture, requests[k], view);
			const json_t *o = at(root, "sites", OSAKA);

			assert_text(o, "reply", cases[i].reply_name);
			assert_number(o, "rule", cases[i].rule);
			assert_text(o, "rule_reason", cases[i].reason);
			json_decref(root);
		}
	}
}

/* ---- connections ---- */

static struct connection *
open_relayed(enum connection_kind kind, uint16_t client_port)
{
	struct connection_new what = {.kind = kind,
	    .protocol = IPPROTO_TCP,
	    .service_number = WEB,
	    .site = OSAKA,
	    .server_number = kind == CONNECTION_RECEIVED ? WEB_A : CONNECTION_NO_SERVER,
	    .relayed = true,
	    .relay_port = 40000};
	struct connection *c;
	bool existed;

	assert_int_equal(addr_parse("192.0.2.9:1", &what.client), 0);
	what.client.port = client_port;
	assert_int_equal(addr_parse("203.0.113.10:443", &what.service), 0);
	if (kind == CONNECTION_RECEIVED)
		assert_int_equal(addr_parse("10.1.0.11:8080", &what.server), 0);
	assert_int_equal(connection_open(fixture.parts.connections, &what, &fixture.random, NOW,
			     &c, &existed),
	    DROP_none);
	return c;
}

static void
test_relay_ports(void **arg)
{
	struct connection *c;
	struct addr server;
	json_t *root;
	const json_t *o;

	(void)arg;
	control_fixture_connect(&fixture, 1, 1, false);
	control_fixture_connect(&fixture, 1, 2, true);
	c = open_relayed(CONNECTION_TRANSFERRED, 3);
	root = ask(&fixture, "show connections client 192.0.2.1:1", "connections");
	assert_number(at(root, "connections", 0), "rule", 1);
	assert_is_null(at(root, "connections", 0), "relay_port");
	json_decref(root);
	root = ask(&fixture, "show connections client 192.0.2.1:2", "connections");
	o = at(root, "connections", 0);
	assert_number(o, "rule", 2);
	assert_is_null(o, "relay_port");
	assert_is_null(o, "self");
	json_decref(root);
	root = ask(&fixture, "show connections client 192.0.2.9:3", "connections");
	o = at(root, "connections", 0);
	assert_text(o, "kind", "transferred");
	assert_number(o, "rule", 3);
	assert_number(o, "relay_port", 40000);
	assert_text(o, "self", "203.0.113.10:40000");
	assert_text(o, "transferee", "osaka");
	assert_is_null(o, "server"); /* nobody has answered yet */
	assert_is_null(o, "server_name");
	json_decref(root);
	assert_int_equal(addr_parse("10.2.0.12:8080", &server), 0);
	assert_true(connection_pin(fixture.parts.connections, c, &server));
	root = ask(&fixture, "show connections kind transferred client 192.0.2.9", "connections");
	o = at(root, "connections", 0);
	assert_text(o, "server", "10.2.0.12:8080");
	assert_is_null(o, "server_name"); /* that is the other site's to know */
	json_decref(root);
}

static void
test_relay_port_at_the_transferee(void **arg)
{
	json_t *root;
	const json_t *o;

	(void)arg;
	open_relayed(CONNECTION_RECEIVED, 4);
	root = ask(&fixture, "show connections", "connections");
	o = at(root, "connections", 0);
	assert_text(o, "kind", "received");
	assert_number(o, "rule", 3);
	assert_number(o, "relay_port", 40000);
	assert_text(o, "self", "203.0.113.10:40000"); /* the transferor's address */
	assert_text(o, "server", "10.1.0.11:8080");
	assert_text(o, "server_name", "a");
	assert_text(o, "transferor", "osaka");
	json_decref(root);
}

/* ---- site enable|disable ---- */

static void
test_site(void **arg)
{
	json_t *root;

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	load_table_transferred_opened(fixture.parts.load, OSAKA, WEB);
	load_table_set_listener(fixture.parts.load, count_change, NULL);
	root = ask(&fixture, "site osaka disable", "site");
	assert_text(root, "site", "osaka");
	assert_text(root, "admin", "disabled");
	assert_text(root, "before", "enabled");
	assert_text(root, "state", "down");
	assert_text(root, "reason", "disabled by an administrator");
	assert_number(root, "transferred_active", 1);
	json_decref(root);
	assert_int_equal(logged_count, 1);
	assert_string_equal(
	    logged[0], "site administration changed site=osaka admin=disabled uid=0");
	assert_int_equal(changes[LOAD_CHANGE_SITE], 1);
	/* once more changes nothing, and says nothing */
	json_decref(ask(&fixture, "si osaka d", "site"));
	assert_int_equal(logged_count, 1);
	assert_int_equal(changes[LOAD_CHANGE_SITE], 1);
	/* it outlives a reload */
	load_table_apply(fixture.parts.load, fixture.config, NOW);
	assert_true(osaka()->disabled);
	assert_false(load_table_site(fixture.parts.load, KOBE)->disabled);
	root = ask(&fixture, "site osaka enable", "site");
	assert_text(root, "admin", "enabled");
	assert_text(root, "before", "disabled");
	assert_text(root, "state", "up");
	assert_is_null(root, "reason");
	json_decref(root);
	assert_string_equal(
	    logged[1], "site administration changed site=osaka admin=enabled uid=0");
}

/* Even where no own server is left nothing goes to a site that is disabled. */
static void
test_disabled_gets_nothing(void **arg)
{
	struct allocation_decision decision;
	struct ip client;

	(void)arg;
	control_fixture_osaka(&fixture, 100);
	load_table_server_set_state(fixture.parts.load, WEB_A, SERVER_DOWN, NULL, NOW);
	load_table_server_set_state(fixture.parts.load, WEB_B, SERVER_DOWN, NULL, NOW);
	assert_int_equal(ip_parse("192.0.2.1", &client), 0);
	allocation_decide(
	    fixture.parts.allocation, WEB, &client, &fixture.random, NOW, &decision);
	assert_int_equal(decision.where, ALLOCATION_SITE);
	json_decref(ask(&fixture, "site osaka disable", "site"));
	for (int i = 0; i < 1000; i++) {
		allocation_decide(
		    fixture.parts.allocation, WEB, &client, &fixture.random, NOW, &decision);
		assert_int_equal(decision.where, ALLOCATION_NONE);
	}
	json_decref(ask(&fixture, "site osaka enable", "site"));
	allocation_decide(
	    fixture.parts.allocation, WEB, &client, &fixture.random, NOW, &decision);
	assert_int_equal(decision.where, ALLOCATION_SITE);
}

static void
test_site_bad(void **arg)
{
	(void)arg;
	assert_error(&fixture, "site", CONTROL_BAD, "incomplete command: site NAME");
	assert_error(&fixture, "site osaka", CONTROL_BAD, "incomplete command");
	assert_error(&fixture, "site osaka explode", CONTROL_BAD, "enable|disable");
	assert_error(&fixture, "site nagoya disable", CONTROL_NOT_FOUND, "no site \"nagoya\"");
	assert_error(&fixture, "site tokyo disable", CONTROL_NOT_FOUND, "no site \"tokyo\"");
	assert_error(&fixture, "site osaka disable now", CONTROL_BAD, "unexpected \"now\"");
	assert_int_equal(logged_count, 0);
}

/* ---- transfer permit|prohibit ---- */

static void
test_transfer(void **arg)
{
	const struct service *web = load_table_service(fixture.parts.load, WEB);
	json_t *root;
	const json_t *o;

	(void)arg;
	load_table_set_listener(fixture.parts.load, count_change, NULL);
	root = ask(&fixture, "show services", "services");
	assert_flag(at(root, "services", WEB), "permitted", true);
	assert_flag(at(root, "services", WEB), "permitted_configured", true);
	assert_is_null(at(root, "services", WEB), "permitted_admin");
	json_decref(root);
	root = ask(&fixture, "transfer prohibit web", "transfer");
	assert_count(root, "services", 1);
	o = at(root, "services", 0);
	assert_text(o, "service", "web");
	assert_flag(o, "permitted", false);
	assert_flag(o, "permitted_before", true);
	assert_flag(o, "permitted_configured", true);
	assert_flag(o, "permitted_admin", false);
	json_decref(root);
	assert_false(web->transfer_permitted);
	assert_int_equal(changes[LOAD_CHANGE_SERVICE], 1); /* which is reported at once */
	assert_string_equal(logged[0],
	    "transfer permission changed service=web transfer=prohibit by=administrator uid=0");
	/* again: nothing new */
	json_decref(ask(&fixture, "tr prohibit web", "transfer"));
	assert_int_equal(changes[LOAD_CHANGE_SERVICE], 1);
	assert_int_equal(logged_count, 1);
	/* it outlives a reload */
	load_table_apply(fixture.parts.load, fixture.config, NOW);
	assert_false(web->transfer_permitted);
	assert_true(web->transfer_configured);
	root = ask(&fixture, "show services", "services");
	assert_flag(at(root, "services", WEB), "permitted", false);
	assert_flag(at(root, "services", WEB), "permitted_configured", true);
	assert_flag(at(root, "services", WEB), "permitted_admin", false);
	assert_is_null(at(root, "services", WEATHER), "permitted_admin");
	json_decref(root);
	root = ask(&fixture, "show summary", "summary");
	assert_flag(at(root, "services", WEB), "permitted", false);
	json_decref(root);
	json_decref(ask(&fixture, "transfer permit web", "transfer"));
	assert_true(web->transfer_permitted);
	assert_int_equal(changes[LOAD_CHANGE_SERVICE], 2);
}

/* What an administrator said holds even if it is what the file says: another file may say else. */
static void
test_transfer_as_configured(void **arg)
{
	struct config *config = fixture_config(
	    "site = \"tokyo\"; services: ( { name = \"web\"; address = \"203.0.113.10\";"
	    " ports = [ 80 ]; transfer = \"prohibit\";"
	    " servers: ( { name = \"a\"; address = \"10.1.0.11\"; } ); } );");
	const struct service *web = load_table_service(fixture.parts.load, WEB);

	(void)arg;
	json_decref(ask(&fixture, "transfer permit web", "transfer"));
	assert_int_equal(logged_count, 1);
	load_table_apply(fixture.parts.load, config, NOW);
	assert_true(web->transfer_permitted);
	assert_false(web->transfer_configured);
	config_free(config);
}

static void
test_transfer_all(void **arg)
{
	json_t *root = ask(&fixture, "transfer prohibit", "transfer");

	(void)arg;
	assert_count(root, "services", 2);
	assert_text(at(root, "services", 0), "service", "web");
	assert_text(at(root, "services", 1), "service", "weather");
	json_decref(root);
	assert_int_equal(logged_count, 2);
	assert_false(load_table_service(fixture.parts.load, WEATHER)->transfer_permitted);
	json_decref(ask(&fixture, "transfer permit weather", "transfer"));
	assert_false(load_table_service(fixture.parts.load, WEB)->transfer_permitted);
	assert_true(load_table_service(fixture.parts.load, WEATHER)->transfer_permitted);
}

static void
test_transfer_bad(void **arg)
{
	(void)arg;
	assert_error(&fixture, "transfer", CONTROL_BAD, "incomplete command: transfer");
	assert_error(&fixture, "transfer p", CONTROL_BAD, "ambiguous \"p\": permit, prohibit");
	assert_error(&fixture, "transfer web", CONTROL_BAD, "permit|prohibit");
	assert_error(&fixture, "transfer permit mail", CONTROL_NOT_FOUND, "no service \"mail\"");
	assert_error(&fixture, "transfer permit web x", CONTROL_BAD, "unexpected \"x\"");
	assert_int_equal(logged_count, 0);
}

/* ---- probe ---- */

static uint32_t probed, probes;

/* What comes of it: nothing, or all of it, or a part. */
enum outcome { SILENCE, ANSWERS, LIVENESS_ONLY };
static enum outcome outcome;

static void
fake_probe(void *arg, uint32_t site)
{
	struct site *s = load_table_site(fixture.parts.load, site);

	assert_ptr_equal(arg, &probed);
	probed = site;
	probes++;
	if (outcome == SILENCE)
		return;
	s->path_answered = NOW + 10 * CLOCK_MILLISECOND;
	if (outcome == ANSWERS)
		s->mtu_confirmed = s->direct_judged = NOW + 20 * CLOCK_MILLISECOND;
}

static void
begin_probes(enum outcome what)
{
	fixture.parts.probe = fake_probe;
	fixture.parts.probe_arg = &probed;
	probes = 0;
	outcome = what;
	control_fixture_osaka(&fixture, 100);
	/* measured before, but not now */
	osaka()->path_answered = osaka()->mtu_confirmed = osaka()->direct_judged = NOW - 1;
}

static void
test_probe(void **arg)
{
	json_t *root;

	(void)arg;
	begin_probes(ANSWERS);
	osaka()->path_rtt = 0.0125;
	osaka()->path_mtu = 1500;
	root = ask(&fixture, "probe osaka", "probe");
	assert_int_equal(probes, 1);
	assert_int_equal(probed, OSAKA);
	assert_text(root, "site", "osaka");
	assert_number(root, "waited_ms", 0);
	assert_flag(root, "answered", true);
	assert_flag(root, "mtu_confirmed", true);
	assert_flag(root, "direct_judged", true);
	assert_text(root, "path", "alive");
	assert_number(root, "path_rtt_ms", 12.5);
	assert_number(root, "path_mtu", 1500);
	assert_number(root, "rule", 2);
	json_decref(root);
	assert_string_equal(logged[0], "probe requested site=osaka uid=0");
}

/* It is waited for two seconds, then what is known is told. */
static void
test_probe_silence(void **arg)
{
	json_t *root;

	(void)arg;
	begin_probes(SILENCE);
	root = ask(&fixture, "probe osaka", "probe");
	assert_int_equal(probes, 1);
	assert_number(root, "waited_ms", 2000);
	assert_flag(root, "answered", false);
	assert_flag(root, "mtu_confirmed", false);
	assert_flag(root, "direct_judged", false);
	json_decref(root);
	begin_probes(LIVENESS_ONLY);
	root = ask(&fixture, "probe osaka", "probe");
	assert_number(root, "waited_ms", 2000);
	assert_flag(root, "answered", true);
	assert_flag(root, "mtu_confirmed", false);
	json_decref(root);
}

/* The request sleeps and does not spin; what comes meanwhile ends it at its next look. */
static void
test_probe_waits(void **arg)
{
	struct request *request;
	uint64_t now = NOW;
	size_t len;
	char *answer;
	int looks = 0;

	(void)arg;
	begin_probes(SILENCE);
	request = request_new(&fixture.parts, "probe osaka", 11, 0, true);
	while (!request_run(request, now)) {
		assert_true(request->wake >= now + CLOCK_MILLISECOND);
		now = request->wake;
		if (++looks == 5)
			osaka()->path_answered = osaka()->mtu_confirmed =
			    osaka()->direct_judged = now;
		assert_in_range(looks, 1, 5);
	}
	assert_int_equal(looks, 5);
	assert_int_equal(probes, 1);
	answer = request_answer(request, &len);
	assert_memory_equal(answer, "ok ", 3);
	assert_non_null(strstr(answer, "\"waited_ms\":250,\"answered\":true"));
	free(answer);
	request_free(request);
}

/* The site may go while somebody waits. */
static void
test_probe_of_one_that_leaves(void **arg)
{
	struct request *request;
	size_t len;
	char *answer;

	(void)arg;
	begin_probes(SILENCE);
	request = request_new(&fixture.parts, "probe osaka", 11, 0, true);
	assert_false(request_run(request, NOW));
	osaka()->present = false;
	assert_true(request_run(request, NOW + CLOCK_SECOND));
	answer = request_answer(request, &len);
	assert_string_equal(answer, "err 3 no site \"osaka\"\n");
	free(answer);
	request_free(request);
}

static void
test_probe_bad(void **arg)
{
	(void)arg;
	assert_error(&fixture, "probe osaka", CONTROL_FAILED, "not supported");
	begin_probes(ANSWERS);
	assert_error(&fixture, "probe", CONTROL_BAD, "incomplete command: probe SITE");
	assert_error(&fixture, "probe nagoya", CONTROL_NOT_FOUND, "no site \"nagoya\"");
	assert_error(&fixture, "probe kobe", CONTROL_FAILED, "no keys for site kobe");
	assert_int_equal(probes, 0);
}

/* ---- rights ---- */

static void
test_rights(void **arg)
{
	static const char *const lines[] = {
	    "site osaka disable", "transfer prohibit", "probe osaka"};

	(void)arg;
	begin_probes(ANSWERS);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *answer = ask_as(&fixture, lines[i], 1000, 0);

		assert_memory_equal(answer, "err 1 ", 6);
		assert_non_null(strstr(answer, "is for root and the daemon's user"));
		free(answer);
	}
	assert_false(osaka()->disabled);
	assert_true(load_table_service(fixture.parts.load, WEB)->transfer_permitted);
	assert_int_equal(probes, 0);
	assert_int_equal(logged_count, 0);
}

/* ---- what the log is told ---- */

static struct site_events *events;

static void
tell_events(void *arg, enum load_change change, uint32_t number)
{
	(void)arg;
	if (change == LOAD_CHANGE_SITE)
		site_events_changed(events, number);
}

static void
test_events(void **arg)
{
	struct load_table *load = fixture.parts.load;

	(void)arg;
	events = site_events_new(load);
	load_table_set_listener(load, tell_events, NULL);
	load_table_site_session(load, KOBE, SITE_SESSION, NOW); /* others say that */
	load_table_site_set_path(load, KOBE, SITE_PATH_ALIVE, NOW);
	assert_int_equal(logged_count, 0);
	load_table_site_direct_reported(load, KOBE, SITE_DIRECT_OK, NOW);
	assert_string_equal(logged[0], "direct replies of site=kobe direct=ok rule=2");
	assert_int_equal(logged_level[0], LOG_LEVEL_INFO);
	load_table_site_keys(load, KOBE, true, NOW); /* another change of the same site */
	load_table_site_direct_reported(load, KOBE, SITE_DIRECT_OK, NOW);
	assert_int_equal(logged_count, 1);
	load_table_site_direct_reported(load, KOBE, SITE_DIRECT_BLOCKED, NOW);
	assert_string_equal(
	    logged[1], "direct replies are blocked site=kobe seen_by=probes rule=3");
	assert_int_equal(logged_level[1], LOG_LEVEL_WARN);
	load_table_site(load, OSAKA)->reply = CONFIG_REPLY_DIRECT;
	load_table_site_direct_blocked(load, OSAKA, NOW);
	assert_string_equal(
	    logged[2], "direct replies are blocked site=osaka seen_by=clients rule=2");
	load_table_site_direct_reported(load, KOBE, SITE_DIRECT_UNKNOWN, NOW);
	assert_string_equal(logged[3], "direct replies of site=kobe direct=unknown rule=2");
	assert_int_equal(logged_count, 4);
	load_table_set_listener(load, NULL, NULL);
	site_events_free(events);
	site_events_free(NULL);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_reasons),
	    T(test_service_reasons),
	    T(test_path),
	    T(test_rule),
	    T(test_relay_ports),
	    T(test_relay_port_at_the_transferee),
	    T(test_site),
	    T(test_disabled_gets_nothing),
	    T(test_site_bad),
	    T(test_transfer),
	    T(test_transfer_as_configured),
	    T(test_transfer_all),
	    T(test_transfer_bad),
	    T(test_probe),
	    T(test_probe_silence),
	    T(test_probe_waits),
	    T(test_probe_of_one_that_leaves),
	    T(test_probe_bad),
	    T(test_rights),
	    T(test_events),
	};
#undef T

	log_open("test", true);
	return cmocka_run_group_tests_name("control_sites", tests, NULL, NULL);
}
