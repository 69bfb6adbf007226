/*
 * transmission: transfer transmission unit 24 as far as bytes go: a client packet becomes
 * sealed datagrams.
 *
 * A super-packet is cut into its segments first; each is sealed by itself, straight from the
 * packet's buffer.  Seed: transfer packet 70 with the client packet as transfer data 76
 * (Fig. 4B, Fig. 7).
 */
#ifndef WLAD_TRANSFER_TRANSMISSION_H
#define WLAD_TRANSFER_TRANSMISSION_H

#include "packet/packet.h"
#include "packet/segment.h"
#include "transfer/seal.h"

struct transmission {
	struct segmenter segments;
	struct transfer_info info;
	uint32_t count; /* datagrams sealed so far */
};

/* Begins with a parsed packet, borrowed until the end.  The partial flag is set as the packet demands. */
void transmission_start(struct transmission *t, const struct packet *p,
    const struct transfer_info *info);

/*
 * Seals as many segments as fit, one datagram after the other, all of *segment octets but
 * the last, which may be shorter.  Returns octets written; 0 when there are no more, or -1
 * if sealing failed (nothing of this call may be sent).
 */
long transmission_next(struct transmission *t, struct transfer_tx *tx, uint8_t *out,
    size_t size, size_t *segment);

#endif
