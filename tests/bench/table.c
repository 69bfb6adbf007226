/*
 * table: what the connection table costs: time of an insert, a look-up, a tracked packet and
 * an end; the slowest of them; octets of memory for a connection.
 *
 * Each step is timed by itself, in RUNS runs that do the same to the last bit, of which its fastest
 * counts: what the table makes slow is slow each time, what others do to this machine is not.
 *
 *   table [-o FILE] [connections ...]     default: 10000 1000000
 *
 * FILE: the figures once more, a line each: connections, step, nanoseconds (the median, where there is
 * one) or octets; tab-separated.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/random.h"
#include "connection/connection.h"

#define SERVERS 256
#define LOOKUPS 2000000
#define RUNS    3

struct bench {
	struct connection_table *table;
	struct random random;
	uint32_t count;
	uint32_t *order; /* of the look-ups */
	uint64_t *insert_ns, *end_ns;
	uint64_t now;
};

static FILE *results; /* NULL: nobody wants them */

static void
result(uint32_t count, const char *what, double value)
{
	if (results != NULL)
		fprintf(results, "%" PRIu32 "\t%s\t%.1f\n", count, what, value);
}

static struct addr
v4(uint32_t host, uint16_t port)
{
	uint32_t octets = htonl(host);

	return (struct addr){.ip = ip_from_v4(&octets), .port = port};
}

static struct addr
client(uint32_t i)
{
	return v4(0x64400000 + i / 1000, (uint16_t)(20000 + i % 1000));
}

static struct connection_new
connection(uint32_t i)
{
	return (struct connection_new){
	    .kind = CONNECTION_LOCAL,
	    .protocol = IPPROTO_TCP,
	    .client = client(i),
	    .service = v4(0xcb00710a, 443),
	    .server = v4(0x0a010000 + i % SERVERS, 8443),
	    .self = v4(0xc6336414, 0),
	    .site = CONNECTION_NO_SITE,
	    .server_number = i % SERVERS,
	};
}

static void
track(struct bench *b, struct connection *c, enum connection_side side, uint8_t flags,
    uint32_t seq, uint32_t ack)
{
	struct connection_event e = {
	    .side = side,
	    .tcp_flags = flags,
	    .tcp_seq = seq,
	    .tcp_ack = ack,
	    .len = 40,
	};

	connection_track(b->table, c, &e, b->now);
}

static void
take_time(uint64_t *ns, uint64_t since)
{
	uint64_t took = clock_now() - since;

	if (took < *ns)
		*ns = took;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
report_times(uint32_t count, const char *what, uint64_t *ns, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t i;

	if (n == 0)
		return;

	for (i = 0; i < n; i++)
		sum += ns[i];
	qsort(ns, n, sizeof(*ns), compare);
	result(count, what, (double)ns[n / 2]);
	printf("  %-10s %7.0f ns   median %5" PRIu64 "   99.9 %% %6" PRIu64
	       "   99.999 %% %7" PRIu64 "   worst %8" PRIu64 "\n",
	    what, (double)sum / n, ns[n / 2], ns[(uint32_t)(n * 0.999)],
	    ns[(uint32_t)(n * 0.99999)], ns[n - 1]);
}

/* The reading of the clock is included. */
static uint32_t
insert(struct bench *b)
{
	struct connection *c;
	uint32_t i, failed = 0;
	bool existed;

	for (i = 0; i < b->count; i++) {
		struct connection_new what = connection(i);
		uint64_t before = clock_now();
		enum drop drop =
		    connection_open(b->table, &what, &b->random, b->now, &c, &existed);

		take_time(&b->insert_ns[i], before);
		if (drop != DROP_none) {
			failed++;
			continue;
		}
		track(b, c, CONNECTION_FROM_CLIENT, 0x02, i, 0);
		track(b, c, CONNECTION_FROM_SERVER, 0x12, i * 7, i + 1);
		track(b, c, CONNECTION_FROM_CLIENT, 0x10, i + 1, i * 7 + 1);
	}
	return failed;
}

static void
report_each(uint32_t count, const char *what, uint64_t ns, uint32_t found, uint32_t expected)
{
	result(count, what, (double)ns / LOOKUPS);
	printf("  %-10s %7.0f ns%s\n", what, (double)ns / LOOKUPS,
	    found == expected ? "" : "   WRONG RESULT");
}

static void
look_up_client(struct bench *b, const char *what, bool known, bool tracked)
{
	struct connection_key key = {
	    .destination = v4(0xcb00710a, 443),
	    .protocol = IPPROTO_TCP,
	};
	struct connection_event e = {.tcp_flags = 0x10, .len = 1500, .payload = 0};
	uint64_t before = clock_now();
	enum connection_side side;
	struct connection *c;
	uint32_t i, found = 0;

	for (i = 0; i < LOOKUPS; i++) {
		key.source = client(b->order[i] + (known ? 0 : b->count));
		c = connection_find(b->table, &key, &side);
		if (c == NULL)
			continue;
		found++;
		if (!tracked)
			continue;
		e.tcp_seq = c->client_seq;
		connection_track(b->table, c, &e, b->now);
	}
	report_each(b->count, what, clock_now() - before, found, known ? LOOKUPS : 0);
}

/* Towards a server's side the key holds a port that was chosen: collected beforehand. */
static void
look_up_server(struct bench *b)
{
	struct connection_key *keys = calloc(b->count, sizeof(*keys));
	uint32_t i, cursor = 0, count = 0, found = 0;
	enum connection_side side;
	struct connection *c;
	uint64_t before;

	if (keys == NULL)
		return;
	while ((c = connection_walk(b->table, &cursor)) != NULL)
		keys[count++] = (struct connection_key){
		    .source = connection_server(b->table, c),
		    .destination = connection_self(b->table, c),
		    .protocol = IPPROTO_TCP,
		};
	before = clock_now();
	for (i = 0; i < LOOKUPS; i++)
		found += connection_find(b->table, &keys[b->order[i] % count], &side) != NULL;
	report_each(b->count, "server", clock_now() - before, found, LOOKUPS);
	free(keys);
}

static uint32_t
end_all(struct bench *b)
{
	uint32_t n = 0, cursor = 0;
	struct connection *c;

	while ((c = connection_walk(b->table, &cursor)) != NULL) {
		uint64_t before = clock_now();

		connection_end(b->table, c);
		take_time(&b->end_ns[n++], before);
	}
	return n;
}

/* A table that is the same in each run. */
static bool
begin(struct bench *b, uint32_t capacity)
{
	struct connection_settings settings = {
	    .capacity = capacity,
	    .timeouts = {60, 7440, 240, 120, 300, 30, 60},
	    .hash_key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}},
	};

	b->now = CLOCK_SECOND;
	random_init(&b->random, 1);
	b->table = connection_table_new(&settings, b->now);
	return b->table != NULL;
}

/* Takes the ports towards one server until 1000 connections were refused; returns how many were
 * tried.  The last hundredth of the ports, and the refusals, are what is timed. */
static uint32_t
use_up_ports(struct bench *b, uint32_t *timed)
{
	struct connection *c;
	uint32_t i, refused = 0;
	bool existed;

	*timed = 0;
	for (i = 0; i < 65536 && refused < 1000; i++) {
		struct connection_new what = connection(i * SERVERS);
		uint64_t before = clock_now();

		what.protocol = IPPROTO_UDP;
		refused += connection_open(b->table, &what, &b->random, b->now, &c, &existed) !=
		    DROP_none;
		if (i >= 63866)
			take_time(&b->insert_ns[(*timed)++], before);
	}
	return i - refused;
}

/* The same among many other connections, if there is room for them. */
static int
few_ports(struct bench *b, uint32_t capacity)
{
	uint32_t taken = 0, timed = 0;
	int i;

	memset(b->insert_ns, 0xff, 65536 * sizeof(*b->insert_ns));
	for (i = 0; i < RUNS && begin(b, capacity); i++) {
		for (uint32_t n = 0; n + 65536 < capacity; n++) {
			struct connection_new what = connection(n);
			struct connection *c;
			bool existed;

			connection_open(b->table, &what, &b->random, b->now, &c, &existed);
		}
		taken = use_up_ports(b, &timed);
		connection_table_free(b->table);
	}
	if (i < RUNS)
		return 1;
	printf("the last hundredth of the ports towards one server, in a table for %" PRIu32
	       ": %" PRIu32 " taken\n",
	    capacity, taken);
	report_times(capacity, "last-ports", b->insert_ns, timed);
	return 0;
}

static void
look_up_all(struct bench *b)
{
	look_up_client(b, "client", true, false);
	look_up_client(b, "tracked", true, true);
	look_up_client(b, "unknown", false, false);
	look_up_server(b);
}

static int
measure(struct bench *b)
{
	uint32_t failed = 0, ended = 0;
	uint64_t before;

	memset(b->insert_ns, 0xff, b->count * sizeof(*b->insert_ns));
	memset(b->end_ns, 0xff, b->count * sizeof(*b->end_ns));
	for (int i = 1; i <= RUNS; i++) {
		before = clock_now();
		if (!begin(b, b->count))
			return 1;
		if (i == 1)
			printf("%" PRIu32 " connections: %.1f octets each, made in %.0f ms\n",
			    b->count, connection_table_bytes_each(b->table),
			    (double)(clock_now() - before) / 1e6);
		if (i == 1)
			result(b->count, "octets", connection_table_bytes_each(b->table));
		failed = insert(b);
		if (i == RUNS)
			look_up_all(b);
		ended = end_all(b);
		connection_table_free(b->table);
	}
	report_times(b->count, "insert", b->insert_ns, b->count);
	report_times(b->count, "end", b->end_ns, ended);
	if (failed > 0)
		printf("  %" PRIu32 " inserts refused\n", failed);
	return 0;
}

static int
run(uint32_t count)
{
	struct bench b = {.count = count};
	size_t steps = count > 65536 ? count : 65536;
	int failed = 1;

	b.insert_ns = calloc(steps, sizeof(*b.insert_ns));
	b.end_ns = calloc(steps, sizeof(*b.end_ns));
	b.order = calloc(LOOKUPS, sizeof(*b.order));
	if (b.insert_ns != NULL && b.end_ns != NULL && b.order != NULL) {
		random_init(&b.random, 2);
		for (uint32_t i = 0; i < LOOKUPS; i++)
			b.order[i] = random_below(&b.random, count);
		failed = measure(&b);
		if (failed == 0 && count >= 65536)
			failed = few_ports(&b, 65536) | few_ports(&b, count);
	}
	if (failed != 0)
		perror("table");
	free(b.insert_ns);
	free(b.end_ns);
	free(b.order);
	return failed;
}

int
main(int argc, char **argv)
{
	int i = 1, failed = 0;

	if (argc > 2 && strcmp(argv[1], "-o") == 0) {
		results = fopen(argv[2], "w");
		if (results == NULL) {
			perror(argv[2]);
			return 1;
		}
		fprintf(results, "connections\tstep\tvalue\n");
		i = 3;
	}
	if (i == argc)
		failed = run(10000) | run(1000000);
	for (; i < argc; i++)
		failed |= run((uint32_t)strtoul(argv[i], NULL, 10));
	if (results != NULL && fclose(results) != 0)
		failed = 1;
	return failed;
}
