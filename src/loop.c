#include "loop.h"

#include <sys/time.h>

#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "loop_internal.h"

struct loop_fd {
	struct loop *loop;
	struct event *event;
	loop_fd_callback *callback;
	void *arg;
	bool outside;
};

struct loop_signal {
	struct loop *loop;
	struct event *event;
	loop_callback *callback;
	void *arg;
};

static void
libevent_log(int severity, const char *message)
{
	if (severity == EVENT_LOG_ERR)
		log_errorx("libevent: %s", message);
	else if (severity == EVENT_LOG_WARN)
		log_warnx("libevent: %s", message);
	else
		log_debug("libevent: %s", message);
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	struct event_config *config;

	event_set_log_callback(libevent_log);
	config = event_config_new();
	if (config == NULL)
		log_fatalx("no memory for the event loop");
	/* It is one thread's; and nobody's environment chooses how a daemon waits. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL)
		log_fatalx("the event loop cannot start: no method to wait on descriptors");
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	loop_unshare(loop);
	event_base_free(loop->base);
	free(loop);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

/* ---- time ---- */

/*
 * The first who asks after a wake-up reads the clock.  libevent may wait again before
 * event_base_loop(ONCE) returns (deferred callbacks of buffered sockets); its own
 * cached time tells that, only too coarse to be the sole sign.
 */
uint64_t
loop_now(struct loop *loop)
{
	struct timeval tick;

	if (loop->guard != NULL)
		return guard_is_inside() ? guard_now(loop->guard) : clock_now();
	if (!loop->running)
		return clock_now();
	if (event_base_gettimeofday_cached(loop->base, &tick) == -1)
		return clock_now();
	if (!loop->fresh || timercmp(&tick, &loop->tick, !=)) {
		loop->now = clock_now();
		loop->tick = tick;
		loop->fresh = true;
	}
	return loop->now;
}

void
loop_run(struct loop *loop)
{
	int result = 0;

	loop->running = true;
	while (!loop->stop && result == 0) {
		loop->fresh = false;
		result = event_base_loop(loop->base, EVLOOP_ONCE);
	}
	if (result == -1)
		log_error("the event loop ended");
	loop->running = false;
	loop->stop = false;
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
	if (loop->running)
		event_base_loopbreak(loop->base);
}

static struct event *
new_event(struct loop *loop, evutil_socket_t fd, short what, event_callback_fn callback, void *arg)
{
	struct event *event = event_new(loop->base, fd, what, callback, arg);

	if (event == NULL)
		log_fatalx("no memory for an event");
	return event;
}

static void
add_event(struct event *event, const struct timeval *timeout)
{
	if (event_add(event, timeout) == -1)
		log_error("the event loop does not take an event");
}

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *f = arg;
	struct loop *loop = f->loop;
	bool outside = f->outside; /* f may end in its callback */

	if (!outside)
		loop_enter(loop);
	f->callback(f->arg, fd, (what & EV_READ) != 0, (what & EV_WRITE) != 0, loop_now(loop));
	if (!outside)
		loop_leave(loop);
}

static struct loop_fd *
add_fd(struct loop *loop, int fd, bool read, bool write, loop_fd_callback *callback, void *arg,
    bool outside)
{
	struct loop_fd *f = xcalloc(1, sizeof(*f));
	short what = EV_PERSIST;

	if (read)
		what |= EV_READ;
	if (write)
		what |= EV_WRITE;
	f->loop = loop;
	f->callback = callback;
	f->arg = arg;
	f->outside = outside;
	f->event = new_event(loop, fd, what, on_fd, f);
	add_event(f->event, NULL);
	return f;
}

struct loop_fd *
loop_fd_add(
    struct loop *loop, int fd, bool read, bool write, loop_fd_callback *callback, void *arg)
{
	return add_fd(loop, fd, read, write, callback, arg, false);
}

struct loop_fd *
loop_fd_add_outside(
    struct loop *loop, int fd, bool read, bool write, loop_fd_callback *callback, void *arg)
{
	return add_fd(loop, fd, read, write, callback, arg, true);
}

void
loop_fd_free(struct loop_fd *fd)
{
	if (fd == NULL)
		return;
	event_free(fd->event);
	free(fd);
}

/* Rounds up to the milliseconds that libevent waits in. */
void
loop_timer_arm(struct loop_timer *timer, uint64_t now)
{
	uint64_t delay = timer->due > now ? timer->due - now : 0;
	uint64_t ms = delay / CLOCK_MILLISECOND + (delay % CLOCK_MILLISECOND != 0);
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	timer->fires = timer->due;
	add_event(timer->event, &tv);
}

/* libevent's clock may be some milliseconds behind ours, and another thread may have put it off: a
 * timer that fires early waits for the rest. */
static void
fire(struct loop_timer *timer, uint64_t now)
{
	timer->fires = NEVER;
	if (timer->due == NEVER)
		return;
	if (now < timer->due) {
		loop_timer_arm(timer, now);
		return;
	}
	timer->due = NEVER;
	timer->callback(timer->arg, now);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;
	struct loop *loop = timer->loop;

	(void)fd;
	(void)what;
	loop_enter(loop);
	fire(timer, loop_now(loop));
	loop_leave(loop);
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_callback *callback, void *arg)
{
	struct loop_timer *timer = xcalloc(1, sizeof(*timer));

	timer->loop = loop;
	timer->due = timer->fires = NEVER;
	timer->callback = callback;
	timer->arg = arg;
	timer->event = new_event(loop, -1, 0, on_timer, timer);
	return timer;
}

void
loop_timer_set(struct loop_timer *timer, uint64_t delay_ns)
{
	uint64_t now = loop_now(timer->loop);

	timer->due = now + (delay_ns < LOOP_TIMER_MAX ? delay_ns : LOOP_TIMER_MAX);
	if (!loop_is_elsewhere(timer->loop))
		loop_timer_arm(timer, now);
	else if (timer->due < timer->fires)
		loop_post(timer);
}

void
loop_timer_cancel(struct loop_timer *timer)
{
	timer->due = NEVER;
	if (loop_is_elsewhere(timer->loop))
		return;
	timer->fires = NEVER;
	event_del(timer->event);
}

void
loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	loop_unpost(timer);
	event_free(timer->event);
	free(timer);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct loop_signal *s = arg;
	struct loop *loop = s->loop;

	(void)fd;
	(void)what;
	loop_enter(loop);
	s->callback(s->arg, loop_now(loop));
	loop_leave(loop);
}

struct loop_signal *
loop_signal_add(struct loop *loop, int signal, loop_callback *callback, void *arg)
{
	struct loop_signal *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->callback = callback;
	s->arg = arg;
	s->event = new_event(loop, signal, EV_SIGNAL | EV_PERSIST, on_signal, s);
	add_event(s->event, NULL);
	return s;
}

void
loop_signal_free(struct loop_signal *signal)
{
	if (signal == NULL)
		return;
	event_free(signal->event);
	free(signal);
}
