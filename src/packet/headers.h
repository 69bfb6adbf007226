/*
 * headers: the walk over the headers in front of the transport header.
 *
 * The part of packet_parse() that knows IPv4 and IPv6; used by packet.c alone.
 */
#ifndef WLAD_PACKET_HEADERS_H
#define WLAD_PACKET_HEADERS_H

#include "packet/packet.h"

/*
 * Reads the IP header and all extension headers.  Cuts p->len to the length they say; sets
 * version, protocol, transport, both IP addresses, and what there is to say of a fragment.
 */
enum drop headers_read(struct packet *p);

#endif
