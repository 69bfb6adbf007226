#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "frames.h"
#include "packet/split.h"

static struct frame f;
static uint8_t together[PACKET_MAX];

/* Makes an IPv4 UDP packet, or a fragment of one. */
static struct packet
make(size_t payload, const void *options, size_t options_len, uint32_t offset, bool more)
{
	struct addr source = frame_addr("192.0.2.1", 1000);
	struct addr destination = frame_addr("192.0.2.2", 53);
	struct packet p;

	frame_ip(&f, &source, &destination, IPPROTO_UDP);
	if (options_len > 0)
		frame_ip_options(&f, options, options_len);
	if (offset > 0 || more)
		frame_fragment(&f, offset, more, 0xabcd);
	if (offset == 0)
		frame_udp(&f, source.port, destination.port);
	frame_payload(&f, payload);
	frame_finish(&f);
	p = frame_packet(&f);
	assert_int_equal(packet_parse(&p), DROP_none);
	return p;
}

/* A fragment as a packet of its own. */
static struct packet
piece_of(const struct segment *s, uint8_t *octets)
{
	struct packet p = {.data = octets, .len = s->header_len + s->payload_len};

	memcpy(octets, s->header, s->header_len);
	memcpy(octets + s->header_len, s->payload, s->payload_len);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.len, s->header_len + s->payload_len);
	return p;
}

/* Splits, checks each fragment, puts them together again. */
static unsigned
split(const struct packet *p, uint32_t mtu)
{
	uint32_t before = p->fragment == PACKET_WHOLE ? 0 : p->fragment_offset, behind = before;
	bool more = p->fragment != PACKET_WHOLE && p->fragment_more;
	static uint8_t octets[PACKET_MAX];
	struct splitter s;
	struct segment out;
	struct packet one;
	unsigned count = 0;

	assert_true(split_possible(p, mtu));
	for (split_start(&s, p, mtu); split_next(&s, &out); count++) {
		one = piece_of(&out, octets);
		assert_true(one.len <= mtu && one.len <= split_max_len(&s));
		assert_int_equal(one.fragment_id, 0xabcd);
		assert_int_equal(one.fragment_offset, behind);
		memcpy(together + behind - before, octets + one.transport,
		    one.len - one.transport);
		behind += one.len - one.transport;
		if (behind - before < p->len - p->transport) {
			assert_true(one.fragment_more);
			assert_int_equal(one.len, split_max_len(&s));
		} else
			assert_int_equal(one.fragment_more, more);
	}
	assert_int_equal(behind - before, p->len - p->transport);
	assert_memory_equal(together, p->data + p->transport, behind - before);
	assert_false(split_next(&s, &out));
	return count;
}

static void
test_every_length(void **state)
{
	(void)state;
	for (size_t payload = 1405; payload < 3000; payload++) {
		struct packet p = make(payload, NULL, 0, 0, false);

		/* 1432 leave 1408 octets for data */
		assert_int_equal(split(&p, 1432), (payload + 8 + 1407) / 1408);
	}
}

static void
test_every_mtu(void **state)
{
	struct packet p = make(3000, NULL, 0, 0, false);

	(void)state;
	for (uint32_t mtu = 68; mtu < 3028; mtu++)
		split(&p, mtu);
}

static void
test_largest(void **state)
{
	struct packet p = make(65535 - 28, NULL, 0, 0, false);

	(void)state;
	assert_int_equal(p.len, 65535);
	assert_int_equal(split(&p, 1432), (65515 + 1407) / 1408);
	split(&p, 68);
}

static void
test_fragments_of_fragments(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct packet p = make(2960, NULL, 0, 1480, more);

		assert_int_equal(split(&p, 1432), 3);
	}
	struct packet p = make(1472, NULL, 0, 0, true);

	assert_int_equal(split(&p, 1432), 2);
	p = make(1480, NULL, 0, 64000, true);
	assert_int_equal(split(&p, 800), 2);
}

/* The kinds with the uppermost bit go into every fragment (RFC 791, 3.1). */
static void
test_options(void **state)
{
	static const uint8_t options[] = {
	    0x94, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 1, 0x83, 3, 4, 68, 4, 5, 0, 0};
	static const uint8_t later[] = {
	    0x94, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0x83, 3, 4, 1, 1, 1, 1, 0};
	struct packet p = make(3000, options, sizeof(options), 0, false);
	struct splitter s;
	struct segment out;

	(void)state;
	split(&p, 1432);
	split_start(&s, &p, 1432);
	assert_true(split_next(&s, &out));
	assert_int_equal(out.header_len, 40);
	assert_memory_equal(out.header + 20, options, sizeof(options));
	while (split_next(&s, &out)) {
		/* the last option has 4 octets: kind 68, with its first zero inside */
		assert_int_equal(out.header_len, 40);
		assert_memory_equal(out.header + 20, later, sizeof(later));
	}
}

static void
test_malformed_options(void **state)
{
	static const uint8_t options[][8] = {{7, 0, 4, 1, 1, 1, 1, 1}, {7, 1, 4, 1, 1, 1, 1, 1},
	    {7, 9, 4, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 7}, {0, 7, 3, 4, 0, 0, 0, 0},
	    {7, 255, 0, 0, 0, 0, 0, 0}};
	struct splitter s;
	struct segment out;

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct packet p = make(3000, options[i], 8, 0, false);

		split(&p, 1432);
		for (split_start(&s, &p, 1432); split_next(&s, &out);)
			assert_memory_equal(out.header + 20, options[i], 8);
	}
}

static void
test_what_must_not_be_split(void **state)
{
	struct addr source = frame_addr("2001:db8::1", 1000);
	struct addr destination = frame_addr("2001:db8::2", 53);
	struct packet p = make(3000, NULL, 0, 0, false);

	(void)state;
	assert_true(split_possible(&p, 68));
	assert_false(split_possible(&p, 67));
	p.gso = PACKET_GSO_UDP;
	assert_false(split_possible(&p, 1432));
	p.gso = PACKET_GSO_NONE;
	f.octets[6] |= 0x40; /* DF */
	assert_false(split_possible(&p, 1432));
	f.octets[6] = 0x80; /* the reserved bit is none */
	assert_true(split_possible(&p, 1432));

	frame_ip(&f, &source, &destination, IPPROTO_UDP);
	frame_udp(&f, source.port, destination.port);
	frame_payload(&f, 3000);
	frame_finish(&f);
	p = frame_packet(&f);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_false(split_possible(&p, 1432));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_every_mtu),
	    cmocka_unit_test(test_largest),
	    cmocka_unit_test(test_fragments_of_fragments),
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_malformed_options),
	    cmocka_unit_test(test_what_must_not_be_split),
	};

	return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
