/*
 * coordinator, circle: many sites: who is told of whom, and how much.
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
#include "load/circle.h"

#define MANY 300

static void
hello_many(struct coordinator *c, uint32_t count)
{
	char name[16];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		coordinator_listens(c, i, true);
		hello(c, i, name, START);
	}
}

/* What a site is told now, and which sites it knows then; the octets of it. */
static size_t
hears(struct coordinator *c, uint32_t to, bool anyway, bool *knows, uint64_t now)
{
	struct sites_writer w;
	size_t len = 0;
	bool waits;

	if (!coordinator_tell(c, to, anyway, &w, &waits, now))
		return 0;
	for (size_t at = 0; at < w.b.len; at += CODEC_HEADER_LEN + len) {
		uint8_t type;
		uint32_t body;
		struct sites sites;

		assert_int_equal(codec_header(w.b.data + at, w.b.len - at, &type, &body), 1);
		len = body;
		assert_int_equal(
		    codec_decode_sites(w.b.data + at + CODEC_HEADER_LEN, len, &sites), 0);
		for (size_t i = 0; i < sites.count; i++) {
			unsigned long number = strtoul(sites.records[i].hello.site + 1, NULL, 10);

			assert_true(number < MANY);
			knows[number] = !sites.records[i].gone;
		}
		sites_fini(&sites);
	}
	len = w.b.len;
	codec_buffer_fini(&w.b);
	return len;
}

/* Everybody is told until nothing more is to be told. */
static void
tell_all(struct coordinator *c, uint32_t count, bool knows[][MANY])
{
	for (uint32_t i = 0; i < count; i++)
		for (uint64_t second = 0; second < 60; second++)
			hears(c, i, true, knows[i], START + second * CLOCK_SECOND);
}

static void
few_know_all_and_many_some(void **state)
{
	static bool knows[MANY][MANY];
	struct coordinator *c = coordinator_new();

	(void)state;
	memset(knows, 0, sizeof(knows));
	hello_many(c, CIRCLE_SITES);
	tell_all(c, CIRCLE_SITES, knows);
	for (uint32_t i = 0; i < CIRCLE_SITES; i++)
		for (uint32_t k = 0; k < CIRCLE_SITES; k++)
			assert_int_equal(knows[i][k], i != k);
	/* and when there are more, who does not matter any more is gone */
	hello_many(c, MANY);
	tell_all(c, MANY, knows);
	for (uint32_t i = 0; i < MANY; i++) {
		unsigned known = 0;

		for (uint32_t k = 0; k < MANY; k++) {
			known += knows[i][k];
			assert_int_equal(knows[i][k], knows[k][i]);
		}
		assert_in_range(known, CIRCLE_SITES / 3, CIRCLE_SITES * 2);
	}
	coordinator_free(c);
}

/* Who comes or goes changes nothing between the others. */
static void
others_stay_acquainted(void **state)
{
	static bool knows[MANY][MANY], before[MANY][MANY];
	struct coordinator *c = coordinator_new();

	(void)state;
	memset(knows, 0, sizeof(knows));
	hello_many(c, 280);
	tell_all(c, 280, knows);
	memcpy(before, knows, sizeof(knows));
	for (uint32_t i = 0; i < 10; i++)
		coordinator_gone(c, i);
	hello(c, 290, "s290", START);
	tell_all(c, 280, knows);
	for (uint32_t i = 10; i < 280; i++)
		for (uint32_t k = 0; k < 280; k++)
			assert_int_equal(knows[i][k], before[i][k] && k >= 10);
	coordinator_free(c);
}

static void
levels_do_not_flutter(void **state)
{
	uint32_t level = circle_level(0, 0), was;

	(void)state;
	assert_int_equal(level, CIRCLE_SITES);
	for (uint32_t sites = 1; sites < 5000; sites++) {
		level = circle_level(level, sites);
		assert_in_range(
		    level, sites, sites < CIRCLE_SITES ? CIRCLE_SITES : sites * 5 / 4);
		was = level;
		assert_int_equal(circle_level(level, sites - 1), was);
		assert_int_equal(circle_level(level, sites - sites / 8), was);
	}
	assert_in_range(circle_level(level, 100), 100, 125);
	assert_int_equal(circle_level(level, 3), CIRCLE_SITES);
}

/*
 * All loads change each second: what is sent is bounded all the same, and nobody waits for ever.
 */
static void
what_is_sent_is_bounded(void **state)
{
	static bool knows[MANY];
	static unsigned heard[MANY];
	struct coordinator *c = coordinator_new();
	double octets = 0;

	(void)state;
	hello_many(c, MANY);
	for (unsigned tenth = 0; tenth < 600; tenth++) {
		uint64_t now = START + tenth * (CLOCK_SECOND / 10);

		for (uint32_t i = tenth % 10; i < MANY; i += 10)
			report(c, i, load_of(tenth / 10 % 2 ? 300 : 600), now);
		for (uint32_t i = 0; i < MANY; i++) {
			size_t len;

			memset(knows, 0, sizeof(knows));
			len = hears(c, i, tenth % 10 == 0, knows, now);
			if (tenth < 300)
				continue;
			octets += len > 0 ? (double)len + 110 : 0;
			for (uint32_t k = 0; k < MANY && i == 7; k++)
				heard[k] += knows[k];
		}
	}
	/* in half a minute */
	assert_in_range((unsigned)(octets / 30), 800000, 900000);
	memset(knows, 0, sizeof(knows));
	for (uint32_t k = 0; k < MANY; k++)
		assert_true(heard[k] == 0 || heard[k] >= 15);
	coordinator_free(c);
}

/* A site that can serve no more is told of before loads that have changed. */
static void
what_cannot_wait_comes_first(void **state)
{
	struct coordinator *c = coordinator_new();
	static bool knows[MANY];
	struct sites_writer w;
	struct sites s;
	uint64_t now = START;
	bool waits;
	uint32_t k = 0;

	(void)state;
	hello_many(c, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		report(c, i, load_of(100), START);
	for (unsigned i = 0; i < 60; i++, now += CLOCK_SECOND)
		hears(c, 7, true, knows, now);
	while (!knows[k])
		k++;
	for (uint32_t i = 0; i < MANY; i++) {
		struct load_report_service r = load_of(900);

		r.permitted = i != k;
		report(c, i, r, now);
	}
	assert_true(coordinator_tell(c, 7, false, &w, &waits, now));
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, &s), 0);
	assert_int_equal(strtoul(s.records[0].hello.site + 1, NULL, 10), k);
	assert_false(s.records[0].report.services[0].permitted);
	sites_fini(&s);
	codec_buffer_fini(&w.b);
	/* of the rest little is left: not worth a message at once */
	assert_false(coordinator_tell(c, 7, false, &w, &waits, now));
	coordinator_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(few_know_all_and_many_some),
	    cmocka_unit_test(others_stay_acquainted),
	    cmocka_unit_test(levels_do_not_flutter),
	    cmocka_unit_test(what_is_sent_is_bounded),
	    cmocka_unit_test(what_cannot_wait_comes_first),
	};

	return cmocka_run_group_tests_name("coordinator_many", tests, NULL, NULL);
}
