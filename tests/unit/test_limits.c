/*
 * limits: each rule by itself, a reload, a flood, and random clients against a naive model.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "allocation/limits.h"
#include "base/clock.h"
#include "base/random.h"
#include "fixture.h"

#define NOW  (1000 * CLOCK_SECOND)
#define ROOM 1024

static const struct siphash_key key = {{3, 4}};

#define SERVICE(name, port, limit) \
	" { name = \"" name \
	"\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ]; ports = [ " port \
	" ]; client_limit: { " limit " }; " \
	"servers: ( { name = \"a\"; address = [ \"10.0.0.1\", \"2001:db8:1::1\" ]; } ); }"

#define CONFIG(web, mail, both) \
	"site = \"x\"; services: (" SERVICE("web", "80", web) "," SERVICE("mail", "25", \
	    mail) "," SERVICE("both", "81", both) "," SERVICE("free", "82", "") " );"

enum { WEB, MAIL, BOTH, FREE };

static const char text[] = CONFIG("connections = 3;", "rate = 2.0; burst = 5;",
    "connections = 4; rate = 10.0; mask_v4 = 24; mask_v6 = 56;");

struct state {
	struct load_table *table;
	struct limits *limits;
	struct ip v4, v6, other;
};

static void
apply(struct state *s, const char *config)
{
	struct config *parsed = fixture_config(config);

	load_table_apply(s->table, parsed, NOW);
	config_free(parsed);
}

static int
setup(void **arg)
{
	struct state *s = test_calloc(1, sizeof(*s));

	s->table = load_table_new();
	apply(s, text);
	s->limits = limits_new(s->table, ROOM, &key);
	assert_non_null(s->limits);
	assert_true(limits_apply(s->limits));
	limits_counted(s->limits);
	ip_parse("192.0.2.1", &s->v4);
	ip_parse("192.0.2.200", &s->other);
	ip_parse("2001:db8:77::1", &s->v6);
	*arg = s;
	return 0;
}

static int
teardown(void **arg)
{
	struct state *s = *arg;

	limits_free(s->limits);
	load_table_free(s->table);
	test_free(s);
	return 0;
}

/* A connection, if the client may. */
static enum drop
open_one(struct state *s, uint16_t service, const struct ip *client, uint64_t now)
{
	enum drop would = limits_would_admit(s->limits, service, client, now);
	enum drop drop = limits_admit(s->limits, service, client, now);

	assert_int_equal(would, drop);
	if (drop == DROP_none)
		limits_opened(s->limits, service, client, now);
	return drop;
}

static void
test_connections(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
		assert_int_equal(open_one(s, WEB, &s->v6, NOW), DROP_none);
	}
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_client_connections);
	assert_int_equal(open_one(s, WEB, &s->v6, NOW), DROP_client_connections);
	/* another address, another service */
	assert_int_equal(open_one(s, WEB, &s->other, NOW), DROP_none);
	assert_int_equal(open_one(s, FREE, &s->v4, NOW), DROP_none);
	limits_over(s->limits, WEB, &s->v4, NOW);
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_client_connections);
	assert_int_equal(limits_refused(s->limits, WEB).connections, 3);
	assert_int_equal(limits_refused(s->limits, WEB).rate, 0);
}

static void
test_rate(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 5; i++)
		assert_int_equal(open_one(s, MAIL, &s->v4, NOW), DROP_none);
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW), DROP_client_rate);
	assert_int_equal(open_one(s, MAIL, &s->other, NOW), DROP_none);
	/* one comes back in half a second, and to the nanosecond */
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + CLOCK_SECOND / 2 - 1), DROP_client_rate);
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + CLOCK_SECOND / 2), DROP_none);
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + CLOCK_SECOND / 2), DROP_client_rate);
	/* ends give nothing back */
	for (int i = 0; i < 6; i++)
		limits_over(s->limits, MAIL, &s->v4, NOW + CLOCK_SECOND / 2);
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + CLOCK_SECOND / 2), DROP_client_rate);
	/* never more than the burst */
	for (int i = 0; i < 5; i++)
		assert_int_equal(open_one(s, MAIL, &s->v4, NOW + 1000 * CLOCK_SECOND), DROP_none);
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + 1000 * CLOCK_SECOND), DROP_client_rate);
	assert_int_equal(limits_refused(s->limits, MAIL).rate, 5);
}

/* Without a burst: as many as in a second. */
static void
test_prefix_and_burst(void **arg)
{
	struct state *s = *arg;
	struct ip neighbour;

	assert_int_equal(open_one(s, BOTH, &s->v4, NOW), DROP_none);
	assert_int_equal(open_one(s, BOTH, &s->other, NOW), DROP_none);
	assert_int_equal(open_one(s, BOTH, &s->v4, NOW), DROP_none);
	assert_int_equal(open_one(s, BOTH, &s->other, NOW), DROP_none);
	assert_int_equal(open_one(s, BOTH, &s->v4, NOW), DROP_client_connections);
	ip_parse("192.0.3.1", &neighbour);
	assert_int_equal(open_one(s, BOTH, &neighbour, NOW), DROP_none);
	ip_parse("2001:db8:77:ff:ffff::2", &neighbour);
	for (int i = 0; i < 4; i++)
		assert_int_equal(open_one(s, BOTH, &neighbour, NOW), DROP_none);
	assert_int_equal(open_one(s, BOTH, &s->v6, NOW), DROP_client_connections);
	for (int i = 0; i < 6; i++) {
		limits_over(s->limits, BOTH, &neighbour, NOW);
		assert_int_equal(open_one(s, BOTH, &s->v6, NOW), DROP_none);
	}
	limits_over(s->limits, BOTH, &neighbour, NOW);
	assert_int_equal(open_one(s, BOTH, &s->v6, NOW), DROP_client_rate);
}

/* Who keeps nothing is not kept. */
static void
test_forgets_by_itself(void **arg)
{
	struct state *s = *arg;
	const struct clients *t = limits_clients(s->limits);

	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
	assert_int_equal(t->used, 1);
	limits_over(s->limits, WEB, &s->v4, NOW);
	assert_int_equal(t->used, 0);

	assert_int_equal(open_one(s, MAIL, &s->v4, NOW), DROP_none);
	limits_over(s->limits, MAIL, &s->v4, NOW);
	assert_int_equal(t->used, 1);
	limits_expire(s->limits, NOW + CLOCK_SECOND / 2 - 1);
	assert_int_equal(t->used, 1);
	limits_expire(s->limits, NOW + CLOCK_SECOND / 2);
	assert_int_equal(t->used, 0);
	assert_int_equal(t->forgotten, 0);
}

static void
test_reload(void **arg)
{
	struct state *s = *arg;

	for (int i = 0; i < 3; i++)
		assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
	for (int i = 0; i < 5; i++)
		assert_int_equal(open_one(s, MAIL, &s->v4, NOW), DROP_none);
	/* other figures: what was counted stays */
	apply(s, CONFIG("connections = 4;", "rate = 1.0; burst = 2;", ""));
	assert_false(limits_apply(s->limits));
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_client_connections);
	/* an empty bucket is not more than empty by the new rate */
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + CLOCK_SECOND - 1), DROP_client_rate);
	assert_int_equal(open_one(s, MAIL, &s->v4, NOW + 2 * CLOCK_SECOND), DROP_none);
	/* fewer than there are */
	apply(s, CONFIG("connections = 2;", "rate = 1.0; burst = 2;", ""));
	assert_false(limits_apply(s->limits));
	limits_over(s->limits, WEB, &s->v4, NOW);
	limits_over(s->limits, WEB, &s->v4, NOW);
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_client_connections);
	limits_over(s->limits, WEB, &s->v4, NOW);
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
	/* other prefixes: counted anew, by whoever knows the connections */
	apply(s, CONFIG("connections = 2; mask_v4 = 24;", "rate = 1.0; burst = 2;", ""));
	assert_true(limits_apply(s->limits));
	assert_true(limits_counts_anew(s->limits, WEB));
	assert_false(limits_counts_anew(s->limits, MAIL));
	limits_opened(s->limits, WEB, &s->v4, NOW);
	limits_opened(s->limits, WEB, &s->other, NOW);
	limits_counted(s->limits);
	assert_false(limits_counts_anew(s->limits, WEB));
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_client_connections);
	/* none, and again */
	apply(s, CONFIG("", "", ""));
	assert_false(limits_apply(s->limits));
	assert_false(limits_wanted(s->limits, WEB));
	assert_int_equal(limits_clients(s->limits)->used, 0);
	limits_over(s->limits, WEB, &s->v4, NOW);
	assert_int_equal(open_one(s, WEB, &s->v4, NOW), DROP_none);
}

/*
 * As many connections as there can be, each of another sender, and floods of more senders after
 * that which only touch their buckets: whoever has a connection is counted exactly.
 */
static void
test_flood(void **arg)
{
	struct state *s = *arg;
	struct ip ip;
	uint8_t octets[4] = {198, 18, 0, 0};

	for (unsigned i = 0; i < ROOM; i++) {
		octets[2] = (uint8_t)(i >> 8);
		octets[3] = (uint8_t)i;
		ip = ip_from_v4(octets);
		assert_int_equal(open_one(s, MAIL, &ip, NOW), DROP_none);
	}
	octets[0] = 10;
	for (unsigned i = 0; i < 100000; i++) {
		octets[1] = (uint8_t)(i >> 16);
		octets[2] = (uint8_t)(i >> 8);
		octets[3] = (uint8_t)i;
		ip = ip_from_v4(octets);
		assert_int_equal(limits_admit(s->limits, MAIL, &ip, NOW), DROP_none);
	}
	assert_int_equal(
	    limits_clients(s->limits)->forgotten, 100000 - (clients_capacity(ROOM) - ROOM));
	for (unsigned i = 0; i < ROOM; i++) {
		octets[0] = 198;
		octets[1] = 18;
		octets[2] = (uint8_t)(i >> 8);
		octets[3] = (uint8_t)i;
		ip = ip_from_v4(octets);
		for (int n = 0; n < 4; n++)
			assert_int_equal(limits_admit(s->limits, MAIL, &ip, NOW), DROP_none);
		assert_int_equal(limits_admit(s->limits, MAIL, &ip, NOW), DROP_client_rate);
	}
}

/* ---- against a model: a bucket is a number of nanoseconds ---- */

#define CLIENTS 60

struct model {
	uint32_t connections[3], most[3];
	uint64_t interval[3], burst[3];
	struct {
		uint32_t count;
		uint64_t tokens, at;
	} client[3][CLIENTS];
};

static enum drop
model_admit(struct model *m, unsigned service, unsigned n, uint64_t now)
{
	uint64_t interval = m->interval[service], most = interval * m->burst[service];

	if (m->most[service] != 0 && m->client[service][n].count >= m->most[service])
		return DROP_client_connections;
	if (interval == 0)
		return DROP_none;
	m->client[service][n].tokens += now - m->client[service][n].at;
	if (m->client[service][n].at == 0 || m->client[service][n].tokens > most)
		m->client[service][n].tokens = most;
	m->client[service][n].at = now;
	if (m->client[service][n].tokens < interval)
		return DROP_client_rate;
	m->client[service][n].tokens -= interval;
	return DROP_none;
}

/* By the third service two neighbours are one client. */
static struct ip
address_of(unsigned service, unsigned n, uint32_t low)
{
	uint8_t octets[4] = {192, 0, (uint8_t)n, 1};

	if (service == BOTH)
		octets[3] = (uint8_t)low;
	return ip_from_v4(octets);
}

static void
test_model(void **arg)
{
	struct state *s = *arg;
	struct model m = {.most = {3, 0, 4},
	    .interval = {0, CLOCK_SECOND / 2, CLOCK_SECOND / 10},
	    .burst = {0, 5, 10}};
	struct random random;
	uint64_t now = NOW, refused[2] = {0, 0};

	random_init(&random, 5);
	for (int i = 0; i < 300000; i++) {
		unsigned service = random_below(&random, 3), n = random_below(&random, CLIENTS);
		struct ip ip = address_of(service, n, random_below(&random, 256));

		now += random_below(&random, 4) == 0 ? random_below(&random, 2000000) : 0;
		if (random_below(&random, 1000) == 0)
			limits_expire(s->limits, now);
		if (random_below(&random, 5) < 2 && m.client[service][n].count > 0) {
			limits_over(s->limits, (uint16_t)service, &ip, now);
			m.client[service][n].count--;
		} else {
			enum drop expected = model_admit(&m, service, n, now);

			assert_int_equal(open_one(s, (uint16_t)service, &ip, now), expected);
			m.client[service][n].count += expected == DROP_none;
			refused[0] += expected == DROP_client_connections;
			refused[1] += expected == DROP_client_rate;
		}
	}
	/* all of it was tried */
	assert_true(refused[0] > 10000);
	assert_true(refused[1] > 1000);
	assert_int_equal(limits_refused(s->limits, WEB).connections +
		limits_refused(s->limits, BOTH).connections,
	    refused[0]);
	assert_int_equal(limits_clients(s->limits)->forgotten, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_connections, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_prefix_and_burst, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forgets_by_itself, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_model, setup, teardown),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
