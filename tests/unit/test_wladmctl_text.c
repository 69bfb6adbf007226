#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "wladmctl/table.h"
#include "wladmctl/text.h"

static const struct table_style plain = {.colour = false, .width = 80};
static const struct table_style coloured = {.colour = true, .width = 80};
static const struct table_style narrow = {.colour = false, .width = 30};

/* What an answer looks like; quotes are written as ' in json. */
static char *
show(const char *json, const struct table_style *style)
{
	char *text, *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);
	json_error_t error;
	json_t *root;

	text = strdup(json);
	for (char *s = text; *s != '\0'; s++)
		if (*s == '\'')
			*s = '"';
	root = json_loads(text, 0, &error);
	if (root == NULL)
		fail_msg("%s: %s", error.text, text);
	text_print(root, out, style);
	fclose(out);
	json_decref(root);
	free(text);
	return output;
}

static void
assert_shown(const char *json, const struct table_style *style, const char *expected)
{
	char *output = show(json, style);

	assert_string_equal(output, expected);
	free(output);
}

static void
assert_holds(const char *json, const struct table_style *style, const char *part)
{
	char *output = show(json, style);

	if (strstr(output, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, output);
	free(output);
}

static void
test_counts(void **arg)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
	    {0, "0"},
	    {1, "1"},
	    {999, "999"},
	    {9999, "9999"},
	    {10000, "10.0k"},
	    {12345, "12.3k"},
	    {99949, "99.9k"},
	    {99999, "100k"},
	    {999400, "999k"},
	    {1e7, "10.0M"},
	    {4567890123.0, "4568M"},
	    {1.5e13, "15.0T"},
	    {1e30, "1000000000000E"},
	};
	char buf[TEXT_SHORT];

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_count(cases[i].value, buf), cases[i].text);
}

static void
test_seconds(void **arg)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
	    {0, "0s"},
	    {0.25, "0.25s"},
	    {9, "9s"},
	    {9.999, "10.00s"},
	    {12.7, "12s"},
	    {59, "59s"},
	    {60, "1m00s"},
	    {3599, "59m59s"},
	    {3600, "1h00m"},
	    {86399, "23h59m"},
	    {86400, "1d00h"},
	    {1e6, "11d13h"},
	    {-1, "-1s"},
	};
	char buf[TEXT_SHORT];

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_seconds(cases[i].value, buf), cases[i].text);
}

static char *
show_table(const struct table *table, const struct table_style *style)
{
	char *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);

	table_print(table, out, style);
	fclose(out);
	return output;
}

static void
test_table(void **arg)
{
	static const struct table_column columns[] = {
	    {"NAME", false}, {"EMPTY", false}, {"N", true}, {"WHAT", false}};
	struct table *table = table_new(columns, 4);
	char *output = show_table(table, &plain);

	(void)arg;
	assert_string_equal(output, ""); /* no rows, no head */
	free(output);
	table_cell(table, TABLE_PLAIN, "a");
	table_cell(table, TABLE_PLAIN, "%s", "");
	table_cell(table, TABLE_PLAIN, "%d", 1000);
	table_cell(table, TABLE_PLAIN, "x");
	table_cell(table, TABLE_PLAIN, "longer");
	table_cell(table, TABLE_PLAIN, "%s", "");
	table_cell(table, TABLE_PLAIN, "%d", 1);
	table_cell(table, TABLE_PLAIN, "%s", "");
	output = show_table(table, &plain);
	assert_string_equal(output, "NAME       N  WHAT\na       1000  x\nlonger     1\n");
	free(output);
	table_free(table);
	table_free(NULL);
}

/* Columns that do not fit go on below, aligned; a further line without text is left out. */
static void
test_table_continues(void **arg)
{
	static const struct table_column columns[] = {
	    {"NAME", false}, {"ADDRESS", false}, {"SECOND", true}, {"LINE", false}};
	struct table *table = table_new(columns, 4);
	char *output;

	(void)arg;
	table_cell(table, TABLE_PLAIN, "one");
	table_cell(table, TABLE_PLAIN, "[2001:db8::1]:8080");
	table_cell(table, TABLE_PLAIN, "7");
	table_cell(table, TABLE_PLAIN, "yes");
	table_cell(table, TABLE_PLAIN, "two");
	table_cell(table, TABLE_PLAIN, "192.0.2.1:80");
	table_cell(table, TABLE_PLAIN, "%s", "");
	table_cell(table, TABLE_PLAIN, "%s", "");
	output = show_table(table, &narrow);
	assert_string_equal(output,
	    "NAME  ADDRESS\n"
	    "    SECOND  LINE\n"
	    "one   [2001:db8::1]:8080\n"
	    "         7  yes\n"
	    "two   192.0.2.1:80\n");
	free(output);
	table_free(table);
}

/* A text that is wider than the terminal is folded at blanks and commas, or wherever it must. */
static void
test_table_folds(void **arg)
{
	static const struct table_column columns[] = {{"N", true}, {"TEXT", false}, {"M", true}};
	struct table *table = table_new(columns, 3);
	char *output;

	(void)arg;
	table_cell(table, TABLE_PLAIN, "1");
	table_cell(table, TABLE_PLAIN, "a sentence that is longer than thirty columns");
	table_cell(table, TABLE_PLAIN, "2");
	table_cell(table, TABLE_PLAIN, "3");
	table_cell(table, TABLE_PLAIN, "1000,2000,3000,4000,5000,6000-7000");
	table_cell(table, TABLE_PLAIN, "4");
	table_cell(table, TABLE_PLAIN, "5");
	table_cell(table, TABLE_PLAIN, "abcdefghijklmnopqrstuvwxyz0123456789");
	table_cell(table, TABLE_PLAIN, "6");
	output = show_table(table, &narrow);
	assert_string_equal(output,
	    "N  TEXT\n    M\n"
	    "1  a sentence that is longer\n   than thirty columns\n    2\n"
	    "3  1000,2000,3000,4000,5000,\n   6000-7000\n    4\n"
	    "5  abcdefghijklmnopqrstuvwxyz\n   0123456789\n    6\n");
	free(output);
	table_free(table);
}

static void
test_harmless(void **arg)
{
	char text[] = "a\033[2Jb\n\x7f\xc2\x9b"
		      "31m\xc3\xa9\xc2\xa9";

	(void)arg;
	table_harmless(text);
	assert_string_equal(text, "a?[2Jb????31m\xc3\xa9\xc2\xa9");
}

#define SERVERS \
	"{'schema': 1, 'view': 'servers', 'servers': [" \
	"{'service': 'web', 'name': 'a', 'address': '10.1.0.11:8080', 'present': true," \
	" 'state': 'up', 'cause': null, 'admin': 'enabled', 'load': 0.8012, 'high': true," \
	" 'weight': 10, 'active': 801, 'total': 123456}," \
	"{'service': 'web', 'name': 'b', 'address': '10.1.0.12', 'present': true," \
	" 'state': 'down', 'cause': 'connection refused', 'admin': 'draining', 'load': 0," \
	" 'high': false, 'weight': 1, 'active': 0, 'total': 0}," \
	"{'service': 'web', 'name': 'old', 'address': '10.1.0.13', 'present': false," \
	" 'state': 'up', 'cause': null, 'admin': 'enabled', 'load': 0.001, 'high': false," \
	" 'weight': 1, 'active': 1, 'total': 5}]}"

static void
test_servers(void **arg)
{
	(void)arg;
	assert_shown(SERVERS, &plain,
	    "SERVICE  SERVER  ADDRESS         STATE     ADMIN      LOAD  WEIGHT  ACTIVE\n"
	    "    TOTAL  CAUSE\n"
	    "web      a       10.1.0.11:8080  up, high  enabled   80.1%      10     801\n"
	    "     123k\n"
	    "web      b       10.1.0.12       down      draining   0.0%       1       0\n"
	    "        0  connection refused\n"
	    "web      old     10.1.0.13       removed   enabled    0.1%       1       1\n"
	    "        5\n");
}

/* What an agent says has a column where there is one. */
static void
test_agents(void **arg)
{
#define AGENT(more) \
	"{\"view\":\"servers\",\"servers\":[{\"service\":\"web\",\"name\":\"a\",\"agent\":{" \
	"\"address\":\"10.1.0.11:9999\"," more "}}]}"

	(void)arg;
	assert_holds(AGENT("\"down\":false,\"admin\":\"ready\",\"weight\":100,\"age_s\":0.1"),
	    &plain, "ready");
	assert_holds(AGENT("\"down\":true,\"admin\":\"drain\",\"weight\":63,\"age_s\":0.1,"
			   "\"description\":\"disk\",\"max_connections\":30,"
			   "\"cause\":\"agent says down\""),
	    &plain, "down, drain, 63%, at most 30, \"disk\"");
	assert_holds(AGENT("\"down\":false,\"admin\":\"ready\",\"weight\":7,"
			   "\"weight_absolute\":true,\"age_s\":0.1"),
	    &plain, "ready, weight 7");
	assert_holds(AGENT("\"down\":false,\"admin\":\"maint\",\"weight\":100,\"age_s\":61,"
			   "\"fault\":\"connection refused\""),
	    &plain, "maint (1m01s ago; connection refused)");
	assert_holds(AGENT("\"down\":false,\"admin\":\"ready\",\"weight\":100,\"age_s\":null,"
			   "\"fault\":\"connection refused\""),
	    &plain, "connection refused");
	assert_holds("{\"view\":\"services\",\"services\":[{\"service\":\"web\","
		     "\"agent_says\":\"up ready 63% maxconn:900\"}]}",
	    &plain, "up ready 63% maxconn:900");
#undef AGENT
}

static void
test_colours(void **arg)
{
	char *output;

	(void)arg;
	assert_holds(SERVERS, &coloured, "\033[33mup, high\033[0m");
	assert_holds(SERVERS, &coloured, "\033[31mdown\033[0m      \033[33mdraining\033[0m");
	assert_holds(SERVERS, &coloured, "\033[33mremoved\033[0m");
	assert_holds(SERVERS, &coloured, "\033[1mSERVICE\033[0m  \033[1mSERVER\033[0m");
	output = show(SERVERS, &plain);
	assert_null(strchr(output, '\033'));
	free(output);
}

/* Without the colours it is the same text: widths do not count escapes. */
static void
test_colours_keep_alignment(void **arg)
{
	char *with = show(SERVERS, &coloured), *without = show(SERVERS, &plain), *to = with;

	(void)arg;
	for (const char *from = with; *from != '\0';) {
		if (*from == '\033')
			from += strcspn(from, "m") + 1;
		else
			*to++ = *from++;
	}
	*to = '\0';
	assert_string_equal(with, without);
	free(with);
	free(without);
}

static void
test_summary(void **arg)
{
	const char *json =
	    "{'view': 'summary', 'site': 'tokyo', 'version': '1.2', 'uptime_s': 11100,"
	    " 'connections': 1234567, 'connections_limit': 2097152, 'new_per_second': 12.4,"
	    " 'packets_in_per_second': 1000, 'bytes_in_per_second': 1234567,"
	    " 'packets_out_per_second': 999, 'bytes_out_per_second': 8,"
	    " 'transfer_packets_in_per_second': 1, 'transfer_bytes_in_per_second': 2,"
	    " 'transfer_packets_out_per_second': 3, 'transfer_bytes_out_per_second': 4,"
	    " 'services': [{'service': 'web', 'servers': 3, 'servers_up': 2, 'load': 0.5,"
	    "  'active': 10, 'transferred_active': 5, 'received_active': 0}],"
	    " 'sites': [{'site': 'osaka', 'state': 'up', 'reason': null, 'session': 'up',"
	    "  'path': 'alive', 'rule': 2, 'transferred_active': 5, 'received_active': 7},"
	    "  {'site': 'kobe', 'state': 'down', 'reason': 'path lost', 'session': 'up',"
	    "  'path': 'lost', 'rule': 3, 'transferred_active': 0, 'received_active': 0}]}";

	(void)arg;
	assert_shown(json, &plain,
	    "site tokyo, wlad 1.2, up 3h05m\n"
	    "\n"
	    "connections  1235k of 2097k, 12 new/s\n"
	    "device       in 1000 packets/s, 1235kB/s; out 999 packets/s, 8B/s\n"
	    "transfer     in 1 packets/s, 2B/s; out 3 packets/s, 4B/s\n"
	    "\n"
	    "SERVICE   UP   LOAD  ACTIVE  TRANSFERRED  RECEIVED\n"
	    "web      2/3  50.0%      10            5         0\n"
	    "\n"
	    "SITE   STATE  SESSION  PATH   RULE  TRANSFERRED  RECEIVED  WHY NOT\n"
	    "osaka  up     up       alive     2            5         7\n"
	    "kobe   down   up       lost      3            0         0  path lost\n");
	assert_holds(json, &coloured, "\033[33m2/3\033[0m");
}

static void
test_services(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'services', 'services': [{'service': 'web', 'protocol': 'tcp',"
	    " 'address': '203.0.113.10', 'ports': '80,443', 'servers': 2, 'servers_up': 2,"
	    " 'load': 0.25, 'active': 5, 'total': 9, 'transferred_active': 1,"
	    " 'received_active': 2}]}",
	    &plain,
	    "SERVICE  ADDRESS        UP   LOAD  ACTIVE  TOTAL  SENT  GOT  PORTS\n"
	    "web      203.0.113.10  2/2  25.0%       5      9     1    2  tcp 80,443\n");
}

#define SITES \
	"{'view': 'sites', 'sites': [" \
	"{'site': 'osaka', 'state': 'up', 'reason': null, 'session': 'up', 'session_s': 75," \
	" 'rtt_ms': 8.25, 'transferred_active': 4, 'received_active': 0, 'error': null," \
	" 'path': 'alive', 'path_s': 70, 'path_rtt_ms': 8.125, 'path_loss': 0.0156," \
	" 'path_mtu': 1472, 'peer_mtu': 1500, 'direct': 'ok', 'direct_out': 'blocked'," \
	" 'rule': 2, 'rule_reason': 'direct replies get through'," \
	" 'services': [{'service': 'web', 'candidate': false, 'reason': 'not better than " \
	"here'," \
	"  'servers_up': 3, 'servers_not_high': 2," \
	"  'transferable': 250, 'permitted': true, 'load': 0.375, 'age_ms': 300," \
	"  'transferred_active': 4, 'received_active': 0}," \
	" {'service': 'mail', 'candidate': null, 'reason': null," \
	"  'servers_up': null, 'servers_not_high': null," \
	"  'transferable': null, 'permitted': null, 'load': null, 'age_ms': null," \
	"  'transferred_active': 0, 'received_active': 0}]}," \
	"{'site': 'kobe', 'state': 'down', 'reason': 'no session', 'session': 'none'," \
	" 'session_s': 5, 'rtt_ms': null, 'transferred_active': 0," \
	" 'path': 'lost', 'path_s': 3700, 'path_rtt_ms': null, 'path_loss': 1," \
	" 'path_mtu': null, 'peer_mtu': null, 'direct': 'blocked', 'direct_out': 'unknown'," \
	" 'rule': 3, 'rule_reason': 'peers.reply is transferor'," \
	" 'received_active': 0, 'error': 'expired \\u001b[2J', 'services': []}]}"

static void
test_sites(void **arg)
{
	(void)arg;
	assert_shown("{'view': 'sites', 'sites': []}", &plain, "no other sites\n");
	assert_shown(SITES, &plain,
	    "SITE   STATE  SESSION  SINCE    RTT  TRANSFERRED  RECEIVED  WHY NOT\n"
	    "    ERROR\n"
	    "osaka  up     up       1m15s  8.2ms            4         0\n"
	    "kobe   down   none        5s      -            0         0  no session\n"
	    "    expired ?[2J\n"
	    "\n"
	    "SITE   PATH   SINCE    RTT    LOSS   MTU  MTU IN  DIRECT IN  OUT      RULE\n"
	    "    WHY\n"
	    "osaka  alive  1m10s  8.1ms    1.6%  1472    1500  ok         blocked     2\n"
	    "kobe   lost   1h01m      -  100.0%     -       -  blocked    unknown     3\n"
	    "    peers.reply is transferor\n"
	    "\n"
	    "SITE   SERVICE  UP  NOT HIGH  FREE  PERMITTED   LOAD    AGE  SENT  GOT\n"
	    "    WHY NOT\n"
	    "osaka  web       3         2   250  yes        37.5%  0.30s     4    0\n"
	    "    not better than here\n"
	    "osaka  mail      -         -     -  -              -      -     0    0\n");
	assert_holds(SITES, &coloured, "\033[32malive\033[0m");
	assert_holds(SITES, &coloured, "\033[33mblocked\033[0m");
}

/* Nothing that a site is called, or that is wrong with it, makes a line too long. */
static void
test_width(void **arg)
{
	static const char *const answers[] = {SITES,
	    "{'view': 'explain', 'sites': [{'site': 'a-site-with-a-name-of-thirty-two-x',"
	    " 'candidate': false, 'reason': 'disabled by an administrator', 'capacity': 64512,"
	    " 'load': 1, 'fresh': 1, 'slow_start': 1, 'near': 1, 'weight': 64512.1,"
	    " 'probability': 1, 'rule': 3,"
	    " 'rule_reason': 'its direct-reply probes do not get through'}]}",
	    "{'view': 'probe', 'site': 'a-site-with-a-name-of-thirty-two-x', 'path': 'alive',"
	    " 'answered': false, 'waited_ms': 2000, 'path_s': 1000000, 'path_rtt_ms': 1234.5,"
	    " 'path_loss': 1, 'path_mtu': 65535, 'peer_mtu': 65535, 'direct': 'unknown',"
	    " 'direct_out': 'blocked', 'rule': 3,"
	    " 'rule_reason': 'its direct-reply probes do not get through'}",
	    "{'view': 'site', 'site': 'osaka', 'admin': 'disabled', 'before': 'enabled',"
	    " 'state': 'down', 'reason': 'disabled by an administrator',"
	    " 'transferred_active': 1}"};

	(void)arg;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char *output = show(answers[i], &plain), *next = output, *line;

		while ((line = strsep(&next, "\n")) != NULL)
			if (strlen(line) > plain.width)
				fail_msg("%zu columns: %s", strlen(line), line);
		free(output);
	}
}

static void
test_site_answers(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'site', 'site': 'osaka', 'admin': 'disabled', 'before': 'enabled',"
	    " 'state': 'down', 'reason': 'disabled by an administrator',"
	    " 'transferred_active': 12}",
	    &plain,
	    "osaka: disabled (was enabled)\n"
	    "state down (disabled by an administrator), 12 connections there\n");
	assert_shown(
	    "{'view': 'site', 'site': 'osaka', 'admin': 'enabled', 'before': 'enabled',"
	    " 'state': 'up', 'reason': null, 'transferred_active': 0}",
	    &plain, "osaka: enabled (was enabled)\nstate up, 0 connections there\n");
	assert_shown("{'view': 'transfer', 'services': [{'service': 'web', 'permitted': false,"
		     " 'permitted_before': true, 'permitted_configured': true,"
		     " 'permitted_admin': false, 'received_active': 3}, {'service': 'mail',"
		     " 'permitted': false, 'permitted_before': false,"
		     " 'permitted_configured': false, 'permitted_admin': false,"
		     " 'received_active': 0}]}",
	    &plain,
	    "SERVICE  TRANSFER  WAS       CONFIGURED  RECEIVED\n"
	    "web      prohibit  permit    permit             3\n"
	    "mail     prohibit  prohibit  prohibit           0\n");
}

static void
test_probe(void **arg)
{
	(void)arg;
	assert_shown("{'view': 'probe', 'site': 'osaka', 'waited_ms': 50, 'answered': true,"
		     " 'mtu_confirmed': true, 'direct_judged': true, 'path': 'alive',"
		     " 'path_s': 61, 'path_rtt_ms': 12.3, 'path_loss': 0, 'path_mtu': 1472,"
		     " 'peer_mtu': 1500, 'direct': 'ok', 'direct_out': 'blocked', 'rule': 2,"
		     " 'rule_reason': 'direct replies get through'}",
	    &plain,
	    "site osaka: answered within 0.05s\n"
	    "path         alive for 1m01s, round trip 12.3ms, loss 0.0%\n"
	    "path MTU     1472 there, 1500 back\n"
	    "direct here  ok\n"
	    "direct there blocked\n"
	    "rule         2: direct replies get through\n");
	assert_shown(
	    "{'view': 'probe', 'site': 'osaka', 'waited_ms': 2000, 'answered': false,"
	    " 'mtu_confirmed': false, 'direct_judged': false, 'path': 'lost',"
	    " 'path_s': 1, 'path_rtt_ms': null, 'path_loss': null, 'path_mtu': null,"
	    " 'peer_mtu': null, 'direct': 'unknown', 'direct_out': 'unknown', 'rule': 2,"
	    " 'rule_reason': 'nothing is known against direct replies'}",
	    &plain,
	    "site osaka: no answer within 2s\n"
	    "path         lost for 1s, round trip -, loss -\n"
	    "path MTU     - there (not measured now), - back\n"
	    "direct here  unknown\n"
	    "direct there unknown (not measured now)\n"
	    "rule         2: nothing is known against direct replies\n");
}

static void
test_connections(void **arg)
{
	const char *json =
	    "{'view': 'connections', 'connections': ["
	    "{'protocol': 'tcp', 'kind': 'local', 'client': '192.0.2.1:4000', 'rule': 1,"
	    " 'service_address': '203.0.113.10:443', 'server': '10.1.0.11:8080',"
	    " 'relay_port': null,"
	    " 'state': 'established', 'idle_ms': 1500, 'packets': 10, 'bytes': 123456},"
	    "{'protocol': 'tcp', 'kind': 'transferred', 'client': '192.0.2.2:4000', 'rule': 2,"
	    " 'service_address': '203.0.113.10:443', 'server': null, 'transferee': 'osaka',"
	    " 'relay_port': null,"
	    " 'state': 'opening', 'idle_ms': 0, 'packets': 1, 'bytes': 60},"
	    "{'protocol': 'udp', 'kind': 'received', 'client': '192.0.2.3:4000', 'rule': 2,"
	    " 'service_address': '198.51.100.1:53', 'server': '10.1.0.13:53', 'transferor': "
	    "'kobe', 'relay_port': null,"
	    " 'state': 'closing', 'idle_ms': 90000, 'packets': 1, 'bytes': 60}],"
	    " 'listed': 3, 'truncated': true, 'live': 1000}";

	(void)arg;
	assert_shown(json, &plain,
	    "PROTO  CLIENT          SERVICE ADDRESS   SERVER                 STATE\n"
	    "    KIND         RULE   IDLE  PACKETS  BYTES\n"
	    "tcp    192.0.2.1:4000  203.0.113.10:443  10.1.0.11:8080         established\n"
	    "    local           1  1.50s       10   123k\n"
	    "tcp    192.0.2.2:4000  203.0.113.10:443  at osaka               opening\n"
	    "    transferred     2     0s        1     60\n"
	    "udp    192.0.2.3:4000  198.51.100.1:53   10.1.0.13:53 for kobe  closing\n"
	    "    received        2  1m30s        1     60\n"
	    "3 shown of 1000, truncated: see limit\n");
	assert_shown("{'view': 'connections', 'connections': [], 'listed': 0, 'live': 7,"
		     " 'truncated': false}",
	    &plain, "0 shown of 7\n");
}

/* By rule 3: the port that the server answers to, and the server once it has. */
static void
test_relayed_connections(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'connections', 'connections': ["
	    "{'protocol': 'tcp', 'kind': 'transferred', 'client': '192.0.2.1:1', 'rule': 3,"
	    " 'service_address': '203.0.113.10:80', 'server': null, 'transferee': 'osaka',"
	    " 'relay_port': 40000, 'state': 'opening', 'idle_ms': 0, 'packets': 1,"
	    " 'bytes': 60},"
	    "{'protocol': 'tcp', 'kind': 'transferred', 'client': '192.0.2.1:2', 'rule': 3,"
	    " 'service_address': '203.0.113.10:80', 'server': '10.2.0.11:80',"
	    " 'transferee': 'osaka', 'relay_port': 40001, 'state': 'established',"
	    " 'idle_ms': 0, 'packets': 3, 'bytes': 180}],"
	    " 'listed': 2, 'truncated': false, 'live': 2}",
	    &plain,
	    "PROTO  CLIENT       SERVICE ADDRESS  SERVER                 STATE\n"
	    "    KIND         RULE  RELAY PORT  IDLE  PACKETS  BYTES\n"
	    "tcp    192.0.2.1:1  203.0.113.10:80  at osaka               opening\n"
	    "    transferred     3       40000    0s        1     60\n"
	    "tcp    192.0.2.1:2  203.0.113.10:80  10.2.0.11:80 at osaka  established\n"
	    "    transferred     3       40001    0s        3    180\n"
	    "2 shown of 2\n");
}

static void
test_counters(void **arg)
{
	(void)arg;
	assert_shown("{'view': 'counters', 'counters': {'packets_in': 12, 'bytes_in': 0},"
		     " 'drops': {'ttl': 0, 'icmp': 3}}",
	    &plain,
	    "COUNTERS\n"
	    "  packets_in                                 12\n"
	    "  bytes_in                                    0\n"
	    "PACKETS DROPPED\n"
	    "  icmp                                        3\n");
	assert_holds("{'view': 'counters', 'counters': {}, 'drops': {'ttl': 0}}", &plain,
	    "PACKETS DROPPED\n  none\n");
}

static void
test_explain(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'explain', 'client': '192.0.2.1:4000', 'service': 'web',"
	    " 'service_address': '203.0.113.10', 'protocol': 'tcp', 'martian': false,"
	    " 'existing': [{'client': '192.0.2.1:4000', 'service_address': '203.0.113.10:443',"
	    "  'kind': 'transferred', 'transferee': 'osaka', 'state': 'established'}],"
	    " 'own': {'prefer': 'any', 'site_metric': 'load', 'load': 0.8, 'high_load': 0.75,"
	    "  'gate': 0.5, 'weight': 17.5,"
	    "  'servers_up': 2, 'capacity': 200},"
	    " 'sites': [{'site': 'osaka', 'candidate': true, 'reason': 'candidate',"
	    "  'capacity': 300, 'load': 0.2, 'fresh': 1, 'slow_start': 0.55, 'near': 0.89,"
	    "  'answers': 0.9, 'limited': true, 'rate': 12.5, 'weight': 102.7, 'probability': "
	    "0.5, 'rule': 3,"
	    "  'rule_reason': 'clients did not get direct replies'}],"
	    " 'scheduler': 'twos', 'servers': [{'name': 'a', 'address': '10.1.0.11:80',"
	    "  'candidate': false, 'reason': 'draining', 'weight': 1, 'active': 80,"
	    "  'max_connections': 100, 'load': 0.8, 'probability': 0}],"
	    " 'outcome': {'own_server': 0, 'other_site': 0.5, 'refused': 0.5}}",
	    &plain,
	    "client 192.0.2.1:4000 to service web (tcp 203.0.113.10)\n"
	    "own site: load 80.0% of 200, high from 75.0%, 2 servers up, prefer any\n"
	    "gate: 50.0% of new connections may leave for a better site, by load\n"
	    "weight of the own site among them: 17.5\n"
	    "exists: 192.0.2.1:4000 to 203.0.113.10:443,\n"
	    "        established, transferred, osaka: it stays where it is\n"
	    "\n"
	    "SITE   REASON     CAPACITY   LOAD  FRESH  SLOW START  NEAR  ANSWERS  RATE\n"
	    "    WEIGHT   GETS  RULE  WHY\n"
	    "osaka  candidate       300  20.0%   1.00        0.55  0.89     0.90  12.5\n"
	    "     102.7  50.0%     3  clients did not get direct replies\n"
	    "\n"
	    "SERVER  ADDRESS       REASON    WEIGHT  ACTIVE  MAX   LOAD  GETS\n"
	    "a       10.1.0.11:80  draining       1      80  100  80.0%  0.0%\n"
	    "\n"
	    "a new connection: own server 0.0%, other site 50.0%, refused 50.0% (twos)\n");
	assert_holds("{'view': 'explain', 'martian': true}", &plain, "packets are dropped");
}

static void
test_small_answers(void **arg)
{
	(void)arg;
	assert_shown("{'view': 'server', 'service': 'web', 'name': 'a', 'admin': 'draining',"
		     " 'before': 'enabled', 'state': 'up', 'active': 12}",
	    &plain, "web/a: draining (was enabled), measured up, 12 connections\n");
	assert_shown("{'view': 'server', 'service': 'web', 'name': 'a', 'admin': 'enabled',"
		     " 'before': 'enabled', 'state': 'up', 'active': 12, 'weight': 0,"
		     " 'weight_before': 10, 'weight_configured': 10, 'weight_admin': 0}",
	    &plain,
	    "web/a: enabled (was enabled), measured up, 12 connections, "
	    "weight 0 (was 10, configured 10)\n");
	assert_shown("{'view': 'server', 'service': 'web', 'name': 'a', 'admin': 'enabled',"
		     " 'before': 'enabled', 'state': 'up', 'active': 0, 'weight': 10,"
		     " 'weight_before': 3, 'weight_configured': 10, 'weight_admin': null}",
	    &plain,
	    "web/a: enabled (was enabled), measured up, 0 connections, "
	    "weight 10 (was 3, configured 10)\n");
	assert_shown("{'view': 'server', 'done': 'added', 'service': 'web', 'name': 'c',"
		     " 'address': '10.1.0.14:81', 'origin': 'run-time', 'admin': 'enabled',"
		     " 'weight': 5, 'max_connections': 9, 'backup': true, 'state': 'down',"
		     " 'active': 0}",
	    &plain,
	    "web/c: added, 10.1.0.14:81, weight 5, at most 9 connections, backup, enabled, "
	    "measured down, now 0\n");
	assert_shown("{'view': 'server', 'done': 'removed', 'service': 'web', 'name': 'c',"
		     " 'active': 3}",
	    &plain, "web/c: removed, 3 connections\n");
	assert_shown(
	    "{'view': 'save', 'file': '/a.conf', 'kept': true, 'own': true,"
	    " 'unsaved': ['server web/a is draining'], 'included': [{'file': '/a.conf'},"
	    " {'file': '/b.conf'}], 'reloaded': true, 'faults': []}",
	    &plain,
	    "wrote /a.conf, without the comments that were there\n"
	    "the file before it is /a.conf~\nno longer included: /b.conf\n"
	    "not in the file, lost with a restart: server web/a is draining\nreloaded\n");
	assert_shown("{'view': 'reload', 'reloaded': true, 'faults': []}", &plain, "reloaded\n");
	assert_shown("{'view': 'reload', 'reloaded': false, 'faults': ['w.conf:1: a',"
		     " 'w.conf:2: b\\u001b', 7]}",
	    &plain, "not reloaded, the old configuration stays:\nw.conf:1: a\nw.conf:2: b?\n-\n");
	assert_shown("{'view': 'log', 'level': 'debug'}", &plain, "log level debug\n");
	assert_shown("{'view': 'version', 'version': '1.2', 'site': 'tokyo'}", &plain,
	    "wlad 1.2 at site tokyo\n");
	assert_shown("{'view': 'help', 'commands': [{'command': 'log LEVEL', 'right': 'change',"
		     " 'help': 'text'}, {'command': 'help', 'right': 'look', 'help': 'more'}]}",
	    &plain,
	    "log LEVEL\n        text (*)\nhelp\n        more\n"
	    "(*) root and the daemon's user only\n");
}

/* The configured weight is shown beside one that an administrator set. */
static void
test_weights(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'servers', 'servers': [{'service': 'web', 'name': 'a',"
	    " 'address': '10.1.0.11:80', 'state': 'up', 'admin': 'enabled', 'load': 0.5,"
	    " 'weight': 0, 'weight_configured': 10, 'weight_admin': 0, 'active': 1,"
	    " 'total': 2}, {'service': 'web', 'name': 'b', 'address': '10.1.0.12:80',"
	    " 'state': 'up', 'admin': 'enabled', 'load': 0.5, 'weight': 5,"
	    " 'weight_configured': 5, 'weight_admin': null, 'active': 1, 'total': 2}]}",
	    &plain,
	    "SERVICE  SERVER  ADDRESS       STATE  ADMIN     LOAD  WEIGHT  ACTIVE  TOTAL\n"
	    "web      a       10.1.0.11:80  up     enabled  50.0%  0 (10)       1      2\n"
	    "web      b       10.1.0.12:80  up     enabled  50.0%       5       1      2\n");
}

/* What clients' connections say: times where there are any, and one that does not answer. */
static void
test_signals(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'servers', 'servers': [{'service': 'w', 'name': 'a', 'address': '::1',"
	    " 'state': 'up', 'admin': 'enabled', 'load': 0.5, 'weight': 1, 'active': 1,"
	    " 'total': 2, 'response_ms': 0.25}, {'service': 'w', 'name': 'b', 'address': '::2',"
	    " 'state': 'up', 'avoided': true, 'admin': 'enabled', 'load': 0.333, 'weight': 1,"
	    " 'active': 1, 'total': 2, 'response_ms': 120.4}]}",
	    &plain,
	    "SERVICE  SERVER  ADDRESS  STATE       ADMIN     LOAD  WEIGHT  ACTIVE  TOTAL\n"
	    "    ANSWERS IN\n"
	    "w        a       ::1      up          enabled  50.0%       1       1      2\n"
	    "       0.25 ms\n"
	    "w        b       ::2      up, silent  enabled  33.3%       1       1      2\n"
	    "        120 ms\n");
}

static void
test_keys(void **arg)
{
	(void)arg;
	assert_shown("{'view': 'keys', 'keys': []}", &plain, "no keys\n");
	assert_shown("{'view': 'keys', 'keys': [{'site': 'osaka', 'direction': 'in', 'index': "
		     "'00c0ffee', 'cipher': 'AES-128-GCM',"
		     " 'epoch': 2, 'packets': 123456, 'usable': true}, {'site': null, "
		     "'direction': 'out',"
		     " 'index': '00000001', 'cipher': 'ChaCha20-Poly1305', 'epoch': 65535, "
		     "'packets': 0, 'usable': false}]}",
	    &plain,
	    "SITE   DIRECTION  INDEX     CIPHER             EPOCH  PACKETS  USABLE\n"
	    "osaka  in         00c0ffee  AES-128-GCM            2     123k  yes\n"
	    "-      out        00000001  ChaCha20-Poly1305  65.5k        0  no\n");
}

/* As it is, so that it can be a file; but a terminal is not commanded. */
static void
test_config(void **arg)
{
	(void)arg;
	assert_shown("{'view': 'config', 'file': 'x', 'config': {},"
		     " 'text': 'site = \\\'a\\\';\\n\\n  b = 1;\\n'}",
	    &plain, "site = \"a\";\n\n  b = 1;\n");
	assert_shown(
	    "{'view': 'config', 'text': 'no end\\u001b[2J\\r'}", &plain, "no end?[2J?\n");
}

static void
test_errors(void **arg)
{
	(void)arg;
	assert_shown(
	    "{'view': 'errors', 'sites': [], 'servers': [], 'reload': null, 'drops': [],"
	    " 'certificate': null}",
	    &plain, "no errors\n");
	assert_shown("{'view': 'errors', 'sites': [], 'servers': [], 'drops': [],"
		     " 'reload': {'reloaded': true, 'since_s': 75, 'faults': []},"
		     " 'certificate': {'file': '/a.crt', 'expires': '2033-05-18T03:33:20Z',"
		     "  'left_s': 8640000}}",
	    &plain,
	    "last reload 1m15s ago: done\n/a.crt\n    expires 2033-05-18T03:33:20Z in 100d00h\n"
	    "no errors\n");
	assert_shown(
	    "{'view': 'errors', 'sites': [{'site': 'osaka', 'state': 'down', 'session': 'none',"
	    "  'session_s': 5, 'error': 'connection \\u001brefused', 'path': 'lost',"
	    "  'direct': 'ok', 'direct_out': 'blocked', 'reason': 'no session'}],"
	    " 'servers': [{'service': 'web', 'name': 'b', 'address': '10.1.0.12:80',"
	    "  'cause': 'no answer in time', 'since_s': 3600}],"
	    " 'reload': {'reloaded': false, 'since_s': 1, 'faults': ['w.conf:1: a']},"
	    " 'drops': [{'reason': 'ttl', 'count': 12, 'help': 'time to live ran out'}],"
	    " 'certificate': {'file': '/a.crt', 'expires': '2001-09-09T01:46:40Z',"
	    "  'left_s': -86400}}",
	    &plain,
	    "SITE   STATE  SESSION  SINCE  PATH  DIRECT IN  OUT      WHY NOT\n"
	    "    LAST ERROR\n"
	    "osaka  down   none        5s  lost  ok         blocked  no session\n"
	    "    connection ?refused\n"
	    "\n"
	    "SERVICE  SERVER DOWN  ADDRESS       SINCE  CAUSE\n"
	    "web      b            10.1.0.12:80  1h00m  no answer in time\n"
	    "\n"
	    "PACKETS DROPPED  COUNT  MEANING\n"
	    "ttl                 12  time to live ran out\n"
	    "\n"
	    "last reload 1s ago: refused\n"
	    "w.conf:1: a\n"
	    "/a.crt\n"
	    "    expired 2001-09-09T01:46:40Z 1d00h ago\n");
}

static void
assert_event(const char *json, const struct table_style *style, const char *expected)
{
	char *output = NULL;
	size_t len;
	FILE *out = open_memstream(&output, &len);
	json_t *event = json_loads(json, 0, NULL);

	text_event(event, out, style);
	fclose(out);
	json_decref(event);
	assert_string_equal(output, expected);
	free(output);
}

static void
test_event(void **arg)
{
	(void)arg;
	assert_event("{\"time\": \"T\", \"level\": \"info\", \"text\": \"server down\","
		     " \"fields\": {\"service\": \"web\", \"cause\": \"connection refused\","
		     " \"empty\": \"\", \"n\": 1}}",
	    &coloured,
	    "T info  server down service=web cause=\"connection refused\" empty=\"\" n=-\n");
	assert_event("{\"time\": \"T\", \"level\": \"warn\", \"text\": \"\","
		     " \"fields\": {\"a\": \"\\u001b[2J\"}}",
	    &plain, "T warn  a=?[2J\n");
	assert_event("{\"time\": \"T\", \"level\": \"error\", \"text\": \"x\"}", &coloured,
	    "\033[31mT error x\033[0m\n");
	assert_event("[]", &plain, "- -     -\n");
	assert_event("no JSON", &plain, "- -     -\n");
}

/* Another version's answers: unknown ones as JSON, known ones with what is there. */
static void
test_other_versions(void **arg)
{
	static const char *const views[] = {"summary", "services", "servers", "sites",
	    "connections", "counters", "explain", "server", "log", "version", "help", "keys",
	    "config", "errors", "reload", "site", "transfer", "probe"};
	char json[400];

	(void)arg;
	assert_shown("{'schema': 9, 'view': 'tunnels', 'x': ['\\u001b']}",
	    &plain, "{\n  \"schema\": 9,\n  \"view\": \"tunnels\",\n  \"x\": [\n    \"\\u001B\"\n  ]\n}\n");
	assert_shown("[1]", &plain, "[\n  1\n]\n");
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		snprintf(json, sizeof(json), "{'view': '%s'}", views[i]);
		free(show(json, &plain));
		snprintf(json, sizeof(json),
		    "{'view': '%s', 'servers': [{}], 'sites': [{'services': 7}, 8], "
		    "'services': 'x',"
		    " 'connections': [[]], 'commands': [1], 'counters': [], 'drops': {'x': "
		    "'y'},"
		    " 'own': [], 'existing': {}, 'outcome': null, 'version': {}, 'site': 1,"
		    " 'keys': [3], 'faults': 'x', 'reload': [], 'certificate': {}}",
		    views[i]);
		free(show(json, &plain));
	}
	assert_holds("{'view': 'servers', 'servers': [{'name': 7}]}", &plain,
	    "-        -       -        -      -         -       -       -      -\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_seconds),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_table_continues),
	    cmocka_unit_test(test_table_folds),
	    cmocka_unit_test(test_harmless),
	    cmocka_unit_test(test_servers),
	    cmocka_unit_test(test_agents),
	    cmocka_unit_test(test_colours),
	    cmocka_unit_test(test_colours_keep_alignment),
	    cmocka_unit_test(test_summary),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_sites),
	    cmocka_unit_test(test_width),
	    cmocka_unit_test(test_site_answers),
	    cmocka_unit_test(test_probe),
	    cmocka_unit_test(test_connections),
	    cmocka_unit_test(test_relayed_connections),
	    cmocka_unit_test(test_counters),
	    cmocka_unit_test(test_explain),
	    cmocka_unit_test(test_small_answers),
	    cmocka_unit_test(test_weights),
	    cmocka_unit_test(test_signals),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_config),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_event),
	    cmocka_unit_test(test_other_versions),
	};

	return cmocka_run_group_tests_name("wladmctl_text", tests, NULL, NULL);
}
