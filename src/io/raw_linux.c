/*
 * Linux: raw(7), ipv6(7).
 *
 * The kernel is told the sender address of each packet a second time (IP_PKTINFO), or it
 * would not be part of the route's look-up and rules by source would not see it.
 */
#include "io/raw.h"

#include <sys/socket.h>

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>

#include "base/xalloc.h"
#include "packet/segment.h"
#include "packet/split.h"

/* Packets that wait for the others of one system call: IO_BATCH of 1500 octets, or one of
 * any size. */
#define ARENA (128 * 1024)
_Static_assert(ARENA >= PACKET_MAX, "the arena holds any packet");

/* For the queue of a slow interface; the default holds some 90 packets. */
#define SEND_BUFFER (4 * 1024 * 1024)

/* Errors that are read away to find the one about the packet refused last. */
#define ERRORS_MAX 64

/* Since Linux 4.15 and 4.5; older headers lack them. */
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union control {
	struct cmsghdr align;
	uint8_t v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* What goes by one socket and one system call. */
struct queue {
	int fd; /* -1: the kernel has no such family */
	int version;
	unsigned count; /* messages laid */
	size_t used;    /* octets of the arena */
	bool super;     /* they are segments of one super-packet */
	struct mmsghdr message[IO_BATCH];
	struct iovec vector[IO_BATCH][2];
	union address to[IO_BATCH];
	union control control[IO_BATCH];
	uint8_t arena[ARENA];
};

struct raw {
	struct queue v4, v6;
	struct segment segment[IO_BATCH];
	struct io_refused refused; /* since the last flush */
	uint8_t scratch[PACKET_MAX], kept[PACKET_MAX];
};

/* ---- a socket ---- */

/* What does not change from packet to packet. */
static void
prepare_messages(struct queue *q)
{
	bool v4 = q->version == 4;

	for (unsigned i = 0; i < IO_BATCH; i++) {
		struct msghdr *m = &q->message[i].msg_hdr;
		struct cmsghdr *c = &q->control[i].align;

		q->to[i].any.sa_family = v4 ? AF_INET : AF_INET6;
		m->msg_name = &q->to[i];
		m->msg_namelen = v4 ? sizeof(q->to[i].v4) : sizeof(q->to[i].v6);
		m->msg_iov = q->vector[i];
		m->msg_iovlen = 2;
		m->msg_control = c;
		m->msg_controllen = v4 ? sizeof(q->control[i].v4) : sizeof(q->control[i].v6);
		c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
		c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
		c->cmsg_len = v4 ? CMSG_LEN(sizeof(struct in_pktinfo))
				 : CMSG_LEN(sizeof(struct in6_pktinfo));
	}
}

/* Packets of protocol 255 would be ours to read; there is none for us. */
static int
receive_nothing(int fd)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &none};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int
set_options(const struct queue *q)
{
	bool v4 = q->version == 4;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, on = 1, octets = SEND_BUFFER;

	/* The first goes beyond net.core.wmem_max but needs CAP_NET_ADMIN. */
	if (setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof(octets)) == -1)
		setsockopt(q->fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	if (receive_nothing(q->fd) == -1 ||
	    setsockopt(q->fd, level, v4 ? IP_HDRINCL : IPV6_HDRINCL, &on, sizeof(on)) == -1)
		return -1;
	/* Senders that are no addresses of this machine; IP_HDRINCL implies it. */
	if (!v4 && setsockopt(q->fd, level, IPV6_FREEBIND, &on, sizeof(on)) == -1)
		return -1;
	/* The error queue says what MTU the way of a refused packet has. */
	return setsockopt(q->fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on));
}

static int
open_queue(struct queue *q, int version)
{
	q->version = version;
	q->fd = socket(version == 4 ? AF_INET : AF_INET6,
	    SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (q->fd == -1)
		return errno == EAFNOSUPPORT ? 0 : -1;
	prepare_messages(q);
	return set_options(q);
}

struct raw *
raw_open(char *error, size_t error_size)
{
	struct raw *raw = xcalloc(1, sizeof(*raw));

	raw->v4.fd = raw->v6.fd = -1;
	if (open_queue(&raw->v4, 4) == 0 && open_queue(&raw->v6, 6) == 0)
		return raw;
	snprintf(error, error_size, "raw sockets for device.output cannot be opened: %s%s",
	    strerror(errno), errno == EPERM ? " (needs CAP_NET_RAW)" : "");
	raw_close(raw);
	return NULL;
}

void
raw_close(struct raw *raw)
{
	if (raw == NULL)
		return;
	if (raw->v4.fd != -1)
		close(raw->v4.fd);
	if (raw->v6.fd != -1)
		close(raw->v6.fd);
	free(raw);
}

bool
raw_takes(const struct raw *raw, int version)
{
	return (version == 4 ? raw->v4.fd : raw->v6.fd) != -1;
}

/* ---- one message of the queue ---- */

/*
 * The kernel numbers packets whose identification is 0, each by itself: fragments of one
 * datagram would not find together again.  To the header's checksum 0 and 65535 are one.
 */
static void
keep_identification(uint8_t *ip)
{
	bool fragment = (ip[6] & 0x3f) != 0 || ip[7] != 0;

	if (ip[0] >> 4 == 4 && fragment && ip[4] == 0 && ip[5] == 0)
		ip[4] = ip[5] = 0xff;
}

static void
set_addresses(struct queue *q, unsigned i, const struct packet *p)
{
	void *info = CMSG_DATA(&q->control[i].align);

	if (q->version == 4) {
		struct in_pktinfo v4 = {0};

		memcpy(&v4.ipi_spec_dst, ip_v4(&p->source.ip), 4);
		memcpy(info, &v4, sizeof(v4));
		memcpy(&q->to[i].v4.sin_addr, ip_v4(&p->destination.ip), 4);
	} else {
		struct in6_pktinfo v6 = {0};

		memcpy(&v6.ipi6_addr, p->source.ip.octet, 16);
		memcpy(info, &v6, sizeof(v6));
		memcpy(&q->to[i].v6.sin6_addr, p->destination.ip.octet, 16);
	}
}

/* Lays a message of p's addresses; its octets stay where they are until it is sent. */
static void
lay(struct queue *q, const struct packet *p, uint8_t *header, size_t header_len,
    const uint8_t *payload, size_t payload_len)
{
	unsigned i = q->count++;

	keep_identification(header);
	set_addresses(q, i, p);
	q->vector[i][0] = (struct iovec){header, header_len};
	q->vector[i][1] = (struct iovec){(void *)payload, payload_len};
}

static int
send_one(const struct queue *q, unsigned i)
{
	return sendmsg(q->fd, &q->message[i].msg_hdr, MSG_DONTWAIT) == -1 ? -1 : 0;
}

/* ---- refused packets ---- */

/* The MTU in an error message of the queue, or 0. */
static uint32_t
mtu_of_error(struct msghdr *m)
{
	struct sock_extended_err e;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_len < CMSG_LEN(sizeof(e)) ||
		    !((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof(e));
		if (e.ee_origin == SO_EE_ORIGIN_LOCAL && e.ee_errno == EMSGSIZE)
			return e.ee_info;
	}
	return 0;
}

/* The MTU that made the kernel refuse the last packet; 0 if it has answered the sender
 * itself, as it does for the path MTU of a route. */
static uint32_t
read_mtu(int fd)
{
	union {
		struct cmsghdr align;
		uint8_t octets[256];
	} control;
	struct msghdr m = {0};
	uint32_t mtu = 0, found;

	for (int i = 0; i < ERRORS_MAX; i++) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) == -1)
			break;
		found = mtu_of_error(&m);
		if (found != 0)
			mtu = found;
	}
	return mtu;
}

/* Sends in pieces what message i could not send whole.  -1 if a piece was refused. */
static int
send_fragments(struct queue *q, unsigned i, const struct packet *p, uint32_t mtu)
{
	struct splitter s;
	struct segment piece;

	split_start(&s, p, mtu);
	while (split_next(&s, &piece)) {
		keep_identification(piece.header);
		q->vector[i][0] = (struct iovec){piece.header, piece.header_len};
		q->vector[i][1] = (struct iovec){(void *)piece.payload, piece.payload_len};
		if (send_one(q, i) == -1)
			return -1;
	}
	return 0;
}

/* Message i is larger than its way takes.  True if it went all the same. */
static bool
too_big(struct raw *raw, struct queue *q, unsigned i)
{
	const struct iovec *v = q->vector[i];
	struct packet p = {.data = raw->scratch};
	uint32_t mtu = read_mtu(q->fd);

	for (int n = 0; n < 2; n++) {
		memcpy(p.data + p.len, v[n].iov_base, v[n].iov_len);
		p.len += (uint32_t)v[n].iov_len;
	}
	if (mtu != 0 && packet_parse(&p) == DROP_none) {
		if (split_possible(&p, mtu))
			return send_fragments(q, i, &p, mtu) == 0;
		if (raw->refused.mtu == 0) {
			raw->refused.mtu = mtu;
			raw->refused.packet = p;
			raw->refused.packet.data = raw->kept;
			memcpy(raw->kept, p.data, p.len);
		}
	}
	raw->refused.too_big++;
	return false;
}

/* errno is what the kernel has against message i.  Returns how many messages are done with. */
static unsigned
refuse(struct raw *raw, struct queue *q, unsigned i)
{
	unsigned rest = q->count - i;

	if (errno == EAGAIN) {
		raw->refused.count += rest;
		return rest;
	}
	if (errno == EMSGSIZE) {
		if (too_big(raw, q, i))
			return 1;
		raw->refused.count++;
		return q->super ? rest : 1; /* one segment is as large as the other */
	}
	/* It may have been an earlier packet's error, brought by an ICMP message. */
	if (send_one(q, i) == -1)
		raw->refused.count++;
	return 1;
}

/* ---- all of the queue ---- */

static void
send_queue(struct raw *raw, struct queue *q)
{
	unsigned done = 0;
	int n;

	while (done < q->count) {
		n = sendmmsg(q->fd, q->message + done, q->count - done, MSG_DONTWAIT);
		done += n > 0 ? (unsigned)n : refuse(raw, q, done);
	}
	q->count = 0;
	q->used = 0;
}

static void
send_segments(struct raw *raw, struct queue *q, const struct packet *super)
{
	struct packet whole = *super;
	struct segmenter s;
	struct segment *one = raw->segment;
	bool any = false;

	whole.partial = false; /* each segment gets its full checksum */
	segment_start(&s, &whole);
	while (segment_next(&s, one)) {
		lay(q, super, one->header, one->header_len, one->payload, one->payload_len);
		any = true;
		if (q->count == IO_BATCH)
			send_queue(raw, q);
		one = &raw->segment[q->count];
	}
	if (!any)
		raw->refused.count++; /* headers longer than a segment's may be */
	send_queue(raw, q);
}

/* Outside it is one packet, however many of its segments were refused. */
static void
send_super(struct raw *raw, struct queue *q, const struct packet *p)
{
	uint32_t count = raw->refused.count, big = raw->refused.too_big;

	q->super = true;
	send_segments(raw, q, p);
	q->super = false;
	if (raw->refused.count > count)
		raw->refused.count = count + 1;
	if (raw->refused.too_big > big)
		raw->refused.too_big = big + 1;
}

void
raw_send(struct raw *raw, const struct packet *p)
{
	struct queue *q = p->version == 4 ? &raw->v4 : &raw->v6;
	struct packet copy = *p;

	if (p->gso != PACKET_GSO_NONE || q->count == IO_BATCH ||
	    p->len > sizeof(q->arena) - q->used)
		send_queue(raw, q);
	if (p->gso != PACKET_GSO_NONE) {
		send_super(raw, q, p);
		return;
	}
	copy.data = q->arena + q->used;
	memcpy(copy.data, p->data, p->len);
	packet_complete_checksum(&copy);
	lay(q, &copy, copy.data, p->len, copy.data + p->len, 0);
	q->used += p->len;
}

uint32_t
raw_flush(struct raw *raw, struct io_refused *refused)
{
	send_queue(raw, &raw->v4);
	send_queue(raw, &raw->v6);
	*refused = raw->refused;
	memset(&raw->refused, 0, sizeof(raw->refused));
	return refused->count;
}
