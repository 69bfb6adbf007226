#include "packet/packet.h"

#include <netinet/in.h>

#include "packet/checksum.h"
#include "packet/format.h"
#include "packet/headers.h"

#define FLAGS_KNOWN (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK)

static uint32_t
transport_len(const struct packet *p)
{
	return p->len - p->transport;
}

static void
read_ports(struct packet *p)
{
	p->source.port = get16(p->data + p->transport);
	p->destination.port = get16(p->data + p->transport + 2);
}

static enum drop
read_tcp(struct packet *p)
{
	const uint8_t *header = p->data + p->transport;
	uint32_t header_len;

	if (transport_len(p) < TCP_HEADER)
		return DROP_too_short;
	header_len = (header[TCP_DATA] >> 4) * 4u;
	if (header_len < TCP_HEADER)
		return DROP_bad_header;
	if (header_len > transport_len(p))
		return DROP_too_short;
	read_ports(p);
	p->tcp_seq = get32(header + TCP_SEQ);
	p->tcp_ack = get32(header + TCP_ACKNO);
	p->tcp_flags = header[TCP_FLAGS] & FLAGS_KNOWN;
	p->payload = (uint16_t)(p->transport + header_len);
	return DROP_none;
}

/*
 * The length may be less than what IP brought (RFC 9868 puts options there), never more;
 * in a first fragment it speaks of the whole datagram.
 */
static enum drop
read_udp(struct packet *p)
{
	uint32_t len;

	if (transport_len(p) < UDP_HEADER)
		return DROP_too_short;
	len = get16(p->data + p->transport + UDP_LENGTH);
	if (len < UDP_HEADER)
		return DROP_bad_header;
	if (p->fragment == PACKET_WHOLE && len > transport_len(p))
		return DROP_too_short;
	read_ports(p);
	p->payload = (uint16_t)(p->transport + UDP_HEADER);
	return DROP_none;
}

static enum drop
read_icmp(struct packet *p)
{
	if (transport_len(p) < ICMP_HEADER)
		return DROP_too_short;
	p->payload = (uint16_t)(p->transport + ICMP_HEADER);
	return DROP_none;
}

/* ICMP belongs to IPv4, ICMPv6 to IPv6: one inside the other has no meaning. */
static bool
protocol_is_known(const struct packet *p)
{
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return true;
	case IPPROTO_ICMP:
		return p->version == 4;
	case IPPROTO_ICMPV6:
		return p->version == 6;
	default:
		return false;
	}
}

/*
 * A later fragment has no transport header: as the first must hold all of it, TCP data
 * that begin within its 20 octets would overwrite what was checked (RFC 3128).
 */
static enum drop
read_later_fragment(struct packet *p)
{
	if (p->protocol == IPPROTO_TCP && p->fragment_offset < TCP_HEADER)
		return DROP_bad_header;
	p->payload = p->transport;
	return DROP_none;
}

static enum drop
read_transport(struct packet *p)
{
	if (!protocol_is_known(p))
		return DROP_bad_protocol;
	if (p->fragment == PACKET_LATER_FRAGMENT)
		return read_later_fragment(p);
	switch (p->protocol) {
	case IPPROTO_TCP:
		return read_tcp(p);
	case IPPROTO_UDP:
		return read_udp(p);
	default:
		return read_icmp(p);
	}
}

/* The checksum that is yet to be made runs to the packet's end: so must the datagram. */
static bool
partial_fits(const struct packet *p)
{
	if (p->fragment != PACKET_WHOLE)
		return false;
	if (p->protocol == IPPROTO_UDP)
		return get16(p->data + p->transport + UDP_LENGTH) == transport_len(p);
	return p->protocol == IPPROTO_TCP;
}

/* A SYN takes a sequence number that the segments behind the first would miss. */
static bool
gso_fits(const struct packet *p)
{
	if (p->gso_size == 0 || p->fragment != PACKET_WHOLE)
		return false;
	switch (p->gso) {
	case PACKET_GSO_TCP4:
		return p->version == 4 && p->protocol == IPPROTO_TCP &&
		    (p->tcp_flags & TCP_SYN) == 0;
	case PACKET_GSO_TCP6:
		return p->version == 6 && p->protocol == IPPROTO_TCP &&
		    (p->tcp_flags & TCP_SYN) == 0;
	case PACKET_GSO_UDP:
		return p->protocol == IPPROTO_UDP &&
		    get16(p->data + p->transport + UDP_LENGTH) == transport_len(p);
	default:
		return false;
	}
}

enum drop
packet_parse(struct packet *p)
{
	enum drop drop;

	p->tcp_flags = 0;
	p->hash = 0;
	p->tcp_seq = p->tcp_ack = 0;
	p->source.port = p->destination.port = 0;
	drop = headers_read(p);
	if (drop == DROP_none)
		drop = read_transport(p);
	if (drop != DROP_none)
		return drop;
	if (p->partial && !partial_fits(p))
		return DROP_bad_offload;
	if (p->gso != PACKET_GSO_NONE && !gso_fits(p))
		return DROP_bad_offload;
	return DROP_none;
}

uint16_t
packet_tcp_sum(const struct packet *p)
{
	uint32_t len = p->len - p->transport;
	uint32_t sum =
	    checksum_pseudo(p->version, &p->source.ip, &p->destination.ip, IPPROTO_TCP, len);

	return checksum_fold(checksum_add(sum, p->data + p->transport, len));
}

bool
packet_tcp_is_right(const struct packet *p)
{
	return p->partial || p->gso != PACKET_GSO_NONE || packet_tcp_sum(p) == 0xffff;
}
