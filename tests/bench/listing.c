/*
 * listing: how long the loop is kept from packets while `show connections` goes through a large
 * table: the longest of the slices in which it is done, and all of them together.
 *
 *   listing [CONNECTIONS]     default: 1000000
 *
 * Processor time, with the pieces in which a long answer is sent; what the system takes to send them
 * is not in it.
 */
#include <netinet/in.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "control/commands.h"
#include "instance.h"

#define NOW (1000 * CLOCK_SECOND)

static const char TEXT[] =
    "site = \"x\"; limits: { connections = 8388608; };\n"
    "services: ({ name = \"web\"; address = \"203.0.113.10\"; ports = [ 443 ];\n"
    "  servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });\n";

static void
die(const char *what)
{
	fprintf(stderr, "listing: %s\n", what);
	exit(1);
}

static uint64_t
processor_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * CLOCK_SECOND + (uint64_t)t.tv_nsec;
}

static struct addr
v4(uint32_t host, uint16_t port)
{
	uint32_t octets = htonl(host);

	return (struct addr){.ip = ip_from_v4(&octets), .port = port};
}

static void
fill(struct instance *x, uint32_t count)
{
	struct connection_table *table = datapath_connections(x->datapath);

	for (uint32_t i = 0; i < count; i++) {
		struct connection_new what = {.kind = CONNECTION_LOCAL,
		    .protocol = IPPROTO_UDP,
		    .client = v4(0x64400000 + i / 1000, (uint16_t)(1024 + i % 1000)),
		    .service = v4(0xcb00710a, 443),
		    .server = v4(0x0a010000 + i % 256, 443),
		    .self = v4(0xcb00710a, 0),
		    .site = CONNECTION_NO_SITE};
		struct connection *c;
		bool existed;

		if (connection_open(table, &what, &x->random, NOW, &c, &existed) != DROP_none)
			die("the table takes no more");
	}
}

static void
measure(const struct control_parts *parts, const char *line)
{
	struct request *request = request_new(parts, line, strlen(line), 0, true);
	uint64_t longest = 0, all = 0;
	unsigned slices = 0;
	bool done = false;
	size_t len, octets = 0, most = 0;

	while (!done) {
		uint64_t start = processor_time(), took;
		char *piece = NULL;

		len = 0;
		done = request_run(request, NOW);
		if (done)
			piece = request_answer(request, &len);
		else if (request->pieces && request->json.len > 0)
			piece = request_piece(request, &len);
		free(piece);
		octets += len;
		most = len > most ? len : most;
		took = processor_time() - start;
		longest = took > longest ? took : longest;
		all += took;
		slices++;
	}
	if (request->error != 0)
		die(request->error_text);
	printf(
	    "%-35s %5u slices, the longest %6.2f ms, all %8.2f ms, %10zu octets, %8zu at most "
	    "at a time\n",
	    line, slices, (double)longest / 1e6, (double)all / 1e6, octets, most);
	request_free(request);
}

int
main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	struct instance *x = instance_new(TEXT, 7, NOW);
	struct control_parts parts = {0};

	if (x == NULL)
		die("no site");
	fill(x, count);
	parts.config = x->config;
	parts.load = x->load;
	parts.allocation = x->allocation;
	parts.connections = datapath_connections(x->datapath);
	parts.counters = &x->counters;
	parts.keyring = x->keyring;
	parts.started = NOW;
	printf("%" PRIu32 " connections\n", count);
	measure(&parts, "show connections");
	measure(&parts, "show connections limit 10000");
	measure(&parts, "show connections client 192.0.2.1");
	instance_free(x);
	return 0;
}
