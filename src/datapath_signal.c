/*
 * datapath_signal: what the packets of a connection that opens say of its server.
 *
 *   the server's first packet            it answers, after so long
 *   a SYN again, most of a second later  it has not
 *   a RST in answer to a SYN             it does not serve
 *   ICMP unreachable in answer           it cannot be reached, or (UDP) does not serve
 *
 * A connection is counted once, and only if a server that works would have answered it: whoever
 * sends what no server answers must not take servers out by it.  A client whose server stays silent while others answer is
 * moved to one of them by its next SYN.
 */
#include <netinet/in.h>

#include "datapath_internal.h"
#include "packet/format.h"

/* Clients repeat a SYN after a second; who does so at once has not waited for an answer. */
#define PATIENCE 800000 /* microseconds */

/* A packet with less may not get as far as the server. */
#define HOPS_MIN 8

/* Connections that a server leaves unanswered before others are moved away from it: one may
 * have lost a packet. */
#define MOVE_FROM 2

#define UNREACHABLE_TOO_BIG 4 /* code of ICMPv4: fragmentation needed */

/* TCP options that every server takes: others may be a reason to say nothing (RFC 2385, 5925). */
static bool
options_are_plain(const uint8_t *at, const uint8_t *end)
{
	static const uint64_t plain = UINT64_C(1) << 2 | UINT64_C(1) << 3 | UINT64_C(1) << 4 |
	    UINT64_C(1) << 8 | UINT64_C(1) << 30 | UINT64_C(1) << 34;

	while (at < end && *at != 0) {
		if (*at == 1) { /* no operation */
			at++;
			continue;
		}
		if (*at > 63 || !(plain >> *at & 1) || end - at < 2 || at[1] < 2 ||
		    at[1] > end - at)
			return false;
		at += at[1];
	}
	return true;
}

/* True for a SYN that any server which serves this client answers. */
static bool
wants_answer(const struct packet *p)
{
	uint8_t hops = p->version == 4 ? p->data[IPV4_TTL] : p->data[IPV6_HOPS];
	uint32_t header = p->version == 4 ? IPV4_HEADER : IPV6_HEADER;
	const uint8_t *tcp = p->data + p->transport;

	return p->protocol == IPPROTO_TCP && p->fragment == PACKET_WHOLE &&
	    p->transport == header && hops >= HOPS_MIN && (tcp[TCP_FLAGS] & 0x3f) == TCP_SYN &&
	    options_are_plain(tcp + TCP_HEADER, p->data + p->payload) && packet_tcp_is_right(p);
}

/*
 * Whether what becomes of the connection says something of its server, as it is checked: of
 * several ports of a service its servers may not offer all, and their first is the one that counts.
 */
static bool
is_checked_port(const struct datapath *dp, const struct connection *c)
{
	const struct service *service = load_table_service(dp->load, c->service);

	return load_table_server(dp->load, c->server)->port != 0 ||
	    (service->ports_count > 0 && c->service_port == service->ports[0]);
}

static void
blame(struct datapath *dp, struct connection *c, enum signals_cause cause, uint64_t now)
{
	if (!is_checked_port(dp, c) || !connection_blame(c))
		return;
	counter_add(dp->counters, COUNTER_connections_unanswered, 1);
	load_table_server_unanswered(dp->load, c->server, cause, now);
}

void
datapath_track_first(struct datapath *dp, struct connection *c,
    const struct connection_event *event, uint64_t now)
{
	bool reset = event->tcp_flags & TCP_RST, once = c->packets == 1;
	uint32_t waited = connection_waits(dp->connections, c, now);
	bool was_blamed;

	if (event->later_fragment || connection_is_heard(c)) {
		connection_track(dp->connections, c, event, now);
		return;
	}
	if (!reset) {
		connection_track(dp->connections, c, event, now);
		/* of a repeated one nobody knows which is answered (RFC 6298, 3) */
		if (connection_is_answered(c))
			load_table_server_answered(
			    dp->load, c->server, once ? waited + (waited == 0) : 0, now);
		return;
	}
	was_blamed = !is_checked_port(dp, c) || !connection_blame(c);
	connection_track(dp->connections, c, event, now);
	if (was_blamed || c->state == CONNECTION_OPENING)
		return;
	counter_add(dp->counters, COUNTER_connections_unanswered, 1);
	load_table_server_unanswered(dp->load, c->server, SIGNALS_refused, now);
}

void
datapath_unreachable(
    struct datapath *dp, const struct packet *p, struct connection *c, uint64_t now)
{
	uint8_t type = p->data[p->transport], code = p->data[p->transport + 1];
	bool unreachable = p->protocol == IPPROTO_ICMP
	    ? type == ICMP4_UNREACHABLE && code != UNREACHABLE_TOO_BIG
	    : type == ICMP6_UNREACHABLE;

	if (unreachable && !connection_is_heard(c))
		blame(dp, c, SIGNALS_unreachable, now);
}

/* The one that it would go to now is another one, as far as that can be told. */
static bool
has_others(const struct datapath *dp, const struct connection *c, bool down)
{
	return load_table_service(dp->load, c->service)->up > (down ? 0 : 1);
}

bool
datapath_repeated(struct datapath *dp, const struct packet *p, struct connection *c, uint64_t now)
{
	const struct server *server;
	bool patient, down;

	if (connection_is_heard(c) || !datapath_may_open(p))
		return false;
	patient = p->protocol == IPPROTO_TCP &&
	    connection_waits(dp->connections, c, now) >= PATIENCE && wants_answer(p);
	if (patient)
		blame(dp, c, SIGNALS_silent, now);
	server = load_table_server(dp->load, c->server);
	down = !server_is_up(server);
	if (!down && !(patient && server->avoided && server->signals.unanswered >= MOVE_FROM))
		return false;
	if (!has_others(dp, c, down))
		return false;
	counter_add(dp->counters, COUNTER_connections_moved, 1);
	return true;
}
