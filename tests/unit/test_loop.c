#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop.h"

struct record {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_fd *fd;
	struct record *other;
	int pipe[2];
	int calls;
	int stop_at; /* calls, 0: never */
	bool readable, writable;
	uint64_t now, due;
};

static int
setup(void **state)
{
	*state = loop_new();
	return 0;
}

static int
teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static void
note(struct record *r, uint64_t now)
{
	r->now = now;
	r->calls++;
	if (r->calls == r->stop_at)
		loop_stop(r->loop);
}

static void
on_time(void *arg, uint64_t now)
{
	note(arg, now);
}

static void
on_fd(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct record *r = arg;

	assert_int_not_equal(fd, -1);
	r->readable = readable;
	r->writable = writable;
	note(r, now);
}

/* Lets time pass without giving up the processor. */
static void
burn(uint64_t ns)
{
	uint64_t start = clock_now();

	while (clock_now() - start < ns)
		;
}

static void
test_now_outside(void **state)
{
	uint64_t before = loop_now(*state);

	burn(CLOCK_MICROSECOND * 10);
	assert_true(loop_now(*state) > before);
}

static void
burn_and_note(void *arg, uint64_t now)
{
	struct record *r = arg;

	burn(CLOCK_MILLISECOND * 5);
	assert_true(loop_now(r->loop) == now);
	note(r, now);
}

static void
test_now_once_a_wake_up(void **state)
{
	struct record a = {.loop = *state}, b = {.loop = *state},
		      c = {.loop = *state, .stop_at = 1};
	struct loop_timer *ta = loop_timer_new(*state, burn_and_note, &a);
	struct loop_timer *tb = loop_timer_new(*state, burn_and_note, &b);
	struct loop_timer *tc = loop_timer_new(*state, on_time, &c);
	uint64_t start = clock_now();

	loop_timer_set(ta, 0);
	loop_timer_set(tb, 0);
	loop_timer_set(tc, CLOCK_MILLISECOND * 100);
	loop_run(*state);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_true(a.now == b.now);
	assert_true(a.now >= start);
	assert_true(c.now >= a.now + CLOCK_MILLISECOND * 10);
	assert_true(clock_now() >= c.now);
	loop_timer_free(ta);
	loop_timer_free(tb);
	loop_timer_free(tc);
}

static void
on_fd_later(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct record *r = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	assert_true(now > r->now);
	note(r, now);
}

/* Wake-ups that follow each other at once have a time each. */
static void
test_now_each_wake_up(void **state)
{
	struct record r = {.loop = *state, .stop_at = 100};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	r.fd = loop_fd_add(*state, fd[1], false, true, on_fd_later, &r);
	loop_run(*state);
	assert_int_equal(r.calls, 100);
	loop_fd_free(r.fd);
	close(fd[0]);
	close(fd[1]);
}

/* Each time, the timer is armed by a descriptor's wake-up, wherever that is between two
 * ticks of the clock that libevent reads. */
static void
arm_again(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct record *r = arg;

	(void)readable;
	(void)writable;
	assert_int_equal(read(fd, &(char){0}, 1), 1);
	r->due = now + CLOCK_MILLISECOND * (uint64_t)(r->calls % 4 * 3);
	loop_timer_set(r->timer, r->due - now);
}

static void
on_time_again(void *arg, uint64_t now)
{
	struct record *r = arg;

	assert_true(now >= r->due);
	burn(CLOCK_MICROSECOND * 137 * (uint64_t)(r->calls % 29));
	assert_int_equal(write(r->pipe[1], "x", 1), 1);
	note(r, now);
}

static void
test_timer_never_early(void **state)
{
	struct record r = {.loop = *state, .stop_at = 80};
	uint64_t start = clock_now();

	assert_int_equal(pipe(r.pipe), 0);
	r.fd = loop_fd_add(*state, r.pipe[0], true, false, arm_again, &r);
	r.timer = loop_timer_new(*state, on_time_again, &r);
	r.due = start + CLOCK_MILLISECOND;
	loop_timer_set(r.timer, CLOCK_MILLISECOND);
	loop_run(*state);
	assert_int_equal(r.calls, 80);
	/* 0, 3, 6 and 9 ms, 20 times, but for the last. */
	assert_true(clock_now() - start >= CLOCK_MILLISECOND * (360 - 9));
	assert_true(clock_now() - start < CLOCK_SECOND * 5);
	loop_timer_free(r.timer);
	loop_fd_free(r.fd);
	close(r.pipe[0]);
	close(r.pipe[1]);
}

static void
test_timer_replace_and_cancel(void **state)
{
	struct record a = {.loop = *state}, b = {.loop = *state};
	uint64_t start = clock_now();

	a.timer = loop_timer_new(*state, on_time, &a);
	b.timer = loop_timer_new(*state, on_time, &b);
	loop_timer_set(a.timer, CLOCK_SECOND * 3600);
	loop_timer_set(a.timer, CLOCK_MILLISECOND * 2); /* replaces */
	loop_timer_set(b.timer, 0);
	loop_timer_cancel(b.timer);
	loop_timer_cancel(b.timer); /* nothing to cancel: fine */
	loop_run(*state);           /* nothing left to wait for: returns */
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_true(a.now >= start + CLOCK_MILLISECOND * 2);
	loop_timer_set(b.timer, 0); /* armed again */
	loop_run(*state);
	assert_int_equal(b.calls, 1);
	loop_timer_free(a.timer);
	loop_timer_free(b.timer);
	loop_timer_free(NULL);
}

static void
test_timer_longest(void **state)
{
	struct record a = {.loop = *state}, b = {.loop = *state, .stop_at = 1};

	a.timer = loop_timer_new(*state, on_time, &a);
	b.timer = loop_timer_new(*state, on_time, &b);
	loop_timer_set(a.timer, UINT64_MAX);
	loop_timer_set(b.timer, CLOCK_MILLISECOND * 5);
	loop_run(*state);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 1);
	loop_timer_free(a.timer);
	loop_timer_free(b.timer);
}

static void
free_own_timer(void *arg, uint64_t now)
{
	struct record *r = arg;

	loop_timer_free(r->timer);
	r->timer = NULL;
	note(r, now);
}

static void
free_own_fd(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct record *r = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	loop_fd_free(r->fd);
	r->fd = NULL;
	note(r, now);
}

static void
test_free_in_callback(void **state)
{
	struct record a = {.loop = *state}, b = {.loop = *state};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	a.timer = loop_timer_new(*state, free_own_timer, &a);
	loop_timer_set(a.timer, 0);
	b.fd = loop_fd_add(*state, fd[1], false, true, free_own_fd, &b);
	loop_run(*state);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	close(fd[0]);
	close(fd[1]);
}

static void
free_both_fds(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct record *r = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	loop_fd_free(r->other->fd);
	loop_fd_free(r->fd);
	note(r, now);
}

/* Both are due in the same wake-up: who is freed by the first is not called any more. */
static void
test_free_other_that_is_due(void **state)
{
	struct record a = {.loop = *state}, b = {.loop = *state};
	int fd[2][2];

	assert_int_equal(pipe(fd[0]), 0);
	assert_int_equal(pipe(fd[1]), 0);
	a.other = &b;
	b.other = &a;
	a.fd = loop_fd_add(*state, fd[0][1], false, true, free_both_fds, &a);
	b.fd = loop_fd_add(*state, fd[1][1], false, true, free_both_fds, &b);
	loop_run(*state);
	assert_int_equal(a.calls + b.calls, 1);
	for (int i = 0; i < 2; i++) {
		close(fd[i][0]);
		close(fd[i][1]);
	}
}

static void
test_fd_readable(void **state)
{
	struct record r = {.loop = *state, .stop_at = 3};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	r.fd = loop_fd_add(*state, fd[0], true, false, on_fd, &r);
	loop_run(*state);
	/* Nobody read it: it stays readable. */
	assert_int_equal(r.calls, 3);
	assert_true(r.readable);
	assert_false(r.writable);
	loop_fd_free(r.fd);
	loop_fd_free(NULL);
	/* The descriptor is still the caller's. */
	assert_int_not_equal(fcntl(fd[0], F_GETFD), -1);
	close(fd[0]);
	close(fd[1]);
}

static void
test_fd_writable_not_readable(void **state)
{
	struct record r = {.loop = *state, .stop_at = 1};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	r.fd = loop_fd_add(*state, fd[1], true, true, on_fd, &r);
	loop_run(*state);
	assert_true(r.writable);
	assert_false(r.readable);
	loop_fd_free(r.fd);
	close(fd[0]);
	close(fd[1]);
}

static void
test_fd_not_asked_for(void **state)
{
	struct record r = {.loop = *state}, t = {.loop = *state, .stop_at = 1};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	r.fd = loop_fd_add(*state, fd[1], true, false, on_fd, &r);
	t.timer = loop_timer_new(*state, on_time, &t);
	loop_timer_set(t.timer, CLOCK_MILLISECOND * 5);
	loop_run(*state);
	assert_int_equal(r.calls, 0);
	loop_fd_free(r.fd);
	loop_timer_free(t.timer);
	close(fd[0]);
	close(fd[1]);
}

static void
test_signal(void **state)
{
	struct record r = {.loop = *state, .stop_at = 1};
	struct record other = {.loop = *state};
	struct loop_signal *signal = loop_signal_add(*state, SIGUSR1, on_time, &r);
	struct loop_signal *second = loop_signal_add(*state, SIGUSR2, on_time, &other);

	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(*state);
	assert_int_equal(r.calls, 1);
	r.stop_at = 2;
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(*state);
	assert_int_equal(r.calls, 2);
	assert_int_equal(other.calls, 0);
	loop_signal_free(signal);
	loop_signal_free(second);
	loop_signal_free(NULL);
}

/* Once one stops the loop, the other, due in the same wake-up, has to wait for the next run. */
static void
test_stop(void **state)
{
	struct record a = {.loop = *state, .stop_at = 1};
	struct record b = {.loop = *state, .stop_at = 1};

	a.timer = loop_timer_new(*state, on_time, &a);
	b.timer = loop_timer_new(*state, on_time, &b);
	loop_timer_set(a.timer, 0);
	loop_timer_set(b.timer, 0);
	loop_run(*state);
	assert_int_equal(a.calls + b.calls, 1);
	loop_run(*state);
	assert_int_equal(a.calls + b.calls, 2);
	loop_timer_free(a.timer);
	loop_timer_free(b.timer);
}

static void
test_stop_before_run(void **state)
{
	struct record r = {.loop = *state};

	r.timer = loop_timer_new(*state, on_time, &r);
	loop_timer_set(r.timer, 0);
	loop_stop(*state);
	loop_run(*state);
	assert_int_equal(r.calls, 0);
	loop_run(*state); /* the stop is used up */
	assert_int_equal(r.calls, 1);
	loop_timer_free(r.timer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_now_outside),
	    TEST(test_now_once_a_wake_up),
	    TEST(test_now_each_wake_up),
	    TEST(test_timer_never_early),
	    TEST(test_timer_replace_and_cancel),
	    TEST(test_timer_longest),
	    TEST(test_free_in_callback),
	    TEST(test_free_other_that_is_due),
	    TEST(test_fd_readable),
	    TEST(test_fd_writable_not_readable),
	    TEST(test_fd_not_asked_for),
	    TEST(test_signal),
	    TEST(test_stop),
	    TEST(test_stop_before_run),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
