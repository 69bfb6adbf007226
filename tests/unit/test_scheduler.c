/*
 * scheduler: each kind against its definition.
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
#include "base/xalloc.h"
#include "fixture.h"

static const char three_servers[] =
    "site = \"x\"; services: ( { name = \"web\"; address = [ \"203.0.113.1\", \"2001:db8::1\" "
    "];"
    " protocol = \"tcp\"; ports = [ 80 ]; servers: ("
    " { name = \"a\"; address = \"10.0.0.1\"; weight = 5; max_connections = 100; },"
    " { name = \"b\"; address = [ \"10.0.0.2\", \"2001:db8:1::2\" ]; weight = 1; "
    "max_connections = 100; },"
    " { name = \"c\"; address = \"10.0.0.3\"; weight = 1; max_connections = 100; } ); } );";

struct state {
	struct load_table *table;
	struct scheduler scheduler;
	struct random random;
	struct ip client;
};

static void
on_counted(void *arg, uint32_t server)
{
	struct state *s = arg;

	scheduler_changed(&s->scheduler, s->table, server);
}

static struct state *
begin(const char *config)
{
	struct state *s = test_calloc(1, sizeof(*s));

	s->table = fixture_table(config);
	fixture_all_up(s->table);
	load_table_set_counted(s->table, on_counted, s);
	random_init(&s->random, 42);
	s->client = ip_from_v4("\300\000\002\001");
	return s;
}

static void
end(struct state *s)
{
	scheduler_fini(&s->scheduler);
	load_table_free(s->table);
	test_free(s);
}

static void
refresh(struct state *s)
{
	scheduler_refresh(&s->scheduler, s->table, 0, true, false);
}

/* The service has that scheduler from now on. */
static void
choose(struct state *s, enum config_scheduler kind)
{
	load_table_service(s->table, 0)->scheduler = kind;
	load_table_service(s->table, 0)->version++;
	refresh(s);
}

static uint32_t
pick(struct state *s)
{
	return scheduler_pick(&s->scheduler, s->table, &s->client, &s->random);
}

/* Count servers of weights 1 to range, room for max connections each. */
static struct state *
begin_many(unsigned count, unsigned range, unsigned max)
{
	char *text = xstrdup(
		 "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\";"
		 " ports = [ 80 ]; servers: ( "),
	     *more;
	struct state *s;

	for (unsigned i = 0; i < count; i++) {
		more = xasprintf("%s%s{ name = \"n%u\"; address = \"10.0.%u.%u\"; weight = %u;"
				 " max_connections = %u; }",
		    text, i > 0 ? ", " : "", i, i / 250, 1 + i % 250, 1 + i * 7 % range, max);
		free(text);
		text = more;
	}
	more = xasprintf("%s ); } );", text);
	s = begin(more);
	free(text);
	free(more);
	return s;
}

static int
setup(void **arg)
{
	struct state *s = begin(three_servers);

	refresh(s);
	*arg = s;
	return 0;
}

static int
teardown(void **arg)
{
	end(*arg);
	return 0;
}

static void
fill(struct state *s, uint32_t server, uint64_t active)
{
	load_table_server(s->table, server)->active = active - 1;
	load_table_server_opened(s->table, server);
}

static void
drain(struct state *s, uint32_t server)
{
	load_table_server(s->table, server)->active = 1;
	load_table_server_closed(s->table, server);
}

/* ---- rr, wrr, twos ---- */

static void
test_rr_takes_turns(void **arg)
{
	choose(*arg, CONFIG_RR);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(pick(*arg), i % 3);
	fill(*arg, 1, 100);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(pick(*arg), i % 2 * 2);
}

/* A list made anew does not begin at the first server again. */
static void
test_rr_goes_on(void **arg)
{
	struct state *s = *arg;

	choose(s, CONFIG_RR);
	for (uint32_t i = 0; i < 12; i++) {
		choose(s, CONFIG_RR);
		assert_int_equal(pick(s), i % 3);
	}
}

/* The manual's sequence for weights 5, 1, 1. */
static void
test_wrr_is_smooth(void **arg)
{
	static const uint32_t expected[] = {0, 1, 0, 0, 0, 2, 0};

	choose(*arg, CONFIG_WRR);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 7; i++)
			assert_int_equal(pick(*arg), expected[i]);
	}
}

/* Chi-square of what was counted against shares; the limit is that of one in a million. */
static void
assert_distributed(const unsigned *count, const double *share, size_t kinds, unsigned picks)
{
	double sum = 0, freedom = (double)kinds - 1;
	/* Wilson and Hilferty's approximation of the quantile */
	double limit = freedom * pow(1 - 2 / (9 * freedom) + 4.753 * sqrt(2 / (9 * freedom)), 3);

	for (size_t i = 0; i < kinds; i++) {
		double expected = share[i] * picks, off = count[i] - expected;

		assert_true(expected > 5);
		sum += off * off / expected;
	}
	if (sum > limit)
		fail_msg("chi-square %f, limit %f", sum, limit);
}

/* Idle servers, no feedback: the better by weight of two random ones, the first of equal ones. */
static void
test_twos_without_feedback(void **arg)
{
	unsigned count[3] = {0};
	double light = 2.0 / 7 * (2.0 / 7) / 2, share[] = {1 - 2 * light, light, light};

	for (int i = 0; i < 70000; i++)
		count[pick(*arg)]++;
	assert_distributed(count, share, 3, 70000);
}

/* The load is equal where it is in proportion to the weights: then the picks are as well. */
static void
test_twos_in_balance(void **arg)
{
	unsigned count[3] = {0};
	static const double share[] = {5.0 / 7, 1.0 / 7, 1.0 / 7};

	fill(*arg, 0, 49);
	fill(*arg, 1, 9);
	fill(*arg, 2, 9);
	for (int i = 0; i < 70000; i++)
		count[pick(*arg)]++;
	assert_distributed(count, share, 3, 70000);
}

/* With connections that stay, the shares follow the weights. */
static void
test_twos_fills_by_weight(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 70; i++)
		load_table_server_opened(s->table, pick(s));
	assert_in_range(load_table_server(s->table, 0)->active, 45, 55);
	assert_in_range(load_table_server(s->table, 1)->active, 7, 13);
	assert_in_range(load_table_server(s->table, 2)->active, 7, 13);
}

/* ---- those that keep an order, against looking at all servers ---- */

struct model {
	uint64_t last[64], turn;
};

/* True if a goes before b by the definition. */
static bool
goes_before(struct state *s, const struct model *m, uint32_t a, uint32_t b)
{
	const struct server *x = load_table_server(s->table, a);
	const struct server *y = load_table_server(s->table, b);
	uint64_t more = 0, left, right;

	switch (s->scheduler.kind) {
	case CONFIG_LC:
		left = x->active;
		right = y->active;
		break;
	case CONFIG_OVF:
		return x->weight != y->weight ? x->weight > y->weight : a < b;
	case CONFIG_NQ:
		if ((x->active == 0) != (y->active == 0))
			return x->active == 0;
		if (x->active == 0)
			return m->last[a] < m->last[b];
		more = 1;
		left = (x->active + more) * y->weight;
		right = (y->active + more) * x->weight;
		break;
	default:
		more = s->scheduler.kind == CONFIG_SED;
		left = (x->active + more) * y->weight;
		right = (y->active + more) * x->weight;
	}
	return left != right ? left < right : m->last[a] < m->last[b];
}

static uint32_t
pick_slowly(struct state *s, struct model *m)
{
	uint32_t best = LOAD_NONE;

	for (uint32_t i = 0; i < load_table_servers(s->table); i++) {
		const struct server *server = load_table_server(s->table, i);

		if (server_usable(server) && server->active < server->max_connections &&
		    (best == LOAD_NONE || goes_before(s, m, i, best)))
			best = i;
	}
	if (best != LOAD_NONE)
		m->last[best] = ++m->turn;
	return best;
}

/* Connections come and go, servers fill up, go down and come back. */
static void
check_order(enum config_scheduler kind)
{
	struct state *s = begin_many(40, 9, 12);
	struct model model = {{0}, 40};

	for (unsigned i = 0; i < 40; i++)
		model.last[i] = i;
	choose(s, kind);
	for (int step = 0; step < 40000; step++) {
		uint32_t server = random_below(&s->random, 40), expected;
		/* the load rises and falls; at times everything is full, or idle */
		bool opens = random_below(&s->random, 20) < (step / 2000 % 2 ? 13u : 7u);

		if (random_below(&s->random, 200) == 0) {
			load_table_server_set_state(s->table, server,
			    random_below(&s->random, 4) ? SERVER_UP : SERVER_DOWN, NULL, 1);
			refresh(s);
		} else if (!opens && load_table_server(s->table, server)->active > 0) {
			load_table_server_closed(s->table, server);
		} else if (opens) {
			expected = pick_slowly(s, &model);
			assert_int_equal(scheduler_next(&s->scheduler, &s->client), expected);
			assert_int_equal(pick(s), expected);
			if (expected != LOAD_NONE)
				load_table_server_opened(s->table, expected);
		}
	}
	end(s);
}

static void
test_orders(void **arg)
{
	(void)arg;
	check_order(CONFIG_LC);
	check_order(CONFIG_WLC);
	check_order(CONFIG_SED);
	check_order(CONFIG_NQ);
	check_order(CONFIG_OVF);
}

/* The textbook differences between them, weights 5, 1, 1. */
static void
test_orders_by_example(void **arg)
{
	struct state *s = *arg;

	fill(s, 0, 4);
	fill(s, 1, 1);
	fill(s, 2, 2);
	choose(s, CONFIG_LC); /* 4, 1, 2 */
	assert_int_equal(pick(s), 1);
	choose(s, CONFIG_WLC); /* 0.8, 1, 2 */
	assert_int_equal(pick(s), 0);
	drain(s, 1);
	choose(s, CONFIG_WLC); /* 0.8, 0, 2 */
	assert_int_equal(pick(s), 1);
	fill(s, 0, 3);
	choose(s, CONFIG_SED); /* 4/5, 1/1, 3/1 */
	assert_int_equal(pick(s), 0);
	choose(s, CONFIG_NQ); /* b is idle */
	assert_int_equal(pick(s), 1);
	choose(s, CONFIG_OVF);
	for (int i = 3; i < 100; i++) {
		assert_int_equal(pick(s), 0);
		load_table_server_opened(s->table, 0);
	}
	assert_int_equal(pick(s), 1);
	load_table_server_closed(s->table, 0);
	assert_int_equal(pick(s), 0);
}

/* Idle servers and connections that are over at once: all have their turn. */
static void
test_equals_take_turns(void **arg)
{
	static const enum config_scheduler kinds[] = {CONFIG_LC, CONFIG_WLC, CONFIG_NQ};

	for (size_t k = 0; k < 3; k++) {
		unsigned count[3] = {0};

		choose(*arg, kinds[k]);
		for (int i = 0; i < 30; i++)
			count[pick(*arg)]++;
		for (int i = 0; i < 3; i++)
			assert_int_equal(count[i], 10);
	}
}

/* ---- the list ---- */

static void
test_full_servers_are_passed_over(void **arg)
{
	struct state *s = *arg;

	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		choose(s, (enum config_scheduler)kind);
		fill(s, 0, 100);
		fill(s, 1, 100);
		for (int i = 0; i < 50; i++)
			assert_int_equal(pick(s), 2);
		fill(s, 2, 100);
		assert_int_equal(pick(s), LOAD_NONE);
		assert_int_equal(scheduler_next(&s->scheduler, &s->client), LOAD_NONE);
		drain(s, 2);
		assert_int_equal(pick(s), 2);
		drain(s, 0);
		drain(s, 1);
	}
}

/* What is full while the list is made is no candidate either, and is one when it has room. */
static void
test_full_from_the_start(void **arg)
{
	struct state *s = *arg;

	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		fill(s, 0, 100);
		fill(s, 1, 100);
		fill(s, 2, 100);
		choose(s, (enum config_scheduler)kind);
		assert_int_equal(pick(s), LOAD_NONE);
		load_table_server_closed(s->table, 1);
		assert_int_equal(pick(s), 1);
	}
}

static unsigned
candidates(const struct scheduler *s)
{
	unsigned count = 0;

	for (size_t i = 0; i < s->count; i++)
		count += s->weight[i] > 0;
	return count;
}

static void
test_list_follows_state_family_and_weight(void **arg)
{
	struct state *s = *arg;

	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		fixture_all_up(s->table);
		load_table_server_set_admin(s->table, 2, SERVER_ENABLED, 2);
		choose(s, (enum config_scheduler)kind);
		assert_int_equal(candidates(&s->scheduler), 3);
		load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", 2);
		load_table_server_set_admin(s->table, 2, SERVER_DRAINING, 2);
		refresh(s);
		assert_int_equal(candidates(&s->scheduler), 1);
		assert_int_equal(pick(s), 1);
		load_table_server_set_state(s->table, 1, SERVER_DOWN, "refused", 2);
		refresh(s);
		assert_int_equal(pick(s), LOAD_NONE);
	}
}

static void
test_family(void **arg)
{
	struct state *s = *arg;
	struct scheduler v6 = {0};

	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		choose(s, (enum config_scheduler)kind);
		scheduler_refresh(&v6, s->table, 0, false, false);
		assert_int_equal(candidates(&v6), 1);
		assert_int_equal(scheduler_pick(&v6, s->table, &s->client, &s->random), 1);
	}
	scheduler_fini(&v6);
}

static void
test_weight_zero_and_backup(void **arg)
{
	struct state *s = begin(
	    "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\";"
	    " protocol = \"tcp\"; ports = [ 80 ]; servers: ("
	    " { name = \"a\"; address = \"10.0.0.1\"; weight = 0; },"
	    " { name = \"b\"; address = \"10.0.0.2\"; weight = 3; },"
	    " { name = \"c\"; address = \"10.0.0.3\"; backup = true; },"
	    " { name = \"d\"; address = \"10.0.0.4\"; backup = true; weight = 0; } ); } );");
	struct scheduler backup = {0};

	(void)arg;
	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		choose(s, (enum config_scheduler)kind);
		scheduler_refresh(&backup, s->table, 0, true, true);
		assert_int_equal(candidates(&s->scheduler), 1);
		assert_int_equal(candidates(&backup), 1);
		for (int i = 0; i < 20; i++) {
			assert_int_equal(pick(s), 1);
			assert_int_equal(
			    scheduler_pick(&backup, s->table, &s->client, &s->random), 2);
		}
	}
	scheduler_fini(&backup);
	end(s);
}

/* A reload puts other servers at a place; what is told of the old ones changes nothing. */
static void
test_changes_of_strangers(void **arg)
{
	struct state *s = *arg;
	struct config *config = fixture_config(
	    "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\"; ports = [ "
	    "80 ];"
	    " scheduler = \"lc\"; servers: ( { name = \"n\"; address = \"10.0.0.9\"; },"
	    " { name = \"c\"; address = \"10.0.0.3\"; max_connections = 7; } ); } );");

	fill(s, 0, 3);
	load_table_apply(s->table, config, 5);
	config_free(config);
	fixture_all_up(s->table);
	refresh(s);
	assert_int_equal(s->scheduler.count, 2);
	load_table_server_closed(s->table, 0);
	load_table_server_opened(s->table, 1);
	fill(s, 3, 2);
	assert_int_equal(pick(s), 2);
	fill(s, 2, 7);
	assert_int_equal(pick(s), 3);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_rr_takes_turns),
	    T(test_rr_goes_on),
	    T(test_wrr_is_smooth),
	    T(test_twos_without_feedback),
	    T(test_twos_in_balance),
	    T(test_twos_fills_by_weight),
	    T(test_orders),
	    T(test_orders_by_example),
	    T(test_equals_take_turns),
	    T(test_full_servers_are_passed_over),
	    T(test_full_from_the_start),
	    T(test_list_follows_state_family_and_weight),
	    T(test_family),
	    T(test_weight_zero_and_backup),
	    T(test_changes_of_strangers),
	};

	return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
