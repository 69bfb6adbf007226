/*
 * manager: what systemd is told while the daemon runs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/manager.h"

struct rig {
	int fd;
	char path[80];
	struct loop *loop;
	struct load_table *table;
	struct notify *notify;
	struct manager *manager;
	struct loop_timer *end;
	uint16_t port;
	struct config_server servers[3];
	struct config_service service;
	struct config_peer peer;
	struct config config;
};

static void
on_end(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	loop_stop(r->loop);
}

static int
setup(void **state)
{
	static struct rig r;
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memset(&r, 0, sizeof(r));
	snprintf(r.path, sizeof(r.path), "/tmp/wlad-manager-%d", (int)getpid());
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", r.path);
	r.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_not_equal(r.fd, -1);
	assert_int_equal(bind(r.fd, (struct sockaddr *)&un, sizeof(un)), 0);
	setenv("NOTIFY_SOCKET", r.path, 1);
	unsetenv("WATCHDOG_USEC");
	r.loop = loop_new();
	r.end = loop_timer_new(r.loop, on_end, &r);
	r.table = load_table_new();
	r.port = 80;
	r.service = (struct config_service){.name = (char *)"web",
	    .protocol = IPPROTO_TCP,
	    .ports = &r.port,
	    .ports_count = 1,
	    .high_load = 0.75,
	    .servers = r.servers,
	    .servers_count = 3};
	r.service.check.type = CONFIG_CHECK_TCP;
	for (int i = 0; i < 3; i++) {
		char ip[20];

		r.servers[i].name = (char *)(i == 0 ? "a" : i == 1 ? "b" : "c");
		snprintf(ip, sizeof(ip), "10.1.0.%d", 11 + i);
		assert_int_equal(ip_parse(ip, &r.servers[i].v4), 0);
		r.servers[i].weight = 1;
	}
	r.config.services = &r.service;
	r.config.services_count = 1;
	load_table_apply(r.table, &r.config, clock_now());
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	manager_free(r->manager);
	manager_free(NULL);
	notify_close(r->notify);
	load_table_free(r->table);
	loop_timer_free(r->end);
	loop_free(r->loop);
	close(r->fd);
	unlink(r->path);
	return 0;
}

static void
begin(struct rig *r)
{
	r->notify = notify_open();
	r->manager = manager_new(r->loop, r->table, r->notify);
}

static void
run_for(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->end, ms * CLOCK_MILLISECOND);
	loop_run(r->loop);
}

/* How many of these were told; the last other message in *other. */
static int
count(struct rig *r, const char *message, char other[200])
{
	char buf[600];
	ssize_t n;
	int found = 0;

	other[0] = '\0';
	while ((n = recv(r->fd, buf, sizeof(buf) - 1, 0)) != -1) {
		buf[n] = '\0';
		if (strcmp(buf, message) == 0)
			found++;
		else
			snprintf(other, 200, "%.199s", buf);
	}
	return found;
}

static void
up(struct rig *r, uint32_t server, bool is_up)
{
	load_table_server_set_state(
	    r->table, server, is_up ? SERVER_UP : SERVER_DOWN, NULL, clock_now());
	manager_changed(r->manager);
}

static void
test_status_text(void **state)
{
	struct rig *r = *state;
	char text[200];

	assert_string_equal(manager_status(r->table, text, sizeof(text)), "0 of 3 servers up");
	load_table_server_set_state(r->table, 1, SERVER_UP, NULL, clock_now());
	assert_string_equal(manager_status(r->table, text, sizeof(text)), "1 of 3 servers up");

	r->peer.site = (char *)"osaka";
	r->config.peers = &r->peer;
	r->config.peers_count = 1;
	r->service.servers_count = 2; /* one leaves */
	load_table_apply(r->table, &r->config, clock_now());
	assert_string_equal(
	    manager_status(r->table, text, sizeof(text)), "1 of 2 servers up, 0 of 1 sites up");

	r->config.services_count = 0;
	r->config.peers_count = 0;
	load_table_apply(r->table, &r->config, clock_now());
	assert_string_equal(manager_status(r->table, text, sizeof(text)), "0 of 0 servers up");
	assert_string_equal(manager_status(r->table, text, 5), "0 of");
}

static void
test_first_status(void **state)
{
	struct rig *r = *state;
	char other[200];

	begin(r);
	run_for(r, 30);
	assert_int_equal(count(r, "STATUS=0 of 3 servers up", other), 1);
	assert_string_equal(other, "");
	/* nothing changes, nothing is told */
	run_for(r, 100);
	assert_int_equal(count(r, "STATUS=0 of 3 servers up", other), 0);
	assert_string_equal(other, "");
}

/* A thousand changes are one message, and it holds the last of them. */
static void
test_many_changes(void **state)
{
	struct rig *r = *state;
	char other[200];

	begin(r);
	run_for(r, 30);
	count(r, "", other);
	for (int i = 0; i < 1001; i++)
		up(r, 0, i % 2 == 0);
	run_for(r, 1100);
	assert_int_equal(count(r, "STATUS=1 of 3 servers up", other), 1);
	assert_string_equal(other, "");
	/* later than a second after the last one: at once */
	run_for(r, 1100);
	up(r, 1, true);
	run_for(r, 30);
	assert_int_equal(count(r, "STATUS=2 of 3 servers up", other), 1);
}

static void
test_watchdog(void **state)
{
	struct rig *r = *state;
	char other[200];

	setenv("WATCHDOG_USEC", "90000", 1);
	begin(r);
	run_for(r, 20);
	assert_int_equal(count(r, "WATCHDOG=1", other), 1); /* the first at once */
	run_for(r, 300);
	assert_in_range(count(r, "WATCHDOG=1", other), 4, 11); /* then every 30 ms */
}

static void
test_no_watchdog(void **state)
{
	struct rig *r = *state;
	char other[200];

	begin(r);
	run_for(r, 200);
	assert_int_equal(count(r, "WATCHDOG=1", other), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_status_text),
	    TEST(test_first_status),
	    TEST(test_many_changes),
	    TEST(test_watchdog),
	    TEST(test_no_watchdog),
	};

	return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
