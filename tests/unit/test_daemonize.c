/*
 * daemonize: each test is a caller that starts a program which goes into the background, as a
 * shell would see it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/daemonize.h"

struct seen {
	int status;        /* of the process that was called */
	char errors[2000]; /* what it wrote to standard error */
	char report[2000]; /* what the one in the background has to say */
};

static void
read_rest(int fd, char *buf, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used < size - 1 && (n = read(fd, buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	close(fd);
}

/* Runs program(report) in a process whose standard error is ours to read. */
static struct seen
call(void (*program)(int report))
{
	struct seen seen;
	int errors[2], report[2], status;
	pid_t pid;

	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		close(report[0]);
		dup2(errors[1], STDERR_FILENO);
		close(errors[0]);
		close(errors[1]);
		program(report[1]);
		_exit(99);
	}
	close(errors[1]);
	close(report[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	seen.status = WEXITSTATUS(status);
	read_rest(report[0], seen.report, sizeof(seen.report));
	read_rest(errors[0], seen.errors, sizeof(seen.errors));
	return seen;
}

/* Where standard input, output and error lead, the directory, and whether it leads a session. */
static void
tell_state(int report)
{
	char path[PATH_MAX], name[40];
	ssize_t n;

	for (int fd = 0; fd <= 2; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = '\0';
		dprintf(report, "%d=%s ", fd, path);
	}
	dprintf(report, "cwd=%s leader=%d", getcwd(path, sizeof(path)), getsid(0) == getpid());
}

static void
succeeds(int report)
{
	int fd = daemonize_begin();

	daemonize_ready(fd);
	tell_state(report);
	_exit(0);
}

static void
test_ready(void **state)
{
	struct seen seen = call(succeeds);

	(void)state;
	assert_int_equal(seen.status, 0);
	assert_string_equal(seen.errors, "");
	assert_string_equal(seen.report, "0=/dev/null 1=/dev/null 2=/dev/null cwd=/ leader=1");
}

static void
fails(int report)
{
	int fd = daemonize_begin();

	dprintf(report, "child");
	daemonize_failed(fd, 3, "cannot start: device wlad0 cannot be opened");
	_exit(0);
}

static void
test_failed(void **state)
{
	struct seen seen = call(fails);

	(void)state;
	assert_int_equal(seen.status, 3);
	assert_string_equal(seen.errors, "wlad: cannot start: device wlad0 cannot be opened\n");
	assert_string_equal(seen.report, "child");
}

/* The caller waits: what the child does until then comes first. */
static void
takes_its_time(int report)
{
	int fd = daemonize_begin();
	struct pollfd none = {.fd = -1};

	poll(&none, 1, 200);
	dprintf(report, "late");
	daemonize_failed(fd, 1, "late");
	_exit(0);
}

static void
test_waits(void **state)
{
	struct seen seen = call(takes_its_time);

	(void)state;
	assert_int_equal(seen.status, 1);
	assert_string_equal(seen.errors, "wlad: late\n");
	assert_string_equal(seen.report, "late");
}

/* Errors of libraries at the start are still to be seen. */
static void
writes_errors(int report)
{
	int fd = daemonize_begin();

	dprintf(STDERR_FILENO, "from a library\n");
	daemonize_ready(fd);
	dprintf(STDERR_FILENO, "too late\n");
	dprintf(report, "done");
	_exit(0);
}

static void
test_errors_until_ready(void **state)
{
	struct seen seen = call(writes_errors);

	(void)state;
	assert_int_equal(seen.status, 0);
	assert_string_equal(seen.errors, "from a library\n");
	assert_string_equal(seen.report, "done");
}

static void
exits(int report)
{
	daemonize_begin();
	(void)report;
	_exit(7);
}

static void
exits_well(int report)
{
	daemonize_begin();
	(void)report;
	_exit(0);
}

static void
is_killed(int report)
{
	daemonize_begin();
	(void)report;
	raise(SIGKILL);
}

/* Without a word: never a success. */
static void
test_dies(void **state)
{
	struct seen seen;

	(void)state;
	seen = call(exits);
	assert_int_equal(seen.status, 7);
	assert_non_null(strstr(seen.errors, "wlad: ended at the start"));
	seen = call(exits_well);
	assert_int_equal(seen.status, 1);
	assert_non_null(strstr(seen.errors, "wlad: ended at the start"));
	seen = call(is_killed);
	assert_int_equal(seen.status, 1);
	assert_string_equal(seen.errors, "wlad: killed by signal 9 at the start\n");
}

static void
says_much(int report)
{
	char sentence[5000];
	int fd = daemonize_begin();

	(void)report;
	memset(sentence, 'x', sizeof(sentence) - 1);
	sentence[sizeof(sentence) - 1] = '\0';
	daemonize_failed(fd, 255, sentence);
	_exit(0);
}

static void
test_long_sentence(void **state)
{
	struct seen seen = call(says_much);

	(void)state;
	assert_int_equal(seen.status, 255);
	assert_in_range(strlen(seen.errors), 1000, 1100);
}

static void
has_no_descriptors(int report)
{
	struct rlimit few;

	if (getrlimit(RLIMIT_NOFILE, &few) == -1)
		_exit(98);
	few.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &few) == -1)
		_exit(97);
	for (int i = 0; i < 64 && dup(report) != -1; i++)
		;
	dprintf(report, daemonize_begin() == -1 ? "refused" : "forked");
	_exit(0);
}

/* One process then, which says so itself. */
static void
test_cannot_begin(void **state)
{
	struct seen seen = call(has_no_descriptors);

	(void)state;
	assert_string_equal(seen.report, "refused");
	assert_int_equal(seen.status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ready),
	    cmocka_unit_test(test_failed),
	    cmocka_unit_test(test_waits),
	    cmocka_unit_test(test_errors_until_ready),
	    cmocka_unit_test(test_dies),
	    cmocka_unit_test(test_long_sentence),
	    cmocka_unit_test(test_cannot_begin),
	};

	return cmocka_run_group_tests_name("daemonize", tests, NULL, NULL);
}
