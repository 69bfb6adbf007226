/*
 * server: the control socket's clients.
 *
 * One request of a client at a time, in order; the next one starts when the answer of the
 * last is written, so that a client that does not read costs one answer of memory and no
 * time; of an answer that is sent in pieces, one of them, and it goes on when that was read.
 * Requests that take long run in slices, one a turn of the loop, and those that wait look again
 * after a while.  A client that monitors asks nothing more: server_monitor.c.
 */
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "control/peer.h"
#include "control/server_internal.h"

#define INPUT_MAX    (4 * CONTROL_LINE_MAX) /* octets read ahead */
#define IDLE_SECONDS 30.0
#define PATIENCE     20 /* times as long a client may take to go on reading an answer in pieces */
#define TOO_MANY     "err 4 too many clients\n"

static void
client_free(struct client *client)
{
	monitor_end(client);
	TAILQ_REMOVE(&client->control->clients, client, entry);
	client->control->clients_count--;
	request_free(client->request);
	bufferevent_free(client->bev);
	free(client);
}

static void
free_answer(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	free(arg);
}

static void
client_write(struct client *client, char *text, size_t len)
{
	if (evbuffer_add_reference(
		bufferevent_get_output(client->bev), text, len, free_answer, text) < 0)
		free(text);
}

static bool
client_is_behind(const struct client *client)
{
	return evbuffer_get_length(bufferevent_get_output(client->bev)) > 0;
}

/* Whoever looks at a long answer with a pager is not idle. */
static void
client_timeouts(struct client *client, double patience)
{
	struct timeval tv[2];
	double seconds[2] = {client->control->idle, client->control->idle * patience};

	for (int i = 0; i < 2; i++) {
		tv[i].tv_sec = (time_t)seconds[i];
		tv[i].tv_usec = (suseconds_t)((seconds[i] - (double)tv[i].tv_sec) * 1e6);
	}
	bufferevent_set_timeouts(client->bev, &tv[0], &tv[1]);
}

/* What there is so far of an answer that is sent so. */
static void
client_piece(struct client *client)
{
	struct request *request = client->request;
	size_t len;
	char *piece;

	if (!request->pieces || request->json.len == 0)
		return;
	if (!request->taken)
		client_timeouts(client, PATIENCE);
	piece = request_piece(request, &len);
	client_write(client, piece, len);
}

/* Hands the answer of the finished request over to the socket. */
static void
client_answer(struct client *client)
{
	struct request *request = client->request;
	enum log_level level = request->stream_level;
	bool stream;
	char *answer;
	size_t len;

	if (request->stream && client->control->monitors_count >= MONITORS_MAX)
		request_fail(request, CONTROL_FAILED, "too many monitors");
	answer = request_answer(request, &len);
	stream = request->error == 0 && request->stream && !client->no_more;
	if (request->taken)
		client_timeouts(client, 1);
	request_free(request);
	client->request = NULL;
	client_write(client, answer, len);
	if (stream)
		monitor_begin(client, level);
}

/* What stands after a line that is too long cannot be told from requests: nothing more is taken. */
static void
client_refuse_rest(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->bev);

	client->no_more = true;
	bufferevent_disable(client->bev, EV_READ);
	evbuffer_drain(input, evbuffer_get_length(input));
}

/* Takes the next whole line as a request.  Returns false if there is none. */
static bool
client_next(struct client *client)
{
	struct control *control = client->control;
	struct evbuffer *input = bufferevent_get_input(client->bev);
	size_t len;
	char *line = evbuffer_readln(input, &len, EVBUFFER_EOL_LF);

	if (line == NULL && evbuffer_get_length(input) <= CONTROL_LINE_MAX)
		return false;
	if (line == NULL)
		len = evbuffer_get_length(input);
	client->request =
	    request_new(&control->parts, line, len, client->uid, client->may_change);
	free(line);
	if (len > CONTROL_LINE_MAX)
		client_refuse_rest(client);
	return true;
}

/* True if its request is to go on, now or later. */
static bool
client_is_working(const struct client *client)
{
	return client->request != NULL && !client_is_behind(client);
}

/* The timer is for whoever is to go on first. */
static void
arm_work(struct control *control, uint64_t now)
{
	struct client *client;
	uint64_t first = UINT64_MAX;

	TAILQ_FOREACH (client, &control->clients, entry)
		if (client_is_working(client) && client->request->wake < first)
			first = client->request->wake;
	if (first != UINT64_MAX)
		loop_timer_set(control->work, first > now ? first - now : 0);
}

/* Goes on with a client as far as it gets without waiting; may free it. */
static void
client_advance(struct client *client)
{
	struct control *control = client->control;
	uint64_t now = loop_now(control->parts.loop);

	if (client->monitor) {
		monitor_advance(client);
		return;
	}
	if (client_is_behind(client))
		return; /* on_written() comes back */
	if (client->request == NULL && !client_next(client)) {
		if (client->no_more)
			client_free(client);
		return;
	}
	if (request_run(client->request, now)) {
		client_answer(client);
	} else {
		client_piece(client);
		arm_work(control, now);
	}
}

/* One slice of one request; whoever had its turn goes to the end. */
static void
on_work(void *arg, uint64_t now)
{
	struct control *control = arg;
	struct client *client;

	TAILQ_FOREACH (client, &control->clients, entry) {
		if (!client_is_working(client) || client->request->wake > now)
			continue;
		TAILQ_REMOVE(&control->clients, client, entry);
		TAILQ_INSERT_TAIL(&control->clients, client, entry);
		client_advance(client);
		break;
	}
	arm_work(control, now);
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;
	struct loop *loop = client->control->parts.loop;

	(void)bev;
	loop_enter(loop);
	if (client->request == NULL)
		client_advance(client);
	loop_leave(loop);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;
	struct loop *loop = client->control->parts.loop;

	(void)bev;
	loop_enter(loop);
	if (client->request != NULL) /* it waits for its turn */
		arm_work(client->control, loop_now(loop));
	else
		client_advance(client);
	loop_leave(loop);
}

static void
client_event(struct client *client, short what)
{
	bool busy = client->request != NULL || client_is_behind(client);

	if (client->monitor) {
		client_free(client); /* its answer has no end but this */
	} else if ((what & BEV_EVENT_EOF) != 0) {
		/* it may have shut down its side only: what it asked is still answered */
		client->no_more = true;
		if (!busy)
			client_advance(client);
	} else if ((what & BEV_EVENT_TIMEOUT) != 0 && (what & BEV_EVENT_READING) != 0 && busy) {
		/* it waits for us, not we for it */
		bufferevent_enable(client->bev, EV_READ);
	} else {
		client_free(client);
	}
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;
	struct loop *loop = client->control->parts.loop;

	(void)bev;
	loop_enter(loop);
	client_event(client, what);
	loop_leave(loop);
}

static void
client_new(struct control *control, evutil_socket_t fd, uint32_t uid)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->control = control;
	client->uid = uid;
	client->may_change = uid == 0 || uid == (uint32_t)geteuid();
	client->bev =
	    bufferevent_socket_new(loop_base(control->parts.loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (client->bev == NULL) {
		close(fd);
		free(client);
		return;
	}
	TAILQ_INSERT_TAIL(&control->clients, client, entry);
	control->clients_count++;
	bufferevent_setcb(client->bev, on_readable, on_written, on_event, client);
	bufferevent_setwatermark(client->bev, EV_READ, 0, INPUT_MAX);
	client_timeouts(client, 1);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
}

static void
on_accept(struct evconnlistener *accepting, evutil_socket_t fd, struct sockaddr *from, int len,
    void *arg)
{
	struct control *control = arg;
	uint32_t uid;

	(void)accepting;
	(void)from;
	(void)len;
	loop_enter(control->parts.loop);
	if (peer_uid(fd, &uid) < 0) {
		log_warn("control client without identity refused");
		close(fd);
	} else if (control->clients_count >= CLIENTS_MAX) {
		send(fd, TOO_MANY, strlen(TOO_MANY), MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
	} else {
		client_new(control, fd, uid);
	}
	loop_leave(control->parts.loop);
}

/* Out of descriptors, most likely: accepting goes on at the next tick. */
static void
on_accept_error(struct evconnlistener *accepting, void *arg)
{
	(void)arg;
	log_warn("control socket pauses");
	evconnlistener_disable(accepting);
}

static void
on_tick(void *arg, uint64_t now)
{
	struct control *control = arg;

	sampler_read(&control->sampler, control->parts.counters, now);
	evconnlistener_enable(control->accepting);
	loop_timer_set(control->tick, CLOCK_SECOND);
}

struct control *
control_new(const struct control_parts *parts, char *error, size_t error_size)
{
	struct control *control = xcalloc(1, sizeof(*control));
	const struct config *config = parts->config;

	control->parts = *parts;
	control->parts.sampler = &control->sampler;
	control->parts.last_reload = &control->last_reload;
	control->idle = IDLE_SECONDS;
	TAILQ_INIT(&control->clients);
	if (listener_open(&control->listener, config->control.socket, config->control.group,
		error, error_size) < 0) {
		free(control);
		return NULL;
	}
	control->accepting = evconnlistener_new(loop_base(parts->loop), on_accept, control,
	    LEV_OPT_CLOSE_ON_EXEC, 0, control->listener.fd);
	if (control->accepting == NULL) {
		snprintf(error, error_size, "control socket: out of memory");
		listener_close(&control->listener);
		free(control);
		return NULL;
	}
	evconnlistener_set_error_cb(control->accepting, on_accept_error);
	signal(SIGPIPE, SIG_IGN); /* a client that left is an error of write(2), not a signal */
	control->work = loop_timer_new(parts->loop, on_work, control);
	control->tick = loop_timer_new(parts->loop, on_tick, control);
	sampler_read(&control->sampler, parts->counters, loop_now(parts->loop));
	loop_timer_set(control->tick, CLOCK_SECOND);
	return control;
}

void
control_free(struct control *control)
{
	if (control == NULL)
		return;
	monitor_flush(control);
	while (!TAILQ_EMPTY(&control->clients))
		client_free(TAILQ_FIRST(&control->clients));
	evconnlistener_free(control->accepting);
	loop_timer_free(control->tick);
	loop_timer_free(control->work);
	listener_close(&control->listener);
	free(control->last_reload.faults);
	free(control);
}

void
control_set_config(struct control *control, const struct config *config)
{
	control->parts.config = config;
}

void
control_reloaded(struct control *control, const char *faults, uint64_t now)
{
	request_note_reload(&control->last_reload, faults, now);
}

void
control_set_idle(struct control *control, double seconds)
{
	control->idle = seconds;
}
