/*
 * table: what the connection table costs: time of an insert, a look-up, a tracked packet and
 * an end; the slowest of them; octets of memory for a connection.
 *
 *   table [connections ...]     default: 10000 1000000
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/random.h"
#include "connection/connection.h"

#define SERVERS 256
#define LOOKUPS 2000000

struct bench {
	struct connection_table *table;
	struct random random;
	uint32_t count;
	uint32_t *order; /* of the look-ups */
	uint64_t now;
};

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

/* Whether another process was let in since the last call: what a step took then says nothing
 * about the table. */
static bool
was_preempted(void)
{
	static long before;
	struct rusage usage;
	bool result;

	getrusage(RUSAGE_SELF, &usage);
	result = usage.ru_nivcsw != before;
	before = usage.ru_nivcsw;
	return result;
}

/* Enters the time since then, unless it is long for a reason of others. */
static void
take_time(uint64_t *ns, uint32_t *n, uint64_t since)
{
	uint64_t took = clock_now() - since;

	if (took < 20 * CLOCK_MICROSECOND || !was_preempted())
		ns[(*n)++] = took;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
report_times(const char *what, uint64_t *ns, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t i;

	if (n == 0)
		return;

	for (i = 0; i < n; i++)
		sum += ns[i];
	qsort(ns, n, sizeof(*ns), compare);
	printf("  %-10s %7.0f ns   median %5" PRIu64 "   99.9 %% %6" PRIu64
	       "   99.999 %% %7" PRIu64 "   worst %8" PRIu64 "\n",
	    what, (double)sum / n, ns[n / 2], ns[(uint32_t)(n * 0.999)],
	    ns[(uint32_t)(n * 0.99999)], ns[n - 1]);
}

/* Each is timed by itself, the reading of the clock included. */
static void
insert(struct bench *b, uint64_t *ns)
{
	struct connection *c;
	uint32_t i, n = 0, failed = 0;
	bool existed;

	for (i = 0; i < b->count; i++) {
		struct connection_new what = connection(i);
		uint64_t before = clock_now();
		enum drop drop =
		    connection_open(b->table, &what, &b->random, b->now, &c, &existed);

		take_time(ns, &n, before);
		if (drop != DROP_none) {
			failed++;
			continue;
		}
		track(b, c, CONNECTION_FROM_CLIENT, 0x02, i, 0);
		track(b, c, CONNECTION_FROM_SERVER, 0x12, i * 7, i + 1);
		track(b, c, CONNECTION_FROM_CLIENT, 0x10, i + 1, i * 7 + 1);
	}
	report_times("insert", ns, n);
	if (failed > 0)
		printf("  %" PRIu32 " inserts refused\n", failed);
}

static void
report_each(const char *what, uint64_t ns, uint32_t found, uint32_t expected)
{
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
	report_each(what, clock_now() - before, found, known ? LOOKUPS : 0);
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
	report_each("server", clock_now() - before, found, LOOKUPS);
	free(keys);
}

static void
end_all(struct bench *b, uint64_t *ns)
{
	uint32_t n = 0, cursor = 0;
	struct connection *c;

	while ((c = connection_walk(b->table, &cursor)) != NULL) {
		uint64_t before = clock_now();

		connection_end(b->table, c);
		take_time(ns, &n, before);
	}
	report_times("end", ns, n);
}

/* All ports but one in a hundred in use towards one server: what the choice costs then. */
static void
few_ports(uint64_t *ns)
{
	struct connection_settings settings = {
	    .capacity = 65536,
	    .timeouts = {60, 7440, 240, 120, 300, 30, 60},
	};
	struct bench b = {.now = CLOCK_SECOND};
	struct connection *c;
	uint32_t i, n = 0, refused = 0;
	bool existed;

	random_system(&settings.hash_key, sizeof(settings.hash_key));
	random_init(&b.random, 2);
	b.table = connection_table_new(&settings, b.now);
	if (b.table == NULL)
		return;
	for (i = 0; i < 65536 && refused < 1000; i++) {
		struct connection_new what = connection(i * SERVERS);
		uint64_t before = clock_now();

		what.protocol = IPPROTO_UDP;
		refused += connection_open(b.table, &what, &b.random, b.now, &c, &existed) !=
		    DROP_none;
		if (i >= 63866)
			take_time(ns, &n, before);
	}
	printf("the last hundredth of the ports towards one server, %" PRIu32 " taken, %" PRIu32
	       " refused:\n",
	    i - refused, refused);
	report_times("insert", ns, n);
	connection_table_free(b.table);
}

static int
run(uint32_t count)
{
	struct connection_settings settings = {
	    .capacity = count,
	    .timeouts = {60, 7440, 240, 120, 300, 30, 60},
	};
	struct bench b = {.count = count, .now = CLOCK_SECOND};
	uint64_t *ns = calloc(count > 65536 ? count : 65536, sizeof(*ns));
	uint64_t before = clock_now();
	uint32_t i;

	b.order = calloc(LOOKUPS, sizeof(*b.order));
	random_system(&settings.hash_key, sizeof(settings.hash_key));
	random_init(&b.random, 1);
	b.table = connection_table_new(&settings, b.now);
	if (ns == NULL || b.order == NULL || b.table == NULL) {
		perror("table");
		return 1;
	}
	for (i = 0; i < LOOKUPS; i++)
		b.order[i] = random_below(&b.random, count);
	printf("%" PRIu32 " connections: %.1f octets each, made in %.0f ms\n", count,
	    connection_table_bytes_each(b.table), (double)(clock_now() - before) / 1e6);
	insert(&b, ns);
	look_up_client(&b, "client", true, false);
	look_up_client(&b, "tracked", true, true);
	look_up_client(&b, "unknown", false, false);
	look_up_server(&b);
	end_all(&b, ns);
	if (count == 1000000)
		few_ports(ns);
	connection_table_free(b.table);
	free(b.order);
	free(ns);
	return 0;
}

int
main(int argc, char **argv)
{
	int i, failed = 0;

	if (argc == 1)
		return run(10000) | run(1000000);
	for (i = 1; i < argc; i++)
		failed |= run((uint32_t)strtoul(argv[i], NULL, 10));
	return failed;
}
