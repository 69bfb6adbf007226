#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/resource.h>

#include <fcntl.h>

#include "agent/answers.h"
#include "agent/standing.h"
#include "agent_rig.h"

static struct answers *answers;

static int
setup(void **state)
{
	struct rig *r = rig_new();

	answers = answers_new(r->loop, r->table, &r->counters);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	answers_free(answers);
	rig_free(*state);
	return 0;
}

/* A service with so many servers that take 10 connections each. */
static struct service *
serve(struct rig *r, int servers)
{
	for (int i = 0; i < servers; i++)
		rig_server(r, 0, "10.0.0.1")->max_connections = 10;
	load_table_apply(r->table, &r->config, clock_now());
	return load_table_service(r->table, 0);
}

static void
says(struct rig *r, const char *expected)
{
	struct words words = standing_of(r->table, 0);
	char line[WORDS_LINE];

	words_format(&words, line);
	assert_string_equal(line, expected);
}

/* ---- how a service does ---- */

static void
test_what_is_free(void **state)
{
	struct rig *r = *state;

	serve(r, 2);
	says(r, "up ready 100% maxconn:20\n");
	for (int i = 0; i < 5; i++)
		load_table_server_opened(r->table, 0);
	says(r, "up ready 75% maxconn:20\n");
	for (int i = 0; i < 10; i++)
		load_table_server_opened(r->table, 1);
	says(r, "up ready 25% maxconn:20\n");
	for (int i = 0; i < 5; i++)
		load_table_server_opened(r->table, 0);
	says(r, "up ready 1% maxconn:20\n");
	for (int i = 0; i < 5; i++)
		load_table_server_opened(r->table, 0); /* more than full */
	says(r, "up ready 1% maxconn:20\n");
	load_table_server_set_admin(r->table, 0, SERVER_DRAINING, clock_now());
	says(r, "up ready 1% maxconn:10\n");
	load_table_server_closed(r->table, 1);
	says(r, "up ready 10% maxconn:10\n");
}

static void
test_huge(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 2; i++)
		rig_server(r, 0, "10.0.0.1")->max_connections = UINT32_MAX;
	load_table_apply(r->table, &r->config, clock_now());
	says(r, "up ready 100% maxconn:2147483647\n");
	r->services[0].servers_count = 0;
	rig_server(r, 0, "10.0.0.2");
	load_table_apply(r->table, &r->config, clock_now());
	says(r, "up ready 100% maxconn:64512\n");
}

static void
test_held_back(void **state)
{
	struct rig *r = *state;
	struct server_agent agent = SERVER_AGENT_NONE;
	uint64_t now = clock_now();

	serve(r, 3);
	load_table_server_set_admin(r->table, 0, SERVER_DRAINING, now);
	load_table_server_set_admin(r->table, 1, SERVER_DISABLED, now);
	says(r, "up ready 100% maxconn:10\n");
	load_table_server_set_weight(r->table, 2, 0);
	says(r, "up drain\n");
	load_table_server_set_admin(r->table, 0, SERVER_DISABLED, now);
	says(r, "up drain\n");
	load_table_server_set_weight(r->table, 2, LOAD_NONE);
	agent.drain = true;
	load_table_server_set_agent(r->table, 2, &agent, now);
	says(r, "up drain\n");
	agent.maint = true;
	load_table_server_set_agent(r->table, 2, &agent, now);
	says(r, "maint\n");
	agent = (struct server_agent){.load = -1, .weight = 100, .down = true};
	load_table_server_set_agent(r->table, 2, &agent, now);
	says(r, "down #no server up\n");
}

static void
test_down(void **state)
{
	struct rig *r = *state;
	uint64_t now = clock_now();

	serve(r, 2);
	load_table_server_set_state(r->table, 0, SERVER_DOWN, "x", now);
	load_table_server_set_state(r->table, 1, SERVER_DOWN, "x", now);
	says(r, "down #no server up\n");
	/* one that is down and drained is no server that is held back */
	load_table_server_set_admin(r->table, 0, SERVER_DRAINING, now);
	says(r, "down #no server up\n");
	load_table_server_set_admin(r->table, 0, SERVER_DISABLED, now);
	says(r, "down #no server up\n");
	load_table_server_set_admin(r->table, 1, SERVER_DISABLED, now);
	says(r, "maint\n");
}

static void
test_no_servers(void **state)
{
	struct rig *r = *state;

	serve(r, 0);
	says(r, "down #no server up\n");
}

/* Another site that reports so much load of the service. */
static struct site_service *
other_site(struct rig *r, struct config_peer *peer)
{
	struct site_service *s = calloc(1, sizeof(*s));
	struct site *site;

	peer->site = (char *)"osaka";
	r->config.peers = peer;
	r->config.peers_count = 1;
	load_table_apply(r->table, &r->config, clock_now());
	assert_non_null(s);
	s->name = strdup("web");
	s->protocol = IPPROTO_TCP;
	load_table_site_services(r->table, 0, s, 1);
	load_table_site_session(r->table, 0, SITE_SESSION, clock_now());
	load_table_site_keys(r->table, 0, true, clock_now());
	load_table_site_set_path(r->table, 0, SITE_PATH_ALIVE, clock_now());
	site = load_table_site(r->table, 0);
	s = &site->services[0];
	s->reported = s->permitted = true;
	s->servers_up = 2;
	s->transferable = 100;
	s->load = 400;
	return s;
}

/* Connections are served as long as another site takes them. */
static void
test_elsewhere(void **state)
{
	struct rig *r = *state;
	struct config_peer peer = {0};
	struct site_service *s;

	serve(r, 1);
	s = other_site(r, &peer);
	says(r, "up ready 100% maxconn:10\n");
	load_table_server_set_state(r->table, 0, SERVER_DOWN, "x", clock_now());
	says(r, "up ready 1% #other sites serve\n");
	load_table_service(r->table, 0)->prefer = CONFIG_PREFER_REMOTE;
	says(r, "up ready 60% #other sites serve\n");
	s->load = 1000;
	says(r, "down #no server up\n");
	s->load = 400;
	s->permitted = false;
	says(r, "down #no server up\n");
	s->permitted = true;
	s->servers_up = 0;
	says(r, "down #no server up\n");
	s->servers_up = 1;
	s->reported = false;
	says(r, "down #no server up\n");
	s->reported = true;
	load_table_site_set_path(r->table, 0, SITE_PATH_LOST, clock_now());
	says(r, "down #no server up\n");
}

/* ---- whoever connects ---- */

static void
listen_at(struct rig *r, int service, const char *ip, uint16_t port)
{
	char error[256];

	assert_int_equal(ip_parse(ip, &r->services[service].agent_listen.ip), 0);
	r->services[service].agent_listen.port = port;
	if (answers_open(answers, &r->config, error, sizeof(error)) == -1)
		fail_msg("%s", error);
	load_table_apply(r->table, &r->config, clock_now());
	answers_refresh(answers);
}

/* A port where nobody listens. */
static uint16_t
free_port(const char *ip)
{
	uint16_t port = 0;

	close(rig_socket(ip, &port));
	return port;
}

/* Connected, or -1. */
static int
dial(const char *ip, uint16_t port)
{
	struct addr addr = {.port = port};
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	assert_int_equal(ip_parse(ip, &addr.ip), 0);
	len = addr_to_sockaddr(&addr, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&ss, len) == 0) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		return fd;
	}
	close(fd);
	return -1;
}

/* What came, and that nothing else comes, neither octet nor reset. */
static void
hears(struct rig *r, int fd, const char *expected)
{
	char line[WORDS_LINE] = "";
	size_t len = 0;
	ssize_t n = -1;
	uint64_t end = clock_now() + 3 * CLOCK_SECOND;

	while (n != 0 && clock_now() < end) {
		n = recv(fd, line + len, sizeof(line) - 1 - len, 0);
		if (n == -1)
			assert_int_equal(errno, EAGAIN);
		len += n > 0 ? (size_t)n : 0;
		rig_run(r, 1);
	}
	line[len] = '\0';
	assert_int_equal(n, 0);
	assert_string_equal(line, expected);
}

static void
test_answer(void **state)
{
	struct rig *r = *state;
	uint16_t port = free_port("127.0.0.1");
	int fd;

	serve(r, 2);
	listen_at(r, 0, "127.0.0.1", port);
	fd = dial("127.0.0.1", port);
	hears(r, fd, "up ready 100% maxconn:20\n");
	close(fd);
	load_table_server_set_admin(r->table, 0, SERVER_DRAINING, clock_now());
	load_table_server_set_admin(r->table, 1, SERVER_DRAINING, clock_now());
	fd = dial("127.0.0.1", port);
	/* whatever it says first */
	assert_int_equal(send(fd, "how are you?\n", 13, 0), 13);
	hears(r, fd, "up drain\n");
	assert_int_equal(send(fd, "thank you\n", 10, MSG_NOSIGNAL), 10);
	close(fd);
	assert_int_equal(r->counters.counter[COUNTER_agent_answers], 2);
	assert_int_equal(r->counters.counter[COUNTER_agent_answers_cut], 0);
}

static void
test_v6(void **state)
{
	struct rig *r = *state;
	uint16_t port;
	int fd;

	if (access("/proc/sys/net/ipv6", F_OK) == -1)
		skip();
	port = free_port("::1");
	serve(r, 1);
	listen_at(r, 0, "::1", port);
	fd = dial("::1", port);
	hears(r, fd, "up ready 100% maxconn:10\n");
	close(fd);
}

/* Callers that stay cost others nothing: the oldest ones make room. */
static void
test_slow_callers(void **state)
{
	static int fds[ANSWERS_CALLERS_MAX + 50];
	struct rig *r = *state;
	uint16_t port = free_port("127.0.0.1");
	char buf[64];
	size_t callers = sizeof(fds) / sizeof(fds[0]);

	serve(r, 1);
	listen_at(r, 0, "127.0.0.1", port);
	for (size_t i = 0; i < callers; i++) {
		fds[i] = dial("127.0.0.1", port);
		assert_int_not_equal(fds[i], -1);
		if (i % 32 == 0)
			rig_run(r, 2); /* or the queue would overflow */
	}
	rig_until(r, r->counters.counter[COUNTER_agent_answers] == callers);
	assert_int_equal(r->counters.counter[COUNTER_agent_answers_cut], 50);
	for (size_t i = 0; i < callers; i++) {
		assert_int_equal(recv(fds[i], buf, sizeof(buf), 0), 25);
		assert_memory_equal(buf, "up ready 100% maxconn:10\n", 25);
	}
	/* and those that stay are let go of after a while */
	rig_run(r, 2300);
	assert_int_equal(send(fds[callers - 1], "x", 1, MSG_NOSIGNAL), 1);
	rig_run(r, 20);
	assert_int_equal(send(fds[callers - 1], "x", 1, MSG_NOSIGNAL), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	for (size_t i = 0; i < callers; i++)
		close(fds[i]);
}

/* One that talks without end is cut off. */
static void
test_talker(void **state)
{
	struct rig *r = *state;
	uint16_t port = free_port("127.0.0.1");
	uint64_t start = clock_now();
	char block[4096];
	int fd, n = 0;

	memset(block, 'x', sizeof(block));
	serve(r, 1);
	listen_at(r, 0, "127.0.0.1", port);
	fd = dial("127.0.0.1", port);
	rig_until(r, r->counters.counter[COUNTER_agent_answers] == 1);
	while (n < 1000 && (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0 || errno == EAGAIN)) {
		rig_run(r, 1);
		n++;
	}
	assert_in_range(n, 1, 100);
	assert_true(clock_now() - start < 2 * CLOCK_SECOND);
	close(fd);
}

static void
test_reload(void **state)
{
	struct rig *r = *state;
	uint16_t one = free_port("127.0.0.1"), other = free_port("127.0.0.1");
	char error[256];
	int fd, taken;

	serve(r, 1);
	rig_server(r, 1, "10.0.0.9")->max_connections = 7;
	r->config.services_count = 2;
	listen_at(r, 0, "127.0.0.1", one);
	listen_at(r, 1, "127.0.0.1", other);
	fd = dial("127.0.0.1", other);
	hears(r, fd, "up ready 100% maxconn:7\n");
	close(fd);

	/* the two change places, without a moment in which nobody listens */
	fd = dial("127.0.0.1", other);
	r->services[0].agent_listen.port = other;
	listen_at(r, 1, "127.0.0.1", one);
	hears(r, fd, "up ready 100% maxconn:10\n");
	close(fd);

	/* an address that is taken: nothing changes, not even for the one that could be had */
	taken = rig_socket("127.0.0.2", &one);
	r->services[0].agent_listen.port = free_port("127.0.0.1");
	assert_int_equal(ip_parse("127.0.0.2", &r->services[1].agent_listen.ip), 0);
	assert_int_equal(answers_open(answers, &r->config, error, sizeof(error)), -1);
	assert_non_null(
	    strstr(error, "agent_listen of service mail: cannot listen on 127.0.0.2:"));
	assert_int_equal(dial("127.0.0.1", r->services[0].agent_listen.port), -1);
	fd = dial("127.0.0.1", other);
	hears(r, fd, "up ready 100% maxconn:10\n");
	close(fd);
	close(taken);

	/* one that is wanted no more is closed, a service that goes closes its own */
	r->services[0].agent_listen.port = 0;
	r->config.services_count = 1;
	load_table_apply(r->table, &r->config, clock_now());
	answers_refresh(answers);
	assert_int_equal(dial("127.0.0.1", one), -1);
	assert_int_equal(dial("127.0.0.1", other), -1);
}

/* Without descriptors it waits for some, and burns no time. */
static void
test_no_descriptors(void **state)
{
	struct rig *r = *state;
	uint16_t port = free_port("127.0.0.1");
	struct rlimit limit, none;
	int fd;

	serve(r, 1);
	listen_at(r, 0, "127.0.0.1", port);
	fd = dial("127.0.0.1", port);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rig_run(r, 50);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(r->counters.counter[COUNTER_agent_answers], 0);
	hears(r, fd, "up ready 100% maxconn:10\n");
	close(fd);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_what_is_free),
	    TEST(test_huge),
	    TEST(test_held_back),
	    TEST(test_down),
	    TEST(test_no_servers),
	    TEST(test_elsewhere),
	    TEST(test_answer),
	    TEST(test_v6),
	    TEST(test_slow_callers),
	    TEST(test_talker),
	    TEST(test_reload),
	    TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
