/*
 * scheduler: which server of a service.  Pure decisions over a list of candidates.
 *
 * The list is made anew when the servers of the service change (service->version), not per
 * connection, nor when one of them may be chosen, or no longer: whoever counts connections tells
 * each change, so that what a decision needs is in order when it comes: it costs the logarithm of
 * the number of servers, and so does a change.  The table of mh is made anew ten times a second at
 * most; in between, a server that left is passed over, and one that came waits.  Names are those that ipvsadm users know.
 *
 *   twos      the better by (active + 1) / weight of two random picks by weight
 *   rr, wrr   in turn; in proportion to the weights, smoothly
 *   lc, wlc   smallest active; active / weight
 *   sed, nq   smallest (active + 1) / weight; with nq any idle server goes first
 *   lrt       the one that has answered the fastest of late; among alike, as wlc
 *   ovf       the heaviest, until it is full
 *   sh, mh    by a hash of the client's address; sh: only the clients of a server that goes
 *             down move, and they return with it; mh: few move when the configuration changes
 *
 * Among equals it is the turn of the one that waits the longest (lc, wlc, sed, nq), or of the
 * first in the file.
 *
 * A server that left new connections unanswered comes after all others, whatever the kind.  One that
 * starts slowly (LOAD_RAMP) has a part of its weight, or of its turns; not so with ovf, sh and
 * mh, where that would move clients to and fro.  Seed: server allocation unit 32.
 */
#ifndef WLAD_ALLOCATION_SCHEDULER_H
#define WLAD_ALLOCATION_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocation/heap.h"
#include "allocation/maglev.h"
#include "allocation/turns.h"
#include "allocation/weights.h"
#include "base/random.h"
#include "base/siphash.h"
#include "load/table.h"

/*
 * The servers of one service for one address family: those proper, or the backup ones.
 * Arrays are by place in service->servers.
 */
struct scheduler {
	uint64_t version; /* of the service when the list was made; 0: never */
	enum config_scheduler kind;
	size_t count, size;
	uint32_t *servers; /* numbers */
	uint32_t *weight;  /* in parts of LOAD_RAMP, of candidates, full ones too; 0: is none */
	struct weights room;     /* the weights of those that have room and answer */
	struct weights doubtful; /* of those that have room, but are avoided */
	size_t turn;             /* rr: the next place; the ordered ones: the next number */
	uint32_t *owed;          /* rr: parts of a turn of those that start slowly */
	uint64_t *last;          /* the ordered ones: number of its last turn */
	struct heap heap;        /* lc, wlc, sed, nq, lrt, ovf: those that have room */
	size_t asked;            /* lrt: the place after the one that was tried last */
	struct turns turns;      /* wrr */
	struct siphash_key key;  /* sh, mh: the same after a restart, and at each gateway */
	uint64_t *share; /* sh: weights up to and including each, of those down as well */
	unsigned levels; /* sh: two to the power of it is not below their sum */
	struct maglev maglev;
	bool v4, backup;       /* whose servers these are */
	bool stale;            /* mh: the table is to be made anew, */
	uint64_t now, made_at; /* at the earliest some time after it was; now 0: at once */
};

void scheduler_fini(struct scheduler *s);

/*
 * Makes the list if there is another version of the service: usable servers with weight above
 * 0 that have an address of the family, and are backup servers or not.
 */
void scheduler_refresh(
    struct scheduler *s, struct load_table *table, uint32_t service, bool v4, bool backup);

/* A server's active or its signals have changed, or its ramp, or whether it may be chosen, or its weight.
 * Others than those of the list are ignored. */
void scheduler_changed(struct scheduler *s, struct load_table *table, uint32_t server);

/* Chooses a server that has room (active below max_connections); LOAD_NONE if none has. */
uint32_t scheduler_pick(struct scheduler *s, struct load_table *table, const struct ip *client,
    struct random *random);

/* Those with room that a decision draws from: the doubtful ones if there are no others. */
static inline const struct weights *
scheduler_room(const struct scheduler *s)
{
	return s->room.total > 0 ? &s->room : &s->doubtful;
}

/*
 * The same without taking a turn, for schedulers where the next server is certain;
 * LOAD_NONE for twos, rr and wrr.
 */
uint32_t scheduler_next(const struct scheduler *s, const struct ip *client);

#endif
