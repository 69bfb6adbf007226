/*
 * peering: what two sites say to each other in one session: HELLO, the agreement on keys,
 * LOAD, what has ended, which probes have arrived, what is told of other sites, BYE.
 *
 *   dialer                              listener
 *     |  TLS 1.3, both certificates        |
 *   verifies the listener                  |
 *     |-------- HELLO (key index) -------->|
 *     |                            verifies the dialer
 *     |<------- HELLO (key index) ---------|  both: keys from the TLS exporter
 *     |<------- KEY_READY ------- KEY_READY ------->|
 *     |<--- LOAD, CLOSED, PROBE, SITES ... in both directions --->|
 *     |                  BYE               |
 *
 * The index in HELLO is the receive key's of who says it; KEY_READY with the same index tells that
 * packets sealed for it can be opened from now on, so a new session takes over without a gap.
 * Which session is a site's current one, and when to dial, decides exchange.c.
 */
#ifndef WLAD_LOAD_PEERING_H
#define WLAD_LOAD_PEERING_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "load/codec.h"
#include "load/session.h"
#include "load/table.h"
#include "transfer/keyring.h"

struct peering;

/* What peerings work with; borrowed. */
struct peering_parts {
	struct session_parts session;
	const struct config *config;
	struct load_table *table;
	struct keyring *keyring;
	uint64_t boot_id;
};

struct peering_handlers {
	/* Who says HELLO: the peer of that name, or NULL.  Not verified yet. */
	const struct config_peer *(*find)(void *arg, const char *site);
	/* One that is none, but whose certificate is of our authority: a peer made of it, or NULL
	 * if it is not welcome.  NULL: nobody is. */
	const struct config_peer *(*welcome)(
	    void *arg, struct peering *p, const struct hello *hello);
	/* The peer is verified, its HELLO is good, keys are entered; the site's older session is to
	 * be replaced.  What HELLO says is entered after the call. */
	void (*established)(void *arg, struct peering *p);
	/* It is over, and freed after the call. */
	void (*ended)(void *arg, struct peering *p, const char *why);
	/* What its HELLO says is entered, and everything may be said to it.  NULL: does not matter; so
	 * with those below. */
	void (*hello)(void *arg, struct peering *p, const struct hello *hello);
	/* Its report is entered. */
	void (*reported)(void *arg, struct peering *p, const struct load_report *report);
	/* The peer reports connections that are over. */
	void (*closed)(void *arg, struct peering *p, const struct closed *closed);
	/* The peer has received our direct-reply probe. */
	void (*probe_seen)(void *arg, struct peering *p, uint64_t id);
	/* The peer tells of other sites. */
	void (*sites)(void *arg, struct peering *p, const struct sites *sites);
};

/* NULL with errno if there is no socket. */
struct peering *peering_dial(const struct peering_parts *parts, const struct config_peer *peer,
    const struct peering_handlers *handlers, void *arg);
struct peering *peering_accept(const struct peering_parts *parts, int fd,
    const struct addr *from, const struct peering_handlers *handlers, void *arg);

/* How much a report says: our load; only what is between the two sites; only what is known of the
 * path. */
enum peering_extent { PEERING_LOAD, PEERING_BETWEEN, PEERING_PATH };

/* Reports now, if it is established. */
void peering_report(struct peering *p, enum peering_extent extent);

/*
 * Reports connections that are over, CLOSED_ENTRIES_MAX at most, client and service of each of one
 * family.  False if that is not possible now, because it is not established or the peer is slow
 * to read: nothing has been sent.
 */
bool peering_send_closed(
    struct peering *p, const struct connection_closed *entries, size_t count);

/* Tells that a direct-reply probe of the peer's has arrived, if it is established. */
void peering_send_probe(struct peering *p, uint64_t id);

/* True if it is established, and the peer reads what it is sent. */
bool peering_can_send(const struct peering *p);

/* Sends count whole messages, if it can. */
void peering_send(struct peering *p, const struct codec_buffer *messages, unsigned count);

/* True if the revocation lists as they are now name the peer's certificate. */
bool peering_is_revoked(const struct peering *p);

/* Says BYE and ends; before HELLO it just ends. */
void peering_bye(struct peering *p, enum bye_reason reason);

/* Gone at once, ended is not called.  Not from inside a handler.  NULL is fine. */
void peering_free(struct peering *p);

/* What is known of it; stays true when it ends. */
struct peering_info {
	uint32_t site; /* in the load table; LOAD_NONE as long as a listener does not know who it is */
	bool dialled; /* by us */
	bool secured; /* TLS handshake done */
	bool established;
	int said_bye;     /* the reason of the peer's BYE, or 0 */
	uint64_t boot_id; /* of the peer, once established */
	uint32_t offered; /* key index that the peer offered, or 0 */
};
const struct peering_info *peering_info(const struct peering *p);
const struct addr *peering_address(const struct peering *p);

/* SHA-256 of the peer's certificate, once established.  0, or -1. */
int peering_certificate(const struct peering *p, uint8_t digest[KEYS_DIGEST_LEN]);

/* Our receive key's index, which is the caller's to remove from now on; 0 if there is none. */
uint32_t peering_take_index(struct peering *p);

#endif
