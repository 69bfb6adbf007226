/*
 * datapath_icmp: ICMP errors about packets that wlad has converted.
 *
 * An error names the packet it is about, and goes to that packet's sender as far as the
 * network knows it:
 *
 *   about A > S, from the server's side     to the client, about C > L
 *   about L > C, from the client's side     to the server, about S > A
 *   the same by rule 3                      to the server, about S > L:p
 *   about L > C of a connection that was    in a transfer packet to the transferee, which
 *   transferred: its server's reply         knows the server: then as the second
 *
 * An error neither ends a connection nor keeps it alive, and is never answered.
 */
#include "datapath_internal.h"
#include "packet/convert.h"
#include "packet/icmp.h"

/* By rule 3 the server's side knows a client as our relay port. */
static enum drop
find_quoted_relay(struct datapath *dp, const struct packet *quoted, struct connection **c,
    enum connection_side *side)
{
	*side = CONNECTION_FROM_SERVER;
	*c = datapath_find_relay(dp, &quoted->destination, &quoted->source, quoted->protocol);
	if (*c == NULL)
		return DROP_icmp;
	return datapath_relay_server(dp, *c, &quoted->destination) ? DROP_none
								   : DROP_relay_server;
}

/* Finds the connection of the packet that an error quotes; side is the one that its answer
 * would come from. */
static enum drop
find_quoted(struct datapath *dp, const struct packet *p, uint16_t origin, struct packet *quoted,
    struct connection **c, enum connection_side *side)
{
	struct connection_key key;
	enum drop drop;

	if (ip_is_martian(&p->source.ip))
		return DROP_martian;
	drop = icmp_read_quote(p, quoted);
	if (drop != DROP_none)
		return drop;
	/* errors go to whom the packet came from, and to nobody else */
	if (!ip_equal(&p->destination.ip, &quoted->source.ip))
		return DROP_icmp;
	key = (struct connection_key){
	    quoted->destination, quoted->source, quoted->protocol, origin};
	*c = connection_find(dp->connections, &key, side);
	if (*c == NULL && origin == 0)
		return find_quoted_relay(dp, quoted, c, side);
	return *c == NULL ? DROP_icmp : DROP_none;
}

static enum drop
output(struct datapath *dp, const struct packet *p)
{
	enum drop drop = datapath_output(dp, p);

	if (drop == DROP_none)
		counter_add(dp->counters, COUNTER_icmp_converted, 1);
	return drop;
}

/* From the server's side: the client hears it from the service, as everything else. */
static enum drop
to_client(
    struct datapath *dp, struct packet *p, struct packet *quoted, const struct connection *c)
{
	struct addr client = connection_client(dp->connections, c);
	struct addr service = connection_service(dp->connections, c);

	if (c->proxy != CONNECTION_PROXY_NONE)
		icmp_set_quoted_seq(p, quoted, datapath_proxy_quoted(c, icmp_quoted_seq(quoted)));
	icmp_convert(p, quoted, &service.ip, &client, &service);
	return output(dp, p);
}

/* From the client's side: the server may well know which router speaks; but where foreign senders
 * are not let through (rule 3), it is the sender of all that the server sees. */
static enum drop
to_server(
    struct datapath *dp, struct packet *p, struct packet *quoted, const struct connection *c)
{
	struct addr server = connection_server(dp->connections, c);
	struct addr self = connection_self(dp->connections, c);
	struct ip router = c->relay_port != 0 ? self.ip : p->source.ip;

	if (server.port == 0)
		return DROP_icmp; /* of a relayed connection whose server has not spoken */

	icmp_convert(p, quoted, &router, &server, &self);
	return output(dp, p);
}

/* The reply that it is about was sent by the transferee under our address. */
static enum drop
to_site(struct datapath *dp, struct packet *p, struct packet *quoted,
    const struct connection *c, uint8_t hops)
{
	struct transfer_info info = {.flags = TRANSFER_FLAG_ICMP, .hops = (uint8_t)(hops + 1)};
	struct datapath_way way;

	if (!datapath_way(dp, c, &way))
		return DROP_no_key;
	if (!icmp_shorten(p, quoted, way.mtu))
		return DROP_too_big;
	info.service = way.service;
	return datapath_seal(dp, p, &info, &way);
}

static enum drop
message(struct datapath *dp, struct packet *p, uint64_t now)
{
	enum connection_side side;
	struct connection *c;
	struct packet quoted;
	enum drop drop;

	if (p->fragment != PACKET_WHOLE)
		return DROP_icmp_fragment;
	if (packet_is_echo_request(p))
		return datapath_answer_echo(dp, p, now);
	if (!icmp_is_error(p))
		return DROP_icmp;
	drop = find_quoted(dp, p, 0, &quoted, &c, &side);
	if (drop != DROP_none)
		return drop;
	if (!packet_decrement_ttl(p))
		return DROP_ttl;
	if (side == CONNECTION_FROM_SERVER)
		datapath_unreachable(dp, p, c, now);
	if (side == CONNECTION_FROM_SERVER)
		return to_client(dp, p, &quoted, c);
	if (c->kind == CONNECTION_TRANSFERRED && c->relay_port == 0)
		return to_site(dp, p, &quoted, c, 0);
	return to_server(dp, p, &quoted, c);
}

enum drop
datapath_icmp(struct datapath *dp, struct packet *p, uint64_t now)
{
	enum drop drop = message(dp, p, now);

	if ((drop == DROP_icmp || drop == DROP_icmp_short || drop == DROP_icmp_fragment) &&
	    datapath_passes_by(dp, p))
		return datapath_pass_by(dp, p, now);
	return drop;
}

enum drop
datapath_icmp_transferred(
    struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival)
{
	enum connection_side side;
	struct connection *c;
	struct packet quoted;
	enum drop drop;

	if (!icmp_is_error(p))
		return DROP_transfer_inner;
	drop = find_quoted(dp, p, datapath_origin(arrival), &quoted, &c, &side);
	if (drop != DROP_none)
		return drop;
	if (!datapath_sender_owns(dp, arrival, &quoted.source, quoted.protocol))
		return DROP_transfer_service;
	if (!packet_decrement_ttl(p))
		return DROP_ttl;
	if (c->kind != CONNECTION_PASSED)
		return to_server(dp, p, &quoted, c);
	if (arrival->info.hops >= TRANSFER_HOPS_MAX)
		return DROP_transfer_loop;
	return to_site(dp, p, &quoted, c, arrival->info.hops);
}
