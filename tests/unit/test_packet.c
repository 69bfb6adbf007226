#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "frames.h"

static struct frame f;
static struct addr
client(int version)
{
	return frame_addr(version == 4 ? "198.51.100.7" : "2001:db8:c::7", 40000);
}

static struct addr
service(int version)
{
	return frame_addr(version == 4 ? "203.0.113.10" : "2001:db8:5::10", 443);
}

static void
start(int version, uint8_t protocol)
{
	struct addr c = client(version), s = service(version);

	frame_ip(&f, &c, &s, protocol);
}

static uint8_t
icmp_of(int version)
{
	return version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

/*
 * Parses from a heap copy of exactly the packet's size, so that a sanitizer sees each octet
 * read too far.  The view's data pointer is dead afterwards.
 */
static enum drop
parse(struct packet *p)
{
	uint8_t *copy = malloc(p->len > 0 ? p->len : 1);
	enum drop drop;

	assert_non_null(copy);
	memcpy(copy, p->data, p->len);
	p->data = copy;
	drop = packet_parse(p);
	free(copy);
	p->data = NULL;
	return drop;
}

static enum drop
parse_frame(struct packet *p)
{
	*p = frame_packet(&f);
	return parse(p);
}

static void
assert_addresses(const struct packet *p, int version, bool ports)
{
	struct addr c = client(version), s = service(version);

	if (!ports)
		c.port = s.port = 0;
	assert_true(addr_equal(&p->source, &c));
	assert_true(addr_equal(&p->destination, &s));
}

static void
assert_not_fragmented(const struct packet *p)
{
	assert_int_equal(p->fragment, PACKET_WHOLE);
	assert_int_equal(p->fragment_id, 0);
	assert_int_equal(p->fragment_offset, 0);
	assert_int_equal(p->fragment_len, 0);
	assert_false(p->fragment_more);
}

static void
test_tcp(void **state)
{
	static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7};
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, IPPROTO_TCP);
		frame_tcp(&f, 40000, 443, 0x89abcdef, 0x01020304, TCP_SYN | TCP_ACK, options,
		    sizeof(options));
		frame_payload(&f, 11);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_none);
		assert_int_equal(p.version, version);
		assert_int_equal(p.protocol, IPPROTO_TCP);
		assert_int_equal(p.len, f.len);
		assert_int_equal(p.transport, version == 4 ? 20 : 40);
		assert_int_equal(p.payload, p.transport + 28);
		assert_int_equal(packet_payload_len(&p), 11);
		assert_int_equal(p.tcp_flags, TCP_SYN | TCP_ACK);
		assert_int_equal(p.tcp_seq, 0x89abcdef);
		assert_int_equal(p.tcp_ack, 0x01020304);
		assert_addresses(&p, version, true);
		assert_not_fragmented(&p);
	}
}

/* Of the flags octet only those that have a name here. */
static void
test_tcp_flags(void **state)
{
	struct packet p;

	(void)state;
	start(4, IPPROTO_TCP);
	frame_tcp(&f, 40000, 443, 1, 2, 0xff, NULL, 0);
	frame_finish(&f);
	assert_int_equal(parse_frame(&p), DROP_none);
	assert_int_equal(p.tcp_flags, TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK);
}

static void
test_udp(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, IPPROTO_UDP);
		frame_udp(&f, 40000, 443);
		frame_payload(&f, 5);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_none);
		assert_int_equal(p.protocol, IPPROTO_UDP);
		assert_int_equal(p.payload, p.transport + 8);
		assert_int_equal(packet_payload_len(&p), 5);
		assert_int_equal(p.tcp_flags, 0);
		assert_int_equal(p.tcp_seq, 0);
		assert_int_equal(p.tcp_ack, 0);
		assert_addresses(&p, version, true);
	}
}

static void
test_icmp(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, icmp_of(version));
		frame_icmp(&f, version == 4 ? 8 : 128, 0, 0x12340001);
		frame_payload(&f, 3);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_none);
		assert_int_equal(p.protocol, icmp_of(version));
		assert_int_equal(packet_payload_len(&p), 3);
		assert_addresses(&p, version, false);
	}
}

/* No octet of a whole packet can be missing; sanitizers see to reads beyond the end. */
static void
test_every_truncation_is_too_short(void **state)
{
	static const uint8_t options[] = {1, 1, 1, 0};
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 0};
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < 3; i++) {
			uint8_t protocol = protocols[i] != 0 ? protocols[i] : icmp_of(version);

			start(version, protocol);
			if (version == 4)
				frame_ip_options(&f, options, 4);
			else
				frame_extension(&f, IPPROTO_HOPOPTS, 16);
			if (protocol == IPPROTO_TCP)
				frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, options, 4);
			else
				frame_udp(&f, 40000, 443);
			frame_payload(&f, 9);
			frame_finish(&f);
			assert_int_equal(parse_frame(&p), DROP_none);
			for (size_t len = 0; len < f.len; len++) {
				p = frame_packet(&f);
				p.len = (uint32_t)len;
				assert_int_equal(parse(&p), DROP_too_short);
			}
		}
}

/* Makes the IP length say that the packet ends after len octets; padding is behind it. */
static void
shorten(int version, size_t len, size_t padding)
{
	if (version == 4) {
		frame_put16(f.octets + 2, len);
		frame_ip_checksum(&f);
	} else
		frame_put16(f.octets + 4, len - 40);
	f.len = len + padding;
}

/* The same where the IP length itself says less: the headers inside do not fit. */
static void
test_every_shorter_ip_length(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 0};
	static const size_t lengths[] = {24, 8, 8};
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < 3; i++)
			for (size_t len = 0; len < lengths[i]; len++)
				for (size_t padding = 0; padding <= 16; padding += 16) {
					start(version, i == 2 ? icmp_of(version) : protocols[i]);
					frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, "\1\1\1\0", 4);
					frame_payload(&f, 40);
					shorten(version, f.transport + len, padding);
					assert_int_equal(parse_frame(&p), DROP_too_short);
					assert_int_equal(p.len, f.transport + len);
				}
}

/* And where the IPv6 length ends inside an extension header, of any kind. */
static void
test_every_shorter_ipv6_length(void **state)
{
	static const uint8_t kinds[] = {
	    IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT};
	struct packet p;

	(void)state;
	for (int i = 0; i < 4; i++)
		for (size_t len = 0; len < (i == 3 ? 8 : 32); len++)
			for (size_t padding = 0; padding <= 16; padding += 16) {
				start(6, IPPROTO_UDP);
				if (i == 3)
					frame_fragment(&f, 0, false, 1);
				else
					frame_extension(&f, kinds[i], 32);
				frame_udp(&f, 40000, 443);
				frame_payload(&f, 40);
				frame_finish(&f);
				shorten(6, 40 + len, padding);
				assert_int_equal(parse_frame(&p), DROP_too_short);
			}
}

static void
test_padding_is_cut(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, IPPROTO_UDP);
		frame_udp(&f, 40000, 443);
		frame_payload(&f, 2);
		frame_finish(&f);
		f.len += 18;
		assert_int_equal(parse_frame(&p), DROP_none);
		assert_int_equal(p.len, f.len - 18);
		assert_int_equal(packet_payload_len(&p), 2);
	}
}

static void
test_other_versions(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 0; version < 16; version++) {
		start(4, IPPROTO_UDP);
		frame_udp(&f, 1, 2);
		frame_payload(&f, 40);
		frame_finish(&f);
		f.octets[0] = (uint8_t)(version << 4 | 5);
		if (version != 4 && version != 6)
			assert_int_equal(parse_frame(&p), DROP_bad_version);
	}
}

static void
test_ipv4_header_length(void **state)
{
	struct packet p;

	(void)state;
	for (uint8_t ihl = 0; ihl < 5; ihl++) {
		start(4, IPPROTO_UDP);
		frame_udp(&f, 40000, 443);
		frame_finish(&f);
		f.octets[0] = 0x40 | ihl;
		assert_int_equal(parse_frame(&p), DROP_bad_header);
	}
	start(4, IPPROTO_UDP);
	frame_udp(&f, 40000, 443);
	frame_finish(&f);
	f.octets[0] = 0x4f; /* 60 octets of header in 28 of packet */
	assert_int_equal(parse_frame(&p), DROP_bad_header);
}

static void
test_ipv4_total_length_below_header(void **state)
{
	struct packet p;

	(void)state;
	for (size_t total = 0; total < 20; total++) {
		start(4, IPPROTO_UDP);
		frame_udp(&f, 40000, 443);
		frame_finish(&f);
		frame_put16(f.octets + 2, total);
		frame_ip_checksum(&f);
		assert_int_equal(parse_frame(&p), DROP_bad_header);
	}
}

static void
test_ipv4_every_options_length(void **state)
{
	static const uint8_t options[40] = {1, 1, 1, 1};
	struct packet p;

	(void)state;
	for (size_t len = 0; len <= 40; len += 4) {
		start(4, IPPROTO_TCP);
		frame_ip_options(&f, options, len);
		frame_tcp(&f, 40000, 443, 7, 8, TCP_ACK, NULL, 0);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_none);
		assert_int_equal(p.transport, 20 + len);
		assert_int_equal(p.payload, p.len);
		assert_addresses(&p, 4, true);
	}
}

/* Each single wrong bit of the header is noticed. */
static void
test_ipv4_header_checksum(void **state)
{
	struct packet p;

	(void)state;
	for (int bit = 8; bit < 160; bit++) {
		start(4, IPPROTO_UDP);
		frame_udp(&f, 40000, 443);
		frame_finish(&f);
		f.octets[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		if (bit / 8 == 2 || bit / 8 == 3) /* the length, noticed first */
			f.len = 65535;
		assert_int_equal(parse_frame(&p), DROP_bad_header);
	}
}

static void
test_transport_checksums_are_not_looked_at(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, IPPROTO_TCP);
		frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, NULL, 0);
		frame_finish(&f);
		f.octets[frame_checksum_at(&f)] ^= 0xff;
		assert_int_equal(parse_frame(&p), DROP_none);
	}
}

static void
test_tcp_data_offset(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (unsigned offset = 0; offset < 16; offset++) {
			start(version, IPPROTO_TCP);
			frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, NULL, 0);
			frame_payload(&f, 12);
			frame_finish(&f);
			f.octets[f.transport + 12] = (uint8_t)(offset << 4 | 0xf);
			if (offset < 5)
				assert_int_equal(parse_frame(&p), DROP_bad_header);
			else if (offset > 8)
				assert_int_equal(parse_frame(&p), DROP_too_short);
			else {
				assert_int_equal(parse_frame(&p), DROP_none);
				assert_int_equal(p.payload, p.transport + offset * 4);
			}
		}
}

static void
test_udp_length(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (unsigned len = 0; len < 30; len++) {
			start(version, IPPROTO_UDP);
			frame_udp(&f, 40000, 443);
			frame_payload(&f, 12);
			frame_finish(&f);
			frame_put16(f.octets + f.transport + 4, len);
			if (len < 8)
				assert_int_equal(parse_frame(&p), DROP_bad_header);
			else if (len > 20)
				assert_int_equal(parse_frame(&p), DROP_too_short);
			else
				assert_int_equal(parse_frame(&p), DROP_none);
		}
}

static void
test_unknown_protocols(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int protocol = 0; protocol < 256; protocol++) {
			enum drop expected = DROP_bad_protocol;

			if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
			    protocol == icmp_of(version))
				continue;
			if (version == 6 &&
			    (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
				protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS))
				continue; /* these are walked */
			start(version, (uint8_t)protocol);
			frame_payload(&f, 40);
			f.fragment_later = true;
			frame_finish(&f);
			assert_int_equal(parse_frame(&p), expected);
		}
}

static void
test_ipv6_extension_headers(void **state)
{
	struct packet p;

	(void)state;
	start(6, IPPROTO_TCP);
	frame_extension(&f, IPPROTO_HOPOPTS, 8);
	frame_extension(&f, IPPROTO_DSTOPTS, 24);
	frame_extension(&f, IPPROTO_ROUTING, 8);
	f.octets[f.len - 8 + 2] = 4; /* segment routing, no segments left */
	f.octets[f.len - 8 + 3] = 0;
	frame_fragment(&f, 0, false, 77); /* atomic */
	frame_extension(&f, IPPROTO_DSTOPTS, 2048);
	frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, NULL, 0);
	frame_payload(&f, 1);
	frame_finish(&f);
	assert_int_equal(parse_frame(&p), DROP_none);
	assert_int_equal(p.protocol, IPPROTO_TCP);
	assert_int_equal(p.transport, 40 + 8 + 24 + 8 + 8 + 2048);
	assert_int_equal(packet_payload_len(&p), 1);
	assert_addresses(&p, 6, true);
	assert_not_fragmented(&p);
}

static void
test_ipv6_number_of_headers(void **state)
{
	struct packet p;

	(void)state;
	for (int count = 0; count <= PACKET_MAX_HEADERS + 2; count++) {
		start(6, IPPROTO_UDP);
		for (int i = 0; i < count; i++)
			frame_extension(&f, IPPROTO_DSTOPTS, 8);
		frame_udp(&f, 40000, 443);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p),
		    count <= PACKET_MAX_HEADERS ? DROP_none : DROP_too_many_headers);
	}
}

/* RFC 8200, 4.7: headers alone are complete, but for nobody here. */
static void
test_ipv6_no_next_header(void **state)
{
	struct packet p;

	(void)state;
	for (int extension = 0; extension < 2; extension++) {
		start(6, IPPROTO_NONE);
		if (extension)
			frame_extension(&f, IPPROTO_DSTOPTS, 16);
		f.fragment_later = true; /* no transport header */
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_bad_protocol);
	}
}

/* RFC 8200, 4.1: the hop-by-hop options come first or not at all. */
static void
test_ipv6_hop_by_hop_later(void **state)
{
	struct packet p;

	(void)state;
	start(6, IPPROTO_UDP);
	frame_extension(&f, IPPROTO_DSTOPTS, 8);
	frame_extension(&f, IPPROTO_HOPOPTS, 8);
	frame_udp(&f, 40000, 443);
	frame_finish(&f);
	assert_int_equal(parse_frame(&p), DROP_bad_header);
}

static void
test_ipv6_routing_headers(void **state)
{
	struct packet p;

	(void)state;
	for (unsigned type = 0; type < 6; type++)
		for (unsigned left = 0; left < 2; left++) {
			start(6, IPPROTO_TCP);
			frame_extension(&f, IPPROTO_ROUTING, 24);
			f.octets[42] = (uint8_t)type;
			f.octets[43] = (uint8_t)left;
			frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, NULL, 0);
			frame_finish(&f);
			assert_int_equal(parse_frame(&p),
			    type == 0 || left > 0 ? DROP_routing_header : DROP_none);
		}
}

static void
test_ipv6_two_fragment_headers(void **state)
{
	struct packet p;

	(void)state;
	start(6, IPPROTO_UDP);
	frame_fragment(&f, 0, false, 1);
	frame_fragment(&f, 0, false, 1);
	frame_udp(&f, 40000, 443);
	frame_finish(&f);
	assert_int_equal(parse_frame(&p), DROP_bad_header);
}

/* Length 0 means a jumbogram only with its option, which is not supported: nothing follows. */
static void
test_ipv6_jumbo(void **state)
{
	struct packet p;

	(void)state;
	start(6, IPPROTO_TCP);
	frame_extension(&f, IPPROTO_HOPOPTS, 8);
	memcpy(f.octets + 42, "\xc2\x04\x00\x01\x00\x40", 6);
	frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, NULL, 0);
	frame_payload(&f, 65535 - 28);
	frame_finish(&f);
	frame_put16(f.octets + 4, 0);
	assert_int_equal(parse_frame(&p), DROP_too_short);
}

/* Inside wlad it would be taken for an IPv4 address. */
static void
test_ipv6_mapped_addresses(void **state)
{
	static const char *const mapped[][2] = {{"::ffff:192.0.2.1", "2001:db8::1"},
	    {"2001:db8::1", "::ffff:192.0.2.1"}, {"::ffff:192.0.2.1", "::ffff:192.0.2.2"}};
	struct addr a, b, plain = frame_addr("2001:db8::2", 0);
	struct packet p;

	(void)state;
	for (int i = 0; i < 3; i++) {
		frame_ip(&f, &plain, &plain, IPPROTO_UDP);
		a = frame_addr(mapped[i][0], 0);
		b = frame_addr(mapped[i][1], 0);
		memcpy(f.octets + 8, a.ip.octet, 16);
		memcpy(f.octets + 24, b.ip.octet, 16);
		frame_udp(&f, 40000, 443);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_bad_header);
	}
}

static void
test_first_fragment(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, IPPROTO_UDP);
		frame_fragment(&f, 0, true, version == 4 ? 0xbeef : 0xdeadbeef);
		if (version == 6)
			frame_extension(&f, IPPROTO_DSTOPTS, 8);
		frame_udp(&f, 40000, 443);
		frame_payload(&f, 16);
		frame_finish(&f);
		frame_put16(f.octets + f.transport + 4, 3000); /* of the whole datagram */
		assert_int_equal(parse_frame(&p), DROP_none);
		assert_int_equal(p.fragment, PACKET_FIRST_FRAGMENT);
		assert_int_equal(p.fragment_id, version == 4 ? 0xbeef : 0xdeadbeef);
		assert_int_equal(p.fragment_offset, 0);
		assert_int_equal(p.fragment_len, version == 4 ? 24 : 32);
		assert_true(p.fragment_more);
		assert_int_equal(packet_payload_len(&p), 16);
		assert_addresses(&p, version, true);
	}
}

/* RFC 7112: what follows could not be told apart from an attack. */
static void
test_first_fragment_holds_the_whole_header(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (size_t len = 8; len <= 32; len += 8) {
			start(version, IPPROTO_TCP);
			frame_fragment(&f, 0, true, 1);
			frame_tcp(&f, 40000, 443, 1, 2, TCP_SYN, "\2\4\5\xb4", 4);
			frame_payload(&f, 8);
			f.len = f.transport + len;
			f.fragment_later = true; /* do not finish the transport */
			frame_finish(&f);
			assert_int_equal(parse_frame(&p), len < 24 ? DROP_too_short : DROP_none);
		}
}

static void
test_later_fragment(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int more = 0; more < 2; more++) {
			start(version, IPPROTO_TCP);
			frame_fragment(&f, 1480, more, 0x4711);
			frame_payload(&f, more ? 16 : 3);
			frame_finish(&f);
			assert_int_equal(parse_frame(&p), DROP_none);
			assert_int_equal(p.fragment, PACKET_LATER_FRAGMENT);
			assert_int_equal(p.fragment_id, 0x4711);
			assert_int_equal(p.fragment_offset, 1480);
			assert_int_equal(p.fragment_len, more ? 16 : 3);
			assert_int_equal(p.fragment_more, more);
			assert_int_equal(p.protocol, IPPROTO_TCP);
			assert_int_equal(p.transport, f.transport);
			assert_int_equal(p.payload, p.transport);
			assert_int_equal(p.tcp_flags, 0);
			assert_addresses(&p, version, false);
		}
}

/* RFC 3128: one that would overwrite the flags of the header that was looked at. */
static void
test_later_fragment_inside_the_tcp_header(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < 2; i++)
			for (uint32_t offset = 8; offset <= 32; offset += 8) {
				start(version, protocols[i]);
				frame_fragment(&f, offset, false, 1);
				frame_payload(&f, 8);
				frame_finish(&f);
				assert_int_equal(parse_frame(&p),
				    i == 0 && offset < 20 ? DROP_bad_header : DROP_none);
			}
}

static void
test_fragment_lengths(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		for (size_t len = 0; len <= 24; len++) { /* not the last: multiples of 8 */
			start(version, IPPROTO_UDP);
			frame_fragment(&f, 64, true, 1);
			frame_payload(&f, len);
			frame_finish(&f);
			assert_int_equal(parse_frame(&p),
			    len == 0 || len % 8 != 0 ? DROP_bad_header : DROP_none);
		}
		start(version, IPPROTO_UDP);
		frame_fragment(&f, 64, false, 1);
		frame_finish(&f);
		assert_int_equal(parse_frame(&p), DROP_bad_header);
	}
}

/* The datagram with all headers that belong to it has at most 65535 octets. */
static void
test_fragment_beyond_the_largest_datagram(void **state)
{
	struct packet p;
	uint32_t fits;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (size_t len = 1; len <= 32; len++)
			for (int extension = 0; extension < 2; extension++) {
				start(version, IPPROTO_UDP);
				if (extension && version == 6)
					frame_extension(&f, IPPROTO_HOPOPTS, 16);
				if (extension && version == 4)
					frame_ip_options(&f, "\1\1\1\0", 4);
				fits = version == 4 ? 65535 - 20 : 65535;
				if (extension)
					fits -= version == 4 ? 4 : 16;
				frame_fragment(&f, 65504, false, 1);
				frame_payload(&f, len);
				frame_finish(&f);
				assert_int_equal(parse_frame(&p),
				    65504 + len <= fits ? DROP_none : DROP_bad_header);
			}
}

/* The header behind a later fragment's may be anything: its connection is looked up by protocol. */
static void
test_later_fragment_of_options(void **state)
{
	struct packet p;

	(void)state;
	start(6, IPPROTO_DSTOPTS);
	frame_fragment(&f, 1480, false, 1);
	frame_payload(&f, 40);
	frame_finish(&f);
	assert_int_equal(parse_frame(&p), DROP_bad_protocol);
}

static enum drop
parse_offload(enum packet_gso gso, uint16_t gso_size, bool partial)
{
	struct packet p = frame_packet(&f);

	p.gso = (uint8_t)gso;
	p.gso_size = gso_size;
	p.partial = partial;
	return parse(&p);
}

static void
test_partial(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		start(version, IPPROTO_TCP);
		frame_tcp(&f, 40000, 443, 1, 2, TCP_ACK, NULL, 0);
		frame_finish_partial(&f);
		assert_int_equal(parse_offload(PACKET_GSO_NONE, 0, true), DROP_none);

		start(version, IPPROTO_UDP);
		frame_udp(&f, 40000, 443);
		frame_payload(&f, 4);
		frame_finish_partial(&f);
		assert_int_equal(parse_offload(PACKET_GSO_NONE, 0, true), DROP_none);
		frame_put16(f.octets + f.transport + 4, 10); /* ends before the packet does */
		assert_int_equal(parse_offload(PACKET_GSO_NONE, 0, true), DROP_bad_offload);
		assert_int_equal(parse_offload(PACKET_GSO_NONE, 0, false), DROP_none);

		start(version, icmp_of(version));
		frame_icmp(&f, version == 4 ? 8 : 128, 0, 0);
		frame_finish(&f);
		assert_int_equal(parse_offload(PACKET_GSO_NONE, 0, true), DROP_bad_offload);
	}
}

static void
test_partial_fragments(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (uint32_t offset = 0; offset <= 1480; offset += 1480) {
			start(version, IPPROTO_UDP);
			frame_fragment(&f, offset, true, 1);
			frame_udp(&f, 40000, 443);
			frame_payload(&f, 8);
			frame_finish(&f);
			assert_int_equal(parse_offload(PACKET_GSO_NONE, 0, false), DROP_none);
			assert_int_equal(
			    parse_offload(PACKET_GSO_NONE, 0, true), DROP_bad_offload);
			assert_int_equal(
			    parse_offload(PACKET_GSO_UDP, 8, false), DROP_bad_offload);
		}
}

static void
super(int version, uint8_t protocol, uint8_t flags, size_t payload)
{
	start(version, protocol);
	if (protocol == IPPROTO_TCP)
		frame_tcp(&f, 40000, 443, 1, 2, flags, NULL, 0);
	else if (protocol == IPPROTO_UDP)
		frame_udp(&f, 40000, 443);
	else
		frame_icmp(&f, version == 4 ? 8 : 128, 0, 0);
	frame_payload(&f, payload);
	frame_finish_partial(&f);
}

static void
test_super_packet_kinds(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	enum packet_gso right;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < 3; i++) {
			right = version == 4 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6;
			if (i > 0)
				right = i == 1 ? PACKET_GSO_UDP : PACKET_GSO_NONE;
			super(version, i == 2 ? icmp_of(version) : protocols[i], TCP_ACK, 5000);
			for (int gso = PACKET_GSO_TCP4; gso <= PACKET_GSO_UDP + 1; gso++) {
				assert_int_equal(parse_offload(gso, 1400, i < 2),
				    gso == (int)right ? DROP_none : DROP_bad_offload);
				assert_int_equal(parse_offload(gso, 0, i < 2), DROP_bad_offload);
			}
		}
}

static void
test_super_packet_sizes(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		/* the largest the length field can say */
		super(version, IPPROTO_TCP, TCP_ACK, 65535 - 20 - (version == 4 ? 20 : 0));
		p = frame_packet(&f);
		p.gso = version == 4 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6;
		p.gso_size = 1448;
		p.partial = true;
		assert_int_equal(parse(&p), DROP_none);
		assert_int_equal(p.len, version == 4 ? 65535 : PACKET_MAX);
		/* of one segment, and of none */
		super(version, IPPROTO_UDP, 0, 10);
		assert_int_equal(parse_offload(PACKET_GSO_UDP, 1400, true), DROP_none);
		super(version, IPPROTO_UDP, 0, 0);
		assert_int_equal(parse_offload(PACKET_GSO_UDP, 1400, true), DROP_none);
		/* whose length field wrapped */
		super(version, IPPROTO_UDP, 0, 1000);
		frame_put16(f.octets + (version == 4 ? 2 : 4), 0);
		if (version == 4)
			frame_ip_checksum(&f);
		assert_int_equal(parse_offload(PACKET_GSO_UDP, 100, true),
		    version == 4 ? DROP_bad_header : DROP_too_short);
	}
}

static void
test_super_packet_udp_length(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		super(version, IPPROTO_UDP, 0, 5000);
		frame_put16(f.octets + f.transport + 4, 1408); /* of a segment, not of all */
		assert_int_equal(parse_offload(PACKET_GSO_UDP, 1400, true), DROP_bad_offload);
		assert_int_equal(parse_offload(PACKET_GSO_UDP, 1400, false), DROP_bad_offload);
	}
}

static void
test_super_packet_with_syn(void **state)
{
	(void)state;
	super(4, IPPROTO_TCP, TCP_SYN, 5000);
	assert_int_equal(parse_offload(PACKET_GSO_TCP4, 1400, true), DROP_bad_offload);
	super(6, IPPROTO_TCP, TCP_SYN | TCP_ACK, 5000);
	assert_int_equal(parse_offload(PACKET_GSO_TCP6, 1400, true), DROP_bad_offload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tcp),
	    cmocka_unit_test(test_tcp_flags),
	    cmocka_unit_test(test_udp),
	    cmocka_unit_test(test_icmp),
	    cmocka_unit_test(test_every_truncation_is_too_short),
	    cmocka_unit_test(test_every_shorter_ip_length),
	    cmocka_unit_test(test_every_shorter_ipv6_length),
	    cmocka_unit_test(test_padding_is_cut),
	    cmocka_unit_test(test_other_versions),
	    cmocka_unit_test(test_ipv4_header_length),
	    cmocka_unit_test(test_ipv4_total_length_below_header),
	    cmocka_unit_test(test_ipv4_every_options_length),
	    cmocka_unit_test(test_ipv4_header_checksum),
	    cmocka_unit_test(test_transport_checksums_are_not_looked_at),
	    cmocka_unit_test(test_tcp_data_offset),
	    cmocka_unit_test(test_udp_length),
	    cmocka_unit_test(test_unknown_protocols),
	    cmocka_unit_test(test_ipv6_extension_headers),
	    cmocka_unit_test(test_ipv6_number_of_headers),
	    cmocka_unit_test(test_ipv6_no_next_header),
	    cmocka_unit_test(test_ipv6_hop_by_hop_later),
	    cmocka_unit_test(test_ipv6_routing_headers),
	    cmocka_unit_test(test_ipv6_two_fragment_headers),
	    cmocka_unit_test(test_ipv6_jumbo),
	    cmocka_unit_test(test_ipv6_mapped_addresses),
	    cmocka_unit_test(test_first_fragment),
	    cmocka_unit_test(test_first_fragment_holds_the_whole_header),
	    cmocka_unit_test(test_later_fragment),
	    cmocka_unit_test(test_later_fragment_inside_the_tcp_header),
	    cmocka_unit_test(test_fragment_lengths),
	    cmocka_unit_test(test_fragment_beyond_the_largest_datagram),
	    cmocka_unit_test(test_later_fragment_of_options),
	    cmocka_unit_test(test_partial),
	    cmocka_unit_test(test_partial_fragments),
	    cmocka_unit_test(test_super_packet_kinds),
	    cmocka_unit_test(test_super_packet_sizes),
	    cmocka_unit_test(test_super_packet_udp_length),
	    cmocka_unit_test(test_super_packet_with_syn),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
