/*
 * introduced: what sites make of what coordinators say.
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
#include "fixture.h"
#include "load/introduced.h"

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

	return cmocka_run_group_tests_name("introduced", tests, NULL, NULL);
}
