#include "platform/routes.h"

#include <sys/socket.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "platform/netlink_linux.h"

/* The kernel's default of 500 packets drops bursts. */
#define TRANSMIT_QUEUE 4096

static void
start_link(struct netlink_request *request, unsigned index)
{
	struct ifinfomsg *link;

	request->header = mnl_nlmsg_put_header(request->buf);
	request->header->nlmsg_type = RTM_NEWLINK;
	link = mnl_nlmsg_put_extra_header(request->header, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)index;
}

/*
 * No link-local address: no router solicitations come out of the device.  (Reports of a
 * router's multicast groups still do, without an address; the kernel has no switch for
 * them.)  A kernel without IPv6 refuses, and sends none either.
 */
static void
silence_ipv6(unsigned index)
{
	struct netlink_request request;
	struct netlink_answer answer;
	struct nlattr *spec, *inet6;

	start_link(&request, index);
	spec = mnl_attr_nest_start(request.header, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(request.header, AF_INET6);
	mnl_attr_put_u8(request.header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(request.header, inet6);
	mnl_attr_nest_end(request.header, spec);
	if (netlink_talk(&request, &answer) == -1)
		log_debug("device keeps its link-local address index=%u", index);
}

/*
 * An IPv4 address, for no other purpose than that there is one: the kernel's reverse path
 * filter drops every packet from a device without, in its loose mode too, unless the route
 * back leads through that very device - which it does not for what is answered in another
 * site's name.  192.0.0.8 is the dummy address (RFC 7600); its scope keeps the kernel from
 * sending anything under it.
 */
static int
give_address(unsigned index, struct netlink_answer *answer)
{
	static const uint8_t dummy[4] = {192, 0, 0, 8};
	struct netlink_request request;
	struct ifaddrmsg *address;

	request.header = mnl_nlmsg_put_header(request.buf);
	request.header->nlmsg_type = RTM_NEWADDR;
	request.header->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	address = mnl_nlmsg_put_extra_header(request.header, sizeof(*address));
	address->ifa_family = AF_INET;
	address->ifa_prefixlen = 32;
	address->ifa_scope = RT_SCOPE_HOST;
	address->ifa_index = index;
	mnl_attr_put(request.header, IFA_LOCAL, sizeof(dummy), dummy);
	mnl_attr_put(request.header, IFA_ADDRESS, sizeof(dummy), dummy);
	return netlink_talk(&request, answer);
}

int
routes_device_up(const char *device, uint32_t mtu, char *error, size_t error_size)
{
	unsigned index = if_nametoindex(device);
	struct netlink_request request;
	struct netlink_answer answer;
	struct ifinfomsg *link;
	char text[300];

	if (index == 0) {
		snprintf(error, error_size, "there is no device %s", device);
		return -1;
	}
	silence_ipv6(index);
	start_link(&request, index);
	link = mnl_nlmsg_get_payload(request.header);
	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP | IFF_MULTICAST;
	mnl_attr_put_u32(request.header, IFLA_MTU, mtu);
	mnl_attr_put_u32(request.header, IFLA_TXQLEN, TRANSMIT_QUEUE);
	if (netlink_talk(&request, &answer) == 0 && give_address(index, &answer) == 0)
		return 0;
	snprintf(error, error_size, "device %s cannot be set up with an MTU of %u%s", device,
	    (unsigned)mtu, netlink_reason(&answer, text, sizeof(text)));
	return -1;
}

static void
start_route(struct netlink_request *request, uint16_t type, const struct ip *ip)
{
	bool v4 = ip_is_v4(ip);
	struct rtmsg *route;

	request->header = mnl_nlmsg_put_header(request->buf);
	request->header->nlmsg_type = type;
	route = mnl_nlmsg_put_extra_header(request->header, sizeof(*route));
	route->rtm_family = v4 ? AF_INET : AF_INET6;
	route->rtm_dst_len = v4 ? 32 : 128;
	mnl_attr_put(request->header, RTA_DST, v4 ? 4 : 16, v4 ? ip_v4(ip) : ip->octet);
}

static int
add(unsigned index, const struct ip *ip, struct netlink_answer *answer)
{
	struct netlink_request request;
	struct rtmsg *route;

	start_route(&request, RTM_NEWROUTE, ip);
	route = mnl_nlmsg_get_payload(request.header);
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = ip_is_v4(ip) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(request.header, RTA_OIF, index);
	/* Not REPLACE: a route that the operator made is not ours to take. */
	request.header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	return netlink_talk(&request, answer);
}

/* Says in error why the address leads elsewhere, if it does. */
static int
verify(const char *device, unsigned index, const struct ip *ip, bool existed, char *error,
    size_t error_size)
{
	struct netlink_request request;
	struct netlink_answer answer;
	char text[IP_TEXT], other[IF_NAMESIZE] = "?";

	start_route(&request, RTM_GETROUTE, ip);
	if (netlink_talk(&request, &answer) == -1 || answer.oif == index)
		return 0;
	if_indextoname(answer.oif, other);
	if (answer.type == RTN_LOCAL)
		snprintf(error, error_size,
		    "%s is an address of this machine: remove it, or no packet "
		    "reaches %s",
		    ip_format(ip, text), device);
	else if (existed)
		snprintf(error, error_size,
		    "there is another route to %s, through %s: remove it, or no "
		    "packet reaches %s",
		    ip_format(ip, text), other, device);
	else
		return 0; /* a policy routing rule: the operator's decision */
	return -1;
}

int
routes_add(const char *device, const struct ip *ip, char *error, size_t error_size)
{
	unsigned index = if_nametoindex(device);
	struct netlink_answer answer;
	char address[IP_TEXT], text[300];
	bool existed = false;

	ip_format(ip, address);
	if (index == 0) {
		snprintf(error, error_size, "no route to %s: there is no device %s", address,
		    device);
		return -1;
	}
	if (add(index, ip, &answer) == -1) {
		if (errno != EEXIST) {
			snprintf(error, error_size, "no route to %s through %s%s", address,
			    device, netlink_reason(&answer, text, sizeof(text)));
			return -1;
		}
		existed = true;
	}
	return verify(device, index, ip, existed, error, error_size);
}
