/*
 * scheduler: a list that follows changes of single servers is the list that is made anew after them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "allocation/allocation.h"
#include "allocation/scheduler.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "fixture.h"

#define NOW     (1000 * CLOCK_SECOND)
#define SERVERS 23
#define CHANGES 2000

static struct load_table *
make_table(enum config_scheduler kind)
{
	char text[8192];
	size_t at;
	struct config *config;
	struct load_table *table = load_table_new();

	at = (size_t)snprintf(text, sizeof(text),
	    "site = \"x\"; services: ({ name = \"web\"; address = \"203.0.113.1\"; ports = [ "
	    "80 ]; "
	    "slow_start = 5; servers: (");
	for (unsigned i = 0; i < SERVERS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%s{ name = \"s%u\"; address = \"10.0.0.%u\"; weight = %u; max_connections "
		    "= 4; "
		    "backup = %s; }",
		    i > 0 ? "," : "", i, 1 + i, i % 5, i % 6 == 5 ? "true" : "false");
	snprintf(text + at, sizeof(text) - at, "); });");
	config = fixture_config(text);
	config->services[0].scheduler = kind;
	load_table_apply(table, config, 1);
	config_free(config);
	return table;
}

static void
change(struct load_table *table, struct random *random, uint64_t now)
{
	uint32_t number = random_below(random, SERVERS);
	struct server_agent said = SERVER_AGENT_NONE;

	switch (random_below(random, 8)) {
	case 0:
	case 1:
	case 2:
		load_table_server_set_state(table, number,
		    random_below(random, 3) ? SERVER_UP : SERVER_DOWN, NULL, now);
		break;
	case 3:
		load_table_server_set_admin(
		    table, number, (enum server_admin)random_below(random, 3), now);
		break;
	case 4:
		load_table_server_set_weight(table, number,
		    random_below(random, 2) ? random_below(random, 3) : LOAD_NONE);
		break;
	case 5:
		said.weight = random_below(random, 4) * 50;
		said.max_connections = random_below(random, 4);
		load_table_server_set_agent(table, number, &said, now);
		break;
	case 6:
		load_table_server_unanswered(table, number, SIGNALS_silent, now);
		break;
	default:
		load_table_attend(table, now);
	}
}

/* What a connection is chosen from; in order: who is in it. */
static void
compare(const struct scheduler *kept, struct load_table *table)
{
	struct scheduler anew = {.version = 0};
	size_t members = 0;

	scheduler_refresh(&anew, table, 0, kept->v4, kept->backup);
	assert_int_equal(kept->version, anew.version);
	assert_int_equal(kept->count, anew.count);
	assert_int_equal(kept->room.total, anew.room.total);
	assert_int_equal(kept->doubtful.total, anew.doubtful.total);
	assert_int_equal(kept->heap.count, anew.heap.count);
	assert_int_equal(kept->turns.heap.count, anew.turns.heap.count);
	for (uint32_t i = 0; i < anew.count; i++) {
		assert_int_equal(kept->weight[i], anew.weight[i]);
		assert_int_equal(kept->room.value[i], anew.room.value[i]);
		assert_int_equal(kept->doubtful.value[i], anew.doubtful.value[i]);
		if (anew.heap.count > 0)
			assert_int_equal(kept->heap.position[i] == HEAP_NONE,
			    anew.heap.position[i] == HEAP_NONE);
		if (anew.kind == CONFIG_WRR)
			assert_int_equal(kept->turns.weight[i], anew.turns.weight[i]);
		if (anew.kind == CONFIG_SH)
			assert_int_equal(kept->share[i], anew.share[i]);
		members += anew.weight[i] > 0;
	}
	if (anew.kind == CONFIG_WRR)
		assert_int_equal(kept->turns.heap.count, members);
	scheduler_fini(&anew);
}

static void
follow(enum config_scheduler kind)
{
	struct load_table *table = make_table(kind);
	struct allocation *a = allocation_new(table, 1);
	uint32_t open[8];
	struct random random;
	unsigned served = 0;

	for (size_t i = 0; i < 8; i++)
		open[i] = LOAD_NONE;
	random_init(&random, (uint64_t)kind + 1);
	for (unsigned i = 0; i < CHANGES; i++) {
		uint64_t now = NOW + i * (CLOCK_SECOND / 50);
		struct allocation_decision decision;
		uint32_t octets = (uint32_t)random_next(&random);
		struct ip client = ip_from_v4(&octets);

		for (unsigned k = random_below(&random, 4); k > 0; k--)
			change(table, &random, now);
		if (open[i % 8] != LOAD_NONE)
			load_table_server_closed(table, open[i % 8]);
		allocation_decide(a, 0, &client, &random, now, &decision);
		open[i % 8] = decision.server;
		if (decision.server != LOAD_NONE) {
			const struct server *server = load_table_server(table, decision.server);

			assert_true(server_usable(server));
			assert_true(server->weight > 0);
			assert_true(server->active < server->max_connections);
			load_table_server_opened(table, decision.server);
			served++;
		}
		compare(allocation_candidates(a, 0, true), table);
	}
	assert_true(served > CHANGES / 2);
	allocation_free(a);
	load_table_free(table);
}

static void
test_all_kinds(void **arg)
{
	(void)arg;
	for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++)
		follow((enum config_scheduler)kind);
}

/* One that comes to be chosen has its turns at once, and only its part of them. */
static void
test_turns_of_who_comes(void **arg)
{
	static const uint32_t weights[] = {5, 1, 1};
	unsigned taken[3] = {0};
	struct turns t = {0};

	(void)arg;
	turns_build(&t, weights, 3);
	for (int flap = 0; flap < 1000; flap++) {
		for (int i = 0; i < flap % 9; i++)
			turns_next(&t);
		turns_set(&t, (uint32_t)flap % 3, 0);
		for (int i = 0; i < flap % 5; i++)
			assert_int_not_equal(turns_next(&t), flap % 3);
		turns_set(&t, (uint32_t)flap % 3, weights[flap % 3]);
	}
	for (int i = 0; i < 700; i++)
		taken[turns_next(&t)]++;
	assert_in_range(taken[0], 495, 505);
	assert_in_range(taken[1], 96, 104);
	assert_in_range(taken[2], 96, 104);
	for (uint32_t i = 0; i < 3; i++)
		turns_set(&t, i, 0);
	assert_int_equal(turns_next(&t), TURNS_NONE);
	turns_set(&t, 1, 7);
	assert_int_equal(turns_next(&t), 1);
	turns_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_kinds),
	    cmocka_unit_test(test_turns_of_who_comes),
	};

	return cmocka_run_group_tests_name("scheduler_follow", tests, NULL, NULL);
}
