/*
 * meaning: what the words of an agent mean for a server.  Pure.
 *
 * What a line does not say is as if it said up, ready and 100%.  A percentage is taken twice: as a
 * share of the weight, and as what the server has free, so that its load is the rest.
 */
#ifndef WLAD_AGENT_MEANING_H
#define WLAD_AGENT_MEANING_H

#include "agent/words.h"
#include "load/table.h"

struct server_agent meaning_of(const struct words *words);

#endif
