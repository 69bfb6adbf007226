#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "health/health.h"
#include "health/probe.h"

/* Nothing here may take longer. */
#define PATIENCE (5 * CLOCK_SECOND)

#define SERVERS_MAX 1100

struct rig {
	struct loop *loop;
	struct load_table *table;
	struct health *health;
	struct counters counters;
	struct random random;
	struct loop_timer *patience;

	struct config config;
	struct config_service service;
	struct config_server servers[SERVERS_MAX];
	char names[SERVERS_MAX][16];
	uint16_t port; /* of the service */

	int changes, changes_wanted; /* the loop stops at so many */
	bool impatient;

	char log[2000];
};

static void
keep_log(void *arg, enum log_level level, const char *line)
{
	struct rig *r = arg;
	size_t used = strlen(r->log);

	(void)level;
	snprintf(r->log + used, sizeof(r->log) - used, "%s\n", line);
}

static void
on_change(void *arg, enum load_change change, uint32_t number)
{
	struct rig *r = arg;

	(void)number;
	if (change == LOAD_CHANGE_SERVER && ++r->changes == r->changes_wanted)
		loop_stop(r->loop);
}

static void
on_patience(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	r->impatient = true;
	loop_stop(r->loop);
}

/* A socket at a loopback address, listening or not; its port in *port (0 on entry: any). */
static int
open_socket(const char *ip, uint16_t *port, int backlog)
{
	struct addr addr = {.port = *port};
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, on = 1;

	assert_int_equal(ip_parse(ip, &addr.ip), 0);
	len = addr_to_sockaddr(&addr, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_not_equal(fd, -1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &addr), 0);
	*port = addr.port;
	return fd;
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.loop = loop_new();
	r.table = load_table_new();
	load_table_set_listener(r.table, on_change, &r);
	random_init(&r.random, 1);
	r.patience = loop_timer_new(r.loop, on_patience, &r);
	r.service.name = (char *)"web";
	r.service.protocol = IPPROTO_TCP;
	r.service.ports = &r.port;
	r.service.ports_count = 1;
	r.service.high_load = 0.75;
	r.service.check = (struct config_check){
	    .type = CONFIG_CHECK_TCP, .interval = 0.05, .timeout = 0.05, .rise = 2, .fall = 3};
	r.service.servers = r.servers;
	assert_int_equal(ip_parse("203.0.113.10", &r.service.v4), 0);
	r.config.services = &r.service;
	r.config.services_count = 1;
	log_set_level(LOG_LEVEL_ERROR);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	health_free(r->health);
	load_table_free(r->table);
	loop_timer_free(r->patience);
	loop_free(r->loop);
	log_set_hook(NULL, NULL);
	return 0;
}

static void
add_server(struct rig *r, const char *name, const char *ip, uint16_t port)
{
	struct config_server *s = &r->servers[r->service.servers_count++];
	struct ip parsed;

	assert_int_equal(ip_parse(ip, &parsed), 0);
	memset(s, 0, sizeof(*s));
	s->name = (char *)name;
	if (ip_is_v4(&parsed))
		s->v4 = parsed;
	else
		s->v6 = parsed;
	s->port = port;
	s->weight = 1;
}

static void
apply(struct rig *r)
{
	r->port = r->port == 0 ? 80 : r->port;
	load_table_apply(r->table, &r->config, clock_now());
	if (r->health == NULL)
		r->health = health_new(r->loop, r->table, &r->counters, &r->random);
	else
		health_refresh(r->health);
}

/* Runs until so many servers have changed. */
static void
run_changes(struct rig *r, int changes)
{
	r->changes = 0;
	r->changes_wanted = changes;
	loop_timer_set(r->patience, PATIENCE);
	loop_run(r->loop);
	loop_timer_cancel(r->patience);
	assert_false(r->impatient);
	r->changes_wanted = 0;
}

/* Runs for so many milliseconds. */
static void
run_for(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->patience, ms * CLOCK_MILLISECOND);
	loop_run(r->loop);
	assert_true(r->impatient);
	r->impatient = false;
}

static struct server *
server(struct rig *r, uint32_t number)
{
	return load_table_server(r->table, number);
}

static void
test_up(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = open_socket("127.0.0.1", &port, 10);
	uint64_t start = clock_now();

	add_server(r, "a", "127.0.0.1", port);
	log_set_level(LOG_LEVEL_INFO);
	log_set_hook(keep_log, r);
	apply(r);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "not checked yet");
	run_changes(r, 1);
	assert_true(clock_now() - start < CLOCK_SECOND);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_null(server(r, 0)->why);
	assert_int_equal(r->counters.counter[COUNTER_checks_passed], 1);
	assert_int_equal(r->counters.counter[COUNTER_checks_failed], 0);
	assert_string_equal(r->log, "server up service=web server=a\n");
	close(fd);
}

static void
test_service_port_and_v6(void **state)
{
	struct rig *r = *state;
	int fd4 = open_socket("127.0.0.1", &r->port, 10), fd6;

	add_server(r, "a", "127.0.0.1", 0); /* 0: the service's first port */
	add_server(r, "b", "::1", 0);
	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	fd6 = open_socket("::1", &r->port, 10);
	apply(r);
	run_changes(r, 2);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_int_equal(server(r, 1)->state, SERVER_UP);
	close(fd4);
	close(fd6);
}

static void
test_down_and_up_again(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = open_socket("127.0.0.1", &port, 100);
	uint64_t passed, failed;

	add_server(r, "a", "127.0.0.1", port);
	apply(r);
	run_changes(r, 1);
	log_set_level(LOG_LEVEL_INFO);
	log_set_hook(keep_log, r);

	close(fd);
	failed = r->counters.counter[COUNTER_checks_failed];
	run_changes(r, 1);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "connection refused");
	/* three refused ones, not fewer */
	assert_int_equal(r->counters.counter[COUNTER_checks_failed] - failed, 3);

	fd = open_socket("127.0.0.1", &port, 100);
	passed = r->counters.counter[COUNTER_checks_passed];
	run_changes(r, 1);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_null(server(r, 0)->why);
	assert_int_equal(r->counters.counter[COUNTER_checks_passed] - passed, 2);
	assert_string_equal(r->log,
	    "server down service=web server=a address=127.0.0.1 cause=\"connection refused\"\n"
	    "server up service=web server=a\n");
	close(fd);
}

/* A server that accepts nobody: its queue is full, SYNs are dropped. */
static int
open_full_listener(const char *ip, uint16_t *port, int filler[4])
{
	int fd = open_socket(ip, port, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(*port)};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(filler[i], (struct sockaddr *)&to, sizeof(to)) == -1)
			assert_int_equal(errno, EINPROGRESS);
	}
	return fd;
}

static void
test_timeout(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int filler[4], fd = open_full_listener("127.0.0.1", &port, filler);

	add_server(r, "a", "127.0.0.1", port);
	apply(r);
	run_for(r, 400);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "no answer in time");
	assert_true(r->counters.counter[COUNTER_checks_failed] >= 1);
	assert_int_equal(r->counters.counter[COUNTER_checks_passed], 0);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(fd);
}

/* Still down, but for another reason: the table says the last one. */
static void
test_cause_follows(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int filler[4], fd = open_full_listener("127.0.0.1", &port, filler);

	add_server(r, "a", "127.0.0.1", port);
	apply(r);
	run_for(r, 400);
	assert_string_equal(server(r, 0)->why, "no answer in time");
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(fd);
	run_for(r, 300);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "connection refused");
}

static void
test_unreachable(void **state)
{
	struct rig *r = *state;

	/* Nothing but loopback addresses is allowed in a test: this one has no route anywhere. */
	add_server(r, "a", "::ffff:255.255.255.255", 80);
	apply(r);
	run_for(r, 300);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_not_equal(server(r, 0)->why, "not checked yet");
	assert_string_not_equal(server(r, 0)->why, "no socket for the check");
	assert_true(r->counters.counter[COUNTER_checks_failed] >= 1);
}

static void
test_interval(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = open_socket("127.0.0.1", &port, 100);

	add_server(r, "a", "127.0.0.1", port);
	apply(r);
	run_for(r, 500);
	/* 10 intervals of 50 ms, each 10 % longer or shorter, less a slow machine's share. */
	assert_in_range(r->counters.counter[COUNTER_checks_passed], 4, 12);
	close(fd);
}

static void
test_no_check(void **state)
{
	struct rig *r = *state;

	r->service.check.type = CONFIG_CHECK_NONE;
	add_server(r, "a", "192.0.2.1", 80);
	apply(r);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_null(server(r, 0)->why);
	loop_run(r->loop); /* nothing to wait for: returns */
	assert_int_equal(r->counters.counter[COUNTER_checks_failed], 0);
}

static void
test_reload(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0, dead = 0;
	int fd = open_socket("127.0.0.1", &port, 100);
	int dead_fd = open_socket("127.0.0.1", &dead, -1);
	uint64_t checks;

	add_server(r, "a", "127.0.0.1", port);
	apply(r);
	run_changes(r, 1);

	/* A second one joins; the first keeps its state. */
	add_server(r, "b", "127.0.0.1", dead);
	apply(r);
	run_for(r, 300);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_int_equal(server(r, 1)->state, SERVER_DOWN);
	assert_string_equal(server(r, 1)->why, "connection refused");

	/* Checks end with the word "none"; who was down counts as up. */
	r->service.check.type = CONFIG_CHECK_NONE;
	apply(r);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_int_equal(server(r, 1)->state, SERVER_UP);

	/* And begin again: the first result decides. */
	r->service.check.type = CONFIG_CHECK_TCP;
	apply(r);
	assert_int_equal(server(r, 1)->state, SERVER_UP);
	run_changes(r, 1);
	assert_int_equal(server(r, 1)->state, SERVER_DOWN);

	/* No servers any more: no checks. */
	r->service.servers_count = 0;
	apply(r);
	checks = r->counters.counter[COUNTER_checks_passed] +
	    r->counters.counter[COUNTER_checks_failed];
	loop_run(r->loop);
	assert_int_equal(r->counters.counter[COUNTER_checks_passed] +
		r->counters.counter[COUNTER_checks_failed],
	    checks);
	close(fd);
	close(dead_fd);
}

/* Out of descriptors: that is our fault, and no server goes down for it. */
static void
test_no_socket(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = open_socket("127.0.0.1", &port, 100);
	struct rlimit before, few;
	int used[64], count = 0;
	uint64_t failed;

	add_server(r, "a", "127.0.0.1", port);
	apply(r);
	run_changes(r, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (count < 64 && (used[count] = dup(fd)) != -1)
		count++;
	failed = r->counters.counter[COUNTER_checks_failed];
	add_server(r, "b", "127.0.0.1", port);
	apply(r);
	run_for(r, 400);
	while (count > 0)
		close(used[--count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(r->counters.counter[COUNTER_checks_failed] > failed + 3);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_null(server(r, 0)->why);
	/* Of the new one nothing is known but why. */
	assert_int_equal(server(r, 1)->state, SERVER_DOWN);
	assert_string_equal(server(r, 1)->why, "no socket for the check");
	run_changes(r, 1);
	assert_int_equal(server(r, 1)->state, SERVER_UP);
	close(fd);
}

static int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* 1100 servers of which none answers: 1024 wait at a time, the others have their turn. */
static void
test_in_flight_max(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int filler[4], fd = open_full_listener("0.0.0.0", &port, filler), before, own, now;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	before = open_descriptors();
	if (limit.rlim_cur < 1200 || before == -1) {
		print_message("cannot have or count so many descriptors\n");
		skip();
	}
	r->service.check.timeout = 0.5;
	r->service.check.interval = 0.5;
	for (int i = 0; i < SERVERS_MAX; i++) {
		char ip[IP_TEXT];

		snprintf(r->names[i], sizeof(r->names[i]), "s%d", i);
		snprintf(ip, sizeof(ip), "127.0.%d.%d", 1 + i / 250, 1 + i % 250);
		add_server(r, r->names[i], ip, port);
	}
	apply(r);
	own = open_descriptors() - before; /* those for ICMP, where they may be had */
	assert_in_range(own, 0, 2);
	run_for(r, 400);
	now = open_descriptors();
	assert_int_equal(now - before - own, 1024);
	assert_int_equal(r->counters.counter[COUNTER_checks_failed], 0);
	run_for(r, 800);
	for (uint32_t i = 0; i < SERVERS_MAX; i++)
		assert_string_equal(server(r, i)->why, "no answer in time");
	health_free(r->health);
	r->health = NULL;
	assert_int_equal(open_descriptors(), before);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(fd);
}

/* Both families are asked, and each is enough to be down. */
static void
test_two_addresses(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd4 = open_socket("127.0.0.1", &port, 100), fd6;

	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	add_server(r, "a", "127.0.0.1", port);
	assert_int_equal(ip_parse("::1", &r->servers[0].v6), 0);
	assert_int_equal(ip_parse("2001:db8::10", &r->service.v6), 0);
	log_set_level(LOG_LEVEL_INFO);
	log_set_hook(keep_log, r);
	apply(r);
	run_for(r, 300);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "connection refused");

	fd6 = open_socket("::1", &port, 100);
	run_changes(r, 1);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	close(fd4);
	run_changes(r, 1);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(r->log,
	    "server down service=web server=a address=::1 cause=\"connection refused\"\n"
	    "server up service=web server=a\n"
	    "server down service=web server=a address=127.0.0.1 "
	    "cause=\"connection refused\"\n");

	/* The service gives up IPv4: nobody comes that way any more. */
	memset(&r->service.v4, 0, sizeof(r->service.v4));
	apply(r);
	run_changes(r, 1);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	close(fd6);
}

/* A check is one result, however many addresses it asks. */
static void
test_two_addresses_count_once(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd4 = open_socket("127.0.0.1", &port, 100), fd6;

	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	fd6 = open_socket("::1", &port, 100);
	add_server(r, "a", "127.0.0.1", port);
	assert_int_equal(ip_parse("::1", &r->servers[0].v6), 0);
	assert_int_equal(ip_parse("2001:db8::10", &r->service.v6), 0);
	apply(r);
	run_changes(r, 1);
	assert_int_equal(r->counters.counter[COUNTER_checks_passed], 1);
	run_for(r, 500);
	assert_in_range(r->counters.counter[COUNTER_checks_passed], 4, 12);
	close(fd4);
	close(fd6);
}

/* Answers whoever connects, once a check has come. */
struct answer {
	struct loop_fd *watch;
	const char *text;
};

static void
on_client(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct answer *answer = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)readable;
	(void)writable;
	(void)now;
	assert_int_not_equal(client, -1);
	assert_int_equal(
	    write(client, answer->text, strlen(answer->text)), (ssize_t)strlen(answer->text));
	close(client);
}

static void
test_http_status_in_log(void **state)
{
	struct rig *r = *state;
	struct answer answer = {.text = "HTTP/1.1 503 Busy\r\n\r\n"};
	uint16_t port = 0;
	int fd = open_socket("127.0.0.1", &port, 100);

	answer.watch = loop_fd_add(r->loop, fd, true, false, on_client, &answer);
	r->service.check.type = CONFIG_CHECK_HTTP;
	snprintf(r->service.check.path, sizeof(r->service.check.path), "/");
	assert_int_equal(statuses_parse("200", &r->service.check.status), 0);
	add_server(r, "a", "127.0.0.1", port);
	log_set_level(LOG_LEVEL_INFO);
	log_set_hook(keep_log, r);
	apply(r);
	run_for(r, 300);
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "HTTP status not accepted");
	answer.text = "HTTP/1.0 200 OK\r\n\r\n";
	run_changes(r, 1);
	assert_int_equal(server(r, 0)->state, SERVER_UP);
	assert_string_equal(r->log,
	    "server down service=web server=a address=127.0.0.1 "
	    "cause=\"HTTP status not accepted\" status=503\n"
	    "server up service=web server=a status=200\n");
	loop_fd_free(answer.watch);
	close(fd);
}

/* Whether there are sockets for ICMP depends on who we are; the sentence, on the checks. */
static void
test_sockets(void **state)
{
	struct rig *r = *state;
	char error[200] = "";
	int got;

	add_server(r, "a", "127.0.0.1", 80);
	apply(r);
	assert_int_equal(health_sockets(r->health, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	r->service.check.type = CONFIG_CHECK_ICMP;
	apply(r);
	got = health_sockets(r->health, error, sizeof(error));
	if (got == -1)
		assert_non_null(strstr(error, "of type icmp of service web: "));
	else
		assert_string_equal(error, "");
	r->service.servers_count = 0;
	apply(r);
	assert_int_equal(health_sockets(r->health, error, sizeof(error)), 0);
}

static void
test_cause_texts(void **state)
{
	(void)state;
	for (int i = 0; i < HEALTH_CAUSE_COUNT; i++)
		assert_true(strlen(health_cause_text((enum health_cause)i)) > 5);
	assert_string_equal(health_cause_text(HEALTH_refused), "connection refused");
	assert_string_equal(health_cause_text((enum health_cause)99), "connection failed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_up),
	    TEST(test_service_port_and_v6),
	    TEST(test_down_and_up_again),
	    TEST(test_timeout),
	    TEST(test_cause_follows),
	    TEST(test_unreachable),
	    TEST(test_interval),
	    TEST(test_no_check),
	    TEST(test_reload),
	    TEST(test_no_socket),
	    TEST(test_in_flight_max),
	    TEST(test_two_addresses),
	    TEST(test_two_addresses_count_once),
	    TEST(test_http_status_in_log),
	    TEST(test_sockets),
	    TEST(test_cause_texts),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
