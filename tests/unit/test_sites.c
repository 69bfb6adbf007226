/*
 * sites: the message SITES: what is written is read, limits, what is malformed.
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

#include "load/codec.h"

static struct sites_record
record_of(const char *name)
{
	struct sites_record r = {.identity = false};

	snprintf(r.hello.site, sizeof(r.hello.site), "%s", name);
	return r;
}

/* One with everything, in static memory. */
static struct sites_record
full_record(const char *name)
{
	static uint16_t ports[2] = {80, 443};
	static struct addr servers[2];
	static struct hello_service service = {.name = "web",
	    .number = 7,
	    .protocol = IPPROTO_TCP,
	    .ports = ports,
	    .ports_count = 2,
	    .servers = servers,
	    .servers_count = 2};
	static struct load_report_service load = {.number = 7,
	    .servers_up = 3,
	    .servers_not_high = 2,
	    .transferable = 99,
	    .permitted = true,
	    .load = 640,
	    .active = 11,
	    .new_per_second = 5000,
	    .mean_life = 1234};
	struct sites_record r = record_of(name);

	ip_parse("203.0.113.1", &service.v4);
	ip_parse("2001:db8::1", &service.v6);
	addr_parse("10.0.0.1:8080", &servers[0]);
	addr_parse("[2001:db8:1::1]:0", &servers[1]);
	servers[1].port = 0;
	r.identity = r.certified = r.reported = r.silent = true;
	addr_parse("192.0.2.1:7210", &r.hello.transfer);
	addr_parse("[2001:db8::7]:7211", &r.load);
	r.hello.demand_port = 7212;
	r.hello.interval_ms = 1500;
	r.hello.services = &service;
	r.hello.services_count = 1;
	memset(r.certificate, 0xab, sizeof(r.certificate));
	r.distance = 3;
	r.age_ms = 250;
	r.report = (struct load_report){.sequence = 77, .services = &load, .services_count = 1};
	return r;
}

/* Decodes the only message of a writer. */
static void
decode(const struct sites_writer *w, struct sites *sites)
{
	uint8_t type = 0;
	uint32_t len = 0;

	assert_int_equal(codec_header(w->b.data, w->b.len, &type, &len), 1);
	assert_int_equal(type, MESSAGE_SITES);
	assert_int_equal(w->b.len, CODEC_HEADER_LEN + len);
	assert_int_equal(codec_decode_sites(w->b.data + CODEC_HEADER_LEN, len, sites), 0);
}

static void
everything_is_read_again(void **state)
{
	struct sites_record r = full_record("osaka"), gone = record_of("kobe");
	const struct sites_record *got;
	struct sites_writer w;
	struct sites sites;

	(void)state;
	gone.gone = true;
	sites_begin(&w, SITES_FIRST | SITES_LAST);
	assert_true(sites_add(&w, &r));
	assert_true(sites_add(&w, &gone));
	sites_end(&w);
	assert_int_equal(w.messages, 1);
	decode(&w, &sites);
	assert_int_equal(sites.flags, SITES_FIRST | SITES_LAST);
	assert_int_equal(sites.count, 2);
	got = &sites.records[0];
	assert_string_equal(got->hello.site, "osaka");
	assert_true(
	    got->identity && got->certified && got->reported && got->silent && !got->gone);
	assert_true(addr_equal(&got->hello.transfer, &r.hello.transfer));
	assert_true(addr_equal(&got->load, &r.load));
	assert_int_equal(got->hello.demand_port, 7212);
	assert_int_equal(got->hello.interval_ms, 1500);
	assert_memory_equal(got->certificate, r.certificate, sizeof(r.certificate));
	assert_int_equal(got->distance, 3);
	assert_int_equal(got->age_ms, 250);
	assert_int_equal(got->hello.services_count, 1);
	assert_string_equal(got->hello.services[0].name, "web");
	assert_int_equal(got->hello.services[0].servers_count, 2);
	assert_true(
	    addr_equal(&got->hello.services[0].servers[1], &r.hello.services[0].servers[1]));
	assert_int_equal(got->report.sequence, 77);
	assert_int_equal(got->report.services_count, 1);
	assert_int_equal(got->report.services[0].load, 640);
	assert_int_equal(got->report.services[0].mean_life, 1234);
	got = &sites.records[1];
	assert_true(got->gone && !got->identity && !got->reported && got->distance == 0);
	sites_fini(&sites);
	codec_buffer_fini(&w.b);
}

static void
nothing_is_a_message_too(void **state)
{
	struct sites_writer w;
	struct sites sites;

	(void)state;
	sites_begin(&w, 0);
	sites_end(&w);
	decode(&w, &sites);
	assert_int_equal(sites.count, 0);
	assert_int_equal(sites.flags, 0);
	sites_fini(&sites);
	codec_buffer_fini(&w.b);
}

/* Many sites take several messages, of which only the first is the first and the last the last. */
static void
many_sites_take_several_messages(void **state)
{
	struct sites_writer w;
	size_t at = 0, total = 0;
	unsigned messages = 0;

	(void)state;
	sites_begin(&w, SITES_FIRST | SITES_LAST);
	for (unsigned i = 0; i < 5000; i++) {
		char name[16];
		struct sites_record r;

		snprintf(name, sizeof(name), "site%u", i);
		r = full_record(name);
		assert_true(sites_add(&w, &r));
	}
	sites_end(&w);
	while (at < w.b.len) {
		struct sites sites;
		uint8_t type, flags = 0;
		uint32_t len;

		assert_int_equal(codec_header(w.b.data + at, w.b.len - at, &type, &len), 1);
		assert_true(len <= CODEC_MESSAGE_MAX);
		at += CODEC_HEADER_LEN + len;
		assert_true(at <= w.b.len);
		assert_int_equal(codec_decode_sites(w.b.data + at - len, len, &sites), 0);
		flags |= messages == 0 ? SITES_FIRST : 0;
		flags |= at == w.b.len ? SITES_LAST : 0;
		assert_int_equal(sites.flags, flags);
		total += sites.count;
		messages++;
		sites_fini(&sites);
	}
	assert_int_equal(total, 5000);
	assert_int_equal(messages, w.messages);
	assert_true(messages > 10);
	codec_buffer_fini(&w.b);
}

/* A message holds SITES_RECORDS_MAX records, however small they are. */
static void
small_records_are_counted(void **state)
{
	struct sites_record r = record_of("a");
	struct sites_writer w;

	(void)state;
	sites_begin(&w, 0);
	for (unsigned i = 0; i < SITES_RECORDS_MAX + 1; i++)
		assert_true(sites_add(&w, &r));
	sites_end(&w);
	assert_int_equal(w.messages, 2);
	codec_buffer_fini(&w.b);
}

/* One that is too large goes without its servers, and if that does not help, as a name alone. */
static void
large_records_are_cut(void **state)
{
	struct sites_record r = full_record("osaka");
	struct hello_service *services = calloc(600, sizeof(*services));
	struct addr *servers = calloc(4000, sizeof(*servers));
	uint16_t *ports = calloc(1024, sizeof(*ports));
	struct sites_writer w;
	struct sites sites;

	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		addr_parse("[2001:db8::1]:80", &servers[i]);
	for (unsigned i = 0; i < 1024; i++)
		ports[i] = (uint16_t)(i + 1);
	services[0] = r.hello.services[0];
	services[0].servers = servers;
	services[0].servers_count = 4000;
	r.hello.services = services;
	sites_begin(&w, 0);
	assert_true(sites_add(&w, &r));
	sites_end(&w);
	decode(&w, &sites);
	assert_int_equal(sites.records[0].hello.services_count, 1);
	assert_int_equal(sites.records[0].hello.services[0].servers_count, 0);
	sites_fini(&sites);
	codec_buffer_fini(&w.b);

	for (unsigned i = 0; i < 600; i++) {
		services[i] = r.hello.services[0];
		snprintf(services[i].name, sizeof(services[i].name), "s%u", i);
		services[i].number = (uint16_t)i;
		services[i].ports = ports;
		services[i].ports_count = 1024;
		services[i].servers_count = 0;
	}
	r.hello.services_count = 600;
	sites_begin(&w, 0);
	assert_false(sites_add(&w, &r));
	sites_end(&w);
	decode(&w, &sites);
	assert_int_equal(sites.count, 1);
	assert_false(sites.records[0].identity);
	sites_fini(&sites);
	codec_buffer_fini(&w.b);
	free(services);
	free(servers);
	free(ports);
}

#define NAME_A 0, 2, 0, 5, 0, 1, 0, 1, 'a' /* SITES_SITE with a name */
#define FLAGS  0, 1, 0, 1, 0

static void
malformed_is_refused(void **state)
{
	static const struct {
		uint8_t body[64];
		size_t len;
	} bad[] = {
	    {{NAME_A}, 9},                              /* no flags */
	    {{FLAGS, FLAGS}, 10},                       /* flags twice */
	    {{0, 1, 0, 2, 0, 0}, 6},                    /* flags of two octets */
	    {{FLAGS, 0, 2, 0, 0}, 9},                   /* a site without name */
	    {{FLAGS, 0, 2, 0, 4, 0, 1, 0, 0}, 13},      /* a name of no octets */
	    {{FLAGS, 0, 2, 0, 5, 0, 1, 0, 1, '/'}, 14}, /* of another one */
	    {{FLAGS, 0, 2, 0, 6, 0, 1, 0, 1, 'a'}, 14}, /* cut */
	    {{FLAGS, 0, 2, 0, 10, 0, 1, 0, 1, 'a', 0, 2, 0, 1, 2}, 19},  /* gone: 2 */
	    {{FLAGS, 0, 2, 0, 10, 0, 1, 0, 1, 'a', 0, 3, 0, 1, 16}, 19}, /* too far away */
	    {{FLAGS, 0, 2, 0, 10, 0, 1, 0, 1, 'a', 0, 10, 0, 1, 2}, 19}, /* silent: 2 */
	    {{FLAGS, 0, 2, 0, 10, 0, 1, 0, 1, 'a', 0, 4, 0, 1, 0}, 19},  /* no address */
	    {{FLAGS, 0, 2, 0, 10, 0, 1, 0, 1, 'a', 0, 7, 0, 1, 0}, 19},  /* no digest */
	    {{FLAGS, 0, 2, 0, 9, 0, 1, 0, 1, 'a', 0, 11, 0, 0}, 18},     /* an empty report */
	    {{FLAGS, 0, 2, 0, 17, 0, 1, 0, 1, 'a', 0, 11, 0, 8, 0, 1, 0, 4, 0, 0, 0, 0},
		26}, /* without sequence */
	    {{FLAGS, 0, 2, 0, 30, 0, 1, 0, 1, 'a', 0, 11, 0, 21, 0, 1, 0, 4, 0, 0, 0, 0, 0, 2,
		 0, 4, 0, 0, 0, 0, 0, 3, 0, 1, 0},
		39}, /* a record of one octet */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sites sites;

		if (codec_decode_sites(bad[i].body, bad[i].len, &sites) == 0)
			fail_msg("number %zu was taken", i);
		assert_null(sites.records);
	}
}

static void
unknown_tags_are_skipped(void **state)
{
	static const uint8_t body[] = {
	    FLAGS, 0, 99, 0, 1, 0, 0, 2, 0, 10, 0, 1, 0, 1, 'a', 0, 77, 0, 1, 5};
	struct sites sites;

	(void)state;
	assert_int_equal(codec_decode_sites(body, sizeof(body), &sites), 0);
	assert_int_equal(sites.count, 1);
	assert_string_equal(sites.records[0].hello.site, "a");
	sites_fini(&sites);
}

/* Two services of one name, or one number, cannot be told apart. */
static void
ambiguous_is_refused(void **state)
{
	struct sites_record r = full_record("osaka");
	struct hello_service twice[2] = {r.hello.services[0], r.hello.services[0]};
	struct load_report_service reports[2] = {r.report.services[0], r.report.services[0]};
	struct sites_writer w;
	struct sites sites;

	(void)state;
	r.hello.services = twice;
	r.hello.services_count = 2;
	sites_begin(&w, 0);
	sites_add(&w, &r);
	sites_end(&w);
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, &sites),
	    -1);
	codec_buffer_fini(&w.b);
	r.hello.services_count = 1;
	r.report.services = reports;
	r.report.services_count = 2;
	sites_begin(&w, 0);
	sites_add(&w, &r);
	sites_end(&w);
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, &sites),
	    -1);
	codec_buffer_fini(&w.b);
}

/* A record of a report says III with 0 or 1, and IV up to 1000. */
static void
impossible_load_is_refused(void **state)
{
	struct sites_record r = full_record("osaka");
	struct load_report_service s = r.report.services[0];
	struct sites_writer w;
	struct sites sites;

	(void)state;
	s.load = 1001;
	r.report.services = &s;
	sites_begin(&w, 0);
	sites_add(&w, &r);
	sites_end(&w);
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, &sites),
	    -1);
	codec_buffer_fini(&w.b);
}

/* A LOAD between introduced sites says of load nothing. */
static void
between_says_nothing_of_load(void **state)
{
	struct load_report_service s = {.number = 7,
	    .between = true,
	    .servers_up = 5,
	    .load = 500,
	    .held_from_you = 12,
	    .limited = true,
	    .quota = 34};
	struct load_report report = {.sequence = 1, .services = &s, .services_count = 1}, got;
	struct codec_buffer b = {0};

	(void)state;
	assert_int_equal(codec_encode_load(&b, &report), 0);
	assert_int_equal(
	    codec_decode_load(b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN, &got), 0);
	assert_int_equal(got.services_count, 1);
	assert_true(got.services[0].between);
	assert_int_equal(got.services[0].held_from_you, 12);
	assert_true(got.services[0].limited);
	assert_int_equal(got.services[0].quota, 34);
	assert_int_equal(got.services[0].servers_up, 0);
	assert_int_equal(got.services[0].load, 0);
	load_report_fini(&got);
	codec_buffer_fini(&b);
}

static void
hello_says_where_sessions_go(void **state)
{
	struct hello hello = {.version = CODEC_VERSION, .site = "a", .cipher = 1}, got;
	struct codec_buffer b = {0};

	(void)state;
	addr_parse("192.0.2.5:7210", &hello.load);
	assert_int_equal(codec_encode_hello(&b, &hello), 0);
	assert_int_equal(
	    codec_decode_hello(b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN, &got), 0);
	assert_true(addr_equal(&got.load, &hello.load));
	hello_fini(&got);
	codec_buffer_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_is_read_again),
	    cmocka_unit_test(nothing_is_a_message_too),
	    cmocka_unit_test(many_sites_take_several_messages),
	    cmocka_unit_test(small_records_are_counted),
	    cmocka_unit_test(large_records_are_cut),
	    cmocka_unit_test(malformed_is_refused),
	    cmocka_unit_test(unknown_tags_are_skipped),
	    cmocka_unit_test(ambiguous_is_refused),
	    cmocka_unit_test(impossible_load_is_refused),
	    cmocka_unit_test(between_says_nothing_of_load),
	    cmocka_unit_test(hello_says_where_sessions_go),
	};

	return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
