/*
 * segment: cuts a super-packet into the packets it stands for (TSO, USO in software).
 *
 * Headers are made new for each segment, the payload is not copied: the caller gets a
 * pointer into the super-packet, so that sealing reads it from there.  Used where an output cannot take a
 * super-packet: before transfer packets are sealed, and by the raw output.
 */
#ifndef WLAD_PACKET_SEGMENT_H
#define WLAD_PACKET_SEGMENT_H

#include "packet/packet.h"

/* IPv4 with options or IPv6 with extension headers, and TCP with options. */
#define SEGMENT_HEADER_MAX 256

struct segmenter {
	const struct packet *packet; /* parsed; borrowed until the last segment */
	uint32_t offset;             /* payload octets given out so far */
	uint32_t index;              /* segments given out so far */
	bool done;
};

struct segment {
	uint8_t header[SEGMENT_HEADER_MAX];
	uint32_t header_len;
	const uint8_t *payload; /* inside the super-packet */
	uint32_t payload_len;
};

/* Packets that the (parsed) packet stands for; 1 if it is no super-packet. */
uint32_t segment_count(const struct packet *p);

/* Octets of the largest of them, IP header included. */
uint32_t segment_max_len(const struct packet *p);

void segment_start(struct segmenter *s, const struct packet *p);

/*
 * Makes the next segment: lengths, IPv4 identification (+1 each), header checksum, TCP sequence number;
 * FIN and PSH only on the last, CWR only on the first (RFC 3168).  If the packet is partial, so is
 * each segment, with the pseudo-header sum of its own length; else a super-packet's segments get
 * their full checksum.  A packet that is no super-packet comes out as it is.  Returns false after the last, or if the headers are
 * longer than SEGMENT_HEADER_MAX.
 */
bool segment_next(struct segmenter *s, struct segment *out);

/* Replaces the partial checksum of a parsed, whole, non-super packet by the full one.
 * No effect if it is not partial. */
void packet_complete_checksum(struct packet *p);

#endif
