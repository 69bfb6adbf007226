/*
 * A packet's life.  Six arrivals, told in this order:
 *
 *   1. a client packet from the device, its connection known
 *   2. a client packet, its connection unknown
 *   3. a server packet, of our own servers or (rule 3) of another site's
 *   4. a transfer packet, in service
 *   5. a transfer packet, connection demand
 *   6. everything else
 *
 * A story returns DROP_none, or why the packet went no further.
 */
#include "datapath.h"

#include <netinet/in.h>

#include <stdlib.h>

#include "base/clock.h"
#include "datapath_internal.h"
#include "packet/convert.h"
#include "packet/split.h"
#include "relay/relay.h"

/* Clients repeat a SYN after 1 s and after 3 s (RFC 6298). */
#define NO_REPLY (2 * CLOCK_SECOND)

/* ---- parts of the stories ---- */

static struct connection_event
event_of(const struct packet *p, enum connection_side side)
{
	return (struct connection_event){.side = side,
	    .tcp_flags = p->tcp_flags,
	    .tcp_seq = p->tcp_seq,
	    .tcp_ack = p->tcp_ack,
	    .payload = packet_payload_len(p),
	    .len = p->len,
	    .later_fragment = p->fragment == PACKET_LATER_FRAGMENT};
}

/* Finds the connection of a packet by how it came: origin is 0 for the device, site + 1 for a
 * transfer packet. */
static struct connection *
find(struct datapath *dp, const struct packet *p, uint16_t origin, enum connection_side *side)
{
	struct connection_key key = {p->source, p->destination, p->protocol, origin};

	if (p->hash != 0)
		return connection_find_hashed(dp->connections, &key, p->hash, side);
	return connection_find(dp->connections, &key, side);
}

/* Takes a client packet into account; a PROXY header may go in front of it. */
static enum drop
track_client(struct datapath *dp, struct packet *p, struct connection *c,
    const struct connection_event *event, uint64_t now)
{
	if (c->proxy != CONNECTION_PROXY_NONE)
		return datapath_proxy_client(dp, p, c, event, now);
	connection_track(dp->connections, c, event, now);
	return DROP_none;
}

/* Server transfer: rule 1 at X, rules 2 and 3 at Y. */
static enum drop
to_server(struct datapath *dp, struct packet *p, struct connection *c, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_CLIENT);
	struct server *server = load_table_server(dp->load, c->server);
	enum drop drop;

	if (!packet_decrement_ttl(p)) {
		datapath_answer_ttl(dp, p, now);
		return DROP_ttl;
	}
	drop = track_client(dp, p, c, &event, now);
	if (drop != DROP_none)
		return drop;
	relay_to_server(p, dp->connections, c);
	server->packets_in++;
	server->bytes_in += p->len;
	return datapath_output(dp, p);
}

/* Transfer transmission: the client packet, unchanged but for its TTL, to the other site; hops:
 * transfers so far. */
static enum drop
to_site(struct datapath *dp, struct packet *p, struct connection *c, uint8_t hops, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_CLIENT);
	struct transfer_info info = {.hops = (uint8_t)(hops + 1), .relay_port = c->relay_port};
	struct datapath_way way;
	enum drop drop;

	if (!datapath_way(dp, c, &way))
		return DROP_no_key;
	if (!packet_decrement_ttl(p)) {
		datapath_answer_ttl(dp, p, now);
		return DROP_ttl;
	}
	if (segment_max_len(p) > way.mtu && !split_possible(p, way.mtu)) {
		datapath_answer_too_big(dp, p, (uint16_t)way.mtu, now);
		return DROP_too_big;
	}
	/* Until an answer was seen the transferee may not have heard of the connection: what
	 * may open one stays a demand.  The transferee's insert notices the second one. */
	if (c->state == CONNECTION_OPENING && datapath_may_open(p))
		datapath_make_demand(&way, &info);
	info.service = way.service;
	drop = track_client(dp, p, c, &event, now);
	if (drop != DROP_none)
		return drop;
	return datapath_seal(dp, p, &info, &way);
}

static enum drop
from_client(struct datapath *dp, struct packet *p, struct connection *c, uint64_t now)
{
	enum drop drop;

	if (c->kind != CONNECTION_TRANSFERRED)
		return to_server(dp, p, c, now);
	drop = to_site(dp, p, c, 0, now);
	datapath_client_left(dp, c);
	return drop;
}

/* What opens no connection is answered, or not, as what belongs to none. */
static enum drop
refused(
    struct datapath *dp, const struct packet *p, uint32_t service, enum drop drop, uint64_t now)
{
	if (drop == DROP_no_server || drop == DROP_client_connections || drop == DROP_client_rate)
		datapath_answer_unknown(dp, p, service, now);
	return drop;
}

/* ---- 1. a client packet, its connection known ---- */

/*
 * A client that sends its SYN for the third time, seconds after the first, has not heard the
 * direct reply: it may be one that a router on the way takes for forged.  By rule 3 every packet
 * carries its true sender.  If it is the server that is silent, nothing is lost by that.
 */
static bool
no_reply_arrives(
    const struct datapath *dp, const struct packet *p, const struct connection *c, uint64_t now)
{
	return c->kind == CONNECTION_TRANSFERRED && c->relay_port == 0 &&
	    c->state == CONNECTION_OPENING && c->packets >= 2 && p->protocol == IPPROTO_TCP &&
	    datapath_may_open(p) && connection_is_older(dp->connections, c, NO_REPLY, now) &&
	    load_table_site(dp->load, c->site)->reply == CONFIG_REPLY_AUTO;
}

static enum drop
known_client(struct datapath *dp, struct packet *p, struct connection *c, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_CLIENT);
	uint32_t service = c->service;
	enum drop drop = DROP_none;

	/* the same port again after the end: a new connection, which may go elsewhere */
	if (connection_may_reopen(c, &event)) {
		connection_end(dp->connections, c);
		drop = datapath_open_client(dp, p, service, now, &c);
	} else if (no_reply_arrives(dp, p, c, now)) {
		drop = datapath_open_repeated(dp, p, c, now, &c);
	} else if (datapath_moves(dp, p, c, now)) {
		datapath_end_quietly(dp, c);
		drop = datapath_open_client(dp, p, service, now, &c);
	}
	if (drop != DROP_none)
		return refused(dp, p, service, drop, now);
	return from_client(dp, p, c, now);
}

/* ---- 2. a client packet, its connection unknown ---- */

static enum drop
new_client(struct datapath *dp, struct packet *p, uint32_t service, uint64_t now)
{
	struct connection *c;
	enum drop drop;

	if (datapath_is_martian(dp, &p->source.ip))
		return DROP_martian;
	if (!datapath_may_open(p)) {
		datapath_answer_unknown(dp, p, service, now);
		return DROP_no_connection;
	}
	drop = datapath_open_client(dp, p, service, now, &c);
	if (drop != DROP_none)
		return refused(dp, p, service, drop, now);
	return from_client(dp, p, c, now);
}

/* ---- 3. a server packet ---- */

static enum drop
from_server(struct datapath *dp, struct packet *p, struct connection *c, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_SERVER);
	struct server *server = load_table_server(dp->load, c->server);

	if (!packet_decrement_ttl(p)) {
		datapath_answer_ttl(dp, p, now);
		return DROP_ttl;
	}
	if (c->proxy != CONNECTION_PROXY_NONE)
		datapath_proxy_server(dp, p, c, &event);
	if (c->state == CONNECTION_OPENING)
		datapath_track_first(dp, c, &event, now);
	else
		connection_track(dp->connections, c, &event, now);
	if (relay_to_client(p, dp->connections, c, datapath_mss_limit(dp, p, c)))
		counter_add(dp->counters, COUNTER_mss_clamped, 1);
	server->packets_out++;
	server->bytes_out += p->len;
	datapath_server_left(dp, p, c);
	return datapath_output(dp, p);
}

/* The server of a connection that we transferred by rule 3: from another network to our relay
 * port, L:p, and on to the client as from the service. */
static enum drop
from_relay(struct datapath *dp, struct packet *p, struct connection *c, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_SERVER);
	bool opening = c->state == CONNECTION_OPENING;

	if (!datapath_relay_server(dp, c, &p->source))
		return DROP_relay_server;
	if (!datapath_pin(dp, c, &p->source))
		return DROP_table_full;
	if (!packet_decrement_ttl(p)) {
		datapath_answer_ttl(dp, p, now);
		return DROP_ttl;
	}
	if (c->proxy != CONNECTION_PROXY_NONE)
		datapath_proxy_server(dp, p, c, &event);
	connection_track(dp->connections, c, &event, now);
	if (opening && c->repeated && (p->tcp_flags & TCP_SYN))
		datapath_repeat_helped(dp, c, now);
	if (relay_to_client(p, dp->connections, c, datapath_mss_limit(dp, p, c)))
		counter_add(dp->counters, COUNTER_mss_clamped, 1);
	datapath_server_left(dp, p, c);
	return datapath_output(dp, p);
}

/* ---- 4. and 5. transfer packets ---- */

/* Out of a transfer packet: to our server, or on to where the connection was passed. */
static enum drop
onward(struct datapath *dp, struct packet *p, struct connection *c,
    const struct datapath_arrival *arrival, uint64_t now)
{
	enum drop drop = DROP_transfer_loop;

	if (c->kind != CONNECTION_PASSED)
		drop = to_server(dp, p, c, now);
	else if (arrival->info.hops < TRANSFER_HOPS_MAX)
		drop = to_site(dp, p, c, arrival->info.hops, now);
	datapath_client_left(dp, c);
	return drop;
}

/* A packet that belongs to no connection here: the transferor's client is told. */
static enum drop
unknown_here(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, enum drop drop, uint64_t now)
{
	if (arrival->info.relay_port == 0)
		datapath_answer_unknown(dp, p, arrival->info.service, now);
	datapath_report_unknown(dp, p, arrival, now);
	return drop;
}

/* In service: retrieve the record.  Without one, what may open a connection is allocated
 * (claim 5: the demand was lost); anything else meets a RST, as at any closed port. */
static enum drop
in_service(
    struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_CLIENT);
	enum connection_side side;
	struct connection *c = find(dp, p, datapath_origin(arrival), &side);
	enum drop drop;

	/* the transferor does not see every end: what it takes for the old one may be a new one */
	if (c != NULL && connection_may_reopen(c, &event)) {
		connection_end(dp->connections, c);
		c = NULL;
	} else if (c != NULL && datapath_moves(dp, p, c, now)) {
		datapath_end_quietly(dp, c);
		c = NULL;
	}
	if (c == NULL) {
		if (!datapath_may_open(p))
			return unknown_here(dp, p, arrival, DROP_no_connection, now);
		drop = datapath_open_received(dp, p, arrival, now, &c);
		if (drop != DROP_none)
			return drop;
	}
	return onward(dp, p, c, arrival, now);
}

/* A demand that nobody takes; one that is repeated may have been taken the first time. */
static enum drop
refused_here(struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival,
    enum drop drop, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_CLIENT);
	enum connection_side side;
	struct connection *c = find(dp, p, datapath_origin(arrival), &side);

	if (c != NULL && side == CONNECTION_FROM_CLIENT && !connection_may_reopen(c, &event) &&
	    c->relay_port == arrival->info.relay_port)
		return onward(dp, p, c, arrival, now);
	return unknown_here(dp, p, arrival, drop, now);
}

/* Connection demand: allocate without retrieving (Figs. 12, 13, claim 7); the insert notices a
 * demand that came before. */
static enum drop
demand(struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival, uint64_t now)
{
	struct connection_event event = event_of(p, CONNECTION_FROM_CLIENT);
	struct connection *c;
	enum drop drop;

	if (!datapath_may_open(p))
		return DROP_transfer_inner;
	drop = datapath_open_received(dp, p, arrival, now, &c);
	if (drop == DROP_none && connection_may_reopen(c, &event)) {
		connection_end(dp->connections, c);
		drop = datapath_open_received(dp, p, arrival, now, &c);
	} else if (drop == DROP_none && c->relay_port != arrival->info.relay_port) {
		if (!datapath_is_overtaken(dp, c, arrival, now))
			return DROP_transfer_stale;
		datapath_end_quietly(dp, c);
		drop = datapath_open_received(dp, p, arrival, now, &c);
	} else if (drop == DROP_none && datapath_moves(dp, p, c, now)) {
		datapath_end_quietly(dp, c);
		drop = datapath_open_received(dp, p, arrival, now, &c);
	}
	if (drop == DROP_no_server || drop == DROP_transfer_loop || drop == DROP_transfer_rate)
		return refused_here(dp, p, arrival, drop, now);
	if (drop != DROP_none)
		return drop;
	return onward(dp, p, c, arrival, now);
}

static enum drop
from_site(
    struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival, uint64_t now)
{
	if (!datapath_sender_owns(dp, arrival, &p->destination, p->protocol))
		return DROP_transfer_service;
	if (datapath_is_martian(dp, &p->source.ip))
		return DROP_martian;
	if (arrival->demand && p->fragment != PACKET_LATER_FRAGMENT)
		return demand(dp, p, arrival, now);
	return in_service(dp, p, arrival, now);
}

/* ---- 6. everything else, and which story it is ---- */

static enum drop
from_device(struct datapath *dp, struct packet *p, uint64_t now)
{
	enum connection_side side;
	struct connection *c = find(dp, p, 0, &side);
	uint32_t service;

	if (c != NULL && side == CONNECTION_FROM_CLIENT)
		return known_client(dp, p, c, now);
	if (c != NULL && c->kind != CONNECTION_TRANSFERRED)
		return from_server(dp, p, c, now);
	service = load_table_lookup(dp->load, &p->destination, p->protocol);
	if (service != LOAD_NONE)
		return new_client(dp, p, service, now);
	c = datapath_find_relay(dp, &p->source, &p->destination, p->protocol);
	if (c != NULL)
		return from_relay(dp, p, c, now);
	if (datapath_passes_by(dp, p))
		return datapath_pass_by(dp, p, now);
	datapath_answer_unknown(dp, p, LOAD_NONE, now);
	return DROP_not_ours;
}

enum drop
datapath_story(
    struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival, uint64_t now)
{
	if (arrival->transferred)
		return from_site(dp, p, arrival, now);
	return from_device(dp, p, now);
}
