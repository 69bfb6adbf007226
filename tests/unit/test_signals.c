#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "load/signals.h"

#define MS CLOCK_MILLISECOND

static void
answers(struct signals *s, double seconds, int count)
{
	for (int i = 0; i < count; i++)
		signals_answered(s, seconds);
}

static void
test_averages_follow(void **state)
{
	struct signals s = {0};

	(void)state;
	answers(&s, 0.001, 1000);
	assert_true(fabs(s.fast - 0.001) < 1e-9 && fabs(s.slow - 0.001) < 1e-9);
	answers(&s, 0.003, 16);
	/* 1 - (7/8)^16 and 1 - (255/256)^16 of the way */
	assert_true(fabs(s.fast - 0.001 - 0.002 * (1 - pow(7 / 8.0, 16))) < 1e-9);
	assert_true(fabs(s.slow - 0.001 - 0.002 * (1 - pow(255 / 256.0, 16))) < 1e-9);
	assert_int_equal(s.samples, 1016);
}

/* The first ones are averaged, not drawn towards 0. */
static void
test_first_answers(void **state)
{
	struct signals s = {0};

	(void)state;
	signals_answered(&s, 0.010);
	assert_true(s.fast == 0.010 && s.slow == 0.010);
	signals_answered(&s, 0.020);
	assert_true(fabs(s.fast - 0.015) < 1e-12 && fabs(s.slow - 0.015) < 1e-12);
	signals_answered(&s, -1); /* of a repeated SYN: not timed */
	assert_int_equal(s.samples, 2);
}

static void
test_load_of_late_answers(void **state)
{
	struct signals s = {0};

	(void)state;
	answers(&s, 5, 7);
	assert_true(signals_load(&s) == 0); /* too few to know what is usual */
	signals_reset(&s);
	answers(&s, 0.020, 500);
	assert_true(signals_load(&s) == 0);
	answers(&s, 0.049, 8); /* within twice and 10 ms */
	assert_true(signals_load(&s) == 0);
	answers(&s, 0.500, 30);
	assert_true(signals_load(&s) > 0.3 && signals_load(&s) < 0.5);
	answers(&s, 3, 20);
	assert_true(signals_load(&s) == 1);
	answers(&s, 0.020, 100);
	assert_true(signals_load(&s) == 0);
}

/* A far server is not a loaded one. */
static void
test_far_is_usual(void **state)
{
	struct signals s = {0};

	(void)state;
	answers(&s, 0.250, 300);
	assert_true(signals_load(&s) == 0);
	answers(&s, 0.400, 100);
	assert_true(signals_load(&s) == 0);
	answers(&s, 2, 1000);
	assert_true(signals_load(&s) == 0); /* a second and more is what it is here */
}

static void
test_unanswered(void **state)
{
	struct signals s = {0};

	(void)state;
	signals_unanswered(&s, SIGNALS_silent, 1000 * MS);
	assert_true(fabs(signals_load(&s) - 1.0 / SIGNALS_ENOUGH) < 1e-12);
	signals_unanswered(&s, SIGNALS_refused, 1100 * MS);
	signals_unanswered(&s, SIGNALS_unreachable, 1200 * MS);
	assert_true(signals_load(&s) == 1);
	assert_int_equal(s.cause, SIGNALS_unreachable);
	assert_false(signals_enough(&s, 1200 * MS)); /* too quick */
	signals_unanswered(&s, SIGNALS_silent, 1250 * MS);
	assert_true(signals_enough(&s, 1250 * MS));
	signals_answered(&s, -1);
	assert_int_equal(s.unanswered, 0);
	assert_false(signals_enough(&s, 9000 * MS));
	assert_true(signals_load(&s) == 0);
	/* it is the first after an answer that counts */
	signals_unanswered(&s, SIGNALS_silent, 2000 * MS);
	signals_unanswered(&s, SIGNALS_silent, 2001 * MS);
	signals_unanswered(&s, SIGNALS_silent, 2002 * MS);
	assert_false(signals_enough(&s, 2002 * MS));
}

static void
test_classes(void **state)
{
	struct signals s = {0};
	unsigned before = 0;

	(void)state;
	assert_int_equal(signals_class(&s), 0);
	for (double time = 1e-6; time < 100; time *= 1.05) {
		unsigned class;

		signals_reset(&s);
		signals_answered(&s, time);
		class = signals_class(&s);
		assert_in_range(class, before > 0 ? before : 1, before + 1);
		assert_true(class < SIGNALS_CLASSES);
		before = class;
	}
	assert_true(before > 80);
	signals_reset(&s);
	signals_answered(&s, 1e30);
	assert_int_equal(signals_class(&s), SIGNALS_CLASSES - 1);
}

static void
test_rates(void **state)
{
	struct signals s = {0};
	struct signals_rates r = signals_rates(&s, 5, 5, 77);
	uint64_t now = 100 * CLOCK_SECOND;

	(void)state;
	assert_true(r.connections == 0 && r.bytes == 0);
	for (uint64_t i = 0; i < 1000; i++)
		signals_mark(&s, i, 1500 * i, now += 10 * MS);
	/* 100 a second, over one to two seconds */
	r = signals_rates(&s, 1000, 1500000, now + 10 * MS);
	assert_true(fabs(r.connections - 100) < 1e-6);
	assert_true(fabs(r.bytes - 150000) < 1e-3);
	assert_in_range(now - s.mark[0].at, CLOCK_SECOND, 2 * CLOCK_SECOND);
	/* nothing more comes */
	r = signals_rates(&s, 1000, 1500000, now + 1000 * CLOCK_SECOND);
	assert_true(r.connections < 0.2);
}

static void
test_texts(void **state)
{
	(void)state;
	for (int i = 0; i < SIGNALS_CAUSE_COUNT; i++)
		assert_true(strlen(signals_cause_text((enum signals_cause)i)) > 10);
	assert_non_null(signals_cause_text((enum signals_cause)99));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_averages_follow),
	    cmocka_unit_test(test_first_answers),
	    cmocka_unit_test(test_load_of_late_answers),
	    cmocka_unit_test(test_far_is_usual),
	    cmocka_unit_test(test_unanswered),
	    cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
