#include "health/health.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "health/hysteresis.h"
#include "health/tcp.h"

/* Checks at a time: each holds a descriptor and a port. */
#define IN_FLIGHT_MAX 1024

/* First checks are spread over so long, or one interval if that is shorter. */
#define START_SPREAD 0.2

/* Each interval is longer or shorter by up to this share, so that checks do not line up. */
#define JITTER 0.1

/* One server that is checked. */
struct check {
	struct health *health;
	uint32_t server; /* number in the load table */
	struct hysteresis hysteresis;
	struct loop_timer *timer; /* until the next check begins */
	struct tcp_check *tcp;    /* NULL: none in flight */
	uint64_t next;            /* when the next begins */
	bool waiting;             /* for others to end */
	TAILQ_ENTRY(check) entry; /* in health.waiting */
};

TAILQ_HEAD(check_queue, check);

struct health {
	struct loop *loop;
	struct load_table *table;
	struct counters *counters;
	struct random *random;
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
	return (unsigned)cause < HEALTH_CAUSE_COUNT ? CAUSES[cause] :
	    CAUSES[HEALTH_other];
}

static const char *
service_name(struct health *h, const struct server *server)
{
	const struct service *service = load_table_service(h->table,
	    server->service);

	return service == NULL ? "?" : service->name;
}

static void
log_change(struct health *h, const struct server *server, bool up,
    enum health_cause cause)
{
	if (up)
		log_info("server up service=%s server=%s",
		    service_name(h, server), server->name);
	else
		log_info("server down service=%s server=%s cause=\"%s\"",
		    service_name(h, server), server->name,
		    health_cause_text(cause));
}

/*
 * Takes a check's result.  A check that could not be made for want of a socket says
 * nothing of the server: its state stays.
 */
static void
judge(struct check *c, struct server *server, enum health_cause cause,
    uint64_t now)
{
	struct health *h = c->health;
	struct hysteresis *hy = &c->hysteresis;
	bool passed = cause == HEALTH_none;

	counter_add(h->counters, passed ? COUNTER_checks_passed :
	    COUNTER_checks_failed, 1);
	if (cause == HEALTH_local) {
		log_warnx("server not checked service=%s server=%s cause=\"%s\"",
		    service_name(h, server), server->name,
		    health_cause_text(cause));
		if (!hy->known && server->state == SERVER_DOWN)
			load_table_server_set_state(h->table, c->server,
			    SERVER_DOWN, health_cause_text(cause), now);
		return;
	}
	if (hysteresis_result(hy, passed, server->check.rise,
	    server->check.fall)) {
		log_change(h, server, passed, cause);
		load_table_server_set_state(h->table, c->server,
		    passed ? SERVER_UP : SERVER_DOWN,
		    passed ? NULL : health_cause_text(cause), now);
	} else if (!hy->up && !passed) {
		/* Still down, perhaps for another reason. */
		load_table_server_set_state(h->table, c->server, SERVER_DOWN,
		    health_cause_text(cause), now);
	}
}

/* Where to connect: IPv4 if the server has it, the server's port or the service's first. */
static struct addr
target(struct health *h, const struct server *server)
{
	const struct service *service = load_table_service(h->table,
	    server->service);
	struct addr to = {
		.ip = ip_is_zero(&server->v4) ? server->v6 : server->v4,
		.port = server->port,
	};

	if (to.port == 0 && service != NULL && service->ports_count != 0)
		to.port = service->ports[0];
	return to;
}

static uint64_t
seconds(double s)
{
	return (uint64_t)(s * (double)CLOCK_SECOND);
}

static void on_result(void *arg, enum health_cause cause, uint64_t now);

static void
begin(struct check *c, uint64_t now)
{
	struct health *h = c->health;
	const struct server *server = load_table_server(h->table, c->server);
	struct addr to = target(h, server);
	double jitter = 1 - JITTER + 2 * JITTER * random_unit(h->random);

	c->next = now + seconds(server->check.interval * jitter);
	h->in_flight++;
	c->tcp = tcp_check_start(h->loop, &to, server->check.timeout,
	    on_result, c);
}

/* First come, first served: else those that time out would be back before the others. */
static void
begin_waiting(struct health *h, uint64_t now)
{
	struct check *c;

	while (h->in_flight < IN_FLIGHT_MAX &&
	    (c = TAILQ_FIRST(&h->waiting)) != NULL) {
		TAILQ_REMOVE(&h->waiting, c, entry);
		c->waiting = false;
		begin(c, now);
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

static void
on_result(void *arg, enum health_cause cause, uint64_t now)
{
	struct check *c = arg;
	struct health *h = c->health;

	c->tcp = NULL;
	h->in_flight--;
	loop_timer_set(c->timer, c->next > now ? c->next - now : 0);
	judge(c, load_table_server(h->table, c->server), cause, now);
	begin_waiting(h, now);
}

static void
stop(struct health *h, uint32_t number)
{
	struct check *c = h->checks[number];

	if (c == NULL)
		return;
	h->checks[number] = NULL;
	if (c->tcp != NULL) {
		tcp_check_cancel(c->tcp);
		h->in_flight--;
	}
	if (c->waiting)
		TAILQ_REMOVE(&h->waiting, c, entry);
	loop_timer_free(c->timer);
	free(c);
}

static void
start(struct health *h, uint32_t number, const struct server *server)
{
	struct check *c = xcalloc(1, sizeof(*c));
	double spread = server->check.interval < START_SPREAD ?
	    server->check.interval : START_SPREAD;

	c->health = h;
	c->server = number;
	c->timer = loop_timer_new(h->loop, on_due, c);
	h->checks[number] = c;
	if (server->state == SERVER_DOWN)
		load_table_server_set_state(h->table, number, SERVER_DOWN,
		    health_cause_text(HEALTH_not_checked), loop_now(h->loop));
	loop_timer_set(c->timer, seconds(spread * random_unit(h->random)));
}

/* Port and times are read from the table at each check: a change needs no new state. */
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
			load_table_server_set_state(h->table, number,
			    SERVER_UP, NULL, loop_now(h->loop));
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
		h->checks = xrealloc_array(h->checks, count,
		    sizeof(*h->checks));
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
health_new(struct loop *loop, struct load_table *table,
    struct counters *counters, struct random *random)
{
	struct health *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->table = table;
	h->counters = counters;
	h->random = random;
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
	free(h);
}
