/*
 * transmission: transfer transmission unit 24 as far as bytes go: a client packet becomes
 * sealed datagrams.
 *
 * A super-packet is cut into its segments first; each is sealed by itself, straight from the
 * packet's buffer.  An IPv4 packet that is too large and may be fragmented is cut into fragments
 * likewise.  Seed: transfer packet 70 with the client packet as transfer data 76
 * (Fig. 4B, Fig. 7).
 */
#ifndef WLAD_TRANSFER_TRANSMISSION_H
#define WLAD_TRANSFER_TRANSMISSION_H

#include "packet/packet.h"
#include "packet/segment.h"
#include "packet/split.h"
#include "transfer/seal.h"

struct transmission {
	struct segmenter segments;
	struct splitter fragments; /* packet NULL: it is not fragmented */
	size_t most;               /* octets of the largest packet to be sealed */
	struct transfer_info info;
	uint32_t count; /* datagrams sealed so far */
};

/* Begins with a parsed packet, borrowed until the end.  The flags partial and
 * fragment are set as the packet demands. */
void transmission_start(
    struct transmission *t, const struct packet *p, const struct transfer_info *info);

/* The same with a packet that is cut into fragments of at most mtu octets (split_possible());
 * the flag demand is that of the first alone. */
void transmission_start_split(struct transmission *t, const struct packet *p, uint32_t mtu,
    const struct transfer_info *info);

/*
 * Seals as many segments as fit, one datagram after the other, all of *segment octets but
 * the last, which may be shorter.  Returns octets written; 0 when there are no more, or -1
 * if sealing failed (nothing of this call may be sent).
 */
long transmission_next(
    struct transmission *t, struct transfer_tx *tx, uint8_t *out, size_t size, size_t *segment);

#endif
