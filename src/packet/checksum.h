/*
 * checksum: the Internet checksum (RFC 1071) and its update (RFC 1624).
 *
 * Sums are one's complement sums over 16-bit words in network order, unfolded in 32 bits or
 * folded in 16.  Used by packet/ and by the device files of io/.
 */
#ifndef WLAD_PACKET_CHECKSUM_H
#define WLAD_PACKET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Adds the octets to a running sum; an odd last octet is padded with zero. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);

/* Folds to 16 bits, host order. */
uint16_t checksum_fold(uint32_t sum);

/* The sum of the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1), not complemented. */
uint32_t checksum_pseudo(int version, const struct ip *source, const struct ip *destination,
    uint8_t protocol, uint32_t len);

/* What has to be added to a sum when old words become new ones: ~old + new, unfolded. */
uint32_t checksum_difference(const void *old, const void *new, size_t len);

#endif
