/*
 * config_walk() and config_text(): what is written is what was read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/write.h"

#define MINIMAL \
	"site = \"tokyo\"; services: ({ name = \"web\"; address = \"203.0.113.10\";" \
	" ports = [ 80 ]; servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });"

static const char complete[] =
    "site = \"tokyo\"; role = \"site\";"
    "device: { name = \"wan.1\"; mtu = 9000; routes = false; offload = false; queues = 4; "
    "threaded = true; "
    "};"
    "self_addresses = [ \"198.51.100.20\", \"2001:db8::20\" ];"
    "services: ("
    "  { name = \"web\"; address = \"203.0.113.10\"; protocol = \"tcp\";"
    "    ports = [ 443, 80, 65535, 1 ]; scheduler = \"wrr\"; prefer = \"any\";"
    " site_metric = \"servers\";"
    "    client_address = \"keep\"; on_unknown = \"drop\"; transfer = \"prohibit\"; high_load "
    "= 0.3333333333333333;"
    "    check: { type = \"http\"; interval = 2.5; timeout = 0.1; rise = 4; fall = 5;"
    "      path = \"/up?q=\\\"a\\\"&b=\\\\\"; host = \"www.example.net:81\";"
    "      status = \"204, 300 - 302,401\"; };"
    "    servers: ("
    "      { name = \"a\"; address = \"10.1.0.11\"; port = 8080; weight = 10;"
    "        max_connections = 1000; },"
    "      { name = \"b\"; address = [ \"2001:db8:1::12\", \"10.1.0.12\" ];"
    "        weight = 0; max_connections = 4294967295; } ); },"
    "  { name = \"Dns_6.x-y\"; address = ( \"2001:db8::53\", \"203.0.113.53\" );"
    "    protocol = \"udp\"; ports = ( 53 ); scheduler = \"rr\"; prefer = \"remote\";"
    "    servers = ( ); },"
    "  { name = \"udp\"; address = \"2001:db8::54\"; protocol = \"udp\"; ports = [ 5000 ];"
    "    check: { type = \"none\"; }; servers: ({ name = \"c\"; address = \"2001:db8:1::5\"; "
    "}); } );"
    "transfer: { listen = \"198.51.100.1:7210\"; mtu = 1400; };"
    "load: { listen = \"[::]:7211\"; certificate = \"/c/to \\\"k\\\\yo\\xe9\\xff.crt\";"
    "  key = \"/c/tokyo.key\"; ca = \"/c/ca.crt\"; interval = 0.25;"
    "  report_to = [ \"osaka\", \"kyoto\" ]; accept_unknown = true; coordinators: ("
    "    { site = \"kyoto\"; load = \"192.0.2.70:7210\"; },"
    "    { site = \"nara\"; load = \"[2001:db8::7]:7210\"; fingerprint ="
    " \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"; } ); };"
    "peers: ("
    "  { site = \"osaka\"; load = \"192.0.2.1:7210\"; transfer = \"192.0.2.1:7212\";"
    "    fingerprint = \"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
    "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\"; },"
    "  { site = \"kobe\"; load = \"[2001:db8:2::1]:1\"; transfer = \"192.0.2.9:65535\"; } );"
    "limits: { connections = 8388608; };"
    "timeouts: { tcp_opening = 1; tcp_established = 1000000; tcp_closing = 3; udp = 4; icmp = "
    "5; };"
    "control: { socket = \"/tmp/w.sock\"; group = \"\"; };"
    "user = \"nobody\"; log: { level = \"debug\"; };";

static struct config *
parse(const char *text)
{
	struct config_faults faults;
	struct config *config = config_parse(text, "t.conf", &faults);

	for (size_t i = 0; i < faults.count; i++)
		print_error("%s\n", faults.text[i]);
	if (config == NULL)
		fail_msg("refused:\n%s", text);
	config_faults_free(&faults);
	return config;
}

static void assert_same(const struct key *keys, const void *a, const void *b, const char *path);

static void
assert_same_array(const struct key *key, const void *a, const void *b, const char *path)
{
	const char *x = *(const char *const *)((const char *)a + key->offset);
	const char *y = *(const char *const *)((const char *)b + key->offset);
	size_t count = *(const size_t *)((const char *)a + key->second);

	assert_int_equal(count, *(const size_t *)((const char *)b + key->second));
	if (key->type == KEY_IPS && count > 0)
		assert_memory_equal(x, y, count * sizeof(struct ip));
	else if (key->type == KEY_PORTS)
		assert_memory_equal(x, y, count * sizeof(uint16_t));
	for (size_t i = 0; key->type == KEY_GROUPS && i < count; i++)
		assert_same(key->keys, x + i * key->element, y + i * key->element, path);
}

static void
assert_same_text(const char *a, const char *b, const char *path)
{
	if ((a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0))
		fail_msg("%s: \"%s\" became \"%s\"", path, a, b);
}

/* Field by field, by where the tables say that the fields are. */
static void
assert_same(const struct key *keys, const void *a, const void *b, const char *above)
{
	for (const struct key *key = keys; key->name != NULL; key++) {
		const char *x = (const char *)a + key->offset, *y = (const char *)b + key->offset;
		char *path = xasprintf("%s.%s", above, key->name);

		switch (key->type) {
		case KEY_NAME:
		case KEY_ACCOUNT:
		case KEY_DEVICE:
		case KEY_PATH:
		case KEY_NAMES:
		case KEY_FINGERPRINT:
			assert_same_text(*(const char *const *)x, *(const char *const *)y, path);
			break;
		case KEY_URL_PATH:
		case KEY_HOST:
		case KEY_FILE:
			assert_same_text(x, y, path);
			break;
		case KEY_IPS:
		case KEY_PORTS:
		case KEY_GROUPS:
			assert_same_array(key, a, b, path);
			break;
		case KEY_GROUP:
			assert_same(key->keys, a, b, path);
			break;
		case KEY_IP_PAIR:
			assert_memory_equal((const char *)a + key->second,
			    (const char *)b + key->second, sizeof(struct ip));
			assert_memory_equal(x, y, sizeof(struct ip));
			break;
		case KEY_ADDR:
			assert_true(addr_equal((const void *)x, (const void *)y));
			break;
		default: /* numbers and what is held by value */
			assert_in_range(key->size, 1, sizeof(struct octets));
			if (memcmp(x, y, key->size) != 0)
				fail_msg("%s changed", path);
		}
		free(path);
	}
}

/* There and back again; returns the text. */
static char *
round_trip(const char *text)
{
	struct config *first = parse(text), *second;
	char *written = config_text(first), *again;

	second = parse(written);
	assert_same(keys_root, first, second, "");
	again = config_text(second);
	assert_string_equal(written, again);
	for (const char *s = written; *s != '\0'; s++)
		assert_true(*s == '\n' || (*s >= ' ' && *s <= '~'));
	free(again);
	config_free(first);
	config_free(second);
	return written;
}

static void
test_minimal(void **arg)
{
	char *text = round_trip(MINIMAL);

	(void)arg;
	/* defaults are filled in */
	assert_non_null(strstr(text, "site = \"tokyo\";\n"));
	assert_non_null(strstr(text, "\ndevice = {\n  name = \"wlad0\";\n  mtu = 1500;\n"));
	assert_non_null(strstr(text, "\n  scheduler = \"twos\";\n"));
	assert_non_null(strstr(text, "\n  high_load = 0.75;\n"));
	assert_non_null(strstr(text, "\n    interval = 1.0;\n"));
	assert_non_null(strstr(text, "\nself_addresses = [ ];\n"));
	assert_non_null(strstr(text, "\npeers = ( );\n"));
	/* what can only be had by not setting it, and what this check does not read, is not */
	assert_null(strstr(strstr(text, " port = 0;") + 1, " port = ")); /* the check's */
	assert_null(strstr(text, "query = "));
	assert_null(strstr(text, "path = "));
	assert_null(strstr(text, "status = "));
	free(text);
}

static void
test_complete(void **arg)
{
	char *text = round_trip(complete);

	(void)arg;
	assert_non_null(strstr(text, "ports = [ 1, 80, 443, 65535 ];\n"));
	assert_non_null(strstr(text, "address = [ \"10.1.0.12\", \"2001:db8:1::12\" ];\n"));
	assert_non_null(strstr(text, "status = \"204, 300-302, 401\";\n"));
	assert_non_null(strstr(text, "path = \"/up?q=\\\"a\\\"&b=\\\\\";\n"));
	assert_non_null(strstr(text, "certificate = \"/c/to \\\"k\\\\yo\\xe9\\xff.crt\";\n"));
	assert_non_null(strstr(text, "max_connections = 4294967295;\n"));
	assert_non_null(strstr(text, "high_load = 0.3333333333333333;\n"));
	assert_non_null(strstr(text, "listen = \"[::]:7211\";\n"));
	free(text);
}

static void
test_reals(void **arg)
{
	static const char *const values[] = {"0.05", "0.1", "3600", "1", "0.30000000000000004",
	    "12.5", "0.0625", "1234.5678901234567"};

	(void)arg;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char *text =
		    xasprintf("site = \"tokyo\"; services: ({ name = \"web\";"
			      " address = \"203.0.113.10\"; ports = [ 80 ];"
			      " check: { interval = %s; };"
			      " servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });",
			values[i]);
		char *written = round_trip(text);

		assert_null(strstr(written, "e+"));
		free(written);
		free(text);
	}
}

/* Of each type what it reads, octets of any value among it. */
static void
test_checks(void **arg)
{
	static const char *const checks[][2] = {
	    {"type = \"tcp\"; send = \"\\\\x00\\xff\\\\\\\\\\r\\n\"; expect = \"+OK\"; port = "
	     "25;",
		"send = \"\\\\x00\\\\xff\\\\\\\\\\\\x0d\\\\x0a\""},
	    {"type = \"tls\"; host = \"a.b\"; ca = \"/a \\\"b.pem\";", "ca = \"/a \\\"b.pem\""},
	    {"type = \"https\"; expect = \"ok\"; status = \"204\";", "expect = \"ok\""},
	    {"type = \"udp\"; send = \"?\"; interval_down = 5;", "interval_down = 5.0"},
	    {"type = \"dns\"; query = \"www.a.b. AAAA\";", "query = \"www.a.b AAAA\""},
	    {"type = \"dns\";", "query = \". NS\""},
	    {"type = \"script\"; command = \"/usr/lib/wlad/check\";",
		"command = \"/usr/lib/wlad/check\""},
	    {"type = \"icmp\";", "type = \"icmp\""},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		char *text =
		    xasprintf("site = \"t\"; services: ({ name = \"w\";"
			      " address = \"203.0.113.10\"; ports = [ 80 ]; check: { %s };"
			      " servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });",
			checks[i][0]);
		char *written = round_trip(text);

		if (strstr(written, checks[i][1]) == NULL)
			fail_msg("%s is not in %s", checks[i][1], written);
		free(written);
		free(text);
	}
}

/* Statuses as many and as long as there can be. */
static void
test_statuses(void **arg)
{
	char *text = round_trip("site = \"tokyo\"; services: ({ name = \"web\";"
				" address = \"203.0.113.10\"; ports = [ 80 ];"
				" check: { type = \"http\"; status = \"100-101,200-201,202-203,"
				"300-301,302-303,400-401,402-403,500-599\"; };"
				" servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });");

	(void)arg;
	assert_non_null(strstr(text,
	    "\"100-101, 200-201, 202-203, 300-301, 302-303, 400-401, 402-403, 500-599\""));
	free(text);
}

/* Every setting is met in the walk, in the order of the tables, with its path. */
struct met {
	char path[CONFIG_KEY_TEXT];
	size_t depth, ends[8], next;
};

static void
meet(void *arg, const char *name)
{
	struct met *m = arg;
	char full[2 * CONFIG_KEY_TEXT], key[CONFIG_KEY_TEXT];

	if (name == NULL)
		return;
	snprintf(full, sizeof(full), "%s%s%s", m->path, *m->path != '\0' ? "." : "", name);
	assert_non_null(config_key(m->next, key));
	assert_string_equal(full, key);
	m->next++;
}

static void
meet_begin(void *arg, const char *name, enum config_shape shape)
{
	struct met *m = arg;

	(void)shape;
	meet(arg, name);
	m->ends[m->depth++] = strlen(m->path);
	if (name != NULL)
		snprintf(m->path + strlen(m->path), sizeof(m->path) - strlen(m->path), "%s%s",
		    *m->path != '\0' ? "." : "", name);
}

static void
meet_end(void *arg, const char *name, enum config_shape shape)
{
	struct met *m = arg;

	(void)name;
	(void)shape;
	m->path[m->ends[--m->depth]] = '\0';
}

static void
meet_text(void *arg, const char *name, const char *value)
{
	assert_non_null(value);
	meet(arg, name);
}

static void
meet_integer(void *arg, const char *name, uint64_t value)
{
	(void)value;
	meet(arg, name);
}

static void
meet_real(void *arg, const char *name, double value)
{
	(void)value;
	meet(arg, name);
}

static void
meet_boolean(void *arg, const char *name, bool value)
{
	(void)value;
	meet(arg, name);
}

static void
test_all_keys(void **arg)
{
	static const struct config_writer writer = {
	    meet_begin, meet_end, meet_text, meet_integer, meet_real, meet_boolean, meet};
	struct config *config = parse(MINIMAL
	    "load: { listen = \"192.0.2.1:7210\"; certificate = \"/a.crt\"; key = \"/a.key\";"
	    " ca = \"/ca.crt\";"
	    " coordinators: ({ site = \"kyoto\"; load = \"192.0.2.7:1\"; }); };"
	    " transfer: { listen = \"192.0.2.1:7210\"; };"
	    "peers: ({ site = \"osaka\"; load = \"192.0.2.2:1\"; transfer = \"192.0.2.2:2\"; "
	    "});");
	struct met met = {.next = 0};
	char key[CONFIG_KEY_TEXT];

	(void)arg;
	config_walk(config, &writer, &met);
	assert_int_equal(met.depth, 0);
	assert_null(config_key(met.next, key));
	config_free(config);
}

/* The example that is installed. */
static void
test_example(void **arg)
{
	const char *directory = getenv("srcdir");
	char *path = xasprintf("%s/etc/wlad.conf", directory != NULL ? directory : ".");
	FILE *file = fopen(path, "r");
	char *text = xcalloc(1, 1 << 16);

	(void)arg;
	assert_non_null(file);
	assert_in_range(fread(text, 1, (1 << 16) - 1, file), 100, (1 << 16) - 2);
	fclose(file);
	free(round_trip(text));
	free(text);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_minimal),
	    cmocka_unit_test(test_complete),
	    cmocka_unit_test(test_reals),
	    cmocka_unit_test(test_checks),
	    cmocka_unit_test(test_statuses),
	    cmocka_unit_test(test_all_keys),
	    cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests_name("config_write", tests, NULL, NULL);
}
