/*
 * FreeBSD, OpenBSD, NetBSD: ip(4).  Written from the manuals; not tested on these systems.
 *
 * IPv4 only: IPv6 has no raw socket that takes a whole packet there.  One system call a
 * packet; the kernel fragments what may be fragmented.
 */
#include "io/raw.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "packet/segment.h"

/* In the IP header, two octets each: total length; flags and fragment offset. */
#define IP_LENGTH   2
#define IP_FRAGMENT 6

struct raw {
	int fd;
	bool host_order; /* the kernel wants those two in the machine's order */
	struct io_refused refused;
	uint8_t scratch[PACKET_MAX];
};

/* NetBSD and DragonFly; FreeBSD until 11.0. */
static bool
wants_host_order(void)
{
	struct utsname system;

	if (uname(&system) == -1)
		return false;
	if (strcmp(system.sysname, "FreeBSD") == 0)
		return atoi(system.release) < 11;
	return strcmp(system.sysname, "NetBSD") == 0 || strcmp(system.sysname, "DragonFly") == 0;
}

struct raw *
raw_open(char *error, size_t error_size)
{
	struct raw *raw = xcalloc(1, sizeof(*raw));
	int on = 1;

	raw->host_order = wants_host_order();
	raw->fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (raw->fd != -1 && setsockopt(raw->fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) == 0)
		return raw;
	snprintf(error, error_size, "raw socket for device.output cannot be opened: %s",
	    strerror(errno));
	raw_close(raw);
	return NULL;
}

void
raw_close(struct raw *raw)
{
	if (raw == NULL)
		return;
	if (raw->fd != -1)
		close(raw->fd);
	free(raw);
}

bool
raw_takes(const struct raw *raw, int version)
{
	(void)raw;
	return version == 4;
}

static void
to_host_order(uint8_t *field)
{
	uint16_t value = (uint16_t)(field[0] << 8 | field[1]);

	memcpy(field, &value, sizeof(value));
}

/* Octets of the header belong to us and are changed.  False if the kernel refused it. */
static bool
send_packet(struct raw *raw, const struct packet *p, uint8_t *header, size_t header_len,
    const uint8_t *payload, size_t payload_len)
{
	struct sockaddr_in to;
	struct iovec vector[] = {{header, header_len}, {(void *)payload, payload_len}};
	struct msghdr m;

	memset(&to, 0, sizeof(to));
	memset(&m, 0, sizeof(m));
	to.sin_family = AF_INET;
	memcpy(&to.sin_addr, ip_v4(&p->destination.ip), 4);
	m.msg_name = &to;
	m.msg_namelen = sizeof(to);
	m.msg_iov = vector;
	m.msg_iovlen = 2;
	if (raw->host_order) {
		to_host_order(header + IP_LENGTH);
		to_host_order(header + IP_FRAGMENT);
	}
	return sendmsg(raw->fd, &m, MSG_DONTWAIT) != -1;
}

static bool
send_segments(struct raw *raw, const struct packet *super)
{
	struct packet whole = *super;
	struct segmenter s;
	struct segment one;
	bool sent = false;

	whole.partial = false; /* each segment gets its full checksum */
	segment_start(&s, &whole);
	while (segment_next(&s, &one)) {
		sent = send_packet(
		    raw, super, one.header, one.header_len, one.payload, one.payload_len);
		if (!sent)
			break;
	}
	return sent;
}

void
raw_send(struct raw *raw, const struct packet *p)
{
	struct packet copy = *p;
	bool sent;

	errno = 0;
	if (p->gso != PACKET_GSO_NONE) {
		sent = send_segments(raw, p);
	} else {
		copy.data = raw->scratch;
		memcpy(copy.data, p->data, p->len);
		packet_complete_checksum(&copy);
		sent = send_packet(raw, &copy, copy.data, p->transport,
		    copy.data + p->transport, p->len - p->transport);
	}
	if (sent)
		return;
	raw->refused.count++;
	/* The system does not say what would have been taken. */
	if (errno == EMSGSIZE)
		raw->refused.too_big++;
}

uint32_t
raw_flush(struct raw *raw, struct io_refused *refused)
{
	*refused = raw->refused;
	memset(&raw->refused, 0, sizeof(raw->refused));
	return refused->count;
}
