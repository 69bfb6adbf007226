#include "health/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "health/hysteresis.h"
#include "health/icmp.h"
#include "health/round.h"
#include "health/target.h"

/* An address of a server. */
struct side {
	struct subscriber subscriber;
	struct check *check;
	struct ip ip;
};

/* One server that is checked. */
struct check {
	struct health *health;
	uint32_t server; /* number in the load table */
	struct hysteresis hysteresis;
	struct side side[ROUND_SIDES];
	struct round round;
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
tell_change(struct check *c, const struct server *server)
{
	const struct probe_result *result = &c->round.result;
	char ip[IP_TEXT], status[STATUS_TEXT];

	status_text(result, status);
	if (result->cause == HEALTH_none)
		log_change("server up service=%s server=%s%s", service_name(c->health, server),
		    server->name, status);
	else
		log_change("server down service=%s server=%s address=%s cause=\"%s\"%s",
		    service_name(c->health, server), server->name,
		    ip_format(&c->side[c->round.worst].ip, ip),
		    health_cause_text(result->cause), status);
}

/* A check that could not be made: the server's state stays. */
static void
not_checked(struct check *c, const struct server *server, uint64_t now)
{
	struct health *h = c->health;
	const char *why = health_cause_text(c->round.result.cause);

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
	const struct probe_result *result = &c->round.result;
	enum health_cause cause = result->cause;
	const struct config_check *check = &load_table_service(h->table, server->service)->check;
	uint64_t longest = (uint64_t)(check->timeout * (double)CLOCK_SECOND);
	bool passed = cause == HEALTH_none;

	counter_add(h->counters, passed ? COUNTER_checks_passed : COUNTER_checks_failed, 1);
	if (!probe_is_verdict(cause)) {
		not_checked(c, server, now);
		return;
	}
	load_table_server_set_script(h->table, c->server, result->has_load ? result->load : -1);
	/* it began after this, at the latest */
	load_table_server_checked(
	    h->table, c->server, passed, now > longest ? now - longest : 0, now);
	if (hysteresis_result(hy, passed, check->rise, check->fall)) {
		tell_change(c, server);
		load_table_server_set_state(h->table, c->server, passed ? SERVER_UP : SERVER_DOWN,
		    passed ? NULL : health_cause_text(cause), now);
	} else if (!hy->up && !passed) {
		/* Still down, perhaps for another reason. */
		load_table_server_set_state(
		    h->table, c->server, SERVER_DOWN, health_cause_text(cause), now);
	}
	for (size_t i = 0; i < c->round.sides; i++)
		c->side[i].subscriber.down = !hy->up;
}

static void
on_told(struct subscriber *subscriber, const struct probe_result *result, uint64_t now)
{
	struct side *side = (struct side *)subscriber;
	struct check *c = side->check;

	if (round_report(&c->round, (size_t)(side - c->side), result))
		judge(c, load_table_server(c->health->table, c->server), now);
}

/* ---- what is asked ---- */

/* The addresses that connections come to: those of the service's families.  How many. */
static size_t
targets(struct health *h, const struct server *server, struct ip to[ROUND_SIDES])
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
	struct ip to[ROUND_SIDES];
	size_t count = targets(h, server, to);
	bool changed = count != c->round.sides;

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
	for (size_t i = count; i < ROUND_SIDES; i++)
		target_leave(h->targets, &c->side[i].subscriber);
	if (changed)
		round_begin(&c->round, count);
}

/* ---- which servers are checked ---- */

static void
stop(struct health *h, uint32_t number)
{
	struct check *c = h->checks[number];

	if (c == NULL)
		return;
	h->checks[number] = NULL;
	for (size_t i = 0; i < ROUND_SIDES; i++)
		target_leave(h->targets, &c->side[i].subscriber);
	free(c);
}

static void
start(struct health *h, uint32_t number, const struct server *server)
{
	struct check *c = xcalloc(1, sizeof(*c));

	c->health = h;
	c->server = number;
	for (size_t i = 0; i < ROUND_SIDES; i++) {
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
	struct ip to[ROUND_SIDES];
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
