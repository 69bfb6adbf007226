/* The rule of wlad, and those that it is compared with. */
#include "sim.h"

/* Of our service at a site, as reported; NULL if it is no candidate at all. */
static const struct site_service *
reported(const struct world *w, uint32_t home, uint32_t number)
{
	const struct site *site = load_table_site(w->sites[home].table, number);
	uint32_t index = load_table_site_service(w->sites[home].table, number, 0);
	const struct site_service *s;

	if (sitechoice_site_reason(site) != SITECHOICE_candidate || index == LOAD_NONE)
		return NULL;
	s = &site->services[index];
	return s->reported && s->permitted && s->servers_up > 0 ? s : NULL;
}

/* Load of the own site (number: peers_count), exact, or of another, as reported; 2: none. */
static double
load_of(const struct world *w, uint32_t home, uint32_t number)
{
	const struct service *own = load_table_service(w->sites[home].table, 0);
	const struct site_service *s;

	if (number == w->sites[home].peers_count)
		return own->up > 0 ? service_load(own) : 2;
	s = reported(w, home, number);
	return s != NULL ? s->load / 1000.0 : 2;
}

static double
capacity_of(const struct world *w, uint32_t home, uint32_t number)
{
	const struct site_service *s;

	if (number == w->sites[home].peers_count)
		return (double)load_table_service(w->sites[home].table, 0)->capacity;
	s = reported(w, home, number);
	return s != NULL ? (double)s->transferable + s->active : 0;
}

static uint32_t
least_loaded(const struct world *w, uint32_t home)
{
	uint32_t best = w->sites[home].peers_count;
	double least = load_of(w, home, best), load;

	for (uint32_t i = 0; i < w->sites[home].peers_count; i++) {
		load = load_of(w, home, i);
		if (load < least) {
			least = load;
			best = i;
		}
	}
	return best;
}

/* One of all, in proportion to capacity. */
static uint32_t
drawn(const struct world *w, uint32_t home)
{
	uint32_t peers = w->sites[home].peers_count;
	double total = 0, point;

	for (uint32_t i = 0; i <= peers; i++)
		total += capacity_of(w, home, i);
	point = random_unit(&w->sites[home].choices) * total;
	for (uint32_t i = 0; i < peers; i++) {
		double capacity = capacity_of(w, home, i);

		if (point < capacity)
			return i;
		point -= capacity;
	}
	return peers;
}

static uint32_t
better_of_two(const struct world *w, uint32_t home)
{
	uint32_t one = drawn(w, home), other = drawn(w, home);

	return load_of(w, home, other) < load_of(w, home, one) ? other : one;
}

static uint32_t
decide_wlad(struct world *w, uint32_t home, const struct ip *client, uint32_t *server)
{
	struct sim_site *site = &w->sites[home];
	struct allocation_decision decision;

	allocation_decide(site->allocation, 0, client, &site->choices, w->now, &decision);
	*server = decision.server;
	if (decision.where == ALLOCATION_SITE)
		return site->peers[decision.site];
	return decision.where == ALLOCATION_SERVER ? home : LOAD_NONE;
}

uint32_t
rules_decide(struct world *w, uint32_t home, uint32_t *server)
{
	struct sim_site *site = &w->sites[home];
	struct allocation_decision decision;
	uint32_t number = site->peers_count;
	struct ip client;

	ip_parse("192.0.2.1", &client);
	if (w->rule == RULE_WLAD || w->rule == RULE_ANY)
		return decide_wlad(w, home, &client, server);
	if (w->rule == RULE_LEAST)
		number = least_loaded(w, home);
	else if (w->rule == RULE_TWO)
		number = better_of_two(w, home);
	if (number < site->peers_count)
		return site->peers[number];
	allocation_decide_received(
	    site->allocation, 0, &client, &site->choices, w->now, &decision);
	*server = decision.server;
	return *server != LOAD_NONE ? home : LOAD_NONE;
}

const char *
sim_rule_name(enum sim_rule rule)
{
	static const char *const names[] = {"local", "least", "two", "any", "wlad"};

	return names[rule];
}
