/*
 * convert: writes other addresses and ports into a parsed packet.
 *
 * The one address conversion of wlad; the three rules of the seed ([0045]-[0061]) differ only in
 * what a connection tells it to write.  Checksums are updated incrementally (RFC 1624,
 * eqn. 3), never recomputed; a partial checksum is updated as the pseudo-header sum it is.
 * Called by relay.  Works in place and keeps the view true.
 */
#ifndef WLAD_PACKET_CONVERT_H
#define WLAD_PACKET_CONVERT_H

#include "packet/packet.h"

/*
 * Replaces sender and destination.  All three must be of the packet's family (the caller
 * sees to that).  IPv4 UDP checksum 0 stays 0; a computed 0 is written as 0xffff.  Later
 * fragments get the addresses only.  A packet that an ICMP error quotes (icmp.h) may end before
 * its TCP checksum.  ICMP is left alone but for the addresses (and the pseudo-header
 * sum of ICMPv6).
 */
void packet_convert(struct packet *p, const struct addr *source, const struct addr *destination);

/* Takes one off the time to live or hop limit.  Returns false, packet unchanged, if that
 * would leave none (RFC 1812, 5.3.1). */
bool packet_decrement_ttl(struct packet *p);

/*
 * Lowers the MSS option of a SYN or SYN-ACK to mss if it is larger, never raises it, adds
 * none (RFC 4459, 3.2; a segment without the option means 536 or 1220).  Returns true if it changed something.
 * A malformed option list is left as it is.
 */
bool packet_clamp_mss(struct packet *p, uint16_t mss);

#endif
