/*
 * device_rig: a network namespace with the Linux device, for tests of what really goes through it;
 * they need root, and skip without.
 */
#ifndef WLAD_TESTS_DEVICE_RIG_H
#define WLAD_TESTS_DEVICE_RIG_H

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "io/io.h"
#include "platform/routes.h"

#define DEVICE "wladtest0"

/* We at the loopback device, the routed address of which packets come to the device. */
#define HERE4  "192.0.2.1"
#define THERE4 "203.0.113.10"
#define HERE6  "2001:db8:1::1"
#define THERE6 "2001:db8:2::10"

static struct {
	bool possible; /* root, and a kernel with namespaces and TUN */
	int home;
	struct io *io;
	struct io *other; /* another queue */
	char log[2000];
} rig;

static inline void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

struct in6_ifreq {
	struct in6_addr address;
	uint32_t prefix;
	int index;
};

/* Our own addresses, at the loopback device. */
static inline void
set_up_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	struct in6_ifreq request6 = {.prefix = 128};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct addr here = frame_addr(HERE4, 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM, 0);

	request.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	memcpy(&sin.sin_addr, ip_v4(&here.ip), 4);
	memcpy(&request.ifr_addr, &sin, sizeof(sin));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	here = frame_addr(HERE6, 0);
	memcpy(&request6.address, here.ip.octet, 16);
	request6.index = (int)if_nametoindex("lo");
	assert_int_equal(ioctl(fd6, SIOCSIFADDR, &request6), 0);
	close(fd);
	close(fd6);
}

static inline int
group_setup(void **state)
{
	(void)state;
	rig.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) == -1 ||
	    access("/proc/sys/net/ipv6", F_OK) == -1 || rig.home == -1 ||
	    unshare(CLONE_NEWNET) == -1)
		return 0;
	rig.possible = true;
	set_up_loopback();
	/* A router, as a gateway is. */
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	return 0;
}

static inline int
group_teardown(void **state)
{
	(void)state;
	if (rig.possible)
		setns(rig.home, CLONE_NEWNET);
	return 0;
}

static inline void
add_route(const char *ip)
{
	struct addr addr = frame_addr(ip, 0);
	char error[200] = "";

	if (routes_add(DEVICE, &addr.ip, error, sizeof(error)) == -1)
		fail_msg("%s", error);
}

static inline void
open_with(const struct io_settings *settings)
{
	char error[200] = "";

	rig.io = io_open(settings, error, sizeof(error));
	if (rig.io == NULL)
		fail_msg("%s", error);
	if (routes_device_up(DEVICE, 1400, error, sizeof(error)) == -1)
		fail_msg("%s", error);
	add_route(THERE4);
	add_route(THERE6);
}

static inline int
teardown(void **state)
{
	(void)state;
	if (rig.other != NULL)
		io_close(rig.other);
	rig.other = NULL;
	io_close(rig.io);
	rig.io = NULL;
	return 0;
}

static inline void
need_root(void)
{
	if (rig.possible)
		return;
	print_message("needs root, /dev/net/tun, IPv6 and network namespaces\n");
	skip();
}

static inline int
open_udp(const char *ip, struct addr *local)
{
	struct addr addr = frame_addr(ip, 0);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&addr, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, local), 0);
	return fd;
}

static inline void
send_udp(int fd, const struct addr *to, const void *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(to, &ss);

	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&ss, ss_len), len);
}

/* Is a datagram at the socket, and just this one? */
static inline bool
has_datagram(int fd, const void *data, size_t len)
{
	static uint8_t buf[70000];
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	if (poll(&pfd, 1, 1000) != 1)
		return false;
	return recv(fd, buf, sizeof(buf), 0) == (ssize_t)len && memcmp(buf, data, len) == 0;
}

#endif
