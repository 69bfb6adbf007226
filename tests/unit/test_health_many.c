/*
 * Many servers, and servers that share what is asked: how many checks there are, and when.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "health/health.h"

#define MANY     10000
#define SLICE    (100 * CLOCK_MILLISECOND)
#define SLICES   40
#define SERVICES 3

struct rig {
	struct loop *loop;
	struct load_table *table;
	struct health *health;
	struct counters counters;
	struct random random;
	struct loop_timer *end, *slicer;

	struct config config;
	struct config_service services[SERVICES];
	struct config_server *servers; /* the same for each service */
	size_t servers_count;
	char names[MANY][8];
	uint16_t port;

	/* a server that counts who comes */
	int listener;
	struct loop_fd *accepting;
	unsigned accepted;

	uint64_t seen, slice_begun;
	unsigned slice, checks[SLICES], all;
};

static int
setup(void **state)
{
	static const char *const names[SERVICES] = {"web", "mail", "news"};
	struct rig *r = calloc(1, sizeof(*r));
	struct rlimit limit;

	assert_non_null(r);
	r->loop = loop_new();
	r->table = load_table_new();
	random_init(&r->random, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	r->servers = calloc(MANY, sizeof(*r->servers));
	assert_non_null(r->servers);
	r->port = 80;
	for (int i = 0; i < SERVICES; i++) {
		struct config_service *s = &r->services[i];

		s->name = (char *)(uintptr_t)names[i];
		s->protocol = IPPROTO_TCP;
		s->ports = &r->port;
		s->ports_count = 1;
		s->high_load = 0.75;
		s->servers = r->servers;
		s->check = (struct config_check){
		    .type = CONFIG_CHECK_TCP, .interval = 0.1, .timeout = 1, .rise = 2, .fall = 3};
		assert_int_equal(ip_parse("203.0.113.10", &s->v4), 0);
		s->v4.octet[15] = (uint8_t)(10 + i);
	}
	r->config.services = r->services;
	r->config.services_count = 1;
	r->listener = -1;
	log_set_level(LOG_LEVEL_ERROR);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	health_free(r->health);
	load_table_free(r->table);
	loop_fd_free(r->accepting);
	if (r->listener != -1)
		close(r->listener);
	loop_timer_free(r->end);
	loop_timer_free(r->slicer);
	loop_free(r->loop);
	free(r->servers);
	free(r);
	return 0;
}

static void
on_accept(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;
	int client;

	(void)readable;
	(void)writable;
	(void)now;
	while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) != -1) {
		r->accepted++;
		close(client);
	}
}

static uint16_t
serve(struct rig *r)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_not_equal(r->listener, -1);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(r->listener, 4096), 0);
	assert_int_equal(getsockname(r->listener, (struct sockaddr *)&at, &len), 0);
	r->accepting = loop_fd_add(r->loop, r->listener, true, false, on_accept, r);
	return ntohs(at.sin_port);
}

static void
add_server(struct rig *r, const char *ip, uint16_t port)
{
	struct config_server *s = &r->servers[r->servers_count];

	snprintf(r->names[r->servers_count], sizeof(r->names[0]), "s%zu", r->servers_count);
	s->name = r->names[r->servers_count++];
	assert_int_equal(ip_parse(ip, &s->v4), 0);
	s->port = port;
	s->weight = 1;
}

static void
apply(struct rig *r)
{
	for (int i = 0; i < SERVICES; i++)
		r->services[i].servers_count = r->servers_count;
	load_table_apply(r->table, &r->config, clock_now());
	if (r->health == NULL)
		r->health = health_new(r->loop, r->table, &r->counters, &r->random);
	else
		health_refresh(r->health);
}

static void
on_end(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	loop_stop(r->loop);
}

static void
run_for(struct rig *r, uint64_t ms)
{
	if (r->end == NULL)
		r->end = loop_timer_new(r->loop, on_end, r);
	loop_timer_set(r->end, ms * CLOCK_MILLISECOND);
	loop_run(r->loop);
}

static uint64_t
checks(const struct rig *r)
{
	return r->counters.counter[COUNTER_checks_passed] +
	    r->counters.counter[COUNTER_checks_failed];
}

static void
on_slice(void *arg, uint64_t now)
{
	struct rig *r = arg;

	/* a busy machine makes longer slices */
	r->checks[r->slice++] =
	    (unsigned)((checks(r) - r->seen) * SLICE / (now - r->slice_begun));
	r->all += (unsigned)(checks(r) - r->seen);
	r->seen = checks(r);
	r->slice_begun = now;
	if (r->slice < SLICES)
		loop_timer_set(r->slicer, SLICE);
	else
		loop_stop(r->loop);
}

static unsigned
most(const struct rig *r, unsigned from, unsigned to)
{
	unsigned best = 0;

	for (unsigned i = from; i < to; i++)
		if (r->checks[i] > best)
			best = r->checks[i];
	return best;
}

/*
 * 10,000 servers, half of which refuse, each asked every two seconds: 500 checks in 100 ms, at the
 * start as later.
 */
static void
test_no_storm(void **state)
{
	struct rig *r = *state;
	uint16_t port = serve(r);
	uint64_t begun;
	double seconds;

	r->services[0].check.interval = 2;
	for (int i = 0; i < MANY; i++) {
		char ip[IP_TEXT];

		snprintf(ip, sizeof(ip), "127.1.%d.%d", i / 250, 1 + i % 250);
		add_server(r, ip, i % 2 == 0 ? port : 1);
	}
	r->slicer = loop_timer_new(r->loop, on_slice, r);
	apply(r);
	loop_timer_set(r->slicer, SLICE);
	begun = r->slice_begun = clock_now();
	loop_run(r->loop);
	seconds = (double)(clock_now() - begun) / (double)CLOCK_SECOND;
	print_message("checks in each 100 ms of %d servers, interval 2 s:", MANY);
	for (int i = 0; i < SLICES; i++)
		print_message("%s%5u", i % 20 == 0 ? "\n " : "", r->checks[i]);
	print_message("\nmost at the start %u, later %u; %u in %.2f s\n", most(r, 0, 20),
	    most(r, 20, SLICES), r->all, seconds);
	/* a machine that stands still for a moment catches up: all 10,000 at once are a storm */
	assert_in_range(most(r, 0, SLICES), 100, 5000);
	/* and one that is slow asks less often, but each server all the same */
	assert_true(r->all > MANY / 2 && r->all < 6000 * seconds);
	for (uint32_t i = 0; i < MANY; i++) {
		const struct server *s = load_table_server(r->table, i);

		assert_int_equal(s->state, i % 2 == 0 ? SERVER_UP : SERVER_DOWN);
		if (i % 2 != 0)
			assert_string_equal(s->why, "connection refused");
	}
}

/* Three services with the same server: asked once; each judges for itself. */
static void
test_shared(void **state)
{
	struct rig *r = *state;
	uint16_t port = serve(r);
	unsigned alone, shared;

	add_server(r, "127.0.0.1", port);
	apply(r);
	run_for(r, 1000);
	alone = r->accepted;
	r->config.services_count = SERVICES;
	r->services[1].check.fall = 1;
	r->services[2].check.rise = 1;
	apply(r);
	r->accepted = 0;
	run_for(r, 1000);
	shared = r->accepted;
	print_message("checks in a second for one service %u, for three %u\n", alone, shared);
	assert_in_range(alone, 5, 12);
	assert_in_range(shared, 5, 13);
	for (uint32_t i = 0; i < SERVICES; i++)
		assert_int_equal(load_table_server(r->table, i)->state, SERVER_UP);

	/* the port closes: who falls at the first failure is down before the others */
	loop_fd_free(r->accepting);
	r->accepting = NULL;
	close(r->listener);
	r->listener = -1;
	while (load_table_server(r->table, 1)->state == SERVER_UP)
		run_for(r, 5);
	assert_int_equal(load_table_server(r->table, 0)->state, SERVER_UP);
	assert_int_equal(load_table_server(r->table, 2)->state, SERVER_UP);
	run_for(r, 600);
	for (uint32_t i = 0; i < SERVICES; i++)
		assert_int_equal(load_table_server(r->table, i)->state, SERVER_DOWN);
}

/* What is not asked alike is asked by itself. */
static void
test_not_shared(void **state)
{
	struct rig *r = *state;
	uint16_t port = serve(r);

	add_server(r, "127.0.0.1", port);
	r->config.services_count = SERVICES;
	r->services[1].check.timeout = 2;
	assert_int_equal(octets_parse("x", &r->services[2].check.send), 0);
	apply(r);
	run_for(r, 1000);
	assert_in_range(r->accepted, 15, 39);

	/* a reload makes them alike */
	r->services[1].check = r->services[2].check = r->services[0].check;
	apply(r);
	r->accepted = 0;
	run_for(r, 1000);
	assert_in_range(r->accepted, 5, 13);

	/* and the one who asks leaves: the others are still told */
	r->config.services = &r->services[1];
	r->config.services_count = 1;
	apply(r);
	r->accepted = 0;
	run_for(r, 1000);
	assert_in_range(r->accepted, 5, 13);
}

/* A port of its own: it is asked, and nothing else. */
static void
test_port(void **state)
{
	struct rig *r = *state;
	uint16_t port = serve(r);

	add_server(r, "127.0.0.1", 1);
	r->services[0].check.port = port;
	apply(r);
	run_for(r, 300);
	assert_int_equal(load_table_server(r->table, 0)->state, SERVER_UP);
	r->services[0].check.port = 0;
	r->services[0].check.fall = 1;
	apply(r);
	run_for(r, 300);
	assert_int_equal(load_table_server(r->table, 0)->state, SERVER_DOWN);
}

/* While it is down, and then no longer. */
static void
test_interval_down(void **state)
{
	struct rig *r = *state;
	uint16_t port;
	uint64_t before;

	r->services[0].check.interval = 0.05;
	r->services[0].check.interval_down = 0.4;
	r->services[0].check.rise = 1;
	add_server(r, "127.0.0.1", 1);
	apply(r);
	run_for(r, 200);
	assert_int_equal(load_table_server(r->table, 0)->state, SERVER_DOWN);
	before = checks(r);
	run_for(r, 1000);
	assert_in_range(checks(r) - before, 1, 4);
	port = serve(r);
	r->servers[0].port = port;
	apply(r);
	run_for(r, 200);
	assert_int_equal(load_table_server(r->table, 0)->state, SERVER_UP);
	before = checks(r);
	run_for(r, 1000);
	assert_in_range(checks(r) - before, 8, 24);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_no_storm),
	    TEST(test_shared),
	    TEST(test_not_shared),
	    TEST(test_port),
	    TEST(test_interval_down),
	};

	return cmocka_run_group_tests_name("health_many", tests, NULL, NULL);
}
