/*
 * peering_internal: a peering's insides, for load/peering*.c alone.
 */
#ifndef WLAD_LOAD_PEERING_INTERNAL_H
#define WLAD_LOAD_PEERING_INTERNAL_H

#include "load/peering.h"
#include "transfer/seal.h"

struct peering {
	const struct peering_parts *parts;
	const struct peering_handlers *handlers;
	void *arg;
	struct session *session;
	const struct config_peer *peer; /* NULL: listener, before HELLO */
	struct peering_info info;
	bool said_hello;

	uint8_t random[KEYS_RANDOM_LEN]; /* of our HELLO */
	uint32_t index;                  /* of our receive key */
	enum keys_cipher cipher;         /* that both sites accept */
	struct transfer_tx *tx;          /* until KEY_READY */

	uint32_t sequence_out, sequence_in;
	uint64_t heard_ms; /* sent_ms of the last report received */
	uint64_t heard_at; /* when, ns */
};

/* Monotonic nanoseconds of this wake-up. */
static inline uint64_t
peering_now(const struct peering *p)
{
	return loop_now(p->parts->session.loop);
}

/* False: one of us has no transfer socket, and there are no keys. */
static inline bool
peering_transfers(const struct peering *p)
{
	return p->parts->config->transfer.listen.port != 0 && p->peer != NULL &&
	    p->peer->transfer.port != 0;
}

/* The peer breaks the protocol, or is not who it should be: says so, if it may be told anything, and ends. */
void peering_refuse(struct peering *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is the other end of the session this peer?  0, or -1 with a reason. */
int peering_verify(
    const struct peering *p, const struct config_peer *peer, char *why, size_t why_size);

/* HELLO from us, once. */
void peering_say_hello(struct peering *p);

/* HELLO from the peer: checks it, answers it, agrees keys. */
void peering_take_hello(struct peering *p, const uint8_t *body, size_t len);

#endif
