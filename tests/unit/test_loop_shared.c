/* The loop beside another thread: who is inside, and timers that the other one sets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/guard.h"
#include "loop.h"

/* Until a callback that should not come has not come; longer on a slow machine harms nothing. */
#define A_WHILE (30 * CLOCK_MILLISECOND)

struct rig {
	struct guard *guard;
	struct loop *loop;
	struct loop_timer *timer, *end;
	pthread_t thread;
	int fd[2];
	int calls;
	uint64_t called, due; /* when the timer did, and was to */
	atomic_bool others_inside;
	bool overlap;
};

static void
on_timer(void *arg, uint64_t now)
{
	struct rig *r = arg;

	r->calls++;
	r->called = now;
}

static void
on_end(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	loop_stop(r->loop);
}

static int
setup(void **state)
{
	static struct rig rig;
	struct rig *r = &rig;

	rig = (struct rig){0};
	r->guard = guard_new();
	r->loop = loop_new();
	loop_share(r->loop, r->guard);
	r->timer = loop_timer_new(r->loop, on_timer, r);
	r->end = loop_timer_new(r->loop, on_end, r);
	*state = r;
	return pipe(r->fd);
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	loop_timer_free(r->timer);
	loop_timer_free(r->end);
	loop_free(r->loop);
	guard_free(r->guard);
	close(r->fd[0]);
	close(r->fd[1]);
	return 0;
}

/* Runs the loop beside a thread until the end, which is so far away. */
static void
run_beside(struct rig *r, void *(*other)(void *), uint64_t end)
{
	loop_timer_set(r->end, end);
	assert_int_equal(pthread_create(&r->thread, NULL, other, r), 0);
	loop_run(r->loop);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
}

static void *
set_soon(void *arg)
{
	struct rig *r = arg;

	usleep(10000); /* the loop waits by then, more often than not */
	guard_enter(r->guard);
	r->due = loop_now(r->loop) + CLOCK_MILLISECOND;
	loop_timer_set(r->timer, CLOCK_MILLISECOND);
	guard_leave(r->guard);
	return NULL;
}

/* The loop waits for an hour when another thread sets a timer. */
static void
on_timer_stop(void *arg, uint64_t now)
{
	struct rig *r = arg;

	on_timer(arg, now);
	loop_stop(r->loop);
}

static void
test_a_set_timer_wakes_the_loop(void **state)
{
	struct rig *r = *state;

	loop_timer_free(r->timer);
	r->timer = loop_timer_new(r->loop, on_timer_stop, r);
	run_beside(r, set_soon, 3600 * CLOCK_SECOND);
	assert_int_equal(r->calls, 1);
	assert_true(r->called >= r->due);
	assert_true(r->called < r->due + 5 * CLOCK_SECOND);
}

/* Earlier than it was: it is called then, and once. */
static void
test_earlier(void **state)
{
	struct rig *r = *state;

	loop_timer_set(r->timer, 3600 * CLOCK_SECOND);
	run_beside(r, set_soon, 10 * A_WHILE);
	assert_int_equal(r->calls, 1);
}

static void *
put_off(void *arg)
{
	struct rig *r = arg;

	guard_enter(r->guard);
	r->due = loop_now(r->loop) + 4 * A_WHILE;
	loop_timer_set(r->timer, 4 * A_WHILE);
	guard_leave(r->guard);
	return NULL;
}

static void
test_later(void **state)
{
	struct rig *r = *state;

	loop_timer_set(r->timer, A_WHILE);
	run_beside(r, put_off, 10 * A_WHILE);
	assert_int_equal(r->calls, 1);
	assert_true(r->called >= r->due);
}

static void *
cancel(void *arg)
{
	struct rig *r = arg;

	guard_enter(r->guard);
	loop_timer_cancel(r->timer);
	guard_leave(r->guard);
	return NULL;
}

static void
test_cancel(void **state)
{
	struct rig *r = *state;

	loop_timer_set(r->timer, 4 * A_WHILE);
	run_beside(r, cancel, 8 * A_WHILE);
	assert_int_equal(r->calls, 0);
	loop_timer_set(r->timer, 0); /* and set anew, it is as any other */
	run_beside(r, cancel, 0);
	assert_in_range(r->calls, 0, 1);
}

static void *
set_and_cancel(void *arg)
{
	struct rig *r = arg;

	guard_enter(r->guard);
	loop_timer_set(r->timer, 0);
	loop_timer_cancel(r->timer);
	guard_leave(r->guard);
	return NULL;
}

static void
test_set_and_cancel(void **state)
{
	struct rig *r = *state;

	run_beside(r, set_and_cancel, A_WHILE);
	assert_int_equal(r->calls, 0);
}

static void *
set_only(void *arg)
{
	struct rig *r = arg;

	guard_enter(r->guard);
	loop_timer_set(r->timer, 0);
	guard_leave(r->guard);
	return NULL;
}

/* What nobody has armed yet may be freed. */
static void
test_free_what_was_set(void **state)
{
	struct rig *r = *state;

	assert_int_equal(pthread_create(&r->thread, NULL, set_only, r), 0);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	loop_timer_free(r->timer);
	r->timer = NULL;
	loop_timer_set(r->end, A_WHILE);
	loop_run(r->loop);
	assert_int_equal(r->calls, 0);
}

/* ---- inside ---- */

static void *
be_inside(void *arg)
{
	struct rig *r = arg;

	for (int i = 0; i < 2000; i++) {
		guard_enter(r->guard);
		atomic_store(&r->others_inside, true);
		for (int turn = 0; turn < 100; turn++)
			atomic_signal_fence(memory_order_seq_cst);
		atomic_store(&r->others_inside, false);
		guard_leave(r->guard);
	}
	return NULL;
}

/* libevent's own call: enters by itself, and again, as from within another callback. */
static void
enter_twice(struct rig *r)
{
	loop_enter(r->loop);
	loop_enter(r->loop);
	r->overlap |= atomic_load(&r->others_inside);
	loop_leave(r->loop);
	r->overlap |= atomic_load(&r->others_inside);
	loop_leave(r->loop);
}

static void
on_writable(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	r->overlap |= atomic_load(&r->others_inside);
	assert_true(now == loop_now(r->loop));
	loop_enter(r->loop);
	loop_leave(r->loop);
	r->overlap |= atomic_load(&r->others_inside);
	r->calls++;
}

static void
on_writable_outside(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	(void)fd;
	(void)readable;
	(void)writable;
	(void)now;
	enter_twice(arg); /* would wait for itself if it were inside already */
}

static void
test_callbacks_are_inside(void **state)
{
	struct rig *r = *state;
	struct loop_fd *in = loop_fd_add(r->loop, r->fd[1], false, true, on_writable, r);
	struct loop_fd *out =
	    loop_fd_add_outside(r->loop, r->fd[1], false, true, on_writable_outside, r);

	run_beside(r, be_inside, 3 * A_WHILE);
	assert_true(r->calls > 0);
	assert_false(r->overlap);
	loop_fd_free(in);
	loop_fd_free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_a_set_timer_wakes_the_loop),
	    TEST(test_earlier),
	    TEST(test_later),
	    TEST(test_cancel),
	    TEST(test_set_and_cancel),
	    TEST(test_free_what_was_set),
	    TEST(test_callbacks_are_inside),
	};

	return cmocka_run_group_tests_name("loop_shared", tests, NULL, NULL);
}
