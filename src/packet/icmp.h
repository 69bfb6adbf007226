/*
 * icmp: ICMP and ICMPv6 errors about packets that wlad has converted.
 *
 * An error quotes the packet it is about, or the beginning of it (RFC 792, 4443).  Who gets
 * the error knows that packet by other addresses, so the quote is converted along with the
 * outer header (RFC 5508, 4).  Type, code, MTU, pointer and extensions (RFC 4884) stay.
 * Formats only: whose packet it was is a question to the connection table.  Called by the datapath.
 */
#ifndef WLAD_PACKET_ICMP_H
#define WLAD_PACKET_ICMP_H

#include "packet/packet.h"

/*
 * True for an error that is passed on: destination unreachable, packet too big, time
 * exceeded, parameter problem.  Not source quench, which nobody may send any more
 * (RFC 6633), nor redirects, which end at the next router.
 */
bool icmp_is_error(const struct packet *p);

/*
 * Verifies the checksum of a whole, parsed error and makes a view of the packet it quotes,
 * inside p's octets: version, protocol (TCP or UDP), offset of the transport header,
 * addresses and ports.  The view's len is what is really quoted, at least 8 octets of the
 * transport header; its other fields are 0.
 * DROP_none, DROP_icmp_checksum, DROP_icmp_short, or DROP_icmp for a quote that belongs to
 * no connection: of another protocol, a later fragment, addresses that cannot be.
 */
enum drop icmp_read_quote(const struct packet *p, struct packet *quoted);

/*
 * Writes other addresses into the quote, and into the error itself: from sender, to whom
 * the quoted packet came from.  All of them are of the packet's family.
 */
void icmp_convert(struct packet *p, struct packet *quoted, const struct ip *sender,
    const struct addr *source, const struct addr *destination);

/* The quoted TCP packet's sequence number, and another one in its place. */
uint32_t icmp_quoted_seq(const struct packet *quoted);
void icmp_set_quoted_seq(struct packet *p, struct packet *quoted, uint32_t seq);

/*
 * Cuts off the end of the quote, and extensions with it, so that the error has no more than
 * len octets.  Returns false, everything unchanged, if that would not leave 8 octets of the
 * quoted transport header.
 */
bool icmp_shorten(struct packet *p, struct packet *quoted, uint32_t len);

#endif
