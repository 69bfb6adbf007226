#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/random.h"
#include "frames.h"
#include "packet/checksum.h"

static void
fill(struct random *r, uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)random_next(r);
}

/* 0 and 0xffff are the same number in one's complement. */
static uint32_t
number(uint32_t folded)
{
	return folded == 0xffff ? 0 : folded;
}

/* RFC 1071, 3: the worked example. */
static void
test_rfc1071_example(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(checksum_fold(checksum_add(0, data, sizeof(data))), 0xddf2);
}

/* The IPv4 header everybody uses as an example (checksum b861). */
static void
test_ipv4_header(void **state)
{
	static const uint8_t header[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40,
	    0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

	(void)state;
	assert_int_equal(checksum_fold(checksum_add(0, header, sizeof(header))), 0xffff);
	assert_int_equal(
	    checksum_fold(checksum_add(checksum_add(0, header, 10), header + 12, 8)), 0x479e);
}

static void
test_empty(void **state)
{
	(void)state;
	assert_int_equal(checksum_add(0, "", 0), 0);
	assert_int_equal(checksum_add(0x1234, "", 0), 0x1234);
	assert_int_equal(checksum_difference("", "", 0), 0);
}

static void
test_fold(void **state)
{
	(void)state;
	assert_int_equal(checksum_fold(0), 0);
	assert_int_equal(checksum_fold(0xffff), 0xffff);
	assert_int_equal(checksum_fold(0x10000), 1);
	assert_int_equal(checksum_fold(0x1ffff), 1);
	assert_int_equal(checksum_fold(0xffffffff), 0xffff);
	assert_int_equal(checksum_fold(0xfffeffff), 0xfffe);
	assert_int_equal(checksum_fold(0xffff0001), 1);
}

static void
test_every_length_and_alignment(void **state)
{
	struct random r;
	uint8_t data[300];

	(void)state;
	random_init(&r, 1);
	fill(&r, data, sizeof(data));
	for (size_t at = 0; at < 8; at++)
		for (size_t len = 0; len <= sizeof(data) - 8; len++)
			assert_int_equal(checksum_fold(checksum_add(0, data + at, len)),
			    frame_sum(0, data + at, len));
}

/* Nothing but carries: the largest packet of the largest words. */
static void
test_largest(void **state)
{
	static uint8_t data[PACKET_MAX];

	(void)state;
	memset(data, 0xff, sizeof(data));
	assert_int_equal(checksum_fold(checksum_add(0, data, 65534)), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(0, data, PACKET_MAX)), 0xff00);
	assert_int_equal(checksum_fold(checksum_add(0xffff0000, data, 65534)), 0xffff);
	memset(data, 0, sizeof(data));
	assert_int_equal(checksum_add(0, data, PACKET_MAX), 0);
}

/* Sums whose folding carries once more, in either order of octets. */
static void
test_carry_of_a_carry(void **state)
{
	static const uint8_t carries[][12] = {
	    {255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0},
	    {255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1},
	    {255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 1},
	    {255, 255, 0, 1, 255, 254, 0, 1, 255, 255, 255, 255},
	};

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(checksum_fold(checksum_add(0, carries[i], 12)),
		    frame_sum(0, carries[i], 12));
}

static void
test_parts_make_the_whole(void **state)
{
	struct random r;
	uint8_t data[256];
	uint32_t sum;

	(void)state;
	random_init(&r, 2);
	fill(&r, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut += 2) {
		sum = checksum_add(0, data, cut);
		sum = checksum_add(sum, data + cut, sizeof(data) - cut);
		assert_int_equal(checksum_fold(sum), frame_sum(0, data, sizeof(data)));
	}
}

static void
test_odd_octet_is_the_upper_half(void **state)
{
	(void)state;
	assert_int_equal(checksum_add(0, "\x12", 1), 0x1200);
	assert_int_equal(checksum_add(0, "\x12\x34\x56", 3), 0x1234 + 0x5600);
	assert_int_equal(checksum_fold(checksum_add(0, "\0\0\0\0\x80", 5)), 0x8000);
}

static void
test_pseudo_ipv4(void **state)
{
	struct addr a = frame_addr("192.0.2.1", 0), b = frame_addr("198.51.100.200", 0);
	uint32_t expected = 0xc000 + 0x0201 + 0xc633 + 0x64c8 + 6 + 1460;

	(void)state;
	assert_int_equal(checksum_fold(checksum_pseudo(4, &a.ip, &b.ip, IPPROTO_TCP, 1460)),
	    checksum_fold(expected));
}

static void
test_pseudo_ipv6(void **state)
{
	struct addr a = frame_addr("2001:db8::1", 0), b = frame_addr("fe80::ff:fe00:1", 0);
	uint32_t expected = 0x2001 + 0x0db8 + 1 + 0xfe80 + 0xff + 0xfe00 + 1 + 17 + 9;

	(void)state;
	assert_int_equal(checksum_fold(checksum_pseudo(6, &a.ip, &b.ip, IPPROTO_UDP, 9)),
	    checksum_fold(expected));
}

/* The length field of the pseudo-header has 32 bits (RFC 8200, 8.1). */
static void
test_pseudo_long(void **state)
{
	struct addr a = frame_addr("2001:db8::1", 0), b = frame_addr("2001:db8::2", 0);
	uint32_t expected = 2 * (0x2001 + 0x0db8) + 1 + 2 + 6 + 1 + 0x0003;

	(void)state;
	assert_int_equal(checksum_fold(checksum_pseudo(6, &a.ip, &b.ip, IPPROTO_TCP, 0x10003)),
	    checksum_fold(expected));
}

/* RFC 1624, 4: HC = 0xdd2f, m = 0x5555, m' = 0x3285; the right HC' is 0x0000. */
static void
test_rfc1624_example(void **state)
{
	uint32_t difference = checksum_difference("\x55\x55", "\x32\x85", 2);

	(void)state;
	assert_int_equal((uint16_t)~checksum_fold((uint16_t)~0xdd2f + difference), 0);
}

static void
test_difference_is_what_has_to_be_added(void **state)
{
	struct random r;
	uint8_t before[64], after[64];
	uint32_t sum;

	(void)state;
	random_init(&r, 3);
	for (size_t len = 0; len <= sizeof(before); len++)
		for (int i = 0; i < 200; i++) {
			fill(&r, before, len);
			fill(&r, after, len);
			sum = checksum_add(0, before, len);
			sum += checksum_difference(before, after, len);
			assert_int_equal(
			    number(checksum_fold(sum)), number(frame_sum(0, after, len)));
		}
}

static void
test_difference_extremes(void **state)
{
	uint8_t zero[32] = {0}, ones[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(number(checksum_fold(checksum_difference(zero, ones, 32))), 0);
	assert_int_equal(number(checksum_fold(checksum_difference(ones, zero, 32))), 0);
	assert_int_equal(number(checksum_fold(checksum_difference(ones, ones, 32))), 0);
	assert_int_equal(checksum_fold(checksum_difference("\0\1", "\0\2", 2)), 1);
	assert_int_equal(checksum_fold(checksum_difference("\0\2", "\0\1", 2)), 0xfffe);
	assert_int_equal(checksum_fold(checksum_difference("\1", "\2", 1)), 0x0100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc1071_example),
	    cmocka_unit_test(test_ipv4_header),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_fold),
	    cmocka_unit_test(test_every_length_and_alignment),
	    cmocka_unit_test(test_largest),
	    cmocka_unit_test(test_carry_of_a_carry),
	    cmocka_unit_test(test_parts_make_the_whole),
	    cmocka_unit_test(test_odd_octet_is_the_upper_half),
	    cmocka_unit_test(test_pseudo_ipv4),
	    cmocka_unit_test(test_pseudo_ipv6),
	    cmocka_unit_test(test_pseudo_long),
	    cmocka_unit_test(test_rfc1624_example),
	    cmocka_unit_test(test_difference_is_what_has_to_be_added),
	    cmocka_unit_test(test_difference_extremes),
	};

	return cmocka_run_group_tests_name("checksum", tests, NULL, NULL);
}
