/*
 * chain: networks in series (Fig. 21): which sites are behind which peer, as SITES says.
 *
 *   x ----- y ----- z     y tells x of z, and z of x: z takes x's connections from y then, and
 *                         x lets z's servers answer to its relay ports
 *
 * A site tells each peer of all others that it has, and of what those have behind them, as far
 * as transfer.max_transfers leads; but never of the peer itself, nor what it has from that one
 * (split horizon).  A ring ends at that distance, too.
 *
 * Pure: no session, no clock.  Called by exchange_sites.c.  Seed: [0070].
 */
#ifndef WLAD_LOAD_CHAIN_H
#define WLAD_LOAD_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "load/codec.h"
#include "load/table.h"

/* Sites behind one peer; what is more is not entered. */
#define CHAIN_BEHIND_MAX 1024

/* Addresses of services and of servers that are entered of one peer and those behind it. */
#define CHAIN_ENDPOINTS_MAX 262144

struct chain;

/* table: borrowed; site: our name, copied. */
struct chain *chain_new(struct load_table *table, const char *site);
void chain_free(struct chain *chain);

/* A peer has said HELLO, which is in the load table already, and stays there with what is entered of
 * the sites behind it. */
void chain_hello(struct chain *chain, uint32_t peer, const struct hello *hello);

/* A peer tells of sites behind it. */
void chain_take(struct chain *chain, uint32_t peer, const struct sites *sites);

/* Enters services and servers of what was told into the load table; not for each message, as it
 * takes its time. */
void chain_enter(struct chain *chain);

/* A peer has started anew, stopped, or is none any more: nothing of what it said holds. */
void chain_forget(struct chain *chain, uint32_t peer);

/*
 * Writes what a peer is to be told now: what has changed since the last time, or with whole all of it
 * again.  False if there is nothing to tell; else w->b is the caller's to free.
 */
bool chain_tell(struct chain *chain, uint32_t peer, unsigned max_transfers, bool whole,
    struct sites_writer *w);

#endif
