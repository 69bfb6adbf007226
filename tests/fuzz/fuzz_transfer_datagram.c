/*
 * What arrives on the transfer port, before anything is known to be authentic.
 *
 * The first octet says what the rest is:
 *   0x00-0x7f  a datagram; bit 0: not from the peer's address
 *   0x80-0xff  octets to xor into a good datagram; bits 0-3 choose it, bit 4: not from the
 *              peer's address, bit 5: the datagram is made as long as these octets
 *
 * Nothing may be accepted but the good datagrams as they were sealed, and those only once.  What is
 * refused leaves nothing behind: the receiver is that of all inputs before, and is made anew only
 * when it has accepted something.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/reception.h"

#define SEALED 16
#define ROOM   4096
#define NOW    CLOCK_SECOND

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t direction[KEYS_SECRET_LEN] = "the key of all fuzzed datagrams";

static struct {
	uint8_t data[TRANSFER_OVERHEAD + 64];
	size_t len;
} sealed[SEALED];

static struct addr peer, stranger;
static struct keyring *ring;

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

/* Packets of several sizes and epochs; the last ones are too far ahead of the first. */
static void
seal_all(uint32_t index)
{
	struct transfer_tx *tx = transfer_tx_new(KEYS_AES_128_GCM, direction, index);
	uint8_t text[64];

	expect(tx != NULL);
	memset(text, 0x45, sizeof(text));
	for (unsigned i = 0; i < SEALED; i++) {
		const struct transfer_info info = {.service = (uint16_t)i, .hops = i % 16};

		sealed[i].len = transfer_seal(tx, TRANSFER_DATA, &info, text, i * 2, text,
		    i * 2, sealed[i].data, sizeof(sealed[i].data));
		expect(sealed[i].len == TRANSFER_OVERHEAD + i * 4);
		if (i % 2 == 1)
			transfer_tx_next_epoch(tx);
	}
	transfer_tx_free(tx);
}

/* A ring whose first index depends on nothing but the seed, with the key under it. */
static uint32_t
make_ring(void)
{
	static struct random random;
	uint32_t index;

	random_init(&random, 7210);
	ring = keyring_new(&random);
	index = keyring_reserve(ring);
	expect(keyring_enter(
		   ring, index, transfer_rx_new(KEYS_AES_128_GCM, direction), 3, &peer) == 0);
	return index;
}

static void
set_up(void)
{
	expect(addr_parse("192.0.2.1:7210", &peer) == 0);
	expect(addr_parse("192.0.2.2:7210", &stranger) == 0);
	seal_all(make_ring());
}

static void
renew_ring(void)
{
	keyring_free(ring);
	make_ring();
}

/* Builds the datagram; returns its length. */
static size_t
build(const uint8_t *data, size_t size, uint8_t out[ROOM])
{
	uint8_t control = data[0];
	size_t len;

	data++;
	size = size - 1 < ROOM ? size - 1 : ROOM;
	if ((control & 0x80) == 0) {
		memcpy(out, data, size);
		return size;
	}
	memset(out, 0, ROOM);
	len = sealed[control & 0x0f].len;
	memcpy(out, sealed[control & 0x0f].data, len);
	if ((control & 0x20) != 0)
		len = size;
	for (size_t i = 0; i < size && i < len; i++)
		out[i] ^= data[i];
	return len;
}

/* Whether the datagram is one that the peer has sealed, and of an epoch that a new receiver holds. */
static int
genuine(const uint8_t *datagram, size_t len)
{
	for (unsigned i = 0; i < SEALED; i++)
		if (len == sealed[i].len && memcmp(datagram, sealed[i].data, len) == 0)
			return i / 2 <= TRANSFER_EPOCHS_AHEAD;
	return 0;
}

/* Receives a copy that ends where its memory ends. */
static enum drop
receive(const uint8_t *datagram, size_t len, const struct addr *from)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct transfer_opened opened;
	uint16_t site;
	enum drop drop;

	expect(copy != NULL);
	memcpy(copy, datagram, len);
	drop = reception_open(ring, copy, len, from, NOW, &opened, &site);
	if (drop == DROP_none) {
		expect(site == 3);
		expect(opened.inner >= copy && opened.inner_len == len - TRANSFER_OVERHEAD);
		for (size_t i = 0; i < opened.inner_len; i++)
			expect(opened.inner[i] == 0x45);
	}
	free(copy);
	return drop;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t datagram[ROOM];
	enum drop first, second;
	size_t len;
	int strange, good;

	if (size == 0)
		return 0;
	if (ring == NULL)
		set_up();
	len = build(data, size, datagram);
	strange = (data[0] & ((data[0] & 0x80) != 0 ? 0x10 : 0x01)) != 0;
	good = genuine(datagram, len) && !strange;
	first = receive(datagram, len, strange ? &stranger : &peer);
	second = receive(datagram, len, strange ? &stranger : &peer);
	expect((first == DROP_none) == good);
	expect(second == (good ? DROP_transfer_replay : first));
	if (good)
		renew_ring();
	return 0;
}
