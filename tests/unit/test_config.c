/*
 * config: defaults, a file that sets everything, includes.  Faulty files are in
 * test_config_faults.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"

static const char minimal[] = "site = \"tokyo\";\n"
			      "services: ({ name = \"web\"; address = \"203.0.113.10\";\n"
			      "  ports = [ 80 ];\n"
			      "  servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });\n";

static const char complete[] =
    "site = \"tokyo\";\n"
    "role = \"site\";\n"
    "device: { name = \"wan.1\"; mtu = 9000; routes = false; offload = false; queues = 4; "
    "threaded = true; "
    "output = \"raw\"; };\n"
    "self_addresses = [ \"198.51.100.20\", \"2001:db8::20\" ];\n"
    "services: (\n"
    "  { name = \"web\"; address = \"203.0.113.10\"; protocol = \"tcp\";\n"
    "    ports = [ 443, 80 ]; scheduler = \"wrr\"; prefer = \"any\";\n"
    "    site_metric = \"connections\";\n"
    "    client_address = \"proxy-v2\"; on_unknown = \"drop\"; on_server_down = \"keep\"; "
    "transfer = \"prohibit\"; high_load "
    "= 0.5;\n"
    "    check: { type = \"http\"; interval = 2.5; timeout = 2; rise = 4; fall = 5;"
    "      path = \"/up?full=1\"; host = \"www.example.net:81\";"
    "      status = \"204, 300 - 302,401\"; };\n"
    "    servers: (\n"
    "      { name = \"a\"; address = \"10.1.0.11\"; port = 8080; weight = 10;\n"
    "        max_connections = 1000; },\n"
    "      { name = \"b\"; address = [ \"2001:db8:1::12\", \"10.1.0.12\" ];\n"
    "        weight = 0; max_connections = 4294967295; backup = true; }\n"
    "    );\n"
    "  },\n"
    "  { name = \"Dns_6.x-y\"; address = ( \"2001:db8::53\", \"203.0.113.53\" );\n"
    "    protocol = \"udp\"; ports = ( 53 ); scheduler = \"rr\"; prefer = \"remote\";\n"
    "    servers = ( );\n"
    "  }\n"
    ");\n"
    "transfer: { listen = \"198.51.100.1:7210\"; mtu = 1400; };\n"
    "load: { listen = \"[::]:7211\"; certificate = \"/c/tokyo.crt\";\n"
    "  key = \"/c/tokyo.key\"; ca = \"/c/ca.crt\"; interval = 0.25; };\n"
    "peers: (\n"
    "  { site = \"osaka\"; load = \"192.0.2.1:7210\"; transfer = \"192.0.2.1:7212\";\n"
    "    fingerprint = \"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
    "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\"; },\n"
    "  { site = \"kobe\"; load = \"[2001:db8:2::1]:1\"; transfer = \"192.0.2.9:65535\"; }\n"
    ");\n"
    "limits: { connections = 8388608; };\n"
    "timeouts: { tcp_opening = 1; tcp_established = 1000000; tcp_closing = 3; udp = 4;\n"
    "  icmp = 5; };\n"
    "control: { socket = \"/tmp/w.sock\"; group = \"\"; };\n"
    "user = \"nobody\";\n"
    "log: { level = \"debug\"; };\n";

static struct config *
parse(const char *text)
{
	struct config_faults faults;
	struct config *config = config_parse(text, "t.conf", &faults);

	for (size_t i = 0; i < faults.count; i++)
		print_error("%s\n", faults.text[i]);
	assert_int_equal(faults.count, 0);
	config_faults_free(&faults);
	assert_non_null(config);
	return config;
}

static void
assert_ip(const struct ip *ip, const char *text)
{
	char buf[IP_TEXT];

	if (text == NULL)
		assert_true(ip_is_zero(ip));
	else
		assert_string_equal(ip_format(ip, buf), text);
}

static void
assert_addr(const struct addr *addr, const char *text)
{
	char buf[ADDR_TEXT];

	assert_string_equal(addr_format(addr, buf), text);
}

/* What has a default that needs no explanation. */
static void
assert_defaults(const struct config *c)
{
	const struct config_service *s = &c->services[0];

	assert_int_equal(c->role, CONFIG_ROLE_SITE);
	assert_string_equal(c->device.name, "wlad0");
	assert_int_equal(c->device.mtu, 1500);
	assert_true(c->device.routes);
	assert_true(c->device.offload);
	assert_int_equal(c->device.queues, 1);
	assert_false(c->device.threaded);
	assert_int_equal(c->device.output, CONFIG_OUTPUT_TUN);
	assert_int_equal(c->transfer.mtu, 1500);
	assert_true(c->load.interval == 1.0);
	assert_int_equal(c->limits.connections, 1048576);
	assert_int_equal(c->timeouts.tcp_opening, 60);
	assert_int_equal(c->timeouts.tcp_established, 7440);
	assert_int_equal(c->timeouts.tcp_closing, 240);
	assert_int_equal(c->timeouts.udp, 300);
	assert_int_equal(c->timeouts.icmp, 60);
	assert_string_equal(c->control.socket, "/run/wlad/wlad.sock");
	assert_string_equal(c->control.group, "wlad");
	assert_string_equal(c->user, "");
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(s->protocol, IPPROTO_TCP);
	assert_int_equal(s->scheduler, CONFIG_TWOS);
	assert_int_equal(s->prefer, CONFIG_PREFER_LOCAL);
	assert_int_equal(s->site_metric, CONFIG_METRIC_HEADROOM);
	assert_int_equal(s->client_address, CONFIG_CLIENT_HIDE);
	assert_int_equal(s->on_unknown, CONFIG_UNKNOWN_RESET);
	assert_int_equal(s->on_server_down, CONFIG_DOWN_RESET);
	assert_false(s->servers[0].backup);
	assert_true(s->transfer_permitted);
	assert_true(s->high_load == 0.75);
	assert_true(s->check.interval == 1.0);
	assert_true(s->check.timeout == 1.0);
	assert_int_equal(s->check.rise, 2);
	assert_int_equal(s->check.fall, 3);
	assert_string_equal(s->check.path, "/");
	assert_string_equal(s->check.host, "");
	for (unsigned code = 0; code <= 999; code++)
		assert_int_equal(
		    statuses_have(&s->check.status, code), code >= 200 && code <= 399);
}

static void
test_defaults(void **state)
{
	struct config *c = parse(minimal);
	const struct config_service *s = &c->services[0];

	(void)state;
	assert_defaults(c);
	assert_int_equal(s->check.type, CONFIG_CHECK_TCP);
	assert_string_equal(c->file, "t.conf");
	assert_string_equal(c->site, "tokyo");
	assert_int_equal(c->self_addresses_count, 0);
	assert_int_equal(c->services_count, 1);
	assert_int_equal(c->transfer.listen.port, 0);
	assert_int_equal(c->load.listen.port, 0);
	assert_null(c->load.certificate);
	assert_null(c->load.key);
	assert_null(c->load.ca);
	assert_int_equal(c->peers_count, 0);

	assert_string_equal(s->name, "web");
	assert_ip(&s->v4, "203.0.113.10");
	assert_ip(&s->v6, NULL);
	assert_int_equal(s->ports_count, 1);
	assert_int_equal(s->ports[0], 80);
	assert_int_equal(s->line, 2);
	assert_int_equal(s->servers_count, 1);
	assert_string_equal(s->servers[0].name, "a");
	assert_ip(&s->servers[0].v4, "10.1.0.11");
	assert_ip(&s->servers[0].v6, NULL);
	assert_int_equal(s->servers[0].port, 0);
	assert_int_equal(s->servers[0].weight, 1);
	assert_int_equal(s->servers[0].max_connections, 0);
	assert_int_equal(s->servers[0].line, 4);
	config_free(c);
}

static void
check_complete_web(const struct config_service *web)
{
	assert_string_equal(web->name, "web");
	assert_ip(&web->v4, "203.0.113.10");
	assert_ip(&web->v6, NULL);
	assert_int_equal(web->protocol, IPPROTO_TCP);
	assert_int_equal(web->ports_count, 2);
	assert_int_equal(web->ports[0], 80);
	assert_int_equal(web->ports[1], 443);
	assert_int_equal(web->scheduler, CONFIG_WRR);
	assert_int_equal(web->prefer, CONFIG_PREFER_ANY);
	assert_int_equal(web->site_metric, CONFIG_METRIC_CONNECTIONS);
	assert_int_equal(web->client_address, CONFIG_CLIENT_PROXY);
	assert_string_equal(config_client_address_name(CONFIG_CLIENT_PROXY), "proxy-v2");
	assert_string_equal(config_client_address_name(CONFIG_CLIENT_KEEP), "keep");
	assert_int_equal(web->on_unknown, CONFIG_UNKNOWN_DROP);
	assert_int_equal(web->on_server_down, CONFIG_DOWN_KEEP);
	assert_false(web->transfer_permitted);
	assert_true(web->high_load == 0.5);
	assert_int_equal(web->check.type, CONFIG_CHECK_HTTP);
	assert_string_equal(web->check.path, "/up?full=1");
	assert_string_equal(web->check.host, "www.example.net:81");
	assert_true(statuses_have(&web->check.status, 204));
	assert_true(statuses_have(&web->check.status, 302));
	assert_true(statuses_have(&web->check.status, 401));
	assert_false(statuses_have(&web->check.status, 200));
	assert_false(statuses_have(&web->check.status, 303));
	assert_true(web->check.interval == 2.5);
	assert_true(web->check.timeout == 2.0);
	assert_int_equal(web->check.rise, 4);
	assert_int_equal(web->check.fall, 5);
	assert_int_equal(web->line, 6);
	assert_int_equal(web->servers_count, 2);
	assert_string_equal(web->servers[0].name, "a");
	assert_ip(&web->servers[0].v4, "10.1.0.11");
	assert_ip(&web->servers[0].v6, NULL);
	assert_int_equal(web->servers[0].port, 8080);
	assert_int_equal(web->servers[0].weight, 10);
	assert_int_equal(web->servers[0].max_connections, 1000);
	assert_int_equal(web->servers[0].line, 12);
	assert_string_equal(web->servers[1].name, "b");
	assert_ip(&web->servers[1].v4, "10.1.0.12");
	assert_ip(&web->servers[1].v6, "2001:db8:1::12");
	assert_int_equal(web->servers[1].port, 0);
	assert_int_equal(web->servers[1].weight, 0);
	assert_int_equal(web->servers[1].max_connections, UINT32_MAX);
	assert_false(web->servers[0].backup);
	assert_true(web->servers[1].backup);
	assert_int_equal(web->servers[1].line, 14);
}

static void
check_complete_services(const struct config *c)
{
	const struct config_service *dns = &c->services[1];

	assert_int_equal(c->services_count, 2);
	check_complete_web(&c->services[0]);
	assert_int_equal(dns->check.type, CONFIG_CHECK_ICMP); /* the default with UDP */
	assert_string_equal(dns->name, "Dns_6.x-y");
	assert_ip(&dns->v4, "203.0.113.53");
	assert_ip(&dns->v6, "2001:db8::53");
	assert_int_equal(dns->protocol, IPPROTO_UDP);
	assert_int_equal(dns->ports_count, 1);
	assert_int_equal(dns->ports[0], 53);
	assert_int_equal(dns->scheduler, CONFIG_RR);
	assert_int_equal(dns->prefer, CONFIG_PREFER_REMOTE);
	assert_int_equal(dns->servers_count, 0);
	assert_int_equal(dns->line, 18);
}

static void
check_complete_peers(const struct config *c)
{
	assert_addr(&c->transfer.listen, "198.51.100.1:7210");
	assert_int_equal(c->transfer.mtu, 1400);
	assert_addr(&c->load.listen, "[::]:7211");
	assert_string_equal(c->load.certificate, "/c/tokyo.crt");
	assert_string_equal(c->load.key, "/c/tokyo.key");
	assert_string_equal(c->load.ca, "/c/ca.crt");
	assert_true(c->load.interval == 0.25);
	assert_int_equal(c->peers_count, 2);
	assert_string_equal(c->peers[0].site, "osaka");
	assert_addr(&c->peers[0].load, "192.0.2.1:7210");
	assert_addr(&c->peers[0].transfer, "192.0.2.1:7212");
	assert_string_equal(c->peers[0].fingerprint,
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	assert_int_equal(c->peers[0].line, 27);
	assert_string_equal(c->peers[1].site, "kobe");
	assert_addr(&c->peers[1].load, "[2001:db8:2::1]:1");
	assert_addr(&c->peers[1].transfer, "192.0.2.9:65535");
	assert_null(c->peers[1].fingerprint);
	assert_int_equal(c->peers[1].line, 29);
}

static void
test_complete(void **state)
{
	struct config *c = parse(complete);

	(void)state;
	assert_string_equal(c->site, "tokyo");
	assert_int_equal(c->role, CONFIG_ROLE_SITE);
	assert_string_equal(c->device.name, "wan.1");
	assert_int_equal(c->device.mtu, 9000);
	assert_false(c->device.routes);
	assert_false(c->device.offload);
	assert_int_equal(c->device.queues, 4);
	assert_true(c->device.threaded);
	assert_int_equal(c->device.output, CONFIG_OUTPUT_RAW);
	assert_int_equal(c->self_addresses_count, 2);
	assert_ip(&c->self_addresses[0], "198.51.100.20");
	assert_ip(&c->self_addresses[1], "2001:db8::20");
	check_complete_services(c);
	check_complete_peers(c);
	assert_int_equal(c->limits.connections, 8388608);
	assert_int_equal(c->timeouts.tcp_opening, 1);
	assert_int_equal(c->timeouts.tcp_established, 1000000);
	assert_int_equal(c->timeouts.tcp_closing, 3);
	assert_int_equal(c->timeouts.udp, 4);
	assert_int_equal(c->timeouts.icmp, 5);
	assert_string_equal(c->control.socket, "/tmp/w.sock");
	assert_string_equal(c->control.group, "");
	assert_string_equal(c->user, "nobody");
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	config_free(c);
}

/* What looks like a conflict and is none; values that mean "none"; other separators. */
static void
test_allowed(void **state)
{
	static const char text[] =
	    "site = \"tokyo\"\n"
	    "self_addresses = ( \"203.0.113.10\" )\n" /* may be a service address, of one family */
	    "services = (\n"
	    " { name = \"a\", address = \"203.0.113.10\", ports = [ 53 ],\n"
	    "   servers = ( { name = \"x\", address = \"10.0.0.1\" },\n"
	    "               { name = \"y\", address = \"10.0.0.1\", port = 54L } ) },\n"
	    " { name = \"b\", address = \"203.0.113.10\", ports = [ 53 ], protocol = \"udp\",\n"
	    "   servers = ( { name = \"x\", address = \"10.0.0.1\" } ) },\n"
	    " { name = \"c\", address = [ \"203.0.113.10\", \"2001:db8:113::10\" ], ports = [ "
	    "80 ],\n"
	    "   servers = ( { name = \"x\", address = [ \"10.0.0.1\", \"2001:db8::1\" ] } ) } "
	    ")\n"
	    "load = { listen = \"\", certificate = \"\", key = \"\", ca = \"\" }\n"
	    "transfer = { listen = \"\" }\n"
	    "peers = [ ]\n"
	    "// a comment without a newline";
	struct config *c = parse(text);

	(void)state;
	assert_int_equal(c->services_count, 3);
	assert_int_equal(c->services[0].servers[1].port, 54);
	assert_int_equal(c->load.listen.port, 0);
	assert_null(c->load.certificate);
	assert_int_equal(c->peers_count, 0);
	config_free(c);
}

/* The site with the smaller name dials, so it need not listen. */
static void
test_dialler_need_not_listen(void **state)
{
	char text[1024];
	struct config *c;

	(void)state;
	snprintf(text, sizeof(text),
	    "%s transfer: { listen = \"198.51.100.1:7210\"; }; self_addresses = [ ];\n"
	    "load: { certificate = \"/c\"; key = \"/k\"; ca = \"/a\"; };\n"
	    "peers: ({ site = \"zurich\"; load = \"192.0.2.1:1\"; transfer = \"192.0.2.1:2\"; "
	    "});\n",
	    minimal);
	c = parse(text);
	assert_int_equal(c->load.listen.port, 0);
	assert_int_equal(c->self_addresses_count, 0);
	config_free(c);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(config_scheduler_name(CONFIG_TWOS), "twos");
	assert_string_equal(config_scheduler_name(CONFIG_RR), "rr");
	assert_string_equal(config_scheduler_name(CONFIG_WRR), "wrr");
	assert_string_equal(config_scheduler_name(CONFIG_LC), "lc");
	assert_string_equal(config_scheduler_name(CONFIG_WLC), "wlc");
	assert_string_equal(config_scheduler_name(CONFIG_SED), "sed");
	assert_string_equal(config_scheduler_name(CONFIG_NQ), "nq");
	assert_string_equal(config_scheduler_name(CONFIG_SH), "sh");
	assert_string_equal(config_scheduler_name(CONFIG_MH), "mh");
	assert_string_equal(config_scheduler_name(CONFIG_OVF), "ovf");
	assert_string_equal(config_scheduler_name(CONFIG_SCHEDULERS), "unknown");
	assert_string_equal(config_prefer_name(CONFIG_PREFER_LOCAL), "local");
	assert_string_equal(config_prefer_name(CONFIG_PREFER_ANY), "any");
	assert_string_equal(config_site_metric_name(CONFIG_METRIC_HEADROOM), "headroom");
	assert_string_equal(config_site_metric_name(CONFIG_METRIC_SERVERS), "servers");
	assert_string_equal(config_site_metric_name(CONFIG_METRIC_CONNECTIONS), "connections");
	assert_string_equal(config_site_metric_name(CONFIG_METRIC_PERMISSION), "permission");
	assert_string_equal(config_site_metric_name(CONFIG_METRIC_LOAD), "load");
	assert_string_equal(config_prefer_name(CONFIG_PREFER_REMOTE), "remote");
	config_free(NULL);
}

/* A folder of files for the tests below. */
struct folder {
	char path[64];
};

static void
write_file(const struct folder *folder, const char *name, const char *text, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
write_text(const struct folder *folder, const char *name, const char *text)
{
	write_file(folder, name, text, strlen(text));
}

static int
folder_setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));
	const char *tmp = getenv("TMPDIR");

	if (folder == NULL)
		return -1;
	snprintf(folder->path, sizeof(folder->path), "%.40s/wlad-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	*state = folder;
	return mkdtemp(folder->path) == NULL ? -1 : 0;
}

static int
folder_teardown(void **state)
{
	static const char *const names[] = {"main.conf", "a.conf", "sub/b.conf", "sub/c.conf"};
	struct folder *folder = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder->path, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/sub", folder->path);
	rmdir(path);
	rmdir(folder->path);
	free(folder);
	return 0;
}

static struct config *
load(const struct folder *folder, struct config_faults *faults)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/main.conf", folder->path);
	return config_load(path, faults);
}

/* Loads main.conf and expects one fault; ~ in its text stands for the folder. */
static void
assert_load_fault(const struct folder *folder, const char *text)
{
	struct config_faults faults;
	char seen[512] = "";
	const char *p, *at;

	assert_null(load(folder, &faults));
	assert_int_equal(faults.count, 1);
	for (p = faults.text[0]; (at = strstr(p, folder->path)) != NULL;
	     p = at + strlen(folder->path)) {
		strncat(seen, p, (size_t)(at - p));
		strcat(seen, "~");
	}
	strcat(seen, p);
	assert_string_equal(seen, text);
	config_faults_free(&faults);
	assert_int_equal(faults.count, 0);
}

static void
make_sub(const struct folder *folder)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/sub", folder->path);
	assert_int_equal(mkdir(path, 0700), 0);
}

static const char with_includes[] =
    "site = \"tokyo\";\n"
    "  @include \"sub/b.conf\" user = \"x\";\n"
    "@include\t\"a.conf\"\n"
    "services: ({ name = \"web\"; address = \"203.0.113.10\"; ports = [ 80 ];\n"
    "@include \"sub/c.conf\"\n"
    "});%s";

/* Paths are relative to the including file; what follows keeps its own file and line. */
static void
test_include(void **state)
{
	const struct folder *folder = *state;
	struct config_faults faults;
	struct config *c;
	char text[1024];

	make_sub(folder);
	snprintf(text, sizeof(text), with_includes, "");
	write_text(folder, "main.conf", text);
	write_text(folder, "a.conf", "log: { level = \"warn\"; };");
	write_text(folder, "sub/b.conf", "# nothing\n@include \"../sub/c2.conf\"\n");
	write_text(folder, "sub/c.conf",
	    "servers: (\n  { name = \"a\"; address = \"10.1.0.11\"; }\n);\n");
	assert_load_fault(folder,
	    "~/sub/b.conf:2: @include \"../sub/c2.conf\": cannot read ~/sub/../sub/c2.conf: "
	    "No such file or directory");

	snprintf(text, sizeof(text), "device: { mtu = 1280; };\n@include \"%s/a.conf\"",
	    folder->path);
	write_text(folder, "sub/b.conf", text);
	write_text(folder, "a.conf", "limits: { connections = 1024; };");
	assert_load_fault(folder,
	    "~/a.conf:1: duplicate setting name at or just before "
	    "'limits: { connections = 1024; };'");

	write_text(folder, "sub/b.conf", "device: { mtu = 1280; };\n");
	c = load(folder, &faults);
	assert_int_equal(faults.count, 0);
	assert_non_null(c);
	assert_int_equal(c->device.mtu, 1280);
	assert_int_equal(c->limits.connections, 1024);
	assert_string_equal(c->user, "x");
	assert_int_equal(c->services[0].line, 4);
	assert_int_equal(c->services[0].servers[0].line, 2);
	config_faults_free(&faults);
	config_free(c);
}

static void
test_include_lines(void **state)
{
	const struct folder *folder = *state;
	struct config_faults faults;
	static const char *const expected[] = {
	    "sub/b.conf:2: bad1: unknown key 'bad1'; see wlad.conf(5)",
	    "main.conf:2: user: must be \"\" or a name of at most 32 letters, digits, '-', '_' "
	    "and '.' that begins with neither '-' nor '.', but is \"a b\"",
	    "sub/c.conf:2: services[0].servers[0].port: must be an integer from 1 to 65535, "
	    "but is 0",
	    "sub/c.conf:3: services[0].servers[1].address[1]: must be an IPv4 or IPv6 address, "
	    "or a list of one of each, but is \"x\"",
	    "sub/c.conf:4: services[0].servers[1].name: \"a\" is the name of another server of "
	    "the service, at line 2",
	    "main.conf:6: bad2: unknown key 'bad2'; see wlad.conf(5)",
	    "main.conf:7: peers[0].load: is missing",
	};

	make_sub(folder);
	write_text(folder, "main.conf",
	    "site = \"tokyo\";\n"
	    "@include \"sub/b.conf\" user = \"a b\";\n"
	    "services: ({ name = \"web\"; address = \"203.0.113.10\"; ports = [ 80 ];\n"
	    "@include \"sub/c.conf\"\n"
	    "});\n"
	    "bad2 = 1;\n"
	    "peers: ({ site = \"n\"; transfer = \"192.0.2.1:1\" });\n"
	    "transfer: { listen = \"192.0.2.2:1\" };\n"
	    "load: { listen = \"192.0.2.2:1\"; certificate = \"/c\"; key = \"/k\"; ca = "
	    "\"/a\"; };");
	write_text(folder, "sub/b.conf", "/* two\n lines */ bad1 = 1;");
	write_text(folder, "sub/c.conf",
	    "servers: (\n"
	    "{ name = \"a\"; address = \"10.1.0.11\"; port = 0; },\n"
	    "{ address = [ \"10.1.0.12\", \"x\" /* an address */\n"
	    "]; name = \"a\" }\n"
	    ");");
	assert_null(load(folder, &faults));
	for (size_t i = 0; i < faults.count; i++) {
		assert_true(i < sizeof(expected) / sizeof(expected[0]));
		assert_string_equal(faults.text[i] + strlen(folder->path) + 1, expected[i]);
	}
	assert_int_equal(faults.count, sizeof(expected) / sizeof(expected[0]));
	config_faults_free(&faults);
}

/* A fault that names another place names its file where that is another. */
static void
test_include_place(void **state)
{
	const struct folder *folder = *state;

	write_text(folder, "main.conf",
	    "site = \"tokyo\"; services: (\n"
	    "{ name = \"web\"; address = \"203.0.113.10\"; ports = [ 80 ];\n"
	    "  servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); },\n"
	    "@include \"a.conf\"\n);\n");
	write_text(folder, "a.conf",
	    "{ name = \"web\"; address = \"203.0.113.11\"; ports = [ 80 ];\n"
	    "  servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); }");
	assert_load_fault(folder,
	    "~/a.conf:1: services[1].name: \"web\" is the name of another service, at "
	    "~/main.conf line 2");
}

static void
test_include_refused(void **state)
{
	const struct folder *folder = *state;

	make_sub(folder);
	write_text(folder, "main.conf", "site = \"a\";\n@include \"main.conf\"\n");
	assert_load_fault(folder,
	    "~/main.conf:2: @include \"main.conf\": at most 10 files may include each other");
	write_text(folder, "main.conf", "\n\n@include \"sub\"\n");
	assert_load_fault(
	    folder, "~/main.conf:3: @include \"sub\": cannot read ~/sub: Is a directory");
	write_text(folder, "main.conf", "@include \"/dev/null\"\n");
	assert_load_fault(folder,
	    "~/main.conf:1: @include \"/dev/null\": cannot read /dev/null: "
	    "it is not a regular file");
	write_text(folder, "main.conf", "@include \"a.conf\n\"\n");
	assert_load_fault(folder, "~/main.conf:1: the name after @include is never closed by \"");
	write_text(folder, "main.conf", "x = 1; @include \"a.conf\"\n");
	assert_load_fault(
	    folder, "~/main.conf:1: '@' begins only @include \"FILE\", at the start of a line");
	write_text(folder, "main.conf", "@include \"a.conf\"\n");
	write_text(folder, "a.conf", "site = \"");
	assert_load_fault(
	    folder, "~/a.conf:1: the string that begins here is never closed by \"");
}

/* A text from elsewhere opens no file, however the @include is dressed. */
static void
test_no_include_in_text(void **state)
{
	static const char *const dresses[] = {
	    "@include \"%s/a.conf\"\n",
	    "user = \"x\"\n,@include \"%s/a.conf\"\n",
	    "user = \"x\"\n@include \"%s/a.conf\"\n",
	    "user = \"x\n\"\n \t@include \t\"%s/a.conf\"\n",
	    "/* \n*/@include \"%s/a.conf\"\n",
	    "user = \"\\\"\n@include \"%s/a.conf\"\n",
	    "user = \"\\\\\"\n@include \"%s/a.conf\"\n",
	    "#\n@include \"%s/a.conf\"\n",
	    "/*/\n*/\n@include \"%s/a.conf\"\n",
	    "user = [ \"x\" //\n, /**/ @include \"%s/a.conf\"\n",
	};
	const struct folder *folder = *state;
	char text[256];

	write_text(folder, "a.conf", "secret = 1;\n");
	for (size_t i = 0; i < sizeof(dresses) / sizeof(dresses[0]); i++) {
		struct config_faults faults;

		snprintf(text, sizeof(text), dresses[i], folder->path);
		assert_null(config_parse(text, "t", &faults));
		assert_true(faults.count > 0);
		for (size_t j = 0; j < faults.count; j++)
			assert_null(strstr(faults.text[j], "secret"));
		config_faults_free(&faults);
	}
}

static void
test_unreadable(void **state)
{
	const struct folder *folder = *state;

	assert_load_fault(
	    folder, "~/main.conf: cannot read the configuration: No such file or directory");
	write_file(folder, "main.conf", "site = 1;\n\0\n", 12);
	assert_load_fault(folder, "~/main.conf:1: this is no text: it holds a NUL character");
}

static void
test_size(void **state)
{
	static char big[1024 * 1024 + 1];
	const struct folder *folder = *state;
	struct config_faults faults;
	struct config *c;

	memset(big, '\n', sizeof(big));
	memcpy(big, minimal, sizeof(minimal) - 1);
	write_file(folder, "main.conf", big, sizeof(big));
	assert_load_fault(folder,
	    "~/main.conf:1: a configuration may have 1048576 octets with all files that it "
	    "includes");
	write_file(folder, "main.conf", big, sizeof(big) - 1);
	c = load(folder, &faults);
	assert_non_null(c);
	assert_int_equal(faults.count, 0);
	config_faults_free(&faults);
	config_free(c);
	/* together too large */
	write_file(folder, "a.conf", big, sizeof(big) / 2);
	write_text(folder, "main.conf", "@include \"a.conf\"\n\n@include \"a.conf\"\n");
	assert_load_fault(folder,
	    "~/a.conf:1: a configuration may have 1048576 octets with all files that it "
	    "includes");
}

/* The example that is installed is a valid one. */
static void
test_example(void **state)
{
	const char *srcdir = getenv("srcdir");
	struct config_faults faults;
	struct config *c;
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/etc/wlad.conf", srcdir != NULL ? srcdir : ".");
	c = config_load(path, &faults);
	for (size_t i = 0; i < faults.count; i++)
		print_error("%s\n", faults.text[i]);
	assert_int_equal(faults.count, 0);
	assert_non_null(c);
	assert_string_equal(c->file, path);
	assert_int_equal(c->services_count, 1);
	assert_int_equal(c->services[0].servers_count, 2);
	assert_int_equal(c->peers_count, 1);
	assert_defaults(c);
	config_faults_free(&faults);
	config_free(c);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_complete),
	    cmocka_unit_test(test_allowed),
	    cmocka_unit_test(test_dialler_need_not_listen),
	    cmocka_unit_test(test_names),
	    WITH_FOLDER(test_include),
	    WITH_FOLDER(test_include_lines),
	    WITH_FOLDER(test_include_place),
	    WITH_FOLDER(test_include_refused),
	    WITH_FOLDER(test_no_include_in_text),
	    WITH_FOLDER(test_unreadable),
	    WITH_FOLDER(test_size),
	    cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
