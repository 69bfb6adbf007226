#include "allocation/sitechoice.h"

#include <string.h>

#include "base/clock.h"

#define GATE_RAMP        0.10 /* of load, from high_load to certainty */
#define LOAD_LIMIT       0.90 /* beyond this another site gets nothing from us */
#define MARGIN           0.10 /* it must be this much better than we are */
#define FRESH_INTERVALS  2.0
#define STALE_INTERVALS  5.0
#define SLOW_START       10.0 /* seconds from the first report to full weight */
#define SLOW_START_FLOOR 0.1
#define NEAR_HALF        0.1 /* a round-trip time that halves the weight, seconds */

static double
clamp01(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double
freshness(uint64_t received_at, double interval, uint64_t now)
{
	double age = now > received_at ? (double)(now - received_at) / CLOCK_SECOND : 0;
	double intervals = age / interval;

	return 1 - clamp01((intervals - FRESH_INTERVALS) / (STALE_INTERVALS - FRESH_INTERVALS));
}

static double
slow_start(uint64_t up_since, uint64_t now)
{
	double up = now > up_since ? (double)(now - up_since) / CLOCK_SECOND : 0;

	return SLOW_START_FLOOR + (1 - SLOW_START_FLOOR) * clamp01(up / SLOW_START);
}

/* What it reported, plus what we sent it since it counted. */
static double
present_load(const struct site_service *s, double capacity)
{
	double since = (double)s->transferred - (double)s->held_from_us;
	double load = s->load / 1000.0 + since / capacity;

	return load > 0 ? load : 0;
}

/* A site that cannot serve has nothing to compare with: whoever has room is better. */
static bool
not_better(const struct sitechoice *choice, double load)
{
	return !choice->forced && load >= choice->own_load - MARGIN;
}

static enum sitechoice_reason
judge(const struct sitechoice *choice, struct sitechoice_site *c, const struct site *site,
    const struct site_service *s, double interval, uint64_t now)
{
	if (!s->reported)
		return SITECHOICE_no_report;
	c->fresh =
	    freshness(s->received_at, site->interval > 0 ? site->interval : interval, now);
	c->slow_start = slow_start(site->up_since, now);
	c->near = NEAR_HALF / (NEAR_HALF + (site->path_rtt > 0 ? site->path_rtt : site->rtt));
	c->capacity = (double)s->transferable + s->active;
	if (!s->permitted)
		return SITECHOICE_prohibited;
	if (s->servers_up == 0 || c->capacity <= 0)
		return SITECHOICE_no_server;
	c->load = present_load(s, c->capacity);
	if (c->fresh <= 0)
		return SITECHOICE_stale;
	if (c->load >= LOAD_LIMIT)
		return SITECHOICE_full;
	if (not_better(choice, c->load))
		return SITECHOICE_not_better;
	c->weight = c->capacity * (LOAD_LIMIT - c->load) * c->fresh * c->slow_start * c->near;
	return SITECHOICE_candidate;
}

enum sitechoice_reason
sitechoice_site_reason(const struct site *site)
{
	if (site->disabled)
		return SITECHOICE_disabled;
	if (site->session != SITE_SESSION)
		return SITECHOICE_no_session;
	if (!site->keys)
		return SITECHOICE_no_keys;
	if (site->path == SITE_PATH_LOST)
		return SITECHOICE_path_lost;
	return site->path == SITE_PATH_ALIVE ? SITECHOICE_candidate : SITECHOICE_path_unknown;
}

static void
consider(struct sitechoice *choice, struct load_table *table, uint32_t number, uint32_t service,
    double interval, uint64_t now)
{
	const struct site *site = load_table_site(table, number);
	struct sitechoice_site *c = &choice->sites[choice->count++];

	*c = (struct sitechoice_site){.site = number, .site_service = LOAD_NONE};
	c->reason = sitechoice_site_reason(site);
	if (c->reason != SITECHOICE_candidate)
		return;
	c->site_service = load_table_site_service(table, number, service);
	if (c->site_service == LOAD_NONE) {
		c->reason = SITECHOICE_no_service;
		return;
	}
	c->reason = judge(choice, c, site, &site->services[c->site_service], interval, now);
	choice->total += c->weight;
}

void
sitechoice_evaluate(struct sitechoice *choice, struct load_table *table, uint32_t service,
    bool forced, double interval, uint64_t now)
{
	const struct service *own = load_table_service(table, service);

	choice->own_load = service_load(own);
	choice->own_up = own->up;
	choice->forced = forced || own->up == 0;
	choice->count = 0;
	choice->total = 0;
	if (choice->forced || own->prefer == CONFIG_PREFER_REMOTE)
		choice->gate = 1;
	else
		choice->gate = clamp01((choice->own_load - own->high_load) / GATE_RAMP);
	for (uint32_t i = 0; i < load_table_sites(table); i++) {
		if (load_table_site(table, i)->present && choice->count < SITECHOICE_MAX)
			consider(choice, table, i, service, interval, now);
	}
}

int
sitechoice_draw(const struct sitechoice *choice, struct random *random)
{
	double point;
	int last = -1;

	if (choice->gate <= 0 || choice->total <= 0)
		return -1;
	if (choice->gate < 1 && random_unit(random) >= choice->gate)
		return -1;
	point = random_unit(random) * choice->total;
	for (size_t i = 0; i < choice->count; i++) {
		if (choice->sites[i].weight <= 0)
			continue;
		last = (int)i;
		if (point < choice->sites[i].weight)
			return last;
		point -= choice->sites[i].weight;
	}
	return last; /* rounding left a crumb behind the last */
}

const char *
sitechoice_reason_text(enum sitechoice_reason reason)
{
	static const char *const texts[] = {
#define X(name, text) text,
	    SITECHOICE_REASONS(X)
#undef X
	};

	return texts[reason];
}
