/*
 * top and topology: pictures made of several answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "wladmctl/wladmctl.h"

static const struct table_style plain = {.colour = false, .width = 80};

/* Quotes are written as ' in json. */
static json_t *
value(const char *json)
{
	char *text = strdup(json);
	json_error_t error;
	json_t *root;

	for (char *s = text; *s != '\0'; s++)
		if (*s == '\'')
			*s = '"';
	root = json_loads(text, 0, &error);
	if (root == NULL)
		fail_msg("%s: %s", error.text, text);
	free(text);
	return root;
}

#define SUMMARY \
	"{'site': 'tokyo', 'uptime_s': 75, 'connections': 12, 'new_per_second': 3.4," \
	" 'packets_in_per_second': 1000, 'bytes_in_per_second': 1500000," \
	" 'packets_out_per_second': 7, 'bytes_out_per_second': 8," \
	" 'services': [{'service': 'web', 'servers': 3, 'servers_up': 2, 'load': 0.25," \
	"  'active': 10, 'transferred_active': 1, 'received_active': 2}]}"
#define SITES(total, octets) \
	"{'sites': [{'site': 'osaka', 'state': 'up', 'session': 'up', 'rtt_ms': 12.5," \
	" 'reason': null, 'path': 'alive', 'path_rtt_ms': 11.5, 'path_loss': 0.015625," \
	" 'path_mtu': 1472, 'direct': 'blocked', 'rule': 3," \
	" 'transferred_active': 4, 'transferred_total': " total ", 'received_active': 0," \
	" 'received_total': 0, 'transfer_bytes_out': " octets ", 'transfer_bytes_in': 0," \
	" 'services': [{'service': 'web', 'servers_up': 3, 'load': 0.5, 'permitted': true}," \
	"  {'service': 'mail', 'servers_up': null, 'load': null, 'permitted': null}]}," \
	" {'site': 'ko\\\"be', 'state': 'down', 'session': 'none', 'rtt_ms': null," \
	" 'reason': 'no session', 'path': 'lost', 'path_rtt_ms': null, 'path_loss': 1," \
	" 'path_mtu': null, 'direct': 'unknown', 'rule': 2," \
	" 'transferred_active': 0, 'received_active': 3, 'services': []}]}"
#define SERVER(name, total, octets) \
	"{'service': 'web', 'name': '" name "', 'address': '10.1.0.11', 'state': 'up'," \
	" 'admin': 'enabled', 'load': 0.1, 'active': 5, 'total': " total \
	", 'bytes_in': " octets ", 'bytes_out': 0}"

static void
sample(struct top_sample *s, const char *sites, const char *servers)
{
	s->summary = value(SUMMARY);
	s->sites = value(sites);
	s->servers = value(servers);
}

static void
sample_fini(struct top_sample *s)
{
	json_decref(s->summary);
	json_decref(s->sites);
	json_decref(s->servers);
}

static void
assert_picture(const struct top_sample *before, const struct top_sample *now, double seconds,
    const char *expected)
{
	char *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);

	top_print(before, now, seconds, out, &plain);
	fclose(out);
	assert_string_equal(output, expected);
	free(output);
}

#define HEAD \
	"site tokyo, up 1m15s, 12 connections, 3 new/s\n" \
	"device in 1000 packets/s, 1500kB/s; out 7 packets/s, 8B/s\n" \
	"\n" \
	"SERVICE   UP   LOAD  ACTIVE  TRANSFERRED  RECEIVED\n" \
	"web      2/3  25.0%      10            1         2\n" \
	"\n"

/* The first picture knows no rates, the next one does. */
static void
test_rates(void **arg)
{
	struct top_sample first, next;

	(void)arg;
	sample(&first, SITES("100", "1000"), "{'servers': [" SERVER("a", "50", "0") "]}");
	sample(&next, SITES("110", "501000"),
	    "{'servers': [" SERVER("new", "9", "9") ", " SERVER("a", "53", "4000") "]}");
	assert_picture(NULL, &first, 0,
	    HEAD
	    "SITE   STATE     RTT    LOSS  RULE  SENT  SENT/S  GOT  GOT/S  OUT B/S  IN B/S\n"
	    "    WHY NOT\n"
	    "osaka  up     11.5ms    1.6%     3     4       -    0      -        -       -\n"
	    "ko\"be  down        -  100.0%     2     0       -    3      -        -       -\n"
	    "    no session\n"
	    "\n"
	    "SERVICE  SERVER  STATE  ADMIN     LOAD  ACTIVE  NEW/S  IN B/S  OUT B/S\n"
	    "web      a       up     enabled  10.0%       5      -       -        -\n");
	assert_picture(&first, &next, 2,
	    HEAD
	    "SITE   STATE     RTT    LOSS  RULE  SENT  SENT/S  GOT  GOT/S  OUT B/S  IN B/S\n"
	    "    WHY NOT\n"
	    "osaka  up     11.5ms    1.6%     3     4       5    0      0     250k       0\n"
	    "ko\"be  down        -  100.0%     2     0       0    3      0        0       0\n"
	    "    no session\n"
	    "\n"
	    "SERVICE  SERVER  STATE  ADMIN     LOAD  ACTIVE  NEW/S  IN B/S  OUT B/S\n"
	    "web      new     up     enabled  10.0%       5      -       -        -\n"
	    "web      a       up     enabled  10.0%       5      2    2000        0\n");
	sample_fini(&first);
	sample_fini(&next);
}

/* A daemon that began anew counts from 0: that is no rate.  Nor is a time of 0. */
static void
test_no_rates(void **arg)
{
	struct top_sample first, next;
	const char *part =
	    "web      a       up     enabled  10.0%       5      -       -        0\n";
	char *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);

	(void)arg;
	sample(&first, "{'sites': []}", "{'servers': [" SERVER("a", "50", "10") "]}");
	sample(&next, "{'sites': []}", "{'servers': [" SERVER("a", "1", "1") "]}");
	top_print(&first, &next, 1, out, &plain);
	fclose(out);
	assert_non_null(strstr(output, part));
	assert_null(strstr(output, "SITE "));
	free(output);
	out = open_memstream(&output, &len);
	top_print(&first, &first, 0, out, &plain);
	fclose(out);
	assert_null(strstr(output, "inf"));
	assert_null(strstr(output, "nan"));
	free(output);
	sample_fini(&first);
	sample_fini(&next);
}

/* Answers of another version. */
static void
test_anything(void **arg)
{
	static const char *const values[] = {"{}", "[]", "{'sites': 7, 'servers': {}}",
	    "{'sites': [1, []], 'servers': ['x'], 'services': [null]}"};
	char *output = NULL;
	size_t len;

	(void)arg;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct top_sample s = {value(values[i]), value(values[i]), value(values[i])};
		FILE *out = open_memstream(&output, &len);

		top_print(&s, &s, 1, out, &plain);
		topology_text(s.summary, s.sites, out, &plain);
		topology_dot(s.summary, s.sites, out);
		fclose(out);
		assert_true(len > 0);
		free(output);
		sample_fini(&s);
	}
}

static void
test_topology(void **arg)
{
	json_t *summary = value(SUMMARY), *sites = value(SITES("1", "1"));
	char *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);

	(void)arg;
	topology_text(summary, sites, out, &plain);
	fclose(out);
	assert_string_equal(output,
	    "tokyo\n"
	    "    web: 2 of 3 servers up, load 25.0%, 10 active\n"
	    "<-> osaka: up, session up, sent 4, got 0\n"
	    "    path alive: rtt 11.5ms, loss 1.6%, MTU 1472, direct blocked, rule 3\n"
	    "    web: 3 servers up, load 50.0%, permitted\n"
	    "    mail: not reported\n"
	    "<-> ko\"be: down: no session, session none, sent 0, got 3\n"
	    "    path lost: rtt -, loss 100.0%, MTU -, direct unknown, rule 2\n");
	free(output);
	out = open_memstream(&output, &len);
	topology_dot(summary, sites, out);
	fclose(out);
	assert_string_equal(output,
	    "digraph wlad {\n"
	    "\tnode [shape=box];\n"
	    "\t\"tokyo\" [label=\"tokyo\\nweb 2 up, 25.0%\"];\n"
	    "\t\"osaka\" [label=\"osaka\\nweb 3 up, 50.0%\\nmail\"];\n"
	    "\t\"tokyo\" -> \"osaka\" [label=\"4 by rule 3\\n11.5ms\"];\n"
	    "\t\"osaka\" -> \"tokyo\" [label=\"0\"];\n"
	    "\t\"ko\\\"be\" [label=\"ko\\\"be\", color=red];\n"
	    "\t\"tokyo\" -> \"ko\\\"be\" [label=\"0 by rule 2\\n-\", color=red, "
	    "style=dashed];\n"
	    "\t\"ko\\\"be\" -> \"tokyo\" [label=\"3\", color=red, style=dashed];\n"
	    "}\n");
	free(output);
	json_decref(summary);
	json_decref(sites);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_no_rates),
	    cmocka_unit_test(test_anything),
	    cmocka_unit_test(test_topology),
	};

	return cmocka_run_group_tests_name("wladmctl_top", tests, NULL, NULL);
}
