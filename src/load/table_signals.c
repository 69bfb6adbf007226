/*
 * table_signals: what follows for a server from what packets say of it, and what time changes
 * about servers: trials after silence, and slow starts.
 *
 * A forged SYN does not take a server out: it is answered like any other, and an answer ends the
 * count.  What no server would answer, the datapath does not count.
 */
#include "base/clock.h"
#include "load/table.h"
#include "load/table_internal.h"

/* Between trials: a client that is sent to a server that is still silent waits for a second. */
#define PAUSE_MIN CLOCK_SECOND
#define PAUSE_MAX (60 * CLOCK_SECOND)

/* What is up within this time from the start of the process has been up before. */
#define START (10 * CLOCK_SECOND)

/* The least of its weight that a server starts with. */
#define RAMP_MIN (LOAD_RAMP / 16)

/* Servers looked at in one call, and how soon after there is another one at the earliest. */
#define ATTEND_BUDGET 512
#define ATTEND_EVERY  (CLOCK_SECOND / 50)

bool
server_is_up(const struct server *server)
{
	return server->state == SERVER_UP && !server->agent_down && !server->passive_down;
}

const char *
server_cause(const struct server *server)
{
	if (server->state != SERVER_UP)
		return server->why;
	if (server->agent_down)
		return server->agent_why;
	return server->passive_down ? signals_cause_text(server->signals.cause) : NULL;
}

struct signals_rates
server_rates(const struct server *server, uint64_t now)
{
	return signals_rates(
	    &server->signals, server->total, server->bytes_in + server->bytes_out, now);
}

static void
attend(struct load_table *table, struct server *server)
{
	if (server->attended)
		return;
	server->attended = true;
	table->attended_count++;
	TAILQ_INSERT_TAIL(&table->attended, server, attendance);
}

void
table_signals_unattend(struct load_table *table, struct server *server)
{
	if (!server->attended)
		return;
	TAILQ_REMOVE(&table->attended, server, attendance);
	server->attended = false;
	table->attended_count--;
}

static uint32_t
number_of(const struct load_table *table, const struct server *server)
{
	return table->services[server->service]->servers[server->place];
}

static void
reorder(struct load_table *table, uint32_t number)
{
	if (table->counted != NULL)
		table->counted(table->counted_arg, number);
}

void
table_signals_forget(struct server *server)
{
	signals_reset(&server->signals);
	server->signal = 0;
	server->avoided = server->passive_down = server->trial = false;
	server->pause = server->retry_at = 0;
	server->passes = 0;
}

/* ---- answers ---- */

void
load_table_server_answered(
    struct load_table *table, uint32_t number, uint32_t microseconds, uint64_t now)
{
	struct server *server = table->servers[number];
	const struct service *service = table->services[server->service];
	unsigned class = signals_class(&server->signals);
	bool moves = server->avoided;
	double signal;

	signals_mark(&server->signals, server->total, server->bytes_in + server->bytes_out, now);
	signals_answered(&server->signals, microseconds > 0 ? microseconds / 1e6 : -1);
	server->avoided = server->trial = false;
	if (!server->passive_down)
		server->pause = 0;
	moves |= service->scheduler == CONFIG_LRT && class != signals_class(&server->signals);
	signal = signals_load(&server->signals);
	if (signal != server->signal) {
		server->signal = signal;
		table_server_loaded(table, number);
	}
	if (moves)
		reorder(table, number);
}

/* ---- silence ---- */

/* Whether new connections have another server to go to. */
static bool
is_last(const struct load_table *table, const struct server *server)
{
	const struct service *service = table->services[server->service];

	return service->serving[false] + service->serving[true] == server->serving;
}

static void
take_out(struct load_table *table, uint32_t number, uint64_t now)
{
	struct server *server = table->servers[number];

	server->passive_down = true;
	server->state_since = now;
	table_server_changed(table, number);
	table_changed(table, LOAD_CHANGE_SERVER, number);
}

void
load_table_server_unanswered(
    struct load_table *table, uint32_t number, enum signals_cause cause, uint64_t now)
{
	struct server *server = table->servers[number];
	bool was_avoided = server->avoided;

	signals_unanswered(&server->signals, cause, now);
	server->signal = signals_load(&server->signals);
	table_server_loaded(table, number);
	server->avoided = true;
	server->trial = false;
	server->passes = 0;
	if (server->pause == 0)
		server->pause = PAUSE_MIN;
	if (server->retry_at < now + server->pause)
		server->retry_at = now + server->pause;
	attend(table, server);
	if (table->services[server->service]->passive && !server->passive_down &&
	    server_usable(server) && signals_enough(&server->signals, now) &&
	    !is_last(table, server))
		take_out(table, number, now);
	else if (!was_avoided)
		reorder(table, number);
}

/* ---- and back again ---- */

/* The next connection is to find out. */
static void
try_again(struct load_table *table, uint32_t number, uint64_t now)
{
	struct server *server = table->servers[number];
	bool was_down = server->passive_down;

	server->avoided = server->passive_down = false;
	server->trial = true;
	server->passes = 0;
	server->pause = server->pause * 2 < PAUSE_MAX ? server->pause * 2 : PAUSE_MAX;
	server->retry_at = now + server->pause;
	if (!was_down) {
		reorder(table, number);
		return;
	}
	server->state_since = now;
	if (server_usable(server))
		table_start_slowly(table, number, now);
	table_server_changed(table, number);
	table_changed(table, LOAD_CHANGE_SERVER, number);
}

void
table_trial_opened(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];

	server->trial = false;
	server->avoided = true;
	attend(table, server);
}

void
load_table_server_trust(struct load_table *table, uint32_t number)
{
	table->servers[number]->trial = false;
}

void
load_table_server_checked(
    struct load_table *table, uint32_t number, bool passed, uint64_t began, uint64_t now)
{
	struct server *server = table->servers[number];

	if (!server->avoided && !server->passive_down)
		return;
	if (!passed) {
		server->passes = 0;
		return;
	}
	if (began <= server->signals.latest)
		return;
	server->passes++;
	if (server->passes >= table->services[server->service]->check.rise &&
	    now >= server->retry_at)
		try_again(table, number, now);
}

/* ---- slow start ---- */

/* Whether it comes up among others that have been at work; not with all of them. */
static bool
comes_later(const struct load_table *table, uint64_t now)
{
	return table->started != 0 && now - table->started >= START;
}

void
table_start_slowly(struct load_table *table, uint32_t number, uint64_t now)
{
	struct server *server = table->servers[number];

	server->ramp = LOAD_RAMP;
	if (table->services[server->service]->slow_start <= 0 || !comes_later(table, now))
		return;
	server->ramp = RAMP_MIN;
	server->ramp_since = now;
	attend(table, server);
}

static uint16_t
ramp_at(const struct service *service, const struct server *server, uint64_t now)
{
	double since = (double)(now - server->ramp_since) / CLOCK_SECOND;
	double part =
	    since < service->slow_start ? LOAD_RAMP * since / service->slow_start : LOAD_RAMP;

	return part > RAMP_MIN ? (uint16_t)part : RAMP_MIN;
}

/* ---- what time brings ---- */

/* When the server is to be looked at again; UINT64_MAX: when something happens to it. */
static uint64_t
look_at(struct load_table *table, struct server *server, uint64_t now)
{
	const struct service *service = table->services[server->service];
	uint32_t number = number_of(table, server);
	uint64_t next = UINT64_MAX;
	uint16_t ramp;

	if ((server->avoided || server->passive_down) &&
	    service->check.type == CONFIG_CHECK_NONE) {
		if (now >= server->retry_at)
			try_again(table, number, now);
		else
			next = server->retry_at;
	}
	if (server->ramp < LOAD_RAMP) {
		ramp = ramp_at(service, server, now);
		if (ramp != server->ramp) {
			server->ramp = ramp;
			reorder(table, number);
		}
		next = now + ATTEND_EVERY;
	}
	return next;
}

static bool
needs_attention(const struct server *server)
{
	return server->present &&
	    (server->avoided || server->passive_down || server->ramp < LOAD_RAMP);
}

uint64_t
load_table_attend(struct load_table *table, uint64_t now)
{
	uint32_t count = table->attended_count;
	uint64_t next = UINT64_MAX;

	if (count > ATTEND_BUDGET) {
		count = ATTEND_BUDGET;
		next = now + ATTEND_EVERY;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct server *server = TAILQ_FIRST(&table->attended);
		uint64_t at = UINT64_MAX;

		TAILQ_REMOVE(&table->attended, server, attendance);
		if (server->present)
			at = look_at(table, server, now);
		if (needs_attention(server)) {
			TAILQ_INSERT_TAIL(&table->attended, server, attendance);
		} else {
			server->attended = false;
			table->attended_count--;
		}
		next = at < next ? at : next;
	}
	return next;
}
