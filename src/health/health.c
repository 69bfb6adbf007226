#include "health/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "health/hysteresis.h"
#include "health/icmp.h"
#include "health/target.h"

#define ADDRESSES_MAX 2 /* of a server: one of each family */

/* An address of a server. */
struct side {
	struct subscriber subscriber;
	struct check *check;
	struct ip ip;
	bool reported; /* in this round */
};

/*
 * One server that is checked, in rounds in which each of its addresses reports once: targets
 * have intervals of their own.
 */
struct check {
	struct health *health;
	uint32_t server; /* number in the load table */
	struct hysteresis hysteresis;
	struct side side[ADDRESSES_MAX];
	size_t sides;
	bool judged;                /* in this round */
	struct probe_result result; /* of the sides that are through, the worst */
	struct ip failed;           /* the address that it is about */
};

struct health {
	struct loop *loop;
	struct load_table *table;
	struct counters *counters;
	struct icmp *icmp;
	struct targets *targets;
	struct check **checks; /* by server number; NULL: not checked */
	uint32_t checks_count;
};

static const char *const CAUSES[] = {
#define X(name, text) [HEALTH_##name] = text,
    HEALTH_CAUSES(X)
#undef X
};

const char *
health_cause_text(enum health_cause cause)
{
	return (unsigned)cause < HEALTH_CAUSE_COUNT ? CAUSES[cause] : CAUSES[HEALTH_other];
}

static const char *
service_name(struct health *h, const struct server *server)
{
	const struct service *service = load_table_service(h->table, server->service);

	return service == NULL ? "?" : service->name;
}

#define STATUS_TEXT 24 /* octets that hold any status_text() */

/* " status=503" where an answer had a status, else nothing. */
static const char *
status_text(const struct probe_result *result, char buf[STATUS_TEXT])
{
	buf[0] = '\0';
	if (result->status != 0)
		snprintf(buf, STATUS_TEXT, " status=%u", result->status);
	return buf;
}

static void
log_change(struct check *c, const struct server *server)
{
	const struct probe_result *result = &c->result;
	char ip[IP_TEXT], status[STATUS_TEXT];

	status_text(result, status);
	if (result->cause == HEALTH_none)
		log_info("server up service=%s server=%s%s", service_name(c->health, server),
		    server->name, status);
	else
		log_info("server down service=%s server=%s address=%s cause=\"%s\"%s",
		    service_name(c->health, server), server->name, ip_format(&c->failed, ip),
		    health_cause_text(result->cause), status);
}

/* What the check could not do says nothing of the server. */
static bool
is_verdict(enum health_cause cause)
{
	return cause != HEALTH_local && cause != HEALTH_authorities &&
	    cause != HEALTH_script_start;
}

/* A check that could not be made: the server's state stays. */
static void
not_checked(struct check *c, const struct server *server, uint64_t now)
{
	struct health *h = c->health;
	const char *why = health_cause_text(c->result.cause);

	log_warnx("server not checked service=%s server=%s cause=\"%s\"",
	    service_name(h, server), server->name, why);
	if (!c->hysteresis.known && server->state == SERVER_DOWN)
		load_table_server_set_state(h->table, c->server, SERVER_DOWN, why, now);
}

/* Takes a check's result. */
static void
judge(struct check *c, const struct server *server, uint64_t now)
{
	struct health *h = c->health;
	struct hysteresis *hy = &c->hysteresis;
	enum health_cause cause = c->result.cause;
	const struct config_check *check = &load_table_service(h->table, server->service)->check;
	uint64_t longest = (uint64_t)(check->timeout * (double)CLOCK_SECOND);
	bool passed = cause == HEALTH_none;

	counter_add(h->counters, passed ? COUNTER_checks_passed : COUNTER_checks_failed, 1);
	if (!is_verdict(cause)) {
		not_checked(c, server, now);
		return;
	}
	load_table_server_set_script(
	    h->table, c->server, c->result.has_load ? c->result.load : -1);
	/* it began after this, at the latest */
	load_table_server_checked(
	    h->table, c->server, passed, now > longest ? now - longest : 0, now);
	if (hysteresis_result(hy, passed, check->rise, check->fall)) {
		log_change(c, server);
		load_table_server_set_state(h->table, c->server, passed ? SERVER_UP : SERVER_DOWN,
		    passed ? NULL : health_cause_text(cause), now);
	} else if (!hy->up && !passed) {
		/* Still down, perhaps for another reason. */
		load_table_server_set_state(
		    h->table, c->server, SERVER_DOWN, health_cause_text(cause), now);
	}
	for (size_t i = 0; i < c->sides; i++)
		c->side[i].subscriber.down = !hy->up;
}

/* ---- rounds ---- */

static void
new_round(struct check *c)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		c->side[i].reported = false;
	c->judged = false;
	c->result = (struct probe_result){.cause = HEALTH_none};
}

static bool
complete(const struct check *c)
{
	for (size_t i = 0; i < c->sides; i++)
		if (!c->side[i].reported)
			return false;
	return true;
}

/*
 * A failure decides for all, and what the others say in this round does not count; a pass and
 * "could not ask" wait for the others.
 */
static void
on_told(struct subscriber *subscriber, const struct probe_result *result, uint64_t now)
{
	struct side *side = (struct side *)subscriber;
	struct check *c = side->check;
	struct load_table *table = c->health->table;
	bool failed = result->cause != HEALTH_none && is_verdict(result->cause);

	if (side->reported || complete(c))
		new_round(c);
	side->reported = true;
	if (c->judged)
		return;
	if (failed || c->result.cause == HEALTH_none) {
		c->result = *result;
		c->failed = side->ip;
	}
	if (failed || complete(c)) {
		c->judged = true;
		judge(c, load_table_server(table, c->server), now);
	}
}

/* ---- what is asked ---- */

/* The addresses that connections come to: those of the service's families.  How many. */
static size_t
targets(struct health *h, const struct server *server, struct ip to[ADDRESSES_MAX])
{
	const struct service *service = load_table_service(h->table, server->service);
	bool v4 = !ip_is_zero(&server->v4), v6 = !ip_is_zero(&server->v6);
	size_t count = 0;

	if (v4 && (!ip_is_zero(&service->v4) || !v6))
		to[count++] = server->v4;
	if (v6 && (!ip_is_zero(&service->v6) || !v4))
		to[count++] = server->v6;
	return count;
}

/* The check's port, or the server's, or the service's first. */
static uint16_t
target_port(const struct service *service, const struct server *server)
{
	if (service->check.port != 0)
		return service->check.port;
	return server->port != 0 ? server->port : service->ports[0];
}

/* Subscribes to what the table says now; what has not changed goes on. */
static void
join(struct check *c, const struct server *server)
{
	struct health *h = c->health;
	const struct service *service = load_table_service(h->table, server->service);
	struct ip to[ADDRESSES_MAX];
	size_t count = targets(h, server, to);
	bool changed = count != c->sides;

	for (size_t i = 0; i < count; i++) {
		struct target_key key = {
		    .to = {to[i], target_port(service, server)},
		    .check = &service->check,
		    .server = c->server,
		    .service_name = service->name,
		    .server_name = server->name,
		};

		c->side[i].ip = to[i];
		changed |= target_join(h->targets, &c->side[i].subscriber, &key);
	}
	for (size_t i = count; i < ADDRESSES_MAX; i++)
		target_leave(h->targets, &c->side[i].subscriber);
	c->sides = count;
	if (changed)
		new_round(c);
}

/* ---- which servers are checked ---- */

static void
stop(struct health *h, uint32_t number)
{
	struct check *c = h->checks[number];

	if (c == NULL)
		return;
	h->checks[number] = NULL;
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		target_leave(h->targets, &c->side[i].subscriber);
	free(c);
}

static void
start(struct health *h, uint32_t number, const struct server *server)
{
	struct check *c = xcalloc(1, sizeof(*c));

	c->health = h;
	c->server = number;
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		c->side[i].check = c;
		c->side[i].subscriber.told = on_told;
	}
	h->checks[number] = c;
	if (server->state == SERVER_DOWN)
		load_table_server_set_state(h->table, number, SERVER_DOWN,
		    health_cause_text(HEALTH_not_checked), loop_now(h->loop));
}

/* A change of what is asked does not change what is known. */
static void
refresh_server(struct health *h, uint32_t number)
{
	const struct server *server = load_table_server(h->table, number);
	const struct service *service;

	if (server == NULL || !server->present) {
		stop(h, number);
		return;
	}
	service = load_table_service(h->table, server->service);
	if (service->check.type == CONFIG_CHECK_NONE) {
		load_table_server_set_script(h->table, number, -1);
		stop(h, number);
		if (server->state != SERVER_UP || server->why != NULL)
			load_table_server_set_state(
			    h->table, number, SERVER_UP, NULL, loop_now(h->loop));
		return;
	}
	if (h->checks[number] == NULL)
		start(h, number, server);
	join(h->checks[number], server);
}

static void
resize(struct health *h, uint32_t count)
{
	for (uint32_t i = count; i < h->checks_count; i++)
		stop(h, i);
	if (count > h->checks_count) {
		h->checks = xrealloc_array(h->checks, count, sizeof(*h->checks));
		memset(h->checks + h->checks_count, 0,
		    (count - h->checks_count) * sizeof(*h->checks));
	}
	h->checks_count = count;
}

void
health_refresh(struct health *h)
{
	targets_reload(h->targets);
	resize(h, load_table_servers(h->table));
	for (uint32_t i = 0; i < h->checks_count; i++)
		refresh_server(h, i);
	targets_begin(h->targets);
}

struct health *
health_new(struct loop *loop, struct load_table *table, struct counters *counters,
    struct random *random)
{
	struct health *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->table = table;
	h->counters = counters;
	h->icmp = icmp_new(loop);
	h->targets = targets_new(loop, random, h->icmp);
	health_refresh(h);
	return h;
}

void
health_free(struct health *h)
{
	if (h == NULL)
		return;
	resize(h, 0);
	free(h->checks);
	targets_free(h->targets);
	icmp_free(h->icmp);
	free(h);
}

/* The errno for which the server's checks have no socket, or 0. */
static int
socket_error(struct health *h, const struct server *server)
{
	struct ip to[ADDRESSES_MAX];
	size_t count = targets(h, server, to);
	int error = 0;

	if (!server->present ||
	    load_table_service(h->table, server->service)->check.type != CONFIG_CHECK_ICMP)
		return 0;
	for (size_t i = 0; i < count && error == 0; i++)
		error = icmp_error(h->icmp, ip_is_v4(&to[i]));
	return error;
}

int
health_sockets(struct health *h, char *error, size_t error_size)
{
	for (uint32_t i = 0; i < load_table_servers(h->table); i++) {
		const struct server *server = load_table_server(h->table, i);
		int number = socket_error(h, server);

		if (number == 0)
			continue;
		snprintf(error, error_size,
		    "no socket for the checks of type icmp of service %s: %s; "
		    "they need root or CAP_NET_RAW",
		    service_name(h, server), strerror(number));
		return -1;
	}
	return 0;
}
