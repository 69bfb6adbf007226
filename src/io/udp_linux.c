#include "io/udp.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

/* Since Linux 5.0; older headers lack it. */
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BUFFER_OCTETS (4 * 1024 * 1024)

/* The first option goes beyond net.core.*mem_max but needs CAP_NET_ADMIN. */
static void
set_buffer(int fd, int forced, int ordinary)
{
	int octets = BUFFER_OCTETS;

	if (setsockopt(fd, SOL_SOCKET, forced, &octets, sizeof(octets)) == -1)
		setsockopt(fd, SOL_SOCKET, ordinary, &octets, sizeof(octets));
}

static void
set_int(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

bool
udp_os_options(int fd, bool v6)
{
	int none = 0;

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	/*
	 * DF always; what is larger than the interface takes is refused.  Not ..._DO: with that the kernel
	 * believes ICMP messages about the path, which anybody may forge, and refuses what they
	 * say is too large, for ten minutes and down to 552 octets; nothing could find out.  The
	 * path is measured by sealed messages instead (transfer/path.h; RFC 8899, 4.6).
	 * On an IPv6 socket the first one is for mapped IPv4 peers.
	 */
	set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (v6) {
		set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
		set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
	}
	return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
}

bool
udp_os_join(int fd)
{
	int on = 1;

	return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0;
}

uint32_t
udp_os_segment(const struct msghdr *message)
{
	int size = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
	     c = CMSG_NXTHDR((struct msghdr *)message, c)) {
		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO ||
		    c->cmsg_len < CMSG_LEN(sizeof(size)))
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	}
	return size > 0 ? (uint32_t)size : 0;
}

long
udp_os_send_segments(int fd, const struct sockaddr_storage *to, socklen_t to_len,
    const uint8_t *data, size_t len, size_t segment)
{
	union {
		char octets[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	} control;
	struct iovec vector = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr message = {
	    .msg_name = (void *)to,
	    .msg_namelen = to_len,
	    .msg_iov = &vector,
	    .msg_iovlen = 1,
	    .msg_control = control.octets,
	    .msg_controllen = sizeof(control.octets),
	};
	struct cmsghdr *c;
	uint16_t size = (uint16_t)segment;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return sendmsg(fd, &message, MSG_DONTWAIT);
}
