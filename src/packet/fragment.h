/*
 * fragment: virtual reassembly (RFC 4787, REQ-14; RFC 8900): which ports a fragment without
 * ports belongs to.
 *
 * The first fragment of a datagram has the ports; later ones follow it by sender,
 * destination, identification and protocol.  Those that come before it wait, as copies, until it has come.
 * Fragments that overlap end their datagram (RFC 5722).  Nothing is put together: each fragment is
 * converted and passed on by itself.
 *
 * Memory is allocated once: FRAGMENT_BYTES for packets that wait, records for
 * FRAGMENT_DATAGRAMS datagrams; the oldest one makes room.  The hash is keyed, time is an
 * argument.  Called by the datapath; one store a datapath.
 */
#ifndef WLAD_PACKET_FRAGMENT_H
#define WLAD_PACKET_FRAGMENT_H

#include "base/clock.h"
#include "base/siphash.h"
#include "packet/packet.h"

#define FRAGMENT_BYTES     (1024 * 1024) /* of packets that wait, all in all */
#define FRAGMENT_DATAGRAMS 1024          /* known at a time */
#define FRAGMENT_WAITING   64            /* packets of one datagram that wait */
#define FRAGMENT_PIECES    128           /* fragments of one datagram */
#define FRAGMENT_TIMEOUT   (2 * CLOCK_SECOND)

/* Octets in front of a released packet that may be overwritten. */
#define FRAGMENT_HEADROOM 128

struct fragment_store;

/* A datagram of which a fragment has come. */
struct fragment_datagram;

/* counters are borrowed: drops of packets that wait are counted there.  NULL with errno if memory is short. */
struct fragment_store *fragment_store_new(
    const struct siphash_key *key, struct counters *counters);
void fragment_store_free(struct fragment_store *store);

/*
 * Takes a fragment into account: origin is 0 from the device, the transferor's site number +
 * 1 out of a transfer packet.  DROP_none with *datagram set: it may go on, and if it is a
 * later one its view now has the ports of the first.  DROP_none with *datagram NULL: it
 * waits, as a copy.  Otherwise DROP_fragment, DROP_fragment_overlap or DROP_fragment_limit.
 * *datagram is valid until fragment_done().
 */
enum drop fragment_enter(struct fragment_store *store, struct packet *p, uint16_t origin,
    uint64_t now, struct fragment_datagram **datagram);

/*
 * After the first fragment has gone its way: the next one that waited, parsed, with ports,
 * at least FRAGMENT_HEADROOM octets of headroom, valid until the next call.  False if there is none.
 */
bool fragment_next(
    struct fragment_store *store, struct fragment_datagram *datagram, struct packet *out);

/* A fragment that had gone on was dropped: what else comes of its datagram is dropped here. */
void fragment_refuse(struct fragment_store *store, struct fragment_datagram *datagram);

/* The call is over; a datagram that is complete is forgotten. */
void fragment_done(struct fragment_store *store, struct fragment_datagram *datagram);

/* Forgets datagrams whose time is over.  fragment_enter() does it as well. */
void fragment_expire(struct fragment_store *store, uint64_t now);

/* When the next one's time is over, ns of the clock; UINT64_MAX if there is none. */
uint64_t fragment_next_expiry(const struct fragment_store *store);

/* Octets of memory taken by packets that wait, in whole blocks; datagrams known. */
uint32_t fragment_bytes(const struct fragment_store *store);
uint32_t fragment_datagrams(const struct fragment_store *store);

#endif
