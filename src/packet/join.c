#include "packet/join.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/format.h"

#define TCP_URGENT 18

/* Flags as they are in the header: what the view leaves out (ECE, CWR, URG) must be off. */
static bool
tcp_possible(const struct packet *p)
{
	return (p->data[p->transport + TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
}

static bool
udp_possible(const struct packet *p)
{
	const uint8_t *udp = p->data + p->transport;

	return get16(udp + UDP_LENGTH) == p->len - p->transport && get16(udp + UDP_CHECKSUM) != 0;
}

static bool
ip_possible(const struct packet *p)
{
	if (p->version == 6)
		return p->transport == IPV6_HEADER;
	return p->transport == IPV4_HEADER && (get16(p->data + IPV4_FRAGMENT) & ~IPV4_DONT) == 0;
}

bool
join_possible(const struct packet *p)
{
	if (p->gso != PACKET_GSO_NONE || p->fragment != PACKET_WHOLE || p->len <= p->payload ||
	    p->len > JOIN_LEN_MAX || !ip_possible(p))
		return false;
	switch (p->protocol) {
	case IPPROTO_TCP:
		return tcp_possible(p);
	case IPPROTO_UDP:
		return udp_possible(p);
	default:
		return false;
	}
}

static bool
has_push(const struct packet *p)
{
	return (p->tcp_flags & TCP_PSH) != 0;
}

void
join_start(struct join *j, const struct packet *p)
{
	j->packet = *p;
	j->count = 1;
	j->closed = j->push = has_push(p);
	j->checked = j->fixed = false;
	j->size = (uint16_t)packet_payload_len(p);
	j->piece[0] = (struct iovec){p->data, p->len};
}

/* Addresses and ports lie in a row where there is nothing between the headers. */
bool
join_same_flow(const struct join *j, const struct packet *p)
{
	const struct packet *first = &j->packet;
	bool same = first->version == p->version && first->protocol == p->protocol;

	if (p->version == 4)
		return same &&
		    memcmp(first->data + IPV4_SOURCE, p->data + IPV4_SOURCE, 8 + 4) == 0;
	return same && memcmp(first->data + IPV6_SOURCE, p->data + IPV6_SOURCE, 32 + 4) == 0;
}

/* As in inet_gro_flush(): the second packet tells whether all have the same number. */
static bool
identification_follows(struct join *j, const struct packet *p)
{
	uint16_t first = get16(j->packet.data + IPV4_ID), id = get16(p->data + IPV4_ID);

	if (j->count == 1)
		j->fixed = id == first && (get16(p->data + IPV4_FRAGMENT) & IPV4_DONT) != 0;
	return id == (j->fixed ? first : (uint16_t)(first + j->count));
}

/* All but lengths, identification and checksum: class, flow label, DF, hops. */
static bool
ip_follows(struct join *j, const struct packet *p)
{
	const uint8_t *a = j->packet.data, *b = p->data;

	if (p->version == 6)
		return memcmp(a, b, IPV6_LENGTH) == 0 && a[IPV6_HOPS] == b[IPV6_HOPS];
	return a[IPV4_TOS] == b[IPV4_TOS] && a[IPV4_TTL] == b[IPV4_TTL] &&
	    memcmp(a + IPV4_FRAGMENT, b + IPV4_FRAGMENT, 2) == 0 && identification_follows(j, p);
}

/* As in tcp_gro_receive(): in sequence, all else equal, options included; PSH is the last's. */
static bool
tcp_follows(const struct join *j, const struct packet *p)
{
	const struct packet *first = &j->packet;
	const uint8_t *a = first->data + first->transport, *b = p->data + p->transport;

	return p->tcp_seq == first->tcp_seq + (first->len - first->payload) &&
	    p->tcp_ack == first->tcp_ack && a[TCP_DATA] == b[TCP_DATA] &&
	    memcmp(a + TCP_FLAGS + 1, b + TCP_FLAGS + 1, 2) == 0 && /* window */
	    memcmp(a + TCP_URGENT, b + TCP_URGENT,
		2u + p->payload - p->transport - TCP_HEADER) == 0;
}

static bool
checksum_is_right(const struct packet *p)
{
	const uint8_t *transport = p->data + p->transport;
	uint32_t len = p->len - p->transport;
	uint32_t sum =
	    checksum_pseudo(p->version, &p->source.ip, &p->destination.ip, p->protocol, len);

	if (p->partial)
		return get16(transport +
			   (p->protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM)) ==
		    checksum_fold(sum);
	return checksum_fold(checksum_add(sum, transport, len)) == 0xffff;
}

bool
join_add(struct join *j, const struct packet *p)
{
	uint32_t len = packet_payload_len(p);

	if (j->closed || len > j->size || j->packet.len + len > JOIN_LEN_MAX)
		return false;
	if (!ip_follows(j, p) || (p->protocol == IPPROTO_TCP && !tcp_follows(j, p)))
		return false;
	/* the first one's octets are all of j->packet yet */
	if (!j->checked && !checksum_is_right(&j->packet))
		return false;
	j->checked = true;
	if (!checksum_is_right(p))
		return false;
	j->piece[j->count++] = (struct iovec){p->data + p->payload, len};
	j->packet.len += len;
	j->push = has_push(p);
	j->closed = j->push || len < j->size || j->count == JOIN_SEGMENTS_MAX ||
	    j->packet.len + j->size > JOIN_LEN_MAX;
	return true;
}

static void
finish_ip(const struct packet *p)
{
	uint8_t *ip = p->data;

	if (p->version == 6) {
		put16(ip + IPV6_LENGTH, (uint16_t)(p->len - IPV6_HEADER));
		return;
	}
	put16(ip + IPV4_LENGTH, (uint16_t)p->len);
	put16(ip + IPV4_CHECKSUM, 0);
	put16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER)));
}

/* Returns the checksum field. */
static uint8_t *
finish_tcp(struct join *j)
{
	struct packet *p = &j->packet;
	uint8_t *tcp = p->data + p->transport;

	p->gso = p->version == 4 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6;
	if (j->push) {
		tcp[TCP_FLAGS] |= TCP_PSH;
		p->tcp_flags |= TCP_PSH;
	}
	return tcp + TCP_CHECKSUM;
}

static uint8_t *
finish_udp(struct packet *p)
{
	uint8_t *udp = p->data + p->transport;

	p->gso = PACKET_GSO_UDP;
	put16(udp + UDP_LENGTH, (uint16_t)(p->len - p->transport));
	return udp + UDP_CHECKSUM;
}

void
join_finish(struct join *j)
{
	struct packet *p = &j->packet;
	uint8_t *field;

	if (j->count < 2)
		return;
	finish_ip(p);
	field = p->protocol == IPPROTO_TCP ? finish_tcp(j) : finish_udp(p);
	p->gso_size = j->size;
	p->partial = true;
	put16(field,
	    checksum_fold(checksum_pseudo(p->version, &p->source.ip, &p->destination.ip,
		p->protocol, p->len - p->transport)));
}
