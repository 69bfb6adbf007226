/*
 * Probes by UDP, udp and dns, against servers that behave and that do not, on loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "health/dns_message.h"
#include "health/probe.h"

#define ANSWERS_MAX 40

struct rig {
	struct loop *loop;
	struct config_check check;
	struct addr to;
	int fd;
	struct loop_fd *watch;

	/* what the server does */
	const char *answers[ANSWERS_MAX]; /* one after another */
	bool dns;                         /* answers queries */
	int rcode;
	bool other_first; /* an answer to another query comes before */
	uint8_t query[600];
	size_t query_len;

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
answer_dns(struct rig *r, const struct sockaddr_storage *from, socklen_t len)
{
	uint8_t answer[600];

	memcpy(answer, r->query, r->query_len);
	answer[2] |= 0x80;
	answer[3] = (uint8_t)r->rcode;
	if (r->other_first) {
		answer[0] ^= 1;
		sendto(r->fd, answer, r->query_len, 0, (const struct sockaddr *)from, len);
		answer[0] ^= 1;
	}
	sendto(r->fd, answer, r->query_len, 0, (const struct sockaddr *)from, len);
}

static void
on_readable(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n;

	(void)readable;
	(void)writable;
	(void)now;
	n = recvfrom(fd, r->query, sizeof(r->query), 0, (struct sockaddr *)&from, &len);
	assert_true(n >= 0);
	r->query_len = (size_t)n;
	if (r->dns)
		answer_dns(r, &from, len);
	for (int i = 0; i < ANSWERS_MAX && r->answers[i] != NULL; i++)
		sendto(
		    fd, r->answers[i], strlen(r->answers[i]), 0, (struct sockaddr *)&from, len);
}

static void
serve(struct rig *r, const char *ip)
{
	struct sockaddr_storage ss;
	socklen_t len;

	r->to.port = 0;
	assert_int_equal(ip_parse(ip, &r->to.ip), 0);
	len = addr_to_sockaddr(&r->to, &ss);
	r->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_not_equal(r->fd, -1);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(r->fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &r->to), 0);
	r->watch = loop_fd_add(r->loop, r->fd, true, false, on_readable, r);
}

static void
stop_serving(struct rig *r)
{
	loop_fd_free(r->watch);
	r->watch = NULL;
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.loop = loop_new();
	r.check = (struct config_check){.type = CONFIG_CHECK_UDP, .timeout = 5};
	assert_int_equal(octets_parse("\\x00hello", &r.check.send), 0);
	assert_int_equal(question_parse("www.example.net AAAA", &r.check.query), 0);
	serve(&r, "127.0.0.1");
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	stop_serving(r);
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

static void
expect(struct rig *r, const char *text)
{
	assert_int_equal(octets_parse(text, &r->check.expect), 0);
}

static void
test_any_answer(void **state)
{
	struct rig *r = *state;

	r->answers[0] = "?";
	probe(r, HEALTH_none, 0);
	assert_int_equal(r->query_len, 6);
	assert_memory_equal(r->query, "\0hello", 6);
}

/* Nothing that is expected, nothing that comes: that passes, and takes the whole timeout. */
static void
test_silence(void **state)
{
	struct rig *r = *state;
	uint64_t start_time = clock_now();

	r->check.timeout = 0.1;
	probe(r, HEALTH_none, 0);
	assert_true(clock_now() - start_time >= 100 * CLOCK_MILLISECOND);
	expect(r, "x");
	probe(r, HEALTH_timeout, 0);
}

static void
test_refused(void **state)
{
	struct rig *r = *state;

	stop_serving(r);
	probe(r, HEALTH_refused, 0);
	expect(r, "x");
	probe(r, HEALTH_refused, 0);
	r->check.type = CONFIG_CHECK_DNS;
	probe(r, HEALTH_refused, 0);
}

static void
test_expect(void **state)
{
	struct rig *r = *state;

	expect(r, "world");
	r->answers[0] = "hello world";
	probe(r, HEALTH_none, 0);
	/* one after others that do not hold it */
	r->answers[0] = "wor";
	r->answers[1] = "ld";
	r->answers[2] = "";
	r->answers[3] = "world";
	probe(r, HEALTH_none, 0);
	/* not across two */
	r->answers[2] = NULL;
	r->check.timeout = 0.1;
	probe(r, HEALTH_unexpected, 0);
}

/* More than are read in one wake-up. */
static void
test_many(void **state)
{
	struct rig *r = *state;

	expect(r, "world");
	for (int i = 0; i < ANSWERS_MAX - 1; i++)
		r->answers[i] = "no";
	r->answers[ANSWERS_MAX - 1] = "world";
	probe(r, HEALTH_none, 0);
}

static void
test_dns(void **state)
{
	struct rig *r = *state;
	uint8_t query[DNS_QUERY_MAX];
	size_t len;

	r->check.type = CONFIG_CHECK_DNS;
	r->dns = true;
	probe(r, HEALTH_none, 0);
	len = dns_message_query(
	    &r->check.query, (uint16_t)(r->query[0] << 8 | r->query[1]), query);
	assert_int_equal(r->query_len, len);
	assert_memory_equal(r->query, query, len);
	r->other_first = true;
	probe(r, HEALTH_none, 0);
	r->rcode = 2;
	probe(r, HEALTH_rcode, 2);
	r->rcode = 3;
	probe(r, HEALTH_rcode, 3);
}

/* The id is another each time, so that nobody answers beforehand. */
static void
test_dns_ids(void **state)
{
	struct rig *r = *state;
	uint16_t ids[4];

	r->check.type = CONFIG_CHECK_DNS;
	r->dns = true;
	for (int i = 0; i < 4; i++) {
		probe(r, HEALTH_none, 0);
		memcpy(&ids[i], r->query, 2);
	}
	assert_false(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] == ids[3]);
}

static void
test_dns_bad(void **state)
{
	struct rig *r = *state;

	r->check.type = CONFIG_CHECK_DNS;
	r->check.timeout = 0.1;
	probe(r, HEALTH_timeout, 0);
	r->answers[0] = "no DNS message at all";
	probe(r, HEALTH_unexpected, 0);
	r->answers[0] = "";
	probe(r, HEALTH_unexpected, 0);
}

static void
test_v6(void **state)
{
	struct rig *r = *state;

	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	stop_serving(r);
	serve(r, "::1");
	r->check.type = CONFIG_CHECK_DNS;
	r->dns = true;
	probe(r, HEALTH_none, 0);
	stop_serving(r);
	probe(r, HEALTH_refused, 0);
}

static void
test_unreachable(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ip_parse("255.255.255.255", &r->to.ip), 0);
	start(r);
	loop_run(r->loop);
	assert_int_not_equal(r->result.cause, HEALTH_none);
}

/* Nothing is told, and nothing is left. */
static void
test_cancel(void **state)
{
	struct rig *r = *state;

	probe_cancel(start(r));
	stop_serving(r);
	loop_run(r->loop);
	assert_int_equal(r->calls, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_any_answer),
	    TEST(test_silence),
	    TEST(test_refused),
	    TEST(test_expect),
	    TEST(test_many),
	    TEST(test_dns),
	    TEST(test_dns_ids),
	    TEST(test_dns_bad),
	    TEST(test_v6),
	    TEST(test_unreachable),
	    TEST(test_cancel),
	};

	return cmocka_run_group_tests_name("probe_udp", tests, NULL, NULL);
}
