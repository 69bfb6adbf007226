/*
 * Probes by script: real programs, written for each test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "health/probe.h"
#include "health/script.h"
#include "health/script_line.h"

struct rig {
	struct loop *loop;
	struct scripts *scripts;
	struct config_check check;
	struct addr to;
	char directory[64], seen[96];
	struct loop_timer *pause;

	struct probe_result result;
	int calls, calls_wanted;
};

static void
on_done(void *arg, const struct probe_result *result, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	r->result = *result;
	if (++r->calls == r->calls_wanted)
		loop_stop(r->loop);
}

static void
on_pause(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	loop_stop(r->loop);
}

static void
run_for(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->pause, ms * CLOCK_MILLISECOND);
	loop_run(r->loop);
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.loop = loop_new();
	r.pause = loop_timer_new(r.loop, on_pause, &r);
	snprintf(r.directory, sizeof(r.directory), "/tmp/wlad-script-XXXXXX");
	assert_non_null(mkdtemp(r.directory));
	snprintf(r.seen, sizeof(r.seen), "%s/seen", r.directory);
	r.check = (struct config_check){.type = CONFIG_CHECK_SCRIPT, .timeout = 5};
	snprintf(r.check.command, sizeof(r.check.command), "%s/check", r.directory);
	assert_int_equal(addr_parse("192.0.2.1:8080", &r.to), 0);
	r.scripts = scripts_new(r.loop);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	scripts_free(r->scripts);
	loop_timer_free(r->pause);
	loop_free(r->loop);
	unlink(r->check.command);
	unlink(r->seen);
	rmdir(r->directory);
	return 0;
}

/* The program of the next check; %s is the file that it may write to. */
static void
write_script(struct rig *r, const char *text)
{
	FILE *f = fopen(r->check.command, "we");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nseen=%s\n%s\n", r->seen, text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(r->check.command, 0755), 0);
}

static const char *
seen(struct rig *r, char *buf, size_t size)
{
	FILE *f = fopen(r->seen, "re");
	size_t n = 0;

	if (f != NULL) {
		n = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	buf[n] = '\0';
	return buf;
}

static struct probe *
start(struct rig *r)
{
	struct probe_request request = {.loop = r->loop,
	    .scripts = r->scripts,
	    .service = "web",
	    .server = "a-1",
	    .to = r->to,
	    .check = &r->check,
	    .done = on_done,
	    .arg = r};

	r->calls_wanted = 1;
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
test_status(void **state)
{
	struct rig *r = *state;

	write_script(r, "exit 0");
	probe(r, HEALTH_none, 0);
	assert_false(r->result.has_load);
	write_script(r, "exit 1");
	probe(r, HEALTH_script, 1);
	write_script(r, "exit 255");
	probe(r, HEALTH_script, 255);
	write_script(r, "kill -TERM $$");
	probe(r, HEALTH_script_signal, SIGTERM);
}

static void
test_arguments(void **state)
{
	struct rig *r = *state;
	char buf[512];

	setenv("WLAD_SECRET", "x", 1);
	write_script(r,
	    "echo $# \"$@\" > $seen\n"
	    "echo $WLAD_SERVICE $WLAD_SERVER $WLAD_ADDRESS $WLAD_PORT >> $seen\n"
	    "env | grep -c SECRET >> $seen\nexit 0");
	probe(r, HEALTH_none, 0);
	assert_string_equal(
	    seen(r, buf, sizeof(buf)), "4 web a-1 192.0.2.1 8080\nweb a-1 192.0.2.1 8080\n0\n");
	assert_int_equal(addr_parse("[2001:db8::1]:80", &r->to), 0);
	write_script(r, "echo \"$3\" > $seen");
	probe(r, HEALTH_none, 0);
	assert_string_equal(seen(r, buf, sizeof(buf)), "2001:db8::1\n");
	unsetenv("WLAD_SECRET");
}

/* Nothing but the first three; neither what was opened with care nor what was there before. */
static void
test_descriptors(void **state)
{
	struct rig *r = *state;
	int careless = open("/dev/null", O_RDONLY);
	char buf[512];

	assert_int_not_equal(careless, -1);
	scripts_free(r->scripts);
	r->scripts = scripts_new(r->loop); /* as the daemon is started with it open */
	write_script(r,
	    "readlink /proc/$$/fd/0 /proc/$$/fd/2 > $seen\n"
	    "for n in 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$n >> $seen; done\nexit 0");
	probe(r, HEALTH_none, 0);
	close(careless);
	assert_string_equal(seen(r, buf, sizeof(buf)), "/dev/null\n/dev/null\n");
}

/* As from a shell: what the daemon ignores or blocks is not so here. */
static void
test_signals(void **state)
{
	struct rig *r = *state;
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	sigset_t set, old;
	char buf[256];
	unsigned long long ignored;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	write_script(r, "grep -E 'Sig(Blk|Ign)' /proc/self/status > $seen; exit 0");
	probe(r, HEALTH_none, 0);
	seen(r, buf, sizeof(buf));
	assert_int_equal(strncmp(buf, "SigBlk:\t0000000000000000\n", 25), 0);
	/* the C library keeps two for itself */
	ignored = strtoull(strchr(buf, '\n') + strlen("\nSigIgn:\t"), NULL, 16);
	assert_int_equal(ignored & 0x7fffffff, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, before);
}

static void
load(struct rig *r, const char *output, double value)
{
	char text[256];

	snprintf(text, sizeof(text), "printf '%s'; exit 3", output);
	write_script(r, text);
	probe(r, HEALTH_script, 3);
	assert_int_equal(r->result.has_load, value >= 0);
	if (value >= 0)
		assert_true(r->result.load > value - 1e-9 && r->result.load < value + 1e-9);
}

static void
test_load(void **state)
{
	struct rig *r = *state;

	load(r, "load 0.35\\n", 0.35);
	load(r, "35%%\\nload 0.5\\n", 0.35);
	load(r, "load 35%%", 0.35);
	load(r, "", -1);
	load(r, "\\nload 0.35\\n", -1);
	load(r, "all is well\\n", -1);
	load(r, "load 0.111111111111111111111111111111111111111111111111111111111\\n",
	    0.11111111111);
	load(r, "load 0.1111111111111111111111111111111111111111111111111111111111\\n", -1);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *line;
		double load;
	} lines[] = {{"load 0", 0}, {"load 1", 1}, {"load 1.0", 1}, {"load 17", 1},
	    {"load .5", .5}, {" load\t0.5 \r", .5}, {"100%", 1}, {"0%", 0}, {"12.5 %", -1},
	    {"12.5%", .125}, {"250%", 1}, {"0.5", -1}, {"load", -1}, {"load ", -1},
	    {"load x", -1}, {"load -1", -1}, {"load 0.5 x", -1}, {"load 0.5.5", -1},
	    {"load .", -1}, {"%", -1}, {"loadx 1", -1}, {"load0.5", -1}, {"load nan", -1},
	    {"load 1e3", -1}, {"", -1}};
	double value;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		bool has = script_line_load(lines[i].line, strlen(lines[i].line), &value);

		if (has != (lines[i].load >= 0) ||
		    (has && (value < lines[i].load - 1e-9 || value > lines[i].load + 1e-9)))
			fail_msg("\"%s\": %d %g", lines[i].line, has, has ? value : 0.0);
	}
}

/* Whether the process whose number the script has written is still there. */
static bool
lives(struct rig *r)
{
	char buf[32];
	pid_t pid = atoi(seen(r, buf, sizeof(buf)));

	assert_true(pid > 1);
	return kill(pid, 0) == 0 || errno != ESRCH;
}

/* It is killed, and whom it has started. */
static void
test_timeout(void **state)
{
	struct rig *r = *state;
	uint64_t begun = clock_now();

	r->check.timeout = 0.3;
	write_script(r, "sleep 1000 & echo $! > $seen; trap '' TERM INT; wait");
	probe(r, HEALTH_script_timeout, 0);
	assert_true(clock_now() - begun < 3 * CLOCK_SECOND);
	for (int i = 0; i < 100 && lives(r); i++)
		run_for(r, 20);
	assert_false(lives(r));
	run_for(r, 100);
	assert_true(scripts_room(r->scripts));
}

/* Who has ended leaves nobody behind, and is not waited for until those are through. */
static void
test_leaves_nobody(void **state)
{
	struct rig *r = *state;
	uint64_t begun = clock_now();

	write_script(r, "sleep 1000 & echo $! > $seen; echo 50%; exit 0");
	probe(r, HEALTH_none, 0);
	assert_true(clock_now() - begun < 3 * CLOCK_SECOND);
	assert_true(r->result.has_load);
	for (int i = 0; i < 100 && lives(r); i++)
		run_for(r, 20);
	assert_false(lives(r));
}

static void
test_output(void **state)
{
	struct rig *r = *state;

	write_script(r, "yes");
	probe(r, HEALTH_script_output, 0);
	/* nearly as much is fine, more than a pipe holds at once too */
	write_script(r, "yes | head -c 65536; exit 0");
	probe(r, HEALTH_none, 0);
	write_script(r, "exec >&-; exit 0");
	probe(r, HEALTH_none, 0);
	write_script(r, "exec >&-; sleep 0.1; exit 4");
	probe(r, HEALTH_script, 4);
}

static void
test_cannot_run(void **state)
{
	struct rig *r = *state;
	FILE *f;

	probe(r, HEALTH_script_start, 0);
	write_script(r, "exit 0");
	chmod(r->check.command, 0644);
	probe(r, HEALTH_script_start, 0);
	f = fopen(r->check.command, "we");
	assert_non_null(f);
	fputs("#!/no/such/interpreter\n", f);
	fclose(f);
	chmod(r->check.command, 0755);
	probe(r, HEALTH_script_start, 0);
	loop_run(r->loop); /* nothing to wait for: returns */
}

/* So many at a time, then none; when they have ended, again. */
static void
test_room(void **state)
{
	struct rig *r = *state;
	struct probe *probes[SCRIPTS_MAX];

	write_script(r, "sleep 1000");
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		assert_true(scripts_room(r->scripts));
		probes[i] = start(r);
	}
	assert_false(scripts_room(r->scripts));
	probe(r, HEALTH_local, 0);
	for (int i = 0; i < SCRIPTS_MAX; i++)
		probe_cancel(probes[i]);
	r->calls = 0;
	assert_false(scripts_room(r->scripts)); /* they have not gone yet */
	for (int i = 0; i < 100 && !scripts_room(r->scripts); i++)
		run_for(r, 20);
	assert_true(scripts_room(r->scripts));
	assert_int_equal(r->calls, 0);
	loop_run(r->loop); /* nothing to wait for: returns */
	write_script(r, "exit 0");
	probe(r, HEALTH_none, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_status),
	    TEST(test_arguments),
	    TEST(test_descriptors),
	    TEST(test_signals),
	    TEST(test_load),
	    cmocka_unit_test(test_lines),
	    TEST(test_timeout),
	    TEST(test_leaves_nobody),
	    TEST(test_output),
	    TEST(test_cannot_run),
	    TEST(test_room),
	};

	return cmocka_run_group_tests_name("probe_script", tests, NULL, NULL);
}
