/*
 * endpoints: from address, port and protocol to a number; built once, then only read.
 *
 * Which service an address means.  Open addressing at most half full: a look-up costs
 * one or two cache lines whatever the number of services.  Written only from configuration and
 * verified HELLOs.
 */
#ifndef WLAD_LOAD_ENDPOINTS_H
#define WLAD_LOAD_ENDPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct endpoints;

/* For at most count entries. */
struct endpoints *endpoints_new(size_t count);
void endpoints_free(struct endpoints *e);

/* Enters an endpoint; the first entry of equal ones stays. */
void endpoints_add(
    struct endpoints *e, const struct addr *addr, uint8_t protocol, uint32_t value);

/* Its value, or UINT32_MAX; e may be NULL. */
uint32_t endpoints_find(const struct endpoints *e, const struct addr *addr, uint8_t protocol);

#endif
