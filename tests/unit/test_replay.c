#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "transfer/replay.h"

#define LARGEST ((UINT64_C(1) << 48) - 1)

/* What the window should do, written without thought for speed: every counter has a mark. */
#define MODEL_COUNTERS (1u << 22)

struct model {
	uint64_t base; /* added to every counter of the real window */
	bool any;
	uint64_t newest;
	bool marked[MODEL_COUNTERS];
};

static bool
model_acceptable(const struct model *m, uint64_t counter)
{
	if (m->any && counter + REPLAY_WINDOW < m->newest)
		return false;
	return !m->marked[counter];
}

static void
model_mark(struct model *m, uint64_t counter)
{
	m->marked[counter] = true;
	if (!m->any || counter > m->newest)
		m->newest = counter;
	m->any = true;
}

static void
step(struct replay *r, struct model *m, uint64_t counter)
{
	bool expected = model_acceptable(m, counter);

	if (replay_acceptable(r, m->base + counter) != expected)
		fail_msg("counter %llu after %llu: expected %d", (unsigned long long)counter,
		    (unsigned long long)m->newest, expected);
	if (!expected)
		return;
	replay_mark(r, m->base + counter);
	model_mark(m, counter);
}

/* The next counter: mostly near the newest, now and then far ahead or at the window's end. */
static uint64_t
next_counter(struct random *random, uint64_t newest)
{
	uint64_t back;

	switch (random_below(random, 16)) {
	case 0:
		return newest + random_below(random, 200);
	case 1:
		back = REPLAY_WINDOW - 70 + random_below(random, 140);
		break;
	case 2:
		if (random_below(random, 50) == 0)
			return newest + random_below(random, 2 * REPLAY_WINDOW);
		back = random_below(random, 2 * REPLAY_WINDOW);
		break;
	case 3:
	case 4:
		back = random_below(random, 100);
		break;
	default:
		return newest + 1;
	}
	return back > newest ? 0 : newest - back;
}

static void
compare_with_model(uint64_t seed, uint64_t base)
{
	struct model *m = calloc(1, sizeof(*m));
	struct random random;
	struct replay r;

	assert_non_null(m);
	m->base = base;
	random_init(&random, seed);
	replay_init(&r);
	for (int i = 0; i < 300000; i++) {
		uint64_t counter = next_counter(&random, m->newest);

		if (counter >= MODEL_COUNTERS)
			break;
		step(&r, m, counter);
	}
	free(m);
}

static void
test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		compare_with_model(seed, 0);
}

static void
test_model_large_counters(void **state)
{
	(void)state;
	compare_with_model(11, LARGEST - MODEL_COUNTERS);
	compare_with_model(12, (UINT64_C(1) << 32) - 1000);
}

static void
test_new_accepts_anything(void **state)
{
	static const uint64_t counters[] = {
	    0, 1, 63, 64, REPLAY_WINDOW, REPLAY_WINDOW * 64, LARGEST};
	struct replay r;

	(void)state;
	replay_init(&r);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		assert_true(replay_acceptable(&r, counters[i]));
}

static void
test_zero(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	replay_mark(&r, 0);
	assert_false(replay_acceptable(&r, 0));
	assert_true(replay_acceptable(&r, 1));
}

/* Checking alone changes nothing: only an authentic packet may move the window. */
static void
test_checking_marks_nothing(void **state)
{
	struct replay r, before;

	(void)state;
	replay_init(&r);
	replay_mark(&r, 1000);
	before = r;
	for (uint64_t counter = 0; counter < 100000; counter++)
		replay_acceptable(&r, counter);
	assert_memory_equal(&r, &before, sizeof(r));
}

static void
test_window_edge(void **state)
{
	(void)state;
	/* every position of the newest within a word */
	for (uint64_t newest = 3 * REPLAY_WINDOW; newest < 3 * REPLAY_WINDOW + 130; newest++) {
		struct replay r;

		replay_init(&r);
		replay_mark(&r, newest);
		assert_true(replay_acceptable(&r, newest - 1));
		assert_true(replay_acceptable(&r, newest - REPLAY_WINDOW));
		assert_false(replay_acceptable(&r, newest - REPLAY_WINDOW - 1));
		assert_false(replay_acceptable(&r, 0));

		replay_mark(&r, newest - REPLAY_WINDOW);
		assert_false(replay_acceptable(&r, newest - REPLAY_WINDOW));
		assert_true(replay_acceptable(&r, newest - REPLAY_WINDOW + 1));
		assert_false(replay_acceptable(&r, newest));
	}
}

/* Every counter once, each twice: backwards over a whole window. */
static void
test_backwards(void **state)
{
	const uint64_t newest = 5 * REPLAY_WINDOW + 17;
	struct replay r;

	(void)state;
	replay_init(&r);
	for (uint64_t back = 0; back <= REPLAY_WINDOW; back++) {
		assert_true(replay_acceptable(&r, newest - back));
		replay_mark(&r, newest - back);
	}
	for (uint64_t back = 0; back <= REPLAY_WINDOW; back++)
		assert_false(replay_acceptable(&r, newest - back));
	assert_true(replay_acceptable(&r, newest + 1));
}

/* After a jump nothing of the words that were passed over may look marked. */
static void
jump(uint64_t by)
{
	const uint64_t start = 2 * REPLAY_WINDOW + 5;
	struct replay r;

	replay_init(&r);
	for (uint64_t back = 0; back <= REPLAY_WINDOW; back++)
		replay_mark(&r, start - back);
	replay_mark(&r, start + by);
	for (uint64_t back = 1; back <= REPLAY_WINDOW; back++) {
		uint64_t counter = start + by - back;

		assert_int_equal(replay_acceptable(&r, counter), counter > start);
	}
	assert_false(replay_acceptable(&r, start + by));
}

static void
test_jumps(void **state)
{
	static const uint64_t jumps[] = {1, 2, 58, 59, 63, 64, 65, 128, REPLAY_WINDOW - 64,
	    REPLAY_WINDOW - 1, REPLAY_WINDOW, REPLAY_WINDOW + 1, REPLAY_WINDOW + 63,
	    REPLAY_WINDOW + 64, REPLAY_WINDOW + 65, REPLAY_WORDS * 64 - 1, REPLAY_WORDS * 64,
	    REPLAY_WORDS * 64 + 1, 10 * REPLAY_WINDOW, LARGEST - 3 * REPLAY_WINDOW};

	(void)state;
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++)
		jump(jumps[i]);
}

static void
test_largest(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	replay_mark(&r, LARGEST);
	assert_false(replay_acceptable(&r, LARGEST));
	assert_true(replay_acceptable(&r, LARGEST - 1));
	assert_false(replay_acceptable(&r, UINT64_MAX));
	assert_true(replay_acceptable(&r, UINT64_MAX - 1));
	replay_mark(&r, UINT64_MAX - 1);
	assert_false(replay_acceptable(&r, UINT64_MAX - 1));
	assert_false(replay_acceptable(&r, LARGEST - 1));
}

static void
test_init_forgets(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	for (uint64_t counter = 0; counter < 1000; counter++)
		replay_mark(&r, counter);
	replay_init(&r);
	for (uint64_t counter = 0; counter < 1000; counter++)
		assert_true(replay_acceptable(&r, counter));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new_accepts_anything),
	    cmocka_unit_test(test_zero),
	    cmocka_unit_test(test_checking_marks_nothing),
	    cmocka_unit_test(test_window_edge),
	    cmocka_unit_test(test_backwards),
	    cmocka_unit_test(test_jumps),
	    cmocka_unit_test(test_largest),
	    cmocka_unit_test(test_init_forgets),
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_model_large_counters),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
