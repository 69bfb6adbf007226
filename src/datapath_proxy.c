/*
 * datapath_proxy: the PROXY header in front of a client's data (packet/proxy.h), put there by
 * whoever sees both directions: by rules 1 and 2 the site that has the server, by rule 3 the
 * transferor.
 *
 * The header takes the place of the acknowledgement that ends the handshake, or goes in front of
 * what the client says instead.  It has no timer of its own: lost like any packet, it is repeated
 *
 *   when the client acknowledges again, as the server, which heard nothing, repeats its SYN-ACK;
 *   when the client repeats something, which the server may have but not acknowledge;
 *   when the server acknowledges less although data were sent: at once, for the client's sake,
 *   but once only until the client repeats something, so that no two can keep each other busy.
 *
 * Until the server has it, nobody else may write where it stands: a client that could would make
 * up another client.  Each SYN goes to the server with room for a header, in whatever state the
 * record is, and its SYN-ACK says which one is in force: so no connection is without.
 *
 * Towards the client only acknowledgements of parts of the header are raised.  Tracking sees the
 * client's numbers.
 */
#include "datapath_internal.h"
#include "packet/proxy.h"
#include "relay/relay.h"

/* What is acknowledged is not further away than this, or it belongs to another connection. */
#define WINDOW_MAX (INT32_C(1) << 30)

enum heading { HEADING_NONE, HEADING_BEFORE, HEADING_INSTEAD };

static uint32_t
length_of(const struct packet *p)
{
	return proxy_header_len(p->version);
}

/* The number of the client's first octet. */
static uint32_t
first_seq(const struct connection *c)
{
	return connection_isn(c) + 1;
}

static bool
is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

uint32_t
datapath_proxy_seq(const struct connection *c)
{
	uint32_t len = ip_is_v4(&c->client) ? PROXY_HEADER_V4 : PROXY_HEADER_V6;

	if (c->proxy == CONNECTION_PROXY_SYN || c->proxy == CONNECTION_PROXY_READY)
		return first_seq(c) - len;
	return c->client_seq;
}

/* ---- the header ---- */

/* Lies at dp->reply, as the client would have sent it. */
static bool
build(struct datapath *dp, const struct packet *p, const struct connection *c,
    struct proxy_segment *s, struct packet *heading)
{
	size_t len;

	s->client = connection_client(dp->connections, c);
	s->service = connection_service(dp->connections, c);
	s->seq = first_seq(c) - (ip_is_v4(&c->client) ? PROXY_HEADER_V4 : PROXY_HEADER_V6);
	len = proxy_segment(s, dp->reply + IO_HEADROOM);
	*heading = (struct packet){.data = dp->reply + IO_HEADROOM,
	    .len = (uint32_t)len,
	    .headroom = IO_HEADROOM,
	    .hash = p->hash}; /* they go the same way */
	return packet_parse(heading) == DROP_none;
}

static void
count(struct datapath *dp, const struct connection *c)
{
	counter_add(dp->counters,
	    c->proxy == CONNECTION_PROXY_READY ? COUNTER_proxy_headers
					       : COUNTER_proxy_headers_repeated,
	    1);
}

static enum drop
send_to_site(struct datapath *dp, struct packet *heading, const struct connection *c)
{
	struct transfer_info info = {.hops = 1, .relay_port = c->relay_port};
	struct datapath_way way;

	if (!datapath_way(dp, c, &way))
		return DROP_no_key;
	info.service = way.service;
	return datapath_seal(dp, heading, &info, &way);
}

static enum drop
send_heading(struct datapath *dp, struct packet *heading, const struct connection *c)
{
	struct server *server;

	if (c->kind == CONNECTION_TRANSFERRED)
		return send_to_site(dp, heading, c);
	server = load_table_server(dp->load, c->server);
	relay_to_server(heading, dp->connections, c);
	server->packets_in++;
	server->bytes_in += heading->len;
	return datapath_output(dp, heading);
}

/* ---- packets of the client ---- */

static bool
is_bare_ack(const struct packet *p)
{
	return (p->tcp_flags & (TCP_ACK | TCP_RST | TCP_FIN)) == TCP_ACK &&
	    packet_payload_len(p) == 0;
}

/* Whether the header goes along.  Of a fragment it cannot be told whether its checksum is right,
 * and the client's acknowledgement comes whole. */
static enum heading
heading_of(const struct packet *p, const struct connection *c)
{
	bool ready = c->proxy == CONNECTION_PROXY_READY;

	if (c->proxy == CONNECTION_PROXY_DONE || c->proxy == CONNECTION_PROXY_SYN ||
	    p->fragment != PACKET_WHOLE || p->tcp_flags & TCP_SYN)
		return HEADING_NONE;
	if (p->tcp_flags & TCP_RST)
		return ready ? HEADING_NONE : HEADING_BEFORE;
	if (is_bare_ack(p) && p->tcp_seq == first_seq(c))
		return HEADING_INSTEAD;
	return ready || is_before(p->tcp_seq, c->client_seq) ? HEADING_BEFORE : HEADING_NONE;
}

/* True for what must not get to the server. */
static bool
is_refused(const struct packet *p, const struct connection *c)
{
	uint8_t flags = p->tcp_flags;

	if (p->fragment == PACKET_LATER_FRAGMENT)
		return false;
	if (flags & TCP_SYN)
		return flags & (TCP_FIN | TCP_RST) || p->fragment != PACKET_WHOLE ||
		    !packet_tcp_is_right(p);
	if (c->proxy == CONNECTION_PROXY_DONE)
		return false;
	if (c->proxy == CONNECTION_PROXY_SYN)
		return !(flags & TCP_RST);
	if (is_before(p->tcp_seq, first_seq(c)) && (packet_payload_len(p) > 0 || flags & TCP_FIN))
		return true;
	return heading_of(p, c) != HEADING_NONE && !packet_tcp_is_right(p);
}

/* The packet is as the server is to see it but for its addresses. */
static void
convert(struct packet *p, struct connection *c)
{
	bool unsent = c->proxy == CONNECTION_PROXY_SYN || c->proxy == CONNECTION_PROXY_READY;

	if (p->fragment == PACKET_LATER_FRAGMENT)
		return;
	if (p->tcp_flags & TCP_SYN) {
		if (c->proxy == CONNECTION_PROXY_SYN)
			connection_set_isn(c, p->tcp_seq);
		proxy_convert_syn(p);
	} else if (p->tcp_flags & TCP_RST && unsent && p->tcp_seq == first_seq(c)) {
		proxy_set_seq(p, p->tcp_seq - length_of(p)); /* exactly (RFC 5961, 3.2) */
	}
}

enum drop
datapath_proxy_client(struct datapath *dp, struct packet *p, struct connection *c,
    const struct connection_event *event, uint64_t now)
{
	enum heading heading = heading_of(p, c);
	struct proxy_segment segment = {0};
	struct packet h;
	enum drop drop;

	if (is_refused(p, c))
		return DROP_proxy_header;
	connection_track(dp->connections, c, event, now);
	if (heading == HEADING_NONE) {
		convert(p, c);
		return DROP_none;
	}
	proxy_segment_like(&segment, p);
	if (!build(dp, p, c, &segment, &h))
		return DROP_internal;
	if (heading == HEADING_INSTEAD) {
		*p = h;
	} else {
		drop = send_heading(dp, &h, c);
		if (drop != DROP_none)
			return drop;
	}
	count(dp, c);
	c->proxy = CONNECTION_PROXY_SENT;
	return DROP_none;
}

/* ---- packets of the server ---- */

/* The client sees its own SYN acknowledged; the room in the window that the header will take is
 * not its. */
static void
answer_to_syn(struct packet *p, struct connection *c)
{
	uint32_t isn = p->tcp_ack - 1 + length_of(p);

	if (c->proxy == CONNECTION_PROXY_SYN || c->proxy == CONNECTION_PROXY_DONE ||
	    isn != connection_isn(c)) {
		connection_set_isn(c, isn);
		c->proxy = CONNECTION_PROXY_READY;
		c->spoke = false;
	}
	proxy_set_ack(p, isn + 1);
	proxy_lower_window(p, length_of(p));
}

/*
 * The server has something behind the header and lacks the header.  The acknowledgement is the
 * number of its packet: nothing of the server's is taken for received that the client
 * has not got, as long as the server has sent nothing.
 */
static void
repeat(struct datapath *dp, const struct packet *p, struct connection *c)
{
	struct proxy_segment segment = {0};
	uint8_t options[PROXY_TIMESTAMPS];
	struct packet h;

	if (p->fragment != PACKET_WHOLE || c->spoke || c->proxy != CONNECTION_PROXY_SENT ||
	    c->client_seq == first_seq(c))
		return;
	proxy_segment_answer(&segment, p, options);
	if (!build(dp, p, c, &segment, &h) || send_heading(dp, &h, c) != DROP_none)
		return;
	count(dp, c);
	c->proxy = CONNECTION_PROXY_AGAIN;
}

void
datapath_proxy_server(
    struct datapath *dp, struct packet *p, struct connection *c, struct connection_event *event)
{
	uint8_t flags = p->tcp_flags;
	uint32_t missing;

	if (!(flags & TCP_ACK) || (c->proxy == CONNECTION_PROXY_DONE && !(flags & TCP_SYN)))
		return;
	if (flags & TCP_SYN) {
		answer_to_syn(p, c);
		event->tcp_ack = p->tcp_ack;
		return;
	}
	missing = first_seq(c) - p->tcp_ack;
	if (missing == 0 || missing > length_of(p)) {
		if (!(flags & TCP_RST) && c->proxy >= CONNECTION_PROXY_SENT &&
		    (int32_t)-missing >= 0 && (int32_t)-missing < WINDOW_MAX)
			c->proxy = CONNECTION_PROXY_DONE;
		return;
	}
	proxy_set_ack(p, first_seq(c));
	proxy_lower_window(p, missing);
	event->tcp_ack = p->tcp_ack;
	if (flags & TCP_RST)
		return;
	/* it acknowledges nothing of the client's */
	event->tcp_flags &= (uint8_t)~TCP_ACK;
	if (packet_payload_len(p) > 0 || flags & TCP_FIN)
		c->spoke = true;
	else
		repeat(dp, p, c);
}

/* ---- ICMP errors ---- */

uint32_t
datapath_proxy_quoted(const struct connection *c, uint32_t seq)
{
	uint32_t len = ip_is_v4(&c->client) ? PROXY_HEADER_V4 : PROXY_HEADER_V6;
	uint32_t offset = seq - (connection_isn(c) - len);

	if (offset > len)
		return seq;
	return offset == 0 ? connection_isn(c) : first_seq(c);
}
