#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "transfer/keys.h"

/* The secret 00 01 02 ... 1f. */
static uint8_t secret[KEYS_SECRET_LEN];

static int
set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	return 0;
}

static size_t
from_hex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return len;
}

static void
expect_label(const char *label, const char *hex)
{
	uint8_t expected[256], out[256];
	size_t len = from_hex(hex, expected);

	memset(out, 0xee, sizeof(out));
	assert_int_equal(keys_expand_label(secret, label, out, len), 0);
	assert_memory_equal(out, expected, len);
	assert_int_equal(out[len], 0xee);
}

/*
 * Computed with HMAC-SHA256 alone by a program that reproduces RFC 5869, A.1 (the oracle's
 * wladproto.py says the same).
 */
static void
test_expand_label(void **state)
{
	(void)state;
	expect_label(
	    "dialer", "278f285d36263bf68226f59c7c446dcfcf5dd0da448cee8c7bd8056a892a41bf");
	expect_label(
	    "listener", "db390ace598203762578fb948b3452a19af12651519b1e64de9667591e31a03b");
	expect_label("epoch", "6e1d592cd88a2faa6afd4ef26ff1093fa53926abc2d359b0ce1511ca2e816caa");
	expect_label("key", "59255dda97e89b84653dafedb40addcc");
	expect_label("iv", "0263ae005675765673e74004");
	expect_label("x", "75");
	/* four blocks of the hash, the last one cut */
	expect_label("long output",
	    "ec2e1349878b8adb5f115ab9fa3c937bbb9cb68812da91084312b7fdbeefa1fb"
	    "8cd8fb49f30268723f9c7bbafa6d51757009deb3405a1284d4fc8cbc60adf93a"
	    "8414f9c43f3edd430d1554209bddff9b8340ea4edd6d05312c0a00bb1ad3cc2f58"
	    "111651");
}

static void
test_expand_label_limits(void **state)
{
	static uint8_t out[8161], expected[32];
	char label[251];

	(void)state;
	memset(label, 'a', sizeof(label));
	label[249] = '\0';
	from_hex("fd77b2ef0222d0c37513eb79484a0620a2340b1c7e60f2a64f6203ebd86cf9bb", expected);
	assert_int_equal(keys_expand_label(secret, label, out, 32), 0);
	assert_memory_equal(out, expected, 32);

	label[249] = 'a';
	label[250] = '\0';
	assert_int_equal(keys_expand_label(secret, label, out, 32), -1);
	assert_int_equal(keys_expand_label(secret, "", out, 32), -1);
	assert_int_equal(keys_expand_label(secret, "key", out, 0), -1);

	from_hex("15683ce1f33c1745cd391b6462df94bab5cbdc4dc3fdc33ae1ad66aee9205ab8", expected);
	assert_int_equal(keys_expand_label(secret, "m", out, 8160), 0);
	assert_memory_equal(out + 8160 - 32, expected, 32);
	assert_int_equal(keys_expand_label(secret, "m", out, 8161), -1);
}

static void
test_expand_label_depends_on_secret(void **state)
{
	uint8_t first[32], second[32];

	(void)state;
	for (int bit = 0; bit < 8 * KEYS_SECRET_LEN; bit++) {
		uint8_t other[KEYS_SECRET_LEN];

		memcpy(other, secret, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(keys_expand_label(secret, "key", first, 32), 0);
		assert_int_equal(keys_expand_label(other, "key", second, 32), 0);
		assert_memory_not_equal(first, second, 32);
	}
}

static struct keys_context
example_context(void)
{
	struct keys_context c = {.site = {"osaka", "tokyo.example"}, .cipher = KEYS_AES_128_GCM};

	memset(c.certificate[0], 0xa1, KEYS_DIGEST_LEN);
	memset(c.certificate[1], 0xa2, KEYS_DIGEST_LEN);
	memset(c.random[0], 0xb1, KEYS_RANDOM_LEN);
	memset(c.random[1], 0xb2, KEYS_RANDOM_LEN);
	return c;
}

static void
test_context_octets(void **state)
{
	const struct keys_context c = example_context();
	uint8_t out[KEYS_CONTEXT_MAX], expected[KEYS_CONTEXT_MAX];
	size_t n = 0;

	(void)state;
	expected[n++] = 1;
	expected[n++] = 1;
	expected[n++] = 5;
	memcpy(expected + n, "osaka", 5), n += 5;
	memset(expected + n, 0xa1, 32), n += 32;
	memset(expected + n, 0xb1, 16), n += 16;
	expected[n++] = 13;
	memcpy(expected + n, "tokyo.example", 13), n += 13;
	memset(expected + n, 0xa2, 32), n += 32;
	memset(expected + n, 0xb2, 16), n += 16;
	assert_int_equal(keys_context_encode(&c, out), n);
	assert_memory_equal(out, expected, n);
}

/* Who dialled is part of the context. */
static void
test_context_order(void **state)
{
	struct keys_context c = example_context(), swapped = example_context();
	uint8_t first[KEYS_CONTEXT_MAX], second[KEYS_CONTEXT_MAX];
	size_t len;

	(void)state;
	for (int side = 0; side < 2; side++) {
		swapped.site[side] = c.site[1 - side];
		memcpy(swapped.certificate[side], c.certificate[1 - side], KEYS_DIGEST_LEN);
		memcpy(swapped.random[side], c.random[1 - side], KEYS_RANDOM_LEN);
	}
	len = keys_context_encode(&c, first);
	assert_int_equal(keys_context_encode(&swapped, second), len);
	assert_memory_not_equal(first, second, len);
}

static void
test_context_names(void **state)
{
	struct keys_context c = example_context();
	uint8_t out[KEYS_CONTEXT_MAX];
	char name[65];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[63] = '\0';
	c.site[0] = c.site[1] = name;
	assert_int_equal(keys_context_encode(&c, out), 2 + 2 * (1 + 63 + 32 + 16));

	name[63] = 'n';
	name[64] = '\0';
	for (int side = 0; side < 2; side++) {
		c = example_context();
		c.site[side] = name;
		assert_int_equal(keys_context_encode(&c, out), 0);
		c.site[side] = "";
		assert_int_equal(keys_context_encode(&c, out), 0);
	}
}

static void
expect_nonce(uint16_t epoch, uint64_t counter, const char *hex)
{
	static const uint8_t iv[KEYS_IV_LEN] = {
	    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b};
	uint8_t nonce[KEYS_IV_LEN], expected[KEYS_IV_LEN];

	from_hex(hex, expected);
	keys_nonce(iv, epoch, counter, nonce);
	assert_memory_equal(nonce, expected, sizeof(nonce));
}

static void
test_nonce(void **state)
{
	(void)state;
	expect_nonce(0, 0, "101112131415161718191a1b");
	expect_nonce(0, 1, "101112131415161718191a1a");
	expect_nonce(1, 0, "101112131414161718191a1b");
	expect_nonce(0x0100, 0x010000000000, "101112131515171718191a1b");
	expect_nonce(0xffff, 0xffffffffffff, "10111213ebeae9e8e7e6e5e4");
	expect_nonce(0x1415, 0x161718191a1b, "101112130000000000000000");
}

/* No two pairs of epoch and counter share a nonce: each bit of them has its own place. */
static void
test_nonce_distinct(void **state)
{
	static const uint8_t iv[KEYS_IV_LEN] = {0};
	uint8_t seen[KEYS_IV_LEN] = {0}, nonce[KEYS_IV_LEN];

	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		int ones = 0;

		keys_nonce(iv, bit < 16 ? (uint16_t)(1u << bit) : 0,
		    bit < 16 ? 0 : UINT64_C(1) << (bit - 16), nonce);
		for (int i = 0; i < KEYS_IV_LEN; i++) {
			assert_int_equal(seen[i] & nonce[i], 0);
			ones += __builtin_popcount(nonce[i]);
			seen[i] |= nonce[i];
		}
		assert_int_equal(ones, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expand_label),
	    cmocka_unit_test(test_expand_label_limits),
	    cmocka_unit_test(test_expand_label_depends_on_secret),
	    cmocka_unit_test(test_context_octets),
	    cmocka_unit_test(test_context_order),
	    cmocka_unit_test(test_context_names),
	    cmocka_unit_test(test_nonce),
	    cmocka_unit_test(test_nonce_distinct),
	};

	return cmocka_run_group_tests_name("keys", tests, set_up, NULL);
}
