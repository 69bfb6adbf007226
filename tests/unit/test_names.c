/*
 * names: numbers by name and owner, several of the same name, many at once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "load/names.h"

#define MANY 20000

static void
test_empty(void **arg)
{
	struct names *n = names_new();

	(void)arg;
	assert_int_equal(names_first(n, 0, "a"), NAMES_NONE);
	assert_int_equal(names_first(n, 0, ""), NAMES_NONE);
	names_free(n);
	names_free(NULL);
}

static void
test_owners_are_apart(void **arg)
{
	struct names *n = names_new();

	(void)arg;
	assert_int_equal(names_add(n, 1, "a"), 0);
	assert_int_equal(names_add(n, 2, "a"), 1);
	assert_int_equal(names_add(n, 1, "b"), 2);
	assert_int_equal(names_first(n, 1, "a"), 0);
	assert_int_equal(names_next(n, 0), NAMES_NONE);
	assert_int_equal(names_first(n, 2, "a"), 1);
	assert_int_equal(names_first(n, 1, "b"), 2);
	assert_int_equal(names_first(n, 2, "b"), NAMES_NONE);
	assert_int_equal(names_first(n, 3, "a"), NAMES_NONE);
	names_free(n);
}

/* Servers that had another address before: the latest comes first, and none is left out. */
static void
test_same_name(void **arg)
{
	struct names *n = names_new();
	uint32_t found;

	(void)arg;
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(names_add(n, 7, "same"), 2 * i);
		assert_int_equal(names_add(n, 7, i % 2 ? "other" : "third"), 2 * i + 1);
	}
	found = names_first(n, 7, "same");
	for (uint32_t i = 100; i-- > 0; found = names_next(n, found))
		assert_int_equal(found, 2 * i);
	assert_int_equal(found, NAMES_NONE);
	names_free(n);
}

/* A number that is somebody else's is found by the new name alone, and nothing is lost. */
static void
test_replaced(void **arg)
{
	struct names *n = names_new();
	char name[32];

	(void)arg;
	for (uint32_t i = 0; i < 1000; i++)
		names_add(n, 7, "same");
	for (uint32_t i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof(name), "n%u", i);
		names_replace(n, i, i % 4, name);
	}
	for (uint32_t i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(names_first(n, i % 4, name), i);
		assert_int_equal(names_next(n, i), NAMES_NONE);
		assert_int_equal(names_first(n, 7, name), NAMES_NONE);
	}
	for (uint32_t i = 1000, found = names_first(n, 7, "same"); i > 0; i -= 2) {
		assert_int_equal(found, i - 1);
		found = names_next(n, found);
	}
	names_free(n);
}

static void
test_many(void **arg)
{
	struct names *n = names_new();
	char name[32];

	(void)arg;
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%u", i / 4);
		assert_int_equal(names_add(n, i % 4, name), i);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%u", i / 4);
		assert_int_equal(names_first(n, i % 4, name), i);
		assert_int_equal(names_next(n, i), NAMES_NONE);
	}
	assert_int_equal(names_first(n, 0, "n5000"), NAMES_NONE);
	names_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_owners_are_apart),
	    cmocka_unit_test(test_same_name),
	    cmocka_unit_test(test_replaced),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
