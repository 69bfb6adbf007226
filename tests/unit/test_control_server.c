#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "control/listener.h"
#include "control/peer.h"
#include "control_rig.h"

static void
test_one_request(void **arg)
{
	struct reader r = {.fd = dial()};
	struct stat st;

	(void)arg;
	assert_int_equal(stat(t.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	say(r.fd, "version\n", 8);
	read_answers(&r, 1);
	assert_memory_equal(r.data, "ok ", 3);
	assert_non_null(strstr(r.data, "\"site\":\"tokyo\""));
	assert_false(r.ended);
	/* the connection stays for the next one */
	say(r.fd, "nonsense\n", 9);
	read_answers(&r, 2);
	assert_non_null(strstr(r.data, "\nerr 2 unknown command \"nonsense\""));
	reader_fini(&r);
}

/* Many requests at once, more than are read ahead: all are answered, in their order. */
static void
test_pipelined(void **arg)
{
	static const char *const levels[] = {"error", "warn", "info"};
	char requests[600 * 10 + 1] = "", expected[64], *at = requests;
	struct reader r = {.fd = dial()};

	(void)arg;
	for (int i = 0; i < 600; i++)
		at += sprintf(at, "log %s\n", levels[i % 3]);
	say(r.fd, requests, strlen(requests));
	read_answers(&r, 600);
	at = r.data;
	for (int i = 0; i < 600; i++) {
		snprintf(expected, sizeof(expected), "\"level\":\"%s\"}\n", levels[i % 3]);
		at = strstr(at, "\"level\"");
		assert_non_null(at);
		assert_memory_equal(at, expected, strlen(expected));
		at++;
	}
	assert_null(strstr(at, "\"level\""));
	reader_fini(&r);
}

/* Who waits for something to happen keeps nobody waiting, not even two at once. */
static void
test_waiting(void **arg)
{
	struct reader first = {.fd = dial()}, second = {.fd = dial()}, other = {.fd = dial()};
	struct site *osaka;

	(void)arg;
	control_fixture_osaka(&t.f, 100);
	osaka = load_table_site(t.f.parts.load, OSAKA);
	say(first.fd, "probe osaka\nversion\n", 20);
	say(second.fd, "probe osaka\n", 12);
	say(other.fd, "version\n", 8);
	read_answers(&other, 1);
	say(other.fd, "version\n", 8); /* what came before it has been seen as well by now */
	read_answers(&other, 2);
	assert_int_equal(t.probes, 2);
	assert_int_equal(answers(&first), 0);
	osaka->path_answered = osaka->mtu_confirmed = osaka->direct_judged = loop_now(t.loop);
	read_answers(&first, 2);
	assert_non_null(strstr(first.data, "\"answered\":true"));
	read_answers(&second, 1);
	assert_non_null(strstr(second.data, "\"answered\":true"));
	reader_fini(&first);
	reader_fini(&second);
	reader_fini(&other);
}

/* And one that leaves while it waits is gone. */
static void
test_waiting_client_leaves(void **arg)
{
	struct reader gone = {.fd = dial()}, other = {.fd = dial()};

	(void)arg;
	control_fixture_osaka(&t.f, 100);
	say(gone.fd, "probe osaka\n", 12);
	say(other.fd, "version\n", 8);
	read_answers(&other, 1);
	say(other.fd, "version\n", 8);
	read_answers(&other, 2);
	assert_int_equal(t.probes, 1);
	reader_fini(&gone);
	say(other.fd, "version\n", 8);
	read_answers(&other, 3);
	reader_fini(&other);
}

/* A client that shuts its side down after the requests still gets the answers, then the end. */
static void
test_shutdown_then_answers(void **arg)
{
	struct reader r = {.fd = dial()};

	(void)arg;
	say(r.fd, "version\nshow counters\nhelp\nhal", 30);
	assert_int_equal(shutdown(r.fd, SHUT_WR), 0);
	read_answers(&r, 0);
	assert_true(r.ended);
	assert_int_equal(answers(&r), 3);
	reader_fini(&r);
}

static void
test_oversized_line(void **arg)
{
	char line[CONTROL_LINE_MAX + 1];
	struct reader r = {.fd = dial()};

	(void)arg;
	memset(line, 'x', sizeof(line));
	say(r.fd, "version\n", 8);
	say(r.fd, line, sizeof(line));
	read_answers(&r, 0);
	assert_true(r.ended);
	assert_int_equal(answers(&r), 2);
	assert_non_null(strstr(r.data, "\nerr 2 request longer than 1024 octets\n"));
	reader_fini(&r);
}

/* With its newline, and requests behind it: they are not answered. */
static void
test_oversized_whole_line(void **arg)
{
	char line[CONTROL_LINE_MAX + 2];
	struct reader r = {.fd = dial()};

	(void)arg;
	memset(line, ' ', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	say(r.fd, line, sizeof(line));
	say(r.fd, "version\nversion\n", 16);
	read_answers(&r, 0);
	assert_true(r.ended);
	assert_string_equal(r.data, "err 2 request longer than 1024 octets\n");
	reader_fini(&r);
}

static void
test_longest_line(void **arg)
{
	char line[CONTROL_LINE_MAX + 1];
	struct reader r = {.fd = dial()};

	(void)arg;
	memset(line, ' ', sizeof(line));
	memcpy(line, "version", 7);
	line[CONTROL_LINE_MAX] = '\n';
	say(r.fd, line, sizeof(line));
	say(r.fd, "version\n", 8);
	read_answers(&r, 2);
	assert_memory_equal(r.data, "ok ", 3);
	reader_fini(&r);
}

static void
test_binary(void **arg)
{
	char noise[256];
	struct reader r = {.fd = dial()};

	(void)arg;
	for (int i = 0; i < 256; i++)
		noise[i] = (char)i;
	say(r.fd, noise, sizeof(noise)); /* holds one newline, and a half line after it */
	say(r.fd, "\nversion\n", 9);
	read_answers(&r, 3);
	assert_memory_equal(r.data, "err 2 request holds octets that are not text\nerr 2 ", 51);
	assert_non_null(strstr(r.data, "\nok "));
	reader_fini(&r);
}

static void
test_half_line_then_close(void **arg)
{
	struct reader r = {.fd = dial()};
	int half = dial();

	(void)arg;
	say(half, "show sum", 8);
	close(half);
	say(r.fd, "version\n", 8);
	read_answers(&r, 1);
	assert_int_equal(answers(&r), 1);
	reader_fini(&r);
}

/* A request comes octet by octet. */
static void
test_trickle(void **arg)
{
	const char *text = "version\n";
	struct reader r = {.fd = dial()}, other = {.fd = dial()};

	(void)arg;
	for (size_t i = 0; i < strlen(text); i++) {
		say(r.fd, text + i, 1);
		say(other.fd, text, 8);
		read_answers(&other, i + 1); /* the loop turns in between */
	}
	read_answers(&r, 1);
	assert_memory_equal(r.data, "ok ", 3);
	reader_fini(&r);
	reader_fini(&other);
}

/* 64 are served; the 65th is told so; when one leaves there is room again. */
static void
test_many_clients(void **arg)
{
	struct reader clients[64], late;

	(void)arg;
	memset(clients, 0, sizeof(clients));
	for (int i = 0; i < 64; i++) {
		clients[i].fd = dial();
		say(clients[i].fd, "version\n", 8);
	}
	for (int i = 0; i < 64; i++)
		read_answers(&clients[i], 1);
	late = (struct reader){.fd = dial()};
	read_answers(&late, 0);
	assert_string_equal(late.data, "err 4 too many clients\n");
	reader_fini(&late);
	close(clients[0].fd);
	/* the loop notices that one left before it accepts the next */
	say(clients[1].fd, "version\n", 8);
	read_answers(&clients[1], 2);
	late = (struct reader){.fd = dial()};
	say(late.fd, "version\n", 8);
	read_answers(&late, 1);
	assert_memory_equal(late.data, "ok ", 3);
	reader_fini(&late);
	free(clients[0].data);
	for (int i = 1; i < 64; i++)
		reader_fini(&clients[i]);
}

/* An answer of megabytes, made in slices, to several at once and to one that never reads. */
static void
test_large_answers(void **arg)
{
	const char *line = "show connections limit 10000\n";
	struct reader clients[4];
	struct reader quick = {.fd = dial()};
	int lazy = dial();

	(void)arg;
	for (unsigned i = 0; i < 20000; i++)
		control_fixture_connect(
		    &t.f, 1 + i / 10000, (uint16_t)(2000 + i % 10000), i % 2 == 0);
	memset(clients, 0, sizeof(clients));
	for (int i = 0; i < 50; i++)
		say(lazy, line, strlen(line));
	for (int i = 0; i < 4; i++) {
		clients[i].fd = dial();
		say(clients[i].fd, line, strlen(line));
	}
	say(quick.fd, "version\n", 8);
	read_answers(&quick, 1);
	for (int i = 0; i < 4; i++) {
		read_answers(&clients[i], 1);
		assert_true(clients[i].len > 1000000);
		assert_non_null(strstr(clients[i].data, "\"listed\":10000,\"truncated\":true"));
		reader_fini(&clients[i]);
	}
	reader_fini(&quick);
	close(lazy);
}

/*
 * All connections, in pieces: whole for those who read, while others are answered; one that does not
 * read is sent no more than fits its socket and a piece, and goes on later where it was.
 */
static void
test_pieces(void **arg)
{
	const char *line = "show connections\nversion\n";
	struct reader reads[3], late = {.fd = dial()}, quick = {.fd = dial()};

	(void)arg;
	for (unsigned i = 0; i < 30000; i++)
		control_fixture_connect(
		    &t.f, 1 + i / 10000, (uint16_t)(2000 + i % 10000), i % 2 == 0);
	say(late.fd, line, strlen(line));
	memset(reads, 0, sizeof(reads));
	for (int i = 0; i < 3; i++) {
		reads[i].fd = dial();
		say(reads[i].fd, line, strlen(line));
	}
	for (size_t i = 1; i <= 5; i++) {
		say(quick.fd, "version\n", 8);
		read_answers(&quick, i);
	}
	for (int i = 0; i < 3; i++) {
		read_answers(&reads[i], 2);
		assert_memory_equal(reads[i].data, "ok pieces\n", 10);
		assert_non_null(strstr(reads[i].data, "],\"listed\":30000,\"truncated\":false"));
		assert_true(reads[i].len > 30000 * 100);
		reader_fini(&reads[i]);
	}
	read_answers(&late, 2);
	assert_non_null(strstr(late.data, "],\"listed\":30000,\"truncated\":false"));
	reader_fini(&late);
	reader_fini(&quick);
}

/* Whoever closes ends it: nothing is left running, and nothing is kept. */
static void
test_pieces_left(void **arg)
{
	struct reader quick = {.fd = dial()};

	(void)arg;
	for (unsigned i = 0; i < 30000; i++)
		control_fixture_connect(
		    &t.f, 1 + i / 10000, (uint16_t)(2000 + i % 10000), i % 2 == 0);
	for (size_t i = 1; i <= 200; i++) {
		int fd = dial(); /* more than there can be at a time */
		char octet;

		say(fd, "show connections\n", 17);
		say(quick.fd, "version\n", 8);
		read_answers(&quick, i);
		recv(fd, &octet, 1, 0);
		close(fd);
	}
	reader_fini(&quick);
}

/* It may take a while to read on, as with a pager, but not for ever. */
static void
test_pieces_never_read(void **arg)
{
	struct reader r = {.fd = -1};
	size_t size;

	(void)arg;
	for (unsigned i = 0; i < 30000; i++)
		control_fixture_connect(
		    &t.f, 1 + i / 10000, (uint16_t)(2000 + i % 10000), i % 2 == 0);
	control_set_idle(t.control, 0.01);
	r.fd = dial();
	say(r.fd, "show connections\n", 17);
	t.probes = 0;
	loop_timer_set(t.timeout, CLOCK_SECOND / 2); /* ends the loop */
	loop_run(t.loop);
	t.timed_out = false;
	loop_timer_set(t.timeout, TEST_TIMEOUT);
	read_answers(&r, 0); /* what was on its way, and the end */
	size = r.len;
	assert_true(r.ended);
	assert_in_range(size, 1000, 2000000);
	assert_int_equal(answers(&r), 0);
	reader_fini(&r);
}

/* Clients that go away while their request runs. */
static void
test_leave_early(void **arg)
{
	struct reader r = {.fd = dial()};

	(void)arg;
	for (unsigned i = 0; i < 20000; i++)
		control_fixture_connect(&t.f, 1 + i / 10000, (uint16_t)(2000 + i % 10000), false);
	for (int i = 0; i < 20; i++) {
		int fd = dial();

		say(fd, "show connections limit 10000\nversion\n", 37);
		close(fd);
	}
	say(r.fd, "version\n", 8);
	read_answers(&r, 1);
	say(r.fd, "show connections kind transferred\n", 34);
	read_answers(&r, 2);
	reader_fini(&r);
}

/* Let go after a time without traffic; one whose answer is still under way is not. */
static void
test_idle(void **arg)
{
	struct reader idle, busy;

	(void)arg;
	control_set_idle(t.control, 0.05);
	idle = (struct reader){.fd = dial()};
	read_answers(&idle, 0);
	assert_true(idle.ended);
	assert_int_equal(idle.len, 0);
	reader_fini(&idle);
	busy = (struct reader){.fd = dial()};
	say(busy.fd, "version\n", 8);
	read_answers(&busy, 1);
	read_answers(&busy, 0);
	assert_int_equal(answers(&busy), 1);
	reader_fini(&busy);
}

static struct control *
second(char *error, size_t size)
{
	struct control *control = control_new(&t.f.parts, error, size);

	if (control != NULL)
		fail_msg("a second server took the socket");
	return control;
}

static void
test_live_socket_refused(void **arg)
{
	char error[256] = "";
	struct reader r = {.fd = dial()};

	(void)arg;
	second(error, sizeof(error));
	assert_non_null(strstr(error, "a daemon answers at"));
	/* and the first one goes on */
	say(r.fd, "version\n", 8);
	read_answers(&r, 1);
	reader_fini(&r);
}

static void
test_stale_socket_replaced(void **arg)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char error[256] = "";
	struct reader r = {0};
	int fd;

	(void)arg;
	control_free(t.control);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, t.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* the file stays */
	assert_int_equal(access(t.path, F_OK), 0);
	t.control = control_new(&t.f.parts, error, sizeof(error));
	if (t.control == NULL)
		fail_msg("%s", error);
	r.fd = dial();
	say(r.fd, "version\n", 8);
	read_answers(&r, 1);
	reader_fini(&r);
}

/* What is no socket is somebody's file. */
static void
test_other_file_left_alone(void **arg)
{
	char error[256] = "";
	int fd;

	(void)arg;
	control_free(t.control);
	t.control = NULL;
	fd = open(t.path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	second(error, sizeof(error));
	assert_non_null(strstr(error, "is no socket"));
	assert_int_equal(unlink(t.path), 0);
	assert_int_equal(symlink("/nonexistent", t.path), 0);
	second(error, sizeof(error));
	assert_non_null(strstr(error, "is no socket"));
	assert_int_equal(unlink(t.path), 0);
}

static void
test_impossible_paths(void **arg)
{
	struct listener listener;
	char error[256], path[200];

	(void)arg;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(listener_open(&listener, path, "", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "octets"));
	assert_int_equal(listener_open(&listener, "", "", error, sizeof(error)), -1);
	snprintf(path, sizeof(path), "%s/a/b/c.sock", t.directory);
	assert_int_equal(listener_open(&listener, path, "", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "No such file"));
	snprintf(path, sizeof(path), "%s/c.sock", t.path);
	assert_int_equal(listener_open(&listener, path, "", error, sizeof(error)), -1);
}

/* A daemon that stops does not take the socket of its successor away. */
static void
test_only_own_file_removed(void **arg)
{
	struct listener first, next;
	char error[256], path[128];

	(void)arg;
	snprintf(path, sizeof(path), "%s/other.sock", t.directory);
	assert_int_equal(listener_open(&first, path, "nosuchgroup", error, sizeof(error)), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(listener_open(&next, path, "", error, sizeof(error)), 0);
	listener_close(&first);
	assert_int_equal(access(path, F_OK), 0);
	listener_close(&next);
	assert_int_equal(access(path, F_OK), -1);
	listener_close(&next);
}

static void
test_peer(void **arg)
{
	uint32_t uid = 12345;
	int pair[2], file;

	(void)arg;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(peer_uid(pair[0], &uid), 0);
	assert_int_equal(uid, geteuid());
	close(pair[0]);
	close(pair[1]);
	file = open("/dev/null", O_RDONLY);
	assert_int_equal(peer_uid(file, &uid), -1);
	close(file);
}

/* The daemon's own user may change, whoever that is. */
static void
test_own_user_may_change(void **arg)
{
	struct reader r = {.fd = dial()};

	(void)arg;
	say(r.fd, "server web/a drain\n", 19);
	read_answers(&r, 1);
	assert_memory_equal(r.data, "ok ", 3);
	assert_int_equal(load_table_server(t.f.parts.load, WEB_A)->admin, SERVER_DRAINING);
	reader_fini(&r);
}

/* A stranger may look and not change.  Only root can become one: others skip this. */
static void
test_stranger(void **arg)
{
	struct reader r = {0};

	(void)arg;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(t.path, 0666), 0);
	assert_int_equal(chmod(t.directory, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	r.fd = dial(); /* the kernel keeps who connected */
	assert_int_equal(seteuid(0), 0);
	say(r.fd, "server web/a drain\nversion\n", 27);
	read_answers(&r, 2);
	assert_memory_equal(r.data, "err 1 server is for root and the daemon's user\nok ", 50);
	assert_int_equal(load_table_server(t.f.parts.load, WEB_A)->admin, SERVER_ENABLED);
	reader_fini(&r);
}

/* wladmctl's own client against nobody, a liar, and one who hangs up. */
static void
test_client_parse(void **arg)
{
	static const struct {
		const char *text;
		int kind;
		size_t body;
	} cases[] = {
	    {"", 0, 0},
	    {"o", 0, 0},
	    {"ok 12", 0, 0},
	    {"ok 12\n", 1, 12},
	    {"ok 0\n{}", 1, 0},
	    {"err 2 no\n", 2, 0},
	    {"ok \n", -1, 0},
	    {"ok x\n", -1, 0},
	    {"ok -1\n", -1, 0},
	    {"ok 1 \n", -1, 0},
	    {"ok 99999999999999999999999999\n", -1, 0},
	    {"ok 67108865\n", -1, 0},
	    {"ok 67108864\n", 1, 67108864},
	    {"HTTP/1.0 200\n", -1, 0},
	    {"\n", -1, 0},
	    {"err\n", -1, 0},
	    {"ok stream\n", 3, 0},
	    {"ok stream", 0, 0},
	    {"ok stream\n{}\n", 3, 0},
	    {"ok streams\n", -1, 0},
	    {"ok stream \n", -1, 0},
	    {"ok pieces\n", 4, 0},
	    {"ok pieces", 0, 0},
	    {"ok piece\n", -1, 0},
	};
	char endless[2000];
	size_t head, body;

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    client_parse_head(cases[i].text, strlen(cases[i].text), &head, &body),
		    cases[i].kind);
		if (cases[i].kind > 0)
			assert_int_equal(body, cases[i].body);
	}
	memset(endless, 'o', sizeof(endless));
	assert_int_equal(client_parse_head(endless, sizeof(endless), &head, &body), -1);
}

static void
test_client_no_daemon(void **arg)
{
	struct client_answer answer;
	char path[200];

	(void)arg;
	snprintf(path, sizeof(path), "%s/none", t.directory);
	assert_int_equal(client_request(path, "version", &answer), CLIENT_NO_DAEMON);
	assert_non_null(strstr(answer.text, "no daemon at"));
	free(answer.text);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(client_request(path, "version", &answer), CLIENT_FAILED);
	free(answer.text);
}

/* The whole way: wladmctl's client in a child process against the server. */
static void
on_child(void *arg, uint64_t now)
{
	(void)arg;
	(void)now;
	loop_stop(t.loop);
}

struct got {
	unsigned calls, most; /* pieces; as many are wanted, 0: all */
	unsigned lines;
};

static int
on_piece(void *arg, const char *data, size_t len)
{
	struct got *got = arg;

	got->calls++;
	for (size_t i = 0; i < len; i++)
		got->lines += data[i] == '\n';
	return got->most != 0 && got->calls > got->most;
}

static int
child_main(void)
{
	struct client_answer answer;
	struct got got = {.most = 0};

	if (client_request(t.path, "show connections limit 1000", &answer) != CLIENT_OK)
		return 1;
	if (strstr(answer.text, "\"listed\":1000,\"truncated\":true") == NULL ||
	    strlen(answer.text) != answer.len)
		return 2;
	free(answer.text);
	if (client_listing(t.path, "show connections", on_piece, &got, &answer) != CLIENT_OK ||
	    !answer.pieces || got.calls < 10 || got.lines != 5002)
		return 5;
	free(answer.text);
	got.most = got.calls = 2;
	if (client_listing(t.path, "show connections", on_piece, &got, &answer) != CLIENT_OK ||
	    got.calls != 3)
		return 6;
	free(answer.text);
	if (client_request(t.path, "show connections", &answer) != CLIENT_FAILED)
		return 7;
	free(answer.text);
	if (client_request(t.path, "nonsense", &answer) != CLIENT_REFUSED)
		return 3;
	if (strncmp(answer.text, "2 unknown command", 17) != 0 ||
	    strchr(answer.text, '\n') != NULL)
		return 4;
	free(answer.text);
	return 0;
}

static void
test_client_against_server(void **arg)
{
	struct loop_signal *child = loop_signal_add(t.loop, SIGCHLD, on_child, NULL);
	int status;
	pid_t pid;

	(void)arg;
	for (unsigned i = 0; i < 5000; i++)
		control_fixture_connect(&t.f, 1, (uint16_t)(2000 + i), false);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_main());
	loop_run(t.loop);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	loop_signal_free(child);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_one_request),
	    T(test_pipelined),
	    T(test_waiting),
	    T(test_waiting_client_leaves),
	    T(test_shutdown_then_answers),
	    T(test_oversized_line),
	    T(test_oversized_whole_line),
	    T(test_longest_line),
	    T(test_binary),
	    T(test_half_line_then_close),
	    T(test_trickle),
	    T(test_many_clients),
	    T(test_large_answers),
	    T(test_pieces),
	    T(test_pieces_left),
	    T(test_pieces_never_read),
	    T(test_leave_early),
	    T(test_idle),
	    T(test_live_socket_refused),
	    T(test_stale_socket_replaced),
	    T(test_other_file_left_alone),
	    T(test_impossible_paths),
	    T(test_only_own_file_removed),
	    T(test_peer),
	    T(test_own_user_may_change),
	    T(test_stranger),
	    cmocka_unit_test(test_client_parse),
	    T(test_client_no_daemon),
	    T(test_client_against_server),
	};
#undef T

	log_open("test", true);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("control_server", tests, NULL, NULL);
}
