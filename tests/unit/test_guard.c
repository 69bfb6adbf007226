/* One at a time, and time that never goes back, for threads that do nothing but go in and out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "base/guard.h"

#define THREADS 4
#define TIMES   50000

static struct {
	struct guard *guard;
	uint64_t count, latest; /* what the guard guards */
	unsigned backwards, wrong;
} shared;

static void *
visit(void *arg)
{
	(void)arg;
	for (int i = 0; i < TIMES; i++) {
		uint64_t now = guard_enter(shared.guard);

		if (now < shared.latest || guard_now(shared.guard) != now)
			shared.backwards++;
		if (guard_enter(shared.guard) != now || !guard_is_inside())
			shared.wrong++;
		guard_leave(shared.guard);
		if (!guard_is_inside())
			shared.wrong++;
		shared.latest = now;
		shared.count++;
		guard_leave(shared.guard);
	}
	return NULL;
}

static void
test_one_at_a_time(void **state)
{
	pthread_t thread[THREADS];
	uint64_t start = clock_now();

	(void)state;
	shared.guard = guard_new();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, visit, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(shared.count, THREADS * TIMES);
	assert_int_equal(shared.backwards, 0);
	assert_int_equal(shared.wrong, 0);
	assert_false(guard_is_inside());
	assert_true(shared.latest >= start && shared.latest <= clock_now());
	guard_free(shared.guard);
	guard_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_at_a_time),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
