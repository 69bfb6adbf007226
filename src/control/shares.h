/*
 * shares: how probable each candidate of a scheduler is for the next connection.
 *
 * For twos by calculation, exactly.  For rr and wrr, which take turns, the share in the long
 * run.  For the others the next server is certain.  Pure; for `explain`.
 */
#ifndef WLAD_CONTROL_SHARES_H
#define WLAD_CONTROL_SHARES_H

#include "allocation/scheduler.h"
#include "load/table.h"

/* Fills in share[0 .. s->count - 1]; they sum up to 1, or to 0 if none has room. */
void shares_calculate(const struct scheduler *s, struct load_table *table,
    const struct ip *client, double *share);

#endif
