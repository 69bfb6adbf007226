/*
 * control_rig: a control server with its loop, and clients of it, for tests of the socket.
 */
#ifndef WLAD_TESTS_CONTROL_RIG_H
#define WLAD_TESTS_CONTROL_RIG_H

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "control_fixture.h"
#include "wladmctl/client.h"

#define TEST_TIMEOUT (20 * CLOCK_SECOND) /* of a whole test: only a fault takes that long */

static struct {
	struct control_fixture f;
	struct loop *loop;
	struct loop_timer *timeout;
	struct control *control;
	char directory[64], path[128];
	bool timed_out;
	unsigned probes; /* that were asked for */
} t;

static inline void
on_timeout(void *arg, uint64_t now)
{
	(void)arg;
	(void)now;
	t.timed_out = true;
	loop_stop(t.loop);
}

/* Nothing comes of it by itself: tests say when. */
static inline void
count_probe(void *arg, uint32_t site)
{
	(void)site;
	++*(unsigned *)arg;
}

static inline int
setup(void **arg)
{
	char error[256] = "";

	(void)arg;
	memset(&t, 0, sizeof(t));
	strcpy(t.directory, "/tmp/wlad-test-XXXXXX");
	assert_non_null(mkdtemp(t.directory));
	snprintf(t.path, sizeof(t.path), "%s/run/wlad.sock", t.directory);
	control_fixture_init(&t.f, SITE_TEXT, 131072);
	free(t.f.config->control.socket);
	free(t.f.config->control.group);
	t.f.config->control.socket = xstrdup(t.path);
	t.f.config->control.group = xstrdup("");
	t.loop = loop_new();
	t.f.parts.loop = t.loop;
	t.f.parts.probe = count_probe;
	t.f.parts.probe_arg = &t.probes;
	t.timeout = loop_timer_new(t.loop, on_timeout, NULL);
	loop_timer_set(t.timeout, TEST_TIMEOUT);
	t.control = control_new(&t.f.parts, error, sizeof(error));
	if (t.control == NULL)
		fail_msg("%s", error);
	return 0;
}

static inline int
teardown(void **arg)
{
	char run[128];

	(void)arg;
	control_free(t.control);
	loop_timer_free(t.timeout);
	loop_free(t.loop);
	control_fixture_fini(&t.f);
	assert_int_equal(access(t.path, F_OK), -1);
	snprintf(run, sizeof(run), "%s/run", t.directory);
	rmdir(run);
	assert_int_equal(rmdir(t.directory), 0);
	assert_false(t.timed_out);
	return 0;
}

static inline int
dial_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline int
dial(void)
{
	return dial_path(t.path);
}

static inline void
say(int fd, const char *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

/* What a client has received so far; reads from within the loop. */
struct reader {
	int fd;
	char *data;
	size_t len, size;
	bool ended;     /* the daemon closed */
	size_t stop_at; /* answers after which the loop stops; 0: at the end */
};

/* How many octets pieces take, up to the one without any; 0 if that has not come. */
static inline size_t
pieces_len(const char *data, size_t len)
{
	const char *end;

	for (size_t at = 0; (end = memchr(data + at, '\n', len - at)) != NULL;) {
		size_t body = strtoul(data + at, NULL, 10);

		at = (size_t)(end - data) + 1 + body;
		if (at > len)
			break;
		if (body == 0)
			return at;
	}
	return 0;
}

/* How many whole answers there are. */
static inline size_t
answers(const struct reader *r)
{
	size_t count = 0, at = 0, head, body;

	while (at < r->len) {
		int kind = client_parse_head(r->data + at, r->len - at, &head, &body);

		assert_int_not_equal(kind, -1);
		if (kind == 4)
			body = pieces_len(r->data + at + head, r->len - at - head);
		if (kind == 0 || r->len - at < head + body || (kind == 4 && body == 0))
			break;
		at += head + body;
		count++;
	}
	return count;
}

static inline void
on_reader(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct reader *r = arg;
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
	if (r->ended || (r->stop_at > 0 && answers(r) >= r->stop_at))
		loop_stop(t.loop);
}

/* Runs the loop until that many answers came, or the daemon closed. */
static inline void
read_answers(struct reader *r, size_t count)
{
	struct loop_fd *event = loop_fd_add(t.loop, r->fd, true, false, on_reader, r);

	r->stop_at = count;
	loop_run(t.loop);
	loop_fd_free(event);
	assert_false(t.timed_out);
}

static inline void
reader_fini(struct reader *r)
{
	close(r->fd);
	free(r->data);
}

#endif
