/*
 * keys: from the TLS exporter's secret to the key, IV and nonce of each transfer packet.
 *
 * secret         = TLS exporter, label "EXPORTER-wlad-transfer", 32 octets, context below
 * direction      = Expand-Label(secret, "dialer" | "listener", 32)  which side sends
 * epoch 0        = direction;  epoch n+1 = Expand-Label(epoch n, "epoch", 32)
 * key            = Expand-Label(epoch n, "key", 16; 32 for AES-256-GCM, ChaCha20-Poly1305)
 * iv             = Expand-Label(epoch n, "iv", 12)
 * nonce          = iv xor (0 (4) | epoch (2) | counter (6))
 *
 * Expand-Label is HKDF-Expand-Label of RFC 8446, 7.1, with SHA-256, an empty context and
 * the prefix "wlad1 ".  The TLS 1.3 exporter does not cover the client's certificate and
 * does not change with KeyUpdate, so its context names both ends.  Keys are wiped when
 * freed, and never written anywhere.  With cipher.c and seal.c the only file of the
 * transfer path that knows OpenSSL.
 */
#ifndef WLAD_TRANSFER_KEYS_H
#define WLAD_TRANSFER_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_SECRET_LEN 32
#define KEYS_RANDOM_LEN 16
#define KEYS_DIGEST_LEN 32
#define KEYS_IV_LEN     12
#define KEYS_LABEL      "EXPORTER-wlad-transfer"

/* As HELLO calls them. */
enum keys_cipher { KEYS_AES_128_GCM = 1, KEYS_AES_256_GCM, KEYS_CHACHA20_POLY1305 };

#define KEYS_KEY_MAX 32

/* Octets of a cipher's key; 0 for one that is not known here. */
size_t keys_key_len(enum keys_cipher cipher);

/* What OpenSSL calls it, and in small letters the configuration: "AES-128-GCM"; "unknown". */
const char *keys_cipher_name(enum keys_cipher cipher);

/* Both ends of the TLS session, the one that dialled first. */
struct keys_context {
	const char *site[2];
	uint8_t certificate[2][KEYS_DIGEST_LEN]; /* SHA-256 of the DER certificate */
	uint8_t random[2][KEYS_RANDOM_LEN];      /* from the HELLO of each */
	enum keys_cipher cipher;
};

#define KEYS_CONTEXT_MAX 512

/*
 * Writes the exporter's context: version (1), cipher (1), then for the dialer and the
 * listener each: length of name (1), name, certificate (32), random (16).  Returns its
 * length; 0 if a name is empty or longer than 63 octets.
 */
size_t keys_context_encode(const struct keys_context *context, uint8_t out[KEYS_CONTEXT_MAX]);

/*
 * RFC 8446 HKDF-Expand-Label with our prefix, empty context.  The label has 1 to 249
 * octets, len is 1 to 8160.  Returns 0, or -1 for others or if OpenSSL failed (its error
 * queue says why); out is wiped then.
 */
int keys_expand_label(
    const uint8_t secret[KEYS_SECRET_LEN], const char *label, uint8_t *out, size_t len);

/* The nonce of one packet. */
void keys_nonce(const uint8_t iv[KEYS_IV_LEN], uint16_t epoch, uint64_t counter,
    uint8_t nonce[KEYS_IV_LEN]);

#endif
