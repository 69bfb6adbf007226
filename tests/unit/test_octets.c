#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "config/octets.h"

static void
assert_octets(const char *text, const char *octets, size_t len)
{
	struct octets o;

	assert_int_equal(octets_parse(text, &o), 0);
	assert_int_equal(o.len, len);
	assert_memory_equal(o.data, octets, len);
}

static void
test_parse(void **state)
{
	(void)state;
	assert_octets("", "", 0);
	assert_octets("PING\r\n", "PING\r\n", 6);
	assert_octets("PING\\r\\n\\t\\\\", "PING\r\n\t\\", 8);
	assert_octets("\\x00\\xfFa\\x0A1",
	    "\0\xff"
	    "a\n1",
	    5);
	assert_octets("\xc3\xa4", "\xc3\xa4", 2);
}

static void
test_bad(void **state)
{
	static const char *const bad[] = {
	    "\\", "a\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x0g", "\\X00", "\\0"};
	struct octets o = {.len = 1, .data = "z"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(octets_parse(bad[i], &o), -1);
	assert_int_equal(o.len, 1);
	assert_int_equal(o.data[0], 'z');
}

static void
test_length(void **state)
{
	char text[OCTETS_TEXT + 4];
	struct octets o;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[OCTETS_MAX] = '\0';
	assert_int_equal(octets_parse(text, &o), 0);
	assert_int_equal(o.len, OCTETS_MAX);
	text[OCTETS_MAX] = 'a';
	text[OCTETS_MAX + 1] = '\0';
	assert_int_equal(octets_parse(text, &o), -1);
}

/* Each octet, and the longest text there is. */
static void
test_round_trip(void **state)
{
	struct octets o = {.len = OCTETS_MAX}, again;
	char text[OCTETS_TEXT];

	(void)state;
	for (int i = 0; i < OCTETS_MAX; i++)
		o.data[i] = (uint8_t)i;
	assert_int_equal(octets_parse(octets_format(&o, text), &again), 0);
	assert_true(octets_equal(&o, &again));
	memset(o.data, 0, sizeof(o.data));
	assert_int_equal(strlen(octets_format(&o, text)), OCTETS_TEXT - 1);
	assert_int_equal(octets_parse(text, &again), 0);
	assert_true(octets_equal(&o, &again));
	again.data[255] = 1;
	assert_false(octets_equal(&o, &again));
	again.data[255] = 0;
	again.len = 255;
	assert_false(octets_equal(&o, &again));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests_name("octets", tests, NULL, NULL);
}
