/*
 * sites: two linked sites for fuzz targets of the datapath, made once.
 *
 * X has a tcp and a udp service with a server each; where it is told that they are down, its connections
 * go to Y, which has the same.  The client is 192.0.2.77, 2001:db8:77::1.
 */
#ifndef WLAD_TESTS_FUZZ_SITES_H
#define WLAD_TESTS_FUZZ_SITES_H

#include <stdlib.h>
#include <string.h>

#include "instance.h"

#define SITES_CONFIG(site, peer, n, m, self) \
	"site = \"" site "\"; limits: { connections = 1024; }; " self "services: (" \
	"{ name = \"web\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n "::10\" ];" \
	"  protocol = \"tcp\"; ports = [ 80 ];" \
	"  servers: ( { name = \"a\"; address = [ \"10." n ".0.11\", \"2001:db8:" n \
	"::11\" ];" \
	"  port = 8080; } ); }," \
	"{ name = \"dns\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n "::10\" ];" \
	"  protocol = \"udp\"; ports = [ 53 ];" \
	"  servers: ( { name = \"a\"; address = [ \"10." n ".0.11\", \"2001:db8:" n \
	"::11\" ]; } ); } );" \
	"load: { listen = \"198.51.100." n \
	":7210\"; certificate = \"/c\"; key = \"/k\"; ca = \"/a\"; };" \
	"transfer: { listen = \"198.51.100." n ":7210\"; };" \
	"peers: ( { site = \"" peer "\"; load = \"198.51.100." m ":7210\";" \
	" transfer = \"198.51.100." m ":7210\"; } );"

static inline void
require(bool condition)
{
	if (!condition)
		abort();
}

/* Makes both; remote: X has no server that is up. */
static inline void
sites_make(struct instance **x, struct instance **y, bool remote, uint64_t now)
{
	*x = instance_new(SITES_CONFIG("x", "y", "1", "2", ""), 1, now);
	*y = instance_new(SITES_CONFIG("y", "x", "2", "1",
			      "self_addresses = [ \"198.51.100.20\", \"2001:db8:2::20\" ];"),
	    2, now);
	require(*x != NULL && *y != NULL && instance_link(*x, *y, now) == 0);
	for (uint32_t s = 0; remote && s < load_table_servers((*x)->load); s++)
		load_table_server_set_state((*x)->load, s, SERVER_DOWN, NULL, now);
}

/* A packet comes out of a site's device. */
static inline void
sites_device(struct instance *i, const uint8_t *octets, size_t len, uint64_t now)
{
	require(memory_put_packet(i->io, octets, len, PACKET_GSO_NONE, 0, false) == 0);
	require(datapath_run_device(i->datapath, now) == 1);
}

static inline uint64_t
sites_drops(const struct instance *i)
{
	uint64_t sum = 0;

	for (int n = 1; n < DROP_COUNT; n++)
		sum += i->counters.drop[n];
	return sum;
}

#endif
