#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/random.h"

static void
test_generator(void **state)
{
	/* of the published program, from the state 1, 2, 3, 4 */
	static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240,
	    1216172134540287360, 607988272756665600, 16172922978634559625U, 8476171486693032832,
	    10595114339597558777U, 2904607092377533576};
	struct random r = {{1, 2, 3, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_true(random_next(&r) == expected[i]);
}

static void
test_seed(void **state)
{
	/* splitmix64 of 1234567 */
	static const uint64_t expected[4] = {6457827717110365317, 3203168211198807973,
	    9817491932198370423U, 4593380528125082431};
	struct random a, b;

	(void)state;
	random_init(&a, 1234567);
	assert_memory_equal(a.state, expected, sizeof(expected));
	/* a seed repeats its sequence; its neighbour gives another; 0 is a seed */
	random_init(&b, 1234567);
	for (int i = 0; i < 100; i++)
		assert_true(random_next(&a) == random_next(&b));
	random_init(&b, 1234568);
	assert_true(random_next(&a) != random_next(&b));
	random_init(&a, 0);
	assert_true((a.state[0] | a.state[1] | a.state[2] | a.state[3]) != 0);
	assert_true(random_next(&a) != random_next(&a));
}

static void
test_below_small_bounds(void **state)
{
	struct random r;

	(void)state;
	random_init(&r, 1);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(random_below(&r, 0), 0);
		assert_int_equal(random_below(&r, 1), 0);
		assert_in_range(random_below(&r, 2), 0, 1);
	}
}

static void
test_below_stays_below(void **state)
{
	static const uint32_t bounds[] = {2, 3, 7, 64512, 65536, 0x7fffffff, 0x80000000,
	    0x80000001, 0xaaaaaaab, 0xfffffffe, UINT32_MAX};
	struct random r;

	(void)state;
	random_init(&r, 2);
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		uint32_t smallest = UINT32_MAX, largest = 0;

		for (int j = 0; j < 20000; j++) {
			uint32_t x = random_below(&r, bounds[i]);

			assert_true(x < bounds[i]);
			smallest = x < smallest ? x : smallest;
			largest = x > largest ? x : largest;
		}
		/* all of the range is used */
		assert_true(smallest <= bounds[i] / 1000);
		assert_true(largest >= bounds[i] - 1 - bounds[i] / 1000);
	}
}

/* Sum of (observed - expected)^2 / expected. */
static double
chi_square(const uint32_t *counts, uint32_t cells, double expected)
{
	double sum = 0;

	for (uint32_t i = 0; i < cells; i++)
		sum += (counts[i] - expected) * (counts[i] - expected) / expected;
	return sum;
}

static void
test_below_is_even(void **state)
{
	uint32_t counts[100] = {0};
	struct random r;

	(void)state;
	random_init(&r, 3);
	for (int i = 0; i < 1000000; i++)
		counts[random_below(&r, 100)]++;
	/* 99 degrees of freedom: 1 in 1000 above 149, 1 in 1000 below 61 */
	assert_true(chi_square(counts, 100, 10000) < 149);
	assert_true(chi_square(counts, 100, 10000) > 61);
}

/* Where the bias of a plain product or remainder would be largest: of 2^32 values three
 * quarters are asked for, so that every third result would come twice as often. */
static void
test_below_has_no_bias(void **state)
{
	const uint32_t bound = UINT32_C(3) << 30;
	uint32_t counts[3] = {0};
	struct random r;

	(void)state;
	random_init(&r, 4);
	for (int i = 0; i < 300000; i++)
		counts[random_below(&r, bound) % 3]++;
	/* 2 degrees of freedom: 1 in 1000 above 13.8 */
	assert_true(chi_square(counts, 3, 100000) < 13.8);
}

static void
test_unit(void **state)
{
	uint32_t counts[100] = {0};
	struct random r;
	double sum = 0;

	(void)state;
	random_init(&r, 5);
	for (int i = 0; i < 1000000; i++) {
		double x = random_unit(&r);

		assert_true(x >= 0 && x < 1);
		counts[(int)(x * 100)]++;
		sum += x;
	}
	assert_true(chi_square(counts, 100, 10000) < 149);
	assert_true(sum / 1000000 > 0.499 && sum / 1000000 < 0.501);
}

/* The ends of the range, from states that make the generator give 0 and 2^64 - 1. */
static void
test_unit_at_the_ends(void **state)
{
	/* 2^64 - 1 = 9 * y, y = rotl(5 * s1, 7): undone from right to left */
	const uint64_t ninth = 0x8e38e38e38e38e39, fifth = 0xcccccccccccccccd;
	uint64_t y = UINT64_MAX * ninth;
	struct random r = {{1, 0, 2, 3}};

	(void)state;
	assert_true(random_unit(&r) == 0.0);
	r = (struct random){{1, ((y >> 7) | (y << 57)) * fifth, 2, 3}};
	assert_true(random_next(&r) == UINT64_MAX);
	r = (struct random){{1, ((y >> 7) | (y << 57)) * fifth, 2, 3}};
	assert_true(random_unit(&r) < 1.0);
	r = (struct random){{1, ((y >> 7) | (y << 57)) * fifth, 2, 3}};
	assert_int_equal(random_below(&r, 10), 9);
}

static void
test_system(void **state)
{
	/* more than one call's worth, and lengths around it */
	static const size_t lens[] = {0, 1, 16, 255, 256, 257, 512, 1000};
	uint8_t a[1010], b[1010];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint8_t seen[1010] = {0};

		/* each octet is written, sooner or later, and none after the end */
		for (int round = 0; round < 20; round++) {
			memset(a, 0, sizeof(a));
			random_system(a, lens[i]);
			for (size_t j = 0; j < sizeof(a); j++)
				seen[j] |= a[j];
		}
		for (size_t j = 0; j < sizeof(a); j++)
			assert_int_equal(seen[j] != 0, j < lens[i]);
	}
	random_system(a, sizeof(a));
	random_system(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_generator),
	    cmocka_unit_test(test_seed),
	    cmocka_unit_test(test_below_small_bounds),
	    cmocka_unit_test(test_below_stays_below),
	    cmocka_unit_test(test_below_is_even),
	    cmocka_unit_test(test_below_has_no_bias),
	    cmocka_unit_test(test_unit),
	    cmocka_unit_test(test_unit_at_the_ends),
	    cmocka_unit_test(test_system),
	};

	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
