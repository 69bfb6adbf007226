/*
 * icmp: does the server's host answer an echo request?
 */
#include "health/icmp.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <netinet/in.h>

#include <netinet/icmp6.h>

#include "base/random.h"
#include "base/xalloc.h"
#include "health/echo.h"
#include "health/probe.h"

#define SLOTS      1024 /* probes at a time; the lower bits of the sequence number say which */
#define BUDGET     64   /* packets of one wake-up */
#define STALE_MAX  1024 /* packets thrown away that came while nobody waited */
#define PACKET_MAX 1500

struct icmp_probe {
	struct probe probe;
	struct icmp *icmp;
	struct ip to;
	uint16_t sequence;
	uint64_t token;
};

/* One family's socket. */
struct side {
	struct icmp *icmp;
	int fd, error;
	bool v4;
	struct loop_fd *watch; /* while probes of the family are under way */
	unsigned probes;
};

struct icmp {
	struct loop *loop;
	struct side side[2]; /* IPv6, IPv4 */
	uint16_t id;
	uint16_t next; /* sequence number */
	struct icmp_probe *slot[SLOTS];
};

static int
filter_v6(int fd)
{
	struct icmp6_filter filter;

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &filter);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
}

static void
open_side(struct side *side)
{
	side->fd = socket(side->v4 ? AF_INET : AF_INET6,
	    SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, side->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (side->fd == -1) {
		side->error = errno;
		return;
	}
	if ((side->v4 ? icmp_filter_v4(side->fd) : filter_v6(side->fd)) == -1) {
		side->error = errno;
		close(side->fd);
		side->fd = -1;
	}
}

struct icmp *
icmp_new(struct loop *loop)
{
	struct icmp *icmp = xcalloc(1, sizeof(*icmp));

	icmp->loop = loop;
	random_system(&icmp->id, sizeof(icmp->id));
	random_system(&icmp->next, sizeof(icmp->next));
	for (int v4 = 0; v4 <= 1; v4++) {
		icmp->side[v4].icmp = icmp;
		icmp->side[v4].v4 = v4;
		open_side(&icmp->side[v4]);
	}
	return icmp;
}

void
icmp_free(struct icmp *icmp)
{
	if (icmp == NULL)
		return;
	for (int v4 = 0; v4 <= 1; v4++)
		if (icmp->side[v4].fd != -1)
			close(icmp->side[v4].fd);
	free(icmp);
}

int
icmp_error(const struct icmp *icmp, int v4)
{
	return icmp->side[v4 != 0].error;
}

/* The probe that a message speaks of, or NULL. */
static struct icmp_probe *
find(const struct icmp *icmp, enum echo_kind kind, const struct echo *echo, const struct ip *from)
{
	struct icmp_probe *p = icmp->slot[echo->sequence % SLOTS];

	if (kind == ECHO_NONE || p == NULL || echo->id != icmp->id ||
	    echo->sequence != p->sequence)
		return NULL;
	if (kind == ECHO_REPLY)
		return echo->token == p->token && ip_equal(from, &p->to) ? p : NULL;
	return ip_equal(&echo->destination, &p->to) ? p : NULL;
}

/* 1: a packet has been read, 0: there is none. */
static int
read_one(struct side *side, uint64_t now)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	uint8_t buf[PACKET_MAX];
	struct echo echo = {0};
	struct addr from;
	struct icmp_probe *p;
	enum echo_kind kind;
	ssize_t n;

	n = recvfrom(side->fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &ss_len);
	if (n == -1)
		return 0;
	if (addr_from_sockaddr((struct sockaddr *)&ss, &from) == -1)
		return 1;
	kind = echo_decode(side->v4, buf, (size_t)n, &echo);
	p = find(side->icmp, kind, &echo, &from.ip);
	if (p != NULL)
		probe_finish(
		    &p->probe, kind == ECHO_REPLY ? HEALTH_none : HEALTH_unreachable, 0, now);
	return 1;
}

static void
on_readable(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct side *side = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	for (int i = 0; i < BUDGET && read_one(side, now) == 1; i++)
		;
}

/* What came while nobody waited is in the way of what is to come. */
static void
watch(struct side *side)
{
	uint8_t octet;

	if (side->probes++ > 0)
		return;
	for (int i = 0; i < STALE_MAX && recv(side->fd, &octet, sizeof(octet), 0) != -1; i++)
		;
	side->watch = loop_fd_add(side->icmp->loop, side->fd, true, false, on_readable, side);
}

static void
release(struct probe *probe)
{
	struct icmp_probe *p = (struct icmp_probe *)probe;
	struct side *side = &p->icmp->side[ip_is_v4(&p->to)];

	if (p->icmp->slot[p->sequence % SLOTS] != p)
		return;
	p->icmp->slot[p->sequence % SLOTS] = NULL;
	if (--side->probes == 0) {
		loop_fd_free(side->watch);
		side->watch = NULL;
	}
}

/* A sequence number of its own, and its place among those under way.  0, or -1: all are taken. */
static int
take_slot(struct icmp *icmp, struct icmp_probe *p)
{
	for (int i = 0; i < SLOTS; i++) {
		p->sequence = icmp->next++;
		if (icmp->slot[p->sequence % SLOTS] == NULL) {
			icmp->slot[p->sequence % SLOTS] = p;
			watch(&icmp->side[ip_is_v4(&p->to)]);
			return 0;
		}
	}
	return -1;
}

/* 0, or the errno for which no request was sent. */
static int
send_request(struct icmp_probe *p)
{
	bool v4 = ip_is_v4(&p->to);
	struct echo echo = {.id = p->icmp->id, .sequence = p->sequence, .token = p->token};
	struct addr to = {.ip = p->to};
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&to, &ss);
	uint8_t buf[ECHO_SIZE];

	echo_encode(v4, &echo, buf);
	if (sendto(p->icmp->side[v4].fd, buf, sizeof(buf), MSG_NOSIGNAL, (struct sockaddr *)&ss,
		len) == -1)
		return errno;
	return 0;
}

struct probe *
icmp_start(const struct probe_request *request)
{
	struct icmp_probe *p = xcalloc(1, sizeof(*p));
	const struct side *side;
	int error;

	p->icmp = request->icmp;
	p->to = request->to.ip;
	side = &p->icmp->side[ip_is_v4(&p->to)];
	random_system(&p->token, sizeof(p->token));
	probe_init(&p->probe, request, HEALTH_timeout, release);
	if (side->fd == -1 || take_slot(p->icmp, p) == -1) {
		probe_end_soon(&p->probe, HEALTH_local);
		return &p->probe;
	}
	error = send_request(p);
	if (error != 0)
		probe_end_soon(&p->probe, probe_cause(error));
	return &p->probe;
}
