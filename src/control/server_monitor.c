/*
 * server_monitor: lines of the log to the clients that monitor.
 *
 * The log has one hook; it is set while there is somebody to tell.  A line is logged from
 * anywhere, in any thread: the hook only keeps it until the loop, woken by a pipe, hands it on.
 * What is told waits in the client's buffer up to a limit; one that does not read loses lines
 * and is told how many, so that it costs neither memory nor time.
 */
#include "control/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "base/xalloc.h"
#include "control/event.h"

#define PENDING_MAX 65536 /* octets that may wait for a client */
#define LOST_ROOM   256   /* of these, for the line that says how many were lost */
#define LINES_MAX   1024  /* lines that may wait for the loop */

struct line {
	STAILQ_ENTRY(line) entry;
	uint64_t at; /* milliseconds since 1970 */
	enum log_level level;
	char text[];
};

STAILQ_HEAD(lines, line);

struct monitor_lines {
	struct loop_fd *woken;
	int wake[2];           /* a pipe */
	pthread_mutex_t mutex; /* of the rest */
	struct lines waiting;
	unsigned count;
	uint64_t lost; /* there was no room for them */
};

static uint64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
tell_lost(struct client *client, struct evbuffer *output)
{
	char line[64];
	struct json json;

	snprintf(line, sizeof(line), "monitor is too slow lost=%llu",
	    (unsigned long long)client->lost);
	json_init(&json);
	event_json(&json, LOG_LEVEL_WARN, line, wall_ms());
	if (evbuffer_add(output, json.data, json.len) == 0)
		client->lost = 0;
	json_fini(&json);
}

static void
tell(struct client *client, const struct json *json)
{
	struct evbuffer *output = bufferevent_get_output(client->bev);
	size_t room = PENDING_MAX - LOST_ROOM, pending = evbuffer_get_length(output);

	if (pending > room || json->len > room - pending) {
		client->lost++;
		return;
	}
	if (client->lost > 0)
		tell_lost(client, output);
	if (evbuffer_add(output, json->data, json->len) != 0)
		client->lost++;
}

/* ---- from the log to the loop ---- */

/* A pipe that is full wakes as well. */
static void
wake(struct monitor_lines *lines)
{
	ssize_t n;

	do
		n = write(lines->wake[1], "", 1);
	while (n == -1 && errno == EINTR);
}

static void
on_log(void *arg, enum log_level level, const char *text)
{
	struct monitor_lines *lines = arg;
	struct line *line = NULL;
	size_t size = strlen(text) + 1;

	pthread_mutex_lock(&lines->mutex);
	if (lines->count < LINES_MAX)
		line = malloc(sizeof(*line) + size);
	if (line == NULL) {
		lines->lost++;
	} else {
		line->at = wall_ms();
		line->level = level;
		memcpy(line->text, text, size);
		STAILQ_INSERT_TAIL(&lines->waiting, line, entry);
		lines->count++;
	}
	if (lines->count <= 1)
		wake(lines);
	pthread_mutex_unlock(&lines->mutex);
}

/* All that wait, and how many were lost behind them. */
static struct lines
take_lines(struct monitor_lines *lines, uint64_t *lost)
{
	struct lines taken = STAILQ_HEAD_INITIALIZER(taken);

	pthread_mutex_lock(&lines->mutex);
	STAILQ_CONCAT(&taken, &lines->waiting);
	lines->count = 0;
	*lost = lines->lost;
	lines->lost = 0;
	pthread_mutex_unlock(&lines->mutex);
	return taken;
}

static void
tell_all(struct control *control, const struct line *line)
{
	struct client *client;
	struct json json;

	json_init(&json);
	event_json(&json, line->level, line->text, line->at);
	TAILQ_FOREACH (client, &control->clients, entry)
		if (client->monitor && line->level <= client->level)
			tell(client, &json);
	json_fini(&json);
}

static void
hand_on(struct control *control)
{
	struct client *client;
	struct lines taken;
	struct line *line;
	uint64_t lost;

	if (control->lines == NULL)
		return;
	taken = take_lines(control->lines, &lost);
	while ((line = STAILQ_FIRST(&taken)) != NULL) {
		STAILQ_REMOVE_HEAD(&taken, entry);
		tell_all(control, line);
		free(line);
	}
	TAILQ_FOREACH (client, &control->clients, entry)
		if (client->monitor)
			client->lost += lost;
}

static void
on_woken(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	char octets[16];

	(void)readable;
	(void)writable;
	(void)now;
	while (read(fd, octets, sizeof(octets)) > 0)
		continue;
	hand_on(arg);
}

static void
lines_free(struct monitor_lines *lines)
{
	struct line *line;

	loop_fd_free(lines->woken);
	close(lines->wake[0]);
	close(lines->wake[1]);
	while ((line = STAILQ_FIRST(&lines->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&lines->waiting, entry);
		free(line);
	}
	pthread_mutex_destroy(&lines->mutex);
	free(lines);
}

/* Without a pipe nobody is told anything. */
static void
start_telling(struct control *control)
{
	struct monitor_lines *lines = xcalloc(1, sizeof(*lines));

	if (pipe2(lines->wake, O_NONBLOCK | O_CLOEXEC) == -1) {
		log_warn("monitors cannot be told");
		free(lines);
		return;
	}
	pthread_mutex_init(&lines->mutex, NULL);
	STAILQ_INIT(&lines->waiting);
	lines->woken =
	    loop_fd_add(control->parts.loop, lines->wake[0], true, false, on_woken, control);
	control->lines = lines;
	log_set_hook(on_log, lines);
}

static void
stop_telling(struct control *control)
{
	log_set_hook(NULL, NULL);
	if (control->lines != NULL)
		lines_free(control->lines);
	control->lines = NULL;
}

/* ---- the clients ---- */

void
monitor_advance(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->bev);
	struct evbuffer *output = bufferevent_get_output(client->bev);

	evbuffer_drain(input, evbuffer_get_length(input));
	if (client->lost > 0 && evbuffer_get_length(output) == 0)
		tell_lost(client, output);
}

void
monitor_begin(struct client *client, enum log_level level)
{
	client->monitor = true;
	client->level = level;
	bufferevent_set_timeouts(client->bev, NULL, NULL);
	monitor_advance(client); /* of what it asked in the same breath */
	if (client->control->monitors_count++ == 0)
		start_telling(client->control);
}

void
monitor_end(struct client *client)
{
	if (!client->monitor)
		return;
	client->monitor = false;
	if (--client->control->monitors_count == 0)
		stop_telling(client->control);
}

void
monitor_flush(struct control *control)
{
	struct client *client;

	hand_on(control);
	TAILQ_FOREACH (client, &control->clients, entry) {
		struct evbuffer *output = bufferevent_get_output(client->bev);

		if (!client->monitor || evbuffer_get_length(output) == 0)
			continue;
		evbuffer_unfreeze(output, 1); /* the buffered socket held its front */
		evbuffer_write(output, bufferevent_getfd(client->bev));
	}
}
