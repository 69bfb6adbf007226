/*
 * table_signals: what follows for servers from what packets say, and from time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "fixture.h"

#define MS  CLOCK_MILLISECOND
#define NOW (1000 * CLOCK_SECOND)

#define SERVICE(more, servers) \
	"site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\"; ports = [ 80 " \
	"];" more " servers: ( " servers " ); } );"
#define A     "{ name = \"a\"; address = \"10.0.0.1\"; max_connections = 300; }"
#define B     "{ name = \"b\"; address = \"10.0.0.2\"; max_connections = 300; }"
#define SPARE "{ name = \"s\"; address = \"10.0.0.3\"; backup = true; }"

static unsigned changes, counted;
static struct load_table *table;
static struct server *a, *b;
static struct service *web;

static void
on_changed(void *arg, enum load_change change, uint32_t number)
{
	(void)arg;
	(void)number;
	changes += change == LOAD_CHANGE_SERVER;
}

static void
on_counted(void *arg, uint32_t number)
{
	(void)arg;
	(void)number;
	counted++;
}

static void
begin(const char *text)
{
	table = fixture_table(text);
	fixture_all_up(table);
	a = load_table_server(table, 0);
	b = load_table_server(table, 1);
	web = load_table_service(table, 0);
	load_table_set_listener(table, on_changed, NULL);
	load_table_set_counted(table, on_counted, NULL);
	changes = counted = 0;
}

static void
end(void)
{
	load_table_free(table);
	table = NULL;
}

static int
setup(void **state)
{
	(void)state;
	begin(SERVICE("", A "," B));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	end();
	return 0;
}

/* So many unanswered connections of a server, the last at the time. */
static void
silence(uint32_t server, int count, uint64_t now)
{
	for (int i = 1; i <= count; i++)
		load_table_server_unanswered(
		    table, server, SIGNALS_silent, now - (uint64_t)(count - i) * 200 * MS);
}

static void
test_avoided_from_the_first(void **state)
{
	(void)state;
	silence(0, 1, NOW);
	assert_true(a->avoided);
	assert_true(server_usable(a));
	assert_int_equal(counted, 1); /* whoever keeps the order has been told */
	assert_true(fabs(server_load(a) - 1 / 3.0) < 1e-9);
	/* the load of the service follows: 100 of 600 */
	assert_int_equal(web->loaded, 100);
	assert_true(fabs(service_load(web) - 1 / 6.0) < 1e-9);
	load_table_server_answered(table, 0, 0, NOW + MS);
	assert_false(a->avoided);
	assert_int_equal(counted, 2);
	assert_true(server_load(a) == 0 && web->loaded == 0);
}

static void
test_down_after_three(void **state)
{
	(void)state;
	silence(0, 2, NOW);
	assert_int_equal(changes, 0);
	silence(0, 1, NOW + 100 * MS);
	assert_true(a->passive_down);
	assert_false(server_usable(a));
	assert_false(server_is_up(a));
	assert_int_equal(a->state, SERVER_UP); /* the checks have not said anything */
	assert_string_equal(server_cause(a), "new connections get no answer");
	assert_int_equal(web->up, 1);
	assert_int_equal(web->capacity, 300);
	assert_int_equal(changes, 1);
	assert_int_equal(a->state_since, NOW + 100 * MS);
}

/* One answer in between, and it takes three again: forged SYNs are answered. */
static void
test_an_answer_ends_the_count(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		silence(0, 2, NOW + i * CLOCK_SECOND);
		load_table_server_answered(table, 0, 0, NOW + i * CLOCK_SECOND + MS);
	}
	assert_int_equal(changes, 0);
	assert_true(server_is_up(a));
}

/* All repeated at once: the answers to them may be under way. */
static void
test_a_burst_is_no_proof(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		load_table_server_unanswered(table, 0, SIGNALS_silent, NOW + MS);
	assert_true(server_is_up(a));
	load_table_server_unanswered(table, 0, SIGNALS_silent, NOW + 252 * MS);
	assert_false(server_is_up(a));
}

static void
test_never_the_last(void **state)
{
	(void)state;
	silence(0, 3, NOW);
	silence(1, 10, NOW + 10 * CLOCK_SECOND);
	assert_true(server_usable(b));
	assert_int_equal(web->up, 1);
	assert_true(service_load(web) == 1); /* but other sites come first */
}

static void
test_a_backup_server_is_another(void **state)
{
	(void)state;
	end();
	begin(SERVICE("", A "," SPARE));
	assert_false(web->on_backup);
	silence(0, 3, NOW);
	assert_false(server_usable(a));
	assert_true(web->on_backup);
}

static void
test_not_passive(void **state)
{
	(void)state;
	end();
	begin(SERVICE("passive = false;", A "," B));
	silence(0, 50, NOW);
	assert_true(server_usable(a));
	assert_true(a->avoided);
	assert_true(server_load(a) == 1);
}

/* rise = 2 checks that began later, and not before the pause is over. */
static void
test_back_by_checks(void **state)
{
	(void)state;
	silence(0, 3, NOW);
	load_table_server_checked(table, 0, true, NOW - MS, NOW + MS); /* began before */
	load_table_server_checked(table, 0, true, NOW + 500 * MS, NOW + 501 * MS);
	load_table_server_checked(table, 0, false, NOW + 600 * MS, NOW + 601 * MS);
	load_table_server_checked(table, 0, true, NOW + 700 * MS, NOW + 701 * MS);
	load_table_server_checked(table, 0, true, NOW + 800 * MS, NOW + 801 * MS);
	assert_false(server_is_up(a)); /* enough of them, but a second has not passed */
	load_table_server_checked(table, 0, true, NOW + 1100 * MS, NOW + 1101 * MS);
	assert_true(server_usable(a));
	assert_true(a->trial);
	/* one connection is to find out; then others come first until it is answered */
	load_table_server_opened(table, 0);
	assert_true(a->avoided);
	load_table_server_answered(table, 0, 800, NOW + 1200 * MS);
	assert_false(a->avoided);
	assert_true(server_load(a) < 0.01);
	assert_int_equal(a->pause, 0);
}

static void
test_pauses_grow(void **state)
{
	uint64_t now = NOW, begun;
	double pause = 0;

	(void)state;
	silence(0, 3, now);
	for (int i = 0; i < 12; i++) {
		double before = pause;

		begun = now;
		while (!server_is_up(a)) {
			now += 500 * MS;
			load_table_server_checked(table, 0, true, now - MS, now);
		}
		pause = (double)(now - begun) / CLOCK_SECOND;
		assert_true(pause >= before);
		load_table_server_opened(table, 0);
		now += CLOCK_SECOND;
		load_table_server_unanswered(table, 0, SIGNALS_silent, now);
		assert_false(server_is_up(a)); /* at once: one failure is enough by now */
	}
	assert_true(pause >= 58 && pause <= 61);
}

/* Where nothing is checked time alone brings the trial. */
static void
test_back_without_checks(void **state)
{
	uint64_t next;

	(void)state;
	end();
	begin(SERVICE("check: { type = \"none\"; };", A "," B));
	assert_int_equal(load_table_attend(table, NOW), UINT64_MAX);
	silence(0, 3, NOW);
	next = load_table_attend(table, NOW + MS);
	assert_int_equal(next, NOW + CLOCK_SECOND);
	assert_false(server_is_up(a));
	load_table_attend(table, next);
	assert_true(server_is_up(a));
	load_table_server_opened(table, 0);
	assert_true(a->avoided);
	load_table_server_opened(table, 0); /* though nobody else is there */
	load_table_server_unanswered(table, 0, SIGNALS_refused, next + CLOCK_SECOND);
	assert_false(server_is_up(a));
	assert_string_equal(server_cause(a), "new connections are refused");
	next = load_table_attend(table, next + CLOCK_SECOND);
	assert_int_equal(next, NOW + 4 * CLOCK_SECOND);
	load_table_attend(table, next);
	load_table_server_opened(table, 0);
	load_table_server_answered(table, 0, 0, next + MS);
	assert_true(server_is_up(a));
	assert_false(a->avoided);
	assert_int_equal(load_table_attend(table, next + 2 * MS), UINT64_MAX);
}

/* A trial that no client repeats says nothing: there is another one. */
static void
test_a_trial_without_result(void **state)
{
	uint64_t now = NOW;

	(void)state;
	end();
	begin(SERVICE("check: { type = \"none\"; };", A "," B));
	silence(0, 1, now);
	for (int i = 0; i < 5; i++) {
		now = load_table_attend(table, now);
		assert_true(now != UINT64_MAX);
		load_table_attend(table, now);
		assert_false(a->avoided);
		load_table_server_opened(table, 0);
		assert_true(a->avoided);
	}
}

/* One whose answers do not pass here cannot be a trial: the server is trusted. */
static void
test_a_trial_that_nobody_sees(void **state)
{
	uint64_t now = NOW;

	(void)state;
	end();
	begin(SERVICE("check: { type = \"none\"; };", A "," B));
	silence(0, 1, now);
	assert_true(a->avoided);
	load_table_server_trust(table, 0); /* nothing is due: nothing changes */
	load_table_server_opened(table, 0);
	assert_true(a->avoided);
	now = load_table_attend(table, now);
	load_table_attend(table, now);
	load_table_server_trust(table, 0);
	load_table_server_opened(table, 0);
	load_table_server_opened(table, 0);
	assert_false(a->avoided);
}

/* A check that fails as well decides; when it passes again nothing of this is left. */
static void
test_checks_decide(void **state)
{
	(void)state;
	silence(0, 3, NOW);
	load_table_server_set_state(table, 0, SERVER_DOWN, "refused", NOW + CLOCK_SECOND);
	assert_string_equal(server_cause(a), "refused");
	assert_false(a->passive_down);
	load_table_server_set_state(table, 0, SERVER_UP, NULL, NOW + 9 * CLOCK_SECOND);
	assert_true(server_usable(a));
	assert_false(a->avoided);
	assert_int_equal(a->signals.unanswered, 0);
	assert_true(server_load(a) == 0);
}

static void
test_reload_to_not_passive(void **state)
{
	struct config *config = fixture_config(SERVICE("passive = false;", A "," B));

	(void)state;
	silence(0, 3, NOW);
	assert_int_equal(web->up, 1);
	load_table_apply(table, config, NOW + MS);
	config_free(config);
	assert_true(server_is_up(a));
	assert_int_equal(web->up, 2);
}

static void
test_removed_while_attended(void **state)
{
	struct config *config = fixture_config(SERVICE("check: { type = \"none\"; };", B));

	(void)state;
	end();
	begin(SERVICE("check: { type = \"none\"; };", A "," B));
	silence(0, 3, NOW);
	load_table_apply(table, config, NOW + MS);
	config_free(config);
	assert_int_equal(load_table_attend(table, NOW + 9 * CLOCK_SECOND), UINT64_MAX);
}

static void
check_sums(void)
{
	uint64_t loaded = 0, active = 0;
	unsigned high = 0;

	for (uint32_t i = 0; i < load_table_servers(table); i++) {
		const struct server *s = load_table_server(table, i);
		double other = s->agent_load > s->signal ? s->agent_load : s->signal;
		uint64_t floor = other > 0 ? (uint64_t)(other * s->max_connections) : 0;

		if (!server_counts(web, s))
			continue;
		active += s->active;
		loaded += s->active > floor ? s->active : floor;
		high += !s->high;
	}
	assert_int_equal(web->active, active);
	assert_int_equal(web->loaded, loaded);
	assert_int_equal(web->not_high, high);
}

/* Whatever happens in whatever order, the sums are what counting finds. */
static void
test_sums_stay_exact(void **state)
{
	uint32_t x = 7;
	uint64_t now = NOW;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		uint32_t n, what;

		x = x * 1664525 + 1013904223;
		n = x >> 31;
		what = x >> 20 & 15;
		now += (x >> 8 & 1023) * MS;
		if (what < 5)
			load_table_server_opened(table, n);
		else if (what < 9 && load_table_server(table, n)->active > 0)
			load_table_server_closed(table, n);
		else if (what == 9)
			load_table_server_unanswered(table, n, SIGNALS_silent, now);
		else if (what == 10)
			load_table_server_answered(table, n, x >> 3 & 0xfffff, now);
		else if (what == 11)
			load_table_server_checked(table, n, x >> 6 & 3, now - MS, now);
		else if (what == 12)
			load_table_server_set_agent(table, n,
			    &(struct server_agent){.load = (x >> 9 & 7) / 6.0 - 0.1,
				.weight = x >> 3 & 127,
				.down = (x >> 5 & 31) == 0,
				.max_connections = x >> 2 & 511},
			    now);
		else if (what == 13)
			load_table_server_set_state(
			    table, n, x >> 4 & 3 ? SERVER_UP : SERVER_DOWN, "x", now);
		else
			load_table_attend(table, now);
		check_sums();
	}
}

static void
test_slow_start(void **state)
{
	uint64_t next, steps = 0, now = NOW;

	(void)state;
	end();
	begin(SERVICE("slow_start = 10.0;", A "," B));
	assert_int_equal(a->ramp, LOAD_RAMP); /* up from the beginning */
	load_table_server_set_state(table, 0, SERVER_DOWN, "refused", now);
	load_table_server_set_state(table, 0, SERVER_UP, NULL, now);
	assert_int_equal(a->ramp, LOAD_RAMP / 16);
	assert_int_equal(b->ramp, LOAD_RAMP);
	counted = 0;
	while ((next = load_table_attend(table, now)) != UINT64_MAX) {
		double part = (double)(now - NOW) / (10 * CLOCK_SECOND);

		assert_true(a->ramp == LOAD_RAMP / 16 ||
		    fabs((double)a->ramp / LOAD_RAMP - part) < 0.005);
		assert_true(next > now);
		now = next;
		steps++;
	}
	assert_in_range(now, NOW + 10 * CLOCK_SECOND, NOW + 10 * CLOCK_SECOND + 30 * MS);
	assert_int_equal(a->ramp, LOAD_RAMP);
	assert_int_equal(counted, LOAD_RAMP - LOAD_RAMP / 16); /* once for each part */
	assert_true(steps <= 501);
}

/* Enabled again by an administrator or its agent, or found to answer again. */
static void
test_slow_start_of_whoever_returns(void **state)
{
	struct server_agent said = SERVER_AGENT_NONE;

	(void)state;
	end();
	begin(SERVICE("slow_start = 10.0; check: { type = \"none\"; };", A "," B));
	load_table_server_set_admin(table, 0, SERVER_DISABLED, NOW);
	load_table_server_set_admin(table, 0, SERVER_ENABLED, NOW);
	assert_int_equal(a->ramp, LOAD_RAMP / 16);
	load_table_attend(table, NOW + 20 * CLOCK_SECOND);
	assert_int_equal(a->ramp, LOAD_RAMP);
	said.maint = true;
	load_table_server_set_agent(table, 0, &said, NOW + 21 * CLOCK_SECOND);
	said.maint = false;
	load_table_server_set_agent(table, 0, &said, NOW + 22 * CLOCK_SECOND);
	assert_int_equal(a->ramp, LOAD_RAMP / 16);
	load_table_attend(table, NOW + 40 * CLOCK_SECOND);
	silence(0, 3, NOW + 41 * CLOCK_SECOND);
	assert_int_equal(a->ramp, LOAD_RAMP);
	load_table_attend(table, NOW + 43 * CLOCK_SECOND);
	assert_true(server_usable(a));
	assert_int_equal(a->ramp, LOAD_RAMP / 16);
}

/* Thousands come back at once: some are looked at in each call, and all get there. */
static void
test_many_start_slowly(void **state)
{
	enum { MANY = 3000 };
	size_t size = 200 + MANY * 60, at;
	char *text = test_malloc(size);
	uint64_t now = NOW, next;
	unsigned calls = 0, most = 0;

	(void)state;
	end();
	at = (size_t)snprintf(text, size,
	    "site=\"x\";services:({name=\"web\";address=\"203.0.113.1\";ports=[80];"
	    "slow_start=30.0;servers:(");
	for (unsigned i = 0; i < MANY; i++)
		at += (size_t)snprintf(text + at, size - at,
		    "%s{name=\"%u\";address=\"10.0.%u.%u\";}", i > 0 ? "," : "", i, i / 250,
		    1 + i % 250);
	snprintf(text + at, size - at, ");});");
	begin(text);
	test_free(text);
	for (uint32_t i = 0; i < MANY; i++)
		load_table_server_set_state(table, i, SERVER_DOWN, "refused", NOW);
	for (uint32_t i = 0; i < MANY; i++)
		load_table_server_set_state(table, i, SERVER_UP, NULL, NOW);
	assert_int_equal(load_table_server(table, MANY - 1)->ramp, LOAD_RAMP / 16);
	counted = 0;
	while ((next = load_table_attend(table, now)) != UINT64_MAX) {
		most = counted > most ? counted : most;
		counted = 0;
		now = next;
		calls++;
	}
	assert_in_range(most, 1, 512); /* changes in one call */
	assert_true(now < NOW + 31 * CLOCK_SECOND);
	assert_true(calls <= 1600);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(load_table_server(table, i)->ramp, LOAD_RAMP);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_avoided_from_the_first),
	    T(test_down_after_three),
	    T(test_an_answer_ends_the_count),
	    T(test_a_burst_is_no_proof),
	    T(test_never_the_last),
	    T(test_a_backup_server_is_another),
	    T(test_not_passive),
	    T(test_back_by_checks),
	    T(test_pauses_grow),
	    T(test_back_without_checks),
	    T(test_a_trial_without_result),
	    T(test_a_trial_that_nobody_sees),
	    T(test_checks_decide),
	    T(test_reload_to_not_passive),
	    T(test_removed_while_attended),
	    T(test_sums_stay_exact),
	    T(test_slow_start),
	    T(test_slow_start_of_whoever_returns),
	    T(test_many_start_slowly),
	};

	return cmocka_run_group_tests_name("table_signals", tests, NULL, NULL);
}
