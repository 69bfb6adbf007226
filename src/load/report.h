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

/*
 * Adds to the services of a HELLO the addresses of their servers, HELLO_SERVERS_MAX of each at
 * most.  Returns how many were left out.
 */
size_t report_servers(struct load_table *table, struct hello *hello);

/* Enters what a site's HELLO says: services, servers, demand port, interval. */
void report_enter_hello(struct load_table *table, uint32_t site, const struct hello *hello);

/* Enters the servers that HELLOs name as those of one site, most of their addresses at most: whose
 * packets relay ports take. */
void report_enter_servers(struct load_table *table, uint32_t site,
    const struct hello *const *hellos, size_t count, size_t most);

/* Adds what there is to say to a site: of the path to it, and of each of our services that are
 * present. */
void report_load(struct load_table *table, uint32_t site, struct load_report *report);

/* In place of all that: only what is between the two of us, for a site that knows our load from a
 * coordinator; only of the path to it, for one that is not to know. */
void report_between(struct load_table *table, uint32_t site, struct load_report *report);
void report_path(struct load_table *table, uint32_t site, struct load_report *report);

/* Enters what a coordinator tells of a site's services, received there at that time. */
void report_enter_services(
    struct load_table *table, uint32_t site, const struct load_report *report, uint64_t at);

/* Enters a site's report.  Services that its HELLO did not name are ignored. */
void report_enter_load(
    struct load_table *table, uint32_t site, const struct load_report *report, uint64_t now);

#endif
