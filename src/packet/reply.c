#include "packet/reply.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/format.h"

#define REPLY_TTL 64

/* Octets of the largest error message, IP header included. */
#define ERROR_MAX4 576  /* RFC 1812, 4.3.2.3 */
#define ERROR_MAX6 1280 /* RFC 4443, 2.4 (c) */

/* What differs from one error message to the next. */
struct icmp_error {
	uint8_t type4, code4, type6, code6;
	uint32_t rest; /* the second word of the header */
};

static bool
is_icmp_error(const struct packet *p)
{
	uint8_t type = p->data[p->transport + ICMP_TYPE];

	if (p->protocol == IPPROTO_ICMPV6)
		return type < ICMP6_REQUEST || type == ICMP6_REDIRECT;
	return p->protocol == IPPROTO_ICMP &&
	    (type == ICMP4_UNREACHABLE || type == ICMP4_SOURCE_QUENCH || type == ICMP4_REDIRECT ||
		type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER);
}

/*
 * RFC 1122, 3.2.2; RFC 4443, 2.4 (e): whether wlad may answer at all.  A martian sender is
 * no single host; neither is a martian destination, and its answer would have it as sender.
 */
static bool
may_answer(const struct packet *to)
{
	if (to->fragment == PACKET_LATER_FRAGMENT)
		return false;
	if (ip_is_martian(&to->source.ip) || ip_is_martian(&to->destination.ip))
		return false;
	return (to->tcp_flags & TCP_RST) == 0 && !is_icmp_error(to);
}

static size_t
ip_header_len(int version)
{
	return version == 4 ? IPV4_HEADER : IPV6_HEADER;
}

/*
 * Writes an IP header without options for len octets behind it; returns its length.  IPv4: don't
 * fragment, so that identification 0 is right (RFC 6864, 4.1).
 */
static size_t
write_ip(uint8_t *buf, int version, const struct ip *source, const struct ip *destination,
    uint8_t protocol, size_t len)
{
	memset(buf, 0, ip_header_len(version));
	if (version == 6) {
		buf[0] = 0x60;
		put16(buf + IPV6_LENGTH, (uint16_t)len);
		buf[IPV6_NEXT] = protocol;
		buf[IPV6_HOPS] = REPLY_TTL;
		memcpy(buf + IPV6_SOURCE, source->octet, 16);
		memcpy(buf + IPV6_DESTINATION, destination->octet, 16);
		return IPV6_HEADER;
	}
	buf[0] = 0x45;
	put16(buf + IPV4_LENGTH, (uint16_t)(IPV4_HEADER + len));
	put16(buf + IPV4_FRAGMENT, IPV4_DONT);
	buf[IPV4_TTL] = REPLY_TTL;
	buf[IPV4_PROTOCOL] = protocol;
	memcpy(buf + IPV4_SOURCE, ip_v4(source), 4);
	memcpy(buf + IPV4_DESTINATION, ip_v4(destination), 4);
	put16(buf + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, buf, IPV4_HEADER)));
	return IPV4_HEADER;
}

/* A TCP segment without options or data, window 0. */
static size_t
build_tcp(const struct addr *source, const struct addr *destination, uint8_t flags,
    uint32_t seq, uint32_t ack, uint8_t *buf, size_t size)
{
	int version = ip_is_v4(&source->ip) ? 4 : 6;
	size_t total = ip_header_len(version) + TCP_HEADER;
	uint8_t *tcp;
	uint32_t sum;

	if (size < total || ip_is_v4(&source->ip) != ip_is_v4(&destination->ip))
		return 0;
	tcp =
	    buf + write_ip(buf, version, &source->ip, &destination->ip, IPPROTO_TCP, TCP_HEADER);
	memset(tcp, 0, TCP_HEADER);
	put16(tcp, source->port);
	put16(tcp + 2, destination->port);
	put32(tcp + TCP_SEQ, seq);
	put32(tcp + TCP_ACKNO, ack);
	tcp[TCP_DATA] = (TCP_HEADER / 4) << 4;
	tcp[TCP_FLAGS] = flags;
	sum = checksum_pseudo(version, &source->ip, &destination->ip, IPPROTO_TCP, TCP_HEADER);
	put16(tcp + TCP_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(sum, tcp, TCP_HEADER)));
	return total;
}

size_t
reply_reset(const struct packet *to, uint8_t *buf, size_t size)
{
	uint32_t len;

	if (to->protocol != IPPROTO_TCP || !may_answer(to))
		return 0;
	if ((to->tcp_flags & TCP_ACK) != 0)
		return build_tcp(
		    &to->destination, &to->source, TCP_RST, to->tcp_ack, 0, buf, size);
	/* The answer names the segment's end, which a fragment does not tell. */
	if (to->fragment != PACKET_WHOLE)
		return 0;
	len = packet_payload_len(to) + ((to->tcp_flags & TCP_SYN) != 0) +
	    ((to->tcp_flags & TCP_FIN) != 0);
	return build_tcp(
	    &to->destination, &to->source, TCP_RST | TCP_ACK, 0, to->tcp_seq + len, buf, size);
}

size_t
reply_build_reset(const struct addr *source, const struct addr *destination, uint32_t seq,
    uint32_t ack, uint8_t *buf, size_t size)
{
	return build_tcp(source, destination, TCP_RST | TCP_ACK, seq, ack, buf, size);
}

size_t
reply_build_udp(const struct addr *source, const struct addr *destination,
    const uint8_t *payload, size_t len, uint8_t *buf, size_t size)
{
	int version = ip_is_v4(&source->ip) ? 4 : 6;
	size_t total = ip_header_len(version) + UDP_HEADER + len;
	uint16_t udp_len, check;
	uint8_t *udp;
	uint32_t sum;

	if (ip_is_v4(&source->ip) != ip_is_v4(&destination->ip) || size < total ||
	    total > UINT16_MAX)
		return 0;
	udp_len = (uint16_t)(UDP_HEADER + len);
	udp = buf + write_ip(buf, version, &source->ip, &destination->ip, IPPROTO_UDP, udp_len);
	put16(udp, source->port);
	put16(udp + 2, destination->port);
	put16(udp + UDP_LENGTH, udp_len);
	put16(udp + UDP_CHECKSUM, 0);
	memcpy(udp + UDP_HEADER, payload, len);
	sum = checksum_pseudo(version, &source->ip, &destination->ip, IPPROTO_UDP, udp_len);
	check = (uint16_t)~checksum_fold(checksum_add(sum, udp, udp_len));
	put16(udp + UDP_CHECKSUM, check == 0 ? 0xffff : check);
	return total;
}

/* An error message about a packet, quoting as much of it as is allowed and fits. */
static size_t
build_error(const struct packet *about, const struct ip *sender, const struct icmp_error *error,
    uint8_t *buf, size_t size)
{
	size_t head = ip_header_len(about->version) + ICMP_HEADER;
	size_t most = about->version == 4 ? ERROR_MAX4 : ERROR_MAX6;
	size_t quoted = about->len;
	size_t least = head + about->transport + 8; /* RFC 792: with the ports */
	uint32_t sum = 0;
	uint8_t protocol = about->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint8_t *icmp;

	if (!may_answer(about) || ip_is_v4(sender) != (about->version == 4))
		return 0;
	if (size < (least < most ? least : most))
		return 0;
	if (most > size)
		most = size;
	if (quoted > most - head)
		quoted = most - head;

	icmp = buf +
	    write_ip(
		buf, about->version, sender, &about->source.ip, protocol, ICMP_HEADER + quoted);
	icmp[ICMP_TYPE] = about->version == 4 ? error->type4 : error->type6;
	icmp[ICMP_CODE] = about->version == 4 ? error->code4 : error->code6;
	put16(icmp + ICMP_CHECKSUM, 0);
	put32(icmp + 4, error->rest);
	memcpy(icmp + ICMP_HEADER, about->data, quoted);
	if (about->version == 6)
		sum = checksum_pseudo(
		    6, sender, &about->source.ip, protocol, (uint32_t)(ICMP_HEADER + quoted));
	sum = checksum_add(sum, icmp, ICMP_HEADER + quoted);
	put16(icmp + ICMP_CHECKSUM, (uint16_t)~checksum_fold(sum));
	return head + quoted;
}

size_t
reply_port_unreachable(const struct packet *to, uint8_t *buf, size_t size)
{
	static const struct icmp_error error = {ICMP4_UNREACHABLE, 3, ICMP6_UNREACHABLE, 4, 0};

	return build_error(to, &to->destination.ip, &error, buf, size);
}

size_t
reply_host_unreachable(const struct packet *to, uint8_t *buf, size_t size)
{
	static const struct icmp_error error = {ICMP4_UNREACHABLE, 1, ICMP6_UNREACHABLE, 3, 0};

	return build_error(to, &to->destination.ip, &error, buf, size);
}

/* The MTU is the lower half of the word in ICMP (RFC 1191, 4), all of it in ICMPv6. */
size_t
reply_too_big(const struct packet *to, uint16_t mtu, uint8_t *buf, size_t size)
{
	struct icmp_error error = {ICMP4_UNREACHABLE, 4, ICMP6_TOO_BIG, 0, mtu};

	return build_error(to, &to->destination.ip, &error, buf, size);
}

size_t
reply_time_exceeded(const struct packet *to, const struct ip *sender, uint8_t *buf, size_t size)
{
	static const struct icmp_error error = {
	    ICMP4_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0, 0};

	return build_error(to, sender, &error, buf, size);
}

bool
packet_is_echo_request(const struct packet *p)
{
	const uint8_t *icmp = p->data + p->transport;

	if (p->fragment != PACKET_WHOLE)
		return false;
	if (p->protocol == IPPROTO_ICMP)
		return icmp[ICMP_TYPE] == ICMP4_ECHO_REQUEST && icmp[ICMP_CODE] == 0;
	return p->protocol == IPPROTO_ICMPV6 && icmp[ICMP_TYPE] == ICMP6_REQUEST &&
	    icmp[ICMP_CODE] == 0;
}

/* Exchanging the addresses changes no sum; the TTL and the type do. */
void
packet_make_echo_reply(struct packet *p)
{
	uint8_t *icmp = p->data + p->transport;
	uint8_t before[2], address[16];
	struct ip ip = p->source.ip;
	size_t len = p->version == 4 ? 4 : 16;
	uint8_t *source = p->data + (p->version == 4 ? IPV4_SOURCE : IPV6_SOURCE);
	uint32_t sum;
	uint16_t checksum;

	p->source.ip = p->destination.ip;
	p->destination.ip = ip;
	memcpy(address, source, len);
	memmove(source, source + len, len);
	memcpy(source + len, address, len);

	if (p->version == 4) {
		memcpy(before, p->data + IPV4_TTL, 2);
		p->data[IPV4_TTL] = REPLY_TTL;
		sum = checksum_difference(before, p->data + IPV4_TTL, 2);
		sum += (uint16_t)~get16(p->data + IPV4_CHECKSUM);
		put16(p->data + IPV4_CHECKSUM, (uint16_t)~checksum_fold(sum));
	} else
		p->data[IPV6_HOPS] = REPLY_TTL;

	memcpy(before, icmp, 2);
	icmp[ICMP_TYPE] = p->version == 4 ? ICMP4_ECHO_REPLY : ICMP6_REPLY;
	sum = checksum_difference(before, icmp, 2) + (uint16_t)~get16(icmp + ICMP_CHECKSUM);
	checksum = (uint16_t)~checksum_fold(sum);
	/*
	 * A reply of zeros alone (type, identifier, number, data) sums to +0, which only 0xffff
	 * completes; everything else verifies with either form of zero.
	 */
	put16(icmp + ICMP_CHECKSUM, checksum == 0 ? 0xffff : checksum);
}
