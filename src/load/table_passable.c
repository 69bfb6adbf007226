/*
 * table_passable: what a site without servers of its own can pass on to sites behind it (Fig. 21): it
 * reports that in place of its own.
 *
 * Two such sites must not take each other's word for room: so of the receiver of a report nothing
 * is counted, and each report says how many transfers away the servers are that it speaks of; one that
 * speaks of servers too far away for transfer.max_transfers is not counted.  What is said of a
 * distance rests on what is said of smaller ones alone, and in the end on sites with servers.
 */
#include "base/clock.h"
#include "load/table.h"
#include "load/table_internal.h"

#define STALE_INTERVALS  5.0 /* as in the choice of a site */
#define INTERVAL_DEFAULT 1.0

static bool
is_fresh(const struct load_table *table, const struct site *site, const struct site_service *s)
{
	double interval = site->interval > 0 ? site->interval : INTERVAL_DEFAULT;
	uint64_t now = table->measured_at;
	double age = now > s->received_at ? (double)(now - s->received_at) / CLOCK_SECOND : 0;

	return age < STALE_INTERVALS * interval;
}

/* The site's entry of a service of which connections can be passed on to it; NULL if none can. */
static const struct site_service *
next_hop(const struct load_table *table, uint32_t number, uint32_t service)
{
	const struct site *site = table->sites[number];
	uint32_t index = load_table_site_service(table, number, service);
	const struct site_service *s;

	if (!site->present || site->disabled || site->coordinator || !site->keys ||
	    site->session != SITE_SESSION || site->path == SITE_PATH_LOST || index == LOAD_NONE)
		return NULL;
	s = &site->services[index];
	if (!s->reported || !s->permitted || s->servers_up == 0 || !is_fresh(table, site, s) ||
	    s->distance + 2u > table->max_transfers)
		return NULL;
	return s;
}

static void
add(struct load_passable *sum, const struct site_service *s)
{
	double capacity = (double)s->transferable + s->active;

	sum->servers_up += s->servers_up;
	sum->servers_not_high += s->servers_not_high;
	sum->transferable += s->transferable;
	sum->active += s->active;
	sum->capacity += capacity;
	sum->load += capacity * s->load;
	sum->rate += s->limited ? s->quota : capacity;
	if (sum->mean_life == 0 || (s->mean_life > 0 && s->mean_life < sum->mean_life))
		sum->mean_life = s->mean_life;
	if (sum->distance < s->distance + 1u)
		sum->distance = (uint8_t)(s->distance + 1u);
}

bool
load_table_passable(const struct load_table *table, uint32_t service, uint32_t receiver,
    struct load_passable *sum)
{
	const struct service *own = table->services[service];

	*sum = (struct load_passable){.distance = 0};
	if (own->up > 0 || !own->transfer_permitted || table->max_transfers < 2)
		return false;
	for (uint32_t i = 0; i < table->sites_count; i++) {
		const struct site_service *s = i != receiver ? next_hop(table, i, service) : NULL;

		if (s != NULL)
			add(sum, s);
	}
	if (sum->capacity > 0)
		sum->load /= sum->capacity;
	return sum->distance > 0;
}
