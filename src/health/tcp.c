#include "health/tcp.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/xalloc.h"

struct tcp_check {
	int fd; /* -1: none any more */
	struct loop_fd *watch;
	struct loop_timer *timer; /* the timeout, or an end that is due at once */
	enum health_cause cause;  /* what the timer reports */
	tcp_check_done *done;
	void *arg;
};

static enum health_cause
cause_of(int error)
{
	switch (error) {
	case 0:
		return HEALTH_none;
	case ECONNREFUSED:
		return HEALTH_refused;
	case ETIMEDOUT:
		return HEALTH_timeout;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return HEALTH_unreachable;
	case ECONNRESET:
		return HEALTH_reset;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL:
	case EAGAIN:
		return HEALTH_local;
	default:
		return HEALTH_other;
	}
}

/* RST instead of FIN: the server forgets the connection at once, and so do we. */
static void
reset_and_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

void
tcp_check_cancel(struct tcp_check *check)
{
	if (check == NULL)
		return;
	loop_fd_free(check->watch);
	loop_timer_free(check->timer);
	if (check->fd != -1)
		reset_and_close(check->fd);
	free(check);
}

static void
finish(struct tcp_check *check, enum health_cause cause, uint64_t now)
{
	tcp_check_done *done = check->done;
	void *arg = check->arg;

	tcp_check_cancel(check);
	done(arg, cause, now);
}

static void
on_timer(void *arg, uint64_t now)
{
	struct tcp_check *check = arg;

	finish(check, check->cause, now);
}

static void
on_connected(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct tcp_check *check = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)readable;
	(void)writable;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	finish(check, cause_of(error), now);
}

/* 0, or the errno for which there is nothing to wait for. */
static int
start_connect(struct tcp_check *check, const struct addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);

	check->fd = socket(ss.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (check->fd == -1)
		return errno;
	if (connect(check->fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS && errno != EINTR)
		return errno;
	return 0;
}

struct tcp_check *
tcp_check_start(struct loop *loop, const struct addr *to, double timeout,
    tcp_check_done *done, void *arg)
{
	struct tcp_check *check = xcalloc(1, sizeof(*check));
	int error;

	check->done = done;
	check->arg = arg;
	check->timer = loop_timer_new(loop, on_timer, check);
	error = start_connect(check, to);
	if (error != 0) {
		check->cause = cause_of(error);
		loop_timer_set(check->timer, 0);
		return check;
	}
	check->cause = HEALTH_timeout;
	check->watch = loop_fd_add(loop, check->fd, false, true, on_connected,
	    check);
	loop_timer_set(check->timer, (uint64_t)(timeout * CLOCK_SECOND));
	return check;
}
