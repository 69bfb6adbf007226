/*
 * FreeBSD and OpenBSD: the device is set up; routes are the operator's.  Written from
 * netintro(4); not tested on these systems.
 */
#include "platform/routes.h"

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int
set_up(int fd, const char *device, uint32_t mtu)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	request.ifr_mtu = (int)mtu;
	if (ioctl(fd, SIOCSIFMTU, &request) == -1 || ioctl(fd, SIOCGIFFLAGS, &request) == -1)
		return -1;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

int
routes_device_up(const char *device, uint32_t mtu, char *error, size_t error_size)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int result = fd == -1 ? -1 : set_up(fd, device, mtu);

	if (result == -1)
		snprintf(error, error_size, "device %s cannot be set up with an MTU of %u: %s",
		    device, (unsigned)mtu, strerror(errno));
	if (fd != -1)
		close(fd);
	return result;
}

int
routes_add(const char *device, const struct ip *ip, char *error, size_t error_size)
{
	char text[IP_TEXT];

	snprintf(error, error_size,
	    "routes are not supported on this system: set device.routes = false and "
	    "add it by hand: route add %s-host %s -iface %s",
	    ip_is_v4(ip) ? "" : "-inet6 ", ip_format(ip, text), device);
	return -1;
}

void
routes_warn(const char *device, const struct routes_use *use)
{
	(void)device;
	if (use->v4)
		log_info("not known whether IPv4 packets are forwarded "
			 "see=\"sysctl net.inet.ip.forwarding\"");
	if (use->v6)
		log_info("not known whether IPv6 packets are forwarded "
			 "see=\"sysctl net.inet6.ip6.forwarding\"");
}
