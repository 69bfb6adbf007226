#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <stdbool.h>
#include <string.h>

#include "allocation/maglev.h"
#include "base/random.h"

#define MOST 1000

static uint64_t identity[MOST];
static uint32_t weights[MOST];
static unsigned rows[MOST];

static void
prepare(size_t count, uint32_t weight)
{
	struct random random;

	random_init(&random, 11);
	for (size_t i = 0; i < count; i++) {
		identity[i] = random_next(&random);
		weights[i] = weight;
	}
}

static void
count_rows(const struct maglev *m, size_t count)
{
	memset(rows, 0, sizeof(rows));
	for (size_t row = 0; row < MAGLEV_ROWS; row++) {
		assert_true(m->rows[row] < count);
		rows[m->rows[row]]++;
	}
}

static void
test_rows_follow_weights(void **arg)
{
	struct maglev m = {0};
	uint64_t sum = 0;

	(void)arg;
	prepare(100, 0);
	for (uint32_t i = 0; i < 100; i++)
		sum += weights[i] = i * i;
	maglev_build(&m, identity, weights, 100);
	count_rows(&m, 100);
	assert_int_equal(rows[0], 0);
	for (uint64_t i = 0; i < 100; i++) {
		unsigned exact = (unsigned)(MAGLEV_ROWS * i * i / sum);

		assert_in_range(rows[i], exact, exact + 1);
	}
	/* as unequal as can be */
	prepare(3, 1);
	weights[1] = 65535;
	maglev_build(&m, identity, weights, 3);
	count_rows(&m, 3);
	assert_in_range(rows[0], 1, 2);
	assert_in_range(rows[2], 1, 2);
	maglev_fini(&m);
}

/* Of the rows that were not those of the ones that changed: how many have another server, in %. */
static double
moved(const struct maglev *before, const struct maglev *after, const bool *changed)
{
	unsigned others = 0, moves = 0;

	for (size_t row = 0; row < MAGLEV_ROWS; row++) {
		if (changed[before->rows[row]])
			continue;
		others++;
		moves += before->rows[row] != after->rows[row];
	}
	return 100.0 * moves / others;
}

static void
test_disruption(void **arg)
{
	struct maglev before = {0}, after = {0};
	bool changed[MOST] = {false};
	double worst = 0;

	(void)arg;
	prepare(100, 10);
	maglev_build(&before, identity, weights, 100);
	for (size_t gone = 0; gone < 100; gone++) {
		double part;

		weights[gone] = 0;
		changed[gone] = true;
		maglev_build(&after, identity, weights, 100);
		part = moved(&before, &after, changed);
		worst = part > worst ? part : worst;
		assert_true(part <= 2.5);
		/* and when it returns everything is as it was */
		weights[gone] = 10;
		changed[gone] = false;
		maglev_build(&after, identity, weights, 100);
		assert_memory_equal(before.rows, after.rows, MAGLEV_ROWS * sizeof(*before.rows));
	}
	print_message(
	    "one of 100 servers leaves: at most %.2f %% of the other rows move\n", worst);
	maglev_fini(&before);
	maglev_fini(&after);
}

static void
test_disruption_with_weights(void **arg)
{
	struct maglev before = {0}, after = {0};
	bool changed[MOST] = {false};
	double part;

	(void)arg;
	prepare(100, 1);
	for (uint32_t i = 0; i < 100; i++)
		weights[i] = 1 + i % 7;
	maglev_build(&before, identity, weights, 100);
	changed[41] = true;
	weights[41] = 0;
	maglev_build(&after, identity, weights, 100);
	part = moved(&before, &after, changed);
	print_message("one of 100 of weights 1 to 7 leaves: %.2f %%\n", part);
	assert_true(part <= 4);
	maglev_fini(&before);
	maglev_fini(&after);
}

/* Few move when one is entered in the middle of the list. */
static void
test_insertion(void **arg)
{
	struct maglev before = {0}, after = {0};
	unsigned moves = 0;
	uint64_t fresh = UINT64_C(0x123456789abcdef0);

	(void)arg;
	prepare(100, 1);
	maglev_build(&before, identity, weights, 100);
	memmove(identity + 51, identity + 50, 50 * sizeof(*identity));
	identity[50] = fresh;
	weights[100] = 1;
	maglev_build(&after, identity, weights, 101);
	for (size_t row = 0; row < MAGLEV_ROWS; row++) {
		uint32_t now = after.rows[row], was = before.rows[row];

		moves += now != 50 && now != was + (was >= 50);
	}
	print_message("one more than 100: %.2f %% of the rows of the others move\n",
	    100.0 * moves / MAGLEV_ROWS);
	assert_true(moves <= MAGLEV_ROWS / 40);
	maglev_fini(&before);
	maglev_fini(&after);
}

static void
test_one_and_none(void **arg)
{
	struct maglev m = {0};

	(void)arg;
	prepare(2, 0);
	maglev_build(&m, identity, weights, 2);
	weights[1] = 3;
	maglev_build(&m, identity, weights, 2);
	count_rows(&m, 2);
	assert_int_equal(rows[1], MAGLEV_ROWS);
	maglev_fini(&m);
}

/* More servers than rows do no harm. */
static void
test_more_than_rows(void **arg)
{
	size_t count = MAGLEV_ROWS + 100;
	uint64_t *many = test_calloc(count, sizeof(*many));
	uint32_t *ones = test_calloc(count, sizeof(*ones));
	struct maglev m = {0};
	struct random random;

	(void)arg;
	random_init(&random, 2);
	for (size_t i = 0; i < count; i++) {
		many[i] = random_next(&random);
		ones[i] = 1;
	}
	maglev_build(&m, many, ones, count);
	for (size_t row = 0; row < MAGLEV_ROWS; row++)
		assert_true(m.rows[row] < count);
	maglev_fini(&m);
	test_free(many);
	test_free(ones);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows_follow_weights),
	    cmocka_unit_test(test_disruption),
	    cmocka_unit_test(test_disruption_with_weights),
	    cmocka_unit_test(test_insertion),
	    cmocka_unit_test(test_one_and_none),
	    cmocka_unit_test(test_more_than_rows),
	};

	return cmocka_run_group_tests_name("maglev", tests, NULL, NULL);
}
