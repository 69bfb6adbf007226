#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/random.h"
#include "transfer/header.h"

#define SMALLEST (TRANSFER_HEADER_LEN + TRANSFER_INFO_LEN + TRANSFER_TAG_LEN)

/* A header that is as it should be; room for the smallest packet. */
static void
good_packet(uint8_t packet[SMALLEST])
{
	const struct transfer_header h = {TRANSFER_DATA, 0x01020304, 0x0506, 0x0708090a0b0c};

	memset(packet, 0xee, SMALLEST);
	transfer_header_encode(&h, packet);
}

static void
test_header_octets(void **state)
{
	static const uint8_t expected[TRANSFER_HEADER_LEN] = {0x1b, 0, 0, 0, 0x01, 0x02, 0x03,
	    0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c};
	uint8_t packet[SMALLEST];

	(void)state;
	good_packet(packet);
	assert_memory_equal(packet, expected, sizeof(expected));
	assert_int_equal(packet[TRANSFER_HEADER_LEN], 0xee);
}

static void
test_header_round_trip(void **state)
{
	uint8_t packet[SMALLEST] = {0};
	struct random r;

	(void)state;
	random_init(&r, 1);
	for (int i = 0; i < 10000; i++) {
		struct transfer_header in = {
		    .type = (uint8_t)(TRANSFER_DATA + random_below(&r, 4)),
		    .key_index = (uint32_t)random_next(&r),
		    .epoch = (uint16_t)random_next(&r),
		    .counter = random_next(&r) >> 16,
		};
		struct transfer_header out = {0};

		transfer_header_encode(&in, packet);
		assert_int_equal(transfer_header_decode(packet, sizeof(packet), &out), DROP_none);
		assert_int_equal(out.type, in.type);
		assert_int_equal(out.key_index, in.key_index);
		assert_int_equal(out.epoch, in.epoch);
		assert_true(out.counter == in.counter);
	}
}

static void
test_header_extremes(void **state)
{
	const struct transfer_header in = {
	    TRANSFER_DIRECT, UINT32_MAX, UINT16_MAX, (UINT64_C(1) << 48) - 1};
	uint8_t packet[SMALLEST] = {0};
	struct transfer_header out;

	(void)state;
	transfer_header_encode(&in, packet);
	for (int i = 4; i < TRANSFER_HEADER_LEN; i++)
		assert_int_equal(packet[i], 0xff);
	assert_int_equal(transfer_header_decode(packet, sizeof(packet), &out), DROP_none);
	assert_true(out.counter == in.counter);
	assert_int_equal(out.epoch, UINT16_MAX);
}

static void
test_header_too_short(void **state)
{
	uint8_t packet[SMALLEST];
	struct transfer_header h;

	(void)state;
	good_packet(packet);
	for (size_t len = 0; len < SMALLEST; len++)
		assert_int_equal(transfer_header_decode(packet, len, &h), DROP_transfer_short);
	assert_int_equal(transfer_header_decode(packet, SMALLEST, &h), DROP_none);
	/* Length is judged first: a short datagram of another version is just short. */
	packet[0] = 0;
	assert_int_equal(transfer_header_decode(packet, SMALLEST - 1, &h), DROP_transfer_short);
}

static void
test_header_first_octet(void **state)
{
	uint8_t packet[SMALLEST];
	struct transfer_header h;

	(void)state;
	good_packet(packet);
	for (int octet = 0; octet < 256; octet++) {
		bool good = octet >= 0x1b && octet <= 0x1e;

		packet[0] = (uint8_t)octet;
		assert_int_equal(transfer_header_decode(packet, SMALLEST, &h),
		    good ? DROP_none : DROP_transfer_version);
		if (good)
			assert_int_equal(h.type, octet & 0x0f);
	}
}

static void
test_header_reserved_bits(void **state)
{
	uint8_t packet[SMALLEST];
	struct transfer_header h;

	(void)state;
	for (int bit = 8; bit < 32; bit++) {
		good_packet(packet);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
		    transfer_header_decode(packet, SMALLEST, &h), DROP_transfer_version);
	}
}

static void
test_info_octets(void **state)
{
	const struct transfer_info info = {0x0102, 0x0304, TRANSFER_FLAG_DEMAND, 0x0f};
	static const uint8_t expected[TRANSFER_INFO_LEN] = {1, 2, 3, 4, 0x01, 0xf0, 0, 0};
	uint8_t octets[TRANSFER_INFO_LEN];

	(void)state;
	memset(octets, 0xee, sizeof(octets));
	transfer_info_encode(&info, octets);
	assert_memory_equal(octets, expected, sizeof(expected));
}

static void
test_info_round_trip(void **state)
{
	struct random r;

	(void)state;
	random_init(&r, 2);
	for (int i = 0; i < 10000; i++) {
		struct transfer_info in = {
		    .service = (uint16_t)random_next(&r),
		    .relay_port = (uint16_t)random_next(&r),
		    .flags = (uint8_t)(random_next(&r) & TRANSFER_FLAGS_KNOWN),
		    .hops = (uint8_t)random_below(&r, 16),
		};
		uint8_t octets[TRANSFER_INFO_LEN];
		struct transfer_info out;

		transfer_info_encode(&in, octets);
		assert_int_equal(transfer_info_decode(octets, sizeof(octets), &out), DROP_none);
		assert_int_equal(out.service, in.service);
		assert_int_equal(out.relay_port, in.relay_port);
		assert_int_equal(out.flags, in.flags);
		assert_int_equal(out.hops, in.hops);
	}
}

static void
test_info_refused(void **state)
{
	uint8_t octets[TRANSFER_INFO_LEN] = {0};
	struct transfer_info info;

	(void)state;
	for (size_t len = 0; len < sizeof(octets); len++)
		assert_int_equal(transfer_info_decode(octets, len, &info), DROP_transfer_short);
	for (int flags = 0; flags < 256; flags++) {
		octets[4] = (uint8_t)flags;
		assert_int_equal(transfer_info_decode(octets, sizeof(octets), &info),
		    flags <= 0x0f ? DROP_none : DROP_transfer_inner);
	}
}

/* A later version may give them a meaning that does not concern this one. */
static void
test_info_reserved_ignored(void **state)
{
	static const uint8_t octets[TRANSFER_INFO_LEN] = {0, 1, 0, 2, 0x02, 0x5f, 0xff, 0xff};
	struct transfer_info info;

	(void)state;
	assert_int_equal(transfer_info_decode(octets, sizeof(octets), &info), DROP_none);
	assert_int_equal(info.service, 1);
	assert_int_equal(info.relay_port, 2);
	assert_int_equal(info.flags, TRANSFER_FLAG_PARTIAL);
	assert_int_equal(info.hops, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_header_octets),
	    cmocka_unit_test(test_header_round_trip),
	    cmocka_unit_test(test_header_extremes),
	    cmocka_unit_test(test_header_too_short),
	    cmocka_unit_test(test_header_first_octet),
	    cmocka_unit_test(test_header_reserved_bits),
	    cmocka_unit_test(test_info_octets),
	    cmocka_unit_test(test_info_round_trip),
	    cmocka_unit_test(test_info_refused),
	    cmocka_unit_test(test_info_reserved_ignored),
	};

	return cmocka_run_group_tests_name("transfer_header", tests, NULL, NULL);
}
