#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/random.h"
#include "frames.h"
#include "packet/convert.h"

static struct frame f, expected;

/* What a packet of the tests is made of. */
struct make {
	int version;
	uint8_t protocol;
	bool options;    /* IPv4 options or IPv6 extension headers */
	uint32_t offset; /* not 0: a later fragment */
	bool partial;
	size_t payload;
};

static uint8_t
icmp_of(int version)
{
	return version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

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
make(struct frame *to, const struct make *m, const struct addr *source,
    const struct addr *destination)
{
	frame_ip(to, source, destination, m->protocol);
	if (m->options && m->version == 4)
		frame_ip_options(to, "\7\7\4\0\0\0\0\0", 8);
	if (m->options && m->version == 6) {
		frame_extension(to, IPPROTO_HOPOPTS, 8);
		frame_extension(to, IPPROTO_DSTOPTS, 16);
	}
	if (m->offset > 0)
		frame_fragment(to, m->offset, true, 99);
	if (m->offset == 0) {
		if (m->protocol == IPPROTO_TCP)
			frame_tcp(
			    to, source->port, destination->port, 1, 2, TCP_ACK, "\1\1\1\0", 4);
		else if (m->protocol == IPPROTO_UDP)
			frame_udp(to, source->port, destination->port);
		else
			frame_icmp(to, m->version == 4 ? 8 : 128, 0, 0x12340001);
	}
	frame_payload(to, m->payload);
	if (m->partial)
		frame_finish_partial(to);
	else
		frame_finish(to);
}

static struct packet
parsed(struct frame *from, bool partial)
{
	struct packet p = frame_packet(from);

	p.partial = partial;
	assert_int_equal(packet_parse(&p), DROP_none);
	return p;
}

static void
assert_view(const struct packet *p, const struct addr *source, const struct addr *destination,
    bool ports)
{
	struct addr a = *source, b = *destination;

	if (!ports)
		a.port = b.port = 0;
	assert_true(addr_equal(&p->source, &a));
	assert_true(addr_equal(&p->destination, &b));
}

/* Converts a packet and compares it with one made for the new addresses. */
static void
check(const struct make *m, const struct addr *source, const struct addr *destination)
{
	struct addr c = client(m->version), s = service(m->version);
	bool ports = m->protocol == IPPROTO_TCP || m->protocol == IPPROTO_UDP;
	struct packet p;

	make(&f, m, &c, &s);
	make(&expected, m, source, destination);
	p = parsed(&f, m->partial);
	packet_convert(&p, source, destination);
	assert_memory_equal(f.octets, expected.octets, f.len);
	assert_view(&p, source, destination, ports && m->offset == 0);
	/* and the view says the same as the octets */
	p = parsed(&f, m->partial);
	assert_view(&p, source, destination, ports && m->offset == 0);
}

static struct addr
random_addr(struct random *r, int version)
{
	uint8_t octets[16];
	struct addr addr;

	for (int i = 0; i < 16; i++)
		octets[i] = (uint8_t)random_next(r);
	addr.ip = version == 4 ? ip_from_v4(octets) : ip_from_v6(octets);
	addr.port = (uint16_t)random_next(r);
	return addr;
}

static void
check_random(struct make m)
{
	struct addr a, b;
	struct random r;

	random_init(&r, m.version);
	for (m.payload = 0; m.payload < 80; m.payload += 8) {
		a = random_addr(&r, m.version);
		b = random_addr(&r, m.version);
		if (m.offset > 0 && m.payload == 0)
			continue;
		check(&m, &a, &b);
	}
}

static void
test_every_kind(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, icmp_of(version)};

		for (int i = 0; i < 3; i++)
			for (int options = 0; options < 2; options++) {
				struct make m = {.version = version,
				    .protocol = protocols[i],
				    .options = options};

				check_random(m);
				if (i < 2) {
					m.partial = true;
					check_random(m);
				}
			}
	}
}

static void
test_odd_payloads(void **state)
{
	struct addr a, b;
	struct random r;

	(void)state;
	random_init(&r, 4);
	for (int version = 4; version <= 6; version += 2)
		for (size_t payload = 0; payload < 40; payload++) {
			struct make m = {
			    .version = version, .protocol = IPPROTO_TCP, .payload = payload};

			a = random_addr(&r, version);
			b = random_addr(&r, version);
			check(&m, &a, &b);
			m.protocol = IPPROTO_UDP;
			check(&m, &a, &b);
			m.protocol = icmp_of(version);
			check(&m, &a, &b);
		}
}

static void
test_later_fragments(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct make m = {.version = version, .protocol = IPPROTO_TCP, .offset = 1480};

		check_random(m);
		m.protocol = IPPROTO_UDP;
		check_random(m);
		m.protocol = icmp_of(version);
		m.options = true;
		check_random(m);
	}
}

/*
 * The checksum of a first fragment covers a datagram that is not all there: make one whole,
 * convert its first part, and the whole has to be right.
 */
static void
test_first_fragment(void **state)
{
	static struct frame whole;
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int udp = 0; udp < 2; udp++) {
			struct make m = {.version = version,
			    .payload = 100,
			    .protocol = udp ? IPPROTO_UDP : IPPROTO_TCP};
			struct addr c = client(version), s = service(version);
			struct addr a = frame_addr(version == 4 ? "10.0.0.9" : "2001:db8::9", 9),
				    b = frame_addr(version == 4 ? "10.9.8.7" : "2001:db8::8", 8);
			size_t len;

			make(&whole, &m, &c, &s);
			make(&expected, &m, &a, &b);
			frame_ip(&f, &c, &s, m.protocol);
			frame_fragment(&f, 0, true, 5);
			len = 64;
			frame_add(&f, whole.octets + whole.transport, len);
			f.fragment_later = true; /* keep the checksum of the whole */
			frame_finish(&f);
			p = parsed(&f, false);
			assert_int_equal(p.fragment, PACKET_FIRST_FRAGMENT);
			packet_convert(&p, &a, &b);
			assert_memory_equal(
			    f.octets + f.transport, expected.octets + expected.transport, len);
			p = parsed(&f, false);
			assert_view(&p, &a, &b, true);
		}
}

static void
test_same_addresses_change_nothing(void **state)
{
	struct addr c, s;
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct make m = {.version = version, .protocol = IPPROTO_UDP, .payload = 7};

		c = client(version);
		s = service(version);
		make(&f, &m, &c, &s);
		expected = f;
		p = parsed(&f, false);
		packet_convert(&p, &c, &s);
		assert_memory_equal(f.octets, expected.octets, f.len);
	}
}

/* The caller may hand in the view's own addresses: the way back. */
static void
test_turn_round(void **state)
{
	struct addr c, s;
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct make m = {.version = version, .protocol = IPPROTO_TCP, .payload = 7};

		c = client(version);
		s = service(version);
		make(&f, &m, &c, &s);
		make(&expected, &m, &s, &c);
		p = parsed(&f, false);
		packet_convert(&p, &p.destination, &p.source);
		assert_memory_equal(f.octets, expected.octets, f.len);
		assert_view(&p, &s, &c, true);
	}
}

static void
test_udp_without_checksum(void **state)
{
	struct addr a, b;
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct make m = {.version = version, .protocol = IPPROTO_UDP, .payload = 12};
		struct addr c = client(version), s = service(version);

		make(&f, &m, &c, &s);
		frame_put16(f.octets + frame_checksum_at(&f), 0);
		p = parsed(&f, false);
		a = s;
		b = c;
		packet_convert(&p, &a, &b);
		assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)), 0);
		assert_view(&p, &a, &b, true);
	}
}

/* Every port once: somewhere among them the sum comes out as 0, to be written 0xffff. */
static void
test_udp_computed_zero(void **state)
{
	int zeros = 0;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct make m = {.version = version, .protocol = IPPROTO_UDP, .payload = 3};
		struct addr c = client(version), s = service(version), a = c;
		struct packet p;

		make(&f, &m, &c, &s);
		p = parsed(&f, false);
		for (unsigned port = 0; port <= 0xffff; port++) {
			a.port = (uint16_t)port;
			packet_convert(&p, &a, &s);
			assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)),
			    frame_transport_checksum(&f));
			zeros += frame_get16(f.octets + frame_checksum_at(&f)) == 0xffff;
		}
	}
	assert_int_equal(zeros, 2);
}

/* In TCP a sum of 0 is written as it is. */
static void
test_tcp_computed_zero(void **state)
{
	struct make m = {.version = 4, .protocol = IPPROTO_TCP, .payload = 3};
	struct addr c = client(4), s = service(4), a = c;
	struct packet p;
	int zeros = 0;

	(void)state;
	make(&f, &m, &c, &s);
	p = parsed(&f, false);
	for (unsigned port = 0; port <= 0xffff; port++) {
		a.port = (uint16_t)port;
		packet_convert(&p, &a, &s);
		assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)),
		    frame_transport_checksum(&f));
		zeros += frame_get16(f.octets + frame_checksum_at(&f)) == 0;
	}
	assert_int_equal(zeros, 1);
}

/* A packet that came damaged leaves damaged, by as much as it was. */
static void
test_wrong_checksums_stay_wrong(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6};

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < (version == 4 ? 2 : 3); i++) {
			struct make m = {
			    .version = version, .protocol = protocols[i], .payload = 21};
			struct addr c = client(version), s = service(version), a = s, b = c;
			struct packet p;

			make(&f, &m, &c, &s);
			f.octets[f.len - 4] ^= 0x10;
			p = parsed(&f, false);
			packet_convert(&p, &a, &b);
			assert_int_not_equal(frame_get16(f.octets + frame_checksum_at(&f)),
			    frame_transport_checksum(&f));
			f.octets[f.len - 4] ^= 0x10;
			assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)),
			    frame_transport_checksum(&f));
		}
}

/* A partial sum that happens to be 0 is a sum, not "no checksum". */
static void
test_partial_zero(void **state)
{
	struct make m = {.version = 4, .protocol = IPPROTO_UDP, .partial = true};
	struct addr c = client(4), s = service(4), a = c;
	struct packet p;

	(void)state;
	make(&f, &m, &c, &s);
	frame_put16(f.octets + frame_checksum_at(&f), 0);
	p = parsed(&f, true);
	a.ip.octet[15]++; /* 198.51.100.8 */
	packet_convert(&p, &a, &s);
	assert_int_equal(frame_get16(f.octets + frame_checksum_at(&f)), 1);
}

static void
test_super_packets(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int udp = 0; udp < 2; udp++) {
			struct make m = {.version = version,
			    .payload = 65000,
			    .partial = true,
			    .protocol = udp ? IPPROTO_UDP : IPPROTO_TCP};
			struct addr c = client(version), s = service(version);
			struct packet p;

			make(&f, &m, &c, &s);
			make(&expected, &m, &s, &c);
			p = frame_packet(&f);
			p.partial = true;
			p.gso = version == 4 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6;
			if (udp)
				p.gso = PACKET_GSO_UDP;
			p.gso_size = 1400;
			assert_int_equal(packet_parse(&p), DROP_none);
			packet_convert(&p, &s, &c);
			assert_memory_equal(f.octets, expected.octets, f.len);
		}
}

static void
test_ttl(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (unsigned ttl = 0; ttl < 256; ttl++) {
			struct make m = {.version = version, .protocol = IPPROTO_TCP};
			struct addr c = client(version), s = service(version);

			make(&f, &m, &c, &s);
			f.octets[version == 4 ? 8 : 7] = (uint8_t)ttl;
			frame_finish(&f);
			expected = f;
			expected.octets[version == 4 ? 8 : 7] = (uint8_t)(ttl - (ttl > 1));
			frame_finish(&expected);
			p = parsed(&f, false);
			assert_int_equal(packet_decrement_ttl(&p), ttl > 1);
			assert_memory_equal(f.octets, expected.octets, f.len);
		}
}

static void
syn(struct frame *to, int version, uint8_t flags, const void *options, size_t len, bool partial)
{
	struct addr c = client(version), s = service(version);

	frame_ip(to, &s, &c, IPPROTO_TCP);
	frame_tcp(to, s.port, c.port, 1, 2, flags, options, len);
	if (partial)
		frame_finish_partial(to);
	else
		frame_finish(to);
}

/* Clamps a SYN-ACK with the options; what must come out are the other options. */
static void
check_clamp(const void *before, const void *after, size_t len, uint16_t mss)
{
	struct packet p;

	for (int version = 4; version <= 6; version += 2)
		for (int partial = 0; partial < 2; partial++) {
			syn(&f, version, TCP_SYN | TCP_ACK, before, len, partial);
			syn(&expected, version, TCP_SYN | TCP_ACK, after, len, partial);
			p = parsed(&f, partial);
			assert_int_equal(
			    packet_clamp_mss(&p, mss), memcmp(before, after, len) != 0);
			assert_memory_equal(f.octets, expected.octets, f.len);
		}
}

static void
test_clamp_lowers(void **state)
{
	(void)state;
	check_clamp("\2\4\5\xb4", "\2\4\5\x78", 4, 1400);
	check_clamp("\2\4\xff\xff", "\2\4\0\0", 4, 0);
	check_clamp("\2\4\5\xb4\1\3\3\7\4\2\0\0", "\2\4\4\xb0\1\3\3\7\4\2\0\0", 12, 1200);
	check_clamp("\4\2\3\3\7\2\4\5\xb4\0\0\0", "\4\2\3\3\7\2\4\4\xb0\0\0\0", 12, 1200);
}

/* The value at an odd offset: its octets belong to two words of the checksum. */
static void
test_clamp_odd_offset(void **state)
{
	(void)state;
	check_clamp("\1\2\4\5\xb4\0\0\0", "\1\2\4\5\x78\0\0\0", 8, 1400);
	check_clamp("\1\2\4\xff\xff\1\1\1", "\1\2\4\0\1\1\1\1", 8, 1);
	check_clamp("\3\3\7\2\4\5\xb4\0", "\3\3\7\2\4\4\xb0\0", 8, 1200);
}

static void
test_clamp_every_value(void **state)
{
	uint8_t options[8] = {1, 2, 4, 0, 0, 1, 1, 1};
	struct packet p;

	(void)state;
	for (unsigned value = 0; value < 65536; value += 13)
		for (size_t at = 0; at < 2; at++) {
			frame_put16(options + 3, value);
			syn(&f, 4, TCP_SYN, options + (1 - at), 4 + 4 * at, false);
			p = parsed(&f, false);
			assert_int_equal(packet_clamp_mss(&p, 1360), value > 1360);
			assert_int_equal(
			    frame_get16(f.octets + 42 + at), value > 1360 ? 1360 : value);
			assert_int_equal(
			    frame_get16(f.octets + 36), frame_transport_checksum(&f));
		}
}

/* Options may fill the header to its last octet. */
static void
test_clamp_full_options(void **state)
{
	(void)state;
	check_clamp("\1\1\2\4\5\xb4\4\2", "\1\1\2\4\4\xb0\4\2", 8, 1200);
	check_clamp("\4\2\1\1\2\4\5\xb4", "\4\2\1\1\2\4\4\xb0", 8, 1200);
}

/* What follows the options is data, even if it looks like more of them. */
static void
test_clamp_ends_at_the_data(void **state)
{
	static const char *const data[] = {"\3\0\0\0", "\2\4\5\xb4"};
	struct packet p;

	(void)state;
	for (int i = 0; i < 2; i++) {
		syn(&f, 4, TCP_SYN, "\2\4\5\xb4", 4, false);
		frame_add(&f, data[i], 4);
		frame_finish(&f);
		syn(&expected, 4, TCP_SYN, "\2\4\4\xb0", 4, false);
		frame_add(&expected, data[i], 4);
		frame_finish(&expected);
		p = parsed(&f, false);
		assert_true(packet_clamp_mss(&p, 1200));
		assert_memory_equal(f.octets, expected.octets, f.len);
	}
}

static void
test_clamp_never_raises_or_adds(void **state)
{
	(void)state;
	check_clamp("\2\4\5\x78", "\2\4\5\x78", 4, 1400);
	check_clamp("\2\4\5\x77", "\2\4\5\x77", 4, 1400);
	check_clamp("\2\4\0\0", "\2\4\0\0", 4, 65535);
	check_clamp("", "", 0, 100);
	check_clamp("\4\2\0\0", "\4\2\0\0", 4, 100);
	check_clamp("\0\2\4\5\xb4\0\0\0", "\0\2\4\5\xb4\0\0\0", 8, 100); /* behind the end */
}

static void
test_clamp_twice_given(void **state)
{
	(void)state;
	check_clamp("\2\4\5\xb4\2\4\5\xb5", "\2\4\4\xb0\2\4\4\xb0", 8, 1200);
}

static void
test_clamp_malformed(void **state)
{
	(void)state;
	check_clamp("\2\4\5\xb4\3\0\0\0", "\2\4\5\xb4\3\0\0\0", 8, 100);
	check_clamp("\2\4\5\xb4\3\1\0\0", "\2\4\5\xb4\3\1\0\0", 8, 100);
	check_clamp("\2\4\5\xb4\3\5\0\0", "\2\4\5\xb4\3\5\0\0", 8, 100);
	check_clamp("\2\4\5\xb4\1\1\1\3", "\2\4\5\xb4\1\1\1\3", 8, 100);
	check_clamp("\2\3\5\1", "\2\3\5\1", 4, 100);
	check_clamp("\2\6\5\xb4\5\xb4\1\1", "\2\6\5\xb4\5\xb4\1\1", 8, 100);
	check_clamp("\1\1\2\4", "\1\1\2\4", 4, 100);
	check_clamp("\1\2\4\5", "\1\2\4\5", 4, 100);
}

/* Option lengths must not lead out of the options, whatever they are. */
static void
test_clamp_random_options(void **state)
{
	uint8_t options[40];
	struct packet p;
	struct random r;
	size_t len;

	(void)state;
	random_init(&r, 7);
	for (int i = 0; i < 20000; i++) {
		len = random_below(&r, 11) * 4;
		for (size_t j = 0; j < len; j++)
			options[j] = (uint8_t)random_below(&r, 7);
		syn(&f, 4, TCP_SYN, options, len, false);
		p = parsed(&f, false);
		packet_clamp_mss(&p, (uint16_t)random_below(&r, 1600));
		assert_int_equal(frame_get16(f.octets + 36), frame_transport_checksum(&f));
	}
}

static void
test_clamp_only_syn(void **state)
{
	static const uint8_t flags[] = {0, TCP_ACK, TCP_FIN, TCP_RST, TCP_PSH | TCP_ACK};
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		syn(&f, 4, flags[i], "\2\4\5\xb4", 4, false);
		expected = f;
		p = parsed(&f, false);
		assert_false(packet_clamp_mss(&p, 100));
		assert_memory_equal(f.octets, expected.octets, f.len);
	}
	syn(&f, 4, TCP_SYN, "\2\4\5\xb4", 4, false);
	p = parsed(&f, false);
	assert_true(packet_clamp_mss(&p, 100));
}

static void
test_clamp_not_tcp(void **state)
{
	struct addr c = client(4), s = service(4);
	struct packet p;

	(void)state;
	frame_ip(&f, &c, &s, IPPROTO_UDP);
	frame_udp(&f, 1, 2);
	frame_payload(&f, 40);
	frame_finish(&f);
	expected = f;
	p = parsed(&f, false);
	assert_false(packet_clamp_mss(&p, 100));

	/* a later fragment of TCP whose data look like a SYN with options */
	frame_ip(&f, &c, &s, IPPROTO_TCP);
	frame_fragment(&f, 1480, false, 1);
	frame_tcp(&f, 1, 2, 0, 0, TCP_SYN, "\2\4\5\xb4", 4);
	frame_finish(&f);
	expected = f;
	p = parsed(&f, false);
	assert_false(packet_clamp_mss(&p, 100));
	assert_memory_equal(f.octets, expected.octets, f.len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind),
	    cmocka_unit_test(test_odd_payloads),
	    cmocka_unit_test(test_later_fragments),
	    cmocka_unit_test(test_first_fragment),
	    cmocka_unit_test(test_same_addresses_change_nothing),
	    cmocka_unit_test(test_turn_round),
	    cmocka_unit_test(test_udp_without_checksum),
	    cmocka_unit_test(test_udp_computed_zero),
	    cmocka_unit_test(test_tcp_computed_zero),
	    cmocka_unit_test(test_wrong_checksums_stay_wrong),
	    cmocka_unit_test(test_partial_zero),
	    cmocka_unit_test(test_super_packets),
	    cmocka_unit_test(test_ttl),
	    cmocka_unit_test(test_clamp_lowers),
	    cmocka_unit_test(test_clamp_odd_offset),
	    cmocka_unit_test(test_clamp_every_value),
	    cmocka_unit_test(test_clamp_full_options),
	    cmocka_unit_test(test_clamp_ends_at_the_data),
	    cmocka_unit_test(test_clamp_never_raises_or_adds),
	    cmocka_unit_test(test_clamp_twice_given),
	    cmocka_unit_test(test_clamp_malformed),
	    cmocka_unit_test(test_clamp_random_options),
	    cmocka_unit_test(test_clamp_only_syn),
	    cmocka_unit_test(test_clamp_not_tcp),
	};

	return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
