/*
 * control_fixture: all that control works on, of a small site, for the tests of control.
 */
#ifndef WLAD_TESTS_CONTROL_FIXTURE_H
#define WLAD_TESTS_CONTROL_FIXTURE_H

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "control/control.h"
#include "fixture.h"

#define SITE_TEXT \
	"site = \"tokyo\"; services: (" \
	" { name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8::10\" ]; protocol = " \
	"\"tcp\";" \
	"   ports = [ 80, 443, 8000, 8001, 8002 ]; high_load = 0.75; servers: (" \
	"   { name = \"a\"; address = \"10.1.0.11\"; port = 8080; weight = 10;" \
	"     max_connections = 100; }," \
	"   { name = \"b\"; address = [ \"10.1.0.12\", \"2001:db8:1::12\" ]; weight = 30;" \
	"     max_connections = 100; } ); }," \
	" { name = \"weather\"; address = \"203.0.113.11\"; protocol = \"udp\"; ports = [ 53 " \
	"];" \
	"   scheduler = \"rr\"; servers: ( { name = \"a\"; address = \"10.1.0.13\"; } ); } " \
	");" FIXTURE_PEER_KEYS "peers: ( { site = \"osaka\"; load = \"192.0.2.2:7210\"; " \
	"transfer = \"192.0.2.2:7210\"; }," \
	" { site = \"kobe\"; load = \"192.0.2.3:7210\"; transfer = \"192.0.2.3:7210\"; } );"

#define NOW (1000 * CLOCK_SECOND)

/* Numbers of what the text names. */
enum { WEB, WEATHER };
enum { WEB_A, WEB_B, WEATHER_A };
enum { OSAKA, KOBE };

struct control_fixture {
	struct config *config;
	struct counters counters;
	struct random random;
	struct control_parts parts;
};

static inline void
control_fixture_init(struct control_fixture *f, const char *text, uint32_t capacity)
{
	struct connection_settings settings = {.capacity = capacity,
	    .timeouts = {60, 7440, 240, 120, 300, 30, 60},
	    .hash_key = {{1, 2}}};

	memset(f, 0, sizeof(*f));
	random_init(&f->random, 7);
	f->config = fixture_config(text);
	f->parts.config = f->config;
	f->parts.load = load_table_new();
	load_table_apply(f->parts.load, f->config, NOW - 20 * CLOCK_SECOND);
	f->parts.allocation = allocation_new(f->parts.load, 1.0);
	f->parts.connections = connection_table_new(&settings, NOW - 20 * CLOCK_SECOND);
	f->parts.counters = &f->counters;
	f->parts.started = NOW - 20 * CLOCK_SECOND;
	assert_non_null(f->parts.connections);
}

static inline void
control_fixture_fini(struct control_fixture *f)
{
	connection_table_free(f->parts.connections);
	allocation_free(f->parts.allocation);
	load_table_free(f->parts.load);
	config_free(f->config);
}

/* A connection of 192.0.2.CLIENT:port to web; to server a, or to osaka. */
static inline struct connection *
control_fixture_connect(struct control_fixture *f, unsigned client, uint16_t port, bool transfer)
{
	struct connection_new what = {.kind = transfer ? CONNECTION_TRANSFERRED : CONNECTION_LOCAL,
	    .protocol = IPPROTO_TCP,
	    .service_number = WEB,
	    .site = transfer ? OSAKA : CONNECTION_NO_SITE,
	    .server_number = transfer ? CONNECTION_NO_SERVER : WEB_A};
	struct connection_event event = {
	    .side = CONNECTION_FROM_CLIENT, .tcp_flags = 2, .len = 60};
	struct connection *c;
	char text[ADDR_TEXT];
	bool existed;

	snprintf(text, sizeof(text), "192.0.2.%u:%u", client, port);
	assert_int_equal(addr_parse(text, &what.client), 0);
	assert_int_equal(addr_parse("203.0.113.10:443", &what.service), 0);
	if (!transfer) {
		assert_int_equal(addr_parse("10.1.0.11:8080", &what.server), 0);
		assert_int_equal(ip_parse("203.0.113.10", &what.self.ip), 0);
	}
	assert_int_equal(connection_open(f->parts.connections, &what, &f->random,
			     NOW - CLOCK_SECOND, &c, &existed),
	    DROP_none);
	assert_false(existed);
	connection_track(f->parts.connections, c, &event, NOW - CLOCK_SECOND);
	return c;
}

/* Osaka says what it has of web: session, keys, report. */
static inline void
control_fixture_osaka(struct control_fixture *f, uint16_t load)
{
	struct site_service *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup("web");
	s->number = 3;
	s->protocol = IPPROTO_TCP;
	load_table_site_services(f->parts.load, OSAKA, s, 1);
	load_table_site_session(f->parts.load, OSAKA, SITE_SESSION, NOW - 20 * CLOCK_SECOND);
	load_table_site_keys(f->parts.load, OSAKA, true, NOW - 20 * CLOCK_SECOND);
	load_table_site_set_path(f->parts.load, OSAKA, SITE_PATH_ALIVE, NOW - 20 * CLOCK_SECOND);
	s = load_table_site(f->parts.load, OSAKA)->services;
	s->reported = true;
	s->servers_up = 3;
	s->servers_not_high = 2;
	s->transferable = 250;
	s->permitted = true;
	s->load = load;
	s->active = 50;
	s->received_at = NOW - 300 * CLOCK_MILLISECOND;
	load_table_site(f->parts.load, OSAKA)->rtt = 0.0125;
}

/* The whole answer to a request of root, terminated; owned by the caller. */
static inline char *
ask_as(struct control_fixture *f, const char *line, uint32_t uid, int may_change)
{
	size_t len;
	char *answer = control_answer(&f->parts, line, strlen(line), uid, may_change, NOW, &len);

	assert_int_equal(strlen(answer), len);
	assert_int_equal(answer[len - 1], '\n');
	return answer;
}

/* The JSON of an answer that must be ok: framing and schema are checked. */
static inline json_t *
ask(struct control_fixture *f, const char *line, const char *view)
{
	char *answer = ask_as(f, line, 0, 1), *body;
	unsigned long length;
	json_error_t error;
	json_t *root;

	if (strncmp(answer, "ok ", 3) != 0)
		fail_msg("\"%s\": %s", line, answer);
	length = strtoul(answer + 3, &body, 10);
	assert_int_equal(*body, '\n');
	assert_int_equal(strlen(body + 1), length);
	root = json_loads(body + 1, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		fail_msg("\"%s\": %s", line, error.text);
	assert_int_equal(json_integer_value(json_object_get(root, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(root, "view")), view);
	free(answer);
	return root;
}

/* An answer that must be an error, of this code, with this in its text. */
static inline void
assert_error(struct control_fixture *f, const char *line, int code, const char *part)
{
	char *answer = ask_as(f, line, 0, 1), head[16];

	snprintf(head, sizeof(head), "err %d ", code);
	if (strncmp(answer, head, strlen(head)) != 0 || strstr(answer, part) == NULL)
		fail_msg("\"%s\": %s", line, answer);
	assert_ptr_equal(strchr(answer, '\n'), answer + strlen(answer) - 1);
	free(answer);
}

/* Members, by a path of one key or of an array's index and a key. */
static inline const json_t *
at(const json_t *object, const char *array, size_t index)
{
	const json_t *o = json_array_get(json_object_get(object, array), index);

	assert_non_null(o);
	return o;
}

#define assert_text(object, key, text) \
	assert_string_equal(json_string_value(json_object_get(object, key)), text)
#define assert_number(object, key, number) \
	assert_float_equal(json_number_value(json_object_get(object, key)), number, 1e-9)
#define assert_is_null(object, key) assert_true(json_is_null(json_object_get(object, key)))
#define assert_count(object, key, count) \
	assert_int_equal(json_array_size(json_object_get(object, key)), count)

#endif
