#include "health/datagram.h"

#include <sys/socket.h>

#include <errno.h>
#include <unistd.h>

#define BUDGET       16   /* datagrams of one wake-up */
#define DATAGRAM_MAX 4096 /* octets of one that are looked at */

static void
release(struct probe *probe)
{
	struct datagram_probe *p = (struct datagram_probe *)probe;

	loop_fd_free(p->watch);
	if (p->fd != -1)
		close(p->fd);
}

static void
on_readable(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct datagram_probe *p = arg;
	uint8_t buf[DATAGRAM_MAX];

	(void)readable;
	(void)writable;
	for (int i = 0; i < BUDGET; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n == -1) {
			if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
				probe_finish(&p->probe, probe_cause(errno), 0, now);
			return;
		}
		if (p->received(p, buf, (size_t)n, now))
			return;
	}
}

/* Connected: the kernel lets nobody else answer, and tells what ICMP says.  0, or an errno. */
static int
open_and_send(struct datagram_probe *p, const struct addr *to, const void *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(to, &ss);

	p->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd == -1 || connect(p->fd, (struct sockaddr *)&ss, ss_len) == -1 ||
	    send(p->fd, data, len, MSG_NOSIGNAL) == -1)
		return errno;
	return 0;
}

void
datagram_start(struct datagram_probe *p, const struct probe_request *request, const void *data,
    size_t len, enum health_cause cause)
{
	int error;

	probe_init(&p->probe, request, cause, release);
	error = open_and_send(p, &request->to, data, len);
	if (error != 0)
		probe_end_soon(&p->probe, probe_cause(error));
	else
		p->watch = loop_fd_add(p->probe.loop, p->fd, true, false, on_readable, p);
}
