/*
 * coordinator: what it makes of reports, and tells whom.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinators.h"

#define LISTENER 90

/* Tokyo has a new session, and is told everything. */
static void
begin(struct coordinator *c)
{
	coordinator_listens(c, LISTENER, true);
	hello(c, LISTENER, "tokyo", START);
}

/* What it is told now. */
static struct sites
tell(struct coordinator *c, uint64_t now)
{
	struct sites_writer w;
	struct sites sites;
	bool waits;

	assert_true(coordinator_tell(c, LISTENER, true, &w, &waits, now));
	assert_false(waits);
	assert_int_equal(w.messages, 1);
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, &sites),
	    0);
	codec_buffer_fini(&w.b);
	return sites;
}

/* Tells it, and forgets what. */
static void
told(struct coordinator *c)
{
	struct sites s = tell(c, START);

	sites_fini(&s);
}

/* ---- the coordinator ---- */

static void
newcomers_are_told_everything(void **state)
{
	struct coordinator *c = coordinator_new();
	struct sites s;

	(void)state;
	hello(c, 0, "osaka", START);
	hello(c, 7, "kobe", START);
	report(c, 0, load_of(100), START + CLOCK_SECOND);
	begin(c);
	s = tell(c, START + 2 * CLOCK_SECOND);
	assert_int_equal(s.flags, SITES_FIRST);
	assert_int_equal(s.count, 2);
	assert_string_equal(s.records[0].hello.site, "osaka");
	assert_true(s.records[0].identity && s.records[0].reported);
	assert_int_equal(s.records[0].age_ms, 1000);
	assert_int_equal(s.records[0].report.services[0].load, 100);
	assert_int_equal(s.records[0].certificate[0], 0x5a);
	/* what is between it and us is nobody else's business */
	assert_false(s.records[0].report.services[0].limited);
	assert_int_equal(s.records[0].report.services[0].held_from_you, 0);
	assert_true(s.records[1].identity && !s.records[1].reported);
	sites_fini(&s);
	coordinator_free(c);
}

static void
only_changes_are_told(void **state)
{
	struct coordinator *c = coordinator_new();
	uint64_t since;
	struct sites s;

	(void)state;
	hello(c, 0, "osaka", START);
	hello(c, 1, "kobe", START);
	report(c, 0, load_of(100), START);
	report(c, 1, load_of(100), START);
	begin(c);
	told(c);
	since = coordinator_changes(c);
	s = tell(c, START);
	assert_int_equal(s.count, 0);
	assert_int_equal(s.flags, 0);
	sites_fini(&s);
	report(c, 0, load_of(100), START + CLOCK_SECOND);
	report(c, 1, load_of(105), START + CLOCK_SECOND); /* half a hundredth */
	assert_int_equal(coordinator_changes(c), since);
	report(c, 1, load_of(110), START + CLOCK_SECOND);
	assert_int_not_equal(coordinator_changes(c), since);
	s = tell(c, START + CLOCK_SECOND);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.records[0].hello.site, "kobe");
	assert_true(s.records[0].reported && !s.records[0].identity);
	sites_fini(&s);
	coordinator_free(c);
}

/* Small steps add up: what counts is the difference to what was told. */
static void
small_steps_add_up(void **state)
{
	struct coordinator *c = coordinator_new();
	uint64_t since;

	(void)state;
	hello(c, 0, "osaka", START);
	report(c, 0, load_of(100), START);
	since = coordinator_changes(c);
	for (uint16_t load = 101; load < 110; load++)
		report(c, 0, load_of(load), START);
	assert_int_equal(coordinator_changes(c), since);
	report(c, 0, load_of(110), START);
	assert_int_equal(coordinator_changes(c), since + 1);
	coordinator_free(c);
}

static void
each_kind_of_load_is_a_change(void **state)
{
	struct coordinator *c = coordinator_new();
	struct load_report_service was = load_of(500), is[6];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		is[i] = was;
	is[0].servers_up = 2;
	is[1].servers_not_high = 2;
	is[2].permitted = false;
	is[3].load = 510;
	is[4].transferable = 450;
	is[5].new_per_second = 1000;
	hello(c, 0, "osaka", START);
	for (size_t i = 0; i < 6; i++) {
		uint64_t since;

		report(c, 0, was, START);
		since = coordinator_changes(c);
		report(c, 0, is[i], START);
		if (coordinator_changes(c) == since)
			fail_msg("number %zu is no change", i);
	}
	coordinator_free(c);
}

static void
silent_sites_are_told_of(void **state)
{
	struct coordinator *c = coordinator_new();
	struct sites s;

	(void)state;
	hello(c, 0, "osaka", START);
	report(c, 0, load_of(100), START);
	begin(c);
	told(c);
	assert_false(coordinator_tick(c, START + 2 * CLOCK_SECOND));
	assert_true(coordinator_tick(c, START + 3 * CLOCK_SECOND));
	assert_false(coordinator_tick(c, START + 4 * CLOCK_SECOND));
	s = tell(c, START + 4 * CLOCK_SECOND);
	assert_int_equal(s.count, 1);
	assert_true(s.records[0].silent && s.records[0].reported);
	assert_int_equal(s.records[0].age_ms, 4000);
	sites_fini(&s);
	report(c, 0, load_of(100), START + 5 * CLOCK_SECOND); /* the same, but it speaks again */
	s = tell(c, START + 5 * CLOCK_SECOND);
	assert_int_equal(s.count, 1);
	assert_false(s.records[0].silent);
	sites_fini(&s);
	coordinator_free(c);
}

static void
lost_and_gone(void **state)
{
	struct coordinator *c = coordinator_new();
	struct sites s;

	(void)state;
	coordinator_lost(c, 3, START); /* one that never came */
	coordinator_gone(c, 3);
	assert_int_equal(coordinator_changes(c), 0);
	hello(c, 0, "osaka", START);
	coordinator_lost(c, 0, START);
	begin(c);
	s = tell(c, START);
	assert_true(s.records[0].silent && !s.records[0].gone);
	sites_fini(&s);
	coordinator_gone(c, 0);
	s = tell(c, START);
	assert_int_equal(s.count, 1);
	assert_true(s.records[0].gone && !s.records[0].identity && !s.records[0].reported);
	sites_fini(&s);
	/* of what is gone nothing more is said, but to nobody who has not heard of it */
	s = tell(c, START);
	assert_int_equal(s.count, 0);
	sites_fini(&s);
	hello(c, 0, "osaka", START);
	s = tell(c, START);
	assert_true(!s.records[0].gone && s.records[0].identity);
	sites_fini(&s);
	coordinator_free(c);
}

/* A new session of a site that is as before: only what it did not say meanwhile is news. */
static void
same_hello_is_no_news(void **state)
{
	struct coordinator *c = coordinator_new();
	uint64_t since;

	(void)state;
	hello(c, 0, "osaka", START);
	report(c, 0, load_of(100), START);
	since = coordinator_changes(c);
	hello(c, 0, "osaka", START + CLOCK_SECOND);
	report(c, 0, load_of(100), START + CLOCK_SECOND);
	assert_int_equal(coordinator_changes(c), since);
	port = 81;
	hello(c, 0, "osaka", START + 2 * CLOCK_SECOND);
	port = 80;
	assert_int_not_equal(coordinator_changes(c), since);
	coordinator_free(c);
}

static void
silent_for_long_is_gone(void **state)
{
	struct coordinator *c = coordinator_new();
	struct sites s;

	(void)state;
	hello(c, 0, "osaka", START);
	begin(c);
	coordinator_tick(c, START + 500 * CLOCK_SECOND);
	s = tell(c, START);
	assert_true(s.records[0].silent && !s.records[0].gone);
	sites_fini(&s);
	assert_true(coordinator_tick(c, START + 601 * CLOCK_SECOND));
	s = tell(c, START);
	assert_true(s.records[0].gone);
	sites_fini(&s);
	coordinator_free(c);
}

static void
report_before_hello_is_nothing(void **state)
{
	struct coordinator *c = coordinator_new();

	(void)state;
	report(c, 0, load_of(1), START);
	assert_int_equal(coordinator_changes(c), 0);
	coordinator_free(c);
}

static void
another_service_is_another_circle(void **state)
{
	struct coordinator *c = coordinator_new();
	struct sites s;

	(void)state;
	web.protocol = IPPROTO_UDP;
	hello(c, 0, "osaka", START);
	web.protocol = IPPROTO_TCP;
	hello(c, 1, "kobe", START);
	begin(c);
	s = tell(c, START);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.records[0].hello.site, "kobe");
	sites_fini(&s);
	coordinator_free(c);
}

static void
who_does_not_listen_is_told_nothing(void **state)
{
	struct coordinator *c = coordinator_new();
	struct sites_writer w;
	bool waits;

	(void)state;
	coordinator_listens(c, LISTENER, true);
	assert_false(coordinator_tell(c, LISTENER, true, &w, &waits, START)); /* no HELLO yet */
	begin(c);
	told(c);
	coordinator_listens(c, LISTENER, false);
	assert_false(coordinator_tell(c, LISTENER, true, &w, &waits, START));
	coordinator_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(newcomers_are_told_everything),
	    cmocka_unit_test(only_changes_are_told),
	    cmocka_unit_test(small_steps_add_up),
	    cmocka_unit_test(each_kind_of_load_is_a_change),
	    cmocka_unit_test(silent_sites_are_told_of),
	    cmocka_unit_test(lost_and_gone),
	    cmocka_unit_test(same_hello_is_no_news),
	    cmocka_unit_test(silent_for_long_is_gone),
	    cmocka_unit_test(report_before_hello_is_nothing),
	    cmocka_unit_test(another_service_is_another_circle),
	    cmocka_unit_test(who_does_not_listen_is_told_nothing),
	};

	return cmocka_run_group_tests_name("coordinator", tests, NULL, NULL);
}
