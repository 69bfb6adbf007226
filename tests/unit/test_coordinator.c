/*
 * coordinator, introduced: what a coordinator makes of reports, and what sites make of what
 * coordinators say.
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

#include "base/clock.h"
#include "fixture.h"
#include "load/coordinator.h"
#include "load/introduced.h"

#define START (1000 * CLOCK_SECOND)

static uint16_t port = 80;
static struct hello_service web = {
    .name = "web", .number = 5, .protocol = IPPROTO_TCP, .ports = &port, .ports_count = 1};

static struct sites_record
identity(const char *name)
{
	struct sites_record r = {.identity = true, .certified = true};

	snprintf(r.hello.site, sizeof(r.hello.site), "%s", name);
	ip_parse("203.0.113.20", &web.v4);
	addr_parse("192.0.2.9:7210", &r.hello.transfer);
	addr_parse("192.0.2.9:7211", &r.load);
	r.hello.interval_ms = 1000;
	r.hello.services = &web;
	r.hello.services_count = 1;
	r.certificate[0] = 0x5a;
	return r;
}

static struct load_report_service
load_of(uint16_t load)
{
	return (struct load_report_service){.number = 5,
	    .servers_up = 3,
	    .servers_not_high = 3,
	    .transferable = 1000u - load,
	    .permitted = true,
	    .load = load,
	    .active = load,
	    .held_from_you = 9,
	    .limited = true,
	    .quota = 1};
}

static void
report(struct coordinator *c, uint32_t site, struct load_report_service s, uint64_t now)
{
	struct load_report r = {.sequence = 1, .services = &s, .services_count = 1};

	coordinator_load(c, site, &r, now);
}

static void
hello(struct coordinator *c, uint32_t site, const char *name, uint64_t now)
{
	struct sites_record r = identity(name);

	coordinator_hello(c, site, &r, now);
}

static struct sites
tell(const struct coordinator *c, uint64_t since, uint64_t now)
{
	struct sites_writer w;
	struct sites sites;

	coordinator_tell(c, since, &w, now);
	assert_int_equal(w.messages, 1);
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, &sites),
	    0);
	codec_buffer_fini(&w.b);
	return sites;
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
	s = tell(c, 0, START + 2 * CLOCK_SECOND);
	assert_int_equal(s.flags, SITES_FIRST | SITES_LAST);
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
	since = coordinator_changes(c);
	s = tell(c, since, START);
	assert_int_equal(s.count, 0);
	assert_int_equal(s.flags, 0);
	sites_fini(&s);
	report(c, 0, load_of(100), START + CLOCK_SECOND);
	report(c, 1, load_of(105), START + CLOCK_SECOND); /* half a hundredth */
	assert_int_equal(coordinator_changes(c), since);
	report(c, 1, load_of(110), START + CLOCK_SECOND);
	assert_int_not_equal(coordinator_changes(c), since);
	s = tell(c, since, START + CLOCK_SECOND);
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
	uint64_t since;
	struct sites s;

	(void)state;
	hello(c, 0, "osaka", START);
	report(c, 0, load_of(100), START);
	since = coordinator_changes(c);
	assert_false(coordinator_tick(c, START + 2 * CLOCK_SECOND));
	assert_true(coordinator_tick(c, START + 3 * CLOCK_SECOND));
	assert_false(coordinator_tick(c, START + 4 * CLOCK_SECOND));
	s = tell(c, since, START + 4 * CLOCK_SECOND);
	assert_int_equal(s.count, 1);
	assert_true(s.records[0].silent && s.records[0].reported);
	assert_int_equal(s.records[0].age_ms, 4000);
	sites_fini(&s);
	since = coordinator_changes(c);
	report(c, 0, load_of(100), START + 5 * CLOCK_SECOND); /* the same, but it speaks again */
	s = tell(c, since, START + 5 * CLOCK_SECOND);
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
	s = tell(c, 0, START);
	assert_true(s.records[0].silent && !s.records[0].gone);
	sites_fini(&s);
	coordinator_gone(c, 0);
	s = tell(c, 0, START);
	assert_int_equal(s.count, 1);
	assert_true(s.records[0].gone && !s.records[0].identity && !s.records[0].reported);
	sites_fini(&s);
	hello(c, 0, "osaka", START);
	s = tell(c, 0, START);
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
	coordinator_tick(c, START + 500 * CLOCK_SECOND);
	s = tell(c, 0, START);
	assert_true(s.records[0].silent && !s.records[0].gone);
	sites_fini(&s);
	assert_true(coordinator_tick(c, START + 601 * CLOCK_SECOND));
	s = tell(c, 0, START);
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

/* ---- at a site ---- */

static struct {
	struct load_table *table;
	struct introduced *in;
	uint32_t kyoto, nara;
	unsigned entered, left;
	uint32_t last;
} site;

static void
on_entered(void *arg, uint32_t number, const struct sites_record *record)
{
	(void)arg;
	assert_true(record->identity);
	site.entered++;
	site.last = number;
}

static void
on_left(void *arg, uint32_t number)
{
	(void)arg;
	site.left++;
	site.last = number;
}

static int
site_setup(void **state)
{
	static const struct introduced_handlers handlers = {on_entered, on_left};

	(void)state;
	memset(&site, 0, sizeof(site));
	site.table = fixture_table(
	    "site = \"tokyo\"; services: ({ name = \"web\"; address = \"203.0.113.10\"; ports "
	    "= "
	    "[ 80 ]; servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });"
	    "load: { listen = \"192.0.2.1:7210\"; certificate = \"/a.crt\"; key = \"/a.key\"; "
	    "ca = "
	    "\"/ca.crt\"; coordinators: ({ site = \"kyoto\"; load = \"192.0.2.70:1\"; },"
	    " { site = \"nara\"; load = \"192.0.2.71:1\"; }); };"
	    "transfer: { listen = \"192.0.2.1:7210\"; };"
	    "peers: ({ site = \"sendai\"; load = \"192.0.2.2:1\"; transfer = \"192.0.2.2:2\"; "
	    "});");
	site.kyoto = load_table_find_site(site.table, "kyoto");
	site.nara = load_table_find_site(site.table, "nara");
	site.in = introduced_new(site.table, "tokyo", &handlers, NULL);
	return 0;
}

static int
site_teardown(void **state)
{
	(void)state;
	introduced_free(site.in);
	load_table_free(site.table);
	return 0;
}

static void
coordinator_says(uint32_t coordinator, uint8_t flags, struct sites_record *records,
    size_t count, uint64_t now)
{
	struct sites sites = {flags, records, count};

	introduced_take(site.in, coordinator, 1.0, &sites, now);
}

static struct sites_record
reported(const char *name, struct load_report_service *s, uint32_t age_ms)
{
	struct sites_record r = identity(name);

	r.reported = true;
	r.age_ms = age_ms;
	r.report = (struct load_report){.sequence = 1, .services = s, .services_count = 1};
	return r;
}

static const struct site_service *
service_of(const char *name)
{
	return &load_table_site(site.table, load_table_find_site(site.table, name))->services[0];
}

static void
site_is_introduced(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 200);
	const struct site *osaka;

	(void)state;
	coordinator_says(site.kyoto, SITES_FIRST | SITES_LAST, &r, 1, START);
	assert_int_equal(site.entered, 1);
	osaka = load_table_site(site.table, load_table_find_site(site.table, "osaka"));
	assert_true(osaka->present && osaka->entered && osaka->introduced);
	assert_int_equal(osaka->services_count, 1);
	assert_int_equal(osaka->services[0].local, 0);
	assert_true(osaka->services[0].reported);
	assert_int_equal(osaka->services[0].load, 300);
	assert_false(osaka->services[0].limited); /* a coordinator grants nothing */
	assert_true(load_table_site(site.table, site.kyoto)->coordinator);
}

static void
own_name_and_peers_are_not_heard(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r[3] = {
	    reported("tokyo", &s, 0), reported("sendai", &s, 0), reported("kyoto", &s, 0)};

	(void)state;
	coordinator_says(site.kyoto, 0, r, 3, START);
	assert_int_equal(site.entered, 0);
	assert_int_equal(load_table_find_site(site.table, "tokyo"), LOAD_NONE);
	assert_int_equal(
	    load_table_site(site.table, load_table_find_site(site.table, "sendai"))->services_count,
	    0);
}

static void
report_needs_an_introduction(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 0);

	(void)state;
	r.identity = false;
	r.hello.services_count = 0;
	coordinator_says(site.kyoto, 0, &r, 1, START);
	assert_int_equal(load_table_find_site(site.table, "osaka"), LOAD_NONE);
	/* and one from each coordinator: nara has not introduced it */
	r = reported("osaka", &s, 0);
	coordinator_says(site.kyoto, 0, &r, 1, START);
	s.load = 700;
	r.identity = false;
	coordinator_says(site.nara, 0, &r, 1, START + 1);
	assert_int_equal(service_of("osaka")->load, 300);
}

static void
messages_vouch(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 0);
	uint64_t later = START + 100 * CLOCK_SECOND;

	(void)state;
	coordinator_says(site.kyoto, SITES_FIRST | SITES_LAST, &r, 1, START);
	coordinator_says(site.kyoto, 0, NULL, 0, later);
	assert_int_equal(service_of("osaka")->received_at, later);
	coordinator_says(site.nara, 0, NULL, 0, later + 5); /* who knows nothing of it */
	assert_int_equal(service_of("osaka")->received_at, later);
}

static void
silent_sites_grow_old(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 0);
	uint64_t later = START + 3 * CLOCK_SECOND;

	(void)state;
	coordinator_says(site.kyoto, SITES_FIRST | SITES_LAST, &r, 1, START);
	coordinator_says(site.kyoto, 0, NULL, 0, later);
	r.identity = false;
	r.silent = true;
	r.age_ms = 2500;
	coordinator_says(site.kyoto, 0, &r, 1, later);
	assert_int_equal(service_of("osaka")->received_at, later - 2500 * CLOCK_MILLISECOND);
	coordinator_says(site.kyoto, 0, NULL, 0, later + CLOCK_SECOND);
	assert_int_equal(service_of("osaka")->received_at, later - 2500 * CLOCK_MILLISECOND);
}

static void
freshest_report_counts(void **state)
{
	struct load_report_service s = load_of(300), t = load_of(600);
	struct sites_record kyoto = reported("osaka", &s, 100), nara = reported("osaka", &t, 900);

	(void)state;
	coordinator_says(site.kyoto, 0, &kyoto, 1, START);
	coordinator_says(site.nara, 0, &nara, 1, START);
	assert_int_equal(service_of("osaka")->load, 300);
	nara.age_ms = 50;
	coordinator_says(site.nara, 0, &nara, 1, START);
	assert_int_equal(service_of("osaka")->load, 600);
}

static void
there_as_long_as_one_knows_it(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 0), gone = {.gone = true};

	(void)state;
	strcpy(gone.hello.site, "osaka");
	coordinator_says(site.kyoto, 0, &r, 1, START);
	coordinator_says(site.nara, 0, &r, 1, START);
	coordinator_says(site.kyoto, 0, &gone, 1, START);
	assert_int_equal(site.left, 0);
	assert_true(service_of("osaka")->reported);
	coordinator_says(site.kyoto, 0, &gone, 1, START); /* twice is once */
	assert_int_equal(site.left, 0);
	coordinator_says(site.nara, 0, &gone, 1, START);
	assert_int_equal(site.left, 1);
	assert_int_equal(site.last, load_table_find_site(site.table, "osaka"));
	assert_false(service_of("osaka")->reported);
}

/* A coordinator that starts anew does not know everybody at once. */
static void
restart_is_forgiven_for_a_while(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r[2] = {reported("osaka", &s, 0), reported("kobe", &s, 0)};
	uint64_t again = START + 10 * CLOCK_SECOND;

	(void)state;
	coordinator_says(site.kyoto, SITES_FIRST | SITES_LAST, r, 2, START);
	coordinator_says(site.kyoto, SITES_FIRST | SITES_LAST, r, 1, again);
	assert_int_equal(site.left, 0);
	assert_int_equal(service_of("osaka")->received_at, again);
	assert_int_equal(service_of("kobe")->received_at, START); /* nobody vouches for it */
	coordinator_says(site.kyoto, 0, NULL, 0, again + 59 * CLOCK_SECOND);
	assert_int_equal(site.left, 0);
	coordinator_says(site.kyoto, 0, NULL, 0, again + 60 * CLOCK_SECOND);
	assert_int_equal(site.left, 1);
	assert_int_equal(site.last, load_table_find_site(site.table, "kobe"));
}

static void
dismissed_coordinator_is_not_heard(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 0);

	(void)state;
	coordinator_says(site.kyoto, 0, &r, 1, START);
	introduced_dismiss(site.in, site.kyoto);
	assert_int_equal(site.left, 1);
	assert_false(service_of("osaka")->reported);
}

/* In a session the site itself says what it offers; its load comes from coordinators as before. */
static void
session_says_more(void **state)
{
	struct load_report_service s = load_of(300);
	struct sites_record r = reported("osaka", &s, 0);
	uint32_t osaka;

	(void)state;
	coordinator_says(site.kyoto, 0, &r, 1, START);
	osaka = load_table_find_site(site.table, "osaka");
	load_table_site_session(site.table, osaka, SITE_SESSION, START);
	strcpy(web.name, "mail");
	s.load = 310;
	coordinator_says(site.kyoto, 0, &r, 1, START + 1);
	strcpy(web.name, "web");
	assert_string_equal(service_of("osaka")->name, "web");
	assert_int_equal(service_of("osaka")->load, 310);
	load_table_site_session(site.table, osaka, SITE_NO_SESSION, START + 2);
	assert_true(service_of("osaka")->reported);
}

static void
entered_sites_are_bounded(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (unsigned i = 0; i < LOAD_ENTERED_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%u", i);
		last = load_table_site_enter(site.table, name);
		assert_int_not_equal(last, LOAD_NONE);
	}
	assert_int_equal(load_table_site_enter(site.table, "one-more"), LOAD_NONE);
	load_table_site_leave(site.table, last, START);
	assert_int_not_equal(load_table_site_enter(site.table, "one-more"), LOAD_NONE);
	/* a configured one does not leave */
	load_table_site_leave(site.table, load_table_find_site(site.table, "sendai"), START);
	assert_int_not_equal(load_table_find_site(site.table, "sendai"), LOAD_NONE);
}

#define AT_SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

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
	    AT_SITE(site_is_introduced),
	    AT_SITE(own_name_and_peers_are_not_heard),
	    AT_SITE(report_needs_an_introduction),
	    AT_SITE(messages_vouch),
	    AT_SITE(silent_sites_grow_old),
	    AT_SITE(freshest_report_counts),
	    AT_SITE(there_as_long_as_one_knows_it),
	    AT_SITE(restart_is_forgiven_for_a_while),
	    AT_SITE(dismissed_coordinator_is_not_heard),
	    AT_SITE(session_says_more),
	    AT_SITE(entered_sites_are_bounded),
	};

	return cmocka_run_group_tests_name("coordinator", tests, NULL, NULL);
}
