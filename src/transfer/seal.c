#include "transfer/seal.h"

#include <string.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "transfer/cipher.h"

/* What an IP packet's length field leaves for a datagram; keeps lengths within an int, too. */
#define DATAGRAM_MAX 65535

#define EPOCHS_HELD (1 + TRANSFER_EPOCHS_AHEAD)

struct transfer_tx {
	struct cipher cipher;
	enum keys_cipher kind; /* of cipher, in all epochs */
	uint32_t index;
	uint16_t epoch;
	bool spent;                    /* no packet may be sealed any more */
	uint64_t counter;              /* of the next packet */
	uint64_t sealed;               /* packets of the epochs that are over */
	uint64_t limit;                /* packets of an epoch */
	uint8_t next[KEYS_SECRET_LEN]; /* the secret of the next epoch; this one's is gone */
};

struct rx_epoch {
	struct cipher cipher;
	struct replay replay;
};

struct transfer_rx {
	enum keys_cipher kind;
	struct rx_epoch *held[EPOCHS_HELD]; /* the current epoch and those that come */
	unsigned held_count;                /* at least 1 */
	uint16_t epoch;                     /* number of held[0] */
	struct rx_epoch *previous;          /* or NULL */
	uint16_t previous_epoch;
	uint64_t previous_until;
	uint64_t opened;               /* packets */
	uint8_t next[KEYS_SECRET_LEN]; /* the secret of epoch + held_count */
};

struct transfer_tx *
transfer_tx_new(enum keys_cipher cipher, const uint8_t direction[KEYS_SECRET_LEN], uint32_t index)
{
	struct transfer_tx *tx;

	if (keys_key_len(cipher) == 0 || (tx = OPENSSL_zalloc(sizeof(*tx))) == NULL)
		return NULL;
	tx->kind = cipher;
	tx->index = index;
	tx->limit = TRANSFER_EPOCH_PACKETS;
	memcpy(tx->next, direction, sizeof(tx->next));
	if (cipher_init(&tx->cipher, tx->kind, tx->next, CIPHER_SEAL) == -1) {
		transfer_tx_free(tx);
		return NULL;
	}
	return tx;
}

void
transfer_tx_free(struct transfer_tx *tx)
{
	if (tx == NULL)
		return;
	cipher_fini(&tx->cipher);
	OPENSSL_clear_free(tx, sizeof(*tx));
}

void
transfer_tx_next_epoch(struct transfer_tx *tx)
{
	if (tx->spent || tx->counter == 0)
		return;

	tx->sealed += tx->counter;
	cipher_fini(&tx->cipher);
	if (tx->epoch == TRANSFER_EPOCH_LAST) {
		tx->spent = true;
		return;
	}
	if (cipher_init(&tx->cipher, tx->kind, tx->next, CIPHER_SEAL) == -1) {
		log_errorx("cannot derive the keys of a new epoch, "
			   "key_index=%08x epoch=%u",
		    tx->index, tx->epoch + 1u);
		tx->spent = true;
		return;
	}
	tx->epoch++;
	tx->counter = 0;
}

void
transfer_tx_set_limit(struct transfer_tx *tx, uint64_t packets)
{
	if (packets < 1)
		packets = 1;
	if (packets > TRANSFER_EPOCH_PACKETS)
		packets = TRANSFER_EPOCH_PACKETS;
	tx->limit = packets;
}

uint64_t
transfer_tx_counter(const struct transfer_tx *tx)
{
	return tx->counter;
}

uint16_t
transfer_tx_epoch(const struct transfer_tx *tx)
{
	return tx->epoch;
}

bool
transfer_tx_usable(const struct transfer_tx *tx)
{
	return !tx->spent && (tx->epoch < TRANSFER_EPOCH_LAST || tx->counter < tx->limit);
}

uint64_t
transfer_tx_sealed(const struct transfer_tx *tx)
{
	return tx->spent ? tx->sealed : tx->sealed + tx->counter;
}

uint32_t
transfer_tx_index(const struct transfer_tx *tx)
{
	return tx->index;
}

enum keys_cipher
transfer_tx_cipher(const struct transfer_tx *tx)
{
	return tx->kind;
}

static bool
sealable(enum transfer_type type, const struct transfer_info *info)
{
	return type >= TRANSFER_DATA && type <= TRANSFER_DIRECT && info->hops <= 15 &&
	    (info->flags & ~TRANSFER_FLAGS_KNOWN) == 0;
}

/* Octets that head and body become, or 0 if they do not fit into size and a datagram. */
static size_t
sealed_len(size_t head_len, size_t body_len, size_t size)
{
	size_t room = size < DATAGRAM_MAX ? size : DATAGRAM_MAX;

	if (room < TRANSFER_OVERHEAD || head_len > room - TRANSFER_OVERHEAD ||
	    body_len > room - TRANSFER_OVERHEAD - head_len)
		return 0;
	return TRANSFER_OVERHEAD + head_len + body_len;
}

size_t
transfer_seal(struct transfer_tx *tx, enum transfer_type type, const struct transfer_info *info,
    const uint8_t *head, size_t head_len, const uint8_t *body, size_t body_len, uint8_t *out,
    size_t size)
{
	struct transfer_header header = {.type = (uint8_t)type, .key_index = tx->index};
	size_t len = sealed_len(head_len, body_len, size);

	if (len == 0 || !sealable(type, info))
		return 0;
	if (tx->counter >= tx->limit)
		transfer_tx_next_epoch(tx);
	if (tx->spent)
		return 0;

	/* The counter is spent from here on, whatever happens: no nonce is used twice. */
	header.epoch = tx->epoch;
	header.counter = tx->counter++;
	transfer_header_encode(&header, out);

	if (!cipher_seal(&tx->cipher, &header, info, head, head_len, body, body_len, out))
		return 0;
	return len;
}

static void
rx_epoch_free(struct rx_epoch *epoch)
{
	if (epoch == NULL)
		return;
	cipher_fini(&epoch->cipher);
	OPENSSL_clear_free(epoch, sizeof(*epoch));
}

/*
 * Derives the epochs that are to be held and are not yet: when the key is made, and after an
 * authentic packet has moved the current epoch.  Returns 0, or -1 if one could not be made;
 * the next authentic packet tries again.
 */
static int
rx_fill(struct transfer_rx *rx)
{
	while (rx->held_count < EPOCHS_HELD && rx->epoch + rx->held_count <= TRANSFER_EPOCH_LAST) {
		struct rx_epoch *epoch = OPENSSL_zalloc(sizeof(*epoch));

		if (epoch == NULL ||
		    cipher_init(&epoch->cipher, rx->kind, rx->next, CIPHER_OPEN) == -1) {
			rx_epoch_free(epoch);
			return -1;
		}
		replay_init(&epoch->replay);
		rx->held[rx->held_count++] = epoch;
	}
	return 0;
}

struct transfer_rx *
transfer_rx_new(enum keys_cipher cipher, const uint8_t direction[KEYS_SECRET_LEN])
{
	struct transfer_rx *rx;

	if (keys_key_len(cipher) == 0 || (rx = OPENSSL_zalloc(sizeof(*rx))) == NULL)
		return NULL;
	rx->kind = cipher;
	memcpy(rx->next, direction, sizeof(rx->next));
	if (rx_fill(rx) == -1) {
		transfer_rx_free(rx);
		return NULL;
	}
	return rx;
}

void
transfer_rx_free(struct transfer_rx *rx)
{
	if (rx == NULL)
		return;
	for (unsigned i = 0; i < rx->held_count; i++)
		rx_epoch_free(rx->held[i]);
	rx_epoch_free(rx->previous);
	OPENSSL_clear_free(rx, sizeof(*rx));
}

void
transfer_rx_expire(struct transfer_rx *rx, uint64_t now)
{
	if (rx->previous == NULL || now < rx->previous_until)
		return;
	rx_epoch_free(rx->previous);
	rx->previous = NULL;
}

uint16_t
transfer_rx_epoch(const struct transfer_rx *rx)
{
	return rx->epoch;
}

uint64_t
transfer_rx_opened(const struct transfer_rx *rx)
{
	return rx->opened;
}

enum keys_cipher
transfer_rx_cipher(const struct transfer_rx *rx)
{
	return rx->kind;
}

static struct rx_epoch *
rx_find(struct transfer_rx *rx, uint16_t epoch)
{
	if (epoch >= rx->epoch && (unsigned)(epoch - rx->epoch) < rx->held_count)
		return rx->held[epoch - rx->epoch];
	if (rx->previous != NULL && epoch == rx->previous_epoch)
		return rx->previous;
	return NULL;
}

/* A packet of a newer epoch was authentic: that is the current one now. */
static void
rx_advance(struct transfer_rx *rx, uint16_t epoch, uint64_t now)
{
	unsigned steps = epoch - rx->epoch;

	rx_epoch_free(rx->previous);
	rx->previous = rx->held[0];
	rx->previous_epoch = rx->epoch;
	rx->previous_until = now + TRANSFER_EPOCH_LINGER;

	for (unsigned i = 1; i < steps; i++)
		rx_epoch_free(rx->held[i]);
	rx->held_count -= steps;
	memmove(rx->held, rx->held + steps, rx->held_count * sizeof(rx->held[0]));
	rx->epoch = epoch;
}

enum drop
transfer_open(struct transfer_rx *rx, const struct transfer_header *header, uint8_t *datagram,
    size_t len, uint64_t now, struct transfer_opened *out)
{
	struct rx_epoch *epoch;

	if (len < TRANSFER_OVERHEAD)
		return DROP_transfer_short;
	transfer_rx_expire(rx, now);
	if ((epoch = rx_find(rx, header->epoch)) == NULL)
		return DROP_transfer_epoch;
	if (!replay_acceptable(&epoch->replay, header->counter))
		return DROP_transfer_replay;
	if (len > DATAGRAM_MAX || !cipher_open(&epoch->cipher, header, datagram, len))
		return DROP_transfer_tag;

	replay_mark(&epoch->replay, header->counter);
	rx->opened++;
	if (header->epoch > rx->epoch)
		rx_advance(rx, header->epoch, now);
	if (rx_fill(rx) == -1)
		log_errorx("cannot derive the keys of coming epochs, epoch=%u", rx->epoch);

	out->type = header->type;
	out->inner = datagram + TRANSFER_HEADER_LEN + TRANSFER_INFO_LEN;
	out->inner_len = len - TRANSFER_OVERHEAD;
	return transfer_info_decode(
	    datagram + TRANSFER_HEADER_LEN, TRANSFER_INFO_LEN, &out->info);
}
