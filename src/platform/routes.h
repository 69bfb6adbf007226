/*
 * routes: the addresses that lead to the device, and what the operator's kernel settings
 * would spoil.  One file an OS.
 */
#ifndef WLAD_PLATFORM_ROUTES_H
#define WLAD_PLATFORM_ROUTES_H

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

/* Logs a warning, with the command that helps, for each setting that would drop our
 * packets: forwarding off, strict reverse path filter. */
void routes_warn(const char *device, int v4, int v6);

#endif
