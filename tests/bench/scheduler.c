/*
 * scheduler: what the choice of a server costs, connection opened and one closed included:
 * mean, the slowest of a thousand and of all; what it costs to make the list anew; and, while some
 * servers start slowly, the slowest of the calls that give them more weight as time goes by.
 *
 * The same is done several times over, and of each step the fastest time counts: what
 * other processes take is left out, what the step itself takes is not.
 *
 *   scheduler [servers ...]     default: 10 1000 10000
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocation/allocation.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "load/table.h"

#define DECISIONS 200000
#define REFRESHES 20
#define RUNS      4
#define EACH      20  /* connections that a server has on average */
#define SLOW      500 /* servers that start slowly at a time */
#define ATTEND    100 /* decisions between the calls that look after these */

struct bench {
	struct load_table *table;
	struct allocation *allocation;
	struct random random;
	uint64_t *taken; /* nanoseconds of each decision, then of each new list */
	uint32_t *open;  /* servers of the connections that are open */
	unsigned servers;
	uint64_t now;
	uint64_t *attended; /* nanoseconds of each call for slow starts; NULL: there are none */
};

static struct config *
make_config(unsigned servers, unsigned weights, unsigned room)
{
	size_t size = 512 + (size_t)servers * 96, at;
	char *text = xmalloc(size);
	struct config_faults faults;
	struct config *config;

	at = (size_t)snprintf(text, size,
	    "site=\"x\";services:({name=\"s\";address=\"203.0.113.1\";ports=[80];servers:(");
	for (unsigned i = 0; i < servers; i++)
		at += (size_t)snprintf(text + at, size - at,
		    "%s{name=\"%u\";address=\"10.%u.%u.%u\";weight=%u;max_connections=%u;}",
		    i > 0 ? "," : "", i, i / 62500, i / 250 % 250, 1 + i % 250,
		    1 + i * 7919 % weights, room);
	snprintf(text + at, size - at, ");});");
	config = config_parse(text, "bench", &faults);
	for (size_t i = 0; i < faults.count; i++)
		fprintf(stderr, "%s\n", faults.text[i]);
	config_faults_free(&faults);
	free(text);
	if (config == NULL)
		exit(1);
	for (size_t i = 0; i < config->services_count; i++)
		config->services[i].check.type = CONFIG_CHECK_NONE;
	return config;
}

static int
by_size(const void *va, const void *vb)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	return a < b ? -1 : a > b;
}

static struct ip
client(struct bench *b)
{
	uint32_t octets = (uint32_t)random_next(&b->random);

	return ip_from_v4(&octets);
}

static void
took(struct bench *b, size_t step, uint64_t start)
{
	uint64_t taken = clock_now() - start;

	if (taken < b->taken[step])
		b->taken[step] = taken;
}

/* One connection more, and a random one less once there are enough. */
static uint64_t
decide(struct bench *b, size_t number)
{
	size_t enough = (size_t)b->servers * EACH, place = number;
	struct allocation_decision decision;
	struct ip ip = client(b);
	uint64_t start = clock_now();

	if (number >= enough) {
		place = (size_t)(random_next(&b->random) % enough);
		if (b->open[place] != LOAD_NONE)
			load_table_server_closed(b->table, b->open[place]);
	}
	allocation_decide(b->allocation, 0, &ip, &b->random, start, &decision);
	if (decision.where == ALLOCATION_SERVER)
		load_table_server_opened(b->table, decision.server);
	b->open[place] = decision.where == ALLOCATION_SERVER ? decision.server : LOAD_NONE;
	return start;
}

/* Some servers have come up, and time passes. */
static void
start_slowly(struct bench *b)
{
	load_table_service(b->table, 0)->slow_start = 30;
	b->now = 1000 * CLOCK_SECOND;
	for (uint32_t i = 0; i < SLOW && i < b->servers; i++) {
		load_table_server_set_state(b->table, i, SERVER_DOWN, NULL, b->now);
		load_table_server_set_state(b->table, i, SERVER_UP, NULL, b->now);
	}
}

static void
attend(struct bench *b, size_t call)
{
	uint64_t start = clock_now(), taken;

	load_table_attend(b->table, b->now);
	taken = clock_now() - start;
	b->now += CLOCK_SECOND / 50;
	if (taken < b->attended[call])
		b->attended[call] = taken;
}

/* The list is made anew at the first decision after a server's state has changed. */
static void
refresh(struct bench *b)
{
	for (uint32_t i = 0; i < REFRESHES; i++) {
		struct allocation_decision decision;
		struct ip ip = client(b);
		uint64_t start;

		load_table_server_set_state(
		    b->table, i / 2 % b->servers, i % 2 ? SERVER_UP : SERVER_DOWN, NULL, 1);
		start = clock_now();
		allocation_decide(b->allocation, 0, &ip, &b->random, start, &decision);
		took(b, DECISIONS + i, start);
	}
}

static void
run(struct bench *b, const struct config *config)
{
	size_t warm = (size_t)b->servers * EACH * 2;

	b->table = load_table_new();
	load_table_apply(b->table, config, 1);
	b->allocation = allocation_new(b->table, 1);
	random_init(&b->random, 1);
	for (size_t i = 0; i < warm; i++)
		decide(b, i);
	if (b->attended != NULL) {
		start_slowly(b);
		decide(b, warm); /* on a new list */
	}
	for (size_t i = 0; i < DECISIONS; i++) {
		if (b->attended != NULL && i % ATTEND == 0)
			attend(b, i / ATTEND);
		took(b, i, decide(b, warm + i));
	}
	refresh(b);
	allocation_free(b->allocation);
	load_table_free(b->table);
}

static void
measure(struct config *config, unsigned servers, enum config_scheduler kind, const char *what,
    bool slow)
{
	struct bench b = {.servers = servers};
	uint64_t *lists, sum = 0, attended[DECISIONS / ATTEND];

	config->services[0].scheduler = kind;
	b.taken = xcalloc(DECISIONS + REFRESHES, sizeof(*b.taken));
	b.open = xcalloc((size_t)servers * EACH, sizeof(*b.open));
	memset(attended, 0xff, sizeof(attended));
	b.attended = slow ? attended : NULL;
	memset(b.taken, 0xff, (DECISIONS + REFRESHES) * sizeof(*b.taken));
	for (int i = 0; i < RUNS; i++)
		run(&b, config);
	lists = b.taken + DECISIONS;
	for (size_t i = 0; i < DECISIONS; i++)
		sum += b.taken[i];
	qsort(b.taken, DECISIONS, sizeof(*b.taken), by_size);
	qsort(lists, REFRESHES, sizeof(*lists), by_size);
	qsort(attended, DECISIONS / ATTEND, sizeof(attended[0]), by_size);
	printf("%7u %-5s %-10s %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %12.3f %10.3f\n", servers,
	    config_scheduler_name(kind), what, sum / DECISIONS,
	    b.taken[DECISIONS - 1 - DECISIONS / 1000], b.taken[DECISIONS - 1],
	    (double)lists[REFRESHES - 1] / CLOCK_MILLISECOND,
	    slow ? (double)attended[DECISIONS / ATTEND - 1] / CLOCK_MILLISECOND : 0);
	free(b.taken);
	free(b.open);
}

static void
bench(unsigned servers)
{
	static const struct {
		const char *what;
		unsigned weights, room;
		bool slow;
	} cases[] = {{"equal", 1, 1000, false}, {"weights", 65535, 1000, false},
	    {"all full", 1, EACH, false}, {"slow start", 100, 1000, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *config = make_config(servers, cases[i].weights, cases[i].room);

		for (int kind = 0; kind < CONFIG_SCHEDULERS; kind++)
			measure(config, servers, (enum config_scheduler)kind, cases[i].what,
			    cases[i].slow);
		config_free(config);
	}
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("servers name  case       mean, ns  99.9%%, ns   max, ns  new list, ms attend, "
	       "ms\n");
	for (int i = 1; i < argc; i++)
		bench((unsigned)strtoul(argv[i], NULL, 10));
	if (argc == 1) {
		bench(10);
		bench(1000);
		bench(10000);
	}
	return 0;
}
