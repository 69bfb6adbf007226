#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/ratelimit.h"

static unsigned
take_all(struct ratelimit *limit, uint64_t now)
{
	unsigned n = 0;

	while (ratelimit_take(limit, now))
		n++;
	return n;
}

static void
test_burst_then_rate(void **arg)
{
	struct ratelimit limit = ratelimit_make(10, 5);
	uint64_t now = 7 * CLOCK_SECOND;

	(void)arg;
	assert_int_equal(take_all(&limit, now), 5);
	assert_int_equal(take_all(&limit, now + 99 * CLOCK_MILLISECOND), 0);
	assert_int_equal(take_all(&limit, now + 101 * CLOCK_MILLISECOND), 1);
	assert_int_equal(take_all(&limit, now + 401 * CLOCK_MILLISECOND), 3);
	/* a long silence fills the bucket, no more */
	assert_int_equal(take_all(&limit, now + 1000 * CLOCK_SECOND), 5);
}

static void
test_steady_rate_is_exact(void **arg)
{
	struct ratelimit limit = ratelimit_make(100, 1);
	unsigned passed = 0;

	(void)arg;
	for (uint64_t ms = 1; ms <= 10000; ms++)
		passed += ratelimit_take(&limit, ms * CLOCK_MILLISECOND);
	assert_in_range(passed, 909, 1001); /* 1 in 10 ms, or in 11 where a sum of tenths falls short of one */
}

static void
test_time_that_stands_still_gives_nothing(void **arg)
{
	struct ratelimit limit = ratelimit_make(1000000, 1);

	(void)arg;
	assert_true(ratelimit_take(&limit, 5));
	assert_false(ratelimit_take(&limit, 5));
	assert_false(ratelimit_take(&limit, 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_burst_then_rate),
	    cmocka_unit_test(test_steady_rate_is_exact),
	    cmocka_unit_test(test_time_that_stands_still_gives_nothing),
	};

	return cmocka_run_group_tests_name("ratelimit", tests, NULL, NULL);
}
