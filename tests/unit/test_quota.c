/*
 * quota: rates measured, computed, shared out and kept to; and what the load table makes of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "fixture.h"
#include "load/quota.h"

#define SECOND CLOCK_SECOND

static bool
near(double a, double b, double part)
{
	return fabs(a - b) <= part * fabs(b) + 1e-9;
}

/* So many a second come, and stay for so long, during a time. */
static void
run(struct quota_meter *meter, double per_second, double life, double seconds)
{
	struct quota_totals totals = {0};

	for (double t = 0; t <= seconds; t += 0.5) {
		totals.own = totals.offered = totals.opened = (uint64_t)(per_second * t);
		totals.closed = t > life ? (uint64_t)(per_second * (t - life)) : 0;
		quota_measure(meter, &totals, SECOND + (uint64_t)(t * SECOND));
	}
}

static void
rates_and_lives(void **arg)
{
	static const struct {
		double per_second, life;
	} cases[] = {{100, 1}, {10, 10}, {1000, 0.1}, {50, 20}};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quota_meter meter = {0};

		run(&meter, cases[i].per_second, cases[i].life, 200);
		assert_true(near(meter.own, cases[i].per_second, 0.02));
		assert_true(near(meter.offered, cases[i].per_second, 0.02));
		assert_true(near(quota_life(&meter), cases[i].life, 0.05));
	}
}

static void
nothing_known(void **arg)
{
	struct quota_meter meter = {0};
	struct quota_totals totals = {.own = 5, .offered = 5, .opened = 5};

	(void)arg;
	assert_true(quota_life(&meter) == 10);
	assert_true(near(quota_total(1000, 0, &meter), 170, 1e-6));
	/* what was before the first time is of no known age */
	quota_measure(&meter, &totals, 7 * SECOND);
	assert_true(meter.own == 0);
	/* no time has passed; totals that fall are nobody's rate */
	quota_measure(&meter, &totals, 7 * SECOND);
	quota_measure(&meter, &(struct quota_totals){0}, 8 * SECOND);
	assert_true(meter.own == 0 && meter.offered == 0);
	assert_true(quota_life(&meter) >= 0.01);
}

static void
total(void **arg)
{
	static const struct {
		uint64_t capacity, active;
		double own, life, rate;
	} cases[] = {{0, 0, 0, 1, 0}, {400, 0, 0, 1, 340}, {400, 200, 0, 1, 340},
	    {400, 340, 0, 1, 340}, {400, 340, 140, 1, 200}, {400, 370, 0, 1, 170},
	    {400, 400, 0, 1, 0}, {400, 800, 0, 1, 0}, {400, 40, 340, 1, 0},
	    {400, 40, 800, 1, 0}, {400, 480, 800, 1, 0}, {600, 0, 0, 30, 102},
	    {600, 0, 0, 3600, 102},  /* what is free may be filled in five seconds, */
	    {600, 480, 0, 3600, 17}, /* and in the long run in half a minute */
	    {600, 0, 100, 3600, 2},
	    /* small ones are not to be full by chance */
	    {100, 80, 0, 1, 80}, {100, 90, 0, 1, 40}, {25, 15, 0, 1, 15}, {16, 0, 0, 1, 8},
	    {9, 0, 0, 1, 3}, {9, 3, 0, 1, 3}, {4, 0, 0, 1, 1}, {1, 0, 0, 1, 0.25},
	    {1, 1, 0, 1, 0}, {UINT32_MAX, 0, 0, 1, 0.85 * UINT32_MAX}};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quota_meter meter = {.own = cases[i].own};

		meter.closed = 1e6;
		meter.busy = cases[i].life * (meter.closed + 1) - 10;
		assert_true(near(quota_total(cases[i].capacity, cases[i].active, &meter),
		    cases[i].rate, 1e-6));
	}
}

static void
left(void **arg)
{
	(void)arg;
	assert_true(near(quota_left(100, 400, 1), 240, 1e-9));
	assert_true(quota_left(340, 400, 1) == 0);
	assert_true(quota_left(1000, 400, 1) == 0);
	assert_true(quota_left(0, 0, 1) == 0);
	assert_true(isfinite(quota_left(0, 400, 0)));
}

static void
need(void **arg)
{
	(void)arg;
	assert_true(near(quota_need(100, 0.75, 100, 1), 25, 1e-9));
	assert_true(quota_need(70, 0.75, 100, 1) == 0);
	assert_true(near(quota_need(100, 0.75, 0, 1), 100, 1e-9));
	assert_true(isfinite(quota_need(100, 0.75, 100, 0)));
}

static void
shares(void **arg)
{
	static const struct {
		double total;
		size_t count;
		double demand[4], share[4];
	} cases[] = {
	    {100, 1, {0}, {100}},
	    {100, 4, {0, 0, 0, 0}, {25, 25, 25, 25}},
	    /* who is alone in need gets nine tenths and its part of the tenth */
	    {100, 4, {1000, 0, 0, 0}, {92.5, 2.5, 2.5, 2.5}},
	    {100, 4, {30, 30, 0, 0}, {47.5, 47.5, 2.5, 2.5}},
	    {100, 4, {40, 5, 0, 0}, {82.5, 12.5, 2.5, 2.5}},
	    /* who asks for the moon takes nothing from those who ask for their share */
	    {100, 4, {1e12, 22.5, 22.5, 22.5}, {25, 25, 25, 25}},
	    {100, 4, {1e12, 10, 5, 0}, {77.5, 12.5, 7.5, 2.5}},
	    {100, 4, {1e12, 1e12, 10, 0}, {42.5, 42.5, 12.5, 2.5}},
	    {0, 4, {1, 2, 3, 4}, {0, 0, 0, 0}},
	};

	(void)arg;
	quota_share(1, NULL, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double share[4];

		memcpy(share, cases[i].demand, sizeof(share));
		quota_share(cases[i].total, share, cases[i].count);
		for (size_t k = 0; k < cases[i].count; k++)
			assert_true(near(share[k], cases[i].share[k], 1e-6));
	}
}

/* Whatever is demanded: what is shared out is the total, and nobody gets less than an equal
 * part of the tenth, nor less than its demand while another gets more than that. */
static void
shares_at_random(void **arg)
{
	struct random random;

	(void)arg;
	random_init(&random, 5);
	for (int round = 0; round < 2000; round++) {
		double demand[50], share[50], sum = 0, all = random_unit(&random) * 1000;
		size_t count = 1 + random_below(&random, 50);

		for (size_t i = 0; i < count; i++)
			demand[i] = share[i] = random_below(&random, 2) * random_unit(&random) *
			    (random_below(&random, 2) ? 100 : 1e6);
		quota_share(all, share, count);
		for (size_t i = 0; i < count; i++) {
			sum += share[i];
			assert_true(share[i] >= all * 0.1 / (double)count - 1e-6);
			for (size_t k = 0; k < count; k++)
				assert_true(share[k] <= share[i] + 1e-6 ||
				    share[i] >= demand[i] - 1e-6);
		}
		assert_true(near(sum, all, 1e-6));
	}
}

static void
bucket(void **arg)
{
	struct quota_bucket b = {0};
	uint64_t now = 5 * SECOND;

	(void)arg;
	assert_true(quota_tokens(&b, 10, 0, now) == 10); /* full at first */
	for (int i = 0; i < 10; i++) {
		assert_true(quota_tokens(&b, 10, 0, now) >= 1);
		quota_take(&b, 10, 0, now);
	}
	assert_true(quota_tokens(&b, 10, 0, now) < 1);
	assert_true(near(quota_tokens(&b, 10, 0, now + SECOND / 2), 5, 1e-9));
	assert_true(quota_tokens(&b, 10, 0, now + 100 * SECOND) == 10);
	assert_true(quota_tokens(&b, 0, 0, now + 100 * SECOND) == 0);
	/* slow, but not never */
	quota_take(&b, 0.1, 0, now + 100 * SECOND);
	assert_true(quota_tokens(&b, 0.1, 0, now + 101 * SECOND) < 1);
	assert_true(quota_tokens(&b, 0.1, 0, now + 111 * SECOND) == 1);
	/* a clock that does not move */
	assert_true(quota_tokens(&b, 0.1, 0, now) <= 1);
}

/* Short connections are not saved up: what comes at once is there at once. */
static void
bucket_of_short_lives(void **arg)
{
	struct quota_bucket b = {0};

	(void)arg;
	assert_true(near(quota_tokens(&b, 1000, 0.02, SECOND), 20, 1e-9));
	quota_take(&b, 1000, 0.02, SECOND);
	assert_true(near(quota_tokens(&b, 1000, 0.02, 99 * SECOND), 20, 1e-9));
	assert_true(near(quota_tokens(&b, 1000, 0.0001, 99 * SECOND), 1, 1e-9));
	/* long ones no more than a second's worth */
	assert_true(near(quota_tokens(&b, 10, 3600, 99 * SECOND), 10, 1e-9));
	assert_true(near(quota_tokens(&b, 10, 1, 99 * SECOND), 10, 1e-9));
}

/* A sender that takes all it can gets its rate and a second's worth, not more. */
static void
bucket_keeps_the_rate(void **arg)
{
	static const double rates[] = {0.25, 1, 3.7, 100, 2500};

	(void)arg;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct quota_bucket b = {0};
		unsigned taken = 0;

		for (uint64_t t = SECOND; t < 101 * SECOND; t += SECOND / 5000) {
			if (quota_tokens(&b, rates[i], 0, t) < 1)
				continue;
			quota_take(&b, rates[i], 0, t);
			taken++;
		}
		assert_true(taken <= rates[i] * 101 + 1);
		assert_true(taken >= rates[i] * 99);
	}
}

/* ---- the load table ---- */

static const char two_peers[] =
    "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\"; protocol = \"tcp\";"
    " ports = [ 80 ]; servers: ( { name = \"a\"; address = \"10.0.0.1\"; max_connections = "
    "100; } ); } );" FIXTURE_PEER_KEYS
    "peers: ( { site = \"y\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; },"
    " { site = \"z\"; load = \"192.0.2.3:7210\"; transfer = \"192.0.2.3:7210\"; } );";

static struct site_service *
offer(struct load_table *table, uint32_t site)
{
	struct site_service *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup("web");
	s->protocol = IPPROTO_TCP;
	s->reported = s->permitted = true;
	s->servers_up = 1;
	load_table_site_session(table, site, SITE_SESSION, SECOND);
	load_table_site_services(table, site, s, 1);
	return s;
}

static void
table_grants(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0), *z = offer(table, 1);
	const struct service *own = load_table_service(table, 0);

	(void)arg;
	fixture_all_up(table);
	load_table_measure(table, 10 * SECOND);
	assert_true(near(own->quota, 16, 1e-6)); /* nothing is known, but that it is empty */
	assert_true(near(y->granted, 8, 1e-6) && near(z->granted, 8, 1e-6));
	/* y has more than it can serve, z nothing */
	y->transferable = 10;
	y->mean_life = 1;
	y->new_per_second = 100;
	load_table_measure(table, 10 * SECOND + SECOND / 10);
	assert_true(near(y->granted, 8, 1e-6)); /* nothing has changed as far as the table knows */
	load_table_measure(table, 11 * SECOND);
	assert_true(near(y->granted, 0.95 * own->quota, 1e-6));
	assert_true(near(z->granted, 0.05 * own->quota, 1e-6));
	/* who has no server up needs all that its clients want */
	z->servers_up = 0;
	z->new_per_second = 2;
	load_table_measure(table, 12 * SECOND);
	assert_true(near(z->granted, 2 + 0.05 * own->quota, 1e-6));
	/* no session: no part of it */
	load_table_site_session(table, 0, SITE_NO_SESSION, 12 * SECOND);
	load_table_measure(table, 12 * SECOND);
	assert_true(y->granted == 0 && near(z->granted, own->quota, 1e-6));
	/* prohibited, or nobody up: nothing at once */
	load_table_service_set_transfer(table, 0, false);
	load_table_measure(table, 12 * SECOND);
	assert_true(own->quota == 0 && z->granted == 0);
	load_table_service_set_transfer(table, 0, true);
	load_table_server_set_state(table, 0, SERVER_DOWN, "refused", 12 * SECOND);
	load_table_measure(table, 12 * SECOND);
	assert_true(own->quota == 0 && z->granted == 0);
	load_table_free(table);
}

/* Of a need that others can help with as well, only our part and half as much again is demand. */
static void
table_grants_its_part(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0), *z = offer(table, 1);
	const struct service *own = load_table_service(table, 0);
	double part;

	(void)arg;
	fixture_all_up(table);
	load_table_measure(table, 10 * SECOND);
	y->transferable = 10;
	y->mean_life = 10;
	y->new_per_second = 10.75; /* 10 more than it can serve */
	z->transferable = 200;     /* has twice our capacity, and nothing to do */
	z->mean_life = 10;
	z->new_per_second = 0;
	load_table_measure(table, 11 * SECOND);
	part = 1.5 * own->quota / (own->quota + quota_left(0, 200, 10));
	assert_true(part > 0.3 && part < 0.9);
	/* alone in need it gets what nobody else wants, too */
	assert_true(near(y->granted, 0.95 * own->quota, 1e-6));
	/* beside one that sends us something, by demand */
	z->incoming.rate = 2;
	load_table_measure(table, 11 * SECOND);
	load_table_server_set_state(table, 0, SERVER_DOWN, "refused", 11 * SECOND);
	load_table_server_set_state(table, 0, SERVER_UP, NULL, 11 * SECOND);
	load_table_measure(table, 11 * SECOND);
	assert_true(near((y->granted - 0.05 * own->quota) / (z->granted - 0.05 * own->quota),
	    part * 10 / 2, 1e-6));
	/* a claim to have room without end does not take our part away */
	z->transferable = UINT32_MAX;
	load_table_measure(table, 12 * SECOND);
	assert_true(y->granted > 0.3 * own->quota);
	load_table_free(table);
}

/* A site that has served nobody yet takes the word of those that have. */
static void
life_of_others(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0), *z = offer(table, 1);
	const struct service *own = load_table_service(table, 0);

	(void)arg;
	fixture_all_up(table);
	load_table_measure(table, 10 * SECOND);
	assert_true(quota_life(&own->meter) == 10);
	y->mean_life = 0.25;
	z->mean_life = 8;
	load_table_measure(table, 11 * SECOND);
	assert_true(near(quota_life(&own->meter), 0.25, 1e-9));
	assert_true(near(own->quota, 80 / 0.25, 1e-6));
	load_table_site_session(table, 0, SITE_NO_SESSION, 11 * SECOND);
	load_table_measure(table, 12 * SECOND);
	assert_true(near(quota_life(&own->meter), 8, 1e-9));
	load_table_free(table);
}

static void
table_measures(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0);
	const struct service *own = load_table_service(table, 0);

	(void)arg;
	fixture_all_up(table);
	/* each second: three of our clients here, two of y's, five of ours at y, one refused; all
	 * of them over a second later */
	for (uint64_t t = 1; t <= 100; t++) {
		load_table_measure(table, t * SECOND);
		for (int i = 0; i < 5; i++) {
			if (t > 1)
				load_table_server_closed(table, 0);
			if (t > 1 && i < 2)
				load_table_received_closed(table, 0, 0);
			load_table_server_opened(table, 0);
			if (i < 2)
				load_table_received_opened(table, 0, 0, t * SECOND);
			load_table_transferred_opened(table, 0, 0);
			load_table_transferred_closed(table, 0, 0);
		}
		load_table_service_refused(table, 0);
	}
	assert_true(near(own->meter.own, 3, 0.01));
	assert_true(near(own->meter.offered, 9, 0.01));
	assert_true(near(y->incoming.rate, 2, 0.01));
	assert_true(near(quota_life(&own->meter), 1, 0.1));
	assert_true(near(own->quota, 80 / quota_life(&own->meter) - own->meter.own, 1e-6));
	/* what it sent of late it may go on to send */
	assert_true(y->granted > 2);
	load_table_free(table);
}

/* How many of so many new connections of a site in a second are taken. */
static unsigned
take(struct load_table *table, uint32_t site, unsigned many, uint64_t now)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < many; i++) {
		uint64_t at = now + i * SECOND / many;

		if (!load_table_may_receive(table, site, 0, at))
			continue;
		load_table_received_opened(table, site, 0, at);
		load_table_received_closed(table, site, 0);
		taken++;
	}
	return taken;
}

/* Who sends much more than it was granted is refused, but only where that does harm. */
static void
table_refuses_too_many(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0);
	struct service *own = load_table_service(table, 0);
	double granted;

	(void)arg;
	offer(table, 1);
	fixture_all_up(table);
	load_table_measure(table, 10 * SECOND);
	load_table_measure(table, 11 * SECOND);
	granted = y->granted;
	assert_true(granted > 1);
	assert_int_equal(take(table, 0, 1000, 11 * SECOND), 1000);
	/* highly loaded */
	while (service_load(own) < own->high_load)
		load_table_server_opened(table, 0);
	assert_int_equal(take(table, 1, (unsigned)granted, 20 * SECOND), (unsigned)granted);
	assert_true(take(table, 0, 1000, 20 * SECOND) <= 4 * granted + 4);
	assert_true(take(table, 0, 1000, 21 * SECOND) <= 2 * granted + 2);
	/* its neighbour is as welcome as before, and so is what keeps to the rate */
	assert_int_equal(take(table, 1, (unsigned)granted, 21 * SECOND), (unsigned)granted);
	assert_true(take(table, 0, (unsigned)granted, 22 * SECOND) + 1 >= (unsigned)granted);
	/* nothing is granted any more; it may not have heard of that yet, but soon has */
	own->transfer_permitted = false;
	load_table_measure(table, 23 * SECOND);
	load_table_measure(table, 24 * SECOND);
	assert_true(y->granted == 0);
	assert_int_equal(take(table, 0, (unsigned)granted, 24 * SECOND), (unsigned)granted);
	for (uint64_t t = 25; t < 60; t++)
		load_table_measure(table, t * SECOND);
	assert_true(take(table, 0, 1000, 60 * SECOND) <= 3);
	/* there is nothing to protect */
	own->up = 0;
	assert_true(load_table_may_receive(table, 0, 0, 61 * SECOND));
	load_table_free(table);
}

static void
table_typical_capacity(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0), *z = offer(table, 1);
	const struct service *own = load_table_service(table, 0);

	(void)arg;
	fixture_all_up(table);
	y->transferable = 1000000000;
	z->transferable = 300;
	z->active = 20;
	load_table_measure(table, 10 * SECOND);
	assert_true(own->typical_capacity == 320);
	z->permitted = false;
	load_table_measure(table, 11 * SECOND);
	assert_true(own->typical_capacity == 100);
	load_table_server_set_state(table, 0, SERVER_DOWN, "refused", 12 * SECOND);
	z->permitted = true;
	load_table_measure(table, 12 * SECOND);
	assert_true(own->typical_capacity == 320);
	y->reported = z->reported = false;
	load_table_measure(table, 13 * SECOND);
	assert_true(own->typical_capacity == 0);
	load_table_free(table);
}

/* Of the latest 32 or so. */
static void
table_remembers_answers(void **arg)
{
	struct load_table *table = fixture_table(two_peers);
	struct site_service *y = offer(table, 0);

	(void)arg;
	for (int i = 0; i < 200; i++)
		load_table_transferred_answered(table, 0, 0, i % 4 != 0);
	assert_true(near(y->unanswered, 0.25, 0.1));
	for (int i = 0; i < 200; i++)
		load_table_transferred_answered(table, 0, 0, false);
	assert_true(y->unanswered > 0.99);
	/* a new HELLO does not wash it off, but time does */
	y = offer(table, 0);
	assert_true(y->unanswered > 0.99);
	load_table_measure(table, 10 * SECOND);
	load_table_measure(table, 70 * SECOND);
	assert_true(near(y->unanswered, exp(-1), 0.01));
	load_table_measure(table, 610 * SECOND);
	assert_true(y->unanswered < 0.001);
	load_table_transferred_answered(table, 1, 0, false); /* offers nothing */
	load_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rates_and_lives),
	    cmocka_unit_test(nothing_known),
	    cmocka_unit_test(total),
	    cmocka_unit_test(need),
	    cmocka_unit_test(left),
	    cmocka_unit_test(shares),
	    cmocka_unit_test(shares_at_random),
	    cmocka_unit_test(bucket),
	    cmocka_unit_test(bucket_of_short_lives),
	    cmocka_unit_test(bucket_keeps_the_rate),
	    cmocka_unit_test(table_grants),
	    cmocka_unit_test(table_grants_its_part),
	    cmocka_unit_test(life_of_others),
	    cmocka_unit_test(table_measures),
	    cmocka_unit_test(table_refuses_too_many),
	    cmocka_unit_test(table_typical_capacity),
	    cmocka_unit_test(table_remembers_answers),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
