/*
 * round: what a server's addresses report, each at intervals of its own, as results of one check.
 *
 * In a round each address reports once.  A failure decides it at once; a pass, or "could not
 * ask", waits for the others.  An outage that lasts for one question to each address is one
 * failure, whatever had been asked of whom when it began.  A pure function.
 */
#ifndef WLAD_HEALTH_ROUND_H
#define WLAD_HEALTH_ROUND_H

#include <stdbool.h>
#include <stddef.h>

#include "health/probe.h"

#define ROUND_SIDES 2 /* addresses of a server: one of each family */

struct round {
	size_t sides; /* that report */
	bool reported[ROUND_SIDES];
	bool passed[ROUND_SIDES];   /* before another failed */
	bool decided, failed;       /* failed: decided by a failure */
	struct probe_result result; /* of the sides that have reported, the worst */
	size_t worst;               /* whose it is */
};

/* Forgets what was reported; from now on so many sides do. */
void round_begin(struct round *round, size_t sides);

/* Takes a side's report.  True if it decides the round: result and worst say how. */
bool round_report(struct round *round, size_t side, const struct probe_result *result);

#endif
