/*
 * netlink: one request to the Linux kernel, and what it says to that.  For platform/ alone.
 */
#ifndef WLAD_PLATFORM_NETLINK_LINUX_H
#define WLAD_PLATFORM_NETLINK_LINUX_H

#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

/* What the kernel's answer says. */
struct netlink_answer {
	int error;          /* errno, 0: done */
	char text[160];     /* its own words (NETLINK_EXT_ACK), or "" */
	uint32_t oif;       /* of a route, 0: none */
	unsigned char type; /* RTN_* of a route */
};

struct netlink_request {
	char buf[512];
	struct nlmsghdr *header;
};

/* Asks the kernel.  Returns 0 if it did as told, else -1 with errno and its words. */
int netlink_talk(struct netlink_request *request, struct netlink_answer *answer);

/* ": reason" of a request that failed: errno, and what the kernel said. */
const char *netlink_reason(const struct netlink_answer *answer, char *buf, size_t size);

#endif
