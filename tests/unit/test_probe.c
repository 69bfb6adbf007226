/*
 * Probes over TCP, tcp and http, against servers that behave and that do not, on loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "health/probe.h"

struct rig {
	struct loop *loop;
	struct config_check check;
	struct addr to;
	int listener, client;
	struct loop_fd *accepting, *reading;
	struct loop_timer *next_piece;

	/* what the server does */
	const char *answer; /* NULL: never anything */
	size_t piece;       /* octets at a time; 0: all at once */
	size_t sent;
	bool close_at_once; /* without reading the request */
	bool reset;         /* instead of closing */
	bool stays;         /* open after the answer */
	char request[2000];

	struct probe_result result;
	int calls;
};

static void
on_done(void *arg, const struct probe_result *result, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	r->result = *result;
	r->calls++;
	loop_stop(r->loop);
}

static void
hang_up(struct rig *r)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	loop_fd_free(r->reading);
	r->reading = NULL;
	if (r->reset)
		setsockopt(r->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(r->client);
	r->client = -1;
}

/* Piece by piece; the other side may have seen enough before the last. */
static void
on_next_piece(void *arg, uint64_t now)
{
	struct rig *r = arg;
	size_t left = strlen(r->answer) - r->sent;
	size_t len = r->piece != 0 && r->piece < left ? r->piece : left;

	(void)now;
	if (r->client == -1)
		return;
	if (send(r->client, r->answer + r->sent, len, MSG_NOSIGNAL) == -1 || len == left) {
		if (!r->stays)
			hang_up(r);
		return;
	}
	r->sent += len;
	loop_timer_set(r->next_piece, CLOCK_MILLISECOND);
}

static void
on_request(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;
	size_t used = strlen(r->request);
	ssize_t n = recv(fd, r->request + used, sizeof(r->request) - 1 - used, 0);

	(void)readable;
	(void)writable;
	if (n <= 0) {
		hang_up(r);
		return;
	}
	if (strstr(r->request, "\r\n\r\n") == NULL || r->answer == NULL)
		return;
	r->sent = 0;
	on_next_piece(r, now);
}

static void
on_connection(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;

	(void)readable;
	(void)writable;
	(void)now;
	r->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_not_equal(r->client, -1);
	memset(r->request, 0, sizeof(r->request));
	if (r->close_at_once)
		hang_up(r);
	else
		r->reading = loop_fd_add(r->loop, r->client, true, false, on_request, r);
}

static void
serve(struct rig *r, const char *ip)
{
	struct sockaddr_storage ss;
	socklen_t len;

	r->to.port = 0;
	assert_int_equal(ip_parse(ip, &r->to.ip), 0);
	len = addr_to_sockaddr(&r->to, &ss);
	r->listener = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_not_equal(r->listener, -1);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(r->listener, 10), 0);
	assert_int_equal(getsockname(r->listener, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &r->to), 0);
	r->accepting = loop_fd_add(r->loop, r->listener, true, false, on_connection, r);
}

static void
stop_serving(struct rig *r)
{
	loop_fd_free(r->accepting);
	r->accepting = NULL;
	if (r->listener != -1)
		close(r->listener);
	r->listener = -1;
	if (r->client != -1)
		hang_up(r);
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.listener = r.client = -1;
	r.loop = loop_new();
	r.next_piece = loop_timer_new(r.loop, on_next_piece, &r);
	r.check = (struct config_check){.type = CONFIG_CHECK_HTTP, .timeout = 5};
	strcpy(r.check.path, "/health?x=1");
	assert_int_equal(statuses_parse("200-299", &r.check.status), 0);
	serve(&r, "127.0.0.1");
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	stop_serving(r);
	loop_timer_free(r->next_piece);
	loop_free(r->loop);
	return 0;
}

static struct probe *
start(struct rig *r)
{
	struct probe_request request = {
	    .loop = r->loop, .to = r->to, .check = &r->check, .done = on_done, .arg = r};

	r->calls = 0;
	return probe_start(&request);
}

static void
probe(struct rig *r, enum health_cause cause, unsigned status)
{
	start(r);
	assert_int_equal(r->calls, 0); /* not from within */
	loop_run(r->loop);
	assert_int_equal(r->calls, 1);
	assert_string_equal(health_cause_text(r->result.cause), health_cause_text(cause));
	assert_int_equal(r->result.status, status);
}

/* Everything as at the beginning. */
static void
again(struct rig *r)
{
	void *state = r;

	teardown(&state);
	setup(&state);
}

static void
test_tcp(void **state)
{
	struct rig *r = *state;
	int peer;
	char octet;

	r->check.type = CONFIG_CHECK_TCP;
	loop_fd_free(r->accepting);
	r->accepting = NULL;
	probe(r, HEALTH_none, 0);
	/* It left with a RST: no TIME_WAIT. */
	peer = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_not_equal(peer, -1);
	assert_int_equal(read(peer, &octet, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(peer);
}

static void
test_refused(void **state)
{
	struct rig *r = *state;

	r->check.type = CONFIG_CHECK_TCP;
	stop_serving(r);
	probe(r, HEALTH_refused, 0);
	again(r);
	stop_serving(r);
	probe(r, HEALTH_refused, 0);
}

/* What fails at once is told later, and once. */
static void
test_fails_at_once(void **state)
{
	struct rig *r = *state;

	r->check.type = CONFIG_CHECK_TCP;
	stop_serving(r);
	assert_int_equal(ip_parse("255.255.255.255", &r->to.ip), 0);
	start(r);
	assert_int_equal(r->calls, 0);
	loop_run(r->loop);
	assert_int_equal(r->calls, 1);
	assert_int_not_equal(r->result.cause, HEALTH_none);
	loop_run(r->loop); /* nothing is left of it */
	assert_int_equal(r->calls, 1);
}

static void
test_cancel(void **state)
{
	struct rig *r = *state;
	struct probe *p = start(r);

	probe_cancel(p);
	probe_cancel(NULL);
	stop_serving(r);
	loop_run(r->loop);
	assert_int_equal(r->calls, 0);
}

/* A server whose queue is full accepts nobody. */
static void
test_timeout_connecting(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&r->to, &ss);
	int filler[4];

	loop_fd_free(r->accepting);
	r->accepting = NULL;
	assert_int_equal(listen(r->listener, 0), 0);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_not_equal(filler[i], -1);
		if (connect(filler[i], (struct sockaddr *)&ss, len) == -1)
			assert_int_equal(errno, EINPROGRESS);
	}
	r->check.timeout = 0.1;
	probe(r, HEALTH_timeout, 0);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
}

static void
test_http(void **state)
{
	struct rig *r = *state;
	char wanted[500];

	r->answer = "HTTP/1.1 204 No Content\r\n\r\n";
	probe(r, HEALTH_none, 204);
	snprintf(wanted, sizeof(wanted),
	    "GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: wlad\r\n"
	    "Accept: */*\r\nConnection: close\r\n\r\n",
	    r->to.port);
	assert_string_equal(r->request, wanted);
}

static void
test_http_host(void **state)
{
	struct rig *r = *state;

	strcpy(r->check.host, "www.example.net");
	r->answer = "HTTP/1.1 200 OK\r\n\r\n";
	probe(r, HEALTH_none, 200);
	assert_non_null(strstr(r->request, "\r\nHost: www.example.net\r\n"));
}

/* The longest that a configuration can hold arrives whole. */
static void
test_http_longest_request(void **state)
{
	struct rig *r = *state;

	memset(r->check.path, 'p', CONFIG_CHECK_TEXT - 1);
	r->check.path[0] = '/';
	memset(r->check.host, 'h', CONFIG_CHECK_TEXT - 1);
	r->answer = "HTTP/1.1 200 OK\r\n\r\n";
	probe(r, HEALTH_none, 200);
	assert_non_null(strstr(r->request, r->check.path));
	assert_non_null(strstr(r->request, r->check.host));
	assert_non_null(strstr(r->request, "Connection: close\r\n\r\n"));
}

static void
test_http_v6(void **state)
{
	struct rig *r = *state;
	char wanted[100];

	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	stop_serving(r);
	serve(r, "::1");
	r->answer = "HTTP/1.1 200 OK\r\n\r\n";
	probe(r, HEALTH_none, 200);
	snprintf(wanted, sizeof(wanted), "\r\nHost: [::1]:%u\r\n", r->to.port);
	assert_non_null(strstr(r->request, wanted));
}

static void
test_http_not_accepted(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
	probe(r, HEALTH_status, 503);
	again(r);
	r->answer = "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n";
	probe(r, HEALTH_status, 302);
	again(r);
	assert_int_equal(statuses_parse("503", &r->check.status), 0);
	r->answer = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
	probe(r, HEALTH_none, 503);
}

static void
test_http_in_pieces(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
	r->piece = 1;
	probe(r, HEALTH_none, 200);
}

/* It need not end: the status is enough. */
static void
test_http_stays_open(void **state)
{
	struct rig *r = *state;

	r->answer = "HTTP/1.1 200 ";
	r->stays = true;
	probe(r, HEALTH_none, 200);
}

static void
test_http_silent(void **state)
{
	struct rig *r = *state;

	r->check.timeout = 0.1;
	probe(r, HEALTH_silent, 0);
	assert_true(strlen(r->request) > 0); /* it was asked */
	again(r);
	r->check.timeout = 0.1;
	r->answer = "HTTP/1.1 20";
	r->stays = true;
	probe(r, HEALTH_silent, 0);
}

static void
test_http_closed(void **state)
{
	struct rig *r = *state;

	r->answer = "";
	probe(r, HEALTH_closed, 0);
	again(r);
	r->answer = "HTTP/1.1 200"; /* where the next digit or blank is missing */
	probe(r, HEALTH_closed, 0);
	again(r);
	r->answer = "HTTP/1.1 100 Continue\r\n\r\n";
	probe(r, HEALTH_closed, 0);
}

static void
test_http_reset(void **state)
{
	struct rig *r = *state;

	r->answer = "";
	r->reset = true;
	probe(r, HEALTH_reset, 0);
	again(r);
	r->close_at_once = r->reset = true;
	probe(r, HEALTH_reset, 0);
}

static void
test_http_not_http(void **state)
{
	struct rig *r = *state;

	r->answer = "SSH-2.0-OpenSSH_9.2\r\n";
	r->stays = true;
	probe(r, HEALTH_not_http, 0);
	again(r);
	r->answer = "HTTP/2.0 200 OK\r\n\r\n";
	probe(r, HEALTH_not_http, 0);
}

/* An answer without an end is not read for ever. */
static void
test_http_endless(void **state)
{
	struct rig *r = *state;
	static char endless[40000];

	memset(endless, 'x', sizeof(endless) - 1);
	memcpy(endless, "HTTP/1.1 100 Continue\r\nA: ", 26);
	r->answer = endless;
	r->stays = true;
	probe(r, HEALTH_not_http, 0);
}

static void
test_cause_of_errno(void **state)
{
	(void)state;
	assert_int_equal(probe_cause(0), HEALTH_none);
	assert_int_equal(probe_cause(ECONNREFUSED), HEALTH_refused);
	assert_int_equal(probe_cause(ETIMEDOUT), HEALTH_timeout);
	assert_int_equal(probe_cause(EHOSTUNREACH), HEALTH_unreachable);
	assert_int_equal(probe_cause(ENETUNREACH), HEALTH_unreachable);
	assert_int_equal(probe_cause(ECONNRESET), HEALTH_reset);
	assert_int_equal(probe_cause(EMFILE), HEALTH_local);
	assert_int_equal(probe_cause(EADDRNOTAVAIL), HEALTH_local);
	assert_int_equal(probe_cause(EPROTO), HEALTH_other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_tcp),
	    TEST(test_refused),
	    TEST(test_fails_at_once),
	    TEST(test_cancel),
	    TEST(test_timeout_connecting),
	    TEST(test_http),
	    TEST(test_http_host),
	    TEST(test_http_longest_request),
	    TEST(test_http_v6),
	    TEST(test_http_not_accepted),
	    TEST(test_http_in_pieces),
	    TEST(test_http_stays_open),
	    TEST(test_http_silent),
	    TEST(test_http_closed),
	    TEST(test_http_reset),
	    TEST(test_http_not_http),
	    TEST(test_http_endless),
	    TEST(test_cause_of_errno),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
