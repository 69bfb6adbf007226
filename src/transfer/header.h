/*
 * header: the transfer packet's header and additional information, bytes <-> struct.
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-------+-------+---------------+-------------------------------+
 * | ver=1 | type  |    flags=0    |           reserved=0          |
 * +-------+-------+---------------+-------------------------------+
 * |        receiver key index (random, chosen by the receiver)    |
 * +-------------------------------+-------------------------------+
 * |          epoch (16)           |                               |
 * +-------------------------------+        counter (48)           +
 * |                                                               |
 * +-------------------------------+-------------------------------+  16 octets, authenticated
 * |       service number (16)     |         relay port (16)       |
 * +---------------+-------+-------+-------------------------------+
 * |   flags (8)   |hops(4)| 0 (4) |           reserved=0          |
 * +---------------+-------+-------+-------------------------------+   8 octets, encrypted
 * |                        client packet ...                      |
 * +---------------------------------------------------------------+
 * |                         tag (16 octets)                       |
 * +---------------------------------------------------------------+
 *
 * Types start at 11, so that the first octet (0x1b to 0x1e) is not that of IP, TLS,
 * DTLS, STUN or WireGuard.  Big-endian.  Seed: transfer header 72, additional
 * information 74, flag information 128 (Figs. 4B, 14).
 */
#ifndef WLAD_TRANSFER_HEADER_H
#define WLAD_TRANSFER_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"

#define TRANSFER_VERSION    1
#define TRANSFER_HEADER_LEN 16
#define TRANSFER_INFO_LEN   8
#define TRANSFER_TAG_LEN    16
#define TRANSFER_OVERHEAD   (TRANSFER_HEADER_LEN + TRANSFER_INFO_LEN + TRANSFER_TAG_LEN)

/*
 * Octets that a transfer packet adds to a client packet, outer IP and UDP headers
 * included.
 */
#define TRANSFER_OVERHEAD_V4 (20 + 8 + TRANSFER_OVERHEAD) /* 68 */
#define TRANSFER_OVERHEAD_V6 (40 + 8 + TRANSFER_OVERHEAD) /* 88 */

enum transfer_type {
	TRANSFER_DATA = 11,
	TRANSFER_PROBE,
	TRANSFER_PROBE_ANSWER,
	TRANSFER_DIRECT /* a probe under the address of a service of another site */
};

#define TRANSFER_FLAG_DEMAND   0x01 /* connection demand; without: in service */
#define TRANSFER_FLAG_PARTIAL  0x02 /* the client packet's checksum is partial */
#define TRANSFER_FLAG_FRAGMENT 0x04 /* the client packet is a fragment */
#define TRANSFER_FLAG_ICMP     0x08 /* an ICMP error about a reply */
#define TRANSFER_FLAGS_KNOWN \
	(TRANSFER_FLAG_DEMAND | TRANSFER_FLAG_PARTIAL | TRANSFER_FLAG_FRAGMENT | \
	    TRANSFER_FLAG_ICMP)

#define TRANSFER_HOPS_MAX 15 /* what their field holds */

struct transfer_header {
	uint8_t type;
	uint32_t key_index;
	uint16_t epoch;
	uint64_t counter; /* below 2^48 */
};

struct transfer_info {
	uint16_t service;    /* the receiver's number of the service */
	uint16_t relay_port; /* 0: direct reply */
	uint8_t flags;
	uint8_t hops; /* 0 to 15 */
};

void transfer_header_encode(const struct transfer_header *h, uint8_t out[TRANSFER_HEADER_LEN]);

/*
 * DROP_none, DROP_transfer_short (not even room for an empty packet's tag), or
 * DROP_transfer_version (also: unknown type, flags or reserved not 0).
 */
enum drop transfer_header_decode(const uint8_t *data, size_t len, struct transfer_header *h);

void transfer_info_encode(const struct transfer_info *info, uint8_t out[TRANSFER_INFO_LEN]);

/*
 * DROP_none, DROP_transfer_short, or DROP_transfer_inner for an unknown flag.  Reserved
 * bits are ignored.
 */
enum drop transfer_info_decode(const uint8_t *data, size_t len, struct transfer_info *info);

#endif
