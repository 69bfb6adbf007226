#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "frames.h"
#include "packet/icmp.h"

static struct frame inner, f, expected;

static struct addr
at(int version, int host, uint16_t port)
{
	char text[IP_TEXT];

	snprintf(text, sizeof(text), version == 4 ? "192.0.2.%d" : "2001:db8::%d", host);
	return frame_addr(text, port);
}

#define ROUTER  at(version, 1, 0)
#define SERVICE at(version, 2, 80)
#define CLIENT  at(version, 3, 40000)
#define SELF    at(version, 4, 50000)
#define SERVER  at(version, 5, 8080)

static uint8_t
icmp_of(int version)
{
	return version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static uint8_t
unreachable(int version)
{
	return version == 4 ? 3 : 1;
}

/* A packet to be quoted. */
static void
make_inner(uint8_t protocol, struct addr source, struct addr destination, size_t payload)
{
	frame_ip(&inner, &source, &destination, protocol);
	if (protocol == IPPROTO_TCP)
		frame_tcp(&inner, source.port, destination.port, 1, 2, TCP_ACK, NULL, 0);
	else if (protocol == IPPROTO_UDP)
		frame_udp(&inner, source.port, destination.port);
	else
		frame_icmp(&inner, 8, 0, 1);
	frame_payload(&inner, payload);
	frame_finish(&inner);
}

/* An error about the inner packet, of which cut octets are quoted. */
static void
make_error(struct frame *to, uint8_t type, uint8_t code, uint32_t rest, struct addr source,
    struct addr destination, size_t cut)
{
	frame_ip(to, &source, &destination, icmp_of(inner.version));
	frame_icmp(to, type, code, rest);
	frame_add(to, inner.octets, cut < inner.len ? cut : inner.len);
	frame_finish(to);
}

static struct packet
parsed(struct frame *frame)
{
	struct packet p = frame_packet(frame);

	assert_int_equal(packet_parse(&p), DROP_none);
	return p;
}

static enum drop
quote_of(struct frame *frame, struct packet *quoted)
{
	struct packet p = parsed(frame);

	return icmp_read_quote(&p, quoted);
}

static void
test_which_types(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int type = 0; type < 256; type++) {
			bool wanted = version == 4 ? type == 3 || type == 11 || type == 12
						   : type >= 1 && type <= 4;
			struct packet p;

			make_inner(IPPROTO_TCP, SERVICE, CLIENT, 10);
			make_error(&f, (uint8_t)type, 0, 0, ROUTER, SERVICE, SIZE_MAX);
			p = parsed(&f);
			assert_int_equal(icmp_is_error(&p), wanted);
		}
}

static void
test_tcp_is_no_error(void **state)
{
	struct packet p;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		/* its first port looks like an unreachable */
		make_inner(IPPROTO_TCP, at(version, 2, 0x0303), CLIENT, 10);
		p = parsed(&inner);
		assert_false(icmp_is_error(&p));
	}
}

static void
test_view_of_the_quote(void **state)
{
	const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct packet q;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < 2; i++) {
			struct addr source = SERVICE, destination = CLIENT;

			make_inner(protocols[i], source, destination, 100);
			make_error(&f, unreachable(version), 1, 0, ROUTER, SERVICE, SIZE_MAX);
			assert_int_equal(quote_of(&f, &q), DROP_none);
			assert_ptr_equal(q.data, f.octets + f.transport + 8);
			assert_int_equal(q.len, inner.len);
			assert_int_equal(q.version, version);
			assert_int_equal(q.protocol, protocols[i]);
			assert_int_equal(q.transport, version == 4 ? 20 : 40);
			assert_true(addr_equal(&q.source, &source));
			assert_true(addr_equal(&q.destination, &destination));
			assert_int_equal(q.fragment, PACKET_WHOLE);
			assert_false(q.partial);
		}
}

/* Every length, in a buffer that ends with the quote: a sanitizer sees the octet too many. */
static void
test_every_length(void **state)
{
	struct packet p, q;
	uint8_t *exact;
	size_t least;
	enum drop drop;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct addr sender = ROUTER, server = SERVER, self = SELF;

		make_inner(IPPROTO_TCP, SERVICE, CLIENT, 20);
		least = inner.transport + 8;
		for (size_t cut = 0; cut <= inner.len; cut++) {
			make_error(&f, unreachable(version), 1, 0, ROUTER, SERVICE, cut);
			exact = malloc(f.len);
			assert_non_null(exact);
			memcpy(exact, f.octets, f.len);
			p = frame_packet(&f);
			p.data = exact;
			assert_int_equal(packet_parse(&p), DROP_none);
			drop = icmp_read_quote(&p, &q);
			assert_int_equal(drop, cut < least ? DROP_icmp_short : DROP_none);
			if (drop == DROP_none)
				icmp_convert(&p, &q, &sender.ip, &server, &self);
			free(exact);
		}
	}
}

static void
test_bad_checksum(void **state)
{
	struct packet q;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		make_inner(IPPROTO_UDP, SERVICE, CLIENT, 20);
		make_error(&f, unreachable(version), 1, 0, ROUTER, SERVICE, SIZE_MAX);
		for (size_t i = f.transport; i < f.len; i++) {
			f.octets[i] ^= 0x10;
			if (i > f.transport + 1) /* else it is no error any more */
				assert_int_equal(quote_of(&f, &q), DROP_icmp_checksum);
			f.octets[i] ^= 0x10;
		}
		assert_int_equal(quote_of(&f, &q), DROP_none);
	}
}

static void
assert_refused(int version, enum drop drop)
{
	struct packet q;

	make_error(&f, unreachable(version), 1, 0, ROUTER, SERVICE, SIZE_MAX);
	assert_int_equal(quote_of(&f, &q), drop);
}

static void
test_quotes_of_nothing_of_ours(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		make_inner(icmp_of(version), SERVICE, CLIENT, 20);
		assert_refused(version, DROP_icmp);
		make_inner(IPPROTO_UDP, SERVICE, CLIENT, 20);
		inner.octets[version == 4 ? 9 : 6] = 47; /* GRE */
		assert_refused(version, DROP_icmp);
		make_inner(IPPROTO_UDP, SERVICE, CLIENT, 20);
		inner.octets[0] = (uint8_t)((inner.octets[0] & 15) | 0x50);
		assert_refused(version, DROP_icmp);
		inner.octets[0] =
		    (uint8_t)((inner.octets[0] & 15) | (version == 4 ? 0x60 : 0x40));
		assert_refused(version, DROP_icmp);
	}
	for (uint8_t words = 0; words < 5; words++) {
		int version = 4;

		make_inner(IPPROTO_UDP, SERVICE, CLIENT, 20);
		inner.octets[0] = 0x40 | words;
		assert_refused(version, DROP_icmp);
	}
}

static void
test_quoted_fragments(void **state)
{
	struct packet q;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (uint32_t offset = 0; offset <= 1480; offset += 1480) {
			struct addr source = SERVICE, destination = CLIENT;

			frame_ip(&inner, &source, &destination, IPPROTO_UDP);
			frame_fragment(&inner, offset, true, 77);
			frame_udp(&inner, source.port, destination.port);
			frame_payload(&inner, 64);
			frame_finish(&inner);
			make_error(&f, unreachable(version), 1, 0, ROUTER, SERVICE, SIZE_MAX);
			assert_int_equal(quote_of(&f, &q), offset == 0 ? DROP_none : DROP_icmp);
		}
}

static void
make_extended(int headers, size_t len)
{
	struct addr source = frame_addr("2001:db8::2", 80);
	struct addr destination = frame_addr("2001:db8::3", 40000);

	frame_ip(&inner, &source, &destination, IPPROTO_UDP);
	for (int i = 0; i < headers; i++)
		frame_extension(&inner, IPPROTO_DSTOPTS, len);
	frame_udp(&inner, source.port, destination.port);
	frame_payload(&inner, 10);
	frame_finish(&inner);
}

static void
test_extension_headers(void **state)
{
	struct packet q;
	int version = 6;

	(void)state;
	for (int headers = 0; headers <= PACKET_MAX_HEADERS + 1; headers++) {
		make_extended(headers, 16);
		make_error(&f, 1, 1, 0, ROUTER, SERVICE, SIZE_MAX);
		assert_int_equal(
		    quote_of(&f, &q), headers > PACKET_MAX_HEADERS ? DROP_icmp : DROP_none);
		if (headers > PACKET_MAX_HEADERS)
			continue;
		assert_int_equal(q.transport, 40 + 16 * headers);
		/* the quote ends within them */
		for (size_t cut = 0; cut < inner.transport + 8; cut++) {
			make_error(&f, 1, 1, 0, ROUTER, SERVICE, cut);
			assert_int_equal(quote_of(&f, &q), DROP_icmp_short);
		}
	}
	make_extended(1, 2048);
	make_error(&f, 1, 1, 0, ROUTER, SERVICE, 1232);
	assert_int_equal(quote_of(&f, &q), DROP_icmp_short);
}

/* RFC 4884: the length ends the quote, if it is less than what is there. */
static void
test_length_of_the_quote(void **state)
{
	struct packet q;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (uint32_t told = 0; told < 256; told++) {
			uint32_t octets = told * (version == 4 ? 4 : 8);
			uint32_t rest = version == 4 ? told << 16 : told << 24;
			size_t least = version == 4 ? 28 : 48;

			make_inner(IPPROTO_TCP, SERVICE, CLIENT, 400);
			make_error(&f, unreachable(version), 1, rest, ROUTER, SERVICE, SIZE_MAX);
			if (told != 0 && octets < least) {
				assert_int_equal(quote_of(&f, &q), DROP_icmp_short);
				continue;
			}
			assert_int_equal(quote_of(&f, &q), DROP_none);
			assert_int_equal(
			    q.len, told == 0 || octets > inner.len ? inner.len : octets);
		}
}

/* Types that have other things in that place: the MTU, the pointer. */
static void
test_no_length_in_other_types(void **state)
{
	struct packet q;
	int version = 6;

	(void)state;
	make_inner(IPPROTO_TCP, SERVICE, CLIENT, 400);
	for (uint8_t type = 2; type <= 4; type += 2) {
		make_error(&f, type, 0, 0x01000000, ROUTER, SERVICE, SIZE_MAX);
		assert_int_equal(quote_of(&f, &q), DROP_none);
		assert_int_equal(q.len, inner.len);
	}
}

static void
test_convert(void **state)
{
	const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct packet p, q;

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int i = 0; i < 2; i++)
			for (size_t payload = 0; payload < 60; payload++) {
				struct addr sender = ROUTER, server = SERVER, self = SELF;

				make_inner(protocols[i], server, self, payload);
				make_error(&expected, unreachable(version), 1, 0, sender,
				    server, SIZE_MAX);
				make_inner(protocols[i], SERVICE, CLIENT, payload);
				make_error(
				    &f, unreachable(version), 1, 0, sender, SERVICE, SIZE_MAX);
				p = parsed(&f);
				assert_int_equal(icmp_read_quote(&p, &q), DROP_none);
				icmp_convert(&p, &q, &sender.ip, &server, &self);
				assert_memory_equal(f.octets, expected.octets, f.len);
				assert_true(addr_equal(&q.source, &server));
				assert_true(addr_equal(&q.destination, &self));
				assert_true(ip_equal(&p.source.ip, &sender.ip));
				assert_true(ip_equal(&p.destination.ip, &server.ip));
			}
}

static void
test_shorten(void **state)
{
	struct packet p, q;
	size_t least;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		make_inner(IPPROTO_TCP, SERVICE, CLIENT, 300);
		least = inner.transport + 8 + inner.transport + 8;
		for (size_t len = 0; len < 400; len++) {
			uint32_t rest = version == 4 ? 25u << 16 : 13u << 24;

			make_error(&f, unreachable(version), 1, rest, ROUTER, SERVICE, SIZE_MAX);
			p = parsed(&f);
			assert_int_equal(icmp_read_quote(&p, &q), DROP_none);
			if (len < least) {
				expected = f;
				assert_false(icmp_shorten(&p, &q, (uint32_t)len));
				assert_memory_equal(f.octets, expected.octets, f.len);
				continue;
			}
			assert_true(icmp_shorten(&p, &q, (uint32_t)len));
			if (len >= f.len) {
				assert_int_equal(p.len, f.len);
				continue;
			}
			assert_int_equal(p.len, len);
			make_error(&expected, unreachable(version), 1, 0, ROUTER, SERVICE,
			    len - inner.transport - 8);
			assert_int_equal(expected.len, len);
			assert_memory_equal(f.octets, expected.octets, len);
			assert_int_equal(packet_parse(&p), DROP_none);
			assert_true(q.data + q.len <= p.data + p.len);
			assert_int_equal(icmp_read_quote(&p, &q), DROP_none);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_which_types),
	    cmocka_unit_test(test_tcp_is_no_error),
	    cmocka_unit_test(test_view_of_the_quote),
	    cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_bad_checksum),
	    cmocka_unit_test(test_quotes_of_nothing_of_ours),
	    cmocka_unit_test(test_quoted_fragments),
	    cmocka_unit_test(test_extension_headers),
	    cmocka_unit_test(test_length_of_the_quote),
	    cmocka_unit_test(test_no_length_in_other_types),
	    cmocka_unit_test(test_convert),
	    cmocka_unit_test(test_shorten),
	};

	return cmocka_run_group_tests_name("icmp_error", tests, NULL, NULL);
}
