/*
 * Holds the calculated shares to what the scheduler really does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "control/shares.h"
#include "fixture.h"

#define PICKS     400000
#define TOLERANCE 0.005 /* six standard deviations of a share of a half */

struct server_case {
	unsigned weight, active, max;
};

static struct load_table *
make_table(const struct server_case *servers, size_t count)
{
	char *text =
		 xstrdup("site = \"x\"; services: ( { name = \"s\"; address = \"203.0.113.1\";"
			 " protocol = \"tcp\"; ports = [ 80 ]; servers: ( "),
	     *more;
	struct load_table *table;

	for (size_t i = 0; i < count; i++) {
		more = xasprintf("%s%s{ name = \"n%zu\"; address = \"10.0.0.%zu\"; weight = %u;"
				 " max_connections = %u; }",
		    text, i > 0 ? ", " : "", i, i + 1, servers[i].weight, servers[i].max);
		free(text);
		text = more;
	}
	more = xasprintf("%s ); } );", text);
	table = fixture_table(more);
	free(text);
	free(more);
	fixture_all_up(table);
	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; k < servers[i].active; k++)
			load_table_server_opened(table, (uint32_t)i);
	return table;
}

/* Picks many times; the load stays what it is. */
static void
assert_shares(const struct server_case *servers, size_t count, enum config_scheduler kind)
{
	struct load_table *table = make_table(servers, count);
	struct ip client = ip_from_v4("\300\000\002\001");
	struct scheduler s = {0};
	struct random random;
	unsigned *picked = xcalloc(count, sizeof(*picked));
	double *share = xcalloc(count + 1, sizeof(*share)), sum = 0;

	random_init(&random, 99);
	load_table_service(table, 0)->scheduler = kind;
	scheduler_refresh(&s, table, 0, true, false);
	shares_calculate(&s, table, &client, share);
	for (int i = 0; i < PICKS; i++) {
		uint32_t number = scheduler_pick(&s, table, &client, &random);

		if (number != LOAD_NONE)
			picked[number]++;
	}
	for (size_t i = 0; i < s.count; i++) {
		double measured = (double)picked[s.servers[i]] / PICKS;

		sum += share[i];
		if (fabs(measured - share[i]) > TOLERANCE)
			fail_msg("server %u: %f calculated, %f measured", s.servers[i],
			    share[i], measured);
	}
	if (sum != 0)
		assert_float_equal(sum, 1, 1e-9);
	free(picked);
	free(share);
	scheduler_fini(&s);
	load_table_free(table);
}

#define N(list) (sizeof(list) / sizeof((list)[0]))

static void
test_twos(void **arg)
{
	static const struct server_case one[] = {{1, 0, 10}};
	static const struct server_case equal[] = {{1, 5, 10}, {1, 5, 10}, {1, 5, 10}};
	static const struct server_case unequal[] = {
	    {1, 9, 10}, {2, 5, 10}, {4, 0, 10}, {4, 7, 10}};
	/* equal (active + 1) / weight with unequal weights */
	static const struct server_case ties[] = {{1, 1, 10}, {2, 3, 10}, {3, 5, 10}, {1, 0, 10}};

	(void)arg;
	assert_shares(one, N(one), CONFIG_TWOS);
	assert_shares(equal, N(equal), CONFIG_TWOS);
	assert_shares(unequal, N(unequal), CONFIG_TWOS);
	assert_shares(ties, N(ties), CONFIG_TWOS);
}

/* Full servers are left out of the draw. */
static void
test_twos_full(void **arg)
{
	static const struct server_case half[] = {{5, 10, 10}, {1, 3, 10}, {3, 5, 10}, {4, 4, 4}};
	static const struct server_case few[] = {
	    {60000, 2, 2}, {1, 0, 9}, {60000, 2, 2}, {60000, 2, 2}, {1, 0, 9}};
	static const struct server_case mostly[] = {{20, 2, 2}, {1, 0, 9}, {1, 5, 9}, {20, 2, 2}};
	static const struct server_case all[] = {{1, 2, 2}, {1, 3, 3}};

	(void)arg;
	assert_shares(half, N(half), CONFIG_TWOS);
	assert_shares(few, N(few), CONFIG_TWOS);
	assert_shares(mostly, N(mostly), CONFIG_TWOS);
	assert_shares(all, N(all), CONFIG_TWOS);
}

static void
test_turns(void **arg)
{
	static const struct server_case some[] = {{1, 0, 9}, {5, 8, 9}, {3, 1, 9}, {0, 0, 9}};
	static const struct server_case full[] = {{1, 0, 9}, {5, 9, 9}, {3, 1, 9}};

	(void)arg;
	assert_shares(some, N(some), CONFIG_RR);
	assert_shares(some, N(some), CONFIG_WRR);
	assert_shares(full, N(full), CONFIG_RR);
}

static void
test_none(void **arg)
{
	static const struct server_case weightless[] = {{0, 0, 9}};

	(void)arg;
	assert_shares(weightless, 1, CONFIG_TWOS);
	assert_shares(weightless, 1, CONFIG_RR);
}

/* Where the next server is certain: it is the one that is picked, for each client. */
static void
assert_certain(const struct server_case *servers, size_t count, enum config_scheduler kind)
{
	struct load_table *table = make_table(servers, count);
	double *share = xcalloc(count, sizeof(*share));
	struct scheduler s = {0};
	struct random random;

	random_init(&random, 7);
	load_table_service(table, 0)->scheduler = kind;
	scheduler_refresh(&s, table, 0, true, false);
	for (unsigned i = 0; i < 100; i++) {
		uint8_t octets[4] = {192, 0, 2, (uint8_t)i};
		struct ip client = ip_from_v4(octets);
		uint32_t next;

		shares_calculate(&s, table, &client, share);
		next = scheduler_pick(&s, table, &client, &random);
		for (uint32_t k = 0; k < count; k++)
			assert_true(share[k] == (k == next));
	}
	free(share);
	scheduler_fini(&s);
	load_table_free(table);
}

static void
test_certain(void **arg)
{
	static const struct server_case some[] = {
	    {1, 0, 9}, {5, 8, 9}, {3, 1, 9}, {0, 0, 9}, {7, 9, 9}, {2, 0, 5}};
	static const struct server_case full[] = {{1, 2, 2}, {1, 3, 3}};

	(void)arg;
	for (int kind = CONFIG_LC; kind < CONFIG_SCHEDULERS; kind++) {
		assert_certain(some, N(some), (enum config_scheduler)kind);
		assert_shares(full, N(full), (enum config_scheduler)kind);
	}
}

/* Many servers of all sorts. */
static void
test_long_list(void **arg)
{
	enum { COUNT = 250 };
	struct server_case servers[COUNT];

	(void)arg;
	for (unsigned i = 0; i < COUNT; i++)
		servers[i] = (struct server_case){1 + i * 37 % 11, i * 53 % 20, 20};
	assert_shares(servers, COUNT, CONFIG_TWOS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_twos),
	    cmocka_unit_test(test_twos_full),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_certain),
	    cmocka_unit_test(test_long_list),
	};

	return cmocka_run_group_tests_name("control_shares", tests, NULL, NULL);
}
