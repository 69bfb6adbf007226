/*
 * table_passable: a site without servers speaks of those behind it, and two such sites not of each
 * other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "fixture.h"
#include "load/report.h"

#define SECOND CLOCK_SECOND
#define NOW    (100 * SECOND)

/* The site in the middle, with x before it, and y and z behind it. */
static const char middle[] =
    "site = \"m\"; services: ( { name = \"web\"; address = \"203.0.113.1\"; protocol = \"tcp\";"
    " ports = [ 80 ]; prefer = \"any\"; servers: ( { name = \"a\"; address = \"10.0.0.1\"; "
    "max_connections = 100; } ); } );"
    "load: { certificate = \"/a\"; key = \"/b\"; ca = \"/c\"; listen = \"192.0.2.1:7210\"; "
    "coordinators: ( { site = \"kyoto\"; load = \"192.0.2.9:7210\"; } ); };"
    "transfer: { listen = \"192.0.2.1:7210\"; max_transfers = 3; };"
    "peers: ( { site = \"x\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; },"
    " { site = \"y\"; load = \"192.0.2.3:7210\"; transfer = \"192.0.2.3:7210\"; },"
    " { site = \"z\"; load = \"192.0.2.4:7210\"; transfer = \"192.0.2.4:7210\"; } );";

static struct {
	struct load_table *table;
	uint32_t x, y, z, kyoto;
	struct site_service *of_y, *of_z;
} t;

static struct site_service *
offer(uint32_t site, uint32_t up, uint32_t transferable, uint32_t active, uint16_t load)
{
	struct site_service *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup("web");
	s->protocol = IPPROTO_TCP;
	s->reported = s->permitted = true;
	s->servers_up = s->servers_not_high = up;
	s->transferable = transferable;
	s->active = active;
	s->load = load;
	s->limited = true;
	s->quota = 10;
	s->mean_life = site;
	s->received_at = NOW;
	load_table_site_session(t.table, site, SITE_SESSION, SECOND);
	load_table_site_keys(t.table, site, true, SECOND);
	load_table_site_services(t.table, site, s, 1);
	return s;
}

static int
setup(void **state)
{
	(void)state;
	t.table = fixture_table(middle);
	t.x = load_table_find_site(t.table, "x");
	t.y = load_table_find_site(t.table, "y");
	t.z = load_table_find_site(t.table, "z");
	t.kyoto = load_table_find_site(t.table, "kyoto");
	offer(t.x, 0, 0, 0, 1000)->permitted = false;
	t.of_y = offer(t.y, 3, 70, 30, 300);
	t.of_z = offer(t.z, 2, 20, 280, 900);
	load_table_measure(t.table, NOW);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	load_table_free(t.table);
	return 0;
}

static struct load_report_service
told_to(uint32_t site)
{
	struct load_report r = {.sequence = 1};
	struct load_report_service s;

	report_load(t.table, site, &r);
	assert_int_equal(r.services_count, 1);
	s = r.services[0];
	load_report_fini(&r);
	return s;
}

static void
sums_of_those_behind(void **state)
{
	struct load_report_service s = told_to(t.x);

	(void)state;
	assert_int_equal(s.servers_up, 5);
	assert_int_equal(s.servers_not_high, 5);
	assert_int_equal(s.transferable, 90);
	assert_int_equal(s.active, 310);
	assert_int_equal(s.load, 750); /* (100 * 300 + 300 * 900) / 400 */
	assert_true(s.permitted);
	assert_int_equal(s.distance, 1);
	assert_int_equal(s.mean_life, 1000 * (t.y < t.z ? t.y : t.z));
	/* and the rates that they grant, to all together */
	assert_true(load_table_service(t.table, 0)->quota == 20);
}

/* Nobody is told of itself: what is left is what the other one has. */
static void
receiver_does_not_count(void **state)
{
	struct load_report_service s = told_to(t.y);

	(void)state;
	assert_int_equal(s.servers_up, 2);
	assert_int_equal(s.transferable, 20);
	s = told_to(t.z);
	assert_int_equal(s.servers_up, 3);
	assert_int_equal(s.transferable, 70);
	t.of_z->permitted = false;
	s = told_to(t.y);
	assert_int_equal(s.servers_up, 0);
	assert_false(s.permitted);
	assert_int_equal(s.distance, 0);
}

static void
own_servers_speak_for_themselves(void **state)
{
	struct load_report_service s;

	(void)state;
	fixture_all_up(t.table);
	s = told_to(t.x);
	assert_int_equal(s.servers_up, 1);
	assert_int_equal(s.transferable, 100);
	assert_int_equal(s.distance, 0);
}

static void
prohibited_is_prohibited(void **state)
{
	(void)state;
	load_table_service_set_transfer(t.table, 0, false);
	assert_false(told_to(t.x).permitted);
	load_table_measure(t.table, NOW);
	assert_true(load_table_service(t.table, 0)->quota == 0);
}

static void
coordinator_is_told_nothing_of_it(void **state)
{
	(void)state;
	assert_int_equal(told_to(t.kyoto).servers_up, 0);
	assert_false(told_to(t.kyoto).permitted);
}

/* Three transfers are allowed: one to us, two more. */
static void
distance_is_limited(void **state)
{
	(void)state;
	t.of_y->distance = 1;
	assert_int_equal(told_to(t.x).servers_up, 5);
	assert_int_equal(told_to(t.x).distance, 2);
	t.of_y->distance = 2;
	assert_int_equal(told_to(t.x).servers_up, 2);
	assert_int_equal(told_to(t.x).distance, 1);
	t.of_y->distance = 255;
	assert_int_equal(told_to(t.x).servers_up, 2);
}

static void
who_cannot_be_used_does_not_count(void **state)
{
	(void)state;
	load_table_site_keys(t.table, t.z, false, NOW);
	assert_int_equal(told_to(t.x).servers_up, 3);
	load_table_site_keys(t.table, t.z, true, NOW);
	load_table_site_set_path(t.table, t.z, SITE_PATH_LOST, NOW);
	assert_int_equal(told_to(t.x).servers_up, 3);
	load_table_site_set_path(t.table, t.z, SITE_PATH_ALIVE, NOW);
	t.of_z->servers_up = 0;
	assert_int_equal(told_to(t.x).servers_up, 3);
	t.of_z->servers_up = 2;
	assert_int_equal(told_to(t.x).servers_up, 5);
	/* five intervals of a second, which is what is taken where none is said */
	load_table_measure(t.table, NOW + 4 * SECOND);
	assert_int_equal(told_to(t.x).servers_up, 5);
	load_table_measure(t.table, NOW + 5 * SECOND);
	assert_int_equal(told_to(t.x).servers_up, 0);
}

/*
 * Three sites in a ring, none with servers, that once believed there were some: each report speaks of
 * a distance one larger, until nobody counts it.
 */
static void
ring_of_empty_sites_comes_to_rest(void **state)
{
	struct load_report_service s = {.distance = 0};
	unsigned rounds = 0;

	(void)state;
	t.of_z->permitted = false;
	do {
		t.of_y->distance = s.distance;
		s = told_to(t.x);
		assert_true(++rounds <= 3);
	} while (s.permitted);
	assert_int_equal(rounds, 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(sums_of_those_behind),
	    T(receiver_does_not_count),
	    T(own_servers_speak_for_themselves),
	    T(prohibited_is_prohibited),
	    T(coordinator_is_told_nothing_of_it),
	    T(distance_is_limited),
	    T(who_cannot_be_used_does_not_count),
	    T(ring_of_empty_sites_comes_to_rest),
	};

	return cmocka_run_group_tests_name("passable", tests, NULL, NULL);
}
