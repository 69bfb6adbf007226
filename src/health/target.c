#include "health/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/siphash.h"
#include "base/xalloc.h"
#include "health/script.h"
#include "health/terms.h"
#include "health/tls_client.h"

/* Probes at a time: each holds a descriptor and a port. */
#define IN_FLIGHT_MAX 1024

/* First checks are spread over so long, longer where there are many, or over one interval. */
#define START_SPREAD 0.2
#define START_RATE   5000.0 /* a second */

/* Each interval is longer or shorter by up to this share, so that checks do not line up. */
#define JITTER 0.1

#define BUCKETS 4096

TAILQ_HEAD(subscriber_list, subscriber);
TAILQ_HEAD(target_queue, target);
LIST_HEAD(target_list, target);

struct target {
	struct targets *targets;
	struct addr to;
	struct terms *terms;
	uint32_t server; /* of a script; LOAD_NONE otherwise */
	const char *service_name, *server_name;
	struct subscriber_list subscribers;
	struct probe *probe;      /* NULL: none in flight */
	struct loop_timer *timer; /* until the next */
	uint64_t begun;           /* when the latest began */
	bool fresh;               /* to be asked soon: in targets.fresh */
	bool waiting;             /* for others to end: in targets.waiting */
	TAILQ_ENTRY(target) queue;
	LIST_ENTRY(target) entry;
};

struct targets {
	struct loop *loop;
	struct random *random;
	struct icmp *icmp;
	struct scripts *scripts;
	struct tls_contexts *tls;
	struct terms_pool terms;
	struct siphash_key key;
	struct target_list bucket[BUCKETS];
	unsigned count, fresh_count, in_flight;
	struct target_queue fresh;
	struct target_queue waiting[2]; /* due, but too many are in flight; [1]: of scripts */
};

static uint64_t
seconds(double s)
{
	return (uint64_t)(s * (double)CLOCK_SECOND);
}

static struct target_queue *
waiting_of(struct target *t)
{
	return &t->targets->waiting[t->terms->check.type == CONFIG_CHECK_SCRIPT];
}

/* ---- asking ---- */

static void on_result(void *arg, const struct probe_result *result, uint64_t now);

static void
begin(struct target *t, uint64_t now)
{
	struct targets *all = t->targets;
	const struct config_check *check = &t->terms->check;
	bool secure = check->type == CONFIG_CHECK_TLS || check->type == CONFIG_CHECK_HTTPS;
	struct probe_request request = {
	    .loop = all->loop,
	    .icmp = all->icmp,
	    .tls = secure ? tls_contexts_get(all->tls, check->ca) : NULL,
	    .scripts = all->scripts,
	    .service = t->service_name,
	    .server = t->server_name,
	    .to = t->to,
	    .check = check,
	    .done = on_result,
	    .arg = t,
	};

	t->begun = now;
	t->probe = probe_start(&request);
	all->in_flight++;
}

/* First come, first served: else those that time out would be back before the others. */
static void
begin_waiting(struct targets *all, uint64_t now)
{
	for (int scripts = 0; scripts <= 1; scripts++) {
		struct target *t;

		while ((t = TAILQ_FIRST(&all->waiting[scripts])) != NULL &&
		    all->in_flight < IN_FLIGHT_MAX && (!scripts || scripts_room(all->scripts))) {
			TAILQ_REMOVE(&all->waiting[scripts], t, queue);
			t->waiting = false;
			begin(t, now);
		}
	}
}

static void
on_due(void *arg, uint64_t now)
{
	struct target *t = arg;

	TAILQ_INSERT_TAIL(waiting_of(t), t, queue);
	t->waiting = true;
	begin_waiting(t->targets, now);
}

static void
on_room(void *arg, uint64_t now)
{
	begin_waiting(arg, now);
}

static bool
is_down(const struct target *t)
{
	const struct subscriber *s;

	TAILQ_FOREACH (s, &t->subscribers, entry)
		if (!s->down)
			return false;
	return true;
}

/* From the beginning of the latest to that of the next. */
static uint64_t
interval(const struct target *t)
{
	const struct config_check *check = &t->terms->check;
	double jitter = 1 - JITTER + 2 * JITTER * random_unit(t->targets->random);
	double interval = check->interval;

	if (check->interval_down > 0 && is_down(t))
		interval = check->interval_down;
	return seconds(interval * jitter);
}

static void
on_result(void *arg, const struct probe_result *result, uint64_t now)
{
	struct target *t = arg;
	struct targets *all = t->targets;
	struct subscriber *s;
	uint64_t next;

	t->probe = NULL;
	all->in_flight--;
	TAILQ_FOREACH (s, &t->subscribers, entry)
		s->told(s, result, now);
	next = t->begun + interval(t);
	loop_timer_set(t->timer, next > now ? next - now : 0);
	begin_waiting(all, now);
}

/* ---- coming and going ---- */

static uint32_t
bucket_of(const struct targets *all, const struct addr *to)
{
	uint8_t octets[18];

	memcpy(octets, to->ip.octet, 16);
	memcpy(octets + 16, &to->port, 2);
	return (uint32_t)(siphash13(&all->key, octets, sizeof(octets)) % BUCKETS);
}

static bool
is_script(const struct terms *terms)
{
	return terms->check.type == CONFIG_CHECK_SCRIPT;
}

/* An echo request has no port. */
static struct addr
place_of(const struct target_key *key)
{
	struct addr to = key->to;

	if (key->check->type == CONFIG_CHECK_ICMP)
		to.port = 0;
	return to;
}

static void
refresh(struct target *t)
{
	if (t->fresh || t->waiting || t->probe != NULL)
		return;
	t->fresh = true;
	TAILQ_INSERT_TAIL(&t->targets->fresh, t, queue);
	t->targets->fresh_count++;
}

/* The target that is meant, perhaps a new one.  Takes the terms. */
static struct target *
find(struct targets *all, const struct target_key *key, struct terms *terms)
{
	struct addr to = place_of(key);
	uint32_t server = is_script(terms) ? key->server : LOAD_NONE;
	struct target_list *list = &all->bucket[bucket_of(all, &to)];
	struct target *t;

	LIST_FOREACH(t, list, entry)
	if (t->terms == terms && t->server == server && addr_equal(&t->to, &to)) {
		terms_put(terms);
		return t;
	}
	t = xcalloc(1, sizeof(*t));
	t->targets = all;
	t->to = to;
	t->terms = terms;
	t->server = server;
	t->service_name = key->service_name;
	t->server_name = key->server_name;
	TAILQ_INIT(&t->subscribers);
	t->timer = loop_timer_new(all->loop, on_due, t);
	LIST_INSERT_HEAD(list, t, entry);
	all->count++;
	return t;
}

static void
forget(struct target *t)
{
	struct targets *all = t->targets;

	if (t->probe != NULL) {
		probe_cancel(t->probe);
		all->in_flight--;
	}
	if (t->waiting)
		TAILQ_REMOVE(waiting_of(t), t, queue);
	if (t->fresh) {
		TAILQ_REMOVE(&all->fresh, t, queue);
		all->fresh_count--;
	}
	LIST_REMOVE(t, entry);
	all->count--;
	terms_put(t->terms);
	loop_timer_free(t->timer);
	free(t);
}

bool
target_join(struct targets *all, struct subscriber *s, const struct target_key *key)
{
	struct target *t = find(all, key, terms_get(&all->terms, key->check));

	if (s->target == t)
		return false;
	target_leave(all, s);
	TAILQ_INSERT_TAIL(&t->subscribers, s, entry);
	s->target = t;
	refresh(t);
	return true;
}

void
target_leave(struct targets *all, struct subscriber *s)
{
	struct target *t = s->target;

	(void)all;
	if (t == NULL)
		return;
	s->target = NULL;
	TAILQ_REMOVE(&t->subscribers, s, entry);
	if (TAILQ_EMPTY(&t->subscribers))
		forget(t);
}

void
targets_begin(struct targets *all)
{
	double spread = all->fresh_count / START_RATE;
	struct target *t;

	if (spread < START_SPREAD)
		spread = START_SPREAD;
	while ((t = TAILQ_FIRST(&all->fresh)) != NULL) {
		double interval = t->terms->check.interval;

		TAILQ_REMOVE(&all->fresh, t, queue);
		t->fresh = false;
		loop_timer_set(t->timer,
		    seconds((interval < spread ? interval : spread) * random_unit(all->random)));
	}
	all->fresh_count = 0;
	begin_waiting(all, loop_now(all->loop));
}

void
targets_reload(struct targets *all)
{
	tls_contexts_reload(all->tls);
}

unsigned
targets_count(const struct targets *all)
{
	return all->count;
}

struct targets *
targets_new(struct loop *loop, struct random *random, struct icmp *icmp)
{
	struct targets *all = xcalloc(1, sizeof(*all));

	all->loop = loop;
	all->random = random;
	all->icmp = icmp;
	all->scripts = scripts_new(loop);
	all->tls = tls_contexts_new();
	random_system(&all->key, sizeof(all->key));
	TAILQ_INIT(&all->fresh);
	TAILQ_INIT(&all->waiting[0]);
	TAILQ_INIT(&all->waiting[1]);
	scripts_set_freed(all->scripts, on_room, all);
	return all;
}

void
targets_free(struct targets *all)
{
	if (all == NULL)
		return;
	scripts_free(all->scripts);
	tls_contexts_free(all->tls);
	free(all);
}
