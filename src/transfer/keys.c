#include "transfer/keys.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "transfer/header.h"

#define LABEL_PREFIX "wlad1 "
#define LABEL_MAX    255 /* of RFC 8446's HkdfLabel.label, prefix included */
#define NAME_MAX_LEN 63  /* of a DNS label */
#define SHA256_LEN   32

static const struct {
	const char *name;
	size_t key_len;
} ciphers[] = {
    [KEYS_AES_128_GCM] = {"AES-128-GCM", 16},
    [KEYS_AES_256_GCM] = {"AES-256-GCM", 32},
    [KEYS_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", 32},
};

size_t
keys_key_len(enum keys_cipher cipher)
{
	size_t number = (size_t)cipher;

	return number < sizeof(ciphers) / sizeof(ciphers[0]) ? ciphers[number].key_len : 0;
}

const char *
keys_cipher_name(enum keys_cipher cipher)
{
	return keys_key_len(cipher) != 0 ? ciphers[cipher].name : "unknown";
}

static size_t
put(uint8_t *out, size_t at, const void *data, size_t len)
{
	memcpy(out + at, data, len);
	return at + len;
}

size_t
keys_context_encode(const struct keys_context *context, uint8_t out[KEYS_CONTEXT_MAX])
{
	size_t at = 0;

	out[at++] = TRANSFER_VERSION;
	out[at++] = (uint8_t)context->cipher;
	for (int side = 0; side < 2; side++) {
		size_t len = strlen(context->site[side]);

		if (len == 0 || len > NAME_MAX_LEN)
			return 0;
		out[at++] = (uint8_t)len;
		at = put(out, at, context->site[side], len);
		at = put(out, at, context->certificate[side], KEYS_DIGEST_LEN);
		at = put(out, at, context->random[side], KEYS_RANDOM_LEN);
	}
	return at;
}

/*
 * struct { uint16 length; opaque label<7..255>; opaque context<0..255>; } HkdfLabel.
 * Returns its length, or 0 if the label is empty or too long.
 */
static size_t
encode_label(const char *label, size_t len, uint8_t out[2 + 1 + LABEL_MAX + 1])
{
	size_t prefix_len = strlen(LABEL_PREFIX), label_len = strlen(label);
	size_t at = 0;

	if (label_len == 0 || prefix_len + label_len > LABEL_MAX)
		return 0;
	out[at++] = (uint8_t)(len >> 8);
	out[at++] = (uint8_t)len;
	out[at++] = (uint8_t)(prefix_len + label_len);
	at = put(out, at, LABEL_PREFIX, prefix_len);
	at = put(out, at, label, label_len);
	out[at++] = 0;
	return at;
}

static int
hkdf_expand(const uint8_t secret[KEYS_SECRET_LEN], uint8_t *info, size_t info_len, uint8_t *out,
    size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[] = "SHA256";
	/* The key is only read; the parameter type is shared with those that are written. */
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, KEYS_SECRET_LEN),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
	    OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	int result = -1;

	if (ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1)
		result = 0;
	EVP_KDF_CTX_free(ctx); /* wipes its copy of the secret */
	EVP_KDF_free(kdf);
	return result;
}

int
keys_expand_label(
    const uint8_t secret[KEYS_SECRET_LEN], const char *label, uint8_t *out, size_t len)
{
	uint8_t info[2 + 1 + LABEL_MAX + 1];
	size_t info_len = encode_label(label, len, info);

	if (info_len == 0 || len == 0 || len > 255 * SHA256_LEN)
		return -1;
	if (hkdf_expand(secret, info, info_len, out, len) == -1) {
		OPENSSL_cleanse(out, len);
		return -1;
	}
	return 0;
}

void
keys_nonce(
    const uint8_t iv[KEYS_IV_LEN], uint16_t epoch, uint64_t counter, uint8_t nonce[KEYS_IV_LEN])
{
	memcpy(nonce, iv, KEYS_IV_LEN);
	nonce[4] ^= (uint8_t)(epoch >> 8);
	nonce[5] ^= (uint8_t)epoch;
	for (int i = 0; i < 6; i++)
		nonce[6 + i] ^= (uint8_t)(counter >> (40 - 8 * i));
}
