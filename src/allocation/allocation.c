#include "allocation/allocation.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct allocation {
	struct load_table *table;
	double interval;
	struct scheduler *schedulers; /* two a service: IPv4, IPv6 */
	uint32_t services;
	struct sitechoice choice; /* of the decision under way; large, so not on the stack */
};

struct allocation *
allocation_new(struct load_table *table, double interval)
{
	struct allocation *a = xcalloc(1, sizeof(*a));

	a->table = table;
	a->interval = interval;
	return a;
}

void
allocation_free(struct allocation *a)
{
	if (a == NULL)
		return;
	for (uint32_t i = 0; i < 2 * a->services; i++)
		scheduler_fini(&a->schedulers[i]);
	free(a->schedulers);
	free(a);
}

/* A reload may have brought more services. */
static void
grow(struct allocation *a)
{
	uint32_t services = load_table_services(a->table);

	if (services == a->services)
		return;
	a->schedulers =
	    xrealloc_array(a->schedulers, (size_t)2 * services, sizeof(*a->schedulers));
	memset(a->schedulers + 2 * a->services, 0,
	    (size_t)2 * (services - a->services) * sizeof(*a->schedulers));
	a->services = services;
}

static struct scheduler *
scheduler_of(struct allocation *a, uint32_t service, bool v4)
{
	struct scheduler *s;

	grow(a);
	s = &a->schedulers[2 * service + !v4];
	scheduler_refresh(s, a->table, service, v4);
	return s;
}

uint32_t
allocation_decide_received(struct allocation *a, uint32_t service, bool v4,
    struct random *random)
{
	const struct service *own = load_table_service(a->table, service);

	return scheduler_pick(scheduler_of(a, service, v4), a->table, own->scheduler, random);
}

static bool
decide_site(struct allocation *a, uint32_t service, bool forced, struct random *random,
    uint64_t now, struct allocation_decision *decision)
{
	int chosen;

	sitechoice_evaluate(&a->choice, a->table, service, forced, a->interval, now);
	chosen = sitechoice_draw(&a->choice, random);
	if (chosen < 0)
		return false;
	decision->where = ALLOCATION_SITE;
	decision->site = a->choice.sites[chosen].site;
	decision->site_service = a->choice.sites[chosen].site_service;
	return true;
}

/* Below high_load the gate is shut whatever the others say: nothing to evaluate. */
static bool
stays_home(const struct service *own)
{
	return own->prefer == CONFIG_PREFER_LOCAL && own->up > 0 &&
	    service_load(own) <= own->high_load;
}

void
allocation_decide(struct allocation *a, uint32_t service, bool v4, struct random *random,
    uint64_t now, struct allocation_decision *decision)
{
	const struct service *own = load_table_service(a->table, service);

	*decision = (struct allocation_decision){ALLOCATION_NONE, LOAD_NONE, LOAD_NONE, LOAD_NONE};
	if (!stays_home(own) && decide_site(a, service, false, random, now, decision))
		return;
	decision->server = allocation_decide_received(a, service, v4, random);
	if (decision->server != LOAD_NONE)
		decision->where = ALLOCATION_SERVER;
	else /* none for this family, or none with room: any other site is better than none */
		decide_site(a, service, true, random, now, decision);
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
