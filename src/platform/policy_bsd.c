/*
 * FreeBSD and OpenBSD: a packet filter would have to do it, and its rules are the operator's.
 */
#include "platform/policy.h"

#include <stdio.h>

int
policy_possible(char *error, size_t error_size)
{
	snprintf(error, error_size,
	    "client_address = \"keep\" is not supported on this system: use \"proxy-v2\"");
	return -1;
}

int
policy_open(const char *device, char *error, size_t error_size)
{
	(void)device;
	return policy_possible(error, error_size);
}

int
policy_add(const char *device, const struct policy_rule *rule, char *error, size_t error_size)
{
	(void)device;
	(void)rule;
	return policy_possible(error, error_size);
}

int
policy_remove(const char *device, const struct policy_rule *rule)
{
	(void)device;
	(void)rule;
	return -1;
}

void
policy_close(const char *device)
{
	(void)device;
}

const char *
policy_remedy(const char *device, const struct policy_rule *rule, char buf[POLICY_TEXT])
{
	(void)device;
	(void)rule;
	snprintf(buf, POLICY_TEXT, "client_address = \"proxy-v2\"");
	return buf;
}
