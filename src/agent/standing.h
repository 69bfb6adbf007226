/*
 * standing: how a service does, in the words of the agent protocol.
 *
 *	up ready N% maxconn:C	servers take connections: N is what is free of their capacity C, 1 to 100
 *	up ready N% #...	other sites do; N is 1, or what the best of them has free with prefer "remote"
 *	up drain		every server that works is held back: by an administrator, by its
 *				agent, or by weight 0
 *	maint			every server is out of service
 *	down #no server up	none works
 *
 * For whoever distributes among several wlads, or among a wlad and others.
 */
#ifndef WLAD_AGENT_STANDING_H
#define WLAD_AGENT_STANDING_H

#include "agent/words.h"
#include "load/table.h"

struct words standing_of(struct load_table *table, uint32_t service);

#endif
