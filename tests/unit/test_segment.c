#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "frames.h"
#include "packet/segment.h"

static struct frame f, expected;

#define CWR 0x80
#define ECE 0x40

/* A super-packet, and what its segments are to be. */
struct make {
	int version;
	uint8_t protocol;
	uint8_t flags;
	bool partial;
	bool extras; /* IP options or extension headers, TCP options */
	size_t payload;
	uint16_t size; /* gso_size */
};

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
make_headers(struct frame *to, const struct make *m, uint32_t seq, uint8_t flags)
{
	struct addr c = client(m->version), s = service(m->version);

	frame_ip(to, &c, &s, m->protocol);
	if (m->extras && m->version == 4)
		frame_ip_options(to, "\7\7\4\0\0\0\0\0", 8);
	if (m->extras && m->version == 6) {
		frame_extension(to, IPPROTO_HOPOPTS, 8);
		frame_extension(to, IPPROTO_DSTOPTS, 32);
	}
	if (m->protocol == IPPROTO_TCP)
		frame_tcp(to, c.port, s.port, seq, 77, flags, "\1\1\10\12\0\1\2\3\4\5\6\7",
		    m->extras ? 12 : 0);
	else
		frame_udp(to, c.port, s.port);
}

static void
finish(struct frame *to, bool partial)
{
	if (partial)
		frame_finish_partial(to);
	else
		frame_finish(to);
}

static struct packet
make_super(const struct make *m, uint32_t seq)
{
	struct packet p;

	make_headers(&f, m, seq, m->flags);
	frame_payload(&f, m->payload);
	finish(&f, m->partial);
	p = frame_packet(&f);
	p.partial = m->partial;
	p.gso = PACKET_GSO_UDP;
	if (m->protocol == IPPROTO_TCP)
		p.gso = m->version == 4 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6;
	p.gso_size = m->size;
	assert_int_equal(packet_parse(&p), DROP_none);
	return p;
}

/* Flags of the segment number index of count. */
static uint8_t
flags_of(uint8_t flags, size_t index, size_t count)
{
	if (index > 0)
		flags &= (uint8_t)~CWR;
	if (index + 1 < count)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	return flags;
}

/* Builds the segment number index by itself, from the super-packet's payload. */
static void
make_expected(
    const struct make *m, const struct packet *p, uint32_t seq, size_t index, size_t count)
{
	size_t offset = index * m->size;
	size_t len = m->payload - offset < m->size ? m->payload - offset : m->size;

	make_headers(&expected, m, seq + (uint32_t)offset, flags_of(m->flags, index, count));
	frame_add(&expected, p->data + p->payload + offset, len);
	if (m->version == 4)
		frame_put16(expected.octets + 4, 0xabcd + index);
	finish(&expected, m->partial);
}

static void
check(const struct make *m, uint32_t seq)
{
	struct packet p = make_super(m, seq);
	size_t count = m->payload == 0 ? 1 : (m->payload + m->size - 1) / m->size;
	struct segmenter s;
	struct segment out;
	size_t largest = 0;

	assert_int_equal(segment_count(&p), count);
	segment_start(&s, &p);
	for (size_t i = 0; i < count; i++) {
		assert_true(segment_next(&s, &out));
		make_expected(m, &p, seq, i, count);
		assert_int_equal(out.header_len, p.payload);
		assert_int_equal(out.header_len + out.payload_len, expected.len);
		assert_memory_equal(out.header, expected.octets, out.header_len);
		assert_ptr_equal(out.payload, p.data + p.payload + i * m->size);
		assert_memory_equal(
		    out.payload, expected.octets + out.header_len, out.payload_len);
		if (expected.len > largest)
			largest = expected.len;
	}
	assert_int_equal(segment_max_len(&p), largest);
	assert_true(s.done);
	assert_false(segment_next(&s, &out));
	assert_false(segment_next(&s, &out));
}

static void
test_every_kind(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};

	(void)state;
	for (int kind = 0; kind < 16; kind++) {
		struct make m = {.version = kind & 1 ? 6 : 4,
		    .protocol = protocols[kind >> 1 & 1],
		    .partial = (kind & 4) != 0,
		    .extras = (kind & 8) != 0,
		    .payload = 5000,
		    .size = 1400,
		    .flags = TCP_ACK | TCP_PSH};

		check(&m, 1000);
		m.size = 1; /* the smallest segments there are */
		m.payload = 7;
		check(&m, 1000);
		m.size = 333; /* odd offsets */
		m.payload = 334;
		check(&m, 1000);
	}
}

/* Exact multiples, one more, one less, a single segment, none. */
static void
test_boundaries(void **state)
{
	static const size_t payloads[] = {0, 1, 99, 100, 101, 199, 200, 201, 300};

	(void)state;
	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
			struct make m = {.version = kind & 1 ? 6 : 4,
			    .partial = true,
			    .protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP,
			    .size = 100,
			    .payload = payloads[i],
			    .flags = TCP_ACK | TCP_FIN};

			check(&m, 1);
			m.partial = false;
			check(&m, 1);
		}
}

static void
test_largest(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct make m = {.version = kind & 1 ? 6 : 4,
		    .partial = true,
		    .protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP,
		    .size = 1448,
		    .flags = TCP_ACK};

		m.payload = 65535 - (kind & 2 ? 8 : 20) - (m.version == 4 ? 20 : 0);
		check(&m, 1);
		m.size = 65535;
		check(&m, 1);
		m.size = 32768;
		check(&m, 1);
	}
}

/* Sequence numbers and identifications count on through zero. */
static void
test_wrap(void **state)
{
	struct make m = {.version = 4,
	    .protocol = IPPROTO_TCP,
	    .partial = true,
	    .size = 1,
	    .payload = 0x6000,
	    .flags = TCP_ACK};

	(void)state;
	check(&m, 0xffffff00);
}

/* RFC 3168, 6.1.2 and RFC 9293: each flag on the one segment it belongs to. */
static void
test_flags(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 256; flags++) {
		struct make m = {.version = 6,
		    .protocol = IPPROTO_TCP,
		    .partial = true,
		    .size = 10,
		    .payload = 35,
		    .flags = (uint8_t)flags};

		if ((flags & TCP_SYN) != 0)
			continue; /* no super-packet: see test_packet */
		check(&m, 5);
	}
}

static void
test_flags_by_name(void **state)
{
	struct make m = {.version = 4,
	    .protocol = IPPROTO_TCP,
	    .partial = true,
	    .size = 10,
	    .payload = 30,
	    .flags = TCP_ACK | TCP_PSH | TCP_FIN | CWR | ECE};
	static const uint8_t flags[] = {
	    TCP_ACK | CWR | ECE, TCP_ACK | ECE, TCP_ACK | ECE | TCP_PSH | TCP_FIN};
	struct packet p = make_super(&m, 5);
	struct segmenter s;
	struct segment out;

	(void)state;
	segment_start(&s, &p);
	for (int i = 0; i < 3; i++) {
		assert_true(segment_next(&s, &out));
		assert_int_equal(out.header[20 + 13], flags[i]);
	}
}

/* IPv4 without a checksum, as a super-packet that is not partial may be. */
static void
test_udp_without_checksum(void **state)
{
	struct make m = {.version = 4, .protocol = IPPROTO_UDP, .size = 10, .payload = 30};
	struct packet p = make_super(&m, 0);
	struct segmenter s;
	struct segment out;
	int count = 0;

	(void)state;
	frame_put16(f.octets + 20 + 6, 0);
	for (segment_start(&s, &p); segment_next(&s, &out); count++) {
		assert_int_equal(frame_get16(out.header + 20 + 6), 0);
		assert_int_equal(frame_get16(out.header + 20 + 4), 18);
	}
	assert_int_equal(count, 3);
}

/* 65536 datagrams of two octets, all values: one of them sums to 0. */
static void
test_udp_computed_zero(void **state)
{
	int zeros = 0;

	(void)state;
	for (unsigned first = 0; first < 65536; first += 16384) {
		struct make m = {
		    .version = 4, .protocol = IPPROTO_UDP, .size = 2, .payload = 32768};
		struct packet p = make_super(&m, 0);
		struct segmenter s;
		struct segment out;

		for (unsigned i = 0; i < 16384; i++)
			frame_put16(f.octets + 28 + 2 * i, first + i);
		for (segment_start(&s, &p); segment_next(&s, &out);) {
			assert_int_not_equal(frame_get16(out.header + 26), 0);
			zeros += frame_get16(out.header + 26) == 0xffff;
		}
	}
	assert_int_equal(zeros, 1);
}

/* An atomic fragment (RFC 6946) stays one. */
static void
test_atomic_fragment(void **state)
{
	struct addr c = client(6), s = service(6);
	struct packet p;
	struct segmenter segmenter;
	struct segment out;
	int count = 0;

	(void)state;
	frame_ip(&f, &c, &s, IPPROTO_UDP);
	frame_fragment(&f, 0, false, 0x1234);
	frame_udp(&f, 1, 2);
	frame_payload(&f, 100);
	frame_finish_partial(&f);
	p = frame_packet(&f);
	p.partial = true;
	p.gso = PACKET_GSO_UDP;
	p.gso_size = 50;
	assert_int_equal(packet_parse(&p), DROP_none);
	for (segment_start(&segmenter, &p); segment_next(&segmenter, &out); count++)
		assert_memory_equal(out.header + 40, f.octets + 40, 8);
	assert_int_equal(count, 2);
}

static void
test_headers_too_long(void **state)
{
	struct addr c = client(6), s = service(6);
	struct packet p;
	struct segmenter segmenter;
	struct segment out;

	(void)state;
	for (size_t extension = 200; extension <= 216; extension += 8) {
		frame_ip(&f, &c, &s, IPPROTO_UDP);
		frame_extension(&f, IPPROTO_DSTOPTS, extension);
		frame_udp(&f, 1, 2);
		frame_payload(&f, 100);
		frame_finish_partial(&f);
		p = frame_packet(&f);
		p.partial = true;
		p.gso = PACKET_GSO_UDP;
		p.gso_size = 50;
		assert_int_equal(packet_parse(&p), DROP_none);
		segment_start(&segmenter, &p);
		assert_int_equal(
		    segment_next(&segmenter, &out), 48 + extension <= SEGMENT_HEADER_MAX);
		assert_int_equal(segmenter.done, 48 + extension > SEGMENT_HEADER_MAX);
	}
	assert_false(segment_next(&segmenter, &out));
}

/* What is no super-packet comes out octet for octet, once. */
static void
check_whole(const struct packet *p)
{
	struct segmenter s;
	struct segment out;

	assert_int_equal(segment_count(p), 1);
	assert_int_equal(segment_max_len(p), p->len);
	segment_start(&s, p);
	assert_true(segment_next(&s, &out));
	assert_int_equal(out.header_len + out.payload_len, p->len);
	assert_in_range(out.header_len, 1, SEGMENT_HEADER_MAX);
	assert_memory_equal(out.header, p->data, out.header_len);
	assert_ptr_equal(out.payload, p->data + out.header_len);
	assert_false(segment_next(&s, &out));
}

static void
test_no_super_packet(void **state)
{
	struct addr c, s;
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct make m = {.version = version, .protocol = IPPROTO_TCP, .payload = 1000};

		make_headers(&f, &m, 1, TCP_ACK | TCP_FIN | TCP_PSH | CWR);
		frame_payload(&f, m.payload);
		frame_finish(&f);
		frame_put16(f.octets + frame_checksum_at(&f), 0xbad0);
		p = frame_packet(&f);
		assert_int_equal(packet_parse(&p), DROP_none);
		check_whole(&p);

		c = client(version);
		s = service(version);
		frame_ip(&f, &c, &s, IPPROTO_UDP);
		frame_fragment(&f, 1480, false, 1);
		frame_payload(&f, 500);
		frame_finish(&f);
		p = frame_packet(&f);
		assert_int_equal(packet_parse(&p), DROP_none);
		check_whole(&p);
	}
}

static void
test_no_super_packet_with_long_headers(void **state)
{
	struct addr c = client(6), s = service(6);
	struct packet p;

	(void)state;
	frame_ip(&f, &c, &s, IPPROTO_UDP);
	frame_extension(&f, IPPROTO_DSTOPTS, 1024);
	frame_udp(&f, 1, 2);
	frame_payload(&f, 100);
	frame_finish(&f);
	p = frame_packet(&f);
	assert_int_equal(packet_parse(&p), DROP_none);
	check_whole(&p);
}

static void
test_complete_checksum(void **state)
{
	struct packet p;

	(void)state;
	for (int kind = 0; kind < 8; kind++)
		for (size_t payload = 0; payload < 70; payload++) {
			struct make m = {.version = kind & 1 ? 6 : 4,
			    .payload = payload,
			    .protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP,
			    .extras = (kind & 4) != 0};

			make_headers(&f, &m, 1, TCP_ACK);
			frame_payload(&f, payload);
			expected = f;
			frame_finish(&expected);
			frame_finish_partial(&f);
			p = frame_packet(&f);
			p.partial = true;
			assert_int_equal(packet_parse(&p), DROP_none);
			packet_complete_checksum(&p);
			assert_false(p.partial);
			assert_memory_equal(f.octets, expected.octets, f.len);
			packet_complete_checksum(&p); /* once is enough */
			assert_memory_equal(f.octets, expected.octets, f.len);
		}
}

/* All payloads of two octets: the one that sums to 0 becomes 0xffff in UDP, stays 0 in TCP. */
static void
test_complete_zero(void **state)
{
	struct packet p;
	int zeros = 0, ones = 0;

	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		struct make m = {.version = 4, .protocol = udp ? IPPROTO_UDP : IPPROTO_TCP};

		make_headers(&f, &m, 1, TCP_ACK);
		frame_payload(&f, 2);
		frame_finish_partial(&f);
		expected = f;
		for (unsigned value = 0; value < 65536; value++) {
			frame_put16(f.octets + f.len - 2, value);
			memcpy(f.octets + frame_checksum_at(&f),
			    expected.octets + frame_checksum_at(&f), 2);
			p = frame_packet(&f);
			p.partial = true;
			assert_int_equal(packet_parse(&p), DROP_none);
			packet_complete_checksum(&p);
			assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)),
			    frame_transport_checksum(&f));
			zeros += frame_get16(f.octets + frame_checksum_at(&f)) == 0;
			ones += frame_get16(f.octets + frame_checksum_at(&f)) == 0xffff;
		}
	}
	assert_int_equal(zeros, 1);
	assert_int_equal(ones, 1);
}

static void
test_complete_leaves_full_ones(void **state)
{
	struct make m = {.version = 4, .protocol = IPPROTO_TCP};
	struct packet p;

	(void)state;
	make_headers(&f, &m, 1, TCP_ACK);
	frame_finish(&f);
	frame_put16(f.octets + frame_checksum_at(&f), 0x1234);
	p = frame_packet(&f);
	assert_int_equal(packet_parse(&p), DROP_none);
	packet_complete_checksum(&p);
	assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)), 0x1234);
}

/* Segmenting a partial super-packet and completing each is the same as segmenting a full one. */
static void
test_partial_segments_complete_to_full(void **state)
{
	static struct frame segment;
	struct packet p, q;
	struct segmenter s;
	struct segment out;

	(void)state;
	for (int kind = 0; kind < 8; kind++) {
		struct make m = {.version = kind & 1 ? 6 : 4,
		    .payload = 1001,
		    .size = 150,
		    .protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP,
		    .extras = (kind & 4) != 0,
		    .flags = TCP_ACK | TCP_PSH,
		    .partial = true};
		size_t index = 0;

		p = make_super(&m, 9);
		for (segment_start(&s, &p); segment_next(&s, &out); index++) {
			segment.len = 0;
			frame_add(&segment, out.header, out.header_len);
			frame_add(&segment, out.payload, out.payload_len);
			q = frame_packet(&segment);
			q.partial = true;
			assert_int_equal(packet_parse(&q), DROP_none);
			packet_complete_checksum(&q);
			m.partial = false;
			make_expected(&m, &p, 9, index, 7);
			assert_int_equal(segment.len, expected.len);
			assert_memory_equal(segment.octets, expected.octets, segment.len);
		}
		assert_int_equal(index, 7);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind),
	    cmocka_unit_test(test_boundaries),
	    cmocka_unit_test(test_largest),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_flags_by_name),
	    cmocka_unit_test(test_udp_without_checksum),
	    cmocka_unit_test(test_udp_computed_zero),
	    cmocka_unit_test(test_atomic_fragment),
	    cmocka_unit_test(test_headers_too_long),
	    cmocka_unit_test(test_no_super_packet),
	    cmocka_unit_test(test_no_super_packet_with_long_headers),
	    cmocka_unit_test(test_complete_checksum),
	    cmocka_unit_test(test_complete_zero),
	    cmocka_unit_test(test_complete_leaves_full_ones),
	    cmocka_unit_test(test_partial_segments_complete_to_full),
	};

	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
