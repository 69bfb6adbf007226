#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/random.h"
#include "health/match.h"

static bool
found(const char *want, const char *data, size_t len, size_t piece)
{
	struct octets octets;
	struct match match;
	bool result = false;

	octets.len = (uint16_t)strlen(want);
	memcpy(octets.data, want, octets.len);
	match_init(&match, &octets);
	for (size_t i = 0; i < len; i += piece)
		result = match_feed(&match, data + i, piece < len - i ? piece : len - i);
	return result;
}

static void
test_places(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 12; piece++) {
		assert_true(found("abc", "abc", 3, piece));
		assert_true(found("abc", "xxabc", 5, piece));
		assert_true(found("abc", "abcxx", 5, piece));
		assert_true(found("abc", "ababc", 5, piece));
		assert_true(found("aab", "aaaaab", 6, piece));
		assert_true(found("abababc", "ababababc", 9, piece));
		assert_false(found("abc", "ab", 2, piece));
		assert_false(found("abc",
		    "ab abc"
		    "",
		    5, piece));
		assert_false(found("aab", "aaaaaa", 6, piece));
	}
}

static void
test_empty(void **state)
{
	struct octets none = {0};
	struct match match;

	(void)state;
	match_init(&match, &none);
	assert_true(match_feed(&match, "", 0));
	assert_true(match_feed(&match, "a", 1));
}

/* Against memmem(3), over two letters, so that matches break late and often. */
static void
test_model(void **state)
{
	struct random random;
	char want[9], data[41];
	int hits = 0;

	(void)state;
	random_init(&random, 7);
	for (int round = 0; round < 20000; round++) {
		size_t want_len = 1 + random_below(&random, 8);
		size_t len = 1 + random_below(&random, 40);
		bool there;

		for (size_t i = 0; i < want_len; i++)
			want[i] = "ab"[random_below(&random, 2)];
		want[want_len] = '\0';
		for (size_t i = 0; i < len; i++)
			data[i] = "ab"[random_below(&random, 2)];
		there = memmem(data, len, want, want_len) != NULL;
		assert_int_equal(found(want, data, len, 1 + random_below(&random, 7)), there);
		hits += there;
	}
	assert_in_range(hits, 5000, 15000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
