#include "packet/convert.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/format.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2

#define OPTION_MSS_LEN 4

/* RFC 1624, eqn. 3: HC' = ~(~HC + ~m + m'). */
static uint16_t
checksum_update(uint16_t checksum, uint32_t difference)
{
	return (uint16_t)~checksum_fold((uint16_t)~checksum + difference);
}

static void
update_field(uint8_t *field, uint32_t difference)
{
	put16(field, checksum_update(get16(field), difference));
}

/* Puts new octets in the place of old ones; returns the difference. */
static inline uint32_t
replace(uint8_t *at, const void *fresh, size_t len)
{
	uint32_t difference = checksum_difference(at, fresh, len);

	memcpy(at, fresh, len);
	return difference;
}

static uint32_t
replace_addresses(struct packet *p, const struct ip *source, const struct ip *destination)
{
	uint32_t difference;

	if (p->version == 4) {
		difference = replace(p->data + IPV4_SOURCE, ip_v4(source), 4);
		difference += replace(p->data + IPV4_DESTINATION, ip_v4(destination), 4);
		update_field(p->data + IPV4_CHECKSUM, difference);
	} else {
		difference = replace(p->data + IPV6_SOURCE, source->octet, 16);
		difference += replace(p->data + IPV6_DESTINATION, destination->octet, 16);
	}
	p->source.ip = *source;
	p->destination.ip = *destination;
	return difference;
}

/* As one word: two halves written and a whole read back would wait for the store buffer. */
static uint32_t
replace_ports(struct packet *p, uint16_t source, uint16_t destination)
{
	uint8_t fresh[4];

	put32(fresh, (uint32_t)source << 16 | destination);
	p->source.port = source;
	p->destination.port = destination;
	return replace(p->data + p->transport, fresh, sizeof(fresh));
}

/*
 * A partial checksum is the sum of the pseudo-header, which has addresses but no ports, and is
 * not complemented.
 */
static void
update_tcp(struct packet *p, uint32_t addresses, uint32_t ports)
{
	uint8_t *field = p->data + p->transport + TCP_CHECKSUM;

	if (p->len < p->transport + TCP_CHECKSUM + 2u)
		return; /* quoted by an ICMP error, and cut off before it */
	if (p->partial)
		put16(field, checksum_fold(get16(field) + addresses));
	else
		update_field(field, addresses + ports);
}

/* 0 says that there is no checksum (RFC 768; on IPv6 RFC 6936), so none is made up. */
static void
update_udp(struct packet *p, uint32_t addresses, uint32_t ports)
{
	uint8_t *field = p->data + p->transport + UDP_CHECKSUM;
	uint16_t checksum = get16(field);

	if (p->partial) {
		put16(field, checksum_fold(checksum + addresses));
		return;
	}
	if (checksum == 0)
		return;
	checksum = checksum_update(checksum, addresses + ports);
	put16(field, checksum == 0 ? 0xffff : checksum);
}

void
packet_convert(struct packet *p, const struct addr *source, const struct addr *destination)
{
	/* copies: the caller may hand in the view's own addresses */
	struct addr from = *source, to = *destination;
	uint32_t addresses;

	addresses = replace_addresses(p, &from.ip, &to.ip);
	if (p->fragment == PACKET_LATER_FRAGMENT)
		return;
	switch (p->protocol) {
	case IPPROTO_TCP:
		update_tcp(p, addresses, replace_ports(p, from.port, to.port));
		break;
	case IPPROTO_UDP:
		update_udp(p, addresses, replace_ports(p, from.port, to.port));
		break;
	case IPPROTO_ICMPV6:
		update_field(p->data + p->transport + ICMP_CHECKSUM, addresses);
		break;
	}
}

bool
packet_decrement_ttl(struct packet *p)
{
	uint8_t *ttl = p->data + (p->version == 4 ? IPV4_TTL : IPV6_HOPS);

	if (*ttl <= 1)
		return false;
	(*ttl)--;
	/* The TTL is the upper octet of its word: ~m + m' is ~0x0100, whatever it was. */
	if (p->version == 4)
		update_field(p->data + IPV4_CHECKSUM, 0xfeff);
	return true;
}

/* Length of the option at at, or 0 if it is malformed or does not end before end. */
static size_t
option_len(const uint8_t *at, const uint8_t *end)
{
	if (*at == OPTION_NOP)
		return 1;
	if (end - at < 2 || at[1] < 2 || at[1] > end - at)
		return 0;
	if (*at == OPTION_MSS && at[1] != OPTION_MSS_LEN)
		return 0;
	return at[1];
}

/* RFC 9293, 3.1: options end at the data or at the end-of-list option. */
static bool
options_are_well_formed(const uint8_t *at, const uint8_t *end)
{
	size_t len;

	for (; at < end && *at != OPTION_END; at += len) {
		len = option_len(at, end);
		if (len == 0)
			return false;
	}
	return true;
}

/* The value need not stand at an even offset, as the words of the checksum do. */
static void
lower_mss(struct packet *p, uint8_t *value, uint16_t mss)
{
	const uint8_t *header = p->data + p->transport;
	uint32_t before, after;

	before = get16(value);
	after = mss;
	put16(value, mss);
	if (p->partial)
		return;
	if ((value - header) % 2 != 0) {
		before = (before & 0xff) << 8 | before >> 8;
		after = (after & 0xff) << 8 | after >> 8;
	}
	update_field(p->data + p->transport + TCP_CHECKSUM, (0xffff - before) + after);
}

bool
packet_clamp_mss(struct packet *p, uint16_t mss)
{
	uint8_t *at, *end;
	bool changed = false;

	if (p->protocol != IPPROTO_TCP || (p->tcp_flags & TCP_SYN) == 0)
		return false;
	at = p->data + p->transport + TCP_HEADER;
	end = p->data + p->payload;
	if (!options_are_well_formed(at, end))
		return false;
	for (; at < end && *at != OPTION_END; at += option_len(at, end)) {
		if (*at == OPTION_MSS && get16(at + 2) > mss) {
			lower_mss(p, at + 2, mss);
			changed = true;
		}
	}
	return changed;
}
