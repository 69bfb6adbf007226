/*
 * clients: prefixes, and a table of entries held against a list.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "allocation/clients.h"
#include "base/random.h"

static const struct siphash_key key = {{1, 2}};

static struct ip
ip(const char *text)
{
	struct ip parsed;

	assert_int_equal(ip_parse(text, &parsed), 0);
	return parsed;
}

static void
assert_prefix(const char *address, unsigned v4, unsigned v6, const char *expected)
{
	struct ip from = ip(address), prefix = clients_prefix(&from, v4, v6);
	char text[IP_TEXT];

	assert_string_equal(ip_format(&prefix, text), expected);
}

static void
test_prefixes(void **state)
{
	(void)state;
	assert_prefix("192.0.2.255", 32, 1, "192.0.2.255");
	assert_prefix("192.0.2.255", 31, 1, "192.0.2.254");
	assert_prefix("192.0.2.255", 25, 1, "192.0.2.128");
	assert_prefix("192.0.2.255", 24, 1, "192.0.2.0");
	assert_prefix("192.0.255.255", 17, 1, "192.0.128.0");
	assert_prefix("192.0.2.255", 8, 128, "192.0.0.0");
	assert_prefix("255.0.2.255", 1, 128, "128.0.0.0");
	assert_prefix("2001:db8:1:2:3:4:5:6", 1, 128, "2001:db8:1:2:3:4:5:6");
	assert_prefix("2001:db8:1:2:3:4:5:6", 1, 64, "2001:db8:1:2::");
	assert_prefix("2001:db8:1:ffff:3:4:5:6", 1, 57, "2001:db8:1:ff80::");
	assert_prefix("2001:db8:1:2:3:4:5:7", 1, 127, "2001:db8:1:2:3:4:5:6");
	assert_prefix("ffff::1", 1, 1, "8000::");
}

static void
test_capacity(void **state)
{
	(void)state;
	/* an entry for each connection, and some for clients without */
	assert_int_equal(clients_capacity(1024), 2048);
	assert_int_equal(clients_capacity(1000000), 1250000);
	assert_int_equal(clients_capacity(8388608), 10485760);
}

static bool
never(void *arg, const struct client_entry *c, uint64_t now)
{
	(void)arg;
	(void)c;
	(void)now;
	return false;
}

/* As an owner would judge it. */
static bool
by_time(void *arg, const struct client_entry *c, uint64_t now)
{
	(void)arg;
	return c->time <= now;
}

static struct ip
host(uint32_t n)
{
	uint8_t octets[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return ip_from_v4(octets);
}

static struct client_entry *
enter(struct clients *t, uint32_t n, clients_stale *stale, uint64_t now)
{
	struct ip prefix = host(n);

	return clients_enter(t, 0, &prefix, stale, NULL, now);
}

static struct client_entry *
find(const struct clients *t, uint32_t n)
{
	struct ip prefix = host(n);

	return clients_find(t, 0, &prefix);
}

static void
test_oldest_idle_goes(void **state)
{
	struct clients t;

	(void)state;
	assert_int_equal(clients_init(&t, 4, &key), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_non_null(enter(&t, i, never, 0));
	clients_opened(&t, find(&t, 0)); /* busy: stays whatever comes */
	clients_renew(&t, find(&t, 1));  /* idle, but the latest */
	assert_non_null(enter(&t, 4, never, 0));
	assert_null(find(&t, 2));
	assert_non_null(enter(&t, 5, never, 0));
	assert_null(find(&t, 3));
	assert_non_null(enter(&t, 6, never, 0));
	assert_null(find(&t, 1));
	assert_non_null(find(&t, 0));
	assert_int_equal(t.forgotten, 3);
	assert_int_equal(t.used, 4);
	clients_fini(&t);
}

static void
test_stale_goes_before_the_oldest(void **state)
{
	struct clients t;

	(void)state;
	assert_int_equal(clients_init(&t, 4, &key), 0);
	for (uint32_t i = 0; i < 4; i++)
		enter(&t, i, by_time, 0)->time = i == 2 ? 10 : 1000;
	assert_non_null(enter(&t, 4, by_time, 10));
	assert_null(find(&t, 2));
	assert_non_null(find(&t, 0));
	assert_int_equal(t.forgotten, 0);
	clients_fini(&t);
}

static void
test_all_busy(void **state)
{
	struct clients t;

	(void)state;
	assert_int_equal(clients_init(&t, 4, &key), 0);
	for (uint32_t i = 0; i < 4; i++)
		clients_opened(&t, enter(&t, i, never, 0));
	assert_null(enter(&t, 4, never, 0));
	clients_over(&t, find(&t, 3));
	assert_non_null(enter(&t, 4, never, 0));
	assert_null(find(&t, 3));
	/* one too many is ignored */
	clients_over(&t, find(&t, 4));
	assert_int_equal(find(&t, 4)->count, 0);
	clients_fini(&t);
}

static void
test_expire_and_purge(void **state)
{
	struct clients t;
	struct ip prefix = host(1);

	(void)state;
	assert_int_equal(clients_init(&t, 16, &key), 0);
	for (uint32_t i = 0; i < 4; i++)
		enter(&t, i, by_time, 0)->time = i < 3 ? i : 100;
	clients_expire(&t, by_time, NULL, 50, 2);
	assert_int_equal(t.used, 2);
	clients_expire(&t, by_time, NULL, 50, 100);
	assert_int_equal(t.used, 1);
	clients_opened(&t, find(&t, 3));
	assert_non_null(clients_enter(&t, 7, &prefix, by_time, NULL, 0));
	clients_purge(&t, 0);
	assert_null(find(&t, 3));
	assert_non_null(clients_find(&t, 7, &prefix));
	assert_int_equal(t.used, 1);
	clients_fini(&t);
}

static void
test_walk(void **state)
{
	struct clients t;
	uint32_t cursor = 0, budget, found = 0, calls = 0;
	bool done = false;

	(void)state;
	assert_int_equal(clients_init(&t, 100, &key), 0);
	for (uint32_t i = 0; i < 60; i++)
		enter(&t, i, never, 0);
	for (uint32_t i = 0; i < 60; i += 3)
		clients_remove(&t, find(&t, i));
	while (!done) {
		budget = 7;
		while (clients_walk(&t, &cursor, &budget, &done) != NULL)
			found++;
		calls++;
	}
	assert_int_equal(found, 40);
	assert_in_range(calls, 60 / 7, 60 / 7 + 2);
	clients_fini(&t);
}

/* ---- against a list ---- */

#define HOSTS    40
#define CAPACITY 24

struct model {
	struct {
		bool there;
		uint32_t count;
		uint64_t idle_since; /* a serial number */
	} host[HOSTS];
	uint64_t serial;
	uint32_t used;
};

static uint32_t
oldest_idle(const struct model *m)
{
	uint32_t best = HOSTS;

	for (uint32_t i = 0; i < HOSTS; i++) {
		if (!m->host[i].there || m->host[i].count > 0)
			continue;
		if (best == HOSTS || m->host[i].idle_since < m->host[best].idle_since)
			best = i;
	}
	return best;
}

static void
model_enter(struct model *m, struct clients *t, uint32_t n)
{
	struct client_entry *c;
	uint32_t gone = m->used == CAPACITY ? oldest_idle(m) : n;

	c = enter(t, n, never, 0);
	if (gone == HOSTS) {
		assert_null(c);
		return;
	}
	assert_non_null(c);
	if (gone != n) {
		m->host[gone].there = false;
		m->used--;
	}
	m->host[n].there = true;
	m->host[n].count = 0;
	m->host[n].idle_since = m->serial++;
	m->used++;
}

static void
model_step(struct model *m, struct clients *t, uint32_t n, uint32_t action)
{
	struct client_entry *c = find(t, n);

	assert_int_equal(c != NULL, m->host[n].there);
	if (c == NULL) {
		model_enter(m, t, n);
	} else if (action < 5) {
		clients_opened(t, c);
		m->host[n].count++;
	} else if (action < 9) {
		clients_over(t, c);
		if (m->host[n].count > 0 && --m->host[n].count == 0)
			m->host[n].idle_since = m->serial++;
	} else {
		clients_remove(t, c);
		m->host[n].there = false;
		m->used--;
	}
	assert_int_equal(t->used, m->used);
}

static void
test_model(void **state)
{
	struct random random;
	struct model m = {0};
	struct clients t;

	(void)state;
	random_init(&random, 77);
	assert_int_equal(clients_init(&t, CAPACITY, &key), 0);
	for (int i = 0; i < 200000; i++) {
		model_step(&m, &t, random_below(&random, HOSTS), random_below(&random, 10));
		for (uint32_t n = 0; i % 64 == 0 && n < HOSTS; n++) {
			const struct client_entry *c = find(&t, n);

			assert_int_equal(c != NULL, m.host[n].there);
			if (c != NULL)
				assert_int_equal(c->count, m.host[n].count);
		}
	}
	assert_true(t.forgotten > 1000);
	clients_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_capacity),
	    cmocka_unit_test(test_oldest_idle_goes),
	    cmocka_unit_test(test_stale_goes_before_the_oldest),
	    cmocka_unit_test(test_all_busy),
	    cmocka_unit_test(test_expire_and_purge),
	    cmocka_unit_test(test_walk),
	    cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
