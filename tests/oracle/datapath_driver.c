/*
 * datapath_driver: whole datapaths behind lines of text, for tests/oracle/test_datapath_oracle.py.
 *
 *   site CONFIG                     makes the next site (0, 1, ...); prints "ok"
 *   link A B                        sites A and B know each other's services, keys and load
 *   now MS                          sets the time
 *   server SITE NUMBER up|down      a server's state
 *   admin SITE NUMBER enabled|draining|disabled  what an administrator says of a server
 *   active SITE NUMBER COUNT        pretends that a server has COUNT connections more
 *   device SITE GSO SIZE PARTIAL HEX  a packet arrives on the device of a site
 *   carry A B                       A's datagrams arrive at B; prints "carried N"
 *   datagrams SITE                  takes A's datagrams: "datagram HEX" lines
 *   inject SITE FROM HEX            a datagram arrives from an address
 *   packets SITE                    takes what was written to the device: "packet GSO SIZE PARTIAL HEX"
 *   counters SITE                   all counters and drops that are not 0, "NAME N", drops as "drop.NAME N"
 *   connections SITE                "connection KIND STATE PROTOCOL CLIENT SERVICE SELF SERVER"
 *   tell A B                        B hears of the connections that A has reported to be over; prints "told N"
 *   chain A B C                     C takes A's connections from B (Fig. 21)
 *   lost SITE NUMBER                the site of that number is given up
 *   expire SITE                     lets time do its work
 *   paths SITE                      sends what is due of liveness messages; prints "next MS"
 *   path SITE NUMBER                what it knows of a path: "path STATE MTU RTT_US LOSS DIRECT"
 *   seen SITE                       takes the direct-reply probes that arrived: "seen NUMBER ID"
 *   confirm SITE NUMBER ID          the site of that number says that it has seen a probe
 * Each command ends with a line "."
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "instance.h"

#define SITES 8
#define LINE  (300 * 1024)

static struct instance *sites[SITES];
static unsigned sites_count;
static uint64_t now = CLOCK_SECOND;
static uint8_t octets[LINE / 2];

static size_t
from_hex(const char *hex)
{
	size_t len = 0;
	unsigned value;

	while (sscanf(hex + 2 * len, "%2x", &value) == 1)
		octets[len++] = (uint8_t)value;
	return len;
}

static void
print_hex(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", data[i]);
	putchar('\n');
}

static struct instance *
site(unsigned number)
{
	if (number >= sites_count) {
		printf("error no site %u\n", number);
		exit(1);
	}
	return sites[number];
}

static void
make_site(const char *config)
{
	if (sites_count == SITES || (sites[sites_count] = instance_new(config, 7, now)) == NULL) {
		printf("error configuration\n");
		exit(1);
	}
	sites_count++;
}

static void
print_packets(struct instance *i)
{
	struct memory_packet p;

	while (memory_take_packet(i->io, &p)) {
		printf("packet %u %u %u ", p.gso, p.gso_size, p.partial);
		print_hex(p.data, p.len);
	}
}

static void
print_datagrams(struct instance *i)
{
	struct memory_packet p;

	while (memory_take_datagram(i->io, &p)) {
		printf("datagram ");
		print_hex(p.data, p.len);
	}
}

static void
print_counters(const struct counters *c)
{
	for (int i = 0; i < COUNTER_COUNT; i++) {
		if (c->counter[i] != 0)
			printf("%s %ju\n", counter_name((enum counter)i),
			    (uintmax_t)c->counter[i]);
	}
	for (int i = 0; i < DROP_COUNT; i++) {
		if (c->drop[i] != 0)
			printf("drop.%s %ju\n", drop_name((enum drop)i), (uintmax_t)c->drop[i]);
	}
}

static void
print_connections(struct instance *i)
{
	struct connection_table *t = datapath_connections(i->datapath);
	char text[4][ADDR_TEXT];
	struct connection *c;
	uint32_t cursor = 0;

	while ((c = connection_walk(t, &cursor)) != NULL) {
		bool far = c->kind == CONNECTION_TRANSFERRED && c->relay_port == 0;
		struct addr client = connection_client(t, c), service = connection_service(t, c);
		struct addr self = {0}, server = {0};

		if (!far) {
			self = connection_self(t, c);
			server = connection_server(t, c);
		}
		printf("connection %s %s %u %s %s %s %s\n",
		    connection_kind_name((enum connection_kind)c->kind),
		    connection_state_name((enum connection_state)c->state), c->protocol,
		    addr_format(&client, text[0]), addr_format(&service, text[1]),
		    far ? "-" : addr_format(&self, text[2]),
		    far ? "-" : addr_format(&server, text[3]));
	}
}

static void
device(unsigned number, unsigned gso, unsigned size, unsigned partial, const char *hex)
{
	struct instance *i = site(number);

	memory_put_packet(
	    i->io, octets, from_hex(hex), (uint8_t)gso, (uint16_t)size, partial != 0);
	while (datapath_run_device(i->datapath, now) == IO_BATCH)
		;
}

static void
inject(unsigned number, const char *from, const char *hex)
{
	struct instance *i = site(number);
	struct addr addr;

	if (addr_parse(from, &addr) == -1) {
		printf("error address\n");
		return;
	}
	memory_put_datagram(i->io, octets, from_hex(hex), &addr);
	while (datapath_run_transfer(i->datapath, now) == IO_BATCH)
		;
}

static void
set_server(unsigned number, unsigned server, const char *state)
{
	struct instance *i = site(number);
	bool up = strcmp(state, "up") == 0;

	load_table_server_set_state(i->load, server, up ? SERVER_UP : SERVER_DOWN, NULL, now);
	if (!up)
		datapath_server_down(i->datapath, server, now);
}

static void
set_admin(unsigned number, unsigned server, const char *word)
{
	for (int admin = SERVER_ENABLED; admin <= SERVER_DISABLED; admin++)
		if (strcmp(word, server_admin_name((enum server_admin)admin)) == 0)
			load_table_server_set_admin(
			    site(number)->load, server, (enum server_admin)admin, now);
}

static void
print_path(unsigned number, unsigned of)
{
	const struct site *s = load_table_site(site(number)->load, of);

	printf("path %s %u %.0f %.4f %s\n", site_path_name(s->path), s->path_mtu,
	    s->path_rtt * 1e6, s->path_loss, site_direct_name(s->direct_out));
}

static void
print_seen(struct instance *i)
{
	for (size_t n = 0; n < i->seen_count; n++)
		printf("seen %u %ju\n", i->seen[n].site, (uintmax_t)i->seen[n].id);
	i->seen_count = 0;
}

/* Commands about transfer paths; false: it is none. */
static bool
path_command(const char *line)
{
	unsigned long long id;
	unsigned a, b;

	if (sscanf(line, "paths %u", &a) == 1)
		printf("next %ju\n",
		    (uintmax_t)(datapath_probe_paths(site(a)->datapath, now) / CLOCK_MILLISECOND));
	else if (sscanf(line, "path %u %u", &a, &b) == 2)
		print_path(a, b);
	else if (sscanf(line, "seen %u", &a) == 1)
		print_seen(site(a));
	else if (sscanf(line, "confirm %u %u %llu", &a, &b, &id) == 3)
		datapath_probe_seen(site(a)->datapath, b, id, now);
	else
		return false;
	return true;
}

static void
command(char *line)
{
	unsigned a, b, c, d;
	unsigned long long ms;
	char word[64];
	int at = 0;

	if (strncmp(line, "site ", 5) == 0)
		make_site(line + 5);
	else if (sscanf(line, "link %u %u", &a, &b) == 2)
		printf("%s\n", instance_link(site(a), site(b), now) == 0 ? "ok" : "error link");
	else if (sscanf(line, "report %u %u", &a, &b) == 2)
		instance_report(site(a), site(b), now);
	else if (sscanf(line, "now %llu", &ms) == 1)
		now = ms * CLOCK_MILLISECOND;
	else if (sscanf(line, "server %u %u %63s", &a, &b, word) == 3)
		set_server(a, b, word);
	else if (sscanf(line, "admin %u %u %63s", &a, &b, word) == 3)
		set_admin(a, b, word);
	else if (sscanf(line, "active %u %u %u", &a, &b, &c) == 3)
		for (unsigned i = 0; i < c; i++)
			load_table_server_opened(site(a)->load, b);
	else if (sscanf(line, "device %u %u %u %u %n", &a, &b, &c, &d, &at) == 4)
		device(a, b, c, d, line + at);
	else if (sscanf(line, "carry %u %u", &a, &b) == 2)
		printf("carried %u\n", instance_carry(site(a), site(b), now));
	else if (sscanf(line, "datagrams %u", &a) == 1)
		print_datagrams(site(a));
	else if (sscanf(line, "inject %u %63s %n", &a, word, &at) == 2)
		inject(a, word, line + at);
	else if (sscanf(line, "packets %u", &a) == 1)
		print_packets(site(a));
	else if (sscanf(line, "counters %u", &a) == 1)
		print_counters(&site(a)->counters);
	else if (sscanf(line, "connections %u", &a) == 1)
		print_connections(site(a));
	else if (sscanf(line, "tell %u %u", &a, &b) == 2)
		printf("told %u\n", instance_tell(site(a), site(b), now));
	else if (sscanf(line, "chain %u %u %u", &a, &b, &c) == 3)
		instance_chain(site(a), site(b), site(c), now);
	else if (sscanf(line, "lost %u %u", &a, &b) == 2)
		datapath_site_lost(site(a)->datapath, b, now);
	else if (sscanf(line, "expire %u", &a) == 1)
		datapath_expire(site(a)->datapath, now);
	else if (!path_command(line))
		printf("error unknown command\n");
}

int
main(void)
{
	static char line[LINE];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		command(line);
		puts(".");
		fflush(stdout);
	}
	while (sites_count > 0)
		instance_free(sites[--sites_count]);
	return 0;
}
