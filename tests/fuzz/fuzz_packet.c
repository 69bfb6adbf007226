/*
 * Parses any octets as a packet; what is accepted goes through everything that relies on the
 * view: conversion there and back, time to live, MSS, segments, answers.
 *
 *   octet 0     bits 0-1 gso, 2 partial, 3 repair lengths and header checksum, 4-6 alignment
 *   octets 1-2  gso_size
 *   octets 3-4  MSS to clamp to, MTU to report
 *   octets 5-   the packet
 */
#include <netinet/in.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/convert.h"
#include "packet/reply.h"
#include "packet/segment.h"

#define SETTINGS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static size_t
get16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Random octets seldom have a right header checksum: this lets them in. */
static void
repair(uint8_t *ip, size_t len)
{
	size_t header;

	if (len >= 40 && ip[0] >> 4 == 6 && len - 40 <= 65535)
		put16(ip + 4, len - 40);
	if (len < 20 || ip[0] >> 4 != 4 || len > 65535)
		return;
	header = (ip[0] & 15u) * 4;
	if (header < 20 || header > len)
		return;
	put16(ip + 2, len);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, header)));
}

static bool
has_ports(const struct packet *p)
{
	return p->fragment != PACKET_LATER_FRAGMENT &&
	    (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP);
}

/* The promises of packet.h about a view. */
static void
check_view(const struct packet *p, uint32_t len)
{
	bool later = p->fragment == PACKET_LATER_FRAGMENT;

	require(p->len <= len && p->transport <= p->payload && p->payload <= p->len);
	require(p->version == 4 || p->version == 6);
	require(p->transport >= (p->version == 4 ? 20 : 40));
	require(ip_is_v4(&p->source.ip) == (p->version == 4));
	require(ip_is_v4(&p->destination.ip) == (p->version == 4));
	require(later ? p->payload == p->transport : p->payload >= p->transport + 8);
	require(has_ports(p) || (p->source.port == 0 && p->destination.port == 0));
	require((p->fragment_offset > 0) == later);
	require((p->fragment_len > 0) == (p->fragment != PACKET_WHOLE));
	require(p->fragment_offset + p->fragment_len <= 65535);
	require(p->protocol == IPPROTO_TCP || (p->tcp_flags | p->tcp_seq | p->tcp_ack) == 0);
	require(!p->partial || p->fragment == PACKET_WHOLE);
	require(p->gso == PACKET_GSO_NONE || p->gso_size > 0);
}

static bool
same_view(const struct packet *a, const struct packet *b)
{
	return a->len == b->len && a->version == b->version && a->protocol == b->protocol &&
	    a->fragment == b->fragment && a->tcp_flags == b->tcp_flags &&
	    a->transport == b->transport && a->payload == b->payload &&
	    addr_equal(&a->source, &b->source) && addr_equal(&a->destination, &b->destination) &&
	    a->tcp_seq == b->tcp_seq && a->tcp_ack == b->tcp_ack &&
	    a->fragment_id == b->fragment_id && a->fragment_offset == b->fragment_offset &&
	    a->fragment_len == b->fragment_len && a->fragment_more == b->fragment_more;
}

/* What the view says must be what a fresh look at the octets says. */
static void
check_parses_the_same(const struct packet *p)
{
	struct packet again = *p;

	require(packet_parse(&again) == DROP_none);
	require(same_view(p, &again));
}

static size_t
checksum_at(const struct packet *p)
{
	if (p->fragment == PACKET_LATER_FRAGMENT)
		return 0;
	switch (p->protocol) {
	case IPPROTO_TCP:
		return p->transport + 16u;
	case IPPROTO_UDP:
		return p->transport + 6u;
	case IPPROTO_ICMPV6:
		return p->transport + 2u;
	default:
		return 0;
	}
}

/* 0 and 0xffff are one number: a checksum may come back as the other. */
static void
check_checksum_came_back(uint8_t *now, const uint8_t *before)
{
	require(get16(now) % 0xffff == get16(before) % 0xffff);
	memcpy(now, before, 2);
}

static void
check_round_trip(struct packet *p)
{
	struct addr source = p->source, destination = p->destination, a, b;
	size_t checksum = checksum_at(p);
	uint8_t *before = malloc(p->len);

	require(before != NULL);
	memcpy(before, p->data, p->len);
	require(ip_parse(p->version == 4 ? "203.0.113.10" : "2001:db8:1234::10", &a.ip) == 0);
	require(ip_parse(p->version == 4 ? "10.255.0.1" : "fe80::ffff:1", &b.ip) == 0);
	a.port = has_ports(p) ? 54321 : 0;
	b.port = has_ports(p) ? 80 : 0;

	packet_convert(p, &a, &b);
	require(addr_equal(&p->source, &a) && addr_equal(&p->destination, &b));
	check_parses_the_same(p);
	packet_convert(p, &source, &destination);
	check_parses_the_same(p);

	if (checksum > 0) {
		if (p->protocol == IPPROTO_UDP && !p->partial) /* there 0 has its meaning */
			require((get16(p->data + checksum) == 0) ==
			    (get16(before + checksum) == 0));
		check_checksum_came_back(p->data + checksum, before + checksum);
	}
	if (p->version == 4)
		check_checksum_came_back(p->data + 10, before + 10);
	require(memcmp(p->data, before, p->len) == 0);
	free(before);
}

static void
check_ttl(struct packet *p)
{
	const uint8_t *ttl = p->data + (p->version == 4 ? 8 : 7);
	uint8_t before = *ttl;

	require(packet_decrement_ttl(p) == (before > 1));
	require(*ttl == before - (before > 1));
	check_parses_the_same(p);
}

static void
check_clamp(struct packet *p, uint16_t mss)
{
	if (packet_clamp_mss(p, mss)) {
		require((p->tcp_flags & TCP_SYN) != 0);
		require(!packet_clamp_mss(p, mss));
	}
	check_parses_the_same(p);
}

/* True if the transport checksum is right. */
static bool
verifies(const struct packet *p)
{
	uint32_t sum = 0;

	if (p->protocol != IPPROTO_ICMP)
		sum = checksum_pseudo(p->version, &p->source.ip, &p->destination.ip,
		    p->protocol, p->len - p->transport);
	sum = checksum_add(sum, p->data + p->transport, p->len - p->transport);
	return checksum_fold(sum) == 0xffff;
}

/* A segment must be a packet of its own, with a right checksum if it is to have one. */
static void
check_segment(const struct packet *super, const struct segment *s)
{
	uint8_t *octets = malloc(s->header_len + s->payload_len);
	struct packet p = {.data = octets, .len = s->header_len + s->payload_len};
	size_t checksum;

	require(octets != NULL);
	memcpy(octets, s->header, s->header_len);
	memcpy(octets + s->header_len, s->payload, s->payload_len);
	p.partial = super->partial;
	require(packet_parse(&p) == DROP_none);
	require(p.len == s->header_len + s->payload_len);
	if (super->gso != PACKET_GSO_NONE) {
		require(packet_payload_len(&p) == s->payload_len);
		packet_complete_checksum(&p);
		checksum = checksum_at(&p);
		require(verifies(&p) ||
		    (p.protocol == IPPROTO_UDP && get16(octets + checksum) == 0));
	}
	free(octets);
}

static void
check_segments(const struct packet *p)
{
	struct segmenter s;
	struct segment out;
	uint32_t total = 0, count = 0, largest = 0;

	segment_start(&s, p);
	while (segment_next(&s, &out)) {
		if (p->gso != PACKET_GSO_NONE)
			require(out.payload == p->data + p->payload + total);
		total += out.payload_len;
		count++;
		if (out.header_len + out.payload_len > largest)
			largest = out.header_len + out.payload_len;
		check_segment(p, &out);
	}
	require(s.done);
	if (p->gso != PACKET_GSO_NONE && p->payload > SEGMENT_HEADER_MAX) {
		require(count == 0);
		return;
	}
	require(count == segment_count(p) && largest == segment_max_len(p));
	if (p->gso != PACKET_GSO_NONE)
		require(total == packet_payload_len(p));
}

/* An answer is a packet with right checksums, to who sent the question. */
static void
check_reply(const struct packet *to, uint8_t *buf, size_t len, size_t size)
{
	struct packet p = {.data = buf, .len = (uint32_t)len};

	require(len <= size);
	if (len == 0)
		return;
	require(packet_parse(&p) == DROP_none);
	require(p.len == len && verifies(&p));
	require(ip_equal(&p.destination.ip, &to->source.ip));
	require(to->fragment != PACKET_LATER_FRAGMENT && (to->tcp_flags & TCP_RST) == 0);
}

static void
check_replies(const struct packet *p, uint16_t mtu, size_t size)
{
	uint8_t *buf = malloc(size > 0 ? size : 1);

	require(buf != NULL);
	check_reply(p, buf, reply_reset(p, buf, size), size);
	check_reply(p, buf, reply_port_unreachable(p, buf, size), size);
	check_reply(p, buf, reply_host_unreachable(p, buf, size), size);
	check_reply(p, buf, reply_too_big(p, mtu, buf, size), size);
	check_reply(p, buf, reply_time_exceeded(p, &p->destination.ip, buf, size), size);
	free(buf);
}

static void
check_echo(struct packet *p)
{
	bool right;

	if (!packet_is_echo_request(p))
		return;
	right = verifies(p);
	packet_make_echo_reply(p);
	require(verifies(p) == right);
	require(!packet_is_echo_request(p));
	check_parses_the_same(p);
}

static void
check_all(struct packet *p, uint16_t number)
{
	check_parses_the_same(p);
	check_round_trip(p);
	check_segments(p);
	check_replies(p, number, REPLY_MAX);
	check_replies(p, number, number % 200);
	check_ttl(p);
	check_clamp(p, number);
	check_echo(p);
	if (p->gso == PACKET_GSO_NONE) {
		packet_complete_checksum(p);
		require(!p->partial);
		check_parses_the_same(p);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p = {.gso = PACKET_GSO_NONE};
	uint8_t *buf;
	size_t shift;

	if (size < SETTINGS)
		return 0;
	p.gso = data[0] & 3;
	p.partial = (data[0] & 4) != 0;
	shift = data[0] >> 4 & 7;
	if (p.gso != PACKET_GSO_NONE)
		p.gso_size = (uint16_t)get16(data + 1);
	p.len = (uint32_t)(size - SETTINGS);
	buf = malloc(shift + p.len + 1);
	require(buf != NULL);
	p.data = memcpy(buf + shift, data + SETTINGS, p.len);
	if ((data[0] & 8) != 0)
		repair(p.data, p.len);
	p.headroom = 0;
	if (packet_parse(&p) == DROP_none) {
		check_view(&p, (uint32_t)(size - SETTINGS));
		check_all(&p, (uint16_t)get16(data + 3));
	}
	free(buf);
	return 0;
}
