#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "control/json.h"

static void
assert_json(struct json *json, const char *expected)
{
	assert_int_equal(json->len, strlen(expected));
	assert_memory_equal(json->data, expected, json->len);
	json_fini(json);
}

static void
test_empty_containers(void **arg)
{
	struct json json;

	(void)arg;
	json_init(&json);
	json_begin_object(&json, NULL);
	json_begin_array(&json, "a");
	json_end_array(&json);
	json_begin_object(&json, "o");
	json_end_object(&json);
	json_end_object(&json);
	assert_json(&json, "{\"a\":[],\"o\":{}}");
}

static void
test_commas(void **arg)
{
	struct json json;

	(void)arg;
	json_init(&json);
	json_begin_array(&json, NULL);
	json_put_uint(&json, NULL, 1);
	json_begin_array(&json, NULL);
	json_put_string(&json, NULL, "x");
	json_put_null(&json, NULL);
	json_end_array(&json);
	json_begin_object(&json, NULL);
	json_put_bool(&json, "t", true);
	json_put_bool(&json, "f", false);
	json_end_object(&json);
	json_put_string(&json, NULL, NULL);
	json_end_array(&json);
	json_newline(&json);
	assert_json(&json, "[1,[\"x\",null],{\"t\":true,\"f\":false},null]\n");
}

static void
test_numbers(void **arg)
{
	struct json json;

	(void)arg;
	json_init(&json);
	json_begin_array(&json, NULL);
	json_put_uint(&json, NULL, 0);
	json_put_uint(&json, NULL, UINT64_MAX);
	json_put_real(&json, NULL, 0, 3);
	json_put_real(&json, NULL, 1.5, 3);
	json_put_real(&json, NULL, 0.12345, 4);
	json_put_real(&json, NULL, -0.00001, 2);
	json_put_real(&json, NULL, 1000, 0);
	json_put_real(&json, NULL, 2.0 / 3, 0);
	json_put_real(&json, NULL, NAN, 2);
	json_put_real(&json, NULL, INFINITY, 2);
	json_put_real(&json, NULL, -INFINITY, 2);
	json_end_array(&json);
	assert_json(&json, "[0,18446744073709551615,0,1.5,0.1235,0,1000,1,null,null,null]");
}

static void
test_largest_real(void **arg)
{
	struct json json;
	json_t *root;

	(void)arg;
	json_init(&json);
	json_begin_array(&json, NULL);
	json_put_real(&json, NULL, -1.7976931348623157e308, 9);
	json_end_array(&json);
	/* 309 digits with a point, so that a reader takes them for a real */
	root = json_loadb(json.data, json.len, JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(root);
	assert_true(json_real_value(json_array_get(root, 0)) == -1.7976931348623157e308);
	json_decref(root);
	json_fini(&json);
}

static void
test_escapes(void **arg)
{
	struct json json;

	(void)arg;
	json_init(&json);
	json_begin_object(&json, NULL);
	json_put_string(&json, "k\"", "a\"b\\c/\n\r\t\b\x01\x1f\x7f");
	json_end_object(&json);
	assert_json(&json, "{\"k\\\"\":\"a\\\"b\\\\c/\\n\\r\\t\\u0008\\u0001\\u001f\\u007f\"}");
}

/* Whatever octets come, the text is valid; what was UTF-8 is unchanged. */
static void
test_utf8(void **arg)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", ""},
	    {"\xc3\xa9", "\xc3\xa9"},                 /* U+00E9 */
	    {"\xe2\x82\xac", "\xe2\x82\xac"},         /* U+20AC */
	    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}, /* U+1F600 */
	    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, /* U+10FFFF */
	    {"\xff", "\xef\xbf\xbd"},
	    {"\x80"
	     "a",
		"\xef\xbf\xbd"
		"a"},
	    {"\xc3", "\xef\xbf\xbd"}, /* cut off */
	    {"\xc3"
	     "a",
		"\xef\xbf\xbd"
		"a"},
	    {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xf0\x9f\x98", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
	    {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
	    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json json;
		json_t *root;

		json_init(&json);
		json_begin_array(&json, NULL);
		json_put_string(&json, NULL, cases[i].in);
		json_end_array(&json);
		root = json_loadb(json.data, json.len, 0, NULL);
		assert_non_null(root);
		assert_string_equal(json_string_value(json_array_get(root, 0)), cases[i].out);
		json_decref(root);
		json_fini(&json);
	}
}

/* All 65536 pairs of octets: the reader never objects. */
static void
test_every_pair(void **arg)
{
	(void)arg;
	for (unsigned pair = 0; pair < 65536; pair++) {
		char text[3] = {(char)(pair >> 8), (char)pair, '\0'};
		struct json json;
		json_t *root;

		json_init(&json);
		json_begin_array(&json, NULL);
		json_put_string(&json, NULL, text);
		json_end_array(&json);
		root = json_loadb(json.data, json.len, 0, NULL);
		assert_non_null(root);
		json_decref(root);
		json_fini(&json);
	}
}

static void
test_grows(void **arg)
{
	struct json json;
	json_t *root;
	char *text = malloc(100001);

	(void)arg;
	memset(text, 'x', 100000);
	text[100000] = '\0';
	json_init(&json);
	json_begin_array(&json, NULL);
	for (int i = 0; i < 30; i++) {
		json_put_string(&json, NULL, text);
		json_put_uint(&json, NULL, (uint64_t)i);
	}
	json_end_array(&json);
	assert_int_equal(json.len, 2 + 30 * 100002 + 50 + 59);
	root = json_loadb(json.data, json.len, 0, NULL);
	assert_int_equal(json_array_size(root), 60);
	assert_int_equal(json_integer_value(json_array_get(root, 59)), 29);
	json_decref(root);
	json_fini(&json);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty_containers),
	    cmocka_unit_test(test_commas),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_largest_real),
	    cmocka_unit_test(test_escapes),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_every_pair),
	    cmocka_unit_test(test_grows),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
