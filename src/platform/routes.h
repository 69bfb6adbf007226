/*
 * routes: the addresses that lead to the device, and what the operator's kernel settings
 * would spoil.  One file an OS.
 */
#ifndef WLAD_PLATFORM_ROUTES_H
#define WLAD_PLATFORM_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Sets MTU, transmit queue and "up" of a device.  0, or -1 with a sentence in error. */
int routes_device_up(const char *device, uint32_t mtu, char *error, size_t error_size);

/*
 * Adds a host route to the address through the device; an equal one is fine.  It goes with
 * the device.  0, or -1 with a sentence in error: also if the address is one of this machine
 * or has another route, for then no packet would come.
 */
int routes_add(const char *device, const struct ip *ip, char *error, size_t error_size);

/* What is asked of the kernel. */
struct routes_use {
	bool v4, v6;    /* families of the addresses that lead to the device */
	bool raw;       /* packets do not come out of the device, but of raw sockets */
	bool transfers; /* connections go to other sites and come from there */
};

/* Logs a line, with the command that helps, for each setting that drops our packets
 * (forwarding off, strict reverse path filter) or may (connection tracking). */
void routes_warn(const char *device, const struct routes_use *use);

#endif
