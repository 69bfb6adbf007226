/*
 * reply: packets that wlad itself answers with.
 *
 * Each builder writes a complete packet with full checksums into the caller's buffer and
 * returns its length, or 0 if an answer is not allowed (to a RST, an ICMP error, a later
 * fragment, a multicast or zero sender: RFC 1122, 3.2.2; RFC 4443, 2.4 (e)) or does not fit.  The caller
 * limits the rate.
 */
#ifndef WLAD_PACKET_REPLY_H
#define WLAD_PACKET_REPLY_H

#include "packet/packet.h"

/* A buffer of this size always suffices but for echo replies (which need the request's length). */
#define REPLY_MAX 1280

/* Answers a TCP segment with RST as RFC 9293, 3.10.7.1 says for a closed port. */
size_t reply_reset(const struct packet *to, uint8_t *buf, size_t size);

/* Port unreachable: ICMP 3/3 or ICMPv6 1/4, quoting as much as RFC 1812 (576) or RFC 4443 (1280) allow. */
size_t reply_port_unreachable(const struct packet *to, uint8_t *buf, size_t size);

/* Host/address unreachable: ICMP 3/1 or ICMPv6 1/3. */
size_t reply_host_unreachable(const struct packet *to, uint8_t *buf, size_t size);

/* Fragmentation needed, ICMP 3/4 with the MTU (RFC 1191), or packet too big, ICMPv6 2/0. */
size_t reply_too_big(const struct packet *to, uint16_t mtu, uint8_t *buf, size_t size);

/* Time to live exceeded in transit: ICMP 11/0 or ICMPv6 3/0.  The sender is the address
 * given, of the packet's family. */
size_t reply_time_exceeded(
    const struct packet *to, const struct ip *sender, uint8_t *buf, size_t size);

/* True for a whole ICMP or ICMPv6 echo request. */
bool packet_is_echo_request(const struct packet *p);

/* Turns an echo request into its reply in place (fresh TTL 64). */
void packet_make_echo_reply(struct packet *p);

/* A UDP datagram.  0 if the families differ, or it does not fit. */
size_t reply_build_udp(const struct addr *source, const struct addr *destination,
    const uint8_t *payload, size_t len, uint8_t *buf, size_t size);

/* A TCP RST from nowhere: for a connection whose far end is gone.  Sequence numbers in host order. */
size_t reply_build_reset(const struct addr *source, const struct addr *destination,
    uint32_t seq, uint32_t ack, uint8_t *buf, size_t size);

#endif
