#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/counters.h"

/* A name becomes a metric, a label, a JSON key and a line of the manual. */
static void
check_name(const char *name)
{
	assert_non_null(name);
	assert_in_range(strlen(name), 2, 40);
	for (const char *p = name; *p != '\0'; p++)
		assert_true(islower((unsigned char)*p) || (*p == '_' && p != name));
}

/* Part of a sentence: no capital, no full stop, one line. */
static void
check_help(const char *help)
{
	assert_non_null(help);
	assert_in_range(strlen(help), 5, 100);
	assert_int_not_equal(help[strlen(help) - 1], '.');
	for (const char *p = help; *p != '\0'; p++)
		assert_true(isprint((unsigned char)*p) && *p != '"' && *p != '\\');
}

static void
test_counter_names(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++) {
		check_name(counter_name((enum counter)i));
		check_help(counter_help((enum counter)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
			    counter_name((enum counter)i), counter_name((enum counter)j));
	}
	assert_string_equal(counter_name(COUNTER_packets_in), "packets_in");
	assert_string_equal(counter_name(COUNTER_checks_failed), "checks_failed");
	assert_string_equal(counter_help(COUNTER_packets_in), "packets read from the device");
}

static void
test_drop_names(void **state)
{
	(void)state;
	for (int i = 0; i < DROP_COUNT; i++) {
		check_name(drop_name((enum drop)i));
		check_help(drop_help((enum drop)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(drop_name((enum drop)i), drop_name((enum drop)j));
	}
	/* a result of 0 is success everywhere */
	assert_int_equal(DROP_none, 0);
	assert_string_equal(drop_name(DROP_none), "none");
	assert_string_equal(drop_name(DROP_table_full), "table_full");
	assert_string_equal(drop_help(DROP_table_full), "the connection table is full");
}

static void
test_counting(void **state)
{
	static struct counters c, expected;

	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++) {
		counter_add(&c, (enum counter)i, (uint64_t)i * 1000);
		counter_add(&c, (enum counter)i, 1);
		expected.counter[i] = (uint64_t)i * 1000 + 1;
	}
	for (int i = 0; i < DROP_COUNT; i++) {
		for (int j = 0; j <= i; j++)
			counter_drop(&c, (enum drop)i);
		expected.drop[i] = (uint64_t)i + 1;
	}
	assert_memory_equal(&c, &expected, sizeof(c));
	/* beyond 32 bits */
	counter_add(&c, COUNTER_bytes_in, UINT64_C(1) << 40);
	assert_true(c.counter[COUNTER_bytes_in] > UINT64_C(1) << 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counter_names),
	    cmocka_unit_test(test_drop_names),
	    cmocka_unit_test(test_counting),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
