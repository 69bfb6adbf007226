/*
 * distribution: who gets how many of many connections, for each scheduler against its definition: by
 * chi-square where chance decides, exactly where it does not; and what signals and a slow start
 * do to that.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocation/scheduler.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "fixture.h"

#define SERVERS 10
#define DRAWS   200000
#define NOW     (1000 * CLOCK_SECOND)

/* Of chi-square with 9 degrees of freedom: once in 10,000 runs above it. */
#define CHI_SQUARE_MAX 33.72

static struct load_table *table;
static struct service *web;
static struct scheduler scheduler;
static struct random dice;
static uint32_t gets[SERVERS];

static void
on_counted(void *arg, uint32_t server)
{
	(void)arg;
	scheduler_changed(&scheduler, table, server);
}

/* Servers of weights 1 to 10; equal: all of weight 1. */
static void
begin(bool equal)
{
	char *text =
		 xasprintf("site = \"x\"; services: ( { name = \"web\"; address = "
			   "\"203.0.113.1\"; ports = [ 80 ]; slow_start = 10.0; servers: ("),
	     *more;

	for (unsigned i = 0; i < SERVERS; i++) {
		more = xasprintf("%s%s { name = \"n%u\"; address = \"10.0.0.%u\"; weight = %u;"
				 " max_connections = 1000000; }",
		    text, i > 0 ? "," : "", i, i + 1, equal ? 1 : i + 1);
		free(text);
		text = more;
	}
	more = xasprintf("%s ); } );", text);
	table = fixture_table(more);
	free(text);
	free(more);
	fixture_all_up(table);
	web = load_table_service(table, 0);
	load_table_set_counted(table, on_counted, NULL);
	random_init(&dice, 42);
	memset(&scheduler, 0, sizeof(scheduler));
}

static void
end(void)
{
	scheduler_fini(&scheduler);
	load_table_free(table);
}

static void
choose(enum config_scheduler kind)
{
	web->scheduler = kind;
	web->version++;
	scheduler_refresh(&scheduler, table, 0, true, false);
}

static uint32_t
pick(void)
{
	uint32_t octets = (uint32_t)random_next(&dice);
	struct ip client = ip_from_v4(&octets);

	scheduler_refresh(&scheduler, table, 0, true, false);
	return scheduler_pick(&scheduler, table, &client, &dice);
}

/* So many connections that end at once. */
static void
draw(unsigned count)
{
	memset(gets, 0, sizeof(gets));
	for (unsigned i = 0; i < count; i++)
		gets[pick()]++;
}

static double
chi_square(const double share[SERVERS], unsigned count)
{
	double sum = 0;

	for (int i = 0; i < SERVERS; i++) {
		double expected = share[i] * count;

		sum += (gets[i] - expected) * (gets[i] - expected) / expected;
	}
	return sum;
}

static void
judge(const char *what, const double share[SERVERS])
{
	double found;

	draw(DRAWS);
	found = chi_square(share, DRAWS);
	print_message("%-28s chi-square %6.2f, 9 degrees of freedom\n", what, found);
	assert_true(found < CHI_SQUARE_MAX);
}

/* ---- chance decides ---- */

/*
 * Without connections in flight the better of two is the heavier, by (0 + 1) / weight; equal ones
 * decide nothing: P(i) = p_i (p_i + 2 sum of those that are lighter).
 */
static void
test_twos(void **state)
{
	double share[SERVERS], below = 0;

	(void)state;
	begin(false);
	choose(CONFIG_TWOS);
	for (int i = 0; i < SERVERS; i++) {
		double p = (i + 1) / 55.0;

		share[i] = p * (p + 2 * below);
		below += p;
	}
	judge("twos, weights 1 to 10", share);
	end();
	begin(true);
	choose(CONFIG_TWOS);
	for (int i = 0; i < SERVERS; i++)
		share[i] = 1.0 / SERVERS;
	judge("twos, equal weights", share);
	end();
}

static void
test_hashes(void **state)
{
	static const enum config_scheduler kinds[] = {CONFIG_SH, CONFIG_MH};
	double share[SERVERS];

	(void)state;
	begin(false);
	for (int i = 0; i < SERVERS; i++)
		share[i] = (i + 1) / 55.0;
	for (int k = 0; k < 2; k++) {
		choose(kinds[k]);
		judge(kinds[k] == CONFIG_SH ? "sh, weights 1 to 10" : "mh, weights 1 to 10",
		    share);
	}
	end();
}

/* ---- it does not ---- */

static void
test_turns(void **state)
{
	(void)state;
	begin(false);
	choose(CONFIG_RR);
	draw(1000 * SERVERS);
	for (int i = 0; i < SERVERS; i++)
		assert_int_equal(gets[i], 1000);
	choose(CONFIG_WRR);
	for (int round = 0; round < 100; round++) {
		draw(55);
		for (uint32_t i = 0; i < SERVERS; i++)
			assert_int_equal(gets[i], i + 1);
	}
	end();
}

/* Connections that stay: levels by definition, whatever the order they came in. */
static void
fill(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		load_table_server_opened(table, pick());
}

/*
 * The last connection of one went to it rather than to another: without it, it was not behind.
 * wlc: (active - 1) / weight, sed: active / weight; the other one has at least what it had then.
 */
static bool
was_right(int kind, uint32_t one, uint32_t other)
{
	uint64_t active = load_table_server(table, one)->active;
	uint64_t others = load_table_server(table, other)->active;

	switch (kind) {
	case CONFIG_LC:
	case CONFIG_LRT:
		return active == 1000 && others == 1000;
	case CONFIG_WLC:
		return (active - 1) * (other + 1) <= others * (one + 1);
	case CONFIG_SED:
	case CONFIG_NQ:
		return active * (other + 1) <= (others + 1) * (one + 1);
	default:
		return active == 0;
	}
}

static void
test_levels(void **state)
{
	(void)state;
	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		begin(kind == CONFIG_LRT);
		choose((enum config_scheduler)kind);
		if (kind == CONFIG_LC || kind == CONFIG_LRT) /* nobody has been timed */
			fill(1000 * SERVERS);
		else if (kind == CONFIG_WLC || kind == CONFIG_SED || kind == CONFIG_NQ)
			fill(5500);
		for (uint32_t i = 0; i < SERVERS; i++)
			for (uint32_t k = 0; k < SERVERS; k++)
				assert_true(was_right(kind, i, k));
		end();
	}
	begin(false);
	choose(CONFIG_OVF);
	draw(1000);
	assert_int_equal(gets[9], 1000);
	end();
}

/* ---- least response time ---- */

static void
test_lrt(void **state)
{
	(void)state;
	begin(true);
	choose(CONFIG_LRT);
	/* 1, 2, ... 10 ms; the first two are alike to a fifth: 1.05 and 1.15 */
	for (uint32_t i = 0; i < SERVERS; i++)
		load_table_server_answered(table, i,
		    i == 0       ? 1050
			: i == 1 ? 1150
				 : 1000 * (i + 1),
		    NOW);
	draw(3200);
	/* of 32 one goes round: 100, ten a server */
	for (int i = 2; i < SERVERS; i++)
		assert_int_equal(gets[i], 10);
	assert_in_range(gets[0], gets[1] - 1, gets[1] + 1);
	/* among alike the one with fewer connections */
	for (int i = 0; i < 50; i++)
		load_table_server_opened(table, 0);
	draw(320);
	assert_in_range(gets[0], 0, 2);
	assert_in_range(gets[1], 310, 312);
	/* the last one becomes the fastest, and that is noticed */
	for (int i = 0; i < 100; i++)
		load_table_server_answered(table, 9, 100, NOW);
	draw(320);
	assert_in_range(gets[9], 310, 312);
	end();
}

/* One that has never answered is tried when it is idle, by one connection. */
static void
test_lrt_of_unknown(void **state)
{
	(void)state;
	begin(true);
	choose(CONFIG_LRT);
	for (uint32_t i = 0; i < SERVERS; i++)
		if (i != 4)
			load_table_server_answered(table, i, 1000, NOW);
	assert_int_equal(pick(), 4);
	load_table_server_opened(table, 4);
	draw(31); /* before the next one goes round */
	assert_int_equal(gets[4], 0);
	load_table_server_answered(table, 4, 500, NOW);
	draw(32);
	assert_true(gets[4] >= 31);
	end();
}

/* ---- servers that do not answer ---- */

static void
test_silent_ones_come_last(void **state)
{
	(void)state;
	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		begin(false);
		choose((enum config_scheduler)kind);
		for (uint32_t i = 0; i < SERVERS; i++)
			for (int k = 0; i != 7 && k < 50; k++)
				load_table_server_opened(table, i); /* 7 has by far the fewest */
		load_table_server_unanswered(table, 7, SIGNALS_silent, NOW);
		draw(2000);
		assert_int_equal(gets[7], 0);
		/* when all are silent that makes no difference */
		for (uint32_t i = 0; i < SERVERS; i++)
			load_table_server_unanswered(table, i, SIGNALS_silent, NOW);
		assert_int_not_equal(pick(), LOAD_NONE);
		draw(2000);
		if (kind != CONFIG_OVF)
			assert_true(gets[7] > 0);
		load_table_server_answered(table, 7, 0, NOW);
		draw(100);
		assert_int_equal(gets[7], 100);
		end();
	}
}

/* ---- slow start ---- */

static bool
ramps(int kind)
{
	return kind != CONFIG_SH && kind != CONFIG_MH && kind != CONFIG_OVF;
}

/* Short connections: the share of one that came back, at the beginning, after a half and at last. */
static void
test_slow_start_share(void **state)
{
	(void)state;
	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		double share[4];

		if (!ramps(kind))
			continue;
		begin(true);
		choose((enum config_scheduler)kind);
		load_table_server_set_state(table, 3, SERVER_DOWN, "refused", NOW);
		load_table_server_set_state(table, 3, SERVER_UP, NULL, NOW);
		for (int i = 0; i < 4; i++) {
			load_table_attend(table, NOW + (uint64_t)i * 5 * CLOCK_SECOND);
			draw(20000);
			share[i] = gets[3] / 20000.0 * SERVERS;
		}
		print_message(
		    "%-5s share of a full one: %.3f at once, %.3f after half, %.3f after all\n",
		    config_scheduler_name((enum config_scheduler)kind), share[0], share[1],
		    share[2]);
		assert_true(share[0] < 0.13);
		assert_true(share[1] < 0.80);
		assert_true(share[0] <= share[1] && share[1] < share[2]);
		assert_true(fabs(share[2] - 1) < 0.05);
		assert_true(fabs(share[3] - 1) < 0.05);
		end();
	}
}

/* Long ones: it is not filled up to the level of the others at once. */
static void
test_slow_start_levels(void **state)
{
	static const enum config_scheduler kinds[] = {
	    CONFIG_LC, CONFIG_WLC, CONFIG_SED, CONFIG_NQ, CONFIG_LRT, CONFIG_TWOS};

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		uint64_t active[3];

		begin(true);
		choose(kinds[k]);
		for (uint32_t i = 0; i < SERVERS; i++)
			for (int n = 0; i != 3 && n < 160; n++)
				load_table_server_opened(table, i);
		load_table_server_set_state(table, 3, SERVER_DOWN, "refused", NOW);
		load_table_server_set_state(table, 3, SERVER_UP, NULL, NOW);
		for (int i = 0; i < 3; i++) {
			load_table_attend(table, NOW + (uint64_t)i * 5 * CLOCK_SECOND);
			fill(400);
			active[i] = load_table_server(table, 3)->active;
		}
		print_message("%-5s connections after 400 each: %u, %u, %u\n",
		    config_scheduler_name(kinds[k]), (unsigned)active[0], (unsigned)active[1],
		    (unsigned)active[2]);
		/* a sixteenth and a half of the others' 200 and 250 */
		assert_in_range(active[0], 5, 30);
		assert_in_range(active[1], active[0] + 1, 140);
		if (kinds[k] != CONFIG_TWOS)
			assert_in_range(active[2], 200, 320);
		end();
	}
}

/* Others keep their part of what is left while one starts slowly. */
static void
test_slow_start_of_turns(void **state)
{
	(void)state;
	begin(false);
	choose(CONFIG_WRR);
	load_table_server_set_state(table, 9, SERVER_DOWN, "refused", NOW);
	load_table_server_set_state(table, 9, SERVER_UP, NULL, NOW);
	load_table_attend(table, NOW + 5 * CLOCK_SECOND); /* weight 10: 5 */
	draw(50 * 1000);
	for (uint32_t i = 0; i < 9; i++)
		assert_in_range(gets[i], (i + 1) * 1000 - 11, (i + 1) * 1000 + 11);
	assert_in_range(gets[9], 4989, 5011);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_twos),
	    cmocka_unit_test(test_hashes),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_lrt),
	    cmocka_unit_test(test_lrt_of_unknown),
	    cmocka_unit_test(test_silent_ones_come_last),
	    cmocka_unit_test(test_slow_start_share),
	    cmocka_unit_test(test_slow_start_levels),
	    cmocka_unit_test(test_slow_start_of_turns),
	};

	return cmocka_run_group_tests_name("distribution", tests, NULL, NULL);
}
