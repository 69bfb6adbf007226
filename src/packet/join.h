/*
 * join: puts the segments of one flow together again into a super-packet; segment.h backwards.
 *
 * What transfer packets bring one by one is handed to the device as one, by the rules of the
 * Linux kernel's GRO: neighbours that follow each other exactly and differ in nothing but what
 * cutting the super-packet restores.  Nothing is copied: the pieces lie where they were
 * received, only the first one's headers are written to.  Pure; used by the datapath.
 */
#ifndef WLAD_PACKET_JOIN_H
#define WLAD_PACKET_JOIN_H

#include <sys/uio.h>

#include "packet/packet.h"

/* Segments of one super-packet (UDP_MAX_SEGMENTS of older kernels), and octets of it. */
#define JOIN_SEGMENTS_MAX 64
#define JOIN_LEN_MAX      65535

struct join {
	struct packet packet; /* the first one; len is that of all */
	unsigned count;       /* packets; 0: unused */
	bool closed;          /* nothing may follow */
	bool push;            /* the last one has PSH */
	bool checked;         /* the first one's checksum is right */
	bool fixed;           /* all have the same IPv4 identification */
	uint16_t size;        /* payload octets of all but the last */
	/* the first packet, then the payloads of the others */
	struct iovec piece[JOIN_SEGMENTS_MAX];
};

/*
 * True if a parsed packet can be part of a super-packet: a whole TCP packet with payload and
 * no flags but ACK and PSH, or UDP with payload and a checksum; no IPv4 options, no IPv6
 * extension headers.
 */
bool join_possible(const struct packet *p);

/* Begins with a packet that join_possible() allows.  Its octets are borrowed until the end. */
void join_start(struct join *j, const struct packet *p);

/* True if the packet, which join_possible() allows, is of the same flow. */
bool join_same_flow(const struct join *j, const struct packet *p);

/*
 * Adds a packet of the same flow; false if it does not follow: then the join stays as it is,
 * and is to leave before the packet does.  A packet whose checksum is wrong is not joined, as
 * that would make it right.  Of IPv4 packets that may not be fragmented the identification may
 * be the same in all: it means nothing (RFC 6864), and cutting counts it up.
 */
bool join_add(struct join *j, const struct packet *p);

/*
 * Writes the super-packet's headers into the first packet: lengths, the partial checksum, PSH.
 * From then on j->packet is a parsed packet with gso and partial whose octets lie in the
 * pieces.  One packet alone stays as it was.
 */
void join_finish(struct join *j);

#endif
