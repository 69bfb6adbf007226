/*
 * split: cuts an IPv4 packet that may be fragmented into fragments (RFC 791, 3.2).
 *
 * Used before transfer packets are sealed: the outer packet is never fragmented, so the
 * client packet in it is.  Headers are made new for each fragment, the data are not copied:
 * the caller gets a pointer into the packet.  IPv6 packets are fragmented by their sender alone (RFC 8200, 4.5).
 */
#ifndef WLAD_PACKET_SPLIT_H
#define WLAD_PACKET_SPLIT_H

#include "packet/packet.h"
#include "packet/segment.h"

struct splitter {
	const struct packet *packet; /* parsed; borrowed until the last fragment */
	uint32_t size;               /* octets of data of each fragment but the last */
	uint32_t offset;             /* octets of data given out so far */
};

/* True if this (parsed) packet may be fragmented for that MTU, 68 at least: IPv4, "don't fragment" clear, no
 * super-packet. */
bool split_possible(const struct packet *p, uint32_t mtu);

/* Begins with a packet for which this is so, and whose checksum is not partial. */
void split_start(struct splitter *s, const struct packet *p, uint32_t mtu);

/* Octets of each fragment but the last, which may have fewer. */
uint32_t split_max_len(const struct splitter *s);

/*
 * Makes the next fragment; returns false after the last.  All have a header of the same
 * length: where an option belongs into the first alone (RFC 791, 3.1), the others have no-operations.
 * A packet that is a fragment itself comes out as smaller ones of the same datagram.
 */
bool split_next(struct splitter *s, struct segment *out);

#endif
