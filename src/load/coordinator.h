/*
 * coordinator: the load allocation instruction apparatus 18 (Fig. 20): what all sites have
 * reported, and what of it is news to whom.
 *
 * Each change has a number, and of each site is known up to which it has been told of each other.
 * A report that differs too little from the one that was told last is no change: instead, each
 * message says for all sites told of before that what was told still holds, and a site that has not
 * reported for twice its interval is told to be silent.
 *
 * What is sent is bounded whatever changes: of many sites each is told of some dozens (circle.h),
 * and of those as much as its part of all that may be sent allows.
 *
 * Pure: no session; time is an argument.  Called by exchange_coordinator.c.  Seed: [0069], claim 8.
 */
#ifndef WLAD_LOAD_COORDINATOR_H
#define WLAD_LOAD_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/codec.h"

struct coordinator;

struct coordinator *coordinator_new(void);
void coordinator_free(struct coordinator *c);

/*
 * What a site is: name, addresses, certificate, services; sites are numbered by the caller.  identity
 * is copied.
 */
void coordinator_hello(
    struct coordinator *c, uint32_t site, const struct sites_record *identity, uint64_t now);

/* A site's report. */
void coordinator_load(
    struct coordinator *c, uint32_t site, const struct load_report *report, uint64_t now);

/* Its session has been lost; or it has said that it stops, or is none of ours any more. */
void coordinator_lost(struct coordinator *c, uint32_t site, uint64_t now);
void coordinator_gone(struct coordinator *c, uint32_t site);

/* Finds the sites that have not reported for too long.  True if there are new ones. */
bool coordinator_tick(struct coordinator *c, uint64_t now);

/* The number of the last change. */
uint64_t coordinator_changes(const struct coordinator *c);

/* A site has a new session, and is to be told everything again; or none any more. */
void coordinator_listens(struct coordinator *c, uint32_t site, bool listens);

/*
 * Writes what a site is to be told now, if there is enough of it; with anyway also if there is nothing
 * but that the rest still holds.  False if nothing was written; else w->b is the caller's to free.
 * waits: whether there is more, for which it has no room yet.
 */
bool coordinator_tell(struct coordinator *c, uint32_t site, bool anyway, struct sites_writer *w,
    bool *waits, uint64_t now);

#endif
