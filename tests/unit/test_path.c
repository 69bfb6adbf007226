#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "transfer/path.h"

#define MS      CLOCK_MILLISECOND
#define START   (1000 * CLOCK_SECOND)
#define ANSWERS 4096

struct sim_answer {
	uint64_t at;
	struct path_message message;
};

/* A path, a site at its end that answers, and the clock. */
struct sim {
	struct path p;
	struct random random;
	uint64_t now, rtt;
	uint32_t mtu;    /* larger packets vanish */
	uint32_t socket; /* larger packets are refused; 0: none */
	double loss;
	bool blocked;
	struct sim_answer answers[ANSWERS];
	size_t answers_count;
	unsigned small, padded, refused; /* messages so far */
	uint32_t largest;
};

static struct sim *
sim_new(uint32_t max, uint32_t mtu, uint64_t rtt)
{
	struct sim *s = test_calloc(1, sizeof(*s));

	s->now = START;
	s->mtu = mtu;
	s->rtt = rtt;
	random_init(&s->random, 42);
	path_init(&s->p, max, 0xfffffff0u, s->now); /* numbers wrap soon */
	return s;
}

static void
sim_send(struct sim *s, const struct path_message *m)
{
	if (m->size == 0)
		s->small++;
	else
		s->padded++;
	if (m->size > s->largest)
		s->largest = m->size;
	if (s->socket != 0 && m->size > s->socket) {
		s->refused++;
		path_too_big(&s->p, m->size, s->now);
		return;
	}
	if (s->blocked || m->size > s->mtu || random_unit(&s->random) < s->loss)
		return;
	assert_true(s->answers_count < ANSWERS);
	s->answers[s->answers_count++] = (struct sim_answer){s->now + s->rtt, *m};
}

/* All that is to be done now; nothing may be due afterwards. */
static void
sim_step(struct sim *s)
{
	struct path_message m;
	unsigned burst = 0;

	for (size_t i = 0; i < s->answers_count;) {
		struct sim_answer a = s->answers[i];

		if (a.at > s->now) {
			i++;
			continue;
		}
		s->answers[i] = s->answers[--s->answers_count];
		path_answer(&s->p, a.message.sequence, a.message.size, s->now);
	}
	while (path_next(&s->p, s->now, &m)) {
		assert_true(++burst < 64);
		sim_send(s, &m);
	}
	assert_true(path_due(&s->p) > s->now);
}

/* Each thing at its time, until that of the clock. */
static void
sim_run_until(struct sim *s, uint64_t end)
{
	for (;;) {
		uint64_t next;

		sim_step(s);
		next = path_due(&s->p);
		for (size_t i = 0; i < s->answers_count; i++)
			if (s->answers[i].at < next)
				next = s->answers[i].at;
		if (next > end)
			break;
		s->now = next;
	}
	s->now = end;
}

static void
sim_run(struct sim *s, uint64_t ns)
{
	sim_run_until(s, s->now + ns);
}

/* ---- liveness ---- */

static void
test_alive_with_the_first_answer(void **state)
{
	struct sim *s = sim_new(1500, 1500, 20 * MS);

	(void)state;
	assert_int_equal(s->p.state, SITE_PATH_UNKNOWN);
	assert_true(path_rtt(&s->p) == 0);
	sim_run(s, 19 * MS);
	assert_int_equal(s->p.state, SITE_PATH_UNKNOWN);
	assert_int_equal(s->small, 1);
	assert_int_equal(s->padded, 0); /* not before it is known to be alive */
	sim_run(s, 1 * MS);
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	assert_true(path_rtt(&s->p) > 0.0199 && path_rtt(&s->p) < 0.0201);
	test_free(s);
}

static void
test_one_each_interval(void **state)
{
	struct sim *s = sim_new(1500, 1500, 20 * MS);
	unsigned small;

	(void)state;
	sim_run(s, CLOCK_SECOND);
	small = s->small;
	sim_run(s, 3 * CLOCK_SECOND); /* without a confirmation of the MTU */
	assert_int_equal(s->small - small, 10);
	/* which brings one more along */
	small = s->small;
	sim_run(s, 10 * CLOCK_SECOND);
	assert_in_range(s->small - small, 33, 36);
	test_free(s);
}

static void
test_never_answered_is_lost(void **state)
{
	struct sim *s = sim_new(1500, 1500, 20 * MS);

	(void)state;
	s->blocked = true;
	sim_run(s, 1500 * MS);
	assert_int_equal(s->p.state, SITE_PATH_UNKNOWN);
	sim_run(s, 500 * MS);
	assert_int_equal(s->p.state, SITE_PATH_LOST);
	assert_true(path_loss(&s->p, s->now) == 1);
	assert_int_equal(path_mtu(&s->p), 0);
	test_free(s);
}

static void
test_lost_and_back(void **state)
{
	struct sim *s = sim_new(1500, 1500, 20 * MS);

	(void)state;
	for (int round = 0; round < 20; round++) {
		s->blocked = false;
		sim_run(s, 400 * MS);
		assert_int_equal(s->p.state, SITE_PATH_ALIVE);
		sim_run(s, 5 * CLOCK_SECOND + (uint64_t)round * 37 * MS);
		s->blocked = true;
		sim_run(s, 850 * MS);
		assert_int_equal(s->p.state, SITE_PATH_ALIVE); /* two missed are not three */
		sim_run(s, 850 * MS);
		assert_int_equal(s->p.state, SITE_PATH_LOST);
		assert_int_equal(
		    path_mtu(&s->p), 1500); /* that it is lost is not a matter of size */
		sim_run(s, (uint64_t)round * 100 * MS);
	}
	test_free(s);
}

static void
test_two_missed_are_not_lost(void **state)
{
	struct sim *s = sim_new(1500, 1500, 20 * MS);

	(void)state;
	sim_run(s, 2 * CLOCK_SECOND);
	for (int i = 0; i < 20; i++) {
		s->blocked = true;
		sim_run(s, 600 * MS);
		s->blocked = false;
		for (int j = 0; j < 6; j++) {
			assert_int_equal(s->p.state, SITE_PATH_ALIVE);
			sim_run(s, 100 * MS);
		}
	}
	test_free(s);
}

/* Who was stopped himself has sent nothing meanwhile: nothing was missed. */
static void
test_own_pause_is_not_a_loss(void **state)
{
	struct sim *s = sim_new(1500, 1500, 20 * MS);

	(void)state;
	sim_run(s, 2 * CLOCK_SECOND);
	s->now += 60 * CLOCK_SECOND;
	sim_step(s);
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	sim_run(s, 2 * CLOCK_SECOND);
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	assert_int_equal(path_mtu(&s->p), 1500);
	test_free(s);
}

/* A satellite, or a queue that is long: answers come, late and steadily. */
static void
test_long_way(void **state)
{
	struct sim *s = sim_new(1500, 1500, 800 * MS);

	(void)state;
	sim_run(s, 3 * CLOCK_SECOND);
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	for (int i = 0; i < 100; i++) {
		sim_run(s, 100 * MS);
		assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	}
	assert_int_equal(path_mtu(&s->p), 1500);
	assert_true(path_loss(&s->p, s->now) == 0);
	s->rtt = 3 * CLOCK_SECOND; /* and suddenly longer */
	sim_run(s, 30 * CLOCK_SECOND);
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	assert_true(path_rtt(&s->p) > 2.5);
	s->blocked = true;
	sim_run(s, 8 * CLOCK_SECOND);
	assert_int_equal(s->p.state, SITE_PATH_LOST);
	test_free(s);
}

static void
test_rtt_is_smoothed(void **state)
{
	struct sim *s = sim_new(1500, 1500, 250 * CLOCK_MICROSECOND);

	(void)state;
	sim_run(s, 2 * CLOCK_SECOND);
	assert_true(path_rtt(&s->p) > 0.00024999 && path_rtt(&s->p) < 0.00025001);
	s->rtt = 8250 * CLOCK_MICROSECOND;
	sim_run_until(s, s->p.due + 10 * MS);
	/* an eighth of the difference */
	assert_true(path_rtt(&s->p) > 0.001249 && path_rtt(&s->p) < 0.001251);
	sim_run(s, 30 * CLOCK_SECOND);
	assert_true(path_rtt(&s->p) > 0.00824 && path_rtt(&s->p) < 0.00826);
	test_free(s);
}

static void
test_loss_over_the_latest(void **state)
{
	static const double losses[] = {0.05, 0.3, 0.6};
	struct sim *s = sim_new(1500, 1500, 20 * MS);

	(void)state;
	sim_run(s, 30 * CLOCK_SECOND);
	assert_true(path_loss(&s->p, s->now) == 0);
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		double sum = 0;

		s->loss = losses[i];
		for (int j = 0; j < 40; j++) {
			sim_run(s, 20 * CLOCK_SECOND);
			sum += path_loss(&s->p, s->now);
		}
		assert_true(sum / 40 > losses[i] - 0.04 && sum / 40 < losses[i] + 0.04);
	}
	s->loss = 0;
	sim_run(s, 25 * CLOCK_SECOND);
	assert_true(path_loss(&s->p, s->now) == 0); /* all that was is forgotten */
	test_free(s);
}

/* A late answer still counts against the loss; a doubled, an old or an invented one for nothing. */
static void
test_strange_answers(void **state)
{
	struct path_message m;
	struct path p;
	uint64_t now = START;

	(void)state;
	path_init(&p, 1500, 7, now);
	assert_true(path_next(&p, now, &m));
	assert_int_equal(m.sequence, 7);
	path_answer(&p, 8, 0, now);
	path_answer(&p, 6, 0, now);
	path_answer(&p, 7 + PATH_HISTORY, 0, now);
	path_answer(&p, 7, 1500, now); /* none of that size was sent */
	assert_int_equal(p.state, SITE_PATH_UNKNOWN);
	assert_int_equal(path_mtu(&p), 0);
	now += 1200 * MS;
	assert_true(path_loss(&p, now) == 1);
	path_answer(&p, 7, 0, now);
	assert_int_equal(p.state, SITE_PATH_ALIVE);
	assert_true(path_loss(&p, now) == 0);
	assert_true(path_rtt(&p) > 1.19 && path_rtt(&p) < 1.21);
	path_answer(&p, 7, 0, now + 5 * CLOCK_SECOND);
	assert_true(path_rtt(&p) < 1.21);
	assert_int_equal(p.answered_at, now);
}

/* ---- MTU ---- */

static void
test_search(void **state)
{
	static const struct {
		uint32_t max, mtu, socket, found;
		uint64_t ms; /* until it is found */
	} cases[] = {
	    {1500, 1500, 0, 1500, 100},
	    {1500, 9000, 0, 1500, 100},
	    {1500, 1500, 1500, 1500, 100},
	    {1500, 1499, 0, 1499, 4000},
	    {1500, 1492, 0, 1492, 4000},
	    {1500, 1300, 0, 1300, 4000},
	    {1500, 1281, 0, 1281, 4000},
	    {1500, 1280, 0, 1280, 4000},
	    {1500, 1000, 0, 1280, 4000}, /* every path is taken to carry that */
	    {1280, 1280, 0, 1280, 100},
	    {1280, 1000, 0, 1280, 4000},
	    {1281, 1280, 0, 1280, 4000},
	    {9000, 1500, 0, 1500, 6000},
	    {9000, 9000, 0, 9000, 100},
	    {9000, 1500, 1500, 1500, 100}, /* the socket says so at once */
	    {9000, 1400, 1500, 1400, 5000},
	    {65535, 1500, 1500, 1500, 100},
	    {65535, 1437, 0, 1437, 7000},
	    {65535, 65535, 0, 65535, 100},
	    {1500, 1500, 1200, 1280, 100},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim *s = sim_new(cases[i].max, cases[i].mtu, 10 * MS);

		s->socket = cases[i].socket;
		sim_run(s, cases[i].ms * MS);
		if (path_mtu(&s->p) != cases[i].found || s->p.phase != PATH_FOUND)
			fail_msg("case %zu: %u", i, path_mtu(&s->p));
		for (int j = 0; j < 100; j++) {
			sim_run(s, 100 * MS);
			assert_int_equal(path_mtu(&s->p), cases[i].found);
		}
		assert_true(s->largest <= cases[i].max);
		test_free(s);
	}
}

/* While the search goes on, what is published gets through from the first failure on. */
static void
test_search_is_cautious(void **state)
{
	struct sim *s = sim_new(1500, 1300, 10 * MS);
	uint32_t last = 0;

	(void)state;
	sim_run(s, 500 * MS);
	assert_int_not_equal(path_mtu(&s->p), 0);
	for (int i = 0; i < 400; i++) {
		sim_run(s, 10 * MS);
		assert_in_range(path_mtu(&s->p), PATH_MTU_MIN, 1300);
		assert_true(path_mtu(&s->p) >= last);
		last = path_mtu(&s->p);
	}
	assert_int_equal(last, 1300);
	test_free(s);
}

static void
test_confirmed_every_five_seconds(void **state)
{
	struct sim *s = sim_new(1500, 1500, 10 * MS);
	unsigned padded;

	(void)state;
	sim_run(s, CLOCK_SECOND);
	padded = s->padded;
	assert_int_equal(padded, 1);
	sim_run(s, 60 * CLOCK_SECOND);
	assert_in_range(s->padded - padded, 11, 13);
	assert_true(s->now - s->p.confirmed_at <= PATH_CONFIRM);
	test_free(s);
}

static void
test_black_hole(void **state)
{
	struct sim *s = sim_new(1500, 1500, 10 * MS);

	(void)state;
	sim_run(s, 7 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1500);
	s->mtu = 1420;
	sim_run(s, 6 * CLOCK_SECOND);
	assert_in_range(path_mtu(&s->p), 1280, 1420);
	sim_run(s, 4 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1420);
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	/* narrower still */
	s->mtu = 1285;
	sim_run(s, 10 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1285);
	test_free(s);
}

static void
test_raised_after_ten_minutes(void **state)
{
	static const struct {
		uint32_t mtu, found;
	} cases[] = {{1500, 1500}, {1450, 1450}, {1300, 1300}, {9000, 1500}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim *s = sim_new(1500, 1300, 10 * MS);
		unsigned padded;

		sim_run(s, 5 * CLOCK_SECOND);
		assert_int_equal(path_mtu(&s->p), 1300);
		s->mtu = cases[i].mtu;
		sim_run(s, 590 * CLOCK_SECOND);
		assert_int_equal(path_mtu(&s->p), 1300);
		for (int j = 0; j < 100; j++) {
			sim_run(s, 200 * MS);
			assert_true(path_mtu(&s->p) >= 1300);
		}
		assert_int_equal(path_mtu(&s->p), cases[i].found);
		/* once all is found there is nothing to raise */
		padded = s->padded;
		sim_run(s, 1000 * CLOCK_SECOND);
		if (cases[i].found == 1500)
			assert_in_range(s->padded - padded, 195, 205);
		test_free(s);
	}
}

/* Loss that does not ask for the size is no black hole: three in a row are rare at a twentieth. */
static void
test_loss_is_no_black_hole(void **state)
{
	struct sim *s = sim_new(1500, 1500, 10 * MS);

	(void)state;
	s->loss = 0.05;
	for (int i = 0; i < 600; i++) {
		sim_run(s, CLOCK_SECOND);
		if (i > 5)
			assert_int_equal(path_mtu(&s->p), 1500);
	}
	test_free(s);
}

/* The path breaks, whenever: that packets of any size are lost says nothing about the MTU. */
static void
test_outage_is_no_black_hole(void **state)
{
	struct sim *s = sim_new(1500, 1500, 10 * MS);

	(void)state;
	sim_run(s, 2 * CLOCK_SECOND);
	for (unsigned i = 0; i < 400; i++) {
		s->blocked = true;
		sim_run(s, (50 + i * 13 % 3000) * MS);
		s->blocked = false;
		for (int j = 0; j < 17; j++) {
			sim_run(s, (10 + i * 7 % 130) * MS);
			assert_int_equal(path_mtu(&s->p), 1500);
		}
	}
	test_free(s);
}

/* A reboot on the way brought another MTU: it is found when the path is alive again. */
static void
test_other_way_after_outage(void **state)
{
	struct sim *s = sim_new(1500, 1500, 10 * MS);

	(void)state;
	sim_run(s, 2 * CLOCK_SECOND);
	s->blocked = true;
	sim_run(s, 10 * CLOCK_SECOND);
	s->blocked = false;
	s->mtu = 1400;
	sim_run(s, 1200 * MS);
	assert_in_range(path_mtu(&s->p), 1280, 1400);
	sim_run(s, 4 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1400);
	test_free(s);
}

/* What the socket says only shrinks, and not below what every path carries. */
static void
test_too_big(void **state)
{
	struct sim *s = sim_new(1500, 1500, 10 * MS);

	(void)state;
	sim_run(s, 2 * CLOCK_SECOND);
	path_too_big(&s->p, 1501, s->now);
	assert_int_equal(path_mtu(&s->p), 1500);
	s->socket = 1400;
	path_too_big(&s->p, 1500, s->now);
	assert_int_equal(path_mtu(&s->p), PATH_MTU_MIN);
	path_too_big(&s->p, 1280, s->now);
	path_too_big(&s->p, 600, s->now);
	path_too_big(&s->p, 0, s->now);
	assert_int_equal(path_mtu(&s->p), PATH_MTU_MIN);
	sim_run(s, 6 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1400);
	/* before anything is known */
	path_init(&s->p, 9000, 1, s->now);
	s->socket = 1500;
	path_too_big(&s->p, 9000, s->now);
	sim_run(s, CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1500);
	test_free(s);
}

/* Whatever comes, the size stays within its bounds and there is an end to each burst. */
static void
test_too_big_at_random(void **state)
{
	struct sim *s = sim_new(9000, 5000, 10 * MS);

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t size = random_below(&s->random, 10000);

		if (random_below(&s->random, 4) == 0)
			path_too_big(&s->p, size, s->now);
		if (random_below(&s->random, 50) == 0)
			s->mtu = 1000 + random_below(&s->random, 9000);
		if (random_below(&s->random, 50) == 0)
			s->socket = random_below(&s->random, 9500);
		if (random_below(&s->random, 50) == 0)
			s->blocked = !s->blocked;
		if (random_below(&s->random, 50) == 0)
			path_set_max(&s->p, 1280 + random_below(&s->random, 8000), s->now);
		if (random_below(&s->random, 50) == 0)
			path_renew(&s->p, s->now);
		sim_run(s, random_below(&s->random, 500) * MS);
		assert_true(path_mtu(&s->p) == 0 ||
		    (path_mtu(&s->p) >= PATH_MTU_MIN && path_mtu(&s->p) <= s->p.max));
	}
	/* and left alone it settles */
	s->blocked = false;
	s->socket = 0;
	s->mtu = 3000;
	path_set_max(&s->p, 8999, s->now);
	path_renew(&s->p, s->now);
	sim_run(s, 20 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 3000);
	test_free(s);
}

static void
test_reload_changes_the_largest(void **state)
{
	struct sim *s = sim_new(1500, 9000, 10 * MS);

	(void)state;
	sim_run(s, CLOCK_SECOND);
	path_set_max(&s->p, 1400, s->now);
	assert_int_equal(path_mtu(&s->p), 1400); /* at once */
	s->largest = 0;
	sim_run(s, 20 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1400);
	assert_int_equal(s->largest, 1400);
	path_set_max(&s->p, 9000, s->now);
	assert_int_equal(path_mtu(&s->p), 1400);
	sim_run(s, CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 9000);
	s->mtu = 2000;
	path_set_max(&s->p, 8000, s->now);
	sim_run(s, 10 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 2000);
	test_free(s);
}

static void
test_renew(void **state)
{
	struct sim *s = sim_new(1500, 1300, 10 * MS);
	uint64_t before;

	(void)state;
	sim_run(s, 20 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1300);
	before = s->now;
	s->mtu = 1500;
	path_renew(&s->p, s->now);
	assert_int_equal(path_mtu(&s->p), 1300); /* stays until more is known */
	assert_int_equal(s->p.state, SITE_PATH_ALIVE);
	sim_run(s, 100 * MS);
	assert_int_equal(path_mtu(&s->p), 1500);
	assert_true(s->p.confirmed_at > before && s->p.answered_at > before);
	/* a size that was right is confirmed as well */
	before = s->now;
	s->mtu = 1280;
	path_renew(&s->p, s->now);
	sim_run(s, 5 * CLOCK_SECOND);
	assert_int_equal(path_mtu(&s->p), 1280);
	assert_true(s->p.confirmed_at > before);
	test_free(s);
}

/* Numbers go on behind 2^32 - 1, for both kinds of messages and all that remembers them. */
static void
test_numbers_wrap(void **state)
{
	for (uint32_t first = 0u - 80; first != 3; first++) {
		struct sim *s = sim_new(1500, 1444, 10 * MS);

		(void)state;
		path_init(&s->p, 1500, first, s->now);
		sim_run(s, 5 * CLOCK_SECOND);
		assert_int_equal(path_mtu(&s->p), 1444);
		assert_int_equal(s->p.state, SITE_PATH_ALIVE);
		assert_true(path_loss(&s->p, s->now) == 0);
		s->blocked = true;
		sim_run(s, 2 * CLOCK_SECOND);
		assert_int_equal(s->p.state, SITE_PATH_LOST);
		s->blocked = false;
		sim_run(s, 30 * CLOCK_SECOND);
		assert_int_equal(path_mtu(&s->p), 1444);
		assert_true(path_loss(&s->p, s->now) == 0);
		test_free(s);
	}
}

/* ---- messages ---- */

static void
test_messages(void **state)
{
	static const uint8_t expected[] = {0x12, 0x34, 0x56, 0x78, 0, 0, 5, 0xdc};
	uint8_t octets[PATH_MESSAGE_LEN];
	uint32_t sequence, size;
	uint64_t id;

	(void)state;
	path_encode(0x12345678, 1500, octets);
	assert_memory_equal(octets, expected, sizeof(expected));
	assert_int_equal(path_decode(octets, sizeof(octets), &sequence, &size), DROP_none);
	assert_int_equal(sequence, 0x12345678);
	assert_int_equal(size, 1500);
	path_direct_encode(UINT64_C(0xfedcba9876543210), octets);
	assert_int_equal(octets[0], 0xfe);
	assert_int_equal(path_direct_decode(octets, sizeof(octets), &id), DROP_none);
	assert_true(id == UINT64_C(0xfedcba9876543210));
	for (size_t len = 0; len < PATH_MESSAGE_LEN; len++) {
		assert_int_equal(path_decode(octets, len, &sequence, &size), DROP_transfer_inner);
		assert_int_equal(path_direct_decode(octets, len, &id), DROP_transfer_inner);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alive_with_the_first_answer),
	    cmocka_unit_test(test_one_each_interval),
	    cmocka_unit_test(test_never_answered_is_lost),
	    cmocka_unit_test(test_lost_and_back),
	    cmocka_unit_test(test_two_missed_are_not_lost),
	    cmocka_unit_test(test_own_pause_is_not_a_loss),
	    cmocka_unit_test(test_long_way),
	    cmocka_unit_test(test_rtt_is_smoothed),
	    cmocka_unit_test(test_loss_over_the_latest),
	    cmocka_unit_test(test_strange_answers),
	    cmocka_unit_test(test_search),
	    cmocka_unit_test(test_search_is_cautious),
	    cmocka_unit_test(test_confirmed_every_five_seconds),
	    cmocka_unit_test(test_black_hole),
	    cmocka_unit_test(test_raised_after_ten_minutes),
	    cmocka_unit_test(test_loss_is_no_black_hole),
	    cmocka_unit_test(test_outage_is_no_black_hole),
	    cmocka_unit_test(test_other_way_after_outage),
	    cmocka_unit_test(test_too_big),
	    cmocka_unit_test(test_too_big_at_random),
	    cmocka_unit_test(test_reload_changes_the_largest),
	    cmocka_unit_test(test_renew),
	    cmocka_unit_test(test_numbers_wrap),
	    cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
