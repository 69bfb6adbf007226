/*
 * table_quota: the rates of our services, and what each other site may send them.
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/table.h"
#include "load/table_internal.h"

#define BELIEVED     2.0 /* times the typical capacity */
#define PART_MORE    1.5 /* who has a need does not find all sites equally near */
#define GRANT_MEMORY 5.0 /* seconds until a site has heard that it may send less */
#define TOLERATED    2.0 /* times what was granted */
/* Seconds: chance is over by then; connections that last longer are still there. */
#define TAKEN_MEMORY  30.0
#define MEASURE_EVERY (CLOCK_SECOND / 4)
#define UNANSWERED_MEMORY \
	60.0 /* seconds after which a site is tried again as often as others */

/* The site's entry of a service that it may send us connections of now; NULL if it may not. */
static struct site_service *
sender(struct load_table *table, uint32_t number, uint32_t service)
{
	struct site *site = table->sites[number];
	uint32_t index = load_table_site_service(table, number, service);

	if (!site->present || site->session != SITE_SESSION || index == LOAD_NONE)
		return NULL;
	return &site->services[index];
}

/* Connections a second that it says it cannot serve itself. */
static double
need_of(const struct site_service *s, double limit)
{
	double capacity = (double)s->transferable + s->active;

	if (!s->reported)
		return 0;
	if (s->servers_up == 0)
		return s->new_per_second;
	if (s->mean_life <= 0)
		return 0;
	return quota_need(s->new_per_second, limit, capacity, s->mean_life);
}

/* What it may have left for others, as it says; of a capacity that is believed. */
static double
left_of(const struct site_service *s, double typical)
{
	double capacity = (double)s->transferable + s->active;

	if (!s->reported || !s->permitted || s->servers_up == 0 || s->mean_life <= 0)
		return 0;
	if (typical > 0 && capacity > BELIEVED * typical)
		capacity = BELIEVED * typical;
	return quota_left(s->new_per_second, capacity, s->mean_life);
}

/* The part of what the others need that is ours: each site that has something left sees the same
 * need, and if all were to grant all of it the small ones would take from the large. */
static double
our_part(struct load_table *table, uint32_t number)
{
	const struct service *own = table->services[number];
	double left = own->quota, part;

	for (uint32_t i = 0; i < table->sites_count && own->quota > 0; i++) {
		const struct site_service *s = sender(table, i, number);

		left += s != NULL ? left_of(s, own->typical_capacity) : 0;
	}
	part = left > 0 ? PART_MORE * own->quota / left : 0;
	return part < 1 ? part : 1;
}

/* What it has sent of late, or our part of what it needs, if that is more. */
static double
demand_of(const struct site_service *s, double limit, double part)
{
	double need = part * need_of(s, limit);

	return need > s->incoming.rate ? need : s->incoming.rate;
}

/* ---- what they send beyond that ---- */

/* New connections a second; some more than nothing, as a sender's bucket has. */
static double
tolerated(const struct site_service *s)
{
	return TOLERATED * fmax(s->granted, s->lately) + 1;
}

void
table_quota_received(struct site_service *s, uint64_t now)
{
	quota_take(&s->arrivals, tolerated(s), 0, now);
	if (s->arrivals.tokens < 0)
		s->arrivals.tokens = 0; /* taken while there was room: no debt */
}

bool
load_table_may_receive(
    const struct load_table *table, uint32_t site, uint32_t service, uint64_t now)
{
	const struct service *own = table->services[service];
	uint32_t index = load_table_site_service(table, site, service);
	const struct site_service *s;

	/* while there is room it does no harm, and without servers there is nothing to protect */
	if (index == LOAD_NONE || own->up == 0 || service_load(own) < own->high_load)
		return true;
	s = &table->sites[site]->services[index];
	return quota_tokens(&s->arrivals, tolerated(s), 0, now) >= 1;
}

/* ---- measuring ---- */

static void
measure_incoming(struct load_table *table, double seconds)
{
	double forget = exp(-seconds / UNANSWERED_MEMORY), keep = exp(-seconds / GRANT_MEMORY);

	for (uint32_t i = 0; i < table->sites_count; i++) {
		struct site *site = table->sites[i];

		for (size_t k = 0; k < site->services_count; k++) {
			struct site_service *s = &site->services[k];

			quota_rate(&s->incoming, s->received_total, seconds);
			s->unanswered *= forget;
			s->lately = fmax(s->granted, s->lately * keep);
		}
	}
}

/* What all others together may send us: what we can serve, or pass on. */
static double
whole_quota(const struct load_table *table, uint32_t number)
{
	const struct service *service = table->services[number];
	struct load_passable passable;

	if (!service->transfer_permitted)
		return 0;
	if (service->up > 0)
		return quota_total(service->capacity, service->loaded, &service->meter);
	return load_table_passable(table, number, LOAD_NONE, &passable) ? passable.rate : 0;
}

static void
share_out(struct load_table *table, uint32_t number)
{
	struct service *service = table->services[number];
	size_t count = 0;
	double part;

	service->quota = whole_quota(table, number);
	part = our_part(table, number);
	for (uint32_t i = 0; i < table->sites_count; i++) {
		const struct site_service *s = sender(table, i, number);

		if (s != NULL)
			table->scratch[count++] = demand_of(s, service->high_load, part);
	}
	quota_share(service->quota, table->scratch, count);
	count = 0;
	for (uint32_t i = 0; i < table->sites_count; i++) {
		struct site_service *s = sender(table, i, number);

		if (s != NULL)
			s->granted = table->scratch[count++];
	}
}

/* Nobody may send us what is not granted anew. */
static void
grant_nothing(struct load_table *table)
{
	for (uint32_t i = 0; i < table->sites_count; i++) {
		struct site *site = table->sites[i];

		for (size_t k = 0; k < site->services_count; k++)
			site->services[k].granted = 0;
	}
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
typical_capacity(struct load_table *table, uint32_t number)
{
	const struct service *own = table->services[number];
	size_t count = 0;

	if (own->capacity > 0)
		table->scratch[count++] = (double)own->capacity;
	for (uint32_t i = 0; i < table->sites_count; i++) {
		const struct site_service *s = sender(table, i, number);
		double capacity = s != NULL ? (double)s->transferable + s->active : 0;

		if (s != NULL && s->reported && s->permitted && capacity > 0)
			table->scratch[count++] = capacity;
	}
	if (count == 0)
		return 0;
	qsort(table->scratch, count, sizeof(table->scratch[0]), by_size);
	return table->scratch[(count - 1) / 2];
}

/*
 * How long connections last where they have been seen: the shortest that a site says which may
 * send us some.  Without that a site that has served nobody yet would have to find out first,
 * just when another one has failed.
 */
static double
life_elsewhere(struct load_table *table, uint32_t number)
{
	double shortest = 0;

	for (uint32_t i = 0; i < table->sites_count; i++) {
		const struct site_service *s = sender(table, i, number);

		if (s != NULL && s->reported && s->mean_life > 0 &&
		    (shortest == 0 || s->mean_life < shortest))
			shortest = s->mean_life;
	}
	return shortest;
}

static void
measure_service(struct load_table *table, uint32_t number, double seconds, uint64_t now)
{
	struct service *s = table->services[number];
	uint64_t own = s->total > s->received_total ? s->total - s->received_total : 0;
	struct quota_totals totals = {.own = own,
	    .offered = own + s->transferred_total + s->refused,
	    .opened = s->total,
	    .closed = s->closed};

	s->taken = fmax((double)s->received, s->taken * exp(-seconds / TAKEN_MEMORY));
	s->meter.prior = life_elsewhere(table, number);
	quota_measure(&s->meter, &totals, now);
}

static void
measure(struct load_table *table, uint64_t now)
{
	double seconds =
	    table->measured_at != 0 ? (double)(now - table->measured_at) / CLOCK_SECOND : 0;

	measure_incoming(table, seconds);
	for (uint32_t i = 0; i < table->services_count; i++)
		measure_service(table, i, seconds, now);
	table->measured_at = now;
}

/* Rates need some time to be measured in; what follows from them is granted anew when they are,
 * and when servers, permission or sites have changed. */
void
load_table_measure(struct load_table *table, uint64_t now)
{
	bool due = table->measured_at == 0 || now >= table->measured_at + MEASURE_EVERY;

	if (!due && !table->grants_stale)
		return;
	if (table->scratch_count < table->sites_count + 1) {
		table->scratch_count = table->sites_count + 1;
		table->scratch = xrealloc_array(
		    table->scratch, table->scratch_count, sizeof(table->scratch[0]));
	}
	if (due)
		measure(table, now);
	grant_nothing(table);
	for (uint32_t i = 0; i < table->services_count; i++) {
		share_out(table, i);
		table->services[i]->typical_capacity = typical_capacity(table, i);
	}
	table->grants_stale = false;
}
