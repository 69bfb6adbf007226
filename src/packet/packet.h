/*
 * packet: a view of one IP packet, or of one super-packet, in somebody else's buffer.
 *
 * The octets are borrowed for the call.  packet_parse() reads every header once and fills
 * the rest of the view; everything after it relies on the offsets it checked.  The view
 * carries what the kernel's virtio-net header says (VIRTIO 1.2, 5.1.6), so that a 64 KB
 * super-packet travels as one.  Formats only: no time, no state, no I/O.
 *
 * Seed: client packet 64, header 66, data 68 (Fig. 4A).
 */
#ifndef WLAD_PACKET_PACKET_H
#define WLAD_PACKET_PACKET_H

#include <netinet/in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/counters.h"

/* A super-packet's kind: what each of its segments will be. */
enum packet_gso { PACKET_GSO_NONE, PACKET_GSO_TCP4, PACKET_GSO_TCP6, PACKET_GSO_UDP };

enum packet_fragment { PACKET_WHOLE, PACKET_FIRST_FRAGMENT, PACKET_LATER_FRAGMENT };

/* Octets of the largest super-packet: an IPv6 header and 65535 octets behind it. */
#define PACKET_MAX (40 + 65535)

/* IPv6 extension headers walked before the packet is refused. */
#define PACKET_MAX_HEADERS 8

struct packet {
	/* set by who received or built it */
	uint8_t *data;     /* first octet of the IP header */
	uint32_t len;      /* octets from data on */
	uint32_t headroom; /* octets in front of data that may be overwritten */
	uint8_t gso;       /* enum packet_gso */
	bool partial;      /* TCP/UDP checksum field: the pseudo-header's sum only */
	bool gso_ecn;      /* TCP super-packet, CWR on its first segment alone
	               * (VIRTIO_NET_HDR_GSO_ECN) */
	uint16_t gso_size; /* payload octets a segment; 0 if gso is NONE */

	/* set by packet_parse */
	uint8_t version;    /* 4 or 6 */
	uint8_t protocol;   /* IPPROTO_TCP, _UDP, _ICMP, _ICMPV6 */
	uint8_t fragment;   /* enum packet_fragment */
	uint8_t tcp_flags;  /* TCP_* below; 0 if not TCP */
	uint16_t transport; /* offset of the TCP, UDP or ICMP header, or of a
	                     * later fragment's data */
	uint16_t payload;   /* offset of what is behind it */
	/* ports 0 where the protocol has none or the fragment is a later one */
	struct addr source;
	struct addr destination;
	uint32_t tcp_seq, tcp_ack; /* host order; 0 if not TCP */
	/* of a fragment (RFC 791, 3.2; RFC 8200, 4.5), for virtual reassembly;
	 * 0 if whole */
	uint32_t fragment_id;
	uint16_t fragment_offset; /* octets: where its data belong */
	uint16_t fragment_len;    /* octets behind the unfragmentable part */
	bool fragment_more;       /* not the last */

	/* connection_hash() of it and how it came, while its addresses are as they came; 0: not
	 * known */
	uint64_t hash;
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10

/*
 * Reads and checks all headers (RFC 791, 8200, 9293, 768, 792, 4443) and fills the view.
 * Octets behind the IP length (link padding) are cut off p->len; on a super-packet too
 * large for the length field (IPv6 jumbo without option: length 0 or wrapped is refused).
 * Refused too: an IPv6 packet with IPv4-mapped addresses, which struct ip could not tell from
 * IPv4; a later fragment whose first header is none of ours; one of TCP that would overwrite
 * the header the first must hold whole (RFC 3128, 7112); a routing header with segments left.
 * The header checksum of IPv4 is verified; TCP and UDP checksums are not: what is wrong
 * stays wrong.  A packet with partial set must be a whole TCP or UDP packet.
 * Returns DROP_none, or why the packet is none: too_short, bad_version, bad_header,
 * routing_header, too_many_headers, bad_protocol, bad_offload.
 */
enum drop packet_parse(struct packet *p);

/* The TCP checksum of a whole packet as it would be with what its field holds: 0xffff if that is
 * right. */
uint16_t packet_tcp_sum(const struct packet *p);

/* True if the TCP checksum of a whole packet is right, or is yet to be made. */
bool packet_tcp_is_right(const struct packet *p);

/* True for ICMP of either version. */
static inline bool
packet_is_icmp(const struct packet *p)
{
	return p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6;
}

/* Octets of TCP, UDP or ICMP payload. */
static inline uint32_t
packet_payload_len(const struct packet *p)
{
	return p->len - p->payload;
}

#endif
