#include "allocation/allocation.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Of a service: proper servers for IPv4 and for IPv6, backup servers for each. */
#define LISTS 4

/* There may be a thousand sites without keys: they are not judged for each connection, ns. */
#define SEEK UINT64_C(20000000)

struct allocation {
	struct load_table *table;
	double interval;
	struct scheduler *schedulers; /* LISTS a service */
	uint32_t services;
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

/* A server has a connection more or less: the lists that are up to date stay so. */
static void
on_counted(void *arg, uint32_t number)
{
	struct allocation *a = arg;
	const struct server *server = load_table_server(a->table, number);
	const struct service *service = load_table_service(a->table, server->service);

	if (server->service >= a->services)
		return;
	for (int v4 = 0; v4 < 2; v4++) {
		struct scheduler *s = list_of(a, server->service, v4, server->backup);

		if (s->version == service->version)
			scheduler_changed(s, a->table, number);
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
	scheduler_refresh(proper, a->table, service, v4, false);
	if (proper->room.total > 0 || load_table_service(a->table, service)->backups == 0)
		return proper;
	backup = list_of(a, service, v4, true);
	scheduler_refresh(backup, a->table, service, v4, true);
	return backup->room.total > 0 ? backup : proper;
}

uint32_t
allocation_decide_received(
    struct allocation *a, uint32_t service, const struct ip *client, struct random *random)
{
	struct scheduler *s = scheduler_of(a, service, ip_is_v4(client));

	return scheduler_pick(s, a->table, client, random);
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

	*decision =
	    (struct allocation_decision){ALLOCATION_NONE, LOAD_NONE, LOAD_NONE, LOAD_NONE};
	if (!sitechoice_stays(own) && decide_site(a, service, false, random, now, decision))
		return;
	decision->server = allocation_decide_received(a, service, client, random);
	if (decision->server != LOAD_NONE)
		decision->where = ALLOCATION_SERVER;
	/* none for this family, or none with room: any other site is better than none */
	else if (!decide_site(a, service, true, random, now, decision) &&
	    a->choice.visited_count == 0)
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
