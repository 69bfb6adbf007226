/*
 * two_sites: a transferor X and a transferee Y on the memory backend, for tests that tell the
 * stories of packets between them.
 *
 * X (tokyo) has the service at 203.0.113.10 and no server that is up, so that each connection goes
 * to Y (osaka), whose server is 10.2.0.11:8080 and whose self address 198.51.100.20.
 */
#ifndef WLAD_TESTS_TWO_SITES_H
#define WLAD_TESTS_TWO_SITES_H

#include <stdio.h>

#include "base/clock.h"
#include "frames.h"
#include "instance.h"

#define SERVICES(n) \
	"services: (" \
	"  { name = \"web\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n "::10\" ];" \
	"    protocol = \"tcp\"; ports = [ 80 ];" \
	"    servers: ( { name = \"a\"; address = [ \"10." n ".0.11\", \"2001:db8:" n \
	"::11\" ];" \
	"      port = 8080; } ); }," \
	"  { name = \"dns\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n "::10\" ];" \
	"    protocol = \"udp\"; ports = [ 53 ];" \
	"    servers: ( { name = \"a\"; address = [ \"10." n ".0.11\", \"2001:db8:" n \
	"::11\" ]; }," \
	"      { name = \"b\"; address = [ \"10." n ".0.12\", \"2001:db8:" n \
	"::12\" ]; } ); } );"

#define SELVES(n) "self_addresses = [ \"198.51.100." n "0\", \"2001:db8:" n "::20\" ];"

#define LOAD(n) \
	"load: { listen = \"198.51.100." n ":7210\"; certificate = \"/c\"; key = \"/k\";" \
	"  ca = \"/a\"; };"

#define TRANSFER(n, keys) "transfer: { listen = \"198.51.100." n ":7210\"; " keys " };"

#define PEER(peer, n, reply) \
	"{ site = \"" peer "\"; load = \"198.51.100." n ":7210\";" \
	"  transfer = \"198.51.100." n ":7210\"; reply = \"" reply "\"; }"

#define SITE_WITH(name, n, transfer, peers) \
	"site = \"" name "\"; limits: { connections = 1024; };" \
	"peers: ( " peers " );" SELVES(n) SERVICES(n) LOAD(n) TRANSFER(n, transfer)

#define SITE(name, n, peer, m, reply, transfer) \
	SITE_WITH(name, n, transfer, PEER(peer, m, reply))

struct two_sites {
	struct instance *x, *y;
	uint64_t now;
	struct frame frame;
	struct memory_packet out;
};

/* reply: X's for Y; y_transfer: further keys of Y's transfer group. */
#define two_sites_make(t, reply, y_transfer) \
	two_sites_link(t, SITE("tokyo", "1", "osaka", "2", reply, ""), \
	    SITE("osaka", "2", "tokyo", "1", "auto", y_transfer))

static inline void
two_sites_servers(struct instance *i, enum server_state state, uint64_t now)
{
	for (uint32_t s = 0; s < load_table_servers(i->load); s++)
		load_table_server_set_state(i->load, s, state, NULL, now);
}

static inline void
two_sites_link(struct two_sites *t, const char *x, const char *y)
{
	t->now = 1000 * CLOCK_SECOND;
	t->x = instance_new(x, 1, t->now);
	t->y = instance_new(y, 2, t->now);
	assert_non_null(t->x);
	assert_non_null(t->y);
	assert_int_equal(instance_link(t->x, t->y, t->now), 0);
	two_sites_servers(t->x, SERVER_DOWN, t->now);
}

static inline void
two_sites_free(struct two_sites *t)
{
	instance_free(t->x);
	instance_free(t->y);
}

/* A packet out of a site's device; what it was dropped for, or DROP_none. */
static inline enum drop
two_sites_device(struct two_sites *t, struct instance *i)
{
	uint64_t before[DROP_COUNT];

	memcpy(before, i->counters.drop, sizeof(before));
	frame_finish(&t->frame);
	assert_int_equal(memory_put_packet(i->io, t->frame.octets, t->frame.len, 0, 0, false), 0);
	assert_int_equal(datapath_run_device(i->datapath, t->now), 1);
	for (int n = 1; n < DROP_COUNT; n++)
		if (i->counters.drop[n] != before[n])
			return (enum drop)n;
	return DROP_none;
}

static inline enum drop
two_sites_tcp(struct two_sites *t, struct instance *i, const struct addr *from,
    const struct addr *to, uint8_t flags, uint32_t seq, uint32_t ack)
{
	frame_ip(&t->frame, from, to, IPPROTO_TCP);
	frame_tcp(&t->frame, from->port, to->port, seq, ack, flags, NULL, 0);
	return two_sites_device(t, i);
}

static inline enum drop
two_sites_udp(struct two_sites *t, struct instance *i, const struct addr *from,
    const struct addr *to, size_t len)
{
	frame_ip(&t->frame, from, to, IPPROTO_UDP);
	frame_udp(&t->frame, from->port, to->port);
	frame_payload(&t->frame, len);
	return two_sites_device(t, i);
}

/* The packet that a site's device was given, parsed and with right checksums; false: none. */
static inline bool
two_sites_take(struct two_sites *t, struct instance *i, struct packet *p)
{
	if (!memory_take_packet(i->io, &t->out))
		return false;
	assert_true(frame_is_right(t->out.data, t->out.len));
	*p = (struct packet){.data = t->out.data, .len = (uint32_t)t->out.len};
	assert_int_equal(packet_parse(p), DROP_none);
	return true;
}

/* The same, which must be there and have these ends. */
static inline struct packet
two_sites_expect(
    struct two_sites *t, struct instance *i, const struct addr *from, const struct addr *to)
{
	struct packet p;

	assert_true(two_sites_take(t, i, &p));
	assert_true(addr_equal(&p.source, from));
	assert_true(addr_equal(&p.destination, to));
	return p;
}

static inline bool
two_sites_silent(struct instance *i)
{
	struct memory_packet out;

	return !memory_take_packet(i->io, &out) && !memory_take_datagram(i->io, &out);
}

/* The only record of a site, NULL if it has none. */
static inline struct connection *
two_sites_record(struct instance *i)
{
	uint32_t cursor = 0;

	return connection_walk(datapath_connections(i->datapath), &cursor);
}

#endif
