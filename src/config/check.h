/*
 * check: what must hold between settings, over a struct config that the walk has filled.
 *
 * Works on a partly filled struct as well (a faulty setting leaves its default), so that one
 * run reports everything; a fault is not reported again for its consequences.
 */
#ifndef WLAD_CONFIG_CHECK_H
#define WLAD_CONFIG_CHECK_H

#include "config/config.h"
#include "config/report.h"

void check_config(const struct config *config, struct report *report);

/* For check.c: what a coordinator is, and what a site that has some (check_coordinator.c). */
void check_coordinators(const struct config *config, struct report *report);

/* An address of a host, not one that the device takes; any: 0.0.0.0 and :: are fine. */
void check_host_addr(
    const struct config *config, const struct addr *addr, bool any, struct report *report);

#endif
