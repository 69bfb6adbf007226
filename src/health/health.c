#include "health/health.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "health/hysteresis.h"
#include "health/icmp.h"
#include "health/probe.h"

/* Probes at a time: each holds a descriptor and a port. */
#define IN_FLIGHT_MAX 1024

/* First checks are spread over so long, or one interval if that is shorter. */
#define START_SPREAD 0.2

/* Each interval is longer or shorter by up to this share, so that checks do not line up. */
#define JITTER 0.1

#define ADDRESSES_MAX 2 /* of a server: one of each family */

/* An address of a server. */
struct side {
	struct check *check;
	struct ip ip;
	struct probe *probe; /* NULL: none in flight */
};

/* One server that is checked. */
struct check {
	struct health *health;
	uint32_t server; /* number in the load table */
	struct hysteresis hysteresis;
	struct loop_timer *timer; /* until the next check begins */
	struct side side[ADDRESSES_MAX];
	struct probe_result result; /* of the sides that are through, the worst */
	struct ip failed;           /* the address that it is about */
	uint64_t next;              /* when the next begins */
	bool waiting;               /* for others to end */
	TAILQ_ENTRY(check) entry;   /* in health.waiting */
};

TAILQ_HEAD(check_queue, check);

struct health {
	struct loop *loop;
	struct load_table *table;
	struct counters *counters;
	struct random *random;
	struct icmp *icmp;
	struct check **checks; /* by server number; NULL: not checked */
	uint32_t checks_count;
	unsigned in_flight;
	struct check_queue waiting; /* due, but IN_FLIGHT_MAX others are in flight */
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

/*
 * Takes a check's result.  A check that could not be made for want of a socket says
 * nothing of the server: its state stays.
 */
static void
judge(struct check *c, struct server *server, uint64_t now)
{
	struct health *h = c->health;
	struct hysteresis *hy = &c->hysteresis;
	enum health_cause cause = c->result.cause;
	bool passed = cause == HEALTH_none;

	counter_add(h->counters, passed ? COUNTER_checks_passed : COUNTER_checks_failed, 1);
	if (cause == HEALTH_local) {
		log_warnx("server not checked service=%s server=%s cause=\"%s\"",
		    service_name(h, server), server->name, health_cause_text(cause));
		if (!hy->known && server->state == SERVER_DOWN)
			load_table_server_set_state(
			    h->table, c->server, SERVER_DOWN, health_cause_text(cause), now);
		return;
	}
	if (hysteresis_result(hy, passed, server->check.rise, server->check.fall)) {
		log_change(c, server);
		load_table_server_set_state(h->table, c->server, passed ? SERVER_UP : SERVER_DOWN,
		    passed ? NULL : health_cause_text(cause), now);
	} else if (!hy->up && !passed) {
		/* Still down, perhaps for another reason. */
		load_table_server_set_state(
		    h->table, c->server, SERVER_DOWN, health_cause_text(cause), now);
	}
}

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

/* The server's port, or the service's first. */
static uint16_t
target_port(struct health *h, const struct server *server)
{
	const struct service *service = load_table_service(h->table, server->service);

	return server->port != 0 ? server->port : service->ports[0];
}

static uint64_t
seconds(double s)
{
	return (uint64_t)(s * (double)CLOCK_SECOND);
}

static void on_result(void *arg, const struct probe_result *result, uint64_t now);

static void
begin_side(struct check *c, struct side *side, const struct server *server)
{
	struct health *h = c->health;
	struct probe_request request = {
	    .loop = h->loop,
	    .icmp = h->icmp,
	    .to = {.ip = side->ip, .port = target_port(h, server)},
	    .check = &server->check,
	    .done = on_result,
	    .arg = side,
	};

	side->check = c;
	side->probe = probe_start(&request);
	h->in_flight++;
}

static void
begin(struct check *c, const struct ip *to, size_t count, uint64_t now)
{
	struct health *h = c->health;
	const struct server *server = load_table_server(h->table, c->server);
	double jitter = 1 - JITTER + 2 * JITTER * random_unit(h->random);

	c->next = now + seconds(server->check.interval * jitter);
	c->result = (struct probe_result){.cause = HEALTH_none};
	for (size_t i = 0; i < count; i++) {
		c->side[i].ip = to[i];
		begin_side(c, &c->side[i], server);
	}
}

/* First come, first served: else those that time out would be back before the others. */
static void
begin_waiting(struct health *h, uint64_t now)
{
	struct ip to[ADDRESSES_MAX];
	struct check *c;
	size_t count;

	while ((c = TAILQ_FIRST(&h->waiting)) != NULL) {
		count = targets(h, load_table_server(h->table, c->server), to);
		if (h->in_flight + count > IN_FLIGHT_MAX)
			break;
		TAILQ_REMOVE(&h->waiting, c, entry);
		c->waiting = false;
		begin(c, to, count, now);
	}
}

static void
on_due(void *arg, uint64_t now)
{
	struct check *c = arg;

	TAILQ_INSERT_TAIL(&c->health->waiting, c, entry);
	c->waiting = true;
	begin_waiting(c->health, now);
}

/* True if others of its probes are in flight. */
static bool
unfinished(const struct check *c)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (c->side[i].probe != NULL)
			return true;
	return false;
}

static void
cancel_probes(struct check *c)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		if (c->side[i].probe == NULL)
			continue;
		probe_cancel(c->side[i].probe);
		c->side[i].probe = NULL;
		c->health->in_flight--;
	}
}

/* A failure decides for all; a pass and "could not ask" wait for the others. */
static void
on_result(void *arg, const struct probe_result *result, uint64_t now)
{
	struct side *side = arg;
	struct check *c = side->check;
	struct health *h = c->health;
	bool failed = result->cause != HEALTH_none && result->cause != HEALTH_local;

	side->probe = NULL;
	h->in_flight--;
	if (failed || c->result.cause == HEALTH_none) {
		c->result = *result;
		c->failed = side->ip;
	}
	if (failed)
		cancel_probes(c);
	if (!unfinished(c)) {
		loop_timer_set(c->timer, c->next > now ? c->next - now : 0);
		judge(c, load_table_server(h->table, c->server), now);
	}
	begin_waiting(h, now);
}

static void
stop(struct health *h, uint32_t number)
{
	struct check *c = h->checks[number];

	if (c == NULL)
		return;
	h->checks[number] = NULL;
	cancel_probes(c);
	if (c->waiting)
		TAILQ_REMOVE(&h->waiting, c, entry);
	loop_timer_free(c->timer);
	free(c);
}

static void
start(struct health *h, uint32_t number, const struct server *server)
{
	struct check *c = xcalloc(1, sizeof(*c));
	double spread =
	    server->check.interval < START_SPREAD ? server->check.interval : START_SPREAD;

	c->health = h;
	c->server = number;
	c->timer = loop_timer_new(h->loop, on_due, c);
	h->checks[number] = c;
	if (server->state == SERVER_DOWN)
		load_table_server_set_state(h->table, number, SERVER_DOWN,
		    health_cause_text(HEALTH_not_checked), loop_now(h->loop));
	loop_timer_set(c->timer, seconds(spread * random_unit(h->random)));
}

/* Addresses, port and times are read from the table at each check: a change needs no new state. */
static void
refresh_server(struct health *h, uint32_t number)
{
	const struct server *server = load_table_server(h->table, number);

	if (server == NULL || !server->present) {
		stop(h, number);
		return;
	}
	if (server->check.type == CONFIG_CHECK_NONE) {
		stop(h, number);
		if (server->state != SERVER_UP || server->why != NULL)
			load_table_server_set_state(
			    h->table, number, SERVER_UP, NULL, loop_now(h->loop));
		return;
	}
	if (h->checks[number] == NULL)
		start(h, number, server);
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
	resize(h, load_table_servers(h->table));
	for (uint32_t i = 0; i < h->checks_count; i++)
		refresh_server(h, i);
	begin_waiting(h, loop_now(h->loop));
}

struct health *
health_new(struct loop *loop, struct load_table *table, struct counters *counters,
    struct random *random)
{
	struct health *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->table = table;
	h->counters = counters;
	h->random = random;
	h->icmp = icmp_new(loop);
	TAILQ_INIT(&h->waiting);
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

	if (!server->present || server->check.type != CONFIG_CHECK_ICMP)
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
