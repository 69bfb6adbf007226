/*
 * ICMP probes in a network namespace of their own, where the kernel does not answer echo
 * requests, so that the test can: truly, falsely, or not at all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "health/icmp.h"
#include "health/probe.h"

#define SHORT 0.1 /* timeout of probes that are not answered */
#define LONG  5.0

struct rig {
	struct loop *loop;
	struct icmp *icmp;
	struct config_check check;
	struct loop_timer *patience;
	bool v4;

	/* the host that answers */
	int host;
	struct loop_fd *reading;
	void (*answer)(struct rig *r, uint8_t *message, size_t len);
	struct sockaddr_storage asker;
	socklen_t asker_len;
	unsigned requests;

	struct probe_result result;
	int calls, calls_wanted;
};

static bool usable;

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		usable = false;
	if (fd != -1)
		close(fd);
}

/* Who is not root becomes it in a user namespace, where the system allows that. */
static int
enter_namespace(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == -1)
		return 0;
	usable = true;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || ioctl(fd, SIOCSIFFLAGS, &lo) == -1)
		usable = false;
	if (fd != -1)
		close(fd);
	write_file("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
	write_file("/proc/sys/net/ipv6/icmp/echo_ignore_all", "1");
	return 0;
}

static void
on_patience(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	loop_stop(r->loop);
}

static void
on_request(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;
	uint8_t buf[200], *message = buf + (r->v4 ? 20 : 0);
	ssize_t n;

	(void)readable;
	(void)writable;
	(void)now;
	r->asker_len = sizeof(r->asker);
	n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&r->asker, &r->asker_len);
	if (n < message - buf + 16 || message[0] != (r->v4 ? 8 : 128))
		return;
	r->requests++;
	r->answer(r, message, (size_t)(n - (message - buf)));
}

static void
put_checksum(uint8_t *message, size_t len)
{
	uint32_t sum = 0;

	message[2] = message[3] = 0;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)message[i] << 8 : message[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	message[2] = (uint8_t)(~sum >> 8);
	message[3] = (uint8_t)~sum;
}

static void
send_message(struct rig *r, uint8_t *message, size_t len)
{
	if (r->v4)
		put_checksum(message, len);
	assert_int_equal(
	    sendto(r->host, message, len, 0, (struct sockaddr *)&r->asker, r->asker_len),
	    (ssize_t)len);
}

static void
no_answer(struct rig *r, uint8_t *message, size_t len)
{
	(void)r;
	(void)message;
	(void)len;
}

static void
true_answer(struct rig *r, uint8_t *message, size_t len)
{
	message[0] = r->v4 ? 0 : 129;
	send_message(r, message, len);
}

/* Each octet of id, sequence number and token wrong in turn; shorter, longer; another code. */
static void
false_answers(struct rig *r, uint8_t *message, size_t len)
{
	uint8_t longer[200] = {0};

	message[0] = r->v4 ? 0 : 129;
	for (size_t i = 4; i < len; i++) {
		message[i] ^= 1;
		send_message(r, message, len);
		message[i] ^= 1;
	}
	send_message(r, message, len - 1);
	send_message(r, message, 8);
	memcpy(longer, message, len);
	send_message(r, longer, len + 1);
	message[1] = 1;
	send_message(r, message, len);
	message[1] = 0;
}

static void
false_then_true(struct rig *r, uint8_t *message, size_t len)
{
	false_answers(r, message, len);
	send_message(r, message, len);
}

static void
twice(struct rig *r, uint8_t *message, size_t len)
{
	true_answer(r, message, len);
	send_message(r, message, len);
}

/* A router says so; about another destination than the one that was asked, if wrong. */
static void
say_unreachable(struct rig *r, const uint8_t *request, size_t len, bool wrong)
{
	uint8_t message[8 + 40 + 32] = {r->v4 ? 3 : 1, 1}, *quote = message + 8;
	size_t header = r->v4 ? 20 : 40;

	quote[0] = r->v4 ? 0x45 : 0x60;
	quote[r->v4 ? 9 : 6] = r->v4 ? 1 : 58;
	if (r->v4)
		memcpy(quote + 16, wrong ? "\x7f\0\0\2" : "\x7f\0\0\1", 4);
	else
		quote[24 + 15] = wrong ? 2 : 1;
	memcpy(quote + header, request, len);
	send_message(r, message, 8 + header + len);
}

static void
unreachable(struct rig *r, uint8_t *message, size_t len)
{
	say_unreachable(r, message, len, false);
}

static void
other_unreachable(struct rig *r, uint8_t *message, size_t len)
{
	say_unreachable(r, message, len, true);
}

static void
open_host(struct rig *r, bool v4)
{
	r->v4 = v4;
	r->host = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	assert_int_not_equal(r->host, -1);
	r->reading = loop_fd_add(r->loop, r->host, true, false, on_request, r);
}

static void
close_host(struct rig *r)
{
	loop_fd_free(r->reading);
	r->reading = NULL;
	if (r->host != -1)
		close(r->host);
	r->host = -1;
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.loop = loop_new();
	r.icmp = icmp_new(r.loop);
	r.patience = loop_timer_new(r.loop, on_patience, &r);
	r.check = (struct config_check){.type = CONFIG_CHECK_ICMP, .timeout = SHORT};
	r.host = -1;
	r.answer = no_answer;
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	close_host(r);
	icmp_free(r->icmp);
	loop_timer_free(r->patience);
	loop_free(r->loop);
	return 0;
}

static void
need_namespace(void)
{
	if (!usable) {
		print_message("this system makes no network namespace for us\n");
		skip();
	}
}

static void
on_done(void *arg, const struct probe_result *result, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	r->result = *result;
	if (++r->calls == r->calls_wanted)
		loop_stop(r->loop);
}

static struct probe *
start(struct rig *r, const char *ip)
{
	struct probe_request request = {.loop = r->loop,
	    .icmp = r->icmp,
	    .to = {.port = 80},
	    .check = &r->check,
	    .done = on_done,
	    .arg = r};

	assert_int_equal(ip_parse(ip, &request.to.ip), 0);
	return probe_start(&request);
}

static void
probe(struct rig *r, const char *ip, enum health_cause cause)
{
	r->calls = 0;
	r->calls_wanted = 1;
	start(r, ip);
	assert_int_equal(r->calls, 0); /* not from within */
	loop_timer_set(r->patience, 10 * CLOCK_SECOND);
	loop_run(r->loop);
	loop_timer_cancel(r->patience);
	assert_int_equal(r->calls, 1);
	assert_string_equal(health_cause_text(r->result.cause), health_cause_text(cause));
	assert_int_equal(r->result.status, 0);
}

static void
run_for(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->patience, ms * CLOCK_MILLISECOND);
	loop_run(r->loop);
}

/* Both families, if there is IPv6. */
static void
both(struct rig *r, void (*test)(struct rig *r, const char *ip))
{
	open_host(r, true);
	test(r, "127.0.0.1");
	close_host(r);
	if (access("/proc/sys/net/ipv6", F_OK) == -1)
		return;
	open_host(r, false);
	test(r, "::1");
	close_host(r);
}

static void
answered(struct rig *r, const char *ip)
{
	r->requests = 0;
	r->answer = true_answer;
	r->check.timeout = LONG;
	for (unsigned i = 1; i <= 3; i++) {
		probe(r, ip, HEALTH_none);
		assert_int_equal(r->requests, i);
	}
}

static void
test_answered(void **state)
{
	need_namespace();
	both(*state, answered);
}

static void
unanswered(struct rig *r, const char *ip)
{
	uint64_t before = clock_now();

	r->requests = 0;
	probe(r, ip, HEALTH_timeout);
	assert_int_equal(r->requests, 1);
	assert_true(clock_now() - before >= (uint64_t)(SHORT * CLOCK_SECOND));
}

static void
test_unanswered(void **state)
{
	need_namespace();
	both(*state, unanswered);
}

static void
falsely_answered(struct rig *r, const char *ip)
{
	r->answer = false_answers;
	r->check.timeout = SHORT;
	probe(r, ip, HEALTH_timeout);
	r->answer = false_then_true;
	r->check.timeout = LONG;
	probe(r, ip, HEALTH_none);
}

static void
test_false_answers(void **state)
{
	need_namespace();
	both(*state, falsely_answered);
}

/* The answer of 127.0.0.1 is not one of 127.0.0.2. */
static void
test_wrong_sender(void **state)
{
	struct rig *r = *state;

	need_namespace();
	open_host(r, true);
	r->answer = true_answer; /* leaves with the address that routing gives: 127.0.0.1 */
	probe(r, "127.0.0.2", HEALTH_timeout);
	assert_int_equal(r->requests, 1);
	r->check.timeout = LONG;
	probe(r, "127.0.0.1", HEALTH_none);
}

static void
answered_twice(struct rig *r, const char *ip)
{
	r->answer = twice;
	r->check.timeout = LONG;
	probe(r, ip, HEALTH_none);
	run_for(r, 50);
	assert_int_equal(r->calls, 1);
	r->answer = no_answer;
	r->check.timeout = SHORT;
	probe(r, ip, HEALTH_timeout); /* the old answer is not this one's */
}

static void
test_answered_twice(void **state)
{
	need_namespace();
	both(*state, answered_twice);
}

static void
told_unreachable(struct rig *r, const char *ip)
{
	r->answer = other_unreachable;
	r->check.timeout = SHORT;
	probe(r, ip, HEALTH_timeout);
	r->answer = unreachable;
	r->check.timeout = LONG;
	probe(r, ip, HEALTH_unreachable);
}

static void
test_told_unreachable(void **state)
{
	need_namespace();
	both(*state, told_unreachable);
}

/* There is nothing but loopback in this namespace. */
static void
test_no_route(void **state)
{
	struct rig *r = *state;

	need_namespace();
	r->check.timeout = LONG;
	probe(r, "192.0.2.1", HEALTH_unreachable);
	if (access("/proc/sys/net/ipv6", F_OK) == 0)
		probe(r, "2001:db8::1", HEALTH_unreachable);
}

static void
test_cancel(void **state)
{
	struct rig *r = *state;

	need_namespace();
	open_host(r, true);
	r->answer = true_answer;
	probe_cancel(start(r, "127.0.0.1"));
	run_for(r, 50);
	assert_int_equal(r->requests, 1);
	assert_int_equal(r->calls, 0);
	r->check.timeout = LONG;
	probe(r, "127.0.0.1", HEALTH_none);
}

/* As many as there can be, and one more; all answered, none mixed up. */
static void
test_many(void **state)
{
	struct rig *r = *state;
	struct probe *one_more;

	need_namespace();
	open_host(r, true);
	r->answer = true_answer;
	r->check.timeout = LONG;
	for (int round = 0; round < 2; round++) {
		r->calls = 0;
		r->calls_wanted = 1001;
		for (int i = 0; i < 1000; i++) {
			start(r, "127.0.0.1");
			if (i % 50 == 49)
				run_for(r, 5); /* the socket's queue is not that long */
		}
		one_more = start(r, "127.0.0.1");
		assert_non_null(one_more);
		run_for(r, 2000);
		assert_int_equal(r->calls, 1001);
		assert_int_equal(r->result.cause, HEALTH_none);
	}
}

static void
test_all_slots_taken(void **state)
{
	struct rig *r = *state;
	static struct probe *probes[1024];

	need_namespace();
	r->check.timeout = LONG;
	for (int i = 0; i < 1024; i++)
		probes[i] = start(r, "127.0.0.1");
	probe(r, "127.0.0.1", HEALTH_local);
	probe_cancel(probes[500]);
	r->check.timeout = SHORT;
	probe(r, "127.0.0.1", HEALTH_timeout);
	for (int i = 0; i < 1024; i++)
		if (i != 500)
			probe_cancel(probes[i]);
}

/* Without the right to a raw socket a probe says nothing of the server.  Comes last: for good. */
static void
test_no_rights(void **state)
{
	struct rig *r = *state;

	need_namespace();
	icmp_free(r->icmp);
	if (setresuid(65534, 65534, 65534) == -1) {
		r->icmp = icmp_new(r->loop);
		print_message("cannot become another user\n");
		skip();
	}
	r->icmp = icmp_new(r->loop);
	assert_int_not_equal(icmp_error(r->icmp, 0), 0);
	assert_int_not_equal(icmp_error(r->icmp, 1), 0);
	probe(r, "127.0.0.1", HEALTH_local);
	probe(r, "::1", HEALTH_local);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_answered),
	    TEST(test_unanswered),
	    TEST(test_false_answers),
	    TEST(test_wrong_sender),
	    TEST(test_answered_twice),
	    TEST(test_told_unreachable),
	    TEST(test_no_route),
	    TEST(test_cancel),
	    TEST(test_many),
	    TEST(test_all_slots_taken),
	    TEST(test_no_rights),
	};

	return cmocka_run_group_tests_name("icmp", tests, enter_namespace, NULL);
}
