/*
 * reception: transfer reception unit 26 as far as bytes go: from a datagram to the client
 * packet in it, or to the reason why there is none.
 *
 * Order of checks: length, version and type, key index, source address (of a direct-reply
 * probe any), epoch, replay, tag; then the window is marked and the additional information read.  Nothing unauthenticated
 * is answered, logged or kept.  Seed: [0052] Fig. 8.
 */
#ifndef WLAD_TRANSFER_RECEPTION_H
#define WLAD_TRANSFER_RECEPTION_H

#include "transfer/keyring.h"
#include "transfer/seal.h"

/* site: who sealed it; UINT16_MAX as long as the key is not found. */
enum drop reception_open(struct keyring *ring, uint8_t *data, size_t len,
    const struct addr *from, uint64_t now, struct transfer_opened *out, uint16_t *site);

#endif
