#include "platform/policy.h"

#include <sys/socket.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "platform/netlink_linux.h"

/* Numbers that nobody else is likely to use, other ones for each name of a device. */
#define TABLE_FIRST    72100000u
#define PRIORITY_FIRST 7200u
#define NAMES          1000u

/* Rules of an earlier process are removed one by one. */
#define REMOVED_MAX 100000

struct numbers {
	uint32_t table;
	uint32_t skip, lead, skipped; /* priorities, one after the other */
};

static struct numbers
numbers_of(const char *device)
{
	uint32_t n = 0;

	for (; *device != '\0'; device++)
		n = n * 31 + (uint8_t)*device;
	n %= NAMES;
	return (struct numbers){.table = TABLE_FIRST + n,
	    .skip = PRIORITY_FIRST + 3 * n,
	    .lead = PRIORITY_FIRST + 3 * n + 1,
	    .skipped = PRIORITY_FIRST + 3 * n + 2};
}

static struct fib_rule_hdr *
start_rule(struct netlink_request *request, uint16_t type, int family, uint8_t action,
    uint32_t priority)
{
	struct fib_rule_hdr *rule;

	request->header = mnl_nlmsg_put_header(request->buf);
	request->header->nlmsg_type = type;
	if (type == RTM_NEWRULE)
		request->header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	rule = mnl_nlmsg_put_extra_header(request->header, sizeof(*rule));
	rule->family = (uint8_t)family;
	rule->action = action;
	mnl_attr_put_u32(request->header, FRA_PRIORITY, priority);
	return rule;
}

/* An equal one is fine. */
static int
finish_rule(struct netlink_request *request, struct netlink_answer *answer)
{
	if (netlink_talk(request, answer) == 0 || errno == EEXIST)
		return 0;
	return -1;
}

/* What comes from the device has been there: it goes on behind our rules. */
static int
add_skip(const char *device, int family, struct netlink_answer *answer)
{
	struct numbers n = numbers_of(device);
	struct netlink_request request;

	start_rule(&request, RTM_NEWRULE, family, FR_ACT_NOP, n.skipped);
	if (finish_rule(&request, answer) == -1)
		return -1;
	start_rule(&request, RTM_NEWRULE, family, FR_ACT_GOTO, n.skip);
	mnl_attr_put_u32(request.header, FRA_GOTO, n.skipped);
	mnl_attr_put_strz(request.header, FRA_IIFNAME, device);
	return finish_rule(&request, answer);
}

static int
add_default(const char *device, int family, struct netlink_answer *answer)
{
	struct netlink_request request;
	struct rtmsg *route;

	request.header = mnl_nlmsg_put_header(request.buf);
	request.header->nlmsg_type = RTM_NEWROUTE;
	request.header->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	route = mnl_nlmsg_put_extra_header(request.header, sizeof(*route));
	route->rtm_family = (uint8_t)family;
	route->rtm_table = RT_TABLE_UNSPEC;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(request.header, RTA_TABLE, numbers_of(device).table);
	mnl_attr_put_u32(request.header, RTA_OIF, if_nametoindex(device));
	return netlink_talk(&request, answer);
}

static int
put_rule(const char *device, const struct policy_rule *r, uint16_t type)
{
	struct fib_rule_port_range ports = {.start = r->port_min, .end = r->port_max};
	bool v4 = ip_is_v4(&r->server);
	struct numbers n = numbers_of(device);
	struct netlink_request request;
	struct netlink_answer answer;
	struct fib_rule_hdr *rule =
	    start_rule(&request, type, v4 ? AF_INET : AF_INET6, FR_ACT_TO_TBL, n.lead);

	rule->src_len = v4 ? 32 : 128;
	mnl_attr_put(
	    request.header, FRA_SRC, v4 ? 4 : 16, v4 ? ip_v4(&r->server) : r->server.octet);
	mnl_attr_put_u32(request.header, FRA_TABLE, n.table);
	mnl_attr_put_u8(request.header, FRA_IP_PROTO, r->protocol);
	if (r->port_min != 0)
		mnl_attr_put(request.header, FRA_SPORT_RANGE, sizeof(ports), &ports);
	return finish_rule(&request, &answer);
}

static void
remove_all(int family, uint8_t action, uint32_t priority)
{
	struct netlink_request request;
	struct netlink_answer answer;

	for (int i = 0; i < REMOVED_MAX; i++) {
		start_rule(&request, RTM_DELRULE, family, action, priority);
		if (netlink_talk(&request, &answer) == -1)
			return;
	}
}

void
policy_close(const char *device)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct numbers n = numbers_of(device);

	for (size_t i = 0; i < 2; i++) {
		remove_all(families[i], FR_ACT_TO_TBL, n.lead);
		remove_all(families[i], FR_ACT_GOTO, n.skip);
		remove_all(families[i], FR_ACT_NOP, n.skipped);
	}
}

int
policy_possible(char *error, size_t error_size)
{
	(void)error;
	(void)error_size;
	return 0;
}

int
policy_open(const char *device, char *error, size_t error_size)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct netlink_answer answer;
	char text[300];

	policy_close(device);
	for (size_t i = 0; i < 2; i++) {
		if (add_skip(device, families[i], &answer) == 0 &&
		    add_default(device, families[i], &answer) == 0)
			continue;
		if (families[i] == AF_INET6 && errno != EPERM)
			continue; /* a kernel, or a device, without IPv6 */
		snprintf(error, error_size,
		    "no policy routing to %s for client_address = \"keep\"%s", device,
		    netlink_reason(&answer, text, sizeof(text)));
		return -1;
	}
	return 0;
}

int
policy_add(const char *device, const struct policy_rule *rule, char *error, size_t error_size)
{
	if (put_rule(device, rule, RTM_NEWRULE) == 0)
		return 0;
	snprintf(error, error_size, "they cannot be set: %s", strerror(errno));
	return -1;
}

int
policy_remove(const char *device, const struct policy_rule *rule)
{
	return put_rule(device, rule, RTM_DELRULE);
}

static const char *
protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	default:
		return "ipv6-icmp";
	}
}

const char *
policy_remedy(const char *device, const struct policy_rule *rule, char buf[POLICY_TEXT])
{
	struct numbers n = numbers_of(device);
	char ports[32] = "", text[IP_TEXT];

	if (rule == NULL) {
		snprintf(buf, POLICY_TEXT,
		    "for f in -4 -6; do ip $f rule add pref %u nop; "
		    "ip $f rule add pref %u iif %s goto %u; "
		    "ip $f route add default dev %s table %u; done",
		    n.skipped, n.skip, device, n.skipped, device, n.table);
		return buf;
	}
	if (rule->port_min != 0)
		snprintf(ports, sizeof(ports), " sport %u-%u", rule->port_min, rule->port_max);
	snprintf(buf, POLICY_TEXT, "ip %s rule add pref %u from %s ipproto %s%s lookup %u",
	    ip_is_v4(&rule->server) ? "-4" : "-6", n.lead, ip_format(&rule->server, text),
	    protocol_name(rule->protocol), ports, n.table);
	return buf;
}
