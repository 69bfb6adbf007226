/*
 * server_monitor: lines of the log to the clients that monitor.
 *
 * The log has one hook; it is set while there is somebody to tell.  What is told waits in
 * the client's buffer up to a limit; one that does not read loses lines and is told how many,
 * so that it costs neither memory nor time.  A line is logged from anywhere: the hook frees
 * nobody and logs nothing.
 */
#include "control/server_internal.h"

#include <stdio.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "control/event.h"

#define PENDING_MAX 65536 /* octets that may wait for a client */
#define LOST_ROOM   256   /* of these, for the line that says how many were lost */

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

static void
on_log(void *arg, enum log_level level, const char *line)
{
	struct control *control = arg;
	struct client *client;
	struct json json;

	json_init(&json);
	event_json(&json, level, line, wall_ms());
	TAILQ_FOREACH (client, &control->clients, entry)
		if (client->monitor && level <= client->level)
			tell(client, &json);
	json_fini(&json);
}

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
		log_set_hook(on_log, client->control);
}

void
monitor_end(struct client *client)
{
	if (!client->monitor)
		return;
	client->monitor = false;
	if (--client->control->monitors_count == 0)
		log_set_hook(NULL, NULL);
}

void
monitor_flush(struct control *control)
{
	struct client *client;

	TAILQ_FOREACH (client, &control->clients, entry) {
		struct evbuffer *output = bufferevent_get_output(client->bev);

		if (!client->monitor || evbuffer_get_length(output) == 0)
			continue;
		evbuffer_unfreeze(output, 1); /* the buffered socket held its front */
		evbuffer_write(output, bufferevent_getfd(client->bev));
	}
}
