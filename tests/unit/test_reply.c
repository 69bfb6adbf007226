#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "frames.h"
#include "packet/reply.h"

static struct frame f, expected;
static uint8_t buf[REPLY_MAX];

typedef size_t builder(const struct packet *to, uint8_t *at, size_t size);

static size_t
too_big(const struct packet *to, uint8_t *at, size_t size)
{
	return reply_too_big(to, 1400, at, size);
}

static size_t
time_exceeded(const struct packet *to, uint8_t *at, size_t size)
{
	struct addr router = frame_addr(to->version == 4 ? "192.0.2.99" : "2001:db8:a::99", 0);

	return reply_time_exceeded(to, &router.ip, at, size);
}

/* The four ICMP errors, and what they are to say. */
static const struct error {
	builder *build;
	uint8_t type4, code4, type6, code6;
	uint32_t rest;
} errors[] = {
    {reply_port_unreachable, 3, 3, 1, 4, 0},
    {reply_host_unreachable, 3, 1, 1, 3, 0},
    {too_big, 3, 4, 2, 0, 1400},
    {time_exceeded, 11, 0, 3, 0, 0},
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

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

static uint8_t
icmp_of(int version)
{
	return version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static struct packet
parsed(void)
{
	struct packet p = frame_packet(&f);

	assert_int_equal(packet_parse(&p), DROP_none);
	return p;
}

static struct packet
make_tcp(int version, uint8_t flags, uint32_t seq, uint32_t ack, size_t payload)
{
	struct addr c = client(version), s = service(version);

	frame_ip(&f, &c, &s, IPPROTO_TCP);
	frame_tcp(&f, c.port, s.port, seq, ack, flags, "\1\1\1\0", 4);
	frame_payload(&f, payload);
	frame_finish(&f);
	return parsed();
}

static struct packet
make_udp(const struct addr *from, const struct addr *to, size_t payload)
{
	frame_ip(&f, from, to, IPPROTO_UDP);
	frame_udp(&f, from->port, to->port);
	frame_payload(&f, payload);
	frame_finish(&f);
	return parsed();
}

static struct packet
make_icmp(int version, uint8_t type, uint8_t code, size_t payload)
{
	struct addr c = client(version), s = service(version);

	frame_ip(&f, &c, &s, icmp_of(version));
	frame_icmp(&f, type, code, 0x12340005);
	frame_payload(&f, payload);
	frame_finish(&f);
	return parsed();
}

/* What every packet of wlad's own has in common. */
static void
assert_own_header(const uint8_t *data, int version)
{
	assert_int_equal(data[0], version == 4 ? 0x45 : 0x60);
	assert_int_equal(data[version == 4 ? 8 : 7], 64);
	if (version == 4) {
		assert_int_equal(frame_get16(data + 4), 0);
		assert_int_equal(frame_get16(data + 6), 0x4000);
	} else
		assert_int_equal(frame_get32(data), 0x60000000);
}

/* The RST in buf: what RFC 9293 asks for, from the service to the client. */
static void
assert_reset(size_t len, int version, uint32_t seq, uint32_t ack, uint8_t flags)
{
	struct addr c = client(version), s = service(version);
	struct packet p = {.data = buf, .len = (uint32_t)len};

	assert_int_equal(len, version == 4 ? 40 : 60);
	assert_true(frame_is_right(buf, len));
	assert_own_header(buf, version);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.len, len);
	assert_int_equal(p.protocol, IPPROTO_TCP);
	assert_true(addr_equal(&p.source, &s));
	assert_true(addr_equal(&p.destination, &c));
	assert_int_equal(p.tcp_seq, seq);
	assert_int_equal(p.tcp_ack, ack);
	assert_int_equal(p.tcp_flags, flags);
	assert_int_equal(frame_get16(buf + p.transport + 14), 0);
	assert_int_equal(frame_get16(buf + p.transport + 18), 0);
}

static void
test_reset_to_ack(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int more = 0; more < 4; more++) {
			static const uint8_t flags[] = {
			    TCP_ACK, TCP_ACK | TCP_FIN, TCP_ACK | TCP_SYN, TCP_ACK | TCP_PSH};

			p = make_tcp(version, flags[more], 100, 0xfffffff0, 50);
			assert_reset(
			    reply_reset(&p, buf, sizeof(buf)), version, 0xfffffff0, 0, TCP_RST);
		}
}

/* Without ACK the reset acknowledges all that the segment took: data, SYN and FIN. */
static void
test_reset_to_no_ack(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		p = make_tcp(version, TCP_SYN, 1000, 55, 0);
		assert_reset(
		    reply_reset(&p, buf, sizeof(buf)), version, 0, 1001, TCP_RST | TCP_ACK);
		p = make_tcp(version, TCP_SYN, 0xffffffff, 0, 10); /* fast open */
		assert_reset(
		    reply_reset(&p, buf, sizeof(buf)), version, 0, 10, TCP_RST | TCP_ACK);
		p = make_tcp(version, TCP_FIN, 1000, 0, 7);
		assert_reset(
		    reply_reset(&p, buf, sizeof(buf)), version, 0, 1008, TCP_RST | TCP_ACK);
		p = make_tcp(version, 0, 1000, 0, 7);
		assert_reset(
		    reply_reset(&p, buf, sizeof(buf)), version, 0, 1007, TCP_RST | TCP_ACK);
	}
}

static void
test_reset_to_super_packet(void **state)
{
	struct packet p;

	(void)state;
	p = make_tcp(4, 0, 1000, 0, 60000);
	p.gso = PACKET_GSO_TCP4;
	p.gso_size = 1400;
	p.partial = true;
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_reset(reply_reset(&p, buf, sizeof(buf)), 4, 0, 61000, TCP_RST | TCP_ACK);
}

static void
test_no_reset(void **state)
{
	struct addr c = client(4), s = service(4);
	struct packet p;

	(void)state;
	p = make_tcp(4, TCP_RST, 1, 2, 0);
	assert_int_equal(reply_reset(&p, buf, sizeof(buf)), 0);
	p = make_tcp(6, TCP_RST | TCP_ACK, 1, 2, 0);
	assert_int_equal(reply_reset(&p, buf, sizeof(buf)), 0);
	p = make_udp(&c, &s, 20);
	assert_int_equal(reply_reset(&p, buf, sizeof(buf)), 0);
	p = make_icmp(6, 128, 0, 20);
	assert_int_equal(reply_reset(&p, buf, sizeof(buf)), 0);
}

/* Where a first fragment's segment ends is not known: only an ACK says all that is needed. */
static void
test_reset_to_fragments(void **state)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_ACK};
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int ack = 0; ack < 2; ack++) {
			struct addr c = client(version), s = service(version);

			frame_ip(&f, &c, &s, IPPROTO_TCP);
			frame_fragment(&f, 0, true, 1);
			frame_tcp(&f, c.port, s.port, 1, 2, flags[ack], "\1\1\1\0", 4);
			frame_finish(&f);
			p = parsed();
			assert_int_equal(reply_reset(&p, buf, sizeof(buf)) > 0, ack);
		}
}

static void
test_build_reset(void **state)
{
	struct addr c, s;
	size_t len;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		c = client(version);
		s = service(version);
		len = reply_build_reset(&s, &c, 0xfffffffe, 0x80000001, buf, sizeof(buf));
		assert_reset(len, version, 0xfffffffe, 0x80000001, TCP_RST | TCP_ACK);
	}
	c = client(4);
	s = service(6);
	assert_int_equal(reply_build_reset(&c, &s, 1, 2, buf, sizeof(buf)), 0);
	assert_int_equal(reply_build_reset(&s, &c, 1, 2, buf, sizeof(buf)), 0);
}

static void
test_build_udp(void **state)
{
	static const uint8_t payload[101] = {1, 2, 3};
	struct addr c, s;
	struct packet p;
	size_t len;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		size_t headers = version == 4 ? 28 : 48;

		c = client(version);
		s = service(version);
		for (size_t n = 0; n <= sizeof(payload); n++) {
			len = reply_build_udp(&s, &c, payload, n, buf, sizeof(buf));
			assert_int_equal(len, headers + n);
			assert_true(frame_is_right(buf, len));
			p = (struct packet){.data = buf, .len = (uint32_t)len};
			assert_int_equal(packet_parse(&p), DROP_none);
			assert_int_equal(p.protocol, IPPROTO_UDP);
			assert_true(addr_equal(&p.source, &s));
			assert_true(addr_equal(&p.destination, &c));
			assert_int_equal(packet_payload_len(&p), n);
			assert_memory_equal(buf + p.payload, payload, n);
			assert_int_equal(
			    reply_build_udp(&s, &c, payload, n, buf, headers + n - 1), 0);
		}
		assert_int_equal(reply_build_udp(&s, &c, payload, 65536, buf, 70000), 0);
	}
	s = service(4);
	assert_int_equal(reply_build_udp(&s, &c, payload, 8, buf, sizeof(buf)), 0);
}

static void
test_reset_needs_room(void **state)
{
	struct packet p;
	struct addr c, s;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		size_t needed = version == 4 ? 40 : 60;

		c = client(version);
		s = service(version);
		p = make_tcp(version, TCP_ACK, 1, 2, 0);
		for (size_t size = 0; size < needed + 2; size++) {
			memset(buf, 0xee, sizeof(buf));
			assert_int_equal(reply_reset(&p, buf, size), size < needed ? 0 : needed);
			assert_int_equal(buf[size < needed ? 0 : needed], 0xee);
			assert_int_equal(reply_build_reset(&s, &c, 1, 2, buf, size),
			    size < needed ? 0 : needed);
		}
	}
}

/* The error in buf about the packet in f. */
static void
assert_error(const struct error *error, size_t len, size_t quoted)
{
	int version = f.octets[0] >> 4;
	size_t header = version == 4 ? 20 : 40;
	size_t offset = version == 4 ? 12 : 8, size = version == 4 ? 4 : 16;
	struct addr router = frame_addr(version == 4 ? "192.0.2.99" : "2001:db8:a::99", 0);
	const uint8_t *sender = f.octets + offset + size; /* whom it was for */

	if (error->build == time_exceeded)
		sender = version == 4 ? router.ip.octet + 12 : router.ip.octet;
	assert_int_equal(len, header + 8 + quoted);
	assert_true(frame_is_right(buf, len));
	assert_own_header(buf, version);
	assert_int_equal(buf[version == 4 ? 9 : 6], icmp_of(version));
	assert_memory_equal(buf + offset, sender, size);
	assert_memory_equal(buf + offset + size, f.octets + offset, size);
	assert_int_equal(buf[header], version == 4 ? error->type4 : error->type6);
	assert_int_equal(buf[header + 1], version == 4 ? error->code4 : error->code6);
	assert_int_equal(frame_get32(buf + header + 4), error->rest);
	assert_memory_equal(buf + header + 8, f.octets, quoted);
}

static void
test_errors(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++)
		for (int version = 4; version <= 6; version += 2) {
			size_t most = version == 4 ? 576 - 28 : 1280 - 48;

			for (size_t payload = 0; payload < 1400; payload += 7) {
				struct addr c = client(version), s = service(version);

				p = make_udp(&c, &s, payload);
				assert_error(&errors[i], errors[i].build(&p, buf, sizeof(buf)),
				    f.len < most ? f.len : most);
			}
			p = make_tcp(version, TCP_SYN, 1, 2, 0);
			assert_error(&errors[i], errors[i].build(&p, buf, sizeof(buf)), f.len);
			p = make_icmp(version, version == 4 ? 8 : 128, 0, 1);
			assert_error(&errors[i], errors[i].build(&p, buf, sizeof(buf)), f.len);
		}
}

static void
test_error_about_first_fragment(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++)
		for (int version = 4; version <= 6; version += 2) {
			struct addr c = client(version), s = service(version);

			frame_ip(&f, &c, &s, IPPROTO_UDP);
			frame_fragment(&f, 0, true, 1);
			frame_udp(&f, 1, 2);
			frame_payload(&f, 32);
			frame_finish(&f);
			p = parsed();
			assert_error(&errors[i], errors[i].build(&p, buf, sizeof(buf)), f.len);
		}
}

static void
test_error_about_super_packet(void **state)
{
	struct packet p;

	(void)state;
	p = make_tcp(6, TCP_ACK, 1, 2, 60000);
	p.gso = PACKET_GSO_TCP6;
	p.gso_size = 1400;
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_error(&errors[2], too_big(&p, buf, sizeof(buf)), 1280 - 48);
}

/* Headers longer than any quotation: as much of them as goes in. */
static void
test_error_about_long_headers(void **state)
{
	struct addr c = client(6), s = service(6);
	struct packet p;

	(void)state;
	frame_ip(&f, &c, &s, IPPROTO_UDP);
	frame_extension(&f, IPPROTO_DSTOPTS, 2000);
	frame_udp(&f, 1, 2);
	frame_finish(&f);
	p = parsed();
	assert_error(&errors[0], reply_port_unreachable(&p, buf, sizeof(buf)), 1280 - 48);
	assert_int_equal(reply_port_unreachable(&p, buf, sizeof(buf) - 1), 0);
}

static void
test_error_in_little_room(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++)
		for (int version = 4; version <= 6; version += 2) {
			struct addr c = client(version), s = service(version);
			size_t header = version == 4 ? 20 : 40;
			size_t needed = header + 8 + header + 8;

			p = make_udp(&c, &s, 100);
			for (size_t size = 0; size < 300; size++) {
				memset(buf, 0xee, sizeof(buf));
				if (size < needed) {
					assert_int_equal(errors[i].build(&p, buf, size), 0);
					continue;
				}
				assert_error(&errors[i], errors[i].build(&p, buf, size),
				    size < header + 8 + f.len ? size - header - 8 : f.len);
				assert_int_equal(buf[size], 0xee);
			}
		}
}

/* RFC 1122, 3.2.2; RFC 4443, 2.4 (e) */
static void
test_no_error_about_errors(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++)
		for (unsigned type = 0; type < 256; type++) {
			bool error4 = (type >= 3 && type <= 5) || type == 11 || type == 12;
			bool error6 = type < 128 || type == 137;

			p = make_icmp(4, (uint8_t)type, 0, 28);
			assert_int_equal(errors[i].build(&p, buf, sizeof(buf)) == 0, error4);
			p = make_icmp(6, (uint8_t)type, 0, 48);
			assert_int_equal(errors[i].build(&p, buf, sizeof(buf)) == 0, error6);
		}
}

static void
test_no_error_about_later_fragments(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++)
		for (int version = 4; version <= 6; version += 2) {
			struct addr c = client(version), s = service(version);

			frame_ip(&f, &c, &s, IPPROTO_UDP);
			frame_fragment(&f, 1480, false, 1);
			frame_payload(&f, 32);
			frame_finish(&f);
			p = parsed();
			assert_int_equal(errors[i].build(&p, buf, sizeof(buf)), 0);
		}
}

static void
test_no_error_about_resets(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++) {
		p = make_tcp(4, TCP_RST, 1, 2, 0);
		assert_int_equal(errors[i].build(&p, buf, sizeof(buf)), 0);
	}
}

/* Nobody there to answer to, or to answer for. */
static void
test_no_answer_to_martians(void **state)
{
	static const char *const martians[] = {
	    "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"};
	struct packet p;

	(void)state;
	for (size_t i = 0; i < ERRORS; i++)
		for (size_t j = 0; j < sizeof(martians) / sizeof(martians[0]); j++) {
			struct addr martian = frame_addr(martians[j], 1);
			struct addr other = client(ip_is_v4(&martian.ip) ? 4 : 6);

			p = make_udp(&martian, &other, 10);
			assert_int_equal(errors[i].build(&p, buf, sizeof(buf)), 0);
			p = make_udp(&other, &martian, 10);
			assert_int_equal(errors[i].build(&p, buf, sizeof(buf)), 0);
			p = make_udp(&other, &other, 10);
			assert_int_not_equal(errors[i].build(&p, buf, sizeof(buf)), 0);

			frame_ip(&f, &martian, &other, IPPROTO_TCP);
			frame_tcp(&f, 1, 2, 3, 4, TCP_SYN, NULL, 0);
			frame_finish(&f);
			p = parsed();
			assert_int_equal(reply_reset(&p, buf, sizeof(buf)), 0);
		}
}

static void
test_time_exceeded_sender_of_other_family(void **state)
{
	struct addr c = client(4), s = service(4), c6 = client(6), s6 = service(6);
	struct packet p;

	(void)state;
	p = make_udp(&c, &s, 10);
	assert_int_equal(reply_time_exceeded(&p, &c6.ip, buf, sizeof(buf)), 0);
	p = make_udp(&c6, &s6, 10);
	assert_int_equal(reply_time_exceeded(&p, &c.ip, buf, sizeof(buf)), 0);
}

static void
test_too_big_mtu(void **state)
{
	static const uint16_t mtus[] = {0, 68, 1280, 1432, 65535};
	struct packet p;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
		for (int version = 4; version <= 6; version += 2) {
			p = make_tcp(version, TCP_ACK, 1, 2, 1400);
			len = reply_too_big(&p, mtus[i], buf, sizeof(buf));
			assert_true(frame_is_right(buf, len));
			assert_int_equal(
			    frame_get32(buf + (version == 4 ? 20 : 40) + 4), mtus[i]);
		}
}

static void
test_is_echo_request(void **state)
{
	struct packet p;

	(void)state;
	for (unsigned type = 0; type < 256; type++)
		for (uint8_t code = 0; code < 2; code++) {
			p = make_icmp(4, (uint8_t)type, code, 10);
			assert_int_equal(packet_is_echo_request(&p), type == 8 && code == 0);
			p = make_icmp(6, (uint8_t)type, code, 10);
			assert_int_equal(packet_is_echo_request(&p), type == 128 && code == 0);
		}
	p = make_tcp(4, TCP_SYN, 8 << 24, 0, 0);
	assert_false(packet_is_echo_request(&p));
}

static void
test_is_no_echo_request_in_fragments(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (uint32_t offset = 0; offset <= 1480; offset += 1480) {
			struct addr c = client(version), s = service(version);

			frame_ip(&f, &c, &s, icmp_of(version));
			frame_fragment(&f, offset, true, 1);
			frame_icmp(&f, version == 4 ? 8 : 128, 0, 0x12340005);
			frame_payload(&f, 16);
			frame_finish(&f);
			p = parsed();
			assert_false(packet_is_echo_request(&p));
		}
}

static void
test_echo_reply(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (size_t payload = 0; payload < 100; payload++) {
			struct addr c = client(version), s = service(version);

			p = make_icmp(version, version == 4 ? 8 : 128, 0, payload);
			frame_ip(&expected, &s, &c, icmp_of(version));
			expected.octets[version == 4 ? 8 : 7] = 64;
			frame_icmp(&expected, version == 4 ? 0 : 129, 0, 0x12340005);
			frame_payload(&expected, payload);
			frame_finish(&expected);
			packet_make_echo_reply(&p);
			assert_memory_equal(f.octets, expected.octets, f.len);
			assert_true(ip_equal(&p.source.ip, &s.ip));
			assert_true(ip_equal(&p.destination.ip, &c.ip));
			assert_false(packet_is_echo_request(&p));
		}
}

static void
test_echo_reply_with_options(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct addr c = client(version), s = service(version);

		frame_ip(&f, &c, &s, icmp_of(version));
		if (version == 4)
			frame_ip_options(&f, "\1\1\1\0", 4);
		else
			frame_extension(&f, IPPROTO_HOPOPTS, 8);
		expected = f;
		frame_icmp(&f, version == 4 ? 8 : 128, 0, 0x12340005);
		frame_finish(&f);

		memcpy(expected.octets + (version == 4 ? 12 : 8),
		    f.octets + (version == 4 ? 16 : 24), version == 4 ? 4 : 16);
		memcpy(expected.octets + (version == 4 ? 16 : 24),
		    f.octets + (version == 4 ? 12 : 8), version == 4 ? 4 : 16);
		expected.octets[version == 4 ? 8 : 7] = 64;
		frame_icmp(&expected, version == 4 ? 0 : 129, 0, 0x12340005);
		frame_finish(&expected);
		p = parsed();
		packet_make_echo_reply(&p);
		assert_memory_equal(f.octets, expected.octets, f.len);
	}
}

/* The one sum that an incremental update gets wrong: a reply of nothing but zeros. */
static void
test_echo_reply_of_zeros(void **state)
{
	struct packet p;

	(void)state;
	p = make_icmp(4, 8, 0, 10);
	memset(f.octets + 24, 0, 14);
	frame_finish(&f);
	p = parsed();
	packet_make_echo_reply(&p);
	assert_int_equal(frame_sum(0, f.octets + 20, f.len - 20), 0xffff);
}

/* Whatever identifier and data: always verifies, never repaired. */
static void
test_echo_reply_every_sum(void **state)
{
	struct packet p;

	(void)state;
	for (unsigned id = 0; id < 65536; id++)
		for (int damage = 0; damage < 2; damage++) {
			p = make_icmp(4, 8, 0, 4);
			frame_put16(f.octets + 24, id);
			frame_finish(&f);
			f.octets[28] ^= (uint8_t)damage;
			p = parsed();
			packet_make_echo_reply(&p);
			assert_int_equal(
			    frame_sum(0, f.octets + 20, f.len - 20) == 0xffff, !damage);
			assert_int_equal(frame_sum(0, f.octets, 20), 0xffff);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reset_to_ack),
	    cmocka_unit_test(test_reset_to_no_ack),
	    cmocka_unit_test(test_reset_to_super_packet),
	    cmocka_unit_test(test_no_reset),
	    cmocka_unit_test(test_reset_to_fragments),
	    cmocka_unit_test(test_build_reset),
	    cmocka_unit_test(test_build_udp),
	    cmocka_unit_test(test_reset_needs_room),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_error_about_first_fragment),
	    cmocka_unit_test(test_error_about_super_packet),
	    cmocka_unit_test(test_error_about_long_headers),
	    cmocka_unit_test(test_error_in_little_room),
	    cmocka_unit_test(test_no_error_about_errors),
	    cmocka_unit_test(test_no_error_about_later_fragments),
	    cmocka_unit_test(test_no_error_about_resets),
	    cmocka_unit_test(test_no_answer_to_martians),
	    cmocka_unit_test(test_time_exceeded_sender_of_other_family),
	    cmocka_unit_test(test_too_big_mtu),
	    cmocka_unit_test(test_is_echo_request),
	    cmocka_unit_test(test_is_no_echo_request_in_fragments),
	    cmocka_unit_test(test_echo_reply),
	    cmocka_unit_test(test_echo_reply_with_options),
	    cmocka_unit_test(test_echo_reply_of_zeros),
	    cmocka_unit_test(test_echo_reply_every_sum),
	};

	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
