#include "io/udp.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

/* Errors of other hosts' ICMP messages that are read away in one receive call. */
#define ERRORS_MAX 16

/* Room for what udp_os_segment() looks for. */
union control {
	struct cmsghdr align;
	uint8_t octets[CMSG_SPACE(sizeof(int))];
};

struct udp {
	int fd;
	bool v6;                  /* an IPv6 socket: IPv4 peers are mapped */
	atomic_bool segmentation; /* the kernel has not refused segments yet */
	bool joining;             /* the kernel may receive several datagrams in one */
	bool joined;              /* and has done so the last time */
	uint8_t *buffers; /* IO_BATCH of buffer_size(); pages never written to cost nothing */
	struct mmsghdr message[IO_BATCH];
	struct iovec vector[IO_BATCH];
	struct sockaddr_storage from[IO_BATCH];
	union control control[IO_BATCH];
};

static size_t
buffer_size(void)
{
	return IO_HEADROOM + UDP_BUFFER;
}

static void
prepare_buffers(struct udp *udp)
{
	udp->buffers = xmalloc(IO_BATCH * buffer_size());
	for (int i = 0; i < IO_BATCH; i++) {
		udp->vector[i].iov_base = udp->buffers + (size_t)i * buffer_size() + IO_HEADROOM;
		udp->vector[i].iov_len = UDP_BUFFER;
	}
}

struct udp *
udp_open(const struct addr *listen, char *error, size_t error_size)
{
	struct udp *udp = xcalloc(1, sizeof(*udp));
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(listen, &ss);
	char text[ADDR_TEXT];
	int off = 0;

	udp->v6 = ss.ss_family == AF_INET6;
	udp->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (udp->fd == -1)
		goto fail;
	/* "[::]" serves both families where the OS lets it. */
	if (udp->v6)
		setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(udp->fd, (struct sockaddr *)&ss, len) == -1)
		goto fail;
	udp->segmentation = udp_os_options(udp->fd, udp->v6);
	udp->joining = udp_os_join(udp->fd);
	prepare_buffers(udp);
	return udp;

fail:
	snprintf(error, error_size, "transfer socket %s cannot be opened: %s",
	    addr_format(listen, text), strerror(errno));
	udp_close(udp);
	return NULL;
}

void
udp_close(struct udp *udp)
{
	if (udp == NULL)
		return;
	if (udp->fd != -1)
		close(udp->fd);
	free(udp->buffers);
	free(udp);
}

bool
udp_holds(const struct udp *udp, const uint8_t *data)
{
	return data >= udp->buffers && data < udp->buffers + IO_BATCH * buffer_size();
}

int
udp_fd(const struct udp *udp)
{
	return udp->fd;
}

bool
udp_segmentation(const struct udp *udp)
{
	return udp->segmentation;
}

bool
udp_joining(const struct udp *udp)
{
	return udp->joining;
}

/* A signal, or what an ICMP message, which anybody may send, makes a call say. */
static bool
is_passing(int error)
{
	switch (error) {
	case EINTR:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EPROTO:
	case EMSGSIZE:
	case EACCES:
	case EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

/* Readies messages for receiving, which changes them. */
static void
prepare_messages(struct udp *udp, int count)
{
	for (int i = 0; i < count; i++) {
		struct msghdr *m = &udp->message[i].msg_hdr;

		m->msg_name = &udp->from[i];
		m->msg_namelen = sizeof(udp->from[i]);
		m->msg_iov = &udp->vector[i];
		m->msg_iovlen = 1;
		m->msg_control = udp->joining ? &udp->control[i] : NULL;
		m->msg_controllen = udp->joining ? sizeof(udp->control[i]) : 0;
	}
}

/* What has come by a message; false if it is from nobody. */
static bool
take_message(struct udp *udp, int i, struct datagram *d)
{
	uint32_t segment = 0;

	if (addr_from_sockaddr((struct sockaddr *)&udp->from[i], &d->from) == -1)
		return false;
	d->data = udp->vector[i].iov_base;
	d->len = udp->message[i].msg_len;
	if (udp->joining)
		segment = udp_os_segment(&udp->message[i].msg_hdr);
	d->segment = segment != 0 && segment < d->len ? segment : d->len;
	if (d->segment < d->len)
		udp->joined = true;
	return true;
}

int
udp_receive(struct udp *udp, struct datagram *batch, int max)
{
	int most = udp->joined ? UDP_BATCH_JOINED : IO_BATCH;
	int n, tries = 0, kept = 0;

	if (max > most)
		max = most;
	udp->joined = false;
	do {
		prepare_messages(udp, max);
		n = recvmmsg(udp->fd, udp->message, (unsigned)max, MSG_DONTWAIT, NULL);
	} while (n == -1 && is_passing(errno) && ++tries < ERRORS_MAX);
	if (n == -1)
		return errno == EAGAIN || is_passing(errno) ? 0 : -1;
	for (int i = 0; i < n; i++)
		if (take_message(udp, i, &batch[kept]))
			kept++;
	return kept;
}

/* The peer's address as this socket takes it: an IPv6 socket wants IPv4 mapped. */
static socklen_t
peer_sockaddr(const struct udp *udp, const struct addr *to, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	struct addr any = {.port = to->port};
	socklen_t len;

	if (!udp->v6 || !ip_is_v4(&to->ip))
		return addr_to_sockaddr(to, ss);
	len = addr_to_sockaddr(&any, ss);
	memcpy(&sin6->sin6_addr, to->ip.octet, sizeof(to->ip.octet));
	return len;
}

/* One datagram a message.  Returns octets taken, or -1 with errno if none was. */
static long
send_each(struct udp *udp, const struct sockaddr_storage *to, socklen_t to_len,
    const uint8_t *data, size_t len, size_t segment)
{
	struct mmsghdr message[IO_BATCH];
	struct iovec vector[IO_BATCH];
	size_t done = 0, laid;
	unsigned count;
	int sent;

	memset(message, 0, sizeof(message));
	while (done < len) {
		laid = done;
		for (count = 0; count < IO_BATCH && laid < len; count++) {
			struct msghdr *m = &message[count].msg_hdr;
			size_t n = len - laid < segment ? len - laid : segment;

			vector[count].iov_base = (void *)(data + laid);
			vector[count].iov_len = n;
			m->msg_name = (void *)to;
			m->msg_namelen = to_len;
			m->msg_iov = &vector[count];
			m->msg_iovlen = 1;
			laid += n;
		}
		sent = sendmmsg(udp->fd, message, count, MSG_DONTWAIT);
		if (sent <= 0)
			break;
		for (int i = 0; i < sent; i++)
			done += vector[i].iov_len;
	}
	return done == 0 ? -1 : (long)done;
}

/*
 * One part by a single call.  A kernel that cannot (no UDP_SEGMENT, IPsec, checksums
 * off) says EIO, EINVAL or ENOPROTOOPT; but many say EINVAL as well for a segment larger
 * than the path takes, so the datagrams one by one have to tell which it is.
 */
static long
send_part(struct udp *udp, const struct sockaddr_storage *to, socklen_t to_len,
    const uint8_t *data, size_t len, size_t segment)
{
	long sent;

	if (!udp->segmentation || len <= segment)
		return send_each(udp, to, to_len, data, len, segment);
	sent = udp_os_send_segments(udp->fd, to, to_len, data, len, segment);
	if (sent != -1 || (errno != EIO && errno != EINVAL && errno != ENOPROTOOPT))
		return sent;
	sent = send_each(udp, to, to_len, data, len, segment);
	if (sent == (long)len) {
		udp->segmentation = false;
		log_info("transfer socket sends without segmentation offload");
	}
	return sent;
}

long
udp_send(struct udp *udp, const struct addr *to, const uint8_t *data, size_t len, size_t segment)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = peer_sockaddr(udp, to, &ss);
	size_t done = 0, part_max, part;
	long sent;

	if (segment == 0 || segment > len)
		segment = len;
	if (len == 0)
		return 0;
	part_max = IO_SEND_LEN / segment;
	if (part_max > IO_SEND_SEGMENTS)
		part_max = IO_SEND_SEGMENTS;
	part_max = part_max == 0 ? segment : part_max * segment;
	while (done < len) {
		part = len - done < part_max ? len - done : part_max;
		sent = send_part(udp, &ss, ss_len, data + done, part, segment);
		if (sent == -1)
			return done == 0 ? -1 : (long)done;
		done += (size_t)sent;
		if ((size_t)sent < part)
			break;
	}
	return (long)done;
}
