#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/siphash.h"

/* Key 00 01 .. 0f, message 00 01 .. of 0 to 63 octets, as the authors' vectors of SipHash-2-4
 * are made; from a program that yields those when it is told 2 and 4 rounds. */
static const uint64_t vectors[64] = {0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d,
    0x8bf80ab8e7ddf7fb, 0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7,
    0xd3927d989bb11140, 0x369095118d299a8e, 0x25a48eb36c063de4, 0x79de85ee92ff097f,
    0x70c118c1f94dc352, 0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34,
    0xd320d86d2a519956, 0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e,
    0xf21f9de58d297d1c, 0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e,
    0x525a0e7fdae6c123, 0xf464aeb267349c8c, 0x45cd5928705b0979, 0x3a3e35e3ca9913a5,
    0xa91dc74e4ade3b35, 0xfb0bed02ef6cd00d, 0x88d93cb44ab1e1f4, 0x540f11d643c5e663,
    0x2370dd1f8c21d1bc, 0x81157b6c16a7b60d, 0x4d54b9e57a8ff9bf, 0x759f12781f2a753e,
    0xcea1a3bebf186b91, 0x2cf508d3ada26206, 0xb6101c2da3c33057, 0xb3f47496ae3a36a1,
    0x626b57547b108392, 0xc1d2363299e41531, 0x667cc1923f1ad944, 0x65704ffec8138825,
    0x24f280d1c28949a6, 0xc2ca1cedfaf8876b, 0xc2164bfc9f042196, 0xa16e9c9368b1d623,
    0x49fb169c8b5114fd, 0x9f3143f8df074c46, 0xc6fdaf2412cc86b3, 0x7eaf49d10a52098f,
    0x1cf313559d292f9a, 0xc44a30dda2f41f12, 0x36fae98943a71ed0, 0x318fb34c73f0bce6,
    0xa27abf3670a7e980, 0xb4bcc0db243c6d75, 0x23f8d852fdb71513, 0x8f035f4da67d8a08,
    0xd89cd0e5b7e8f148, 0xf6f4e6bcf7a644ee, 0xaec59ad80f1837f2, 0xc3b2f6154b6694e0,
    0x9d199062b7bbb3a8};

static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

static void
test_vectors(void **state)
{
	uint8_t message[64];

	(void)state;
	for (uint8_t i = 0; i < 64; i++) {
		message[i] = i;
		assert_true(siphash13(&key, message, i) == vectors[i]);
	}
}

/* The length counts modulo 256 in the last word; all ones and all zeros. */
static void
test_long_messages(void **state)
{
	static const struct siphash_key zeros = {{0, 0}}, ones = {{UINT64_MAX, UINT64_MAX}};
	uint8_t message[1000] = {0};

	(void)state;
	assert_true(siphash13(&zeros, message, 1000) == 0x9c32f460d2faab06);
	memset(message, 0xff, sizeof(message));
	assert_true(siphash13(&ones, message, 300) == 0x82575369a1a1a8ef);
}

/* Packets do not lie where words would like it. */
static void
test_any_alignment(void **state)
{
	uint8_t buffer[128];

	(void)state;
	for (size_t offset = 0; offset < 16; offset++) {
		memset(buffer, 0xee, sizeof(buffer));
		for (uint8_t i = 0; i < 63; i++)
			buffer[offset + i] = i;
		for (size_t len = 0; len < 63; len++)
			assert_true(siphash13(&key, buffer + offset, len) == vectors[len]);
	}
}

/* Each bit of message and key matters, and changes about half of the result. */
static void
test_avalanche(void **state)
{
	uint8_t message[40] = {0};
	uint64_t before = siphash13(&key, message, sizeof(message));
	uint32_t sum = 0;

	(void)state;
	for (int bit = 0; bit < 320 + 128; bit++) {
		struct siphash_key k = key;
		int changed;

		if (bit < 320)
			message[bit / 8] ^= (uint8_t)(1 << bit % 8);
		else
			k.k[(bit - 320) / 64] ^= UINT64_C(1) << bit % 64;
		changed = __builtin_popcountll(before ^ siphash13(&k, message, sizeof(message)));
		assert_in_range(changed, 12, 52);
		sum += (uint32_t)changed;
		if (bit < 320)
			message[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_in_range(sum / 448, 30, 34);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_long_messages),
	    cmocka_unit_test(test_any_alignment),
	    cmocka_unit_test(test_avalanche),
	};

	return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
