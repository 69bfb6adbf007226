/*
 * curves: what a packet and a new connection cost against the number of connections, servers and
 * services: the whole datapath, with packets of connections taken at random, so that what the
 * caches do not hold is in it.  Input and output cost next to nothing.
 *
 *   curves [-o FILE] [-m CONNECTIONS] [connections|servers|services ...]     default: all three
 *
 * Printed are nanoseconds of processor time, of BLOCKS blocks the least, and the ratio to the
 * smallest of the curve.
 * FILE: the same for gnuplot.  -m: no more connections than that (8000000).
 * Packets are those of clients and of servers in equal parts, 40 octets, in bursts as the device gives
 * them; connections are opened by their packets.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../unit/frames.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "instance.h"

#define NOW         (1000 * CLOCK_SECOND)
#define BLOCKS      9
#define BLOCK       65536 /* packets */
#define NEW_MAX     8192  /* connections of a block */
#define HEADERS     40
#define SELVES      4     /* self addresses: each has 64,512 ports towards a server */
#define CONNECTIONS 50000 /* where they are not what the curve is about */

struct flow {
	uint32_t client, service, self, server; /* addresses */
	uint16_t client_port, self_port;
};

struct point {
	uint32_t connections, servers, services;
	double packet, opening; /* ns */
};

struct bench {
	struct instance *instance;
	struct flow *flows;
	uint32_t count, services;
	struct random random;
	/* the burst that the device gives, and what was written last */
	uint8_t burst[IO_BATCH][IO_HEADROOM + HEADERS];
	unsigned filled, read;
	uint8_t last[HEADERS];
	uint64_t written;
};

static struct bench b;
static FILE *results;

static void
die(const char *what)
{
	fprintf(stderr, "curves: %s\n", what);
	exit(1);
}

/* ---- input and output ---- */

static int
give_packet(struct io *io, struct packet *p)
{
	(void)io;
	if (b.read == b.filled)
		return 0;
	memset(p, 0, sizeof(*p));
	p->data = b.burst[b.read++] + IO_HEADROOM;
	p->len = HEADERS;
	p->headroom = IO_HEADROOM;
	return 1;
}

static int
give_packets(struct io *io, struct packet *p, int max, bool *more)
{
	int count = 0;

	while (count < max && give_packet(io, &p[count]) == 1)
		count++;
	*more = b.read < b.filled;
	return count;
}

static int
take_packet(struct io *io, const struct packet *p)
{
	(void)io;
	memcpy(b.last, p->data, HEADERS);
	b.written++;
	return 0;
}

static const struct io_ops ops = {.device_receive = give_packet,
    .device_receive_many = give_packets,
    .device_send = take_packet};

/* ---- packets ---- */

/* Into the next place of the burst.  Its TCP checksum is not looked at. */
static void
put(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port, uint8_t flags)
{
	uint8_t *f = b.burst[b.filled++] + IO_HEADROOM;
	uint32_t sum;

	memset(f, 0, HEADERS);
	f[0] = 0x45;
	frame_put16(f + 2, HEADERS);
	f[8] = 64;
	f[9] = IPPROTO_TCP;
	frame_put32(f + 12, from);
	frame_put32(f + 16, to);
	sum = frame_sum(0, f, 20);
	sum = (sum >> 16) + (sum & 0xffff);
	frame_put16(f + 10, ~(sum + (sum >> 16)) & 0xffff);
	frame_put16(f + 20, from_port);
	frame_put16(f + 22, to_port);
	frame_put32(f + 24, 1000);
	frame_put32(f + 28, 2000);
	f[32] = 0x50;
	f[33] = flags;
	frame_put16(f + 34, 0xffff);
}

/* Of this process: what others take is left out, but for what they do to the caches. */
static uint64_t
processor_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * CLOCK_SECOND + (uint64_t)t.tv_nsec;
}

/* Hands the burst to the datapath; how many packets have come out, and how long it took. */
static uint64_t
send_burst(uint64_t *ns)
{
	uint64_t before = b.written, start = processor_time();

	datapath_run_device(b.instance->datapath, NOW);
	*ns += processor_time() - start;
	b.filled = b.read = 0;
	return b.written - before;
}

static uint32_t
service_address(uint32_t number)
{
	return 0xcb007100 + number;
}

/* No two of them are the same, in no order. */
static struct flow
flow_of(uint32_t i)
{
	uint32_t mixed = i * 2654435761u;

	return (struct flow){.client = 0x64400000 + (mixed >> 12),
	    .client_port = (uint16_t)(1024 + (mixed & 4095)),
	    .service = service_address(i % b.services)};
}

static void
put_client(const struct flow *f, uint8_t flags)
{
	put(f->client, f->client_port, f->service, 80, flags);
}

static void
put_server(const struct flow *f, uint8_t flags)
{
	put(f->server, 80, f->self, f->self_port, flags);
}

/* The whole handshake; what the server sees says what the server answers to. */
static void
connect_flow(struct flow *f)
{
	uint64_t ns = 0;

	put_client(f, TCP_SYN);
	if (send_burst(&ns) != 1)
		die("a connection was not opened");
	f->self = frame_get32(b.last + 12);
	f->server = frame_get32(b.last + 16);
	f->self_port = frame_get16(b.last + 20);
	put_server(f, TCP_SYN | TCP_ACK);
	put_client(f, TCP_ACK);
	if (send_burst(&ns) != 2)
		die("a connection was not established");
}

/* ---- the site ---- */

/* Services of equally many servers each. */
static char *
site_text(const struct point *p)
{
	size_t size = 1024 + (size_t)p->services * 256 + (size_t)p->servers * 128, at;
	uint32_t each = p->servers / p->services, room = p->connections / 4 + 65536;
	char *text = xmalloc(size);

	at = (size_t)snprintf(text, size,
	    "site = \"x\"; limits: { connections = %" PRIu32 "; }; self_addresses = [ ",
	    p->connections + room > 8388608 ? 8388608 : p->connections + room);
	for (unsigned i = 0; i < SELVES; i++)
		at += (size_t)snprintf(
		    text + at, size - at, "%s\"198.51.100.%u\"", i > 0 ? ", " : "", 20 + i);
	at += (size_t)snprintf(text + at, size - at, " ]; services: (");
	for (uint32_t s = 0; s < p->services; s++) {
		at += (size_t)snprintf(text + at, size - at,
		    "%s{ name = \"s%" PRIu32 "\"; address = \"203.0.%u.%u\"; ports = [ 80 ];"
		    " servers: (",
		    s > 0 ? ", " : "", s, service_address(s) >> 8 & 255,
		    service_address(s) & 255);
		for (uint32_t n = 0; n < each; n++)
			at += (size_t)snprintf(text + at, size - at,
			    "%s{ name = \"%" PRIu32 "\"; address = \"10.%u.%u.%u\";"
			    " max_connections = 1000000; }",
			    n > 0 ? "," : "", n, 1 + (s * each + n) / 62500,
			    (s * each + n) / 250 % 250, 1 + (s * each + n) % 250);
		at += (size_t)snprintf(text + at, size - at, "); }");
	}
	snprintf(text + at, size - at, ");");
	return text;
}

static void
begin(const struct point *p)
{
	char *text = site_text(p);

	b.services = p->services;
	b.count = p->connections;
	b.written = 0;
	b.filled = b.read = 0;
	random_init(&b.random, 1);
	b.instance = instance_new(text, 7, NOW);
	free(text);
	if (b.instance == NULL)
		die("no site");
	b.flows = xcalloc(b.count, sizeof(*b.flows));
	b.instance->io->ops = &ops;
	for (uint32_t i = 0; i < b.count; i++) {
		b.flows[i] = flow_of(i);
		connect_flow(&b.flows[i]);
	}
}

static void
end(const struct io_ops *own)
{
	b.instance->io->ops = own;
	instance_free(b.instance);
	free(b.flows);
}

/* ---- measuring ---- */

static double
least(const double *values)
{
	double found = values[0];

	for (int i = 1; i < BLOCKS; i++)
		found = values[i] < found ? values[i] : found;
	return found;
}

static double
packets(void)
{
	double blocks[BLOCKS];

	for (int block = 0; block < BLOCKS; block++) {
		uint64_t ns = 0, came = 0;

		for (uint32_t i = 0; i < BLOCK; i++) {
			const struct flow *f = &b.flows[random_below(&b.random, b.count)];

			if (i % 2 == 0)
				put_client(f, TCP_ACK);
			else
				put_server(f, TCP_ACK);
			if (b.filled == IO_BATCH)
				came += send_burst(&ns);
		}
		if (came != BLOCK)
			die("not all packets went their way");
		blocks[block] = (double)ns / BLOCK;
	}
	return least(blocks);
}

/* No more than a quarter of what was there: the table is to stay as large as it is. */
static double
openings(void)
{
	uint32_t each = b.count / 4 < NEW_MAX ? b.count / 4 / IO_BATCH * IO_BATCH : NEW_MAX;
	uint32_t next = b.count;
	double blocks[BLOCKS];

	if (each < IO_BATCH)
		each = IO_BATCH;
	for (int block = 0; block < BLOCKS; block++) {
		uint64_t ns = 0, came = 0;

		for (uint32_t i = 0; i < each; i++) {
			struct flow f = flow_of(next++);

			put_client(&f, TCP_SYN);
			if (b.filled == IO_BATCH)
				came += send_burst(&ns);
		}
		if (came != each)
			die("not all connections were opened");
		blocks[block] = (double)ns / each;
	}
	return least(blocks);
}

static void
measure(struct point *p)
{
	const struct io_ops *own;
	struct io *memory = memory_new(1);

	own = memory->ops;
	io_close(memory);
	begin(p);
	p->packet = packets();
	p->opening = openings();
	end(own);
}

/* ---- the curves ---- */

static const uint32_t STEPS[] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 2000000, 4000000, 8000000};

static struct point
point_of(const char *curve, uint32_t x)
{
	if (strcmp(curve, "connections") == 0)
		return (struct point){.connections = x, .servers = 256, .services = 1};
	if (strcmp(curve, "servers") == 0)
		return (struct point){.connections = CONNECTIONS, .servers = x, .services = 1};
	return (struct point){
	    .connections = CONNECTIONS, .servers = x < 4 ? 4 : x, .services = x};
}

static void
draw(const char *curve, uint32_t from, uint32_t to)
{
	struct point points[sizeof(STEPS) / sizeof(STEPS[0])];
	uint32_t x[sizeof(STEPS) / sizeof(STEPS[0])];
	double packet = 0, opening = 0;
	size_t count = 0;

	printf("%12s%14s%10s%18s%10s\n", curve, "a packet, ns", "ratio", "a connection, ns",
	    "ratio");
	for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
		struct point *p = &points[count];

		if (STEPS[i] < from || STEPS[i] > to)
			continue;
		*p = point_of(curve, STEPS[i]);
		measure(p);
		packet = count == 0 || p->packet < packet ? p->packet : packet;
		opening = count == 0 || p->opening < opening ? p->opening : opening;
		x[count++] = STEPS[i];
		fprintf(stderr, "%s %" PRIu32 ": %.0f %.0f\n", curve, STEPS[i], p->packet,
		    p->opening);
	}
	if (results != NULL)
		fprintf(results, "# %s\n", curve);
	for (size_t i = 0; i < count; i++) {
		double a = points[i].packet / packet, c = points[i].opening / opening;

		printf("%12" PRIu32 "%14.0f%10.2f%18.0f%10.2f%s\n", x[i], points[i].packet, a,
		    points[i].opening, c, a > 2 || c > 2 ? "   not flat" : "");
		if (results != NULL)
			fprintf(results, "%" PRIu32 " %.1f %.3f %.1f %.3f\n", x[i],
			    points[i].packet, a, points[i].opening, c);
	}
	printf("\n");
	if (results != NULL)
		fprintf(results, "\n\n");
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint32_t from, to;
	} curves[] = {
	    {"connections", 1000, 8000000}, {"servers", 1, 10000}, {"services", 1, 1000}};
	uint32_t most = 8000000;
	int option;

	while ((option = getopt(argc, argv, "o:m:")) != -1) {
		if (option == 'm')
			most = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option != 'o' || (results = fopen(optarg, "w")) == NULL)
			die("usage: curves [-o FILE] [-m CONNECTIONS] "
			    "[connections|servers|services "
			    "...]");
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		bool wanted = optind == argc;

		for (int a = optind; a < argc; a++)
			wanted |= strcmp(argv[a], curves[i].name) == 0;
		if (wanted)
			draw(curves[i].name, curves[i].from,
			    curves[i].to < most || i > 0 ? curves[i].to : most);
	}
	return results != NULL && fclose(results) != 0;
}
