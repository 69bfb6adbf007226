#include "agent/agents.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ask.h"
#include "agent/meaning.h"
#include "agent/agent.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

/* Questions at a time: each holds a descriptor and a port. */
#define IN_FLIGHT_MAX 256

/* First questions are spread over so long, or one interval if that is shorter. */
#define START_SPREAD 1.0

/* Each interval is longer or shorter by up to this share, so that questions do not line up. */
#define JITTER 0.1

struct agents {
	struct loop *loop;
	struct load_table *table;
	struct counters *counters;
	struct random *random;
	struct agent **list; /* in the order of agent_compare() */
	size_t list_count;
	struct agent **by_server; /* NULL: it has no agent */
	uint32_t by_server_count;
	unsigned in_flight;
	struct agent_queue waiting; /* due, but IN_FLIGHT_MAX others are in flight */
};

/* ---- what was said, to the table ---- */

static void
log_said(struct agents *a, const struct server *server, const struct words *words)
{
	const struct service *service = load_table_service(a->table, server->service);
	char line[WORDS_LINE];

	line[words_format(words, line) - 1] = '\0';
	log_info("agent service=%s server=%s says=\"%s\"", service->name, server->name, line);
}

static void
deliver(struct agents *a, uint32_t number, const struct agent *agent, uint64_t now)
{
	struct server *server = load_table_server(a->table, number);
	struct server_agent said = meaning_of(&agent->said);
	bool news = said.why != server->agent_why;

	snprintf(server->agent_text, sizeof(server->agent_text), "%s", agent->said.description);
	server->agent_said_at = agent->said_at;
	server->agent_fault = agent->fault;
	load_table_server_set_agent(a->table, number, &said, now);
	if (news)
		log_said(a, server, &agent->said);
}

/* It has no agent, or another one that has said nothing yet. */
static void
forget(struct agents *a, uint32_t number, uint64_t now)
{
	struct server *server = load_table_server(a->table, number);

	server->agent_text[0] = '\0';
	server->agent_said_at = 0;
	server->agent_fault = NULL;
	load_table_server_set_agent(a->table, number, &SERVER_AGENT_NONE, now);
}

/* ---- questions ---- */

static uint64_t
seconds(double s)
{
	return (uint64_t)(s * (double)CLOCK_SECOND);
}

static void
log_fault(const struct agent *agent, const char *before)
{
	char address[ADDR_TEXT];

	if (agent->fault != NULL && agent->fault != before)
		log_info("agent does not answer address=%s cause=\"%s\"",
		    addr_format(&agent->at, address), agent->fault);
	else if (agent->fault == NULL && before != NULL && agent->said_at != 0)
		log_info("agent answers again address=%s", addr_format(&agent->at, address));
}

static void begin_waiting(struct agents *a, uint64_t now);

static void
on_result(void *arg, const struct probe_result *result, uint64_t now)
{
	struct agent *agent = arg;
	struct agents *a = agent->agents;
	const char *before = agent->fault;

	agent->probe = NULL;
	a->in_flight--;
	agent->fault = result->cause != HEALTH_none ? health_cause_text(result->cause)
	    : agent->answer.fault != ASK_none       ? ask_fault_text(agent->answer.fault)
						    : NULL;
	counter_add(a->counters, COUNTER_agents_asked, 1);
	counter_add(a->counters, COUNTER_agents_silent, agent->fault != NULL);
	counter_add(a->counters, COUNTER_agent_words_unknown, agent->answer.words.unknown);
	log_fault(agent, before);
	if (agent->fault == NULL) {
		agent->said = agent->answer.words;
		agent->said_at = now;
	}
	loop_timer_set(agent->timer, agent->next > now ? agent->next - now : 0);
	for (size_t i = 0; i < agent->servers_count; i++) {
		if (agent->fault == NULL)
			deliver(a, agent->servers[i], agent, now);
		else
			load_table_server(a->table, agent->servers[i])->agent_fault =
			    agent->fault;
	}
	begin_waiting(a, now);
}

static void
begin(struct agent *agent, uint64_t now)
{
	struct agents *a = agent->agents;
	double jitter = 1 - JITTER + 2 * JITTER * random_unit(a->random);
	struct ask_request request = {
	    .loop = a->loop,
	    .at = agent->at,
	    .send = &agent->send,
	    .timeout = agent->timeout,
	    .answer = &agent->answer,
	    .done = on_result,
	    .arg = agent,
	};

	agent->next = now + seconds(agent->interval * jitter);
	agent->probe = ask_start(&request);
	a->in_flight++;
}

/* First come, first served: else those that time out would be back before the others. */
static void
begin_waiting(struct agents *a, uint64_t now)
{
	struct agent *agent;

	while (a->in_flight < IN_FLIGHT_MAX && (agent = TAILQ_FIRST(&a->waiting)) != NULL) {
		TAILQ_REMOVE(&a->waiting, agent, entry);
		agent->waiting = false;
		begin(agent, now);
	}
}

static void
on_due(void *arg, uint64_t now)
{
	struct agent *agent = arg;

	TAILQ_INSERT_TAIL(&agent->agents->waiting, agent, entry);
	agent->waiting = true;
	begin_waiting(agent->agents, now);
}

static void
start(struct agents *a, struct agent *agent)
{
	double spread = agent->interval < START_SPREAD ? agent->interval : START_SPREAD;

	agent->agents = a;
	agent->fault = ask_fault_text(ASK_not_asked);
	agent->timer = loop_timer_new(a->loop, on_due, agent);
	loop_timer_set(agent->timer, seconds(spread * random_unit(a->random)));
}

static void
stop(struct agent *agent)
{
	if (agent->probe != NULL) {
		probe_cancel(agent->probe);
		agent->agents->in_flight--;
	}
	if (agent->waiting)
		TAILQ_REMOVE(&agent->agents->waiting, agent, entry);
	loop_timer_free(agent->timer);
	agent_free(agent);
}

/* ---- whom to ask ---- */

/* The one that was there already takes the place of its new twin. */
static struct agent *
keep(struct agent *old, struct agent *twin)
{
	free(old->servers);
	old->servers = twin->servers;
	old->servers_count = twin->servers_count;
	old->interval = twin->interval;
	old->timeout = twin->timeout;
	twin->servers = NULL;
	agent_free(twin);
	return old;
}

/* Both are in order: what is in both stays as it is, with its timer and what it said. */
static void
merge(struct agents *a, struct agent **list, size_t count)
{
	size_t i = 0, j = 0;

	while (i < a->list_count || j < count) {
		int order = i == a->list_count ? 1
		    : j == count               ? -1
					       : agent_compare(a->list[i], list[j]);

		if (order < 0) {
			stop(a->list[i++]);
		} else if (order > 0) {
			start(a, list[j++]);
		} else {
			list[j] = keep(a->list[i++], list[j]);
			j++;
		}
	}
	free(a->list);
	a->list = list;
	a->list_count = count;
}

/* A server whose agent is another now: what its old one said is over. */
static void
turn(struct agents *a, uint32_t number, bool had, bool same, const struct agent *agent,
    uint64_t now)
{
	if (same)
		return;
	if (had)
		forget(a, number, now);
	if (agent == NULL)
		return;
	load_table_server(a->table, number)->agent_fault = agent->fault;
	if (agent->said_at != 0)
		deliver(a, number, agent, now);
}

void
agents_refresh(struct agents *a)
{
	struct agent **before = a->by_server, **list;
	uint32_t count = load_table_servers(a->table), had = a->by_server_count;
	uint64_t now = loop_now(a->loop);
	size_t list_count;

	list = agent_list(a->table, &list_count);
	a->by_server = xcalloc(count > 0 ? count : 1, sizeof(*a->by_server));
	a->by_server_count = count;
	merge(a, list, list_count);
	for (size_t i = 0; i < a->list_count; i++)
		for (size_t j = 0; j < a->list[i]->servers_count; j++)
			a->by_server[a->list[i]->servers[j]] = a->list[i];
	/* those of before are compared by where they were: some are gone */
	for (uint32_t i = 0; i < count; i++)
		turn(a, i, i < had && before[i] != NULL,
		    i < had && before[i] == a->by_server[i], a->by_server[i], now);
	free(before);
	begin_waiting(a, now);
}

struct agents *
agents_new(struct loop *loop, struct load_table *table, struct counters *counters,
    struct random *random)
{
	struct agents *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	a->table = table;
	a->counters = counters;
	a->random = random;
	TAILQ_INIT(&a->waiting);
	agents_refresh(a);
	return a;
}

void
agents_free(struct agents *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->list_count; i++)
		stop(a->list[i]);
	free(a->list);
	free(a->by_server);
	free(a);
}
