#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "transfer/keyring.h"

struct fixture {
	struct random random;
	struct keyring *ring;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	random_init(&f->random, 42);
	f->ring = keyring_new(&f->random);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	keyring_free(f->ring);
	free(f);
	return 0;
}

static struct transfer_rx *
new_rx(uint8_t number)
{
	uint8_t direction[KEYS_SECRET_LEN] = {number};
	struct transfer_rx *rx = transfer_rx_new(KEYS_AES_128_GCM, direction);

	assert_non_null(rx);
	return rx;
}

static struct transfer_tx *
new_tx(uint8_t number)
{
	uint8_t direction[KEYS_SECRET_LEN] = {number};
	struct transfer_tx *tx = transfer_tx_new(KEYS_AES_128_GCM, direction, number);

	assert_non_null(tx);
	return tx;
}

static struct addr
address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* What keyring_find() does not touch where it finds nothing. */
static void
expect_none(struct keyring *ring, uint32_t index)
{
	const struct addr before = address("192.0.2.99:99");
	struct addr from = before;
	uint16_t site = 4711;

	assert_null(keyring_find(ring, index, &site, &from));
	assert_int_equal(site, 4711);
	assert_true(addr_equal(&from, &before));
}

static void
test_enter_and_find(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	struct transfer_rx *rx[2] = {new_rx(1), new_rx(2)};
	const struct addr where[2] = {address("192.0.2.1:7210"), address("[2001:db8::2]:7211")};
	uint32_t index[2] = {keyring_reserve(ring), keyring_reserve(ring)};

	assert_int_equal(keyring_enter(ring, index[0], rx[0], 7, &where[0]), 0);
	assert_int_equal(keyring_enter(ring, index[1], rx[1], 65535, &where[1]), 0);
	for (int i = 0; i < 2; i++) {
		struct addr from;
		uint16_t site;

		assert_ptr_equal(keyring_find(ring, index[i], &site, &from), rx[i]);
		assert_int_equal(site, i == 0 ? 7 : 65535);
		assert_true(addr_equal(&from, &where[i]));
	}
}

static void
test_unknown_indexes(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	const struct addr from = address("192.0.2.1:1");
	uint32_t index;

	expect_none(ring, 0);
	expect_none(ring, 1);
	expect_none(ring, UINT32_MAX);

	index = keyring_reserve(ring);
	expect_none(ring, index); /* reserved, no key yet */
	assert_int_equal(keyring_enter(ring, index, new_rx(1), 1, &from), 0);
	expect_none(ring, 0);
	/* the same slot, another key; one bit off */
	for (int bit = 0; bit < 32; bit++)
		expect_none(ring, index ^ UINT32_C(1) << bit);
}

static void
test_enter_refused(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	const struct addr from = address("192.0.2.1:1");
	uint32_t index = keyring_reserve(ring);
	struct transfer_rx *first = new_rx(1);
	struct addr found;
	uint16_t site;

	assert_int_equal(keyring_enter(ring, 0, new_rx(2), 1, &from), -1);
	assert_int_equal(keyring_enter(ring, index ^ 0x80000000, new_rx(2), 1, &from), -1);
	assert_int_equal(keyring_enter(ring, index, NULL, 1, &from), -1);
	expect_none(ring, index);

	assert_int_equal(keyring_enter(ring, index, first, 1, &from), 0);
	assert_int_equal(keyring_enter(ring, index, new_rx(3), 2, &from), -1);
	assert_ptr_equal(keyring_find(ring, index, &site, &found), first);
	assert_int_equal(site, 1);

	keyring_remove(ring, index);
	assert_int_equal(keyring_enter(ring, index, new_rx(4), 1, &from), -1);
}

static void
test_remove(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	const struct addr from = address("192.0.2.1:1");
	uint32_t first = keyring_reserve(ring), second = keyring_reserve(ring);
	struct addr found;
	uint16_t site;

	assert_int_equal(keyring_enter(ring, first, new_rx(1), 1, &from), 0);
	assert_int_equal(keyring_enter(ring, second, new_rx(2), 1, &from), 0);
	keyring_remove(ring, 0);
	keyring_remove(ring, first ^ 0x80000000);
	assert_non_null(keyring_find(ring, first, &site, &found));

	keyring_remove(ring, first);
	expect_none(ring, first);
	assert_non_null(keyring_find(ring, second, &site, &found));
	keyring_remove(ring, first);
	keyring_remove(ring, second);
	expect_none(ring, second);
}

static int
compare_slots(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a % KEYRING_SLOTS,
		 y = *(const uint32_t *)b % KEYRING_SLOTS;

	return (x > y) - (x < y);
}

static void
test_all_slots(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	static uint32_t index[KEYRING_SLOTS];

	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < KEYRING_SLOTS; i++) {
			index[i] = keyring_reserve(ring);
			assert_int_not_equal(index[i], 0);
		}
		assert_int_equal(keyring_reserve(ring), 0);

		qsort(index, KEYRING_SLOTS, sizeof(index[0]), compare_slots);
		for (size_t i = 0; i < KEYRING_SLOTS; i++)
			assert_int_equal(index[i] % KEYRING_SLOTS, i);

		/* one that is given back is the one that can be had, under another index */
		keyring_remove(ring, index[100]);
		index[100] = keyring_reserve(ring);
		assert_int_equal(index[100] % KEYRING_SLOTS, 100);
		assert_int_equal(keyring_reserve(ring), 0);

		for (size_t i = 0; i < KEYRING_SLOTS; i++)
			keyring_remove(ring, index[i]);
	}
}

/* Indexes of one slot differ: a datagram for a key that is gone does not meet the next one. */
static void
test_indexes_are_random(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	uint32_t all_or = 0, all_and = UINT32_MAX, same = 0, last = 0;

	for (int i = 0; i < 5000000; i++) {
		uint32_t index = keyring_reserve(ring);

		if (index < KEYRING_SLOTS) /* 0, were its slot the first one */
			fail_msg("index %u", index);
		same += index == last;
		all_or |= index;
		all_and &= index;
		last = index;
		keyring_remove(ring, index);
	}
	assert_int_equal(all_or, UINT32_MAX);
	assert_int_equal(all_and, 0);
	assert_true(same < 3);
}

static void
test_tx(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	struct transfer_tx *a = new_tx(1), *b = new_tx(2), *c = new_tx(3);

	assert_null(keyring_tx(ring, 0));
	assert_null(keyring_tx(ring, 65535));
	keyring_set_tx(ring, 9, NULL);
	assert_null(keyring_tx(ring, 9));

	keyring_set_tx(ring, 3, a);
	assert_ptr_equal(keyring_tx(ring, 3), a);
	assert_null(keyring_tx(ring, 2));
	assert_null(keyring_tx(ring, 4));

	keyring_set_tx(ring, 65535, b);
	assert_ptr_equal(keyring_tx(ring, 65535), b);
	assert_ptr_equal(keyring_tx(ring, 3), a);
	assert_null(keyring_tx(ring, 65534));

	keyring_set_tx(ring, 3, c); /* frees a */
	assert_ptr_equal(keyring_tx(ring, 3), c);
	keyring_set_tx(ring, 3, c); /* the same again frees nothing */
	assert_int_equal(transfer_tx_epoch(keyring_tx(ring, 3)), 0);
	keyring_set_tx(ring, 3, NULL);
	assert_null(keyring_tx(ring, 3));
	assert_ptr_equal(keyring_tx(ring, 65535), b);
}

/* Seals one empty packet and opens it; the epoch it was sealed in, or -1. */
static int
pass_packet(struct transfer_tx *tx, struct transfer_rx *rx, uint64_t now)
{
	const struct transfer_info info = {.service = 1};
	uint8_t packet[TRANSFER_OVERHEAD];
	struct transfer_header header;
	struct transfer_opened opened;

	if (transfer_seal(tx, TRANSFER_DATA, &info, NULL, 0, NULL, 0, packet, sizeof(packet)) ==
		0 ||
	    transfer_header_decode(packet, sizeof(packet), &header) != DROP_none ||
	    transfer_open(rx, &header, packet, sizeof(packet), now, &opened) != DROP_none)
		return -1;
	return header.epoch;
}

static void
test_timers(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	const struct addr from = address("192.0.2.1:1");
	struct transfer_tx *used = new_tx(1), *idle = new_tx(2);
	struct transfer_rx *rx = new_rx(1);

	keyring_next_epoch(ring); /* empty */
	keyring_expire(ring, 1);
	keyring_set_tx(ring, 1, used);
	keyring_set_tx(ring, 5, idle);
	assert_int_equal(keyring_enter(ring, keyring_reserve(ring), rx, 1, &from), 0);

	assert_int_equal(pass_packet(used, rx, 1), 0);
	keyring_next_epoch(ring);
	assert_int_equal(transfer_tx_epoch(used), 1);
	assert_int_equal(transfer_tx_epoch(idle), 0);
	assert_int_equal(pass_packet(used, rx, 2), 1);
	assert_int_equal(transfer_rx_epoch(rx), 1);
	keyring_expire(ring, 2 + TRANSFER_EPOCH_LINGER);
	assert_int_equal(pass_packet(used, rx, 3 + TRANSFER_EPOCH_LINGER), 1);
}

/* Keys are listed, receive keys first, without those that are to come. */
static void
test_next(void **state)
{
	struct keyring *ring = ((struct fixture *)*state)->ring;
	const struct addr from = address("192.0.2.1:1");
	uint32_t cursor = 0, reserved, index[2];
	struct transfer_tx *tx = new_tx(1);
	struct transfer_rx *rx = new_rx(1);
	struct keyring_entry entry;

	assert_false(keyring_next(ring, &cursor, &entry));
	reserved = keyring_reserve(ring);
	index[0] = keyring_reserve(ring);
	index[1] = keyring_reserve(ring);
	assert_int_equal(keyring_enter(ring, index[0], rx, 4, &from), 0);
	assert_int_equal(keyring_enter(ring, index[1], new_rx(2), 65535, &from), 0);
	keyring_set_tx(ring, 65535, new_tx(9));
	keyring_set_tx(ring, 4, tx);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(pass_packet(tx, rx, 1), i / 2);
		if (i % 2 == 1)
			keyring_next_epoch(ring);
	}
	cursor = 0;
	for (int i = 0; i < 2; i++) {
		bool first;

		assert_true(keyring_next(ring, &cursor, &entry));
		assert_false(entry.transmit);
		assert_int_not_equal(entry.index, reserved);
		first = entry.index == index[0];
		assert_int_equal(entry.index, index[first ? 0 : 1]);
		assert_int_equal(entry.site, first ? 4 : 65535);
		assert_int_equal(entry.epoch, first ? 2 : 0);
		assert_int_equal(entry.packets, first ? 5 : 0);
		assert_true(entry.usable);
	}
	assert_true(keyring_next(ring, &cursor, &entry));
	assert_true(entry.transmit);
	assert_int_equal(entry.site, 4);
	assert_int_equal(entry.index, 1);
	assert_int_equal(entry.epoch, 2);
	assert_int_equal(entry.packets, 5);
	assert_true(keyring_next(ring, &cursor, &entry));
	assert_true(entry.transmit);
	assert_int_equal(entry.site, 65535);
	assert_int_equal(entry.index, 9);
	assert_int_equal(entry.packets, 0);
	assert_false(keyring_next(ring, &cursor, &entry));
	assert_false(keyring_next(ring, &cursor, &entry));
}

static void
test_free_null(void **state)
{
	(void)state;
	keyring_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_enter_and_find, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_unknown_indexes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_enter_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_all_slots, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_indexes_are_random, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_tx, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_timers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_next, set_up, tear_down),
	    cmocka_unit_test(test_free_null),
	};

	return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
