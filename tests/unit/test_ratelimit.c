#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/ratelimit.h"

#define START (5 * CLOCK_SECOND)

/* How many tokens are to be had at that time, at most 100000. */
static uint32_t
take_all(struct ratelimit *limit, uint64_t now)
{
	uint32_t n = 0;

	while (n < 100000 && ratelimit_take(limit, now))
		n++;
	return n;
}

static void
test_burst(void **state)
{
	struct ratelimit limit = ratelimit_make(10, 25);

	(void)state;
	assert_int_equal(take_all(&limit, START), 25);
	assert_int_equal(take_all(&limit, START), 0);
	/* an hour's rest fills it once, not more */
	assert_int_equal(take_all(&limit, START + 3600 * CLOCK_SECOND), 25);
}

static void
test_rate(void **state)
{
	struct ratelimit limit = ratelimit_make(10, 1);
	uint32_t taken = 0;

	(void)state;
	for (int i = 0; i <= 100000; i++)
		taken += ratelimit_take(&limit, START + (uint64_t)i * CLOCK_MILLISECOND);
	assert_in_range(taken, 995, 1002);
}

static void
test_refill(void **state)
{
	struct ratelimit limit = ratelimit_make(10, 100);

	(void)state;
	assert_int_equal(take_all(&limit, START), 100);
	assert_false(ratelimit_take(&limit, START + 99 * CLOCK_MILLISECOND));
	assert_true(ratelimit_take(&limit, START + 101 * CLOCK_MILLISECOND));
	assert_in_range(take_all(&limit, START + 5 * CLOCK_SECOND), 48, 49);
}

static void
test_nothing_allowed(void **state)
{
	struct ratelimit none = ratelimit_make(0, 0), once = ratelimit_make(0, 3);
	struct ratelimit never = ratelimit_make(1000, 0);

	(void)state;
	assert_int_equal(take_all(&none, START), 0);
	assert_int_equal(take_all(&none, START + 1000 * CLOCK_SECOND), 0);
	assert_int_equal(take_all(&once, START), 3);
	assert_int_equal(take_all(&once, START + 1000 * CLOCK_SECOND), 0);
	assert_int_equal(take_all(&never, START), 0);
	assert_int_equal(take_all(&never, START + 1000 * CLOCK_SECOND), 0);
}

/* A clock that stands still or is asked out of order gives nothing, and takes nothing. */
static void
test_clock_not_later(void **state)
{
	struct ratelimit limit = ratelimit_make(10, 10);

	(void)state;
	assert_int_equal(take_all(&limit, START), 10);
	assert_int_equal(take_all(&limit, START - CLOCK_SECOND), 0);
	assert_int_equal(take_all(&limit, START), 0);
	assert_in_range(take_all(&limit, START + CLOCK_SECOND), 9, 10);
}

static void
test_high_rate(void **state)
{
	struct ratelimit limit = ratelimit_make(UINT32_MAX, 1000);

	(void)state;
	assert_int_equal(take_all(&limit, START), 1000);
	assert_int_equal(take_all(&limit, START + CLOCK_MILLISECOND), 1000);
	assert_in_range(take_all(&limit, START + CLOCK_MILLISECOND + 100), 428, 430);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_burst),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_refill),
	    cmocka_unit_test(test_nothing_allowed),
	    cmocka_unit_test(test_clock_not_later),
	    cmocka_unit_test(test_high_rate),
	};

	return cmocka_run_group_tests_name("ratelimit", tests, NULL, NULL);
}
