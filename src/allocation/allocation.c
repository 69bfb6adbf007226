#include "allocation/allocation.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Of a service: proper servers for IPv4 and for IPv6, backup servers for each. */
#define LISTS 4

#define NOWHERE \
	((struct allocation_decision){ALLOCATION_NONE, LOAD_NONE, LOAD_NONE, LOAD_NONE, false})

/* There may be a thousand sites without keys: they are not judged for each connection, ns. */
#define SEEK UINT64_C(20000000)

struct allocation {
	struct load_table *table;
	double interval;
	struct scheduler *schedulers; /* LISTS a service */
	uint32_t services;
	struct persistence *persistence;
	struct limits *limits;
	uint64_t forgotten; /* that were counted */
	uint64_t now;       /* of the latest decision */
	allocation_wanted *wanted;
	void *wanted_arg;
	uint64_t seek_at;         /* when introduced sites are looked at again */
	struct sitechoice choice; /* of the decision under way; large, so not on the stack */
};

static struct scheduler *
list_of(struct allocation *a, uint32_t service, bool v4, bool backup)
{
	return &a->schedulers[(size_t)LISTS * service + 2 * backup + !v4];
}

/* A server has a connection more or less, or may be chosen, or may not: the lists that are up to date
 * stay so. */
static void
on_counted(void *arg, uint32_t number)
{
	struct allocation *a = arg;
	const struct server *server = load_table_server(a->table, number);
	const struct service *service = load_table_service(a->table, server->service);

	if (server->service >= a->services)
		return;
	for (int list = 0; list < LISTS; list++) {
		struct scheduler *s = &a->schedulers[(size_t)LISTS * server->service + list];
		bool follows = service->version == service->version_one &&
		    s->version == service->version - 1 && s->version != 0;

		if (follows || (s->version == service->version && s->backup == server->backup))
			scheduler_changed(s, a->table, number);
		if (follows && s->version != 0)
			s->version = service->version;
	}
}

struct allocation *
allocation_new(struct load_table *table, double interval)
{
	struct allocation *a = xcalloc(1, sizeof(*a));

	a->table = table;
	a->interval = interval;
	load_table_set_counted(table, on_counted, a);
	return a;
}

void
allocation_free(struct allocation *a)
{
	if (a == NULL)
		return;
	load_table_set_counted(a->table, NULL, NULL);
	for (size_t i = 0; i < (size_t)LISTS * a->services; i++)
		scheduler_fini(&a->schedulers[i]);
	free(a->schedulers);
	persistence_free(a->persistence);
	limits_free(a->limits);
	free(a);
}

void
allocation_set_wanted(struct allocation *a, allocation_wanted *wanted, void *arg)
{
	a->wanted = wanted;
	a->wanted_arg = arg;
}

void
allocation_set_interval(struct allocation *a, double interval)
{
	a->interval = interval;
}

/* A reload may have brought more services. */
static void
grow(struct allocation *a)
{
	uint32_t services = load_table_services(a->table);

	if (services == a->services)
		return;
	a->schedulers =
	    xrealloc_array(a->schedulers, (size_t)LISTS * services, sizeof(*a->schedulers));
	memset(a->schedulers + (size_t)LISTS * a->services, 0,
	    (size_t)LISTS * (services - a->services) * sizeof(*a->schedulers));
	a->services = services;
}

/* The list to choose from: the backup servers' if no proper server has room, but one of them. */
static struct scheduler *
scheduler_of(struct allocation *a, uint32_t service, bool v4)
{
	struct scheduler *proper, *backup;

	grow(a);
	proper = list_of(a, service, v4, false);
	proper->now = a->now;
	scheduler_refresh(proper, a->table, service, v4, false);
	if (proper->room.total > 0 || load_table_service(a->table, service)->backups == 0)
		return proper;
	/* servers that do not answer come after backup servers that do */
	backup = list_of(a, service, v4, true);
	backup->now = a->now;
	scheduler_refresh(backup, a->table, service, v4, true);
	if (backup->room.total > 0 || scheduler_room(proper)->total == 0)
		return scheduler_room(backup)->total > 0 ? backup : proper;
	return proper;
}

/* ---- what is remembered of clients ---- */

int
allocation_remember_clients(
    struct allocation *a, uint32_t connections, const struct siphash_key *key)
{
	a->persistence = persistence_new(a->table, connections, key);
	a->limits = limits_new(a->table, connections, key);
	return a->persistence != NULL && a->limits != NULL ? 0 : -1;
}

struct persistence *
allocation_persistence(struct allocation *a)
{
	return a->persistence;
}

struct limits *
allocation_limits(struct allocation *a)
{
	return a->limits;
}

/* Connections of clients of ours: others are limited where they come in. */
static bool
is_own_client(const struct connection *c)
{
	return c->kind == CONNECTION_LOCAL || c->kind == CONNECTION_TRANSFERRED;
}

static struct persistence_target
target_of(const struct connection *c)
{
	if (c->kind == CONNECTION_LOCAL || c->kind == CONNECTION_RECEIVED)
		return (struct persistence_target){PERSISTENCE_SERVER, c->server};
	return (struct persistence_target){
	    PERSISTENCE_SITE, c->kind == CONNECTION_PASSED ? c->next : c->site};
}

void
allocation_apply_clients(struct allocation *a, struct connection_table *connections, uint64_t now)
{
	bool persist = persistence_apply(a->persistence);
	bool limit = limits_apply(a->limits);
	const struct connection *c;
	uint32_t cursor = 0;

	while ((persist || limit) && (c = connection_walk(connections, &cursor)) != NULL) {
		if (c->state == CONNECTION_TIME_WAIT)
			continue;
		if (persistence_counts_anew(a->persistence, c->service))
			persistence_opened(
			    a->persistence, c->service, &c->client, target_of(c), now);
		if (is_own_client(c) && limits_counts_anew(a->limits, c->service))
			limits_opened(a->limits, c->service, &c->client, now);
	}
	persistence_counted(a->persistence);
	limits_counted(a->limits);
}

enum drop
allocation_admit(struct allocation *a, uint32_t service, const struct ip *client, uint64_t now)
{
	if (a->limits == NULL)
		return DROP_none;
	return limits_admit(a->limits, (uint16_t)service, client, now);
}

void
allocation_opened(struct allocation *a, const struct connection *c, uint64_t now)
{
	if (a->persistence == NULL)
		return;
	persistence_opened(a->persistence, c->service, &c->client, target_of(c), now);
	if (is_own_client(c))
		limits_opened(a->limits, c->service, &c->client, now);
}

void
allocation_over(struct allocation *a, const struct connection *c, uint64_t now)
{
	if (a->persistence == NULL)
		return;
	persistence_over(a->persistence, c->service, &c->client, now);
	if (is_own_client(c))
		limits_over(a->limits, c->service, &c->client, now);
}

void
allocation_expire_clients(struct allocation *a, struct counters *counters, uint64_t now)
{
	uint64_t forgotten;

	if (a->persistence == NULL)
		return;
	persistence_expire(a->persistence, now);
	limits_expire(a->limits, now);
	forgotten = persistence_clients(a->persistence)->forgotten +
	    limits_clients(a->limits)->forgotten;
	counter_add(counters, COUNTER_clients_forgotten, forgotten - a->forgotten);
	a->forgotten = forgotten;
}

/* ---- decisions ---- */

/* One that is to be drained gets nobody, not even those who know it; one of weight 0 gets them
 * alone.  A backup server is left as soon as a proper one can serve. */
static bool
takes_persistent(struct allocation *a, uint32_t service, uint32_t number, bool v4)
{
	const struct server *server = load_table_server(a->table, number);

	if (server == NULL || server->service != service || !server_usable(server) ||
	    ip_is_zero(v4 ? &server->v4 : &server->v6) ||
	    server->active >= server->max_connections)
		return false;
	/* one unanswered connection may be a lost packet */
	if (server->avoided && server->signals.unanswered > 1)
		return false;
	return !server->backup || scheduler_of(a, service, v4) == list_of(a, service, v4, true);
}

bool
allocation_persistent(struct allocation *a, uint32_t service, const struct ip *client,
    uint64_t now, struct allocation_decision *decision)
{
	struct persistence_target target = {PERSISTENCE_NONE, LOAD_NONE};

	a->now = now;
	*decision = NOWHERE;
	if (a->persistence != NULL)
		target = persistence_find(a->persistence, (uint16_t)service, client, now);
	if (target.kind == PERSISTENCE_SERVER &&
	    takes_persistent(a, service, target.number, ip_is_v4(client))) {
		decision->where = ALLOCATION_SERVER;
		decision->server = target.number;
	} else if (target.kind == PERSISTENCE_SITE &&
	    sitechoice_evaluate_site(
		&a->choice, a->table, service, target.number, a->interval, now) == 0) {
		decision->where = ALLOCATION_SITE;
		decision->site = a->choice.sites[0].site;
		decision->site_service = a->choice.sites[0].site_service;
	}
	decision->persistent = decision->where != ALLOCATION_NONE;
	return decision->persistent;
}

static bool
decide_server(struct allocation *a, uint32_t service, const struct ip *client,
    struct random *random, struct allocation_decision *decision)
{
	struct scheduler *s = scheduler_of(a, service, ip_is_v4(client));

	decision->server = scheduler_pick(s, a->table, client, random);
	if (decision->server == LOAD_NONE)
		return false;
	decision->where = ALLOCATION_SERVER;
	return true;
}

void
allocation_decide_received(struct allocation *a, uint32_t service, const struct ip *client,
    struct random *random, uint64_t now, struct allocation_decision *decision)
{
	if (allocation_persistent(a, service, client, now, decision) &&
	    decision->where == ALLOCATION_SERVER)
		return;
	*decision = NOWHERE;
	decide_server(a, service, client, random, decision);
}

static void
want_site(struct allocation *a, struct random *random)
{
	uint32_t site = a->choice.seek ? sitechoice_wanted(&a->choice, random) : LOAD_NONE;

	if (site != LOAD_NONE)
		a->wanted(a->wanted_arg, site);
}

static bool
decide_site(struct allocation *a, uint32_t service, bool forced, struct random *random,
    uint64_t now, struct allocation_decision *decision)
{
	int chosen;

	a->choice.seek = a->wanted != NULL && now >= a->seek_at;
	if (a->choice.seek)
		a->seek_at = now + SEEK;
	sitechoice_evaluate(&a->choice, a->table, service, forced, a->interval, now);
	want_site(a, random);
	chosen = sitechoice_draw(&a->choice, random);
	if (chosen < 0)
		return false;
	sitechoice_take(&a->choice, chosen, a->table, now);
	decision->where = ALLOCATION_SITE;
	decision->site = a->choice.sites[chosen].site;
	decision->site_service = a->choice.sites[chosen].site_service;
	return true;
}

void
allocation_decide(struct allocation *a, uint32_t service, const struct ip *client,
    struct random *random, uint64_t now, struct allocation_decision *decision)
{
	const struct service *own = load_table_service(a->table, service);

	if (allocation_persistent(a, service, client, now, decision)) {
		if (decision->where == ALLOCATION_SITE)
			sitechoice_take(&a->choice, 0, a->table, now);
		return;
	}
	if (!sitechoice_stays(own) && decide_site(a, service, false, random, now, decision))
		return;
	if (decide_server(a, service, client, random, decision))
		return;
	/* none for this family, or none with room: any other site is better than none */
	if (!decide_site(a, service, true, random, now, decision) && a->choice.visited_count == 0)
		load_table_service_refused(a->table, service);
}

void
allocation_decide_passed(struct allocation *a, uint32_t service, const struct ip *client,
    const uint16_t *visited, size_t visited_count, struct random *random, uint64_t now,
    struct allocation_decision *decision)
{
	a->choice.visited = visited;
	a->choice.visited_count = visited_count;
	allocation_decide(a, service, client, random, now, decision);
	a->choice.visited_count = 0;
}

const struct sitechoice *
allocation_explain(struct allocation *a, uint32_t service, uint64_t now)
{
	sitechoice_evaluate(&a->choice, a->table, service, false, a->interval, now);
	return &a->choice;
}

const struct scheduler *
allocation_candidates(struct allocation *a, uint32_t service, bool v4)
{
	return scheduler_of(a, service, v4);
}
