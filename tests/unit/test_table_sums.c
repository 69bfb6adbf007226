/*
 * table_sums: the sums over a service's servers, kept as each server changes, are those that
 * counting all of them gives: over random changes, with and without backup servers, over
 * reloads, and with thousands of servers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "fixture.h"

#define NOW     (1000 * CLOCK_SECOND)
#define CHANGES 30000

struct sums {
	uint32_t serving[2], up, not_high;
	uint64_t capacity, active, loaded;
};

/* Numbers first to first + count - 1; of every backup_every'th a backup server, 0: none. */
static char *
service_text(unsigned first, unsigned count, unsigned backup_every, const char *more)
{
	size_t size = 512 + (size_t)count * 128, at;
	char *text = xmalloc(size);

	at = (size_t)snprintf(text, size,
	    "site = \"x\"; services: ({ name = \"web\"; address = \"203.0.113.1\"; ports = [ "
	    "80 ]; "
	    "high_load = 0.5; %s servers: (",
	    more);
	for (unsigned i = first; i < first + count; i++)
		at += (size_t)snprintf(text + at, size - at,
		    "%s{ name = \"s%u\"; address = \"10.0.%u.%u\"; weight = %u; "
		    "max_connections = %u; backup = %s; }",
		    i > first ? "," : "", i, i / 250, 1 + i % 250, i % 7, 4 + i % 13,
		    backup_every != 0 && i % backup_every == 0 ? "true" : "false");
	snprintf(text + at, size - at, "); });");
	return text;
}

static void
apply(struct load_table *table, char *text)
{
	struct config *config = fixture_config(text);

	load_table_apply(table, config, NOW);
	config_free(config);
	free(text);
}

static bool
may_serve(const struct server *server)
{
	return server_usable(server) && server->weight > 0;
}

static struct sums
count_all(struct load_table *table)
{
	const struct service *web = load_table_service(table, 0);
	struct sums sums = {.up = 0};

	for (size_t i = 0; i < web->servers_count; i++) {
		const struct server *s = load_table_server(table, web->servers[i]);

		sums.serving[s->backup] += may_serve(s);
	}
	for (size_t i = 0; i < web->servers_count; i++) {
		const struct server *s = load_table_server(table, web->servers[i]);
		double floor = s->agent_load > s->signal ? s->agent_load : s->signal;
		uint64_t least = floor > 0 ? (uint64_t)(floor * s->max_connections) : 0;

		if (!may_serve(s) || s->backup != (sums.serving[0] == 0))
			continue;
		sums.up++;
		sums.not_high += !s->high;
		sums.capacity += s->max_connections;
		sums.active += s->active;
		sums.loaded += s->active > least ? s->active : least;
	}
	return sums;
}

static void
compare(struct load_table *table)
{
	const struct service *web = load_table_service(table, 0);
	struct sums all = count_all(table);

	assert_int_equal(web->serving[0], all.serving[0]);
	assert_int_equal(web->serving[1], all.serving[1]);
	assert_int_equal(web->on_backup, all.serving[0] == 0 && all.serving[1] > 0);
	assert_int_equal(web->up, all.up);
	assert_int_equal(web->not_high, all.not_high);
	assert_int_equal(web->capacity, all.capacity);
	assert_int_equal(web->active, all.active);
	assert_int_equal(web->loaded, all.loaded);
}

/* Between what high_load and its hysteresis allow, a server is either. */
static void
compare_high(struct load_table *table)
{
	const struct service *web = load_table_service(table, 0);

	for (size_t i = 0; i < web->servers_count; i++) {
		const struct server *s = load_table_server(table, web->servers[i]);

		if (server_load(s) >= web->high_load)
			assert_true(s->high);
		else if (server_load(s) < web->high_load - 0.06)
			assert_false(s->high);
	}
}

static void
say(struct load_table *table, uint32_t number, struct random *random, uint64_t now)
{
	struct server_agent said = SERVER_AGENT_NONE;

	said.load = (double)random_below(random, 6) / 4 - 0.25;
	said.weight = random_below(random, 4) * 50;
	said.down = random_below(random, 8) == 0;
	said.drain = random_below(random, 8) == 0;
	said.maint = random_below(random, 8) == 0;
	said.max_connections = random_below(random, 3) * 3;
	load_table_server_set_agent(table, number, &said, now);
}

static void
change(struct load_table *table, struct random *random, uint64_t now)
{
	uint32_t number = random_below(random, load_table_servers(table));
	struct server *s = load_table_server(table, number);

	switch (random_below(random, 12)) {
	case 0:
	case 1:
		load_table_server_set_state(table, number,
		    random_below(random, 3) ? SERVER_UP : SERVER_DOWN, NULL, now);
		break;
	case 2:
		load_table_server_set_admin(
		    table, number, (enum server_admin)random_below(random, 3), now);
		break;
	case 3:
		load_table_server_set_weight(table, number,
		    random_below(random, 2) ? random_below(random, 3) : LOAD_NONE);
		break;
	case 4:
		say(table, number, random, now);
		break;
	case 5:
		load_table_server_set_script(
		    table, number, (double)random_below(random, 6) / 4 - 0.25);
		break;
	case 6:
		load_table_server_unanswered(table, number, SIGNALS_silent, now);
		break;
	case 7:
		load_table_server_answered(table, number, 1000, now);
		break;
	case 8:
		load_table_attend(table, now);
		break;
	case 9:
		if (s->active > 0)
			load_table_server_closed(table, number);
		break;
	default:
		if (s->active < s->max_connections)
			load_table_server_opened(table, number);
	}
}

static void
churn(struct load_table *table, struct random *random, unsigned changes, unsigned every)
{
	for (unsigned i = 0; i < changes; i++) {
		change(table, random, NOW + i * (CLOCK_SECOND / 10));
		if (i % every == 0)
			compare(table);
	}
	compare_high(table);
}

static void
test_random_changes(void **arg)
{
	static const unsigned counts[] = {1, 2, 3, 8, 40};

	(void)arg;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (unsigned backup = 0; backup < 4; backup++) {
			struct load_table *table = load_table_new();
			struct random random;

			random_init(&random, 100 * i + backup);
			apply(table,
			    service_text(0, counts[i], backup,
				"slow_start = 5; check: { type = \"none\"; };"));
			churn(table, &random, CHANGES / 10, 1);
			load_table_free(table);
		}
	}
}

/* Servers leave with their connections, return, and become backup servers. */
static void
test_reloads(void **arg)
{
	struct load_table *table = load_table_new();
	struct random random;

	(void)arg;
	random_init(&random, 5);
	for (unsigned i = 0; i < 40; i++) {
		apply(table,
		    service_text(random_below(&random, 10), 1 + random_below(&random, 20),
			random_below(&random, 4), ""));
		compare(table);
		churn(table, &random, CHANGES / 40, 1);
	}
	load_table_free(table);
}

static void
test_thousands_come_up(void **arg)
{
	struct load_table *table = load_table_new();
	struct service *web;
	struct random random;

	(void)arg;
	random_init(&random, 1);
	apply(table, service_text(0, 10000, 10, ""));
	web = load_table_service(table, 0);
	assert_int_equal(load_table_servers(table), 10000);
	for (uint32_t i = 0; i < 10000; i++)
		load_table_server_set_state(table, i, SERVER_UP, NULL, NOW);
	compare(table);
	assert_false(web->on_backup);
	assert_int_equal(web->serving[0] + web->serving[1], 10000 - 10000 / 7 - 1);
	churn(table, &random, CHANGES, 1000);
	for (uint32_t i = 0; i < 10000; i++)
		load_table_server_set_state(table, i, SERVER_DOWN, NULL, NOW);
	compare(table);
	assert_int_equal(web->up, 0);
	assert_int_equal(web->capacity, 0);
	assert_int_equal(web->active, 0);
	load_table_free(table);
}

/* Who comes back under a name and address of before is the same one; names are told apart. */
static void
test_thousands_are_found(void **arg)
{
	struct load_table *table = load_table_new();
	char name[16];

	(void)arg;
	apply(table, service_text(0, 10000, 0, ""));
	apply(table, service_text(5000, 10000, 0, ""));
	assert_int_equal(load_table_servers(table), 15000);
	apply(table, service_text(0, 10000, 0, ""));
	assert_int_equal(load_table_servers(table), 15000);
	for (unsigned i = 0; i < 15000; i += 111) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(
		    load_table_find_server(table, 0, name), i < 10000 ? i : LOAD_NONE);
	}
	assert_int_equal(load_table_find_server(table, 1, "s1"), LOAD_NONE);
	assert_int_equal(load_table_find_server(table, LOAD_NONE, "s1"), LOAD_NONE);
	load_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_changes),
	    cmocka_unit_test(test_reloads),
	    cmocka_unit_test(test_thousands_come_up),
	    cmocka_unit_test(test_thousands_are_found),
	};

	return cmocka_run_group_tests_name("table_sums", tests, NULL, NULL);
}
