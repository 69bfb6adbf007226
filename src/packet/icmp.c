#include "packet/icmp.h"

#include <netinet/in.h>

#include "packet/checksum.h"
#include "packet/convert.h"
#include "packet/format.h"

/* What every quote has of the transport header (RFC 792): the ports are in it. */
#define QUOTED_MIN 8u

/* Where RFC 4884, 4 puts the length of a quote with extensions behind it. */
#define LENGTH_V4 5 /* in units of 4 octets */
#define LENGTH_V6 4 /* in units of 8 octets */

bool
icmp_is_error(const struct packet *p)
{
	uint8_t type = p->data[p->transport + ICMP_TYPE];

	if (p->fragment != PACKET_WHOLE)
		return false;
	if (p->protocol == IPPROTO_ICMP)
		return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
		    type == ICMP4_PARAMETER;
	return p->protocol == IPPROTO_ICMPV6 &&
	    (type == ICMP6_UNREACHABLE || type == ICMP6_TOO_BIG ||
		type == ICMP6_TIME_EXCEEDED || type == ICMP6_PARAMETER);
}

static bool
checksum_is_right(const struct packet *p)
{
	uint32_t len = p->len - p->transport, sum = 0;

	if (p->version == 6)
		sum = checksum_pseudo(6, &p->source.ip, &p->destination.ip, IPPROTO_ICMPV6, len);
	sum = checksum_add(sum, p->data + p->transport, len);
	return checksum_fold(sum) == 0xffff;
}

/* The length field of RFC 4884, NULL if errors of this type have none. */
static uint8_t *
length_field(const struct packet *p)
{
	uint8_t *icmp = p->data + p->transport;

	if (p->version == 4)
		return icmp + LENGTH_V4;
	if (icmp[ICMP_TYPE] == ICMP6_UNREACHABLE || icmp[ICMP_TYPE] == ICMP6_TIME_EXCEEDED)
		return icmp + LENGTH_V6;
	return NULL;
}

/* Octets of the quote, padding included: up to the extensions if there are any. */
static uint32_t
quote_len(const struct packet *p)
{
	const uint8_t *field = length_field(p);
	uint32_t len = packet_payload_len(p);
	uint32_t told = field == NULL ? 0 : *field * (p->version == 4 ? 4u : 8u);

	return told != 0 && told < len ? told : len;
}

static enum drop
read_ipv4(struct packet *q)
{
	uint32_t header, total;

	if (q->len < IPV4_HEADER)
		return DROP_icmp_short;
	header = (q->data[0] & 0x0fu) * 4;
	if (header < IPV4_HEADER)
		return DROP_icmp;
	if ((get16(q->data + IPV4_FRAGMENT) & IPV4_OFFSET_MASK) != 0)
		return DROP_icmp;
	/* what is behind the packet is padding; a length that cannot be is not believed */
	total = get16(q->data + IPV4_LENGTH);
	if (total >= header + QUOTED_MIN && total < q->len)
		q->len = total;
	q->protocol = q->data[IPV4_PROTOCOL];
	q->transport = (uint16_t)header;
	q->source.ip = ip_from_v4(q->data + IPV4_SOURCE);
	q->destination.ip = ip_from_v4(q->data + IPV4_DESTINATION);
	return DROP_none;
}

static bool
is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	    next == IPPROTO_DSTOPTS;
}

/* Walks the extension headers, all of which must be quoted. */
static enum drop
walk_ipv6(struct packet *q)
{
	uint8_t next = q->data[IPV6_NEXT];
	uint32_t at = IPV6_HEADER, len;

	for (int i = 0; is_extension(next); i++) {
		if (i == PACKET_MAX_HEADERS)
			return DROP_icmp;
		if (q->len - at < 8)
			return DROP_icmp_short;
		len = next == IPPROTO_FRAGMENT ? IPV6_FRAGMENT_LEN : (q->data[at + 1] + 1u) * 8;
		if (q->len - at < len)
			return DROP_icmp_short;
		if (next == IPPROTO_FRAGMENT &&
		    (get16(q->data + at + IPV6_FRAGMENT) & IPV6_OFFSET_MASK) != 0)
			return DROP_icmp;
		next = q->data[at];
		at += len;
	}
	q->protocol = next;
	q->transport = (uint16_t)at;
	return DROP_none;
}

static enum drop
read_ipv6(struct packet *q)
{
	uint32_t total;
	enum drop drop;

	if (q->len < IPV6_HEADER)
		return DROP_icmp_short;
	q->source.ip = ip_from_v6(q->data + IPV6_SOURCE);
	q->destination.ip = ip_from_v6(q->data + IPV6_DESTINATION);
	/* inside wlad such an address would be an IPv4 one */
	if (ip_is_v4(&q->source.ip) || ip_is_v4(&q->destination.ip))
		return DROP_icmp;
	drop = walk_ipv6(q);
	if (drop != DROP_none)
		return drop;
	total = IPV6_HEADER + get16(q->data + IPV6_LENGTH);
	if (total >= q->transport + QUOTED_MIN && total < q->len)
		q->len = total;
	return DROP_none;
}

enum drop
icmp_read_quote(const struct packet *p, struct packet *quoted)
{
	enum drop drop;

	if (!checksum_is_right(p))
		return DROP_icmp_checksum;
	*quoted = (struct packet){
	    .data = p->data + p->payload, .len = quote_len(p), .version = p->version};
	if (quoted->len == 0)
		return DROP_icmp_short;
	if (quoted->data[0] >> 4 != p->version)
		return DROP_icmp;
	drop = p->version == 4 ? read_ipv4(quoted) : read_ipv6(quoted);
	if (drop != DROP_none)
		return drop;
	if (quoted->protocol != IPPROTO_TCP && quoted->protocol != IPPROTO_UDP)
		return DROP_icmp;
	if (quoted->len < quoted->transport + QUOTED_MIN)
		return DROP_icmp_short;
	quoted->source.port = get16(quoted->data + quoted->transport);
	quoted->destination.port = get16(quoted->data + quoted->transport + 2);
	return DROP_none;
}

/* Octets of the quote that conversion may change, an even number. */
static uint32_t
changed_len(const struct packet *q)
{
	uint32_t tcp = q->transport + TCP_CHECKSUM + 2u;

	if (q->protocol == IPPROTO_TCP && q->len >= tcp)
		return tcp;
	return q->transport + QUOTED_MIN;
}

void
icmp_convert(struct packet *p, struct packet *quoted, const struct ip *sender,
    const struct addr *source, const struct addr *destination)
{
	struct addr from = {.ip = *sender}, to = {.ip = source->ip};
	uint8_t *field = p->data + p->transport + ICMP_CHECKSUM;
	uint32_t len = changed_len(quoted);
	uint32_t before = checksum_add(0, quoted->data, len), sum;

	packet_convert(quoted, source, destination);
	sum = checksum_add((uint16_t)~checksum_fold(before), quoted->data, len);
	put16(field, (uint16_t)~checksum_fold(sum + (uint16_t)~get16(field)));
	packet_convert(p, &from, &to);
}

uint32_t
icmp_quoted_seq(const struct packet *quoted)
{
	return get32(quoted->data + quoted->transport + TCP_SEQ);
}

/* Two even numbers of octets lie between the checksums and what they are of. */
void
icmp_set_quoted_seq(struct packet *p, struct packet *quoted, uint32_t seq)
{
	uint8_t *tcp = quoted->data + quoted->transport;
	uint8_t *field = p->data + p->transport + ICMP_CHECKSUM;
	uint32_t len = changed_len(quoted) - quoted->transport, sum;
	uint32_t before = checksum_add(0, tcp, len);
	uint8_t fresh[4];

	put32(fresh, seq);
	if (len > QUOTED_MIN) {
		sum = (uint16_t)~get16(tcp + TCP_CHECKSUM) +
		    checksum_difference(tcp + TCP_SEQ, fresh, sizeof(fresh));
		put16(tcp + TCP_CHECKSUM, (uint16_t)~checksum_fold(sum));
	}
	memcpy(tcp + TCP_SEQ, fresh, sizeof(fresh));
	sum = checksum_add((uint16_t)~checksum_fold(before), tcp, len);
	put16(field, (uint16_t)~checksum_fold(sum + (uint16_t)~get16(field)));
}

static void
write_lengths(struct packet *p)
{
	if (p->version == 6) {
		put16(p->data + IPV6_LENGTH, (uint16_t)(p->len - IPV6_HEADER));
		return;
	}
	put16(p->data + IPV4_LENGTH, (uint16_t)p->len);
	put16(p->data + IPV4_CHECKSUM, 0);
	put16(p->data + IPV4_CHECKSUM,
	    (uint16_t)~checksum_fold(checksum_add(0, p->data, (p->data[0] & 0x0fu) * 4)));
}

bool
icmp_shorten(struct packet *p, struct packet *quoted, uint32_t len)
{
	uint8_t *icmp = p->data + p->transport, *told = length_field(p);
	uint32_t sum = 0;

	if (p->len <= len)
		return true;
	if (len < p->payload + quoted->transport + QUOTED_MIN)
		return false;
	p->len = len;
	if (quoted->len > packet_payload_len(p))
		quoted->len = packet_payload_len(p);
	if (told != NULL)
		*told = 0;
	write_lengths(p);
	/* it was right: a new one hides nothing */
	put16(icmp + ICMP_CHECKSUM, 0);
	if (p->version == 6)
		sum = checksum_pseudo(
		    6, &p->source.ip, &p->destination.ip, IPPROTO_ICMPV6, len - p->transport);
	sum = checksum_add(sum, icmp, len - p->transport);
	put16(icmp + ICMP_CHECKSUM, (uint16_t)~checksum_fold(sum));
	return true;
}
