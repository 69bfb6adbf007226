/*
 * scheduler: sh and mh, where the client's address decides.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "allocation/scheduler.h"
#include "base/xalloc.h"
#include "fixture.h"

#define CLIENTS 40000
#define SERVERS 100

struct state {
	struct load_table *table;
	struct scheduler scheduler;
	uint32_t before[CLIENTS];
};

static const enum config_scheduler kinds[] = {CONFIG_SH, CONFIG_MH};

static void
on_counted(void *arg, uint32_t server)
{
	struct state *s = arg;

	scheduler_changed(&s->scheduler, s->table, server);
}

/* The servers first to last - 1 of weights 1 to 4, in a service of that name. */
static char *
config_of(const char *service, unsigned first, unsigned last)
{
	char *text = xasprintf(
		 "site = \"x\"; services: ( { name = \"%s\"; address = \"203.0.113.1\";"
		 " ports = [ 80 ]; servers: ( ",
		 service),
	     *more;

	for (unsigned i = first; i < last; i++) {
		more = xasprintf("%s%s{ name = \"n%u\"; address = \"10.0.0.%u\"; weight = %u;"
				 " max_connections = 50000; }",
		    text, i > first ? ", " : "", i, i + 1, 1 + i % 4);
		free(text);
		text = more;
	}
	more = xasprintf("%s ); } );", text);
	free(text);
	return more;
}

static void
refresh(struct state *s, enum config_scheduler kind)
{
	load_table_service(s->table, 0)->scheduler = kind;
	load_table_service(s->table, 0)->version++;
	scheduler_refresh(&s->scheduler, s->table, 0, true, false);
}

static struct state *
begin(const char *service, unsigned first, unsigned last)
{
	struct state *s = xcalloc(1, sizeof(*s));
	char *config = config_of(service, first, last);

	s->table = fixture_table(config);
	free(config);
	fixture_all_up(s->table);
	load_table_set_counted(s->table, on_counted, s);
	return s;
}

static void
end(struct state *s)
{
	scheduler_fini(&s->scheduler);
	load_table_free(s->table);
	free(s);
}

static uint32_t
pick(struct state *s, uint32_t client)
{
	uint8_t octets[4] = {
	    100, (uint8_t)(client >> 16), (uint8_t)(client >> 8), (uint8_t)client};
	struct ip ip = ip_from_v4(octets);
	struct random unused = {{1, 2, 3, 4}};

	return scheduler_pick(&s->scheduler, s->table, &ip, &unused);
}

static void
remember(struct state *s)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		s->before[i] = pick(s, i);
}

/* Clients whose server is another one now, of those that were not at the server that changed. */
static unsigned
count_moved(struct state *s, uint32_t changed)
{
	unsigned moved = 0;

	for (uint32_t i = 0; i < CLIENTS; i++)
		moved += s->before[i] != changed && pick(s, i) != s->before[i];
	return moved;
}

static void
assert_all_back(struct state *s)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pick(s, i), s->before[i]);
}

static void
test_shares_follow_weights(void **arg)
{
	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		struct state *s = begin("web", 0, SERVERS);
		unsigned count[SERVERS] = {0};

		refresh(s, kinds[k]);
		for (uint32_t i = 0; i < CLIENTS; i++)
			count[pick(s, i)]++;
		for (unsigned i = 0; i < SERVERS; i++) {
			/* mean 160 for each unit of weight; five standard deviations */
			unsigned weight = 1 + i % 4, mean = CLIENTS / 250 * weight;

			assert_in_range(count[i], mean - 65 * weight, mean + 65 * weight);
		}
		end(s);
	}
}

/* The same client has the same server: after a restart, and whatever happens at it. */
static void
test_stable(void **arg)
{
	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		struct state *s = begin("web", 0, SERVERS), *other = begin("web", 0, SERVERS);
		struct state *mail = begin("mail", 0, SERVERS);
		unsigned same = 0;

		refresh(s, kinds[k]);
		refresh(other, kinds[k]);
		refresh(mail, kinds[k]);
		remember(s);
		for (int i = 0; i < 40000; i++)
			load_table_server_opened(s->table, 17);
		assert_all_back(s);
		for (uint32_t i = 0; i < CLIENTS; i++) {
			assert_int_equal(pick(other, i), s->before[i]);
			same += pick(mail, i) == s->before[i];
		}
		/* another service is another table */
		assert_in_range(same, CLIENTS / 200, CLIENTS / 50);
		end(s);
		end(other);
		end(mail);
	}
}

/* One of 100 goes down: with sh nobody else moves, with mh few do; and everybody returns. */
static void
test_server_down(void **arg)
{
	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		struct state *s = begin("web", 0, SERVERS);
		unsigned moved, worst = 0;

		refresh(s, kinds[k]);
		remember(s);
		for (uint32_t gone = 0; gone < SERVERS; gone += 9) {
			load_table_server_set_state(s->table, gone, SERVER_DOWN, NULL, 2);
			refresh(s, kinds[k]);
			moved = count_moved(s, gone);
			worst = moved > worst ? moved : worst;
			load_table_server_set_state(s->table, gone, SERVER_UP, NULL, 3);
			refresh(s, kinds[k]);
			assert_all_back(s);
		}
		print_message("%s: %.2f %% of the other clients move\n",
		    config_scheduler_name(kinds[k]), 100.0 * worst / CLIENTS);
		if (kinds[k] == CONFIG_SH)
			assert_int_equal(worst, 0);
		else
			assert_true(worst <= CLIENTS / 40);
		end(s);
	}
}

/* The same for one that is full; what goes elsewhere is spread over the others. */
static void
test_server_full(void **arg)
{
	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		struct state *s = begin("web", 0, SERVERS);
		unsigned count[SERVERS] = {0}, largest = 0, sum = 0;

		refresh(s, kinds[k]);
		remember(s);
		load_table_server(s->table, 3)->active = 49999;
		load_table_server_opened(s->table, 3);
		assert_int_equal(count_moved(s, 3), 0);
		for (uint32_t i = 0; i < CLIENTS; i++)
			if (s->before[i] == 3)
				count[pick(s, i)]++;
		for (unsigned i = 0; i < SERVERS; i++) {
			sum += count[i];
			largest = count[i] > largest ? count[i] : largest;
		}
		assert_int_equal(count[3], 0);
		assert_true(largest * 10 < sum);
		load_table_server_closed(s->table, 3);
		assert_all_back(s);
		end(s);
	}
}

/* One left of a hundred: it is found. */
static void
test_last_one(void **arg)
{
	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		struct state *s = begin("web", 0, SERVERS);

		refresh(s, kinds[k]);
		for (uint32_t i = 0; i < SERVERS; i++) {
			load_table_server(s->table, i)->active = i == 41 ? 0 : 49999;
			if (i != 41)
				load_table_server_opened(s->table, i);
		}
		for (uint32_t i = 0; i < 1000; i++)
			assert_int_equal(pick(s, i), 41);
		end(s);
	}
}

/* Clients that are neither at the new servers now nor where they were. */
static unsigned
moved_by_adding(enum config_scheduler kind, unsigned before, unsigned after)
{
	struct state *s = begin("web", 0, before), *more = begin("web", 0, after);
	unsigned moved = 0;

	refresh(s, kind);
	refresh(more, kind);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		uint32_t now = pick(more, i);

		moved += now < before && now != pick(s, i);
	}
	end(s);
	end(more);
	return moved;
}

/* Servers more at the end of the list take their part and move nobody, or few, else. */
static void
test_servers_added(void **arg)
{
	(void)arg;
	for (unsigned count = 1; count < SERVERS; count += 7)
		assert_int_equal(moved_by_adding(CONFIG_SH, count, count + 1), 0);
	/* their sum of weights goes from below 32 to above 128 */
	assert_int_equal(moved_by_adding(CONFIG_SH, 10, SERVERS), 0);
	assert_true(moved_by_adding(CONFIG_MH, SERVERS - 1, SERVERS) <= CLIENTS / 40);
}

/* The first in the file is taken out: what sh cannot do mh can. */
static void
test_first_removed(void **arg)
{
	struct state *s = begin("web", 0, SERVERS), *less = begin("web", 1, SERVERS);
	unsigned moved = 0;

	(void)arg;
	refresh(s, CONFIG_MH);
	refresh(less, CONFIG_MH);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		uint32_t was = pick(s, i);

		moved += was != 0 && pick(less, i) != was - 1;
	}
	assert_true(moved <= CLIENTS / 40);
	end(s);
	end(less);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shares_follow_weights),
	    cmocka_unit_test(test_stable),
	    cmocka_unit_test(test_server_down),
	    cmocka_unit_test(test_server_full),
	    cmocka_unit_test(test_last_one),
	    cmocka_unit_test(test_servers_added),
	    cmocka_unit_test(test_first_removed),
	};

	return cmocka_run_group_tests_name("scheduler_hash", tests, NULL, NULL);
}
