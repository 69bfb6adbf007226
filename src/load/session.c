#include "load/session.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/xalloc.h"

#define WHY_MAX 256

struct session {
	struct session_parts parts;
	const struct session_handlers *handlers;
	void *arg;
	struct addr address;
	int fd;                    /* while connecting, else -1 */
	struct loop_fd *connect;   /* while connecting */
	struct bufferevent *bev;   /* NULL while connecting */
	struct loop_timer *timer;  /* opening, then idle, then finishing */
	struct loop_timer *ending; /* calls ended from the loop */
	uint64_t idle_ns;          /* 0: not established */
	bool open;
	bool finishing;
	bool over; /* ended is due */
	char why[WHY_MAX];
};

static void
set_why(struct session *s, const char *format, va_list ap)
{
	if (s->why[0] == '\0')
		vsnprintf(s->why, sizeof(s->why), format, ap);
}

/* Stops all but the timer that will call ended. */
void
session_close(struct session *s, const char *format, ...)
{
	va_list ap;

	if (s->over)
		return;
	va_start(ap, format);
	set_why(s, format, ap);
	va_end(ap);
	s->over = true;
	s->open = false;
	if (s->bev != NULL) {
		bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
		bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	}
	loop_timer_cancel(s->timer);
	loop_timer_set(s->ending, 0);
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	loop_fd_free(s->connect);
	if (s->fd != -1)
		close(s->fd);
	if (s->bev != NULL)
		bufferevent_free(s->bev);
	loop_timer_free(s->timer);
	loop_timer_free(s->ending);
	free(s);
}

static void
on_ending(void *arg, uint64_t now)
{
	struct session *s = arg;

	(void)now;
	s->handlers->ended(s->arg, s, s->why);
	session_free(s);
}

static void
on_timer(void *arg, uint64_t now)
{
	struct session *s = arg;

	(void)now;
	if (s->finishing)
		session_close(s, "closed");
	else if (s->idle_ns != 0)
		session_close(s, "no message for %.1f s", (double)s->idle_ns / 1e9);
	else if (s->bev == NULL)
		session_close(s, "no answer within %.0f s", SESSION_OPENING_NS / 1e9);
	else
		session_close(s, "not established within %.0f s", SESSION_OPENING_NS / 1e9);
}

/* ---- messages in ---- */

/*
 * Hands on the first message of the input, if it is whole.  False if there is none, or the
 * session has ended.
 */
static bool
next_message(struct session *s, struct evbuffer *input)
{
	uint8_t header[CODEC_HEADER_LEN], type = 0, *whole;
	ev_ssize_t got = evbuffer_copyout(input, header, sizeof(header));
	uint32_t len = 0;

	if (got < 0)
		return false;
	switch (codec_header(header, (size_t)got, &type, &len)) {
	case 0:
		return false;
	case -1:
		session_close(s, "sent something that is no message");
		return false;
	}
	if (evbuffer_get_length(input) < CODEC_HEADER_LEN + (size_t)len)
		return false;
	whole = evbuffer_pullup(input, CODEC_HEADER_LEN + (ev_ssize_t)len);
	if (whole == NULL) {
		session_close(s, "out of memory");
		return false;
	}
	counter_add(s->parts.counters, COUNTER_messages_in, 1);
	if (s->idle_ns != 0)
		loop_timer_set(s->timer, s->idle_ns);
	s->handlers->message(s->arg, s, type, whole + CODEC_HEADER_LEN, len);
	evbuffer_drain(input, CODEC_HEADER_LEN + (size_t)len);
	return !s->over && !s->finishing;
}

/*
 * Called after each TLS record, so that what waits is less than a message and a record.  There is no
 * read watermark: libevent may leave the rest of a record inside OpenSSL when it is
 * reached, and come back to it only when more arrives.
 */
static void
take_input(struct session *s, struct evbuffer *input)
{

	if (s->finishing) {
		evbuffer_drain(input, evbuffer_get_length(input));
		return;
	}
	while (next_message(s, input))
		continue;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct session *s = arg;

	loop_enter(s->parts.loop);
	take_input(s, bufferevent_get_input(bev));
	loop_leave(s->parts.loop);
}

/* Called when all output has been handed to the system. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct session *s = arg;

	(void)bev;
	loop_enter(s->parts.loop);
	if (s->finishing)
		session_close(s, "closed");
	loop_leave(s->parts.loop);
}

static void
take_event(struct session *s, struct bufferevent *bev, short what)
{
	char text[WHY_MAX];

	if ((what & BEV_EVENT_CONNECTED) != 0) {
		if (tls_check_handshake(tls_of(bev), text, sizeof(text)) != 0) {
			session_close(s, "%s", text);
			return;
		}
		s->open = true;
		s->handlers->opened(s->arg, s);
	} else if ((what & BEV_EVENT_EOF) != 0) {
		session_close(s,
		    s->open && s->idle_ns == 0 ? "closed by the peer before HELLO: see its log"
					       : "closed by the peer");
	} else {
		tls_error_text(bev, text, sizeof(text));
		session_close(s, "%s", text);
	}
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct session *s = arg;

	loop_enter(s->parts.loop);
	take_event(s, bev, what);
	loop_leave(s->parts.loop);
}

/* ---- opening ---- */

/* Makes the buffered socket on a connected descriptor, which is its own then. */
static int
start_tls(struct session *s, int fd, bool dialer)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->bev = tls_bufferevent(s->parts.tls, loop_base(s->parts.loop), fd, dialer);
	if (s->bev == NULL) {
		errno = ENOMEM;
		return -1;
	}
	bufferevent_setcb(s->bev, on_read, on_written, on_event, s);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
	return 0;
}

static struct session *
session_new(const struct session_parts *parts, const struct addr *address,
    const struct session_handlers *handlers, void *arg)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->parts = *parts;
	s->handlers = handlers;
	s->arg = arg;
	s->address = *address;
	s->fd = -1;
	s->timer = loop_timer_new(parts->loop, on_timer, s);
	s->ending = loop_timer_new(parts->loop, on_ending, s);
	loop_timer_set(s->timer, SESSION_OPENING_NS);
	return s;
}

static void
on_connected(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct session *s = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)readable;
	(void)writable;
	(void)now;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	loop_fd_free(s->connect);
	s->connect = NULL;
	if (error != 0) {
		session_close(s, "%s", strerror(error));
		return;
	}
	s->fd = -1;
	if (start_tls(s, fd, true) != 0)
		session_close(s, "%s", strerror(errno));
}

/* Binds to the address to dial from, if there is one of that family. */
static int
bind_source(int fd, const struct addr *to, const struct ip *from)
{
	struct addr source = {*from, 0};
	struct sockaddr_storage ss;
	socklen_t len;

	if (ip_is_zero(from) || ip_is_v4(from) != ip_is_v4(&to->ip))
		return 0;
	len = addr_to_sockaddr(&source, &ss);
	return bind(fd, (struct sockaddr *)&ss, len);
}

/* A socket on its way to an address; -1 with errno. */
static int
start_connect(const struct addr *to, const struct ip *from)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd == -1)
		return -1;
	if (bind_source(fd, to, from) == 0 &&
	    (connect(fd, (struct sockaddr *)&ss, len) == 0 || errno == EINPROGRESS))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

struct session *
session_dial(const struct session_parts *parts, const struct addr *to, const struct ip *from,
    const struct session_handlers *handlers, void *arg)
{
	int fd = start_connect(to, from);
	struct session *s;

	if (fd == -1)
		return NULL;
	s = session_new(parts, to, handlers, arg);
	s->fd = fd;
	s->connect = loop_fd_add(parts->loop, fd, false, true, on_connected, s);
	return s;
}

struct session *
session_accept(const struct session_parts *parts, int fd, const struct addr *from,
    const struct session_handlers *handlers, void *arg)
{
	struct session *s = session_new(parts, from, handlers, arg);

	if (start_tls(s, fd, false) == 0)
		return s;
	session_free(s);
	return NULL;
}

/* ---- open ---- */

void
session_established(struct session *s, uint64_t idle_ns)
{
	if (s->over)
		return;
	s->idle_ns = idle_ns;
	loop_timer_set(s->timer, idle_ns);
}

void
session_send(struct session *s, const struct codec_buffer *message, unsigned count)
{
	if (!s->open || s->finishing)
		return;
	if (evbuffer_get_length(bufferevent_get_output(s->bev)) + message->len >
	    SESSION_OUTPUT_MAX) {
		session_close(s, "the peer does not read");
		return;
	}
	if (bufferevent_write(s->bev, message->data, message->len) != 0) {
		session_close(s, "out of memory");
		return;
	}
	counter_add(s->parts.counters, COUNTER_messages_out, count);
}

void
session_finish(struct session *s, const char *why)
{
	if (s->over || s->finishing)
		return;
	snprintf(s->why, sizeof(s->why), "%s", why);
	if (!s->open || evbuffer_get_length(bufferevent_get_output(s->bev)) == 0) {
		session_close(s, "%s", why);
		return;
	}
	s->finishing = true;
	loop_timer_set(s->timer, SESSION_FINISH_NS);
}

size_t
session_waiting(const struct session *s)
{
	return s->bev != NULL ? evbuffer_get_length(bufferevent_get_output(s->bev)) : 0;
}

bool
session_is_open(const struct session *s)
{
	return s->open;
}

const struct addr *
session_address(const struct session *s)
{
	return &s->address;
}

struct ssl_st *
session_tls(struct session *s)
{
	return s->bev == NULL ? NULL : tls_of(s->bev);
}
