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

/* As it is defined: who is due first, each every 1/weight from a point in his first stride on;
 * among equal ones who has waited longest. */
struct literal {
	uint64_t due[MOST], since[MOST], taken;
};

static void
begin(struct literal *l, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		l->due[i] = (i + 1) * 40503 % 65536;
		l->since[i] = i;
	}
	l->taken = count;
}

static bool
is_before(const struct literal *l, const uint32_t *weights, uint32_t a, uint32_t b)
{
	uint64_t left = l->due[a] * weights[b], right = l->due[b] * weights[a];

	return left != right ? left < right : l->since[a] < l->since[b];
}

static uint32_t
literal(struct literal *l, const uint32_t *weights, size_t count)
{
	uint32_t best = TURNS_NONE;

	for (uint32_t i = 0; i < count; i++)
		if (weights[i] > 0 && (best == TURNS_NONE || is_before(l, weights, i, best)))
			best = i;
	if (best != TURNS_NONE) {
		l->due[best] += 65536;
		l->since[best] = l->taken++;
	}
	return best;
}

static void
compare(struct turns *t, const uint32_t *weights, size_t count, int turns)
{
	struct literal l;

	begin(&l, count);
	for (int i = 0; i < turns; i++) {
		uint32_t expected = literal(&l, weights, count);
		uint32_t got = turns_next(t);

		if (got != expected)
			fail_msg("%zu of them, turn %d: %u, not %u", count, i, got, expected);
	}
}

static void
test_example_of_the_manual(void **arg)
{
	static const uint32_t weights[] = {5, 1, 1}, expected[] = {0, 1, 0, 0, 0, 2, 0};
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

/* Each gets exactly its weight in each round. */
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
test_rebuilding_keeps_turns(void **arg)
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

/* The turns of a heavy one do not starve anybody when the heavy one has left. */
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

/* Nobody is ahead of his share, or behind it, by more than few turns, at any moment. */
static void
test_is_smooth(void **arg)
{
	uint32_t weights[100], sum = 0;
	unsigned count[100] = {0};
	struct turns t = {0};
	struct random random;
	double worst = 0;

	(void)arg;
	random_init(&random, 7);
	for (size_t i = 0; i < 100; i++)
		sum += weights[i] = 1 + random_below(&random, 1000);
	turns_build(&t, weights, 100);
	for (uint32_t n = 1; n <= sum; n++) {
		count[turns_next(&t)]++;
		for (size_t i = 0; i < 100; i++) {
			double off = count[i] - (double)n * weights[i] / sum;

			worst = off > worst ? off : -off > worst ? -off : worst;
		}
	}
	print_message("100 with weights to 1000: %.2f turns off at most\n", worst);
	assert_true(worst < 2);
	turns_fini(&t);
}

/* Time starts again after 2^22 turns of the heaviest: nobody notices. */
static void
test_time_starts_again(void **arg)
{
	static const uint32_t weights[] = {1, 65535, 3};
	unsigned count[3] = {0};
	struct turns t = {0};

	(void)arg;
	turns_build(&t, weights, 3);
	for (int round = 0; round < 200; round++)
		for (int i = 0; i < 65539; i++)
			count[turns_next(&t)]++;
	for (int i = 0; i < 3; i++)
		assert_int_equal(count[i], 200 * weights[i]);
	/* light ones have brought time far when a heavy one comes */
	turns_set(&t, 1, 0);
	for (int i = 0; i < 12000000; i++)
		turns_next(&t);
	turns_set(&t, 1, 1 << 24);
	memset(count, 0, sizeof(count));
	for (int i = 0; i < 1 << 24; i++)
		count[turns_next(&t)]++;
	assert_in_range(count[0], 0, 2);
	assert_in_range(count[2], 2, 4);
	turns_fini(&t);
}

/* Another weight counts from now on: no turns for the past, none taken back. */
static void
test_another_weight(void **arg)
{
	static const uint32_t weights[] = {10, 10, 10, 0};
	unsigned count[4] = {0};
	struct turns t = {0};

	(void)arg;
	turns_build(&t, weights, 4);
	for (int i = 0; i < 3000; i++)
		turns_next(&t);
	turns_set(&t, 0, 20);
	turns_set(&t, 3, 20);
	for (int i = 0; i < 6; i++)
		count[turns_next(&t)]++;
	assert_in_range(count[0], 1, 3);
	assert_in_range(count[3], 1, 3);
	for (int i = 0; i < 5994; i++)
		count[turns_next(&t)]++;
	for (int i = 0; i < 4; i++)
		assert_in_range(count[i], (i % 3 == 0 ? 1999 : 999), (i % 3 == 0 ? 2001 : 1001));
	turns_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_example_of_the_manual),
	    cmocka_unit_test(test_against_the_definition),
	    cmocka_unit_test(test_one_heavy),
	    cmocka_unit_test(test_rounds_are_exact),
	    cmocka_unit_test(test_rebuilding_keeps_turns),
	    cmocka_unit_test(test_heavy_one_leaves),
	    cmocka_unit_test(test_is_smooth),
	    cmocka_unit_test(test_time_starts_again),
	    cmocka_unit_test(test_another_weight),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
