/*
 * monitor: the server's side, and wladmctl's client of a stream.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>

#include "base/log.h"
#include "control_rig.h"

#define HEAD "ok stream\n"

/* Runs the loop until the reader's data hold a text, or until the daemon closed. */
struct wish {
	struct reader *r;
	const char *text;
};

static void
on_wish(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct wish *wish = arg;
	struct reader *r = wish->r;
	ssize_t n;

	(void)readable;
	(void)writable;
	(void)now;
	if (r->size - r->len < 65536) {
		r->size = r->size * 2 + 65536;
		r->data = realloc(r->data, r->size + 1);
	}
	n = recv(fd, r->data + r->len, r->size - r->len, 0);
	if (n > 0)
		r->len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		r->ended = true;
	r->data[r->len] = '\0';
	if (r->ended || (wish->text != NULL && strstr(r->data, wish->text) != NULL))
		loop_stop(t.loop);
}

static void
read_until(struct reader *r, const char *text)
{
	struct wish wish = {r, text};
	struct loop_fd *event = loop_fd_add(t.loop, r->fd, true, false, on_wish, &wish);

	loop_run(t.loop);
	loop_fd_free(event);
	assert_false(t.timed_out);
	assert_int_equal(r->ended, text == NULL);
}

/*
 * Logs a line that the log's own limit lets pass, however many there are: kinds are told by the
 * address of the format, and there is room for fewer than here.
 */
static void
log_fresh(const char *text)
{
	static char formats[128][300];
	static unsigned next;
	char *format = formats[next++ % 128];

	snprintf(format, sizeof(formats[0]), "%s", text);
	log_info(format, 0);
}

/* One that is being told. */
static struct reader
begin(const char *line)
{
	struct reader r = {.fd = dial()};

	say(r.fd, line, strlen(line));
	read_until(&r, HEAD);
	assert_memory_equal(r.data, HEAD, strlen(HEAD));
	return r;
}

/* Each line behind the head is an event.  Returns how many. */
static size_t
count_events(const struct reader *r)
{
	size_t count = 0;
	const char *at = r->data + strlen(HEAD), *end;

	for (; (end = strchr(at, '\n')) != NULL; at = end + 1, count++) {
		json_t *event = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(event);
		assert_int_equal(json_integer_value(json_object_get(event, "schema")), 1);
		assert_true(json_is_object(json_object_get(event, "fields")));
		json_decref(event);
	}
	assert_int_equal(*at, '\0');
	return count;
}

static void
test_events(void **arg)
{
	struct reader r = begin("monitor\n");

	(void)arg;
	log_info("server up service=%s server=%s", "web", "a");
	log_warnx("last one");
	read_until(&r, "last one");
	assert_int_equal(count_events(&r), 2);
	assert_non_null(strstr(r.data,
	    "\"level\":\"info\",\"text\":\"server up\","
	    "\"fields\":{\"service\":\"web\",\"server\":\"a\"}}\n"));
	assert_non_null(
	    strstr(r.data, "\"level\":\"warn\",\"text\":\"last one\",\"fields\":{}}\n"));
	reader_fini(&r);
}

/* What another client changes is told, to those who want its level. */
static void
test_levels(void **arg)
{
	struct reader all = begin("monitor\n"), warn = begin("monitor warn\n");
	struct reader r = {.fd = dial()};

	(void)arg;
	say(r.fd, "server web/a drain\n", 19);
	read_answers(&r, 1);
	log_warnx("the end");
	read_until(&all, "the end");
	read_until(&warn, "the end");
	assert_int_equal(count_events(&all), 2);
	assert_int_equal(count_events(&warn), 1);
	assert_non_null(strstr(all.data, "\"text\":\"server administration changed\","));
	assert_non_null(strstr(all.data, "\"admin\":\"draining\""));
	reader_fini(&r);
	reader_fini(&all);
	reader_fini(&warn);
}

/* Answers come before; what is asked after is not answered. */
static void
test_pipelined(void **arg)
{
	struct reader r = {.fd = dial()};
	char noise[10000];

	(void)arg;
	say(r.fd, "version\nmonitor\nversion\n", 24);
	read_until(&r, HEAD);
	memset(noise, '\n', sizeof(noise)); /* more than is ever read ahead */
	say(r.fd, noise, sizeof(noise));
	log_info("first");
	read_until(&r, "first");
	say(r.fd, "help\n", 5);
	log_info("second");
	read_until(&r, "second");
	assert_memory_equal(r.data, "ok ", 3);
	assert_non_null(strstr(r.data, "\"site\":\"tokyo\"}\n" HEAD "{\"schema\""));
	assert_null(strstr(strstr(r.data, HEAD), "tokyo"));
	assert_null(strstr(r.data, "commands"));
	reader_fini(&r);
}

/* Without traffic it stays, when others are let go. */
static void
test_no_idle_limit(void **arg)
{
	struct reader monitor, idle;

	(void)arg;
	control_set_idle(t.control, 0.05);
	monitor = begin("monitor\n");
	for (int i = 0; i < 3; i++) {
		idle = (struct reader){.fd = dial()};
		read_answers(&idle, 0);
		assert_true(idle.ended);
		reader_fini(&idle);
	}
	log_info("still here");
	read_until(&monitor, "still here");
	reader_fini(&monitor);
}

/* So many long lines, of which one that reads misses none; the log itself goes nowhere. */
static void
log_many(int lines, struct reader *quick)
{
	int saved = dup(2), null = open("/dev/null", O_WRONLY);
	char line[280];

	fflush(stderr);
	dup2(null, 2);
	for (int i = 0; i < lines; i++) {
		snprintf(line, sizeof(line), "line%06d %0250d", i, 0);
		log_fresh(line);
		if (i % 100 == 99)
			read_until(quick, line);
	}
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	close(null);
}

/* One that does not read loses lines, is told how many, and gets what comes later. */
static void
test_slow(void **arg)
{
	enum { LINES = 3000 };
	struct reader slow = begin("monitor\n"), quick = begin("monitor\n");
	unsigned long lost;
	size_t got;
	char *at;

	(void)arg;
	log_many(LINES, &quick);
	assert_int_equal(count_events(&quick), LINES);
	assert_null(strstr(quick.data, "lost"));
	read_until(&slow, "\"lost\"");
	log_info("afterwards");
	read_until(&slow, "afterwards");
	at = strstr(slow.data, "\"text\":\"monitor is too slow\",\"fields\":{\"lost\":\"");
	assert_non_null(at);
	lost = strtoul(strstr(at, "lost\":\"") + 7, NULL, 10);
	got = count_events(&slow);
	/* nothing is missing that is not counted */
	assert_int_equal(got - 2 + lost, LINES);
	assert_in_range(lost, 1, LINES - 1);
	reader_fini(&slow);
	reader_fini(&quick);
}

/* Monitors stay for good: there is room for others beside as many as there can be. */
static void
test_too_many(void **arg)
{
	struct reader monitors[32], r = {.fd = dial()};

	(void)arg;
	for (int i = 0; i < 32; i++)
		monitors[i] = begin("monitor\n");
	say(r.fd, "monitor\nversion\n", 16);
	read_answers(&r, 2);
	assert_memory_equal(r.data, "err 4 too many monitors\nok ", 27);
	/* one leaves, and when that is noticed there is room again */
	assert_int_equal(shutdown(monitors[31].fd, SHUT_WR), 0);
	read_until(&monitors[31], NULL);
	say(r.fd, "monitor\n", 8);
	read_until(&r, HEAD);
	for (int i = 0; i < 32; i++)
		reader_fini(&monitors[i]);
	reader_fini(&r);
}

/* Clients that close or shut down end it; with the last one the log is not listened to. */
static void
test_leave(void **arg)
{
	struct reader a = begin("monitor\n"), b = begin("monitor\n"), c = begin("monitor\n");

	(void)arg;
	reader_fini(&a);
	log_info("one left");
	read_until(&b, "one left");
	assert_int_equal(shutdown(b.fd, SHUT_WR), 0);
	read_until(&b, NULL);
	reader_fini(&b);
	log_info("two left");
	read_until(&c, "two left");
	reader_fini(&c);
	c = begin("monitor\n");
	log_info("a new one");
	read_until(&c, "a new one");
	reader_fini(&c);
}

/* A client that will not hear of the end: it shut its side down before the answer. */
static void
test_shut_before(void **arg)
{
	struct reader r = {.fd = dial()};

	(void)arg;
	say(r.fd, "show connections limit 10000\nmonitor\n", 37);
	shutdown(r.fd, SHUT_WR);
	read_answers(&r, 0);
	assert_true(r.ended);
	log_info("nobody listens");
	reader_fini(&r);
}

/* The daemon stops: what was said last still arrives, then the end. */
static void
test_stop(void **arg)
{
	struct reader r = begin("monitor\n");

	(void)arg;
	log_info("stopping");
	log_info("stopped");
	control_free(t.control);
	t.control = NULL;
	log_info("after the end");
	read_until(&r, NULL);
	assert_int_equal(count_events(&r), 2);
	assert_non_null(strstr(r.data, "\"stopped\""));
	reader_fini(&r);
}

/* A reload that nobody asked for through the socket is known to show errors. */
static void
test_reloaded(void **arg)
{
	struct reader r = {.fd = dial()};

	(void)arg;
	control_reloaded(t.control, "w.conf:1: one\nw.conf:2: two", loop_now(t.loop));
	say(r.fd, "show errors\n", 12);
	read_answers(&r, 1);
	assert_non_null(strstr(r.data, "\"faults\":[\"w.conf:1: one\",\"w.conf:2: two\"]"));
	control_reloaded(t.control, NULL, loop_now(t.loop));
	say(r.fd, "show errors\n", 12);
	read_answers(&r, 2);
	assert_non_null(strstr(r.data, "\"reload\":{\"reloaded\":true,"));
	reader_fini(&r);
}

/* ---- wladmctl's client ---- */

/* Whoever answers at the path says this and hangs up; what the client makes of it. */
static enum client_status
meet_liar(const char *says, size_t len, client_line *handler, unsigned *lines)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status;
	struct client_answer answer;
	enum client_status result;
	pid_t pid;

	strcpy(address.sun_path, t.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int client = accept(fd, NULL, NULL);

		_exit(send(client, says, len, MSG_NOSIGNAL) < 0);
	}
	close(fd);
	result = client_stream(t.path, "monitor", handler, lines, &answer);
	free(answer.text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(unlink(t.path), 0);
	return result;
}

static int
take_all(void *arg, const char *line, size_t len)
{
	unsigned *lines = arg;

	assert_int_equal(strlen(line), len);
	++*lines;
	return 0;
}

static void
test_liars(void **arg)
{
	static char endless[CLIENT_STREAM_LINE_MAX + 10];
	unsigned lines = 0;

	(void)arg;
	control_free(t.control);
	t.control = NULL;
	assert_int_equal(
	    meet_liar("ok stream\na\n\nhalf", 17, take_all, &lines), CLIENT_NO_DAEMON);
	assert_int_equal(lines, 2); /* an empty one is one; the half is none */
	assert_int_equal(meet_liar("ok stream\n", 10, take_all, &lines), CLIENT_NO_DAEMON);
	assert_int_equal(meet_liar("ok str", 6, take_all, &lines), CLIENT_FAILED);
	assert_int_equal(meet_liar("", 0, take_all, &lines), CLIENT_FAILED);
	assert_int_equal(meet_liar("HTTP/1.0 200\n", 13, take_all, &lines), CLIENT_FAILED);
	assert_int_equal(meet_liar("err 4 no\n", 9, take_all, &lines), CLIENT_REFUSED);
	assert_int_equal(lines, 2);
	memset(endless, 'x', sizeof(endless));
	memcpy(endless, HEAD, strlen(HEAD));
	assert_int_equal(meet_liar(endless, sizeof(endless), take_all, &lines), CLIENT_FAILED);
	assert_int_equal(lines, 2);
}

static int
take_two(void *arg, const char *line, size_t len)
{
	unsigned *lines = arg;

	if (strlen(line) != len || strncmp(line, "{\"schema\":1,", 12) != 0)
		_exit(10);
	return ++*lines == 2;
}

static int
child_main(void)
{
	struct client_answer answer;
	unsigned lines = 0;

	if (client_stream(t.path, "monitor loud", take_all, &lines, &answer) != CLIENT_REFUSED)
		return 1;
	free(answer.text);
	/* an answer that ends is none */
	if (client_stream(t.path, "version", take_all, &lines, &answer) != CLIENT_FAILED)
		return 2;
	free(answer.text);
	/* and the other way round */
	if (client_request(t.path, "monitor", &answer) != CLIENT_FAILED || lines != 0)
		return 3;
	free(answer.text);
	if (client_stream(t.path, "monitor", take_two, &lines, &answer) != CLIENT_OK || lines != 2)
		return 4;
	free(answer.text);
	return 0;
}

static void
on_child(void *arg, uint64_t now)
{
	(void)arg;
	(void)now;
	loop_stop(t.loop);
}

static void
on_speak(void *arg, uint64_t now)
{
	struct loop_timer **timer = arg;

	(void)now;
	log_fresh("tick");
	loop_timer_set(*timer, 5 * CLOCK_MILLISECOND);
}

static void
test_client(void **arg)
{
	struct loop_timer *timer = loop_timer_new(t.loop, on_speak, &timer);
	struct loop_signal *child = loop_signal_add(t.loop, SIGCHLD, on_child, NULL);
	int status;
	pid_t pid;

	(void)arg;
	loop_timer_set(timer, CLOCK_MILLISECOND);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_main());
	loop_run(t.loop);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	loop_signal_free(child);
	loop_timer_free(timer);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_events),
	    T(test_levels),
	    T(test_pipelined),
	    T(test_no_idle_limit),
	    T(test_slow),
	    T(test_too_many),
	    T(test_leave),
	    T(test_shut_before),
	    T(test_stop),
	    T(test_reloaded),
	    T(test_client),
	    T(test_liars),
	};
#undef T

	log_open("test", true);
	log_set_level(LOG_LEVEL_INFO);
	return cmocka_run_group_tests_name("control_monitor", tests, NULL, NULL);
}
