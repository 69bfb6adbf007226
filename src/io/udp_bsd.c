/*
 * FreeBSD and OpenBSD: neither cuts a buffer into datagrams nor joins them.  Written from udp(4),
 * ip(4) and ip6(4); not tested on these systems.
 */
#include "io/udp.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>

/* kern.ipc.maxsockbuf is 2 MiB on FreeBSD: take what is to be had. */
static void
set_buffer(int fd, int option)
{
	for (int octets = 4 * 1024 * 1024; octets >= 128 * 1024; octets /= 2)
		if (setsockopt(fd, SOL_SOCKET, option, &octets, sizeof(octets)) == 0)
			return;
}

bool
udp_os_options(int fd, bool v6)
{
	int on = 1;

	set_buffer(fd, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUF);
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof(on));
#ifdef IP_DONTFRAG /* OpenBSD has none for IPv4 */
	else
		setsockopt(fd, IPPROTO_IP, IP_DONTFRAG, &on, sizeof(on));
#endif
	return false;
}

bool
udp_os_join(int fd)
{
	(void)fd;
	return false;
}

uint32_t
udp_os_segment(const struct msghdr *message)
{
	(void)message;
	return 0;
}

long
udp_os_send_segments(int fd, const struct sockaddr_storage *to, socklen_t to_len,
    const uint8_t *data, size_t len, size_t segment)
{
	(void)fd;
	(void)to;
	(void)to_len;
	(void)data;
	(void)len;
	(void)segment;
	errno = ENOPROTOOPT;
	return -1;
}
