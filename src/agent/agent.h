/*
 * agent: one that is asked, and the servers that it speaks for.
 */
#ifndef WLAD_AGENT_AGENT_H
#define WLAD_AGENT_AGENT_H

#include <sys/queue.h>

#include "agent/ask.h"
#include "load/table.h"

struct agent {
	/* Which one it is. */
	struct addr at;
	struct octets send;

	/* The shortest that a service of its servers asks for. */
	double interval, timeout; /* seconds */
	uint32_t *servers;        /* numbers in the load table */
	size_t servers_count;

	/* Of agents.c. */
	struct agents *agents;
	struct loop_timer *timer; /* until the next question */
	struct probe *probe;      /* NULL: none in flight */
	struct ask_answer answer;
	uint64_t next; /* when the next question begins */
	bool waiting;  /* for others to end */
	TAILQ_ENTRY(agent) entry;

	struct words said;
	uint64_t said_at;  /* 0: it has never said anything */
	const char *fault; /* why the last question brought nothing; NULL: it brought said */
};

TAILQ_HEAD(agent_queue, agent);

/* Those that the table's servers name, in the order of agent_compare(); to be freed, array and all. */
struct agent **agent_list(struct load_table *table, size_t *count);

/* Orders by which they are; 0: the same. */
int agent_compare(const struct agent *a, const struct agent *b);

void agent_free(struct agent *agent);

#endif
