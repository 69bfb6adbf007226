/*
 * scheduler_internal: what scheduler.c and scheduler_hash.c share.
 */
#ifndef WLAD_ALLOCATION_SCHEDULER_INTERNAL_H
#define WLAD_ALLOCATION_SCHEDULER_INTERNAL_H

#include "allocation/scheduler.h"

/* True if the server belongs to the list, be it up or down. */
bool scheduler_is_member(const struct server *server, bool v4, bool backup);

/* The place of one with room, drawn by weight by a random number. */
size_t scheduler_by_weight(const struct scheduler *s, uint64_t number);

/* ---- scheduler_hash.c ---- */

/* What sh or mh needs, from the list of weights. */
void scheduler_make_hash(
    struct scheduler *s, struct load_table *table, const char *service, bool v4, bool backup);

/* sh: whether the place has the part of the range that it is to have. */
bool scheduler_has_share(const struct scheduler *s, const struct server *server, size_t place);

/* A place with room. */
size_t scheduler_pick_sh(const struct scheduler *s, const struct ip *client);
size_t scheduler_pick_mh(const struct scheduler *s, const struct ip *client);

#endif
