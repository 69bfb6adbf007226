#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <stdbool.h>
#include <string.h>

#include "allocation/turns.h"
#include "base/random.h"
#include "base/xalloc.h"

#define MOST 400

/* Smooth weighted round robin as it is defined. */
static uint32_t
literal(int64_t *credit, const uint32_t *weights, size_t count)
{
	uint32_t best = TURNS_NONE;
	int64_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		credit[i] += weights[i];
		sum += weights[i];
		if (weights[i] > 0 && (best == TURNS_NONE || credit[i] > credit[best]))
			best = i;
	}
	if (best != TURNS_NONE)
		credit[best] -= sum;
	return best;
}

static void
compare(struct turns *t, const uint32_t *weights, size_t count, int turns)
{
	int64_t *credit = xcalloc(count, sizeof(*credit));

	for (int i = 0; i < turns; i++) {
		uint32_t expected = literal(credit, weights, count);
		uint32_t got = turns_next(t);

		if (got != expected)
			fail_msg("%zu of them, turn %d: %u, not %u", count, i, got, expected);
	}
	free(credit);
}

static void
test_published_example(void **arg)
{
	static const uint32_t weights[] = {5, 1, 1}, expected[] = {0, 0, 1, 0, 2, 0, 0};
	struct turns t = {0};

	(void)arg;
	turns_build(&t, weights, 3);
	for (int i = 0; i < 70; i++)
		assert_int_equal(turns_next(&t), expected[i % 7]);
	turns_fini(&t);
}

static void
test_against_the_definition(void **arg)
{
	static const uint32_t ranges[] = {1, 2, 10, 300, 65535};
	uint32_t weights[MOST];
	struct random random;

	(void)arg;
	random_init(&random, 5);
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
		for (size_t count = 1; count <= MOST; count = count * 3 / 2 + 1) {
			struct turns t = {0};

			for (size_t i = 0; i < count; i++)
				weights[i] = random_below(&random, ranges[r] + 1);
			weights[random_below(&random, (uint32_t)count)] = ranges[r];
			turns_build(&t, weights, count);
			compare(&t, weights, count, 5000);
			turns_fini(&t);
		}
	}
}

/* One that is much heavier than all others. */
static void
test_one_heavy(void **arg)
{
	uint32_t weights[100];
	struct turns t = {0};

	(void)arg;
	for (size_t i = 0; i < 100; i++)
		weights[i] = i == 57 ? 65535 : 1;
	turns_build(&t, weights, 100);
	compare(&t, weights, 100, 140000);
	turns_fini(&t);
}

/* Each gets exactly its weight in each round, and a round is over when all credits are 0. */
static void
test_rounds_are_exact(void **arg)
{
	static const uint32_t weights[] = {7, 0, 3, 12, 1, 1, 31};
	unsigned count[7] = {0};
	struct turns t = {0};

	(void)arg;
	turns_build(&t, weights, 7);
	for (int round = 1; round <= 20; round++) {
		for (int i = 0; i < 55; i++)
			count[turns_next(&t)]++;
		for (int i = 0; i < 7; i++)
			assert_int_equal(count[i], (unsigned)round * weights[i]);
	}
	turns_fini(&t);
}

/* Made anew all the time, as when servers come and go: the light one gets its share all the same. */
static void
test_rebuilding_keeps_credits(void **arg)
{
	static const uint32_t weights[] = {5, 1, 1};
	unsigned count[3] = {0};
	struct turns t = {0};

	(void)arg;
	for (int i = 0; i < 700; i++) {
		turns_build(&t, weights, 3);
		count[turns_next(&t)]++;
	}
	assert_int_equal(count[0], 500);
	assert_int_equal(count[1], 100);
	assert_int_equal(count[2], 100);
	turns_fini(&t);
}

/* Credits of a heavy round do not starve anybody when the heavy one has left. */
static void
test_heavy_one_leaves(void **arg)
{
	uint32_t weights[] = {65535, 1, 1};
	unsigned count[3] = {0};
	struct turns t = {0};

	(void)arg;
	turns_build(&t, weights, 3);
	for (int i = 0; i < 40000; i++)
		turns_next(&t);
	weights[0] = 0;
	turns_build(&t, weights, 3);
	for (int i = 0; i < 20; i++)
		count[turns_next(&t)]++;
	assert_int_equal(count[0], 0);
	assert_in_range(count[1], 9, 11);
	/* fewer than before, and none */
	turns_build(&t, weights, 2);
	assert_int_equal(turns_next(&t), 1);
	weights[1] = 0;
	turns_build(&t, weights, 2);
	assert_int_equal(turns_next(&t), TURNS_NONE);
	turns_build(&t, weights, 0);
	assert_int_equal(turns_next(&t), TURNS_NONE);
	turns_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_published_example),
	    cmocka_unit_test(test_against_the_definition),
	    cmocka_unit_test(test_one_heavy),
	    cmocka_unit_test(test_rounds_are_exact),
	    cmocka_unit_test(test_rebuilding_keeps_credits),
	    cmocka_unit_test(test_heavy_one_leaves),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
