#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "allocation/weights.h"
#include "base/random.h"

#define MOST 300

/* The same by looking at everything. */
static size_t
find_slowly(const uint32_t *values, size_t count, uint64_t point)
{
	for (size_t i = 0; i < count; i++) {
		if (point < values[i])
			return i;
		point -= values[i];
	}
	return count;
}

static void
compare(const struct weights *w, const uint32_t *values, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(weights_before(w, i), sum);
		if (values[i] > 0) {
			assert_int_equal(weights_find(w, sum), i);
			assert_int_equal(weights_find(w, sum + values[i] - 1), i);
		}
		sum += values[i];
	}
	assert_int_equal(w->total, sum);
}

static void
test_against_looking_at_all(void **arg)
{
	struct weights w = {0};
	struct random random;
	uint32_t values[MOST];

	(void)arg;
	random_init(&random, 1);
	for (size_t count = 1; count <= MOST; count += count < 20 ? 1 : 31) {
		for (size_t i = 0; i < count; i++)
			values[i] = random_below(&random, 3) * random_below(&random, 65536);
		weights_build(&w, values, count);
		compare(&w, values, count);
		for (int change = 0; change < 50; change++) {
			size_t i = random_below(&random, (uint32_t)count);

			values[i] = random_below(&random, 2) * random_below(&random, 1000);
			weights_set(&w, i, values[i]);
		}
		compare(&w, values, count);
		for (int draw = 0; draw < 50 && w.total > 0; draw++) {
			uint64_t point = random_next(&random) % w.total;

			assert_int_equal(
			    weights_find(&w, point), find_slowly(values, count, point));
		}
	}
	weights_fini(&w);
}

static void
test_next_goes_round(void **arg)
{
	static const uint32_t values[] = {0, 0, 7, 0, 1, 65535, 0};
	static const size_t next[] = {2, 2, 2, 4, 4, 5, 2, 2, 2};
	struct weights w = {0};

	(void)arg;
	weights_build(&w, values, 7);
	for (size_t start = 0; start < 9; start++)
		assert_int_equal(weights_next(&w, start), next[start]);
	weights_fini(&w);
}

static void
test_none(void **arg)
{
	struct weights w = {0};
	uint32_t zero = 0;

	(void)arg;
	weights_build(&w, NULL, 0);
	assert_int_equal(w.total, 0);
	weights_build(&w, &zero, 1);
	assert_int_equal(w.total, 0);
	weights_set(&w, 0, 5);
	assert_int_equal(w.total, 5);
	assert_int_equal(weights_find(&w, 4), 0);
	weights_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_looking_at_all),
	    cmocka_unit_test(test_next_goes_round),
	    cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
