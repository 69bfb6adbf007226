#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "platform/notify.h"

/* The service manager's end, and the name by which it is found. */
struct rig {
	int fd;
	char name[80];
	char message[600];
	char log[1000];
};

static void
keep_log(void *arg, enum log_level level, const char *line)
{
	struct rig *r = arg;

	(void)level;
	snprintf(r->log, sizeof(r->log), "%s", line);
}

static void
bind_name(struct rig *r)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(r->name);

	memcpy(un.sun_path, r->name, len);
	if (r->name[0] == '@')
		un.sun_path[0] = '\0';
	r->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_not_equal(r->fd, -1);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&un,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	    0);
	setenv("NOTIFY_SOCKET", r->name, 1);
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.fd = -1;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	log_set_hook(keep_log, &r);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	log_set_hook(NULL, NULL);
	if (r->fd != -1)
		close(r->fd);
	if (r->name[0] == '/')
		unlink(r->name);
	return 0;
}

static void
with_path(struct rig *r)
{
	snprintf(r->name, sizeof(r->name), "/tmp/wlad-notify-%d", (int)getpid());
	bind_name(r);
}

static const char *
received(struct rig *r)
{
	ssize_t n = recv(r->fd, r->message, sizeof(r->message) - 1, 0);

	assert_int_not_equal(n, -1);
	r->message[n] = '\0';
	return r->message;
}

static void
assert_nothing_more(struct rig *r)
{
	assert_int_equal(recv(r->fd, r->message, sizeof(r->message), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
tell_everything(struct rig *r)
{
	struct notify *n = notify_open();

	notify_ready(n);
	assert_string_equal(received(r), "READY=1");
	notify_status(n, "3 of 3 servers up");
	assert_string_equal(received(r), "STATUS=3 of 3 servers up");
	notify_reloading(n, 5 * CLOCK_SECOND + 1999);
	assert_string_equal(received(r), "RELOADING=1\nMONOTONIC_USEC=5000001");
	notify_watchdog(n);
	assert_string_equal(received(r), "WATCHDOG=1");
	notify_stopping(n);
	assert_string_equal(received(r), "STOPPING=1");
	notify_close(n);
	assert_nothing_more(r);
}

static void
test_path(void **state)
{
	with_path(*state);
	tell_everything(*state);
}

static void
test_abstract(void **state)
{
	struct rig *r = *state;

	snprintf(r->name, sizeof(r->name), "@wlad/notify/%d", (int)getpid());
	bind_name(r);
	tell_everything(r);
}

/* What is meant for this process is not handed on. */
static void
test_environment_is_cleared(void **state)
{
	struct rig *r = *state;

	with_path(r);
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_close(notify_open());
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void
test_nobody(void **state)
{
	struct rig *r = *state;
	struct notify *n;

	setenv("WATCHDOG_USEC", "3000000", 1); /* of no use without a socket */
	n = notify_open();
	notify_ready(n);
	notify_reloading(n, 1);
	notify_stopping(n);
	notify_status(n, "x");
	notify_watchdog(n);
	assert_true(notify_watchdog_interval(n) == 0);
	notify_close(n);
	notify_close(NULL);
	assert_string_equal(r->log, "");
}

static void
refuse(struct rig *r, const char *name)
{
	struct notify *n;

	r->log[0] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	n = notify_open();
	assert_non_null(n);
	notify_ready(n); /* harmless */
	notify_close(n);
	assert_string_not_equal(r->log, "");
}

static void
test_bad_names(void **state)
{
	struct rig *r = *state;
	char longer[200] = "/";

	refuse(r, "relative");
	refuse(r, "/");
	refuse(r, "@");
	memset(longer + 1, 'x', sizeof(longer) - 2);
	refuse(r, longer);
	assert_non_null(strstr(r->log, "NOTIFY_SOCKET is no socket address"));
	refuse(r, "/nowhere/notify");
	assert_non_null(strstr(r->log, "socket=/nowhere/notify: No such file"));
	/* as if there were none */
	r->log[0] = '\0';
	setenv("NOTIFY_SOCKET", "", 1);
	notify_close(notify_open());
	assert_string_equal(r->log, "");
}

/* A status is one line; the next would be another assignment. */
static void
test_status_is_one_line(void **state)
{
	struct rig *r = *state;
	struct notify *n;
	char longer[2000];

	with_path(r);
	n = notify_open();
	notify_status(n, "one\nREADY=1\nWATCHDOG=trigger");
	assert_string_equal(received(r), "STATUS=one");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	notify_status(n, longer);
	assert_int_equal(strlen(received(r)), 511);
	notify_close(n);
}

/* A manager that does not read is not waited for. */
static void
test_full_queue(void **state)
{
	struct rig *r = *state;
	struct notify *n;

	with_path(r);
	n = notify_open();
	for (int i = 0; i < 10000; i++)
		notify_watchdog(n);
	assert_non_null(strstr(r->log, "service manager cannot be told message=\"WATCHDOG=1\""));
	assert_string_equal(received(r), "WATCHDOG=1");
	notify_close(n);
}

static uint64_t
interval(struct rig *r, const char *usec, const char *pid)
{
	struct notify *n;
	uint64_t result;

	setenv("NOTIFY_SOCKET", r->name, 1);
	if (usec != NULL)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	n = notify_open();
	result = notify_watchdog_interval(n);
	notify_close(n);
	return result;
}

static void
test_watchdog_interval(void **state)
{
	struct rig *r = *state;
	char self[20], other[20];

	with_path(r);
	snprintf(self, sizeof(self), "%d", (int)getpid());
	snprintf(other, sizeof(other), "%d", (int)getpid() + 1);
	assert_true(interval(r, NULL, NULL) == 0);
	assert_true(interval(r, "3000000", NULL) == 3 * CLOCK_SECOND);
	assert_true(interval(r, "3000000", self) == 3 * CLOCK_SECOND);
	assert_true(interval(r, "3000000", other) == 0);
	assert_true(interval(r, "3000000", "") == 0);
	assert_true(interval(r, "0", NULL) == 0);
	assert_true(interval(r, "-5", NULL) == 0);
	assert_true(interval(r, "3s", NULL) == 0);
	assert_true(interval(r, "", NULL) == 0);
	assert_true(interval(r, "99999999999999999999999", NULL) == 0);
	assert_true(interval(r, "18446744073709551615", NULL) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_path),
	    TEST(test_abstract),
	    TEST(test_environment_is_cleared),
	    TEST(test_nobody),
	    TEST(test_bad_names),
	    TEST(test_status_is_one_line),
	    TEST(test_full_queue),
	    TEST(test_watchdog_interval),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
