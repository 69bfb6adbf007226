/*
 * loop_shared: a loop beside other threads that handle packets: who is inside the guard, and timers
 * that they set.
 *
 * A thread only notes when a timer is due.  If that is later than libevent looks at it anyway, which
 * is the rule, nothing more is to be done; else the loop is woken to arm it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "loop_internal.h"

void
loop_enter(struct loop *loop)
{
	if (loop->guard != NULL)
		guard_enter(loop->guard);
}

void
loop_leave(struct loop *loop)
{
	if (loop->guard != NULL)
		guard_leave(loop->guard);
}

bool
loop_is_elsewhere(const struct loop *loop)
{
	return loop->guard != NULL && pthread_equal(pthread_self(), loop->thread) == 0;
}

void
loop_post(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	ssize_t n = 1;

	if (timer->posted)
		return;
	if (loop->posted == NULL)
		n = write(loop->wake[1], "", 1);
	if (n == -1 && errno != EAGAIN)
		log_warn("the event loop cannot be woken");
	timer->posted = true;
	timer->next_posted = loop->posted;
	loop->posted = timer;
}

void
loop_unpost(struct loop_timer *timer)
{
	struct loop_timer **p = &timer->loop->posted;

	if (!timer->posted)
		return;
	while (*p != timer)
		p = &(*p)->next_posted;
	*p = timer->next_posted;
	timer->posted = false;
}

static void
on_woken(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct loop *loop = arg;
	char octets[64];

	(void)readable;
	(void)writable;
	while (read(fd, octets, sizeof(octets)) > 0)
		continue;
	while (loop->posted != NULL) {
		struct loop_timer *timer = loop->posted;

		loop_unpost(timer);
		if (timer->due != NEVER)
			loop_timer_arm(timer, now);
	}
}

void
loop_share(struct loop *loop, struct guard *guard)
{
	if (pipe2(loop->wake, O_NONBLOCK | O_CLOEXEC) == -1)
		log_fatal("the event loop cannot be woken by other threads");
	loop->guard = guard;
	loop->thread = pthread_self();
	loop->woken = loop_fd_add(loop, loop->wake[0], true, false, on_woken, loop);
}

void
loop_unshare(struct loop *loop)
{
	if (loop->guard == NULL)
		return;
	loop_fd_free(loop->woken);
	close(loop->wake[0]);
	close(loop->wake[1]);
}
