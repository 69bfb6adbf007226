#include "allocation/sitechoice.h"

#include "base/clock.h"

#define GATE_RAMP        0.10 /* of load, from high_load to certainty */
#define TAKEN_MOST       0.12 /* of load: so much later at most the gate opens for it */
#define LOAD_LIMIT       0.90 /* beyond this another site gets nothing from us */
#define MARGIN           0.10 /* it must be this much better than we are */
#define FRESH_INTERVALS  2.0
#define STALE_INTERVALS  5.0
#define SLOW_START       10.0 /* seconds from the first report to full weight */
#define SLOW_START_FLOOR 0.1
#define NEAR_HALF        0.1  /* a round-trip time that halves the weight, seconds */
#define ANSWERS_FLOOR    0.01 /* who answers nobody gets one now and then: it may recover */
#define BELIEVED         2.0  /* times the typical or the proved capacity */
#define ENOUGH           8    /* candidates: no more introductions are sought */
#define FILL_LONGEST     1.0 /* seconds; a site cannot grant more than to be filled in the life */
#define FILL_SHORTEST    0.01 /* of a connection, taken between these */

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

/* ---- what is believed ---- */

/* Connections of ours that it has, as far as it answers. */
static double
proved(const struct site_service *s)
{
	return (double)s->transferred * (1 - s->unanswered);
}

static double
believed_capacity(const struct sitechoice *choice, const struct site_service *s, double claimed)
{
	double most = BELIEVED * choice->typical_capacity;

	if (choice->typical_capacity <= 0)
		return claimed;
	if (most < BELIEVED * proved(s))
		most = BELIEVED * proved(s);
	return claimed < most ? claimed : most;
}

/* What it reported, plus what we sent it since it counted; but no less than what we have there. */
static double
present_load(const struct site_service *s, double capacity)
{
	double since = (double)s->transferred - (double)s->held_from_us;
	double load = s->load / 1000.0 + since / capacity;
	double least = (double)s->transferred / capacity;

	return load > least ? load : least;
}

/* Steep: one that leaves a third unanswered is worth a fifth. */
static double
answers(const struct site_service *s)
{
	double square = (1 - s->unanswered) * (1 - s->unanswered);

	return square * square > ANSWERS_FLOOR ? square * square : ANSWERS_FLOOR;
}

/* ---- the measures of load ---- */

static double
share_high(uint32_t up, uint32_t not_high)
{
	return up > 0 && not_high < up ? 1 - (double)not_high / up : up > 0 ? 0 : 1;
}

static double
own_load(const struct service *own)
{
	if (own->site_metric == CONFIG_METRIC_SERVERS)
		return share_high(own->up, own->not_high);
	return service_load(own);
}

static double
load_of(enum config_site_metric metric, const struct site_service *s, double capacity)
{
	switch (metric) {
	case CONFIG_METRIC_SERVERS:
		return share_high(s->servers_up, s->servers_not_high);
	case CONFIG_METRIC_PERMISSION:
		return 0;
	case CONFIG_METRIC_LOAD:
		return s->load / 1000.0;
	case CONFIG_METRIC_HEADROOM:
	case CONFIG_METRIC_CONNECTIONS:
	default:
		return present_load(s, capacity);
	}
}

/* Room of a site with that load, of which so many connections are active. */
static double
room_of(enum config_site_metric metric, double capacity, double load)
{
	double below = load < LOAD_LIMIT ? LOAD_LIMIT - load : 0;

	switch (metric) {
	case CONFIG_METRIC_SERVERS:
	case CONFIG_METRIC_LOAD:
		return below;
	case CONFIG_METRIC_PERMISSION:
		return 1;
	case CONFIG_METRIC_CONNECTIONS:
		return below > 0 ? capacity * (1 - load) : 0;
	case CONFIG_METRIC_HEADROOM:
	default:
		return capacity * below;
	}
}

/* ---- the sites ---- */

/* A site that cannot serve has nothing to compare with: whoever has room is better. */
static bool
not_better(const struct sitechoice *choice, double load)
{
	return !choice->forced && choice->prefer != CONFIG_PREFER_ANY &&
	    choice->metric != CONFIG_METRIC_PERMISSION && load >= choice->own_load - MARGIN;
}

static void
count_tokens(struct sitechoice_site *c, const struct site_service *s, uint64_t now)
{
	double life =
	    s->mean_life > 0 && s->mean_life < FILL_LONGEST ? s->mean_life : FILL_LONGEST;
	double most = c->capacity / (life > FILL_SHORTEST ? life : FILL_SHORTEST);

	c->limited = s->limited;
	c->rate = s->quota < most ? s->quota : most;
	c->life = s->mean_life;
	c->tokens = c->limited ? quota_tokens(&s->tokens, c->rate, c->life, now) : 0;
}

static enum sitechoice_reason
judge_load(const struct sitechoice *choice, struct sitechoice_site *c)
{
	double weight;

	if (c->load >= LOAD_LIMIT)
		return SITECHOICE_full;
	if (not_better(choice, c->load))
		return SITECHOICE_not_better;
	weight = room_of(choice->metric, c->capacity, c->load) * c->fresh * c->slow_start *
	    c->near * c->answers;
	if (c->limited && c->tokens < 1) {
		c->beyond = weight;
		return SITECHOICE_no_token;
	}
	c->weight = weight;
	return SITECHOICE_candidate;
}

static enum sitechoice_reason
judge(const struct sitechoice *choice, struct sitechoice_site *c, const struct site *site,
    const struct site_service *s, double interval, uint64_t now)
{
	if (!s->reported)
		return SITECHOICE_no_report;
	c->fresh = freshness(s->received_at, site->interval > 0 ? site->interval : interval, now);
	c->slow_start = slow_start(site->up_since, now);
	c->near = NEAR_HALF / (NEAR_HALF + (site->path_rtt > 0 ? site->path_rtt : site->rtt));
	c->answers = answers(s);
	c->claimed = (double)s->transferable + s->active;
	if (!s->permitted)
		return SITECHOICE_prohibited;
	if (s->servers_up == 0 || c->claimed <= 0)
		return SITECHOICE_no_server;
	c->capacity = believed_capacity(choice, s, c->claimed);
	c->load = load_of(choice->metric, s, c->capacity);
	count_tokens(c, s, now);
	return c->fresh <= 0 ? SITECHOICE_stale : judge_load(choice, c);
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

/* A connection is never passed back to where it has been. */
static bool
is_visited(const struct sitechoice *choice, uint32_t number)
{
	for (size_t i = 0; i < choice->visited_count; i++)
		if (choice->visited[i] == number)
			return true;
	return false;
}

/* What an introduced site would be worth: keys are agreed when they are needed. */
static double
would_weigh(const struct sitechoice *choice, struct load_table *table, uint32_t number,
    uint32_t service, double interval, uint64_t now)
{
	const struct site *site = load_table_site(table, number);
	struct sitechoice_site c = {.site = number};
	uint32_t index = load_table_site_service(table, number, service);

	if (!site->introduced || site->disabled || site->path == SITE_PATH_LOST ||
	    is_visited(choice, number) || index == LOAD_NONE)
		return 0;
	if (judge(choice, &c, site, &site->services[index], interval, now) != SITECHOICE_candidate)
		return 0;
	return c.weight;
}

static void
consider(struct sitechoice *choice, struct load_table *table, uint32_t number, uint32_t service,
    double interval, uint64_t now)
{
	const struct site *site = load_table_site(table, number);
	struct sitechoice_site *c = &choice->sites[choice->count++];

	*c = (struct sitechoice_site){.site = number, .site_service = LOAD_NONE};
	c->reason =
	    is_visited(choice, number) ? SITECHOICE_visited : sitechoice_site_reason(site);
	if (choice->seek &&
	    (c->reason == SITECHOICE_no_session || c->reason == SITECHOICE_no_keys))
		c->would = would_weigh(choice, table, number, service, interval, now);
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

/*
 * Who takes connections in from others sends own ones away only later: else a site near the limit
 * does both in turns.  And so does who took some of late: those end in seconds, and what is above
 * the limit by chance then is below it again a moment later.
 */
static double
taken_in(const struct service *own)
{
	double share = own->capacity > 0 ? own->taken / (double)own->capacity : 0;

	return share < TAKEN_MOST ? share : TAKEN_MOST;
}

static double
gate_of(const struct service *own, double load)
{
	if (own->prefer != CONFIG_PREFER_LOCAL)
		return 1;
	return clamp01((load - taken_in(own) - own->high_load) / GATE_RAMP);
}

/* What is to be known of the own site. */
static void
begin(struct sitechoice *choice, const struct service *own, bool forced)
{
	choice->metric = own->site_metric;
	choice->prefer = own->prefer;
	choice->own_load = own_load(own);
	choice->own_up = own->up;
	choice->forced = forced || own->up == 0;
	choice->typical_capacity = own->typical_capacity;
	choice->gate = choice->forced ? 1 : gate_of(own, choice->own_load);
	choice->own_weight = 0;
	if (!choice->forced && own->prefer == CONFIG_PREFER_ANY)
		choice->own_weight =
		    room_of(own->site_metric, (double)own->capacity, choice->own_load);
	choice->count = 0;
	choice->total = 0;
}

static bool
is_site(const struct site *site)
{
	return site->present && !site->coordinator;
}

/*
 * Nobody at home can serve, and what the others grant is used up.  A grant follows lives and
 * needs of half a minute, and here is a client that would be refused for it: better one of those that
 * have room as far as we know.  One that has none refuses by itself.
 */
static void
go_beyond(struct sitechoice *choice)
{
	for (size_t i = 0; i < choice->count; i++) {
		struct sitechoice_site *c = &choice->sites[i];

		if (c->reason != SITECHOICE_no_token)
			continue;
		c->reason = SITECHOICE_candidate;
		c->weight = c->beyond;
		choice->total += c->weight;
	}
}

void
sitechoice_evaluate(struct sitechoice *choice, struct load_table *table, uint32_t service,
    bool forced, double interval, uint64_t now)
{
	begin(choice, load_table_service(table, service), forced);
	for (uint32_t i = 0; i < load_table_sites(table); i++) {
		if (is_site(load_table_site(table, i)) && choice->count < SITECHOICE_MAX)
			consider(choice, table, i, service, interval, now);
	}
	if (choice->forced && choice->total <= 0)
		go_beyond(choice);
}

int
sitechoice_evaluate_site(struct sitechoice *choice, struct load_table *table, uint32_t service,
    uint32_t site, double interval, uint64_t now)
{
	const struct site *s = load_table_site(table, site);

	begin(choice, load_table_service(table, service), true);
	if (s == NULL || !is_site(s))
		return -1;
	choice->seek = false;
	consider(choice, table, site, service, interval, now);
	return choice->sites[0].weight > 0 ? 0 : -1;
}

bool
sitechoice_stays(const struct service *own)
{
	return own->up > 0 && gate_of(own, own_load(own)) <= 0;
}

double
sitechoice_leaves(const struct sitechoice *choice)
{
	if (choice->total <= 0)
		return 0;
	return choice->gate * choice->total / (choice->total + choice->own_weight);
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
	point = random_unit(random) * (choice->total + choice->own_weight) - choice->own_weight;
	if (point < 0)
		return -1;
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

uint32_t
sitechoice_wanted(const struct sitechoice *choice, struct random *random)
{
	uint32_t last = LOAD_NONE;
	double total = 0, point;
	size_t candidates = 0;

	for (size_t i = 0; i < choice->count; i++) {
		total += choice->sites[i].would;
		candidates += choice->sites[i].weight > 0;
	}
	if (choice->gate <= 0 || total <= 0 || candidates >= ENOUGH)
		return LOAD_NONE;
	point = random_unit(random) * total;
	for (size_t i = 0; i < choice->count && point >= 0; i++) {
		if (choice->sites[i].would <= 0)
			continue;
		last = choice->sites[i].site;
		point -= choice->sites[i].would;
	}
	return last;
}

void
sitechoice_take(const struct sitechoice *choice, int drawn, struct load_table *table, uint64_t now)
{
	const struct sitechoice_site *c = &choice->sites[drawn];
	struct site *site = load_table_site(table, c->site);

	if (c->limited && c->tokens >= 1)
		quota_take(&site->services[c->site_service].tokens, c->rate, c->life, now);
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
