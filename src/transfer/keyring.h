/*
 * keyring: which receive key has which index, and which keys each site is sent to with.
 *
 * The receiver chooses an index at random so that its low bits are a free slot: finding
 * it is an array access and a comparison.  A site holds up to two receive keys (make
 * before break) and one transmit key.  Owns the keys entered into it.  Called by the load
 * exchange (enter, remove) and the datapath (find).
 */
#ifndef WLAD_TRANSFER_KEYRING_H
#define WLAD_TRANSFER_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/random.h"
#include "transfer/seal.h"

/* Receive keys of all sites together; a power of two. */
#define KEYRING_SLOTS 4096

struct keyring;

/* random: borrowed, for indexes. */
struct keyring *keyring_new(struct random *random);
void keyring_free(struct keyring *ring);

/*
 * Reserves an index for a key to come (HELLO offers it).  0 if there is no slot; an
 * index is never 0.
 */
uint32_t keyring_reserve(struct keyring *ring);

/*
 * Enters the key for a reserved index: datagrams for it are accepted from this site's
 * transfer address only (address and port).  Takes ownership, also on failure (the key
 * is freed then).  Returns 0, or -1 if the index is not reserved, has its key already,
 * or rx is NULL.
 */
int keyring_enter(struct keyring *ring, uint32_t index, struct transfer_rx *rx, uint16_t site,
    const struct addr *from);

/* Gives an index back, reserved or entered; the key is wiped. */
void keyring_remove(struct keyring *ring, uint32_t index);

/*
 * The key of an index and whom it belongs to; NULL if there is none (site and from
 * unchanged).
 */
struct transfer_rx *keyring_find(
    struct keyring *ring, uint32_t index, uint16_t *site, struct addr *from);

/*
 * The key to send to a site with; replaces and frees an older one.  tx NULL takes it
 * away.
 */
void keyring_set_tx(struct keyring *ring, uint16_t site, struct transfer_tx *tx);
struct transfer_tx *keyring_tx(struct keyring *ring, uint16_t site);

/* What may be said of a key: nothing that is secret. */
struct keyring_entry {
	uint16_t site;
	bool transmit;  /* else for receiving */
	uint32_t index; /* the receiver's */
	enum keys_cipher cipher;
	uint16_t epoch;
	uint64_t packets; /* sealed or opened with it, in all its epochs */
	bool usable;      /* false: its last epoch is used up */
};

/*
 * The next key, receive keys first; *cursor begins at 0.  Returns false behind the last.  Reserved
 * indexes, whose key is to come, are left out.
 */
bool keyring_next(const struct keyring *ring, uint32_t *cursor, struct keyring_entry *entry);

/*
 * For the loop's timers: transfer_tx_next_epoch() on every transmit key (each 10
 * minutes), and transfer_rx_expire() on every receive key (each few seconds).
 */
void keyring_next_epoch(struct keyring *ring);
void keyring_expire(struct keyring *ring, uint64_t now);

#endif
