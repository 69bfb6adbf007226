#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "allocation/scheduler.h"
#include "fixture.h"

static const char three_servers[] =
    "site = \"x\"; services: ( { name = \"web\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ];"
    " protocol = \"tcp\"; ports = [ 80 ]; servers: ("
    " { name = \"a\"; address = \"10.0.0.1\"; weight = 5; max_connections = 100; },"
    " { name = \"b\"; address = [ \"10.0.0.2\", \"2001:db8:1::2\" ]; weight = 1; max_connections = 100; },"
    " { name = \"c\"; address = \"10.0.0.3\"; weight = 1; max_connections = 100; } ); } );";

struct state {
	struct load_table *table;
	struct scheduler scheduler;
	struct random random;
};

static int
setup(void **arg)
{
	struct state *s = test_calloc(1, sizeof(*s));

	s->table = fixture_table(three_servers);
	fixture_all_up(s->table);
	random_init(&s->random, 42);
	scheduler_refresh(&s->scheduler, s->table, 0, true);
	*arg = s;
	return 0;
}

static int
teardown(void **arg)
{
	struct state *s = *arg;

	scheduler_fini(&s->scheduler);
	load_table_free(s->table);
	test_free(s);
	return 0;
}

static uint32_t
pick(struct state *s, enum config_scheduler kind)
{
	return scheduler_pick(&s->scheduler, s->table, kind, &s->random);
}

static void
test_rr_takes_turns(void **arg)
{
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(pick(*arg, CONFIG_RR), i % 3);
}

/* The published sequence of smooth weighted round robin for weights 5, 1, 1. */
static void
test_wrr_is_smooth(void **arg)
{
	static const uint32_t expected[] = {0, 0, 1, 0, 2, 0, 0};

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 7; i++)
			assert_int_equal(pick(*arg, CONFIG_WRR), expected[i]);
	}
}

/* Idle servers, no feedback: the first of two weighted picks wins ties of (active + 1) / weight, so the heavy server
 * gets more than its weight: 1 - (2/7)^2. */
static void
test_twos_without_feedback(void **arg)
{
	unsigned count[3] = {0};
	double expected = 1 - (2.0 / 7) * (2.0 / 7);

	for (int i = 0; i < 70000; i++)
		count[pick(*arg, CONFIG_TWOS)]++;
	assert_true(fabs(count[0] / 70000.0 - expected) < 0.01);
	assert_true(fabs((double)count[1] - count[2]) < 600);
}

/* With connections that stay, the shares follow the weights. */
static void
test_twos_fills_by_weight(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 70; i++)
		load_table_server_opened(s->table, pick(s, CONFIG_TWOS));
	assert_in_range(load_table_server(s->table, 0)->active, 45, 55);
	assert_in_range(load_table_server(s->table, 1)->active, 7, 13);
	assert_in_range(load_table_server(s->table, 2)->active, 7, 13);
}

static void
test_full_servers_are_passed_over(void **arg)
{
	struct state *s = *arg;

	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++) {
		load_table_server(s->table, 0)->active = 100;
		load_table_server(s->table, 1)->active = 100;
		for (int i = 0; i < 50; i++)
			assert_int_equal(pick(s, (enum config_scheduler)kind), 2);
		load_table_server(s->table, 2)->active = 100;
		assert_int_equal(pick(s, (enum config_scheduler)kind), LOAD_NONE);
		load_table_server(s->table, 2)->active = 0;
	}
}

static void
test_list_follows_state_family_and_weight(void **arg)
{
	struct state *s = *arg;

	assert_int_equal(s->scheduler.count, 3);
	load_table_server_set_state(s->table, 0, SERVER_DOWN, "refused", 2);
	load_table_server_set_admin(s->table, 2, SERVER_DRAINING, 2);
	scheduler_refresh(&s->scheduler, s->table, 0, true);
	assert_int_equal(s->scheduler.count, 1);
	assert_int_equal(pick(s, CONFIG_RR), 1);
	load_table_server_set_state(s->table, 1, SERVER_DOWN, "refused", 2);
	scheduler_refresh(&s->scheduler, s->table, 0, true);
	assert_int_equal(pick(s, CONFIG_TWOS), LOAD_NONE);
}

static void
test_family(void **arg)
{
	struct state *s = *arg;
	struct scheduler v6 = {0};

	scheduler_refresh(&v6, s->table, 0, false);
	assert_int_equal(v6.count, 1);
	assert_int_equal(v6.servers[0], 1);
	scheduler_fini(&v6);
}

static void
test_weight_zero_gets_nothing(void **arg)
{
	struct load_table *table = fixture_table(
	    "site = \"x\"; services: ( { name = \"web\"; address = \"203.0.113.1\";"
	    " protocol = \"tcp\"; ports = [ 80 ]; servers: ("
	    " { name = \"a\"; address = \"10.0.0.1\"; weight = 0; },"
	    " { name = \"b\"; address = \"10.0.0.2\"; weight = 3; } ); } );");
	struct scheduler scheduler = {0};

	(void)arg;
	fixture_all_up(table);
	scheduler_refresh(&scheduler, table, 0, true);
	assert_int_equal(scheduler.count, 1);
	assert_int_equal(scheduler.servers[0], 1);
	scheduler_fini(&scheduler);
	load_table_free(table);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_rr_takes_turns),
	    T(test_wrr_is_smooth),
	    T(test_twos_without_feedback),
	    T(test_twos_fills_by_weight),
	    T(test_full_servers_are_passed_over),
	    T(test_list_follows_state_family_and_weight),
	    T(test_family),
	    T(test_weight_zero_gets_nothing),
	};

	return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
