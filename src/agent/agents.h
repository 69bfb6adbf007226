/*
 * agents: asks the agents of servers how these do, and tells the load table.
 *
 * An agent is asked once however many servers it speaks for: those with the same address, port
 * and text to be sent.  An agent that does not answer changes nothing: what it said last stays,
 * as the server's check tells whether the server is there.  Beside health/, which it neither
 * replaces nor overrides.
 */
#ifndef WLAD_AGENT_AGENTS_H
#define WLAD_AGENT_AGENTS_H

#include "base/counters.h"
#include "base/random.h"
#include "load/table.h"
#include "loop.h"

struct agents;

/* All borrowed; starts asking the agents of the table's servers. */
struct agents *agents_new(struct loop *loop, struct load_table *table,
    struct counters *counters, struct random *random);
void agents_free(struct agents *agents);

/* The table's servers changed. */
void agents_refresh(struct agents *agents);

#endif
