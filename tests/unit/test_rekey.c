/*
 * rekey: keys that change while packets flow: none is lost by it, and no nonce is used twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "transfer/seal.h"
#include "two_sites.h"

/* ---- nonces ---- */

#define SESSIONS 6
#define EPOCHS   400 /* of each session, at least */
#define PACKETS  30000

/* What a packet was really sealed with. */
struct use {
	uint8_t key[16], nonce[KEYS_IV_LEN];
};

static struct use uses[SESSIONS * PACKETS];

/* The secret of a session, and then of its next epoch. */
static void
next_secret(uint8_t secret[KEYS_SECRET_LEN])
{
	uint8_t next[KEYS_SECRET_LEN];

	assert_int_equal(keys_expand_label(secret, "epoch", next, sizeof(next)), 0);
	memcpy(secret, next, sizeof(next));
}

/* Whether the packet opens under these. */
static bool
opens(const struct use *use, const uint8_t *sealed, size_t len)
{
	static EVP_CIPHER_CTX *ctx;
	uint8_t text[256], tag[TRANSFER_TAG_LEN];
	size_t text_len = len - TRANSFER_HEADER_LEN - TRANSFER_TAG_LEN;
	int n;

	if (ctx == NULL)
		ctx = EVP_CIPHER_CTX_new();
	memcpy(tag, sealed + len - sizeof(tag), sizeof(tag));
	return EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, use->key, use->nonce) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, sealed, TRANSFER_HEADER_LEN) == 1 &&
	    EVP_DecryptUpdate(ctx, text, &n, sealed + TRANSFER_HEADER_LEN, (int)text_len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	    EVP_DecryptFinal_ex(ctx, text, &n) == 1;
}

/* Seals PACKETS in EPOCHS or more, that end by number, by order, and by both. */
static void
use_session(const uint8_t direction[KEYS_SECRET_LEN], struct random *random, struct use *use)
{
	struct transfer_tx *tx = transfer_tx_new(KEYS_AES_128_GCM, direction, 7);
	const struct transfer_info info = {.service = 1};
	uint8_t secret[KEYS_SECRET_LEN], iv[KEYS_IV_LEN], key[16], sealed[256], text[100] = {0};
	uint16_t epoch = UINT16_MAX;
	struct transfer_header h;

	memcpy(secret, direction, sizeof(secret));
	transfer_tx_set_limit(tx, PACKETS / EPOCHS);
	for (unsigned i = 0; i < PACKETS; i++, use++) {
		size_t len = transfer_seal(tx, TRANSFER_DATA + i % 4, &info, text, i % 50, text,
		    i % 51, sealed, sizeof(sealed));

		assert_int_equal(len, TRANSFER_OVERHEAD + i % 50 + i % 51);
		assert_int_equal(transfer_header_decode(sealed, len, &h), DROP_none);
		if (h.epoch != epoch) {
			assert_int_equal(h.epoch, (uint16_t)(epoch + 1));
			if (epoch != UINT16_MAX)
				next_secret(secret);
			epoch = h.epoch;
			assert_int_equal(keys_expand_label(secret, "key", key, sizeof(key)), 0);
			assert_int_equal(keys_expand_label(secret, "iv", iv, sizeof(iv)), 0);
		}
		memcpy(use->key, key, sizeof(key));
		keys_nonce(iv, h.epoch, h.counter, use->nonce);
		assert_true(opens(use, sealed, len));
		for (uint32_t n = random_below(random, 200); n < 3; n++)
			transfer_tx_next_epoch(tx);
	}
	assert_true(epoch >= EPOCHS);
	transfer_tx_free(tx);
}

static int
compare_uses(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct use));
}

/* Over all sessions, directions and epochs. */
static void
test_no_nonce_twice(void **state)
{
	uint8_t secret[KEYS_SECRET_LEN] = {0}, direction[KEYS_SECRET_LEN];
	struct random random;

	(void)state;
	random_init(&random, 3);
	for (unsigned i = 0; i < SESSIONS; i++) {
		/* a session has a secret, which differs from another's by a bit */
		secret[31] = (uint8_t)(i / 2);
		assert_int_equal(keys_expand_label(secret, i % 2 == 0 ? "dialer" : "listener",
				     direction, sizeof(direction)),
		    0);
		use_session(direction, &random, &uses[i * PACKETS]);
	}
	qsort(uses, SESSIONS * PACKETS, sizeof(uses[0]), compare_uses);
	for (size_t i = 1; i < SESSIONS * PACKETS; i++)
		assert_int_not_equal(compare_uses(&uses[i - 1], &uses[i]), 0);
}

/* ---- under load ---- */

#define REKEYS 1000
#define FLOWS  16
#define BURST  40 /* packets between two changes of keys */
#define FLIGHT 12 /* of them still under way when that happens */

static struct {
	struct two_sites sites;
	uint32_t sent, seen;
	uint8_t arrived[REKEYS * (BURST + 1)];
	struct {
		uint8_t data[256];
		size_t len;
	} flight[FLIGHT];
	uint32_t index[2]; /* y's current key, and the one before */
	uint32_t sessions;
} load;

static void
send_packet(void)
{
	struct addr client = frame_addr("192.0.2.77", (uint16_t)(4000 + load.sent % FLOWS));
	struct addr service = frame_addr("203.0.113.10", 53);
	struct frame *f = &load.sites.frame;
	uint8_t number[4];

	frame_ip(f, &client, &service, IPPROTO_UDP);
	frame_udp(f, client.port, service.port);
	frame_put32(number, load.sent++);
	frame_add(f, number, sizeof(number));
	assert_int_equal(two_sites_device(&load.sites, load.sites.x), DROP_none);
}

/* What has come out at y: each once. */
static void
take_packets(void)
{
	struct packet p;

	while (two_sites_take(&load.sites, load.sites.y, &p)) {
		uint32_t number = frame_get32(p.data + p.payload);

		assert_true(number < load.sent);
		assert_int_equal(load.arrived[number], 0);
		load.arrived[number] = 1;
		load.seen++;
	}
}

static void
deliver(const uint8_t *data, size_t len)
{
	struct instance *x = load.sites.x, *y = load.sites.y;

	memory_put_datagram(y->io, data, len, &x->config->transfer.listen);
	assert_int_equal(datapath_run_transfer(y->datapath, load.sites.now), 1);
	take_packets();
}

/* A burst of which the last ones stay under way. */
static void
send_burst(void)
{
	struct memory_packet d;

	for (unsigned i = 0; i < BURST; i++) {
		send_packet();
		assert_true(memory_take_datagram(load.sites.x->io, &d));
		if (i < BURST - FLIGHT) {
			deliver(d.data, d.len);
			continue;
		}
		assert_true(d.len <= sizeof(load.flight[0].data));
		memcpy(load.flight[i + FLIGHT - BURST].data, d.data, d.len);
		load.flight[i + FLIGHT - BURST].len = d.len;
	}
}

/* What was under way arrives, the newest first. */
static void
land(void)
{
	for (unsigned i = FLIGHT; i-- > 0;)
		deliver(load.flight[i].data, load.flight[i].len);
}

/* A new session: y is ready for the new key before x uses it, and keeps the old one for what is
 * under way. */
static void
new_session(void)
{
	struct instance *x = load.sites.x, *y = load.sites.y;
	uint8_t secret[KEYS_SECRET_LEN] = {0};
	uint32_t index = keyring_reserve(y->keyring);

	frame_put32(secret, ++load.sessions);
	assert_int_not_equal(index, 0);
	if (load.index[1] != 0)
		keyring_remove(y->keyring, load.index[1]);
	assert_int_equal(
	    keyring_enter(y->keyring, index, transfer_rx_new(KEYS_AES_128_GCM, secret), 0,
		&x->config->transfer.listen),
	    0);
	keyring_set_tx(x->keyring, 0, transfer_tx_new(KEYS_AES_128_GCM, secret, index));
	load.index[1] = load.index[0];
	load.index[0] = index;
}

static void
test_a_thousand_rekeys(void **state)
{
	struct connection_counts counts;

	(void)state;
	two_sites_make(&load.sites, "direct", "");
	for (unsigned i = 0; i < REKEYS; i++) {
		send_burst();
		if (i % 2 == 0)
			keyring_next_epoch(load.sites.x->keyring);
		else
			new_session();
		if (i % 3 == 0) {
			/* the first of the new key overtakes those under way */
			struct memory_packet d;

			load.sites.now += CLOCK_MILLISECOND;
			send_packet();
			assert_true(memory_take_datagram(load.sites.x->io, &d));
			deliver(d.data, d.len);
		}
		land();
		assert_int_equal(load.seen, load.sent);
		load.sites.now += 5 * CLOCK_MILLISECOND;
		keyring_expire(load.sites.y->keyring, load.sites.now);
	}
	assert_int_equal(load.sessions, REKEYS / 2);
	for (int i = 1; i < DROP_COUNT; i++) {
		assert_int_equal(load.sites.x->counters.drop[i], 0);
		assert_int_equal(load.sites.y->counters.drop[i], 0);
	}
	connection_table_counts(datapath_connections(load.sites.y->datapath), &counts);
	assert_int_equal(counts.by_kind[CONNECTION_RECEIVED], FLOWS);
	two_sites_free(&load.sites);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_nonce_twice),
	    cmocka_unit_test(test_a_thousand_rekeys),
	};

	return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
