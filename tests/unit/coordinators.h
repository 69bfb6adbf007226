/*
 * coordinators: sites and reports, for the unit tests of coordinators and of what sites make of them.
 * To be included after cmocka.h.
 */
#ifndef WLAD_TESTS_COORDINATORS_H
#define WLAD_TESTS_COORDINATORS_H

#include <netinet/in.h>

#include <stdio.h>

#include "base/clock.h"
#include "load/coordinator.h"

#define START (1000 * CLOCK_SECOND)

static uint16_t port = 80;
static struct hello_service web = {
    .name = "web", .number = 5, .protocol = IPPROTO_TCP, .ports = &port, .ports_count = 1};

static inline struct sites_record
identity(const char *name)
{
	struct sites_record r = {.identity = true, .certified = true};

	snprintf(r.hello.site, sizeof(r.hello.site), "%s", name);
	ip_parse("203.0.113.20", &web.v4);
	addr_parse("192.0.2.9:7210", &r.hello.transfer);
	addr_parse("192.0.2.9:7211", &r.load);
	r.hello.interval_ms = 1000;
	r.hello.services = &web;
	r.hello.services_count = 1;
	r.certificate[0] = 0x5a;
	return r;
}

static inline struct load_report_service
load_of(uint16_t load)
{
	return (struct load_report_service){.number = 5,
	    .servers_up = 3,
	    .servers_not_high = 3,
	    .transferable = 1000u - load,
	    .permitted = true,
	    .load = load,
	    .active = load,
	    .held_from_you = 9,
	    .limited = true,
	    .quota = 1};
}

static inline void
report(struct coordinator *c, uint32_t site, struct load_report_service s, uint64_t now)
{
	struct load_report r = {.sequence = 1, .services = &s, .services_count = 1};

	coordinator_load(c, site, &r, now);
}

static inline void
hello(struct coordinator *c, uint32_t site, const char *name, uint64_t now)
{
	struct sites_record r = identity(name);

	coordinator_hello(c, site, &r, now);
}

#endif
