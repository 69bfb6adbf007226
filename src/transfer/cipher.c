#include "transfer/cipher.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

/* Octets of a packet that are put together before they are encrypted. */
#define GATHER 128

static EVP_CIPHER_CTX *
context_new(enum keys_cipher kind, const uint8_t *key, enum cipher_use use)
{
	EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, keys_cipher_name(kind), NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (algorithm == NULL || ctx == NULL ||
	    EVP_CipherInit_ex(ctx, algorithm, NULL, key, NULL, use == CIPHER_SEAL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(algorithm); /* the context has its own reference */
	return ctx;
}

int
cipher_init(struct cipher *c, enum keys_cipher kind, uint8_t secret[KEYS_SECRET_LEN],
    enum cipher_use use)
{
	uint8_t key[KEYS_KEY_MAX], next[KEYS_SECRET_LEN];

	c->ctx = NULL;
	if (keys_expand_label(secret, "key", key, keys_key_len(kind)) == 0 &&
	    keys_expand_label(secret, "iv", c->iv, sizeof(c->iv)) == 0 &&
	    keys_expand_label(secret, "epoch", next, sizeof(next)) == 0)
		c->ctx = context_new(kind, key, use);
	if (c->ctx != NULL)
		memcpy(secret, next, sizeof(next));
	else
		ERR_clear_error();
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(next, sizeof(next));
	return c->ctx != NULL ? 0 : -1;
}

void
cipher_fini(struct cipher *c)
{
	EVP_CIPHER_CTX_free(c->ctx); /* wipes its key */
	OPENSSL_cleanse(c, sizeof(*c));
}

/* Readies the cipher for one packet: nonce and authenticated header. */
static bool
start(struct cipher *c, const struct transfer_header *header, const uint8_t *encoded)
{
	uint8_t nonce[KEYS_IV_LEN];
	int n;

	keys_nonce(c->iv, header->epoch, header->counter, nonce);
	return EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
	    EVP_CipherUpdate(c->ctx, NULL, &n, encoded, TRANSFER_HEADER_LEN) == 1;
}

/* Encrypts or decrypts the next octets of the packet. */
static bool
update(struct cipher *c, uint8_t *out, const uint8_t *in, size_t len)
{
	int n;

	return len == 0 || EVP_CipherUpdate(c->ctx, out, &n, in, (int)len) == 1;
}

/* Copies octets of a part of the packet to where they go, up to a limit; returns how many. */
static size_t
gather(uint8_t *out, size_t limit, const uint8_t **part, size_t *len)
{
	size_t n = *len < limit ? *len : limit;

	if (n == 0)
		return 0;
	memcpy(out, *part, n);
	*part += n;
	*len -= n;
	return n;
}

/*
 * Encrypts information, head and body one after the other.  A call of the cipher costs as
 * much as copying a kilobyte, and more where the call before it left part of a block: so
 * the first GATHER octets, which hold information and headers, are put together in out,
 * and only the rest is read where it lies.
 */
static bool
encrypt_parts(struct cipher *c, const struct transfer_info *info, const uint8_t *head,
    size_t head_len, const uint8_t *body, size_t body_len, uint8_t *out)
{
	size_t n = TRANSFER_INFO_LEN;

	transfer_info_encode(info, out);
	n += gather(out + n, GATHER - n, &head, &head_len);
	n += gather(out + n, GATHER - n, &body, &body_len);
	return update(c, out, out, n) && update(c, out + n, head, head_len) &&
	    update(c, out + n + head_len, body, body_len);
}

bool
cipher_seal(struct cipher *c, const struct transfer_header *header,
    const struct transfer_info *info, const uint8_t *head, size_t head_len, const uint8_t *body,
    size_t body_len, uint8_t *out)
{
	uint8_t *text = out + TRANSFER_HEADER_LEN;
	uint8_t *tag = text + TRANSFER_INFO_LEN + head_len + body_len;
	int n;

	if (start(c, header, out) &&
	    encrypt_parts(c, info, head, head_len, body, body_len, text) &&
	    EVP_CipherFinal_ex(c->ctx, tag, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, TRANSFER_TAG_LEN, tag) == 1)
		return true;
	ERR_clear_error();
	return false;
}

bool
cipher_open(struct cipher *c, const struct transfer_header *header, uint8_t *datagram, size_t len)
{
	uint8_t *text = datagram + TRANSFER_HEADER_LEN;
	uint8_t *tag = datagram + len - TRANSFER_TAG_LEN;
	uint8_t none[TRANSFER_TAG_LEN];
	int n;

	if (start(c, header, datagram) && update(c, text, text, (size_t)(tag - text)) &&
	    EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, TRANSFER_TAG_LEN, tag) == 1 &&
	    EVP_CipherFinal_ex(c->ctx, none, &n) == 1)
		return true;
	ERR_clear_error();
	return false;
}
