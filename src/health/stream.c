#include "health/stream.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

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

	loop_fd_free(stream->watch);
	if (stream->fd != -1)
		reset_and_close(stream->fd);
}

static void
on_connected(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct stream *stream = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)readable;
	(void)writable;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		probe_finish(&stream->probe, probe_cause(error), 0, now);
	else
		stream->connected(stream, now);
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
stream_wait(struct stream *stream, bool write, loop_fd_callback *callback)
{
	loop_fd_free(stream->watch);
	stream->watch =
	    loop_fd_add(stream->probe.loop, stream->fd, !write, write, callback, stream);
}

void
stream_start(struct stream *stream, const struct probe_request *request,
    void (*connected)(struct stream *stream, uint64_t now))
{
	int error;

	stream->connected = connected;
	probe_init(&stream->probe, request, HEALTH_timeout, release);
	error = start_connect(stream, &request->to);
	if (error != 0)
		probe_end_soon(&stream->probe, probe_cause(error));
	else
		stream_wait(stream, true, on_connected);
}
