/*
 * cipher: AES-GCM or ChaCha20-Poly1305 of one direction in one epoch: keyed once, then given a
 * nonce for each packet.
 *
 * The part of seal.c that speaks with OpenSSL; used by it alone.  The context is made
 * when the epoch is, nothing is allocated per packet.  OpenSSL's error queue is left
 * empty by every function.
 */
#ifndef WLAD_TRANSFER_CIPHER_H
#define WLAD_TRANSFER_CIPHER_H

#include <openssl/types.h>

#include "transfer/header.h"
#include "transfer/keys.h"

struct cipher {
	EVP_CIPHER_CTX *ctx;
	uint8_t iv[KEYS_IV_LEN];
};

enum cipher_use { CIPHER_OPEN, CIPHER_SEAL };

/*
 * Makes the cipher of the epoch whose secret is given, and turns the secret into the
 * next epoch's: who reads this memory later cannot go back.  Returns 0, or -1 with the
 * secret unchanged.
 */
int cipher_init(struct cipher *c, enum keys_cipher kind, uint8_t secret[KEYS_SECRET_LEN],
    enum cipher_use use);

/* Wipes it.  A cipher that is all zero is fine. */
void cipher_fini(struct cipher *c);

/*
 * Seals a packet whose header is in out already: writes info, head and body encrypted
 * behind it, then the tag.  out has room for TRANSFER_OVERHEAD + head_len + body_len
 * octets, at most 65535.
 */
bool cipher_seal(struct cipher *c, const struct transfer_header *header,
    const struct transfer_info *info, const uint8_t *head, size_t head_len, const uint8_t *body,
    size_t body_len, uint8_t *out);

/*
 * Opens a datagram of TRANSFER_OVERHEAD to 65535 octets in place; true if its tag is
 * good.
 */
bool cipher_open(
    struct cipher *c, const struct transfer_header *header, uint8_t *datagram, size_t len);

#endif
