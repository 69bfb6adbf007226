/*
 * server_internal: the control server's insides, for control/server*.c alone.
 *
 * server.c: clients and their requests; server_monitor.c: clients that are sent events.
 */
#ifndef WLAD_CONTROL_SERVER_INTERNAL_H
#define WLAD_CONTROL_SERVER_INTERNAL_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "control/commands.h"
#include "control/control.h"
#include "control/listener.h"
#include "control/sampler.h"

#define CLIENTS_MAX  64
#define MONITORS_MAX 32 /* of them: those that stay for good must not keep the others out */

struct bufferevent;
struct evconnlistener;

struct client {
	TAILQ_ENTRY(client) entry;
	struct control *control;
	struct bufferevent *bev;
	struct request *request; /* under way, or NULL */
	uint32_t uid;
	bool may_change;
	bool no_more;         /* it will send nothing more, or nothing more is taken from it */
	bool monitor;         /* events are sent to it, */
	enum log_level level; /* these and what is worse; */
	uint64_t lost;        /* so many were not, since it reads too slowly */
};

struct control {
	struct control_parts parts;
	struct sampler sampler;
	struct listener listener;
	struct evconnlistener *accepting;
	struct loop_timer *tick; /* each second: rates, and accepting again */
	struct loop_timer *work; /* at once: the next slice of a long request */
	TAILQ_HEAD(, client) clients;
	unsigned clients_count;
	unsigned monitors_count;
	struct monitor_lines *lines; /* for them; NULL: there are none */
	struct control_reload last_reload;
	double idle;
};

/* From now on the client is sent events of this level and worse, and not let go for idleness. */
void monitor_begin(struct client *client, enum log_level level);
void monitor_end(struct client *client); /* of one that does not monitor: nothing */

/* It sent something, which does not count, or took what was waiting for it. */
void monitor_advance(struct client *client);

/* The end: what waits for monitors is handed to the system as far as it takes it at once. */
void monitor_flush(struct control *control);

#endif
