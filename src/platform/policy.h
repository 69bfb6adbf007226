/*
 * policy: packets of servers that see their clients' own addresses (client_address = "keep") are
 * addressed to the clients: that they lead to the device all the same is a matter of policy routing.
 * One file an OS.
 *
 *   not what comes from the device       it has been there
 *   from the server, protocol, port      table of the device, which has a default route alone
 *
 * Rules outlive the process where it has lost the right to remove them, and are without effect
 * then: the table is empty as soon as there is no device.  The next start takes them over.
 */
#ifndef WLAD_PLATFORM_POLICY_H
#define WLAD_PLATFORM_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* What leads to the device. */
struct policy_rule {
	struct ip server;
	uint8_t protocol;            /* TCP, UDP, ICMP or ICMPv6 */
	uint16_t port_min, port_max; /* of the server; both 0: any */
};

/* 0, or -1 with a sentence in error where there is no such thing. */
int policy_possible(char *error, size_t error_size);

/* Removes what an earlier process left, and gives the device its table.  0, or -1 with a sentence. */
int policy_open(const char *device, char *error, size_t error_size);

int policy_add(
    const char *device, const struct policy_rule *rule, char *error, size_t error_size);
int policy_remove(const char *device, const struct policy_rule *rule);

/* Removes all of it, as far as we still may. */
void policy_close(const char *device);

/* What an administrator can type in place of policy_open() (rule NULL) or policy_add(). */
#define POLICY_TEXT 320
const char *policy_remedy(
    const char *device, const struct policy_rule *rule, char buf[POLICY_TEXT]);

#endif
