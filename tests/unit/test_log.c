#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

/* The clock of this test: the library's is not linked, since this one is here. */
static uint64_t now = 1000 * CLOCK_SECOND;

uint64_t
clock_now(void)
{
	return now;
}

/* What the hook was told. */
static struct {
	unsigned lines;
	enum log_level level;
	char last[2048];
} heard;

static void
hear(void *arg, enum log_level level, const char *line)
{
	assert_ptr_equal(arg, &heard);
	heard.lines++;
	heard.level = level;
	assert_true(strlen(line) < sizeof(heard.last));
	strcpy(heard.last, line);
	errno = ENOTTY; /* a listener that fails at something */
}

static int stderr_before = -1;

/* Quiet on the terminal, for what is logged goes there as well; an hour later each time, so
 * that no test sees the rates of another. */
static int
setup(void **state)
{
	(void)state;
	stderr_before = dup(STDERR_FILENO);
	if (stderr_before == -1 || freopen("/dev/null", "w", stderr) == NULL)
		return -1;
	now += 3600 * CLOCK_SECOND;
	memset(&heard, 0, sizeof(heard));
	log_open("test_log", true);
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_hook(hear, &heard);
	return 0;
}

static int
teardown(void **state)
{
	int result;

	(void)state;
	fflush(stderr);
	result = dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	return result == -1 ? -1 : 0;
}

static void
test_levels_by_name(void **state)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(log_level_parse(names[i]), i);
		assert_string_equal(log_level_name((enum log_level)i), names[i]);
	}
	assert_int_equal(log_level_parse(""), -1);
	assert_int_equal(log_level_parse("Error"), -1);
	assert_int_equal(log_level_parse("warning"), -1);
	assert_int_equal(log_level_parse("debug "), -1);
}

static void
test_each_level(void **state)
{
	(void)state;
	log_errorx("errorx a=%d", 1);
	assert_int_equal(heard.level, LOG_LEVEL_ERROR);
	assert_string_equal(heard.last, "errorx a=1");
	log_warnx("warnx a=%s", "b");
	assert_int_equal(heard.level, LOG_LEVEL_WARN);
	assert_string_equal(heard.last, "warnx a=b");
	log_info("info");
	assert_int_equal(heard.level, LOG_LEVEL_INFO);
	assert_string_equal(heard.last, "info");
	log_debug("debug %%");
	assert_int_equal(heard.level, LOG_LEVEL_DEBUG);
	assert_string_equal(heard.last, "debug %");
	assert_int_equal(heard.lines, 4);
}

static void
test_level_is_a_threshold(void **state)
{
	static const unsigned expected[] = {1, 2, 3, 4};

	(void)state;
	for (int level = 0; level < 4; level++) {
		heard.lines = 0;
		log_set_level((enum log_level)level);
		log_errorx("threshold error");
		log_warnx("threshold warn");
		log_info("threshold info");
		log_debug("threshold debug");
		assert_int_equal(heard.lines, expected[level]);
	}
}

/* A line that the level holds back must not use up its kind's rate. */
static void
log_detail(int i)
{
	log_debug("a detail i=%d", i);
}

static void
test_hidden_lines_do_not_count(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	for (int i = 0; i < 100; i++)
		log_detail(i);
	log_set_level(LOG_LEVEL_DEBUG);
	log_detail(100);
	assert_int_equal(heard.lines, 1);
	assert_string_equal(heard.last, "a detail i=100");
}

static void
test_errno_is_said_and_kept(void **state)
{
	(void)state;
	errno = ENOENT;
	log_warn("cannot open file=%s", "x");
	assert_string_equal(heard.last, "cannot open file=x: No such file or directory");
	assert_int_equal(errno, ENOENT);
	log_error("cannot open");
	assert_string_equal(heard.last, "cannot open: No such file or directory");
	assert_int_equal(errno, ENOENT);
	log_warnx("refused");
	assert_string_equal(heard.last, "refused");
	assert_int_equal(errno, ENOENT);
	log_set_level(LOG_LEVEL_ERROR);
	log_info("not shown");
	assert_int_equal(errno, ENOENT);
	errno = 0;
	log_errorx("nothing");
	assert_int_equal(errno, 0);
}

static void
log_one_kind(int i)
{
	log_info("one kind i=%d", i);
}

static void
log_another_kind(int i)
{
	log_info("another kind i=%d", i);
}

static void
test_rate(void **state)
{
	(void)state;
	for (int i = 1; i <= 1000; i++) {
		log_one_kind(i);
		assert_int_equal(heard.lines, i < 10 ? i : 10);
		now += CLOCK_MILLISECOND;
	}
	assert_string_equal(heard.last, "one kind i=10");
	/* another kind is not the worse for it */
	log_another_kind(1);
	assert_int_equal(heard.lines, 11);
	assert_string_equal(heard.last, "another kind i=1");
	/* just before the ten seconds are over, and then */
	now += 9 * CLOCK_SECOND - 1;
	log_one_kind(2000);
	assert_int_equal(heard.lines, 11);
	now += 1;
	log_one_kind(3000);
	assert_int_equal(heard.lines, 12);
	assert_string_equal(heard.last, "one kind i=3000 suppressed=991");
	/* said once; the next nine are free again */
	for (int i = 1; i <= 20; i++)
		log_one_kind(i);
	assert_int_equal(heard.lines, 21);
	assert_string_equal(heard.last, "one kind i=9");
	now += 10 * CLOCK_SECOND;
	log_one_kind(0);
	assert_string_equal(heard.last, "one kind i=0 suppressed=11");
}

/* When a rack goes dark each of its servers is news; a bound there is all the same. */
static void
test_changes_of_many(void **state)
{
	(void)state;
	for (int i = 1; i <= 1500; i++)
		log_change("server down server=s%d", i);
	assert_int_equal(heard.lines, 1000);
	assert_int_equal(heard.level, LOG_LEVEL_INFO);
	assert_string_equal(heard.last, "server down server=s1000");
	now += 10 * CLOCK_SECOND;
	log_change("server up server=s%d", 1);
	assert_int_equal(heard.lines, 1001);
}

/* More kinds than are remembered: nothing is lost, and the newest are limited still. */
static void
test_many_kinds(void **state)
{
	static char formats[500][32];

	(void)state;
	for (int i = 0; i < 500; i++)
		snprintf(formats[i], sizeof(formats[i]), "kind number=%d", i);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
	for (int i = 0; i < 500; i++) {
		now += CLOCK_MILLISECOND;
		log_info(formats[i]);
		assert_int_equal(heard.lines, i + 1);
		assert_string_equal(heard.last, formats[i]);
	}
	heard.lines = 0;
	for (int i = 0; i < 100; i++)
		log_info(formats[499]);
	assert_int_equal(heard.lines, 9);
#pragma GCC diagnostic pop
}

/* Text of strangers must not make lines of its own, nor drive the terminal. */
static void
test_control_characters(void **state)
{
	char text[34] = "";

	(void)state;
	log_info("path=%s", "/a\nerror fatal\r\x1b[31m\x7f\t");
	assert_string_equal(heard.last, "path=/a?error fatal??[31m??");
	for (int i = 1; i < 32; i++)
		text[i - 1] = (char)i;
	log_info("all=%s", text);
	assert_string_equal(heard.last, "all=???????????????????????????????");
	/* UTF-8 passes */
	log_info("name=%s", "D\xc3\xbcsseldorf");
	assert_string_equal(heard.last, "name=D\xc3\xbcsseldorf");
}

static void
test_long_lines(void **state)
{
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	errno = EACCES;
	log_warn("long=%s", text);
	assert_in_range(strlen(heard.last), 500, 1100);
	assert_memory_equal(heard.last, "long=xxxx", 9);
	/* every length around the end of the buffer */
	for (size_t len = 900; len < 1100; len++) {
		now += 20 * CLOCK_SECOND;
		text[len] = '\0';
		errno = EACCES;
		log_error("long=%s", text);
		assert_in_range(strlen(heard.last), len < 1000 ? len : 1000, 1200);
		text[len] = 'x';
	}
}

static void
test_no_hook(void **state)
{
	(void)state;
	log_set_hook(NULL, NULL);
	log_info("nobody listens");
	assert_int_equal(heard.lines, 0);
}

/* What a call prints on stderr, and how the process that made it ends. */
static int
run_child(void (*call)(void), char *output, size_t size)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		log_set_hook(NULL, NULL);
		log_set_level(LOG_LEVEL_INFO);
		call();
		fflush(stderr);
		_exit(0);
	}
	close(fds[1]);
	while (len < size - 1 && (n = read(fds[0], output + len, size - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
call_info(void)
{
	log_info("started site=%s", "tokyo");
	log_debug("not this");
}

static void
call_fatal(void)
{
	errno = EACCES;
	log_fatal("cannot open device=%s", "wlad0");
}

static void
call_fatalx(void)
{
	errno = EACCES;
	log_fatalx("no site in the configuration");
}

static void
call_out_of_memory(void)
{
	free(xrealloc_array(NULL, SIZE_MAX / 2, 4));
}

static void
test_stderr(void **state)
{
	char output[512];
	unsigned year, month, day, hour, minute, second, ms;
	int end = 0;

	(void)state;
	assert_int_equal(run_child(call_info, output, sizeof(output)), 0);
	assert_int_equal(sscanf(output, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ info%n", &year, &month,
			     &day, &hour, &minute, &second, &ms, &end),
	    7);
	assert_true(end > 0);
	assert_string_equal(output + end, " started site=tokyo\n");
	assert_in_range(year, 2020, 2200);
}

static void
test_fatal(void **state)
{
	char output[512];

	(void)state;
	assert_int_equal(run_child(call_fatal, output, sizeof(output)), 1);
	assert_non_null(strstr(output, " error cannot open device=wlad0: Permission denied\n"));
	assert_int_equal(run_child(call_fatalx, output, sizeof(output)), 1);
	assert_non_null(strstr(output, " error no site in the configuration\n"));
	assert_int_equal(run_child(call_out_of_memory, output, sizeof(output)), 1);
	assert_non_null(strstr(output, " error out of memory\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_levels_by_name, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_each_level, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_level_is_a_threshold, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hidden_lines_do_not_count, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_errno_is_said_and_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_changes_of_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_kinds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_control_characters, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_hook, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stderr, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fatal, setup, teardown),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
