#include "health/stream.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "health/tls_client.h"
#include "packet/proxy.h"

/* RST instead of FIN: the server forgets the connection at once, and so do we. */
static void
reset_and_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void
release(struct probe *probe)
{
	struct stream *stream = (struct stream *)probe;

	tls_client_free(stream->tls);
	loop_fd_free(stream->watch);
	if (stream->fd != -1)
		reset_and_close(stream->fd);
}

static void
on_event(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct stream *stream = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	stream->step(stream, now);
}

/* The step comes when the connection is readable, or writable, as is asked. */
static void
await(struct stream *stream, bool write, stream_step *step)
{
	stream->step = step;
	if (stream->watch != NULL && stream->watch_write == write)
		return;
	loop_fd_free(stream->watch);
	stream->watch_write = write;
	stream->watch =
	    loop_fd_add(stream->probe.loop, stream->fd, !write, write, on_event, stream);
}

/* ---- octets ---- */

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static ssize_t
plain_result(struct stream *stream, ssize_t n, bool write, stream_step *step)
{
	if (n >= 0)
		return n;
	if (would_block(errno)) {
		await(stream, write, step);
		return STREAM_WAIT;
	}
	stream->cause = errno == EPIPE ? HEALTH_reset : probe_cause(errno);
	return STREAM_BROKEN;
}

static ssize_t
tls_result(struct stream *stream, ssize_t n, stream_step *step)
{
	if (n == TLS_CLIENT_WANT_READ || n == TLS_CLIENT_WANT_WRITE) {
		await(stream, n == TLS_CLIENT_WANT_WRITE, step);
		return STREAM_WAIT;
	}
	if (n == TLS_CLIENT_BROKEN)
		stream->cause = tls_client_cause(stream->tls);
	return n;
}

ssize_t
stream_read(struct stream *stream, void *buf, size_t size, stream_step *step)
{
	if (stream->tls != NULL)
		return tls_result(stream, tls_client_read(stream->tls, buf, size), step);
	return plain_result(stream, recv(stream->fd, buf, size, 0), false, step);
}

ssize_t
stream_write(struct stream *stream, const void *data, size_t len, stream_step *step)
{
	if (stream->tls != NULL)
		return tls_result(stream, tls_client_write(stream->tls, data, len), step);
	return plain_result(stream, send(stream->fd, data, len, MSG_NOSIGNAL), true, step);
}

/* ---- the beginning ---- */

static void
handshake(struct stream *stream, uint64_t now)
{
	ssize_t result = tls_result(stream, tls_client_handshake(stream->tls), handshake);

	if (result == STREAM_BROKEN)
		probe_finish(&stream->probe, stream->cause, 0, now);
	else if (result != STREAM_WAIT)
		stream->ready(stream, now);
}

/* The command LOCAL: it is not a client who asks.  A socket that is new takes so few octets. */
static bool
send_header(struct stream *stream)
{
	uint8_t header[PROXY_LOCAL_LEN];

	proxy_header_local(header);
	return send(stream->fd, header, sizeof(header), MSG_NOSIGNAL) == (ssize_t)sizeof(header);
}

static void
connected(struct stream *stream, uint64_t now)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0 && stream->proxy && !send_header(stream))
		error = errno;
	if (error != 0) {
		probe_finish(&stream->probe, probe_cause(error), 0, now);
		return;
	}
	stream->probe.cause = HEALTH_silent; /* from now on the timeout means that */
	if (!stream->secure) {
		stream->ready(stream, now);
		return;
	}
	stream->tls = tls_client_new(stream->tls_context, stream->fd, stream->host, stream->http);
	if (stream->tls == NULL)
		probe_finish(&stream->probe, HEALTH_authorities, 0, now);
	else
		handshake(stream, now);
}

/* 0, or the errno for which there is nothing to wait for. */
static int
start_connect(struct stream *stream, const struct addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);

	stream->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream->fd == -1)
		return errno;
	if (connect(stream->fd, (struct sockaddr *)&ss, len) == -1 && errno != EINPROGRESS &&
	    errno != EINTR)
		return errno;
	return 0;
}

void
stream_start(struct stream *stream, const struct probe_request *request, stream_step *ready)
{
	const struct config_check *check = request->check;
	int error;

	stream->ready = ready;
	stream->http = check->type == CONFIG_CHECK_HTTPS;
	stream->secure = stream->http || check->type == CONFIG_CHECK_TLS;
	stream->proxy = check->proxy;
	stream->tls_context = request->tls;
	snprintf(stream->host, sizeof(stream->host), "%s", check->host);
	probe_init(&stream->probe, request, HEALTH_timeout, release);
	error = start_connect(stream, &request->to);
	if (error != 0)
		probe_end_soon(&stream->probe, probe_cause(error));
	else
		await(stream, true, connected);
}
