/*
 * report: between the load table and the messages HELLO and LOAD: what we say of our
 * services, and where it goes what another site says of its own.
 *
 * Pure: no session, no clock.  Called by peering.c.
 */
#ifndef WLAD_LOAD_REPORT_H
#define WLAD_LOAD_REPORT_H

#include <stdint.h>

#include "load/codec.h"
#include "load/table.h"

/*
 * Adds our services that are present to a HELLO, HELLO_SERVICES_MAX at most.  Returns how many
 * were left out.
 */
size_t report_hello(struct load_table *table, struct hello *hello);

/* Enters the services of a site's HELLO. */
void report_enter_hello(struct load_table *table, uint32_t site, const struct hello *hello);

/* Adds what there is to say to a site of each of our services that are present. */
void report_load(struct load_table *table, uint32_t site, struct load_report *report);

/* Enters a site's report.  Services that its HELLO did not name are ignored. */
void report_enter_load(
    struct load_table *table, uint32_t site, const struct load_report *report, uint64_t now);

#endif
