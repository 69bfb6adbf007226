/*
 * counters: what happened, and why a packet was not passed on.
 *
 * One table each, read by `wladmctl show counters`, the metrics and the manual (a test holds
 * wladmctl(8) to it).  A struct counters belongs to one datapath; plain increments.
 * A new reason to drop is a new line here, and nowhere else.
 */
#ifndef WLAD_BASE_COUNTERS_H
#define WLAD_BASE_COUNTERS_H

#include <stdint.h>

/*   name, what it counts */
#define COUNTERS(X) \
	X(packets_in, "packets read from the device") \
	X(bytes_in, "octets read from the device") \
	X(packets_out, "packets written to the device") \
	X(bytes_out, "octets written to the device") \
	X(packets_joined, "packets of other sites written joined with others") \
	X(transfer_packets_in, "transfer packets accepted from other sites") \
	X(transfer_bytes_in, "octets of client packets in them") \
	X(transfer_packets_out, "transfer packets sent to other sites") \
	X(transfer_bytes_out, "octets of client packets in them") \
	X(connections_local, "connections allocated to an own server") \
	X(connections_transferred, "connections allocated to another site") \
	X(connections_received, "connections received from another site") \
	X(connections_persistent, \
	    "connections allocated to where the client's earlier ones went") \
	X(connections_relayed, \
	    "connections transferred whose replies come by way of us (rule 3)") \
	X(connections_repeated, \
	    "connections repeated by rule 3 because no direct reply got through") \
	X(connections_unanswered, "connections that an own server did not answer, refused or could not be reached for") \
	X(connections_moved, \
	    "connections never answered that went to another server at a repeated packet") \
	X(connections_passed, "connections received and passed on to a third site") \
	X(connections_closed_by_peer, "connections that another site reported to be over") \
	X(clients_forgotten, \
	    "clients without connections forgotten early, to make room for others") \
	X(connections_expired, "connections removed by a timeout") \
	X(connections_evicted, \
	    "connections, over or unanswered, removed to make room for new ones") \
	X(path_messages_in, "liveness messages and other probes of transfer paths received") \
	X(path_messages_out, "liveness messages and other probes of transfer paths sent") \
	X(resets_sent, "TCP resets sent by wlad itself") \
	X(icmp_sent, "ICMP messages sent by wlad itself") \
	X(echo_answered, "echo requests to a service address answered") \
	X(icmp_converted, "ICMP errors converted and passed on") \
	X(segments_out, "segments made of super-packets before sealing") \
	X(fragments_out, "fragments made of packets too large for the way to the other site") \
	X(proxy_headers, "PROXY headers sent to servers") \
	X(proxy_headers_repeated, "PROXY headers sent again, as they may have been lost") \
	X(passed_by, \
	    "packets that servers seeing their clients' addresses sent to others, passed on") \
	X(fragments_held, "fragments that waited for the first of their datagram") \
	X(mss_clamped, "SYN-ACKs whose MSS option was lowered for the transfer path") \
	X(sessions_opened, "load exchange sessions whose peer was verified") \
	X(sessions_refused, "load exchange sessions refused: see the log") \
	X(sessions_lost, "load exchange sessions that ended") \
	X(messages_in, "load exchange messages received") \
	X(messages_out, "load exchange messages sent") \
	X(messages_unknown, "load exchange messages of unknown type, skipped") \
	X(closed_untold, "ends of connections that another site was not told: too many waited for a session") \
	X(reloads, "configurations taken over while running") \
	X(reloads_refused, "configurations refused while running: the old one stayed") \
	X(agents_asked, "questions to agents of servers") \
	X(agents_silent, "of which so many brought no answer: what the agent said before stayed") \
	X(agent_words_unknown, "words of agents that are none of the agent protocol") \
	X(agent_answers, "questions answered as the agent of a service") \
	X(agent_answers_cut, "of which so many connections were cut off to make room for others") \
	X(checks_passed, "server checks passed") \
	X(checks_failed, "server checks failed")

#define DROPS(X) \
	X(none, "not dropped") \
	X(too_short, "shorter than its headers say") \
	X(bad_version, "neither IPv4 nor IPv6") \
	X(bad_header, "a header field that cannot be") \
	X(routing_header, "IPv6 routing header of type 0, or with segments left (RFC 5095)") \
	X(too_many_headers, "more IPv6 extension headers than are walked") \
	X(bad_protocol, "neither TCP, UDP nor ICMP") \
	X(fragment, "a fragment of a datagram that has lost another one here") \
	X(fragment_overlap, "a fragment that overlaps or repeats another one (RFC 5722)") \
	X(fragment_timeout, "a fragment whose first one did not come within 2 seconds") \
	X(fragment_limit, "a fragment beyond what is held or counted") \
	X(icmp, "an ICMP message that belongs to no connection") \
	X(icmp_fragment, "a fragment of an ICMP message") \
	X(icmp_short, "an ICMP error that quotes too little to tell the connection") \
	X(icmp_checksum, "an ICMP error with a wrong checksum") \
	X(bad_offload, "offload data that do not fit the packet") \
	X(martian, "a sender that cannot be a client") \
	X(not_ours, "for no service and no connection") \
	X(proxy_header, "a client packet that would take the place of its PROXY header") \
	X(no_connection, "no connection and nothing that may open one") \
	X(table_full, "the connection table is full") \
	X(out_of_ports, "no free port towards that server") \
	X(no_server, "no server and no site could take the connection") \
	X(client_connections, "a new connection of a client that has as many as it may") \
	X(client_rate, "a new connection of a client that opens more a second than it may") \
	X(ttl, "time to live ran out") \
	X(too_big, "larger than the path to where it goes takes") \
	X(rate_limited, "an answer of wlad itself over its rate") \
	X(write_failed, "the device refused the packet") \
	X(send_failed, "the socket refused the transfer packet") \
	X(no_key, "no key for that site: nothing is transferred without") \
	X(transfer_short, "a datagram too short for a transfer packet") \
	X(transfer_version, "a datagram of another version or type") \
	X(transfer_key, "a transfer packet for a key that does not exist") \
	X(transfer_source, "a transfer packet from an address that is not that peer's") \
	X(transfer_epoch, "a transfer packet of an epoch that is over or too far ahead") \
	X(transfer_replay, "a transfer packet that came before, or too late to tell") \
	X(transfer_tag, "a transfer packet that was not sealed by that peer") \
	X(transfer_inner, "a sealed packet that is no client packet") \
	X(transfer_stale, "a demand that a later one for the same connection has overtaken") \
	X(transfer_loop, "a connection that comes back to a site where it has been") \
	X(transfer_rate, \
	    "a site's new connection far beyond the rate granted, while highly loaded") \
	X(relay_server, "a packet to a relay port from another than the connection's server") \
	X(transfer_service, "a sealed packet for a service that its sender may not use") \
	X(internal, "wlad could not: see the log")

enum counter {
#define X(name, help) COUNTER_##name,
	COUNTERS(X)
#undef X
	    COUNTER_COUNT
};

enum drop {
#define X(name, help) DROP_##name,
	DROPS(X)
#undef X
	    DROP_COUNT
};

struct counters {
	uint64_t counter[COUNTER_COUNT];
	uint64_t drop[DROP_COUNT];
};

/* Names and help texts by number; static strings. */
const char *counter_name(enum counter counter);
const char *counter_help(enum counter counter);
const char *drop_name(enum drop drop);
const char *drop_help(enum drop drop);

static inline void
counter_add(struct counters *c, enum counter counter, uint64_t n)
{
	c->counter[counter] += n;
}

static inline void
counter_drop(struct counters *c, enum drop drop)
{
	c->drop[drop]++;
}

#endif
