/*
 * proxy_rig: a client and a server on both ends of one or two sites, for tests of what becomes of
 * their TCP packets by each of the three rules.
 */
#ifndef WLAD_TESTS_PROXY_RIG_H
#define WLAD_TESTS_PROXY_RIG_H

#include "packet/proxy.h"
#include "two_sites.h"

#define RIG_PACKETS 8

enum rig_rule { RIG_LOCAL = 1, RIG_DIRECT = 2, RIG_RELAY = 3 };

struct rig_packet {
	uint8_t octets[2048];
	struct packet p;
};

struct rig {
	struct two_sites t;
	enum rig_rule rule;
	int version;
	struct addr client, service, server, self; /* self: as the server sees the client */
	uint32_t header;                           /* octets of a PROXY header */
	struct rig_packet got[RIG_PACKETS];        /* what arrived because of the last packet */
	unsigned count;
	enum drop dropped; /* or why it did not */
	const uint8_t *options;
	size_t options_len;
	size_t payload;
	bool partial;
};

#define RIG_SERVICE(n, client_address) \
	"services: ( { name = \"web\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n \
	"::10\" ];" \
	"  ports = [ 80 ]; client_address = \"" client_address "\"; " \
	"  servers: ( { name = \"a\"; address = [ \"10." n ".0.11\", \"2001:db8:" n \
	"::11\" ];" \
	"    port = 8080; } ); } );"

#define RIG_SITE(name, n, peer, m, reply, client_address) \
	"site = \"" name "\"; limits: { connections = 1024; };" \
	"peers: ( " PEER(peer, m, reply) " );" SELVES(n) RIG_SERVICE(n, client_address) \
	    LOAD(n) TRANSFER(n, "")

/* Y's servers want the header; X's configuration says nothing of it. */
static inline void
rig_make(struct rig *r, enum rig_rule rule, int version)
{
	bool local = rule == RIG_LOCAL, v4 = version == 4;

	memset(r, 0, sizeof(*r));
	r->rule = rule;
	r->version = version;
	two_sites_link(&r->t,
	    rule == RIG_LOCAL        ? RIG_SITE("tokyo", "1", "osaka", "2", "auto", "proxy-v2")
		: rule == RIG_DIRECT ? RIG_SITE("tokyo", "1", "osaka", "2", "direct", "hide")
				     : RIG_SITE("tokyo", "1", "osaka", "2", "transferor", "hide"),
	    RIG_SITE("osaka", "2", "tokyo", "1", "auto", "proxy-v2"));
	if (local)
		two_sites_servers(r->t.x, SERVER_UP, r->t.now);
	r->client = frame_addr(v4 ? "192.0.2.2" : "2001:db8:c::2", 40000);
	r->service = frame_addr(v4 ? "203.0.113.10" : "2001:db8:1::10", 80);
	r->server = local ? frame_addr(v4 ? "10.1.0.11" : "2001:db8:1::11", 8080)
			  : frame_addr(v4 ? "10.2.0.11" : "2001:db8:2::11", 8080);
	r->header = v4 ? PROXY_HEADER_V4 : PROXY_HEADER_V6;
}

static inline void
rig_free(struct rig *r)
{
	two_sites_free(&r->t);
}

/* The site that the server's packets come to. */
static inline struct instance *
rig_server_site(struct rig *r)
{
	return r->rule == RIG_DIRECT ? r->t.y : r->t.x;
}

static inline void
rig_collect(struct rig *r, struct instance *site)
{
	struct packet p;

	for (r->count = 0; two_sites_take(&r->t, site, &p); r->count++) {
		struct rig_packet *to = &r->got[r->count];

		assert_true(r->count < RIG_PACKETS && p.len <= sizeof(to->octets));
		memcpy(to->octets, p.data, p.len);
		to->p = p;
		to->p.data = to->octets;
	}
}

static inline void
rig_frame(struct rig *r, const struct addr *from, const struct addr *to, uint8_t flags,
    uint32_t seq, uint32_t ack)
{
	frame_ip(&r->t.frame, from, to, IPPROTO_TCP);
	frame_tcp(&r->t.frame, from->port, to->port, seq, ack, flags, r->options, r->options_len);
	frame_payload(&r->t.frame, r->payload);
}

/* The frame comes out of the device at X; what reaches the server is in got. */
static inline unsigned
rig_put_client(struct rig *r)
{
	r->dropped = two_sites_device(&r->t, r->t.x);
	if (r->rule != RIG_LOCAL) {
		assert_int_equal(memory_take_packet(r->t.x->io, &r->t.out), false);
		instance_carry(r->t.x, r->t.y, r->t.now);
	}
	rig_collect(r, r->rule == RIG_LOCAL ? r->t.x : r->t.y);
	for (unsigned i = 0; i < r->count; i++) {
		assert_true(addr_equal(&r->got[i].p.destination, &r->server));
		r->self = r->got[i].p.source;
	}
	return r->count;
}

static inline unsigned
rig_client(struct rig *r, uint8_t flags, uint32_t seq, uint32_t ack, size_t payload)
{
	r->payload = payload;
	rig_frame(r, &r->client, &r->service, flags, seq, ack);
	return rig_put_client(r);
}

/* A packet of the server: what reaches the client is the last of got, or NULL; what goes
 * back to the server is in front of it. */
static inline struct packet *
rig_server(struct rig *r, uint8_t flags, uint32_t seq, uint32_t ack, size_t payload)
{
	struct instance *site = rig_server_site(r);

	r->payload = payload;
	rig_frame(r, &r->server, &r->self, flags, seq, ack);
	r->dropped = two_sites_device(&r->t, site);
	rig_collect(r, site);
	if (r->count == 0)
		return NULL;
	assert_true(addr_equal(&r->got[r->count - 1].p.source, &r->service));
	assert_true(addr_equal(&r->got[r->count - 1].p.destination, &r->client));
	return &r->got[--r->count].p;
}

/* What the server was given because of its own packet. */
static inline unsigned
rig_given_back(struct rig *r)
{
	if (r->rule == RIG_RELAY) {
		instance_carry(r->t.x, r->t.y, r->t.now);
		rig_collect(r, r->t.y);
	}
	return r->count;
}

/* The record of who sees both directions. */
static inline struct connection *
rig_record(struct rig *r)
{
	return two_sites_record(rig_server_site(r));
}

static inline uint64_t
rig_counter(struct rig *r, enum counter counter)
{
	return rig_server_site(r)->counters.counter[counter];
}

#endif
