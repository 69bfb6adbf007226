#include "packet/headers.h"

#include <netinet/in.h>

#include "packet/checksum.h"
#include "packet/format.h"

/* Routing header type 0 (RFC 5095), and the fields of any routing header (RFC 8200, 4.4). */
#define ROUTING_TYPE     2
#define ROUTING_SEGMENTS 3
#define ROUTING_SOURCE   0

/* The walk from one IPv6 header to the next. */
struct walk {
	struct packet *p;
	uint32_t at;     /* offset of the header that comes next */
	uint8_t next;    /* its protocol number */
	bool fragmented; /* a fragment header was seen */
};

/*
 * Takes down what a fragment says of itself, len octets of data behind before octets that will
 * count for the length of the datagram.  RFC 791, 3.2; RFC 8200, 4.5: all fragments but the
 * last hold a multiple of 8 octets, none is empty, none reaches beyond the largest datagram.
 */
static enum drop
note_fragment(struct packet *p, uint32_t offset, bool more, uint32_t before, uint32_t len)
{
	if (offset == 0 && !more)
		return DROP_none; /* whole, or an atomic fragment (RFC 6946) */
	if (len == 0 || (more && len % 8 != 0) || before + offset + len > 65535)
		return DROP_bad_header;
	p->fragment = offset == 0 ? PACKET_FIRST_FRAGMENT : PACKET_LATER_FRAGMENT;
	p->fragment_offset = (uint16_t)offset;
	p->fragment_len = (uint16_t)len;
	p->fragment_more = more;
	return DROP_none;
}

static enum drop
read_ipv4(struct packet *p)
{
	uint32_t header, total, fragment;
	enum drop drop;

	if (p->len < IPV4_HEADER)
		return DROP_too_short;
	header = (p->data[0] & 0x0fu) * 4;
	total = get16(p->data + IPV4_LENGTH);
	if (header < IPV4_HEADER || total < header)
		return DROP_bad_header;
	if (total > p->len)
		return DROP_too_short;
	if (checksum_fold(checksum_add(0, p->data, header)) != 0xffff)
		return DROP_bad_header;
	p->len = total;

	fragment = get16(p->data + IPV4_FRAGMENT);
	drop = note_fragment(p, (fragment & IPV4_OFFSET_MASK) * 8, (fragment & IPV4_MORE) != 0,
	    header, total - header);
	if (drop != DROP_none)
		return drop;
	if (p->fragment != PACKET_WHOLE)
		p->fragment_id = get16(p->data + IPV4_ID);

	p->protocol = p->data[IPV4_PROTOCOL];
	p->transport = (uint16_t)header;
	p->source.ip = ip_from_v4(p->data + IPV4_SOURCE);
	p->destination.ip = ip_from_v4(p->data + IPV4_DESTINATION);
	return DROP_none;
}

/* Reads the fragment header at w->at, all of which is there. */
static enum drop
read_fragment(struct walk *w)
{
	struct packet *p = w->p;
	const uint8_t *header = p->data + w->at;
	uint32_t field = get16(header + IPV6_FRAGMENT);
	uint32_t before = w->at - IPV6_HEADER;
	enum drop drop;

	if (w->fragmented)
		return DROP_bad_header;
	w->fragmented = true;
	w->next = header[0];
	w->at += IPV6_FRAGMENT_LEN;
	drop = note_fragment(
	    p, field & IPV6_OFFSET_MASK, (field & IPV6_MORE) != 0, before, p->len - w->at);
	if (drop != DROP_none)
		return drop;
	if (p->fragment != PACKET_WHOLE)
		p->fragment_id = get32(header + IPV6_FRAGMENT_ID);
	return DROP_none;
}

/*
 * A routing header whose segments are not used up names another final destination, which
 * the pseudo-header covers (RFC 8200, 8.1): such a packet is not at its end here.
 */
static bool
routing_is_done(const uint8_t *header)
{
	return header[ROUTING_TYPE] != ROUTING_SOURCE && header[ROUTING_SEGMENTS] == 0;
}

/* Steps over one extension header. */
static enum drop
walk_step(struct walk *w)
{
	const uint8_t *header = w->p->data + w->at;
	uint32_t len;

	if (w->p->len - w->at < 8)
		return DROP_too_short;
	if (w->next == IPPROTO_FRAGMENT)
		return read_fragment(w);
	if (w->next == IPPROTO_HOPOPTS && w->at != IPV6_HEADER)
		return DROP_bad_header; /* RFC 8200, 4.1: only as the first */
	len = (header[1] + 1u) * 8;
	if (w->p->len - w->at < len)
		return DROP_too_short;
	if (w->next == IPPROTO_ROUTING && !routing_is_done(header))
		return DROP_routing_header;
	w->next = header[0];
	w->at += len;
	return DROP_none;
}

/* Later fragments end the walk: what follows is the middle of something. */
static bool
walk_goes_on(const struct walk *w)
{
	if (w->p->fragment == PACKET_LATER_FRAGMENT)
		return false;
	switch (w->next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
		return true;
	default:
		return false;
	}
}

static enum drop
read_ipv6(struct packet *p)
{
	struct walk w = {.p = p, .at = IPV6_HEADER};
	enum drop drop;
	uint32_t total;
	int headers;

	if (p->len < IPV6_HEADER)
		return DROP_too_short;
	total = IPV6_HEADER + get16(p->data + IPV6_LENGTH);
	if (total > p->len)
		return DROP_too_short;
	p->len = total;
	p->source.ip = ip_from_v6(p->data + IPV6_SOURCE);
	p->destination.ip = ip_from_v6(p->data + IPV6_DESTINATION);
	/* Inside wlad such an address would be an IPv4 one; on a wire there is none (RFC 4942, 2.1.8). */
	if (ip_is_v4(&p->source.ip) || ip_is_v4(&p->destination.ip))
		return DROP_bad_header;

	w.next = p->data[IPV6_NEXT];
	for (headers = 0; walk_goes_on(&w); headers++) {
		if (headers == PACKET_MAX_HEADERS)
			return DROP_too_many_headers;
		drop = walk_step(&w);
		if (drop != DROP_none)
			return drop;
	}
	p->protocol = w.next;
	p->transport = (uint16_t)w.at;
	return DROP_none;
}

enum drop
headers_read(struct packet *p)
{
	p->fragment = PACKET_WHOLE;
	p->fragment_id = 0;
	p->fragment_offset = p->fragment_len = 0;
	p->fragment_more = false;
	if (p->len == 0)
		return DROP_too_short;
	p->version = p->data[0] >> 4;
	switch (p->version) {
	case 4:
		return read_ipv4(p);
	case 6:
		return read_ipv6(p);
	default:
		return DROP_bad_version;
	}
}
