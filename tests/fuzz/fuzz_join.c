/*
 * Two packets that may be anything: what is joined, cut again, must be the two, and what is not
 * must stay as it was.
 *
 *   octet 0     bit 0 the first has a partial checksum, 1 the second, 2-3 repair lengths, header
 *               and transport checksums of the first, second
 *   octet 1     bit 0: the second is the first but for its octets from octets 2-3 on, and follows it
 *   octets 2-3  length of the first
 *   octets 4-   the first packet, then the second
 */
#include <netinet/in.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/format.h"
#include "packet/join.h"
#include "packet/segment.h"

#define SETTINGS 4
#define LEN_MAX  4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A packet, as it is and as it was. */
struct one {
	uint8_t octets[LEN_MAX], was[LEN_MAX];
	struct packet packet;
};

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static uint32_t
pseudo_sum(const struct packet *p)
{
	return checksum_pseudo(
	    p->version, &p->source.ip, &p->destination.ip, p->protocol, p->len - p->transport);
}

static void
repair_ip(uint8_t *ip, size_t len)
{
	if (len >= 40 && ip[0] >> 4 == 6)
		put16(ip + IPV6_LENGTH, (uint16_t)(len - 40));
	if (len < 20 || ip[0] >> 4 != 4 || (ip[0] & 15) < 5 || (ip[0] & 15u) * 4 > len)
		return;
	put16(ip + IPV4_LENGTH, (uint16_t)len);
	put16(ip + IPV4_CHECKSUM, 0);
	put16(ip + IPV4_CHECKSUM,
	    (uint16_t)~checksum_fold(checksum_add(0, ip, (ip[0] & 15u) * 4)));
}

/* Random octets seldom have right checksums: this lets them in. */
static void
repair_transport(struct packet *p)
{
	struct packet view = *p;
	uint8_t *transport, *field;

	view.partial = false;
	if (packet_parse(&view) != DROP_none || view.fragment != PACKET_WHOLE)
		return;
	transport = view.data + view.transport;
	if (view.protocol != IPPROTO_TCP && view.protocol != IPPROTO_UDP)
		return;
	field = transport + (view.protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	if (view.protocol == IPPROTO_UDP)
		put16(transport + UDP_LENGTH, (uint16_t)(view.len - view.transport));
	put16(field, checksum_fold(pseudo_sum(&view)));
	if (p->partial)
		return;
	view.partial = true;
	packet_complete_checksum(&view);
}

static void
take(struct one *one, const uint8_t *data, size_t len, bool partial, bool repair)
{
	memcpy(one->octets, data, len);
	one->packet =
	    (struct packet){.data = one->octets, .len = (uint32_t)len, .partial = partial};
	if (!repair)
		return;
	repair_ip(one->octets, len);
	repair_transport(&one->packet);
}

/* 0 and 0xffff are one number. */
static void
same_checksum(uint8_t *now, const uint8_t *was)
{
	require(get16(now) % 0xffff == get16(was) % 0xffff);
	memcpy(now, was, 2);
}

/* A segment is the packet that it was made of, whose checksum may have been partial. */
static void
check_segment(const struct segment *s, const struct one *one, bool fixed)
{
	static uint8_t now[LEN_MAX + SEGMENT_HEADER_MAX], was[LEN_MAX];
	struct packet p = one->packet;
	size_t at;

	require(s->header_len + s->payload_len == p.len);
	memcpy(now, s->header, s->header_len);
	memcpy(now + s->header_len, s->payload, s->payload_len);
	memcpy(was, one->was, p.len);
	p.data = was;
	require(packet_parse(&p) == DROP_none);
	if (p.partial)
		packet_complete_checksum(&p);
	if (p.version == 4 && fixed) {
		require((get16(was + IPV4_FRAGMENT) & IPV4_DONT) != 0);
		memcpy(now + IPV4_ID, was + IPV4_ID, 2);
		repair_ip(now, p.len);
	}
	at = p.transport + (size_t)(p.protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	same_checksum(now + at, was + at);
	if (p.version == 4)
		same_checksum(now + IPV4_CHECKSUM, was + IPV4_CHECKSUM);
	require(memcmp(now, was, p.len) == 0);
}

static void
check_joined(struct join *j, const struct one one[2])
{
	static uint8_t octets[2 * LEN_MAX];
	struct packet p = j->packet;
	struct segmenter s;
	struct segment segment;

	require(j->count == 2 && p.partial && j->piece[0].iov_len + j->piece[1].iov_len == p.len);
	memcpy(octets, j->piece[0].iov_base, j->piece[0].iov_len);
	memcpy(octets + j->piece[0].iov_len, j->piece[1].iov_base, j->piece[1].iov_len);
	p.data = octets;
	require(packet_parse(&p) == DROP_none);
	require(p.len == j->packet.len && p.payload == j->packet.payload &&
	    p.tcp_flags == j->packet.tcp_flags);
	require(get16(octets + p.transport +
		    (p.protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM)) ==
	    checksum_fold(pseudo_sum(&p)));
	p.partial = false;
	segment_start(&s, &p);
	for (int i = 0; i < 2; i++) {
		require(segment_next(&s, &segment));
		check_segment(&segment, &one[i], j->fixed && i > 0);
	}
	require(!segment_next(&s, &segment));
}

/* The second is a neighbour of the first, but for what data say. */
static void
follow(const struct one *first, struct one *second, const uint8_t *data, size_t len)
{
	struct packet p = first->packet;

	memcpy(second->octets, first->octets, p.len);
	second->packet.len = p.len;
	if (packet_parse(&p) == DROP_none && p.protocol == IPPROTO_TCP &&
	    p.fragment == PACKET_WHOLE)
		put32(second->octets + p.transport + TCP_SEQ, p.tcp_seq + packet_payload_len(&p));
	if (p.len >= 20 && first->octets[0] >> 4 == 4)
		put16(second->octets + IPV4_ID, (uint16_t)(get16(first->octets + IPV4_ID) + 1));
	/* triples: where, and exclusive or */
	for (; len >= 3; data += 3, len -= 3)
		if (get16(data) < p.len)
			second->octets[get16(data)] ^= data[2];
	repair_ip(second->octets, p.len);
	repair_transport(&second->packet);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct one one[2];
	struct join j;
	size_t len;

	if (size < SETTINGS)
		return 0;
	len = get16(data + 2);
	if (len > size - SETTINGS || len > LEN_MAX || size - SETTINGS - len > LEN_MAX)
		return 0;
	take(&one[0], data + SETTINGS, len, data[0] & 1, data[0] & 4);
	take(&one[1], data + SETTINGS + len, size - SETTINGS - len, data[0] & 2, data[0] & 8);
	if (data[1] & 1)
		follow(&one[0], &one[1], data + SETTINGS + len, size - SETTINGS - len);
	for (int i = 0; i < 2; i++) {
		if (packet_parse(&one[i].packet) != DROP_none || !join_possible(&one[i].packet))
			return 0;
		memcpy(one[i].was, one[i].octets, one[i].packet.len);
	}
	join_start(&j, &one[0].packet);
	if (join_same_flow(&j, &one[1].packet) && join_add(&j, &one[1].packet)) {
		join_finish(&j);
		check_joined(&j, one);
		return 0;
	}
	join_finish(&j);
	for (int i = 0; i < 2; i++)
		require(memcmp(one[i].was, one[i].octets, one[i].packet.len) == 0);
	require(j.packet.gso == PACKET_GSO_NONE && j.packet.len == one[0].packet.len);
	return 0;
}
