#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/xalloc.h"
#include "control/event.h"

#define TIME_MS UINT64_C(1795413810007) /* 2026-11-23T06:03:30.007Z */

/* The event as JSON, which has to be an object in one line with nothing behind. */
static json_t *
event_of(enum log_level level, const char *line)
{
	struct json json;
	json_error_t error;
	json_t *root;

	json_init(&json);
	event_json(&json, level, line, TIME_MS);
	assert_int_equal(json.data[json.len - 1], '\n');
	assert_ptr_equal(memchr(json.data, '\n', json.len), json.data + json.len - 1);
	root = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		fail_msg("\"%s\": %s", line, error.text);
	json_fini(&json);
	return root;
}

/* "text|key=value|key=value" */
static char *
flat(const char *line)
{
	json_t *root = event_of(LOG_LEVEL_INFO, line), *value;
	char *out = xstrdup(json_string_value(json_object_get(root, "text"))), *longer;
	const char *key;

	json_object_foreach (json_object_get(root, "fields"), key, value) {
		longer = xasprintf("%s|%s=%s", out, key, json_string_value(value));
		free(out);
		out = longer;
	}
	json_decref(root);
	return out;
}

static void
test_object(void **arg)
{
	json_t *root = event_of(LOG_LEVEL_WARN, "server up service=web server=a");

	(void)arg;
	assert_int_equal(json_object_size(root), 5);
	assert_int_equal(json_integer_value(json_object_get(root, "schema")), 1);
	assert_string_equal(
	    json_string_value(json_object_get(root, "time")), "2026-11-23T06:03:30.007Z");
	assert_string_equal(json_string_value(json_object_get(root, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(root, "text")), "server up");
	assert_int_equal(json_object_size(json_object_get(root, "fields")), 2);
	json_decref(root);
}

static void
test_lines(void **arg)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"stopping", "stopping"},
	    {"server up service=web server=a", "server up|service=web|server=a"},
	    {"server down service=web server=a cause=\"connection refused\"",
		"server down|service=web|server=a|cause=connection refused"},
	    {"a=1", "|a=1"},
	    {"a=1 b=2", "|a=1|b=2"},
	    {"x a=", "x|a="},
	    {"x a= b=2", "x|a=|b=2"},
	    {"x a=\"\" b=2", "x|a=|b=2"},
	    {"x a=[2001:db8::1]:80 b=2", "x|a=[2001:db8::1]:80|b=2"},
	    /* an errno: behind the sentence, a word, a quoted value */
	    {"control socket pauses: Too many open files",
		"control socket pauses: Too many open files"},
	    {"device is gone device=wlad0: No such device",
		"device is gone|device=wlad0|error=No such device"},
	    {"x address=[::1]:80: Connection refused",
		"x|address=[::1]:80|error=Connection refused"},
	    {"x message=\"READY=1\": Connection refused",
		"x|message=READY=1|error=Connection refused"},
	    {"x group=wlad: Operation not permitted suppressed=3",
		"x|group=wlad|error=Operation not permitted|suppressed=3"},
	    {"x a=1: one error=2", "x|a=1|error=one error=2"},
	    {"x error=e a=1: one", "x|error=e|a=1: one"},
	    /* what looks like a field and is none */
	    {"set net.ipv4=1 now", "set net.ipv4=1 now"},
	    {"x remedy=\"sysctl -w net.ipv4.ip_forward=1\"",
		"x|remedy=sysctl -w net.ipv4.ip_forward=1"},
	    {"x remedy=\"sysctl -w a=1\" b=2", "x|remedy=sysctl -w a=1|b=2"},
	    {"A=1 ?=2 =3", "A=1 ?=2 =3"},
	    /* quotes in quotes, and one that is not closed */
	    {"x reason=\"certificate \"kobe\" expired\"", "x|reason=certificate \"kobe\" expired"},
	    {"x reason=\"a \"b\" c\" site=kobe", "x|reason=a \"b\" c|site=kobe"},
	    {"x reason=\"never ends", "x|reason=\"never ends"},
	    {"x a=\"", "x|a=\""},
	    {"x a=\"b\"c d=1", "x|a=\"b\"c|d=1"},
	    /* words behind a value stay with it */
	    {"reload refused: w.conf:3: port=80 is used",
		"reload refused: w.conf:3:|port=80 is used"},
	    {"x a=1 and more b=2", "x|a=1 and more|b=2"},
	    /* a key that comes again is part of the value */
	    {"x a=1 a=2 b=3", "x|a=1 a=2|b=3"},
	    {"x a=\"1\" a=2", "x|a=\"1\" a=2"},
	    /* no comma at the end of the sentence */
	    {"cannot derive the keys of a new epoch, key_index=00000001 epoch=2",
		"cannot derive the keys of a new epoch|key_index=00000001|epoch=2"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = flat(cases[i][0]);

		assert_string_equal(out, cases[i][1]);
		free(out);
	}
}

static void
test_many_fields(void **arg)
{
	char line[400] = "x", expected[400] = "x";
	char *out;

	(void)arg;
	for (int i = 0; i < EVENT_FIELDS_MAX + 4; i++)
		sprintf(line + strlen(line), " k%d=%d", i, i);
	for (int i = 0; i < EVENT_FIELDS_MAX; i++)
		sprintf(expected + strlen(expected), "|k%d=%d", i, i);
	sprintf(expected + strlen(expected), " k16=16 k17=17 k18=18 k19=19");
	out = flat(line);
	assert_string_equal(out, expected);
	free(out);
}

static void
test_long_parts(void **arg)
{
	char line[5000], *out;

	(void)arg;
	memset(line, 'k', sizeof(line));
	memcpy(line, "x ", 2);
	line[2 + 64] = '='; /* no key: longer than any */
	line[200] = '\0';
	out = flat(line);
	assert_string_equal(out, line);
	free(out);
	memset(line, 'v', sizeof(line));
	memcpy(line, "x a=", 4);
	line[sizeof(line) - 1] = '\0';
	out = flat(line);
	assert_int_equal(strlen(out), strlen("x|a=") + EVENT_TEXT_MAX - 1);
	free(out);
}

/* Octets that are no text, and every short line of a nasty alphabet. */
static void
test_any_line(void **arg)
{
	static const char alphabet[] = "a= \":,\x80";
	char line[8];

	(void)arg;
	json_decref(event_of(LOG_LEVEL_DEBUG, "x a=\xff\xfe\x01 b=\xc3\xa9"));
	for (unsigned n = 0; n < 7 * 7 * 7 * 7 * 7 * 7; n++) {
		for (unsigned i = 0, rest = n; i < 6; i++, rest /= 7)
			line[i] = alphabet[rest % 7];
		line[6] = '\0';
		json_decref(event_of(LOG_LEVEL_ERROR, line));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_object),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_many_fields),
	    cmocka_unit_test(test_long_parts),
	    cmocka_unit_test(test_any_line),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
