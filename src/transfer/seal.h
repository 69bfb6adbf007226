/*
 * seal: transfer transmission 24 and reception 26 as far as bytes go: one key for each
 * direction, sealing and opening single transfer packets.
 *
 * A transfer_tx belongs to one peer's receive key; a transfer_rx is one of ours.
 * Contexts of the cipher are made once an epoch and reused for each packet; nothing is
 * allocated per packet.  Does not know sockets, peers' addresses or connections.
 *
 * Epochs (RFC 8446's KeyUpdate in spirit, without messages): the sender moves on after
 * TRANSFER_EPOCH_PACKETS packets or when told; the receiver follows the first packet of
 * a newer epoch whose tag is good.  It holds the current epoch, up to
 * TRANSFER_EPOCHS_AHEAD coming ones, whose keys are derived before any packet asks for
 * them, and for TRANSFER_EPOCH_LINGER the one that was current before; each has its own
 * replay window.  Epoch 65535 is the last.
 */
#ifndef WLAD_TRANSFER_SEAL_H
#define WLAD_TRANSFER_SEAL_H

#include "base/clock.h"
#include "base/counters.h"
#include "transfer/header.h"
#include "transfer/keys.h"
#include "transfer/replay.h"

#define TRANSFER_EPOCH_PACKETS (UINT64_C(1) << 28)
#define TRANSFER_EPOCHS_AHEAD  4
#define TRANSFER_EPOCH_LINGER  (10 * CLOCK_SECOND)
#define TRANSFER_EPOCH_LAST    UINT16_MAX

struct transfer_tx;
struct transfer_rx;

/*
 * direction: the secret of the sending side (see keys.h); index: the receiver's key
 * index.  NULL on error, or if the cipher is not known.
 */
struct transfer_tx *transfer_tx_new(
    enum keys_cipher cipher, const uint8_t direction[KEYS_SECRET_LEN], uint32_t index);
void transfer_tx_free(struct transfer_tx *tx);

/*
 * Seals one packet: header, then encrypted info, head and body one after the other, then
 * the tag.  head and body together are the client packet; either may be empty (and then
 * NULL); body is read where it lies.  Neither may overlap out.  Returns octets written
 * (TRANSFER_OVERHEAD + head_len + body_len), or 0 if it does not fit into size or a
 * datagram, type or info are none, the last epoch is used up, or the cipher failed: then
 * nothing may be sent.
 */
size_t transfer_seal(struct transfer_tx *tx, enum transfer_type type,
    const struct transfer_info *info, const uint8_t *head, size_t head_len, const uint8_t *body,
    size_t body_len, uint8_t *out, size_t size);

/*
 * Ends the epoch: the next packet is sealed under new keys, the old ones are wiped.  An
 * epoch that has sealed nothing goes on, so that a sender that is idle does not run away
 * from its receiver.  Ending the last epoch ends the key: nothing is sealed any more.
 */
void transfer_tx_next_epoch(struct transfer_tx *tx);

/*
 * Packets after which an epoch ends, 1 to TRANSFER_EPOCH_PACKETS (the default); others
 * are brought into that range.  For tests.
 */
void transfer_tx_set_limit(struct transfer_tx *tx, uint64_t packets);

/* Packets sealed in this epoch; the epoch; whether a packet can still be sealed. */
uint64_t transfer_tx_counter(const struct transfer_tx *tx);
uint16_t transfer_tx_epoch(const struct transfer_tx *tx);
bool transfer_tx_usable(const struct transfer_tx *tx);

/* Packets sealed in all its epochs; the receiver's key index; the cipher. */
uint64_t transfer_tx_sealed(const struct transfer_tx *tx);
uint32_t transfer_tx_index(const struct transfer_tx *tx);
enum keys_cipher transfer_tx_cipher(const struct transfer_tx *tx);

struct transfer_rx *transfer_rx_new(
    enum keys_cipher cipher, const uint8_t direction[KEYS_SECRET_LEN]);
void transfer_rx_free(struct transfer_rx *rx);

struct transfer_opened {
	enum transfer_type type;
	struct transfer_info info;
	uint8_t *inner; /* the client packet, decrypted in place inside the datagram */
	size_t inner_len;
};

/*
 * Opens one datagram whose header has been decoded and whose key has been found.  Order:
 * epoch, replay, tag, mark, additional information.  Decrypts in place; on any drop the
 * datagram's content is undefined and must not be used.  DROP_none, DROP_transfer_short,
 * _epoch, _replay, _tag, _inner.
 */
enum drop transfer_open(struct transfer_rx *rx, const struct transfer_header *header,
    uint8_t *datagram, size_t len, uint64_t now, struct transfer_opened *out);

/*
 * Wipes the previous epoch's keys once their time is over.  transfer_open() does it as
 * well: this is for a key that receives nothing.
 */
void transfer_rx_expire(struct transfer_rx *rx, uint64_t now);

/* The current epoch: the newest of which a packet was accepted. */
uint16_t transfer_rx_epoch(const struct transfer_rx *rx);

/* Packets opened, that is authentic ones that had not come before, in all its epochs. */
uint64_t transfer_rx_opened(const struct transfer_rx *rx);

enum keys_cipher transfer_rx_cipher(const struct transfer_rx *rx);

#endif
