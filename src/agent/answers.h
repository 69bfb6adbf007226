/*
 * answers: a service as an agent: tells whoever connects how the service does.
 *
 * Each service may have an address of the host where it listens.  Whoever connects gets one line
 * (standing.h) at once, whatever it sends, and the connection ends.  A caller that does not close
 * it costs nothing but its place, for a short time, and less if others want it.
 */
#ifndef WLAD_AGENT_ANSWERS_H
#define WLAD_AGENT_ANSWERS_H

#include <stddef.h>

#include "base/counters.h"
#include "config/config.h"
#include "load/table.h"
#include "loop.h"

/* Callers at a time: beyond them, the oldest is cut off. */
#define ANSWERS_CALLERS_MAX 256

struct answers;

/* All borrowed; listens nowhere as yet. */
struct answers *answers_new(
    struct loop *loop, struct load_table *table, struct counters *counters);
void answers_free(struct answers *answers);

/*
 * Listens where the configuration wants it besides.  Returns 0, or -1 with a sentence in error, and
 * nothing has changed.  answers_refresh() is to follow, before the loop runs.
 */
int answers_open(
    struct answers *answers, const struct config *config, char *error, size_t error_size);

/* The load table has taken the configuration: stops listening where it does not want it any more. */
void answers_refresh(struct answers *answers);

#endif
