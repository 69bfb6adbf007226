#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "allocation/allocation.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "fixture.h"

static const char two_peers[] =
    "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\"; protocol = \"tcp\";"
    " ports = [ 80 ]; servers: ( { name = \"a\"; address = \"10.0.0.1\"; max_connections = "
    "100; } ); } );" FIXTURE_PEER_KEYS
    "peers: ( { site = \"y\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; },"
    " { site = \"z\"; load = \"192.0.2.3:7210\"; transfer = \"192.0.2.3:7210\"; } );";

#define NOW (1000 * CLOCK_SECOND)

struct state {
	struct load_table *table;
	struct sitechoice choice;
	struct random random;
};

/* A site that is up since long, has just reported, and is a quarter loaded. */
static void
make_ready(struct load_table *table, uint32_t number)
{
	struct site_service *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup("web");
	s->protocol = IPPROTO_TCP;
	s->reported = true;
	s->servers_up = s->servers_not_high = 2;
	s->transferable = 150;
	s->active = 50;
	s->load = 250;
	s->permitted = true;
	s->received_at = NOW;
	load_table_site_session(table, number, SITE_SESSION, CLOCK_SECOND);
	load_table_site_keys(table, number, true, CLOCK_SECOND);
	load_table_site_set_path(table, number, SITE_PATH_ALIVE, CLOCK_SECOND);
	load_table_site_services(table, number, s, 1);
}

static int
setup(void **arg)
{
	struct state *s = test_calloc(1, sizeof(*s));

	s->table = fixture_table(two_peers);
	fixture_all_up(s->table);
	make_ready(s->table, 0);
	make_ready(s->table, 1);
	random_init(&s->random, 1);
	*arg = s;
	return 0;
}

static int
teardown(void **arg)
{
	struct state *s = *arg;

	load_table_free(s->table);
	test_free(s);
	return 0;
}

static void
own_active(struct state *s, unsigned active)
{
	while (load_table_server(s->table, 0)->active < active)
		load_table_server_opened(s->table, 0);
}

static void
evaluate(struct state *s)
{
	sitechoice_evaluate(&s->choice, s->table, 0, false, 1.0, NOW);
}

static struct site_service *
report_of(struct state *s, uint32_t site)
{
	return &load_table_site(s->table, site)->services[0];
}

static void
test_gate_is_a_ramp(void **arg)
{
	static const struct {
		unsigned active;
		double gate;
	} cases[] = {{0, 0}, {74, 0}, {75, 0}, {80, 0.5}, {84, 0.9}, {85, 1}, {100, 1}};
	struct state *s = *arg;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		own_active(s, cases[i].active);
		evaluate(s);
		assert_true(fabs(s->choice.gate - cases[i].gate) < 1e-9);
	}
}

/* Connections of other sites put the gate off, by 0.12 of the capacity at most. */
static void
test_gate_of_who_takes_in(void **arg)
{
	static const struct {
		unsigned active;
		double taken, gate;
	} cases[] = {{80, 0, 0.5}, {80, 2, 0.3}, {80, 5, 0}, {80, 40, 0}, {90, 5, 1},
	    {90, 8, 0.7}, {90, 10, 0.5}, {90, 12, 0.3}, {90, 90, 0.3}, {95, 95, 0.8},
	    {98, 95, 1}};
	struct state *s = *arg;
	struct service *own = load_table_service(s->table, 0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		own_active(s, cases[i].active);
		own->taken = cases[i].taken;
		evaluate(s);
		assert_true(fabs(s->choice.gate - cases[i].gate) < 1e-9);
		assert_true(sitechoice_stays(own) == (cases[i].gate <= 0));
	}
	/* a service without a place: none is up, all may leave */
	load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", NOW);
	evaluate(s);
	assert_true(s->choice.gate == 1);
}

/* The gate, and whether nothing need be evaluated, agree. */
static double
gate_now(struct state *s)
{
	evaluate(s);
	assert_true(sitechoice_stays(load_table_service(s->table, 0)) == (s->choice.gate <= 0));
	return s->choice.gate;
}

/*
 * A site that takes connections in and is above its limit by chance: in seconds they are over, and
 * it must not send own ones away for that, only to take others in a moment later.
 */
static void
test_who_took_of_late_sends_later(void **arg)
{
	struct state *s = *arg;

	own_active(s, 83);
	assert_true(fabs(gate_now(s) - 0.8) < 1e-9);
	load_table_measure(s->table, NOW);
	for (unsigned i = 0; i < 6; i++)
		load_table_received_opened(s->table, 0, 0, NOW);
	assert_true(fabs(gate_now(s) - 0.2) < 1e-9);
	for (unsigned i = 0; i < 6; i++)
		load_table_received_closed(s->table, 0, 0);
	assert_int_equal(load_table_service(s->table, 0)->received, 0);
	assert_true(fabs(gate_now(s) - 0.2) < 1e-9);
	/* forgotten by degrees */
	load_table_measure(s->table, NOW + 30 * CLOCK_SECOND);
	assert_true(fabs(gate_now(s) - (0.8 - 0.6 / M_E)) < 1e-9);
	/* what it has is not */
	load_table_received_opened(s->table, 0, 0, NOW + 31 * CLOCK_SECOND);
	load_table_measure(s->table, NOW + 3600 * CLOCK_SECOND);
	assert_true(fabs(gate_now(s) - 0.7) < 1e-9);
	load_table_received_closed(s->table, 0, 0);
	load_table_measure(s->table, NOW + 7200 * CLOCK_SECOND);
	assert_true(fabs(gate_now(s) - 0.8) < 1e-9);
}

/* It is a memory of load, not a rule against sending: who must send does at once. */
static void
test_who_took_of_late_sends_when_it_must(void **arg)
{
	struct state *s = *arg;

	load_table_service(s->table, 0)->taken = 100;
	own_active(s, 88);
	assert_true(fabs(gate_now(s) - 0.1) < 1e-9);
	own_active(s, 98);
	assert_true(gate_now(s) == 1);
	load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", NOW);
	assert_true(gate_now(s) == 1);
}

static void
test_gate_open_without_own_server(void **arg)
{
	struct state *s = *arg;

	load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", NOW);
	evaluate(s);
	assert_true(s->choice.gate == 1);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_candidate);
	assert_true(sitechoice_draw(&s->choice, &s->random) >= 0);
}

/* capacity 200, load 0.25, fresh, long up, rtt 0: 200 * 0.65 */
static void
test_weight(void **arg)
{
	struct state *s = *arg;

	own_active(s, 90);
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].weight - 130) < 1e-6);
	load_table_site(s->table, 0)->rtt = 0.1;
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].weight - 65) < 1e-6);
	/* the way that the packets take counts, if it is known */
	load_table_site(s->table, 0)->path_rtt = 0.3;
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].weight - 32.5) < 1e-6);
}

/* Who reports every ten seconds is not late after five, whatever our own interval. */
static void
test_age_in_the_sites_own_intervals(void **arg)
{
	static const struct {
		double interval;
		unsigned age;
		double fresh;
	} cases[] = {{10, 5, 1}, {10, 20, 1}, {10, 35, 0.5}, {10, 50, 0}, {0.5, 1, 1},
	    {0.5, 2, 1.0 / 3}, {0.5, 3, 0}, {0, 2, 1}, {0, 4, 1.0 / 3}, {0, 5, 0}};
	struct state *s = *arg;

	own_active(s, 90);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		load_table_site(s->table, 0)->interval = cases[i].interval;
		report_of(s, 0)->received_at = NOW - cases[i].age * CLOCK_SECOND;
		evaluate(s);
		assert_true(fabs(s->choice.sites[0].fresh - cases[i].fresh) < 1e-9);
	}
}

static void
test_own_transfers_since_the_report_count(void **arg)
{
	struct state *s = *arg;

	own_active(s, 90);
	report_of(s, 0)->transferred = 60;
	report_of(s, 0)->held_from_us = 20;
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].load - (0.25 + 40 / 200.0)) < 1e-9);
	/* and those that ended since are subtracted */
	report_of(s, 0)->transferred = 0;
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].load - (0.25 - 20 / 200.0)) < 1e-9);
}

static void
test_reasons(void **arg)
{
	struct state *s = *arg;
	struct site *y = load_table_site(s->table, 0);
	struct site_service *r = report_of(s, 0);

#define EXPECT(name) \
	do { \
		evaluate(s); \
		assert_int_equal(s->choice.sites[0].reason, SITECHOICE_##name); \
		assert_true((s->choice.sites[0].weight > 0) == \
		    (SITECHOICE_##name == SITECHOICE_candidate)); \
		assert_non_null(sitechoice_reason_text(s->choice.sites[0].reason)); \
	} while (0)

	own_active(s, 90);
	EXPECT(candidate);
	r->permitted = false;
	EXPECT(prohibited);
	r->permitted = true;
	r->servers_up = 0;
	EXPECT(no_server);
	r->servers_up = 2;
	r->load = 900;
	EXPECT(full);
	r->load = 801; /* own: 0.90 */
	EXPECT(not_better);
	r->load = 799;
	EXPECT(candidate);
	r->received_at = NOW - 5 * CLOCK_SECOND;
	EXPECT(stale);
	r->received_at = NOW - 4 * CLOCK_SECOND;
	EXPECT(candidate);
	assert_true(fabs(s->choice.sites[0].fresh - 1.0 / 3) < 1e-9);
	r->received_at = NOW - 2 * CLOCK_SECOND;
	EXPECT(candidate);
	assert_true(s->choice.sites[0].fresh == 1);
	r->reported = false;
	EXPECT(no_report);
	r->reported = true;
	y->keys = false;
	EXPECT(no_keys);
	y->keys = true;
	y->session = SITE_CONNECTING;
	EXPECT(no_session);
	y->session = SITE_SESSION;
	y->path = SITE_PATH_LOST;
	EXPECT(path_lost);
	y->path = SITE_PATH_UNKNOWN;
	EXPECT(path_unknown);
	y->path = SITE_PATH_ALIVE;
	y->disabled = true;
	EXPECT(disabled);
	y->disabled = false;
	EXPECT(candidate);
	y->by_local[0] = LOAD_NONE;
	EXPECT(no_service);
#undef EXPECT
}

static void
test_slow_start(void **arg)
{
	struct state *s = *arg;

	own_active(s, 90);
	load_table_site(s->table, 0)->up_since = NOW;
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].slow_start - 0.1) < 1e-9);
	load_table_site(s->table, 0)->up_since = NOW - 5 * CLOCK_SECOND;
	evaluate(s);
	assert_true(fabs(s->choice.sites[0].slow_start - 0.55) < 1e-9);
}

/* What the measures make of the same sites: the own one with four servers of 100, three of them highly
 * loaded, and another. */
static void
test_metrics(void **arg)
{
	static const struct {
		enum config_site_metric metric;
		uint32_t up, not_high, transferable, active;
		uint16_t load;
		double own_load, load_seen, weight;
		enum sitechoice_reason reason;
	} cases[] = {
	    {CONFIG_METRIC_HEADROOM, 4, 2, 150, 50, 250, 0.8, 0.25, 130, SITECHOICE_candidate},
	    {CONFIG_METRIC_HEADROOM, 4, 2, 50, 150, 710, 0.8, 0.71, 0, SITECHOICE_not_better},
	    {CONFIG_METRIC_HEADROOM, 4, 0, 50, 150, 690, 0.8, 0.69, 42, SITECHOICE_candidate},
	    {CONFIG_METRIC_SERVERS, 4, 3, 50, 150, 990, 0.75, 0.25, 0.65, SITECHOICE_candidate},
	    {CONFIG_METRIC_SERVERS, 400, 300, 5, 1, 0, 0.75, 0.25, 0.65, SITECHOICE_candidate},
	    {CONFIG_METRIC_SERVERS, 4, 1, 150, 50, 0, 0.75, 0.75, 0, SITECHOICE_not_better},
	    {CONFIG_METRIC_SERVERS, 4, 0, 150, 50, 0, 0.75, 1, 0, SITECHOICE_full},
	    {CONFIG_METRIC_SERVERS, 4, 7, 150, 50, 0, 0.75, 0, 0.9, SITECHOICE_candidate},
	    {CONFIG_METRIC_CONNECTIONS, 4, 0, 150, 50, 250, 0.8, 0.25, 150, SITECHOICE_candidate},
	    {CONFIG_METRIC_CONNECTIONS, 4, 0, 18, 182, 910, 0.8, 0.91, 0, SITECHOICE_full},
	    {CONFIG_METRIC_PERMISSION, 4, 0, 0, 200, 1000, 0.8, 0, 1, SITECHOICE_candidate},
	    {CONFIG_METRIC_PERMISSION, 0, 0, 0, 200, 1000, 0.8, 0, 0, SITECHOICE_no_server},
	    {CONFIG_METRIC_LOAD, 4, 0, 1, 5000, 400, 0.8, 0.4, 0.5, SITECHOICE_candidate},
	    {CONFIG_METRIC_LOAD, 4, 4, 5000, 1, 710, 0.8, 0.71, 0, SITECHOICE_not_better},
	    {CONFIG_METRIC_LOAD, 4, 4, 5000, 1, 900, 0.8, 0.9, 0, SITECHOICE_full},
	};
	struct state *s = *arg;
	struct service *own = load_table_service(s->table, 0);
	struct site_service *r = report_of(s, 0);

	own_active(s, 80);
	own->up = 4; /* as if there were four */
	own->not_high = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		own->site_metric = cases[i].metric;
		r->servers_up = cases[i].up;
		r->servers_not_high = cases[i].not_high;
		r->transferable = cases[i].transferable;
		r->active = cases[i].active;
		r->load = cases[i].load;
		evaluate(s);
		assert_true(fabs(s->choice.own_load - cases[i].own_load) < 1e-9);
		assert_int_equal(s->choice.sites[0].reason, cases[i].reason);
		assert_true(fabs(s->choice.sites[0].load - cases[i].load_seen) < 1e-9);
		assert_true(fabs(s->choice.sites[0].weight - cases[i].weight) < 1e-6);
	}
}

/* By servers the gate opens when nearly all of them are highly loaded, whatever the connections. */
static void
test_gate_by_servers(void **arg)
{
	static const struct {
		uint32_t up, not_high;
		double gate;
		bool stays;
	} cases[] = {{4, 4, 0, true}, {4, 1, 0, true}, {5, 1, 0.5, false}, {4, 0, 1, false},
	    {100, 16, 0.9, false}, {0, 0, 1, false}};
	struct state *s = *arg;
	struct service *own = load_table_service(s->table, 0);

	own->site_metric = CONFIG_METRIC_SERVERS;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		own->up = cases[i].up;
		own->not_high = cases[i].not_high;
		evaluate(s);
		assert_true(fabs(s->choice.gate - cases[i].gate) < 1e-9);
		assert_true(sitechoice_stays(own) == cases[i].stays);
	}
}

/* prefer = "any": the own site is one of them, a far one loses by its distance. */
static void
test_prefer_any(void **arg)
{
	struct state *s = *arg;
	struct service *own = load_table_service(s->table, 0);
	unsigned stayed = 0;

	own->prefer = CONFIG_PREFER_ANY;
	assert_false(sitechoice_stays(own));
	load_table_site(s->table, 0)->rtt = 0.1; /* y: 65, z: 130, here: 100 * 0.65 */
	own_active(s, 25);
	evaluate(s);
	assert_true(s->choice.gate == 1);
	assert_true(fabs(s->choice.own_weight - 65) < 1e-6);
	assert_true(fabs(s->choice.total - 195) < 1e-6);
	assert_true(fabs(sitechoice_leaves(&s->choice) - 0.75) < 1e-6);
	for (int i = 0; i < 100000; i++)
		stayed += sitechoice_draw(&s->choice, &s->random) == -1;
	assert_in_range(stayed, 24500, 25500);
	/* as loaded as we are is good enough */
	report_of(s, 0)->load = 250;
	report_of(s, 1)->load = 890;
	evaluate(s);
	assert_int_equal(s->choice.sites[1].reason, SITECHOICE_candidate);
	/* all full: home */
	own_active(s, 95);
	report_of(s, 0)->load = report_of(s, 1)->load = 950;
	evaluate(s);
	assert_true(s->choice.own_weight == 0 && s->choice.total == 0);
	assert_true(sitechoice_leaves(&s->choice) == 0);
	assert_int_equal(sitechoice_draw(&s->choice, &s->random), -1);
	/* nobody up here: the own site is none of them */
	load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", NOW);
	report_of(s, 0)->load = 250;
	evaluate(s);
	assert_true(s->choice.own_weight == 0 && sitechoice_leaves(&s->choice) == 1);
}

/* Without a token nothing goes there; they come back at the granted rate. */
static void
test_tokens(void **arg)
{
	struct state *s = *arg;
	struct site_service *y = report_of(s, 0);

	report_of(s, 1)->permitted = false;
	own_active(s, 90);
	y->limited = true;
	y->quota = 4;
	for (int i = 0; i < 4; i++) {
		evaluate(s);
		assert_int_equal(s->choice.sites[0].reason, SITECHOICE_candidate);
		sitechoice_take(&s->choice, 0, s->table, NOW);
	}
	evaluate(s);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_no_token);
	assert_true(s->choice.total == 0);
	sitechoice_evaluate(&s->choice, s->table, 0, false, 1.0, NOW + CLOCK_SECOND / 4);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_candidate);
	/* a connection that no own server can take goes beyond, and leaves no debt */
	for (int i = 0; i < 100; i++) {
		sitechoice_evaluate(&s->choice, s->table, 0, true, 1.0, NOW);
		assert_int_equal(s->choice.sites[0].reason, SITECHOICE_candidate);
		assert_true(s->choice.total > 0 && s->choice.sites[0].tokens < 1);
		sitechoice_take(&s->choice, 0, s->table, NOW);
	}
	sitechoice_evaluate(&s->choice, s->table, 0, false, 1.0, NOW + CLOCK_SECOND / 4);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_candidate);
	/* but not while another has a token, nor where there is no room */
	report_of(s, 1)->permitted = true;
	sitechoice_evaluate(&s->choice, s->table, 0, true, 1.0, NOW);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_no_token);
	assert_int_equal(s->choice.sites[1].reason, SITECHOICE_candidate);
	report_of(s, 1)->permitted = false;
	y->load = 1000;
	sitechoice_evaluate(&s->choice, s->table, 0, true, 1.0, NOW);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_full);
	y->load = 0;
	y->quota = 0;
	sitechoice_evaluate(&s->choice, s->table, 0, false, 1.0, NOW + 2 * CLOCK_SECOND);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_no_token);
	/* an older peer grants nothing and is not limited */
	y->limited = false;
	for (int i = 0; i < 100; i++) {
		evaluate(s);
		assert_int_equal(s->choice.sites[0].reason, SITECHOICE_candidate);
		sitechoice_take(&s->choice, 0, s->table, NOW);
	}
}

/* What allocation_decide() gives away costs a token, and only that. */
static void
test_decide_takes_a_token(void **arg)
{
	struct state *s = *arg;
	struct allocation_decision d;
	struct allocation *a = allocation_new(s->table, 1.0);
	struct ip client;
	unsigned away = 0;

	ip_parse("192.0.2.1", &client);
	for (int i = 0; i < 2; i++) {
		report_of(s, (uint32_t)i)->limited = true;
		report_of(s, (uint32_t)i)->quota = 10;
	}
	own_active(s, 86);
	for (int i = 0; i < 100; i++) {
		allocation_decide(a, 0, &client, &s->random, NOW, &d);
		away += d.where == ALLOCATION_SITE;
	}
	assert_int_equal(away, 20);
	assert_int_equal(load_table_service(s->table, 0)->refused, 0);
	/* rather than refuse it */
	own_active(s, 100);
	allocation_decide(a, 0, &client, &s->random, NOW, &d);
	assert_int_equal(d.where, ALLOCATION_SITE);
	for (int i = 0; i < 2; i++)
		report_of(s, (uint32_t)i)->load = 1000;
	allocation_decide(a, 0, &client, &s->random, NOW, &d);
	assert_int_equal(d.where, ALLOCATION_NONE);
	assert_int_equal(load_table_service(s->table, 0)->refused, 1);
	allocation_free(a);
}

/* A site that says that it is huge and idle and takes everything. */
static void
test_belief(void **arg)
{
	struct state *s = *arg;
	struct site_service *liar = report_of(s, 0);
	const struct sitechoice_site *c = &s->choice.sites[0];

	own_active(s, 90);
	liar->transferable = 4000000000u;
	liar->load = 0;
	liar->limited = true;
	liar->quota = 4000000;
	load_table_measure(s->table, NOW); /* capacities 100, 200 and that */
	liar->held_from_us = UINT32_MAX;
	evaluate(s);
	assert_true(c->claimed > 4e9 && c->capacity == 400);
	assert_true(c->rate == 400 && c->tokens == 400);
	assert_true(c->weight == 400 * 0.9);
	/* short connections leave their places soon, but not how soon one likes */
	liar->mean_life = 0.1;
	evaluate(s);
	assert_true(fabs(c->rate - 4000) < 1e-6);
	liar->mean_life = 1e-9;
	evaluate(s);
	assert_true(fabs(c->rate - 40000) < 1e-6);
	liar->mean_life = 3600;
	evaluate(s);
	assert_true(c->rate == 400);
	/* our own connections there are load, whatever it says of them */
	liar->transferred = 200;
	evaluate(s);
	assert_true(c->load == 0.5);
	liar->transferred = 380;
	evaluate(s);
	assert_true(c->capacity == 760); /* those that it answers prove something */
	liar->unanswered = 0.5;
	evaluate(s);
	assert_true(c->capacity == 400);
	assert_int_equal(c->reason, SITECHOICE_full);
	/* who leaves a third unanswered gets a fifth, who answers nobody next to nothing */
	liar->transferred = 0;
	liar->unanswered = 1 / 3.0;
	evaluate(s);
	assert_true(fabs(c->answers - 16 / 81.0) < 1e-9);
	assert_true(fabs(c->weight - 360 * 16 / 81.0) < 1e-6);
	liar->unanswered = 1;
	evaluate(s);
	assert_true(c->answers == 0.01);
}

/* Shares of a draw follow gate and weights. */
static void
test_draw_follows_weights(void **arg)
{
	struct state *s = *arg;
	unsigned count[3] = {0};

	own_active(s, 80);                       /* gate 0.5 */
	load_table_site(s->table, 0)->rtt = 0.3; /* a quarter of z's weight */
	evaluate(s);
	for (int i = 0; i < 100000; i++)
		count[sitechoice_draw(&s->choice, &s->random) + 1]++;
	assert_in_range(count[0], 49000, 51000);
	assert_in_range(count[1], 9400, 10600);
	assert_in_range(count[2], 39000, 41000);
}

static void
test_no_candidate_stays_home(void **arg)
{
	struct state *s = *arg;

	own_active(s, 100);
	report_of(s, 0)->permitted = report_of(s, 1)->permitted = false;
	evaluate(s);
	assert_true(s->choice.gate == 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(sitechoice_draw(&s->choice, &s->random), -1);
}

static void
decide(struct state *s, bool v4, struct allocation_decision *decision)
{
	struct allocation *a = allocation_new(s->table, 1.0);
	struct ip client;

	assert_int_equal(ip_parse(v4 ? "192.0.2.1" : "2001:db8::77", &client), 0);
	allocation_decide(a, 0, &client, &s->random, NOW, decision);
	allocation_free(a);
}

static void
test_decide(void **arg)
{
	struct state *s = *arg;
	struct allocation_decision d;

	own_active(s, 75);
	decide(s, true, &d);
	assert_int_equal(d.where, ALLOCATION_SERVER);
	assert_int_equal(d.server, 0);
	/* no own server has an address of the family: another site is better than none */
	decide(s, false, &d);
	assert_int_equal(d.where, ALLOCATION_SITE);
	own_active(s, 100);
	decide(s, true, &d);
	assert_int_equal(d.where, ALLOCATION_SITE);
	assert_int_equal(d.site_service, 0);
	/* full here, and nobody else: nothing left */
	report_of(s, 0)->permitted = report_of(s, 1)->permitted = false;
	decide(s, true, &d);
	assert_int_equal(d.where, ALLOCATION_NONE);
	load_table_server_closed(s->table, 0);
	decide(s, true, &d);
	assert_int_equal(d.where, ALLOCATION_SERVER);
	load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", NOW);
	decide(s, true, &d);
	assert_int_equal(d.where, ALLOCATION_NONE);
}

/* Sites that a coordinator has introduced, without keys. */
static void
introduce(struct state *s, uint32_t number)
{
	struct site *site = load_table_site(s->table, number);

	site->introduced = true;
	load_table_site_keys(s->table, number, false, NOW);
	load_table_site_set_path(s->table, number, SITE_PATH_UNKNOWN, NOW);
	load_table_site_session(s->table, number, SITE_NO_SESSION, NOW);
}

static void
test_introduced_sites_are_wanted(void **arg)
{
	struct state *s = *arg;
	unsigned found[2] = {0, 0};

	introduce(s, 0);
	introduce(s, 1);
	s->choice.seek = true;
	evaluate(s);
	assert_int_equal(sitechoice_wanted(&s->choice, &s->random), LOAD_NONE); /* gate shut */
	own_active(s, 100);
	evaluate(s);
	assert_int_equal(s->choice.sites[0].reason, SITECHOICE_no_session);
	assert_true(s->choice.total <= 0); /* no connection goes there yet */
	for (int i = 0; i < 100; i++) {
		uint32_t site = sitechoice_wanted(&s->choice, &s->random);

		assert_true(site < 2);
		found[site]++;
	}
	assert_true(found[0] > 20 && found[1] > 20);
	report_of(s, 0)->permitted = false;
	evaluate(s);
	for (int i = 0; i < 20; i++)
		assert_int_equal(sitechoice_wanted(&s->choice, &s->random), 1);
	load_table_site_set_disabled(s->table, 1, true, NOW);
	evaluate(s);
	assert_int_equal(sitechoice_wanted(&s->choice, &s->random), LOAD_NONE);
}

/* Configured peers are dialled anyhow, and a coordinator is no site. */
static void
test_others_are_not_wanted(void **arg)
{
	struct state *s = *arg;

	own_active(s, 100);
	load_table_site_session(s->table, 0, SITE_NO_SESSION, NOW);
	load_table_site(s->table, 1)->coordinator = true;
	s->choice.seek = true;
	evaluate(s);
	assert_int_equal(s->choice.count, 1);
	assert_int_equal(sitechoice_wanted(&s->choice, &s->random), LOAD_NONE);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_introduced_sites_are_wanted),
	    T(test_others_are_not_wanted),
	    T(test_gate_is_a_ramp),
	    T(test_gate_of_who_takes_in),
	    T(test_who_took_of_late_sends_later),
	    T(test_who_took_of_late_sends_when_it_must),
	    T(test_gate_open_without_own_server),
	    T(test_weight),
	    T(test_age_in_the_sites_own_intervals),
	    T(test_own_transfers_since_the_report_count),
	    T(test_reasons),
	    T(test_slow_start),
	    T(test_metrics),
	    T(test_gate_by_servers),
	    T(test_prefer_any),
	    T(test_tokens),
	    T(test_decide_takes_a_token),
	    T(test_belief),
	    T(test_draw_follows_weights),
	    T(test_no_candidate_stays_home),
	    T(test_decide),
	};

	return cmocka_run_group_tests_name("sitechoice", tests, NULL, NULL);
}
