/*
 * seal: transfer transmission 24 and reception 26 as far as bytes go: one key for each
 * direction, sealing and opening single transfer packets.
 *
 * A transfer_tx belongs to one peer's receive key; a transfer_rx is one of ours.  Contexts of
 * the cipher are made once and reused for each packet; nothing is allocated per packet.
 * Does not know sockets, peers' addresses or connections.
 */
#ifndef WLAD_TRANSFER_SEAL_H
#define WLAD_TRANSFER_SEAL_H

#include "base/counters.h"
#include "transfer/header.h"
#include "transfer/keys.h"
#include "transfer/replay.h"

struct transfer_tx;
struct transfer_rx;

/* direction: the secret of the sending side (see keys.h); index: the receiver's key index.  NULL on error. */
struct transfer_tx *transfer_tx_new(enum keys_cipher cipher, const uint8_t direction[KEYS_SECRET_LEN],
    uint32_t index);
void transfer_tx_free(struct transfer_tx *tx);

/*
 * Seals one packet: header, then encrypted info, head and body one after the other, then the tag.
 * head and body together are the client packet; either may be empty; body is read where it
 * lies.  Returns octets written (TRANSFER_OVERHEAD + head_len + body_len), or 0 if it does not fit, the counter is
 * used up, or the cipher failed: then nothing may be sent.
 */
size_t transfer_seal(struct transfer_tx *tx, enum transfer_type type,
    const struct transfer_info *info, const uint8_t *head, size_t head_len,
    const uint8_t *body, size_t body_len, uint8_t *out, size_t size);

uint64_t transfer_tx_counter(const struct transfer_tx *tx);
uint16_t transfer_tx_epoch(const struct transfer_tx *tx);

struct transfer_rx *transfer_rx_new(enum keys_cipher cipher, const uint8_t direction[KEYS_SECRET_LEN]);
void transfer_rx_free(struct transfer_rx *rx);

struct transfer_opened {
	enum transfer_type type;
	struct transfer_info info;
	uint8_t *inner; /* the client packet, decrypted in place inside the datagram */
	size_t inner_len;
};

/*
 * Opens one datagram whose header has been decoded and whose key has been found.
 * Order: epoch, replay, tag, mark, additional information.  Decrypts in place; on any drop
 * the datagram's content is undefined and must not be used.
 * DROP_NONE, DROP_TRANSFER_SHORT, _EPOCH, _REPLAY, _TAG, _INNER.
 */
enum drop transfer_open(struct transfer_rx *rx, const struct transfer_header *header,
    uint8_t *datagram, size_t len, uint64_t now, struct transfer_opened *out);

uint16_t transfer_rx_epoch(const struct transfer_rx *rx);

#endif
