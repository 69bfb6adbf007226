/*
 * proxy: the PROXY protocol's header, version 2, as a TCP segment in front of a client's data.
 *
 * The header tells a server whose connection it is (HAProxy's proxy-protocol.txt, 2.2).  Its
 * octets need sequence numbers, and the SYN gives them: it goes to the server with a number that
 * is smaller by the header's length.  The header then takes the numbers up to that of the client's
 * own SYN, and everything behind keeps its number for the life of the connection.
 *
 *   client   SYN x          data x+1 ...
 *   server   SYN x-H        header x-H+1 ... x      data x+1 ...
 *
 * Formats only: when a header is due is the datapath's decision (datapath_proxy.c).
 */
#ifndef WLAD_PACKET_PROXY_H
#define WLAD_PACKET_PROXY_H

#include "packet/packet.h"

/* Octets of a header: signature and addresses. */
#define PROXY_HEADER_V4  28
#define PROXY_HEADER_V6  52
#define PROXY_HEADER_MAX PROXY_HEADER_V6

/* Octets of a header that speaks for its sender itself: what a check of ours begins with. */
#define PROXY_LOCAL_LEN 16

/* Octets of the largest segment that proxy_segment() builds: IPv6, TCP with options, header. */
#define PROXY_SEGMENT_MAX (40 + 60 + PROXY_HEADER_MAX)

/* The header's length in packets of that IP version. */
static inline uint32_t
proxy_header_len(int version)
{
	return version == 4 ? PROXY_HEADER_V4 : PROXY_HEADER_V6;
}

/* Writes the header of a connection over TCP; returns its length, 0 if the families differ. */
size_t proxy_header(const struct addr *client, const struct addr *service, uint8_t *buf);

/* Writes the header of a connection that nobody else has made (command LOCAL). */
void proxy_header_local(uint8_t buf[PROXY_LOCAL_LEN]);

/*
 * A SYN on its way to the server: its number becomes smaller by the header's length.  Data are cut
 * off, which the client repeats; the options of TCP Fast Open and Multipath TCP become
 * no-operations, as both number data in ways of their own (RFC 7413, 8684).  To be a whole packet.
 */
void proxy_convert_syn(struct packet *p);

/* Another sequence number, or acknowledgement, in a whole packet or a first fragment. */
void proxy_set_seq(struct packet *p, uint32_t seq);
void proxy_set_ack(struct packet *p, uint32_t ack);

/* The window is counted from the acknowledgement: it loses what that one gains. */
void proxy_lower_window(struct packet *p, uint32_t octets);

/* What a segment that carries the header needs to be. */
struct proxy_segment {
	struct addr client, service; /* its ends, as in the client's packets and in the header */
	uint32_t seq;                /* of the header's first octet */
	uint32_t ack;
	uint16_t window;
	uint8_t ttl, traffic_class; /* the latter without ECN */
	uint32_t flow_label;
	const uint8_t *options; /* of TCP; a multiple of 4 octets, 40 at most */
	size_t options_len;
};

/* What it inherits of a packet of the client, which it is sent in front of or instead of. */
void proxy_segment_like(struct proxy_segment *s, const struct packet *p);

/* Octets that proxy_segment_answer() writes at most. */
#define PROXY_TIMESTAMPS 12

/*
 * The client's answer to a packet of the server that lacks the header: the same but for options,
 * of which it has the timestamps, if the server's packet has them.
 */
void proxy_segment_answer(
    struct proxy_segment *s, const struct packet *p, uint8_t options[PROXY_TIMESTAMPS]);

/* Builds it, with full checksums; buf holds PROXY_SEGMENT_MAX.  Returns its length. */
size_t proxy_segment(const struct proxy_segment *s, uint8_t *buf);

#endif
