#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "allocation/heap.h"
#include "base/random.h"

#define ITEMS 200

static bool
is_less(const struct heap_key *a, const struct heap_key *b)
{
	uint64_t left = a->numerator * b->denominator, right = b->numerator * a->denominator;

	if (a->rank != b->rank)
		return a->rank < b->rank;
	return left < right || (left == right && a->turn < b->turn);
}

/* Many changes; the top is always what looking at all items finds. */
static void
test_against_looking_at_all(void **arg)
{
	struct heap_key key[ITEMS];
	bool in[ITEMS] = {false};
	struct heap heap = {0};
	struct random random;

	(void)arg;
	random_init(&random, 3);
	heap_begin(&heap, ITEMS);
	for (uint64_t step = 1; step < 100000; step++) {
		uint32_t item = random_below(&random, ITEMS), best = HEAP_NONE;

		in[item] = random_below(&random, 3) > 0;
		key[item] = (struct heap_key){random_below(&random, 50), step,
		    1 + random_below(&random, 5), random_below(&random, 2)};
		if (in[item])
			heap_set(&heap, item, &key[item]);
		else
			heap_remove(&heap, item);
		for (uint32_t i = 0; i < ITEMS; i++)
			if (in[i] && (best == HEAP_NONE || is_less(&key[i], &key[best])))
				best = i;
		assert_int_equal(heap_top(&heap), best);
	}
	heap_fini(&heap);
}

/* Fractions are compared exactly, at the ends of their range as well. */
static void
test_large_keys(void **arg)
{
	struct heap_key a = {(UINT64_C(1) << 39) - 1, 0, 1 << 24, 0};
	struct heap_key b = {(UINT64_C(1) << 39) - 2, 1, 1 << 24, 0};
	struct heap heap = {0};

	(void)arg;
	heap_begin(&heap, 2);
	heap_set(&heap, 0, &a);
	heap_set(&heap, 1, &b);
	assert_int_equal(heap_top(&heap), 1);
	b.denominator = (1 << 24) - 1;
	heap_set(&heap, 1, &b);
	assert_int_equal(heap_top(&heap), 0);
	heap_fini(&heap);
}

static void
test_empty_and_begun_again(void **arg)
{
	struct heap_key key = {1, 1, 1, 0};
	struct heap heap = {0};

	(void)arg;
	heap_begin(&heap, 0);
	assert_int_equal(heap_top(&heap), HEAP_NONE);
	heap_begin(&heap, 3);
	heap_remove(&heap, 2);
	heap_set(&heap, 2, &key);
	assert_int_equal(heap_top(&heap), 2);
	heap_remove(&heap, 2);
	assert_int_equal(heap_top(&heap), HEAP_NONE);
	heap_set(&heap, 1, &key);
	heap_begin(&heap, 2);
	assert_int_equal(heap_top(&heap), HEAP_NONE);
	heap_fini(&heap);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_looking_at_all),
	    cmocka_unit_test(test_large_keys),
	    cmocka_unit_test(test_empty_and_begun_again),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
