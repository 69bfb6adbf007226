/*
 * path: what is known of the way that transfer packets take to one site: whether they get there,
 * in what time, how many are lost, and how large they may be.
 *
 * A state machine: says which messages are due and learns from their answers.  Time is an
 * argument; whoever owns it sends the messages.  A TLS session may live while UDP is dropped,
 * so liveness messages travel where transfer packets do and are sealed like them.
 *
 * Messages, inside a transfer packet whose additional information is all zero:
 *
 *   TRANSFER_PROBE                            TRANSFER_PROBE_ANSWER
 *   +-------------------------------+         +-------------------------------+
 *   |          sequence (32)        |         |          sequence (32)        |
 *   +-------------------------------+         +-------------------------------+
 *   |           reserved=0          |         |            size (32)          |
 *   +-------------------------------+         +-------------------------------+
 *   |       padding, any octets ... |
 *   +-------------------------------+
 *
 *   TRANSFER_PROBE         A liveness message has 8 octets, no padding; sent to the port for
 *                          connection demands, where there is one, 9.  A larger one asks whether a
 *                          packet of its size gets through.  Messages of each of these three kinds are
 *                          numbered for themselves, from any number on, by one more each time;
 *                          after 2^32 - 1 comes 0.
 *   TRANSFER_PROBE_ANSWER  Sent at once, to the site's transfer address: the sequence as received; size:
 *                          the octets of the message received, from its sequence to the end of
 *                          its padding.  Both together tell which message is answered.  Octets
 *                          behind these are ignored.
 *   TRANSFER_DIRECT        A direct-reply probe: an identifier of 8 octets, which the receiver reports
 *                          to the sealing site by a PROBE message of the load exchange.  It
 *                          travels under the address and a port of a service of another site, so
 *                          its sender's address is not looked at.
 *
 * Path MTU discovery (RFC 8899): sizes are octets of the outer packet, IP header included.  The largest
 * is tried first; if small ones get through and it does not, three times, half of what is left is
 * tried next, from 1280 on.  What was found is tried again every few seconds: when it no
 * longer gets through it is searched for anew (a black hole), and every ten minutes more is tried.
 * A signal that a packet was too large only lowers it.
 */
#ifndef WLAD_TRANSFER_PATH_H
#define WLAD_TRANSFER_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counters.h"
#include "load/table.h"

#define PATH_INTERVAL (300 * CLOCK_MILLISECOND) /* between two liveness messages */
#define PATH_MISSED   3                         /* so many in a row: the path is lost */
#define PATH_HISTORY  64                        /* messages that the loss is counted over */
#define PATH_TRIES    3                         /* of one size */
#define PATH_MTU_MIN  1280                      /* what every path is taken to carry */
#define PATH_CONFIRM  (5 * CLOCK_SECOND)        /* the size found is tried again */
#define PATH_RAISE    (600 * CLOCK_SECOND)      /* larger ones are */

#define PATH_MESSAGE_LEN 8 /* octets of a message without padding */
#define PATH_DIRECT_LEN  8

/* A message that is due. */
struct path_message {
	uint32_t sequence;
	uint32_t size; /* octets of the outer packet it is to fill; 0: no padding */
};

enum path_phase { PATH_SEARCH, PATH_FOUND };

/* Read through the functions below alone. */
struct path {
	enum site_path state;

	uint32_t next;                  /* sequence of the next liveness message */
	uint32_t sent;                  /* how many are remembered, the latest ones */
	uint64_t sent_at[PATH_HISTORY]; /* by sequence */
	bool answered[PATH_HISTORY];    /* by sequence */
	uint64_t due;                   /* when the next is */
	uint64_t answered_at;           /* when one last was; 0: never */
	uint64_t rtt, deviation;        /* ns, smoothed; 0: not known */

	enum path_phase phase;
	uint32_t max;       /* octets to be tried at most */
	uint32_t mtu;       /* octets that get through; 0: not known */
	uint32_t low, high; /* of the search: gets through or is taken to; might */
	uint32_t size;      /* being tried */
	uint32_t tries;     /* of it that were lost while liveness messages were not */
	bool trying;        /* one is under way: */
	uint32_t tried;     /* its sequence */
	uint64_t tried_at;
	uint32_t companion; /* the liveness message that was sent with it */
	uint64_t confirm_at, raise_at;
	uint64_t confirmed_at; /* when a packet as large as mtu last got through; 0: never */
};

/* max: octets of outer packets at most, 1280 to 65535, or 0: liveness only; sequence: the first. */
void path_init(struct path *p, uint32_t max, uint32_t sequence, uint64_t now);

/* A reload changed the largest size. */
void path_set_max(struct path *p, uint32_t max, uint64_t now);

/* Measures everything anew, at once; the state and the size found stay until then. */
void path_renew(struct path *p, uint64_t now);

/* The next message to be sent now.  False: none; then path_due() says when to ask again. */
bool path_next(struct path *p, uint64_t now, struct path_message *message);

/* When path_next() has something to do; later than now if it has just returned false. */
uint64_t path_due(const struct path *p);

/* An answer came; size as in the message, 0 for one without padding. */
void path_answer(struct path *p, uint32_t sequence, uint32_t size, uint64_t now);

/* The socket refused a packet of so many octets as too large (EMSGSIZE), a message or another. */
void path_too_big(struct path *p, uint32_t size, uint64_t now);

/* Lost liveness messages among the latest, 0 to 1. */
double path_loss(const struct path *p, uint64_t now);

/* The round-trip time, seconds; 0: not known. */
double path_rtt(const struct path *p);

/* Octets of outer packets that get through; 0: not known. */
static inline uint32_t
path_mtu(const struct path *p)
{
	return p->mtu;
}

/* The first octets of a probe (size 0) or of its answer. */
void path_encode(uint32_t sequence, uint32_t size, uint8_t out[PATH_MESSAGE_LEN]);

/* DROP_none, or DROP_transfer_inner if it is too short.  size is that of an answer. */
enum drop path_decode(const uint8_t *data, size_t len, uint32_t *sequence, uint32_t *size);

void path_direct_encode(uint64_t id, uint8_t out[PATH_DIRECT_LEN]);
enum drop path_direct_decode(const uint8_t *data, size_t len, uint64_t *id);

#endif
