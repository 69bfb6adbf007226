#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "connections.h"

#define MANY UINT32_MAX

static struct random random_source;

static int
setup(void **state)
{
	(void)state;
	random_init(&random_source, 7);
	return 0;
}

static struct connection *
open_one(struct connection_table *table, enum connection_kind kind, uint8_t protocol,
    uint32_t i, uint64_t now)
{
	struct connection_new what = connection_of(kind, protocol, i);

	return open_new(table, &what, &random_source, now);
}

/* Runs the clock as a loop would, from wake-up to wake-up, until the record is gone; returns
 * when.  Counts the wake-ups. */
static uint64_t
run_until_empty(struct connection_table *table, uint32_t *wakes)
{
	uint64_t now = 0, next;

	*wakes = 0;
	while ((next = connection_next_expiry(table)) != UINT64_MAX) {
		assert_true(next >= now);
		now = next;
		connection_expire(table, now, MANY);
		++*wakes;
		assert_true(*wakes < 100000);
	}
	assert_int_equal(count_live(table), 0);
	return now;
}

static void
assert_expires_after(struct connection_table *table, uint64_t since, uint32_t seconds)
{
	uint32_t wakes;
	uint64_t gone = run_until_empty(table, &wakes);

	/* never early, and not late */
	assert_true(gone >= since + seconds * CLOCK_SECOND);
	assert_true(gone <= since + seconds * CLOCK_SECOND + SLACK);
	assert_true(wakes <= 20);
}

static void
test_empty(void **state)
{
	struct connection_table *table = table_of(16);

	(void)state;
	assert_true(connection_next_expiry(table) == UINT64_MAX);
	assert_int_equal(connection_expire(table, START, MANY), 0);
	assert_int_equal(connection_expire(table, START + 1000000 * CLOCK_SECOND, MANY), 0);
	assert_true(connection_next_expiry(table) == UINT64_MAX);
	connection_table_free(table);
}

/* Each timeout, from anywhere inside a tick. */
static void
test_timeouts(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		uint64_t now = START + (uint64_t)i * 777 * CLOCK_SECOND / 1000 * 31;
		struct connection_table *table = table_of(16);
		struct connection *c;

		c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, now);
		assert_expires_after(table, now, 60);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, now);
		establish(table, c, now);
		assert_expires_after(table, now, 7440);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, now);
		establish(table, c, now);
		track(table, c, CONNECTION_FROM_SERVER, FIN | ACK, 5001, 1001, now);
		assert_expires_after(table, now, 240);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, now);
		establish(table, c, now);
		close_both(table, c, now);
		assert_expires_after(table, now, 120);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, now);
		establish(table, c, now);
		track(table, c, CONNECTION_FROM_CLIENT, RST, 1001, 0, now);
		assert_expires_after(table, now, 120);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 0, now);
		track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, now);
		assert_expires_after(table, now, 30);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 0, now);
		track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, now);
		assert_expires_after(table, now, 300);
		now += 8000 * CLOCK_SECOND;
		c = open_one(table, CONNECTION_LOCAL, IPPROTO_ICMP, 0, now);
		track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, now);
		assert_expires_after(table, now, 60);
		connection_table_free(table);
	}
}

/* A query and its answer: nobody keeps those of a name server for minutes. */
static void
test_dns(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 0);
	struct connection *c;

	(void)state;
	what.service = address("203.0.113.10:53");
	c = open_new(table, &what, &random_source, START);
	track(table, c, CONNECTION_FROM_CLIENT, 0, 0, 0, START);
	track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, START);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	assert_expires_after(table, START, 30);
	/* of TCP that port is one like others */
	what.protocol = IPPROTO_TCP;
	c = open_new(table, &what, &random_source, START + 100 * CLOCK_SECOND);
	establish(table, c, START + 100 * CLOCK_SECOND);
	assert_expires_after(table, START + 100 * CLOCK_SECOND, 7440);
	connection_table_free(table);
}

static void
test_packets_keep_alive(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection *tcp = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	struct connection *udp = open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 1, START);
	struct connection *waiting = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 2, START);
	uint64_t now = START;

	(void)state;
	establish(table, tcp, now);
	establish(table, waiting, now);
	close_both(table, waiting, now);
	for (int i = 0; i < 1000; i++) {
		now += 29 * CLOCK_SECOND;
		track(table, udp, CONNECTION_FROM_CLIENT, 0, 0, 0, now);
		track(table, waiting, CONNECTION_FROM_SERVER, FIN | ACK, 5001, 1002, now);
		if (i % 200 == 0)
			track(table, tcp, CONNECTION_FROM_SERVER, ACK, 5001, 1001, now);
		assert_int_equal(connection_expire(table, now, MANY), 0);
	}
	assert_int_equal(count_live(table), 3);
	connection_expire(table, now + 30 * CLOCK_SECOND + SLACK, MANY);
	assert_int_equal(count_live(table), 2);
	connection_expire(table, now + 120 * CLOCK_SECOND + SLACK, MANY);
	assert_int_equal(count_live(table), 1);
	connection_end(table, tcp);
	assert_true(connection_next_expiry(table) == UINT64_MAX);
	connection_table_free(table);
}

static void
test_what_does_not_keep_alive(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection *syn = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	struct connection *reset = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 1, START);
	uint64_t now = START;

	(void)state;
	establish(table, reset, START);
	track(table, reset, CONNECTION_FROM_CLIENT, RST, 1001, 0, START);
	for (int i = 0; i < 59; i++) {
		now += CLOCK_SECOND;
		track(table, syn, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
		track(table, syn, CONNECTION_FROM_SERVER, SYN | ACK, 5000, 1001, now);
		track(table, reset, CONNECTION_FROM_CLIENT, RST, 1001, 0, now);
	}
	assert_int_equal(connection_expire(table, START + 60 * CLOCK_SECOND - 1, MANY), 0);
	assert_int_equal(connection_expire(table, START + 60 * CLOCK_SECOND + SLACK, MANY), 1);
	assert_int_equal(connection_expire(table, START + 120 * CLOCK_SECOND + SLACK, MANY), 1);
	connection_table_free(table);
}

/* Those in TIME_WAIT go in the order of their last packets, whatever the states before. */
static void
test_time_wait_in_order(void **state)
{
	struct connection_table *table = table_of(64);
	struct connection *c[30];
	uint64_t now = START;
	uint32_t i, step;

	(void)state;
	for (i = 0; i < 30; i++) {
		c[i] = open_one(table, i % 4 == 3 ? CONNECTION_TRANSFERRED : CONNECTION_LOCAL,
		    IPPROTO_TCP, i, now);
		establish(table, c[i], now);
		/* one of three has been closing for a while, one ends by RST */
		if (i % 3 == 0)
			track(table, c[i], CONNECTION_FROM_CLIENT, FIN | ACK, 1001, 5001, now);
		now += CLOCK_SECOND;
		track(table, c[i], CONNECTION_FROM_CLIENT, RST, 1001, 0, now);
		assert_int_equal(c[i]->state, CONNECTION_TIME_WAIT);
	}
	/* a late packet of each, in another order: that is the order from now on */
	for (step = 0; step < 30; step++) {
		now += CLOCK_SECOND;
		track(table, c[step * 7 % 30], CONNECTION_FROM_CLIENT, ACK, 1001, 5001, now);
	}
	assert_true(connection_next_expiry(table) > now);
	for (step = 0; step < 30; step++) {
		uint64_t due = now + (120 + step) * CLOCK_SECOND - 29 * CLOCK_SECOND;
		struct connection_new what = connection_of(
		    step * 7 % 30 % 4 == 3 ? CONNECTION_TRANSFERRED : CONNECTION_LOCAL,
		    IPPROTO_TCP, step * 7 % 30);
		struct connection_key key = client_key(&what);

		assert_in_range(connection_next_expiry(table), due, due + SLACK);
		assert_int_equal(connection_expire(table, due - 1, MANY), 0);
		assert_found(table, &key, c[step * 7 % 30], CONNECTION_FROM_CLIENT);
		assert_int_equal(connection_expire(table, due + SLACK, MANY), 1);
		assert_not_found(table, &key);
	}
	assert_true(connection_next_expiry(table) == UINT64_MAX);
	connection_table_free(table);
}

/* The lists it leaves behind: the wheel's, and those of opening connections. */
static void
test_time_wait_leaves_nothing(void **state)
{
	struct connection_table *table = table_of(64);
	struct connection *c, *reset;
	uint32_t wakes;

	(void)state;
	c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	establish(table, c, START);
	close_both(table, c, START);
	connection_end(table, c);
	assert_true(connection_next_expiry(table) == UINT64_MAX);
	/* the same record again, through all states */
	c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	assert_in_range(connection_remaining_ms(table, c, START), 60000, 60250);
	establish(table, c, START);
	assert_in_range(connection_remaining_ms(table, c, START), 7440000, 7440250);
	close_both(table, c, START);
	assert_in_range(connection_remaining_ms(table, c, START), 120000, 120250);
	/* reset before the answer: it has the time of those that open, and no more */
	reset = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 1, START);
	track(table, reset, CONNECTION_FROM_CLIENT, SYN, 1000, 0, START);
	track(table, reset, CONNECTION_FROM_CLIENT, RST, 1001, 0, START + CLOCK_SECOND);
	assert_int_equal(reset->state, CONNECTION_TIME_WAIT);
	assert_in_range(connection_remaining_ms(table, reset, START), 60000, 60250);
	assert_int_equal(connection_expire(table, START + 60 * CLOCK_SECOND + SLACK, MANY), 1);
	assert_in_range(run_until_empty(table, &wakes), START + 120 * CLOCK_SECOND,
	    START + 120 * CLOCK_SECOND + SLACK);
	assert_int_equal(wakes, 1);
	connection_table_free(table);
}

/* An established connection that closes must not wait for its old time to come. */
static void
test_shorter_timeout_takes_effect(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection *c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	uint64_t now = START + 100 * CLOCK_SECOND;

	(void)state;
	establish(table, c, START);
	connection_expire(table, now, MANY);
	assert_true(connection_next_expiry(table) > now + 300 * CLOCK_SECOND);
	track(table, c, CONNECTION_FROM_CLIENT, FIN | ACK, 1001, 5001, now);
	assert_true(connection_next_expiry(table) <= now + 240 * CLOCK_SECOND + SLACK);
	assert_true(connection_next_expiry(table) >= now + 240 * CLOCK_SECOND);
	close_both(table, c, now);
	assert_expires_after(table, now, 120);
	connection_table_free(table);
}

static void
test_budget(void **state)
{
	struct connection_table *table = table_of(4000);
	uint64_t late = START + 130 * CLOCK_SECOND;
	uint32_t i, rounds = 0, ended = 0;

	(void)state;
	for (i = 0; i < 900; i++) {
		open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, i, START);
		open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, i, START);
		open_one(table, CONNECTION_LOCAL, IPPROTO_ICMP, i, START);
	}
	for (i = 0; i < 300; i++) {
		struct connection_new what =
		    connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 1000 + i);

		open_and_close(table, &what, &random_source, START);
	}
	assert_int_equal(connection_expire(table, late, 0), 0);
	while (connection_next_expiry(table) <= late) {
		uint32_t n = connection_expire(table, late, 100);

		assert_true(n <= 100);
		ended += n;
		rounds++;
		assert_int_equal(count_live(table), 3000 - ended);
	}
	assert_int_equal(ended, 3000);
	assert_int_equal(rounds, 30);
	connection_table_free(table);
}

/* Records that have seen packets since are looked at within the budget, and once a turn. */
static void
test_budget_of_moves(void **state)
{
	struct connection_table *table = table_of(4000);
	struct connection *c[1000];
	uint64_t now = START;
	uint32_t i, rounds = 0;

	(void)state;
	for (i = 0; i < 1000; i++) {
		c[i] = open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, i, START);
		track(table, c[i], CONNECTION_FROM_SERVER, 0, 0, 0, START);
	}
	now = START + 290 * CLOCK_SECOND;
	for (i = 0; i < 1000; i++)
		track(table, c[i], CONNECTION_FROM_CLIENT, 0, 0, 0, now);
	now = START + 310 * CLOCK_SECOND;
	while (connection_next_expiry(table) <= now) {
		assert_int_equal(connection_expire(table, now, 10), 0);
		rounds++;
		assert_true(rounds <= 101);
	}
	assert_int_equal(rounds, 100);
	assert_int_equal(count_live(table), 1000);
	assert_int_equal(connection_expire(table, START + 591 * CLOCK_SECOND, MANY), 1000);
	connection_table_free(table);
}

/* The loop slept, or was stopped, for any time: the wheel turns by any number of turns, and
 * what was opened before it was told of the time goes at its own time. */
static void
test_long_sleep(void **state)
{
	static const uint64_t sleeps[] = {1, 59, 511, 512, 513, 1024, 5000, 86400, 4000000};

	(void)state;
	for (size_t i = 0; i < sizeof(sleeps) / sizeof(sleeps[0]); i++) {
		struct connection_table *table = table_of(64);
		uint64_t now = START;

		for (uint32_t j = 0; j < 20; j++) {
			struct connection *c;

			now += sleeps[i] * CLOCK_SECOND;
			open_one(table, CONNECTION_LOCAL, IPPROTO_ICMP, 2 * j, now);
			c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 2 * j + 1, now);
			establish(table, c, now);
			if (j % 2 == 0)
				connection_expire(table, now, MANY);
		}
		connection_expire(table, now + 59 * CLOCK_SECOND, MANY);
		/* those before the last two are older by a sleep each */
		assert_true(count_live(table) >= 2);
		if (sleeps[i] > 7441)
			assert_int_equal(count_live(table), 2);
		connection_expire(table, now + 60 * CLOCK_SECOND + SLACK, MANY);
		if (sleeps[i] > 7441)
			assert_int_equal(count_live(table), 1);
		connection_expire(table, now + 7440 * CLOCK_SECOND - 1, MANY);
		assert_int_equal(count_live(table), 1);
		connection_expire(table, now + 7440 * CLOCK_SECOND + SLACK, MANY);
		assert_int_equal(count_live(table), 0);
		connection_table_free(table);
	}
}

/* The wheel is 4096 ticks around: every distance near that, from every place of the wheel. */
static void
test_around_the_wheel(void **state)
{
	struct connection_settings settings = settings_of(16);
	struct connection_table *table = table_of(16);
	uint64_t now = START;
	uint32_t seconds, wakes;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		seconds = 505 + (uint32_t)i % 15 + (i % 4 == 0 ? 512 : 0);
		settings.timeouts.icmp = seconds;
		connection_table_set_timeouts(table, &settings.timeouts);
		open_one(table, CONNECTION_LOCAL, IPPROTO_ICMP, 0, now);
		assert_true(connection_next_expiry(table) > now);
		while (connection_next_expiry(table) < now + seconds * CLOCK_SECOND) {
			uint64_t next = connection_next_expiry(table);

			assert_int_equal(connection_expire(table, next, MANY), 0);
			assert_true(connection_next_expiry(table) > next);
		}
		now += seconds * CLOCK_SECOND;
		now = run_until_empty(table, &wakes) + (uint64_t)(i % 7) * CLOCK_SECOND / 8;
		/* the last list of the wheel may be looked at a tick before */
		assert_in_range(wakes, 1, 2);
	}
	connection_table_free(table);
}

/* New timeouts: for the next packet of each; for those that open or are over at once. */
static void
test_reload(void **state)
{
	struct connection_settings settings = settings_of(64);
	struct connection_table *table = table_of(64);
	struct connection *c, *d, *over;
	uint64_t now = START + 10 * CLOCK_SECOND;

	(void)state;
	c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	establish(table, c, START);
	d = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 1, START);
	establish(table, d, START);
	open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 2, START);
	open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 3, START);
	over = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 4, START);
	establish(table, over, START);
	close_both(table, over, START);
	settings.timeouts.tcp_time_wait = 3;
	settings.timeouts.tcp_established = 100;
	settings.timeouts.tcp_opening = 5;
	settings.timeouts.udp_opening = 1000;
	connection_table_set_timeouts(table, &settings.timeouts);
	/* the half-open one and the closed one have had their time by now */
	assert_int_equal(connection_expire(table, now, MANY), 2);
	track(table, c, CONNECTION_FROM_CLIENT, ACK, 1001, 5001, now);
	assert_int_equal(connection_expire(table, now + 100 * CLOCK_SECOND - 1, MANY), 0);
	assert_int_equal(connection_expire(table, now + 100 * CLOCK_SECOND + SLACK, MANY), 1);
	assert_int_equal(connection_expire(table, START + 1000 * CLOCK_SECOND - 1, MANY), 0);
	assert_int_equal(connection_expire(table, START + 1000 * CLOCK_SECOND + SLACK, MANY), 1);
	assert_int_equal(connection_expire(table, START + 7440 * CLOCK_SECOND - 1, MANY), 0);
	assert_int_equal(connection_expire(table, START + 7440 * CLOCK_SECOND + SLACK, MANY), 1);
	connection_table_free(table);
}

/* No timeout is too long or too short. */
static void
test_extreme_timeouts(void **state)
{
	struct connection_settings settings = settings_of(64);
	struct connection_table *table;
	struct connection *c;
	uint64_t year = UINT64_C(365) * 86400 * CLOCK_SECOND;

	(void)state;
	settings.timeouts = (struct connection_timeouts){
	    UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	table = connection_table_new(&settings, START);
	assert_non_null(table);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};

		c = open_one(table, CONNECTION_LOCAL, protocols[i], i, START);
	}
	c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 3, START);
	establish(table, c, START);
	assert_int_equal(connection_expire(table, START + year, MANY), 0);
	assert_int_equal(connection_expire(table, START + 2 * year, MANY), 4);
	connection_table_free(table);
	memset(&settings.timeouts, 0, sizeof(settings.timeouts));
	table = connection_table_new(&settings, START);
	assert_non_null(table);
	c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	establish(table, c, START);
	open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 1, START);
	assert_int_equal(connection_expire(table, START + SLACK, MANY), 2);
	connection_table_free(table);
}

/* The expiry of each is told as an end, with what it still counted for. */
static void
test_ends_are_told(void **state)
{
	struct connection_table *table = table_of(64);
	struct told told = {0};
	struct connection *c;

	(void)state;
	connection_table_set_change(table, told_change, &told);
	c = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	establish(table, c, START);
	close_both(table, c, START);
	open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 1, START);
	assert_int_equal(connection_expire(table, START + 200 * CLOCK_SECOND, MANY), 2);
	assert_int_equal(told.inactive, 1);
	assert_int_equal(told.over, 1);
	assert_int_equal(told.ended, 2);
	assert_int_equal(told.ended_active, 1);
	assert_int_equal(told.wrong, 0);
	connection_table_free(table);
}

static void
test_idle_and_remaining(void **state)
{
	struct connection_table *table = table_of(16);
	uint64_t now = START + 5 * CLOCK_SECOND + 60 * CLOCK_MILLISECOND;
	struct connection *tcp = open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, now);
	struct connection *udp = open_one(table, CONNECTION_LOCAL, IPPROTO_UDP, 1, now);

	(void)state;
	assert_in_range(connection_idle_ms(table, tcp, now), 0, 125);
	assert_in_range(connection_remaining_ms(table, tcp, now), 60000, 60250);
	assert_in_range(connection_remaining_ms(table, udp, now), 30000, 30250);
	/* a clock that is not later is no disaster */
	assert_int_equal(connection_idle_ms(table, tcp, START), 0);
	now += 10 * CLOCK_SECOND;
	assert_in_range(connection_idle_ms(table, tcp, now), 10000, 10125);
	assert_in_range(connection_remaining_ms(table, tcp, now), 50000, 50250);
	track(table, tcp, CONNECTION_FROM_CLIENT, SYN, 1000, 0, now);
	track(table, udp, CONNECTION_FROM_CLIENT, 0, 0, 0, now);
	assert_in_range(connection_idle_ms(table, tcp, now), 0, 125);
	assert_in_range(connection_remaining_ms(table, tcp, now), 50000, 50250);
	assert_in_range(connection_remaining_ms(table, udp, now), 30000, 30250);
	establish(table, tcp, now);
	assert_in_range(connection_remaining_ms(table, tcp, now), 7440000, 7440250);
	assert_int_equal(connection_remaining_ms(table, tcp, now + 9000 * CLOCK_SECOND), 0);
	connection_table_free(table);
}

/* The clock never falls; if it does, nothing happens. */
static void
test_clock_before_the_start(void **state)
{
	struct connection_table *table = table_of(16);

	(void)state;
	open_one(table, CONNECTION_LOCAL, IPPROTO_TCP, 0, START);
	assert_int_equal(connection_expire(table, START - CLOCK_SECOND, MANY), 0);
	assert_int_equal(connection_expire(table, 0, MANY), 0);
	assert_expires_after(table, START, 60);
	connection_table_free(table);
}

/* Many of different timeouts, opened over time: each goes at its own time, never early, and
 * next_expiry() never sleeps past one. */
static void
test_many(void **state)
{
	enum { COUNT = 3000 };
	struct connection_table *table = table_of(4 * COUNT);
	static uint64_t due[COUNT];
	uint64_t now = START, next;
	uint32_t i, opened = 0;

	(void)state;
	while (opened < COUNT || connection_next_expiry(table) != UINT64_MAX) {
		next = connection_next_expiry(table);
		if (opened < COUNT && random_below(&random_source, 3) != 0) {
			struct connection *c = open_one(table, CONNECTION_LOCAL,
			    opened % 3 == 0 ? IPPROTO_TCP : IPPROTO_UDP, opened, now);

			due[opened] = now + (opened % 3 == 0 ? 60 : 30) * CLOCK_SECOND;
			if (opened % 3 == 1) {
				track(table, c, CONNECTION_FROM_SERVER, 0, 0, 0, now);
				due[opened] = now + 300 * CLOCK_SECOND;
			} else if (opened % 9 == 0) {
				establish(table, c, now);
				due[opened] = now + 7440 * CLOCK_SECOND;
			}
			opened++;
			now += random_below(&random_source, 400) * CLOCK_MILLISECOND;
			continue;
		}
		if (next == UINT64_MAX)
			continue;
		if (next > now)
			now = next;
		connection_expire(table, now, 1 + random_below(&random_source, 5));
		if (connection_next_expiry(table) <= now)
			continue;
		for (i = 0; i < opened; i++) {
			uint8_t protocol = i % 3 == 0 ? IPPROTO_TCP : IPPROTO_UDP;
			struct connection_new what = connection_of(CONNECTION_LOCAL, protocol, i);
			struct connection_key key = client_key(&what);
			enum connection_side side;
			bool there = connection_find(table, &key, &side) != NULL;

			assert_false(!there && due[i] > now);
			assert_false(there && due[i] + SLACK < now);
		}
	}
	assert_int_equal(count_live(table), 0);
	connection_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_empty, setup),
	    cmocka_unit_test_setup(test_timeouts, setup),
	    cmocka_unit_test_setup(test_dns, setup),
	    cmocka_unit_test_setup(test_packets_keep_alive, setup),
	    cmocka_unit_test_setup(test_what_does_not_keep_alive, setup),
	    cmocka_unit_test_setup(test_time_wait_in_order, setup),
	    cmocka_unit_test_setup(test_time_wait_leaves_nothing, setup),
	    cmocka_unit_test_setup(test_shorter_timeout_takes_effect, setup),
	    cmocka_unit_test_setup(test_budget, setup),
	    cmocka_unit_test_setup(test_budget_of_moves, setup),
	    cmocka_unit_test_setup(test_long_sleep, setup),
	    cmocka_unit_test_setup(test_around_the_wheel, setup),
	    cmocka_unit_test_setup(test_reload, setup),
	    cmocka_unit_test_setup(test_extreme_timeouts, setup),
	    cmocka_unit_test_setup(test_ends_are_told, setup),
	    cmocka_unit_test_setup(test_idle_and_remaining, setup),
	    cmocka_unit_test_setup(test_clock_before_the_start, setup),
	    cmocka_unit_test_setup(test_many, setup),
	};

	return cmocka_run_group_tests_name("connection_expiry", tests, NULL, NULL);
}
