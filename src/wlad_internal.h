/*
 * wlad_internal: the apparatus, for wlad*.c and reload.c alone.
 */
#ifndef WLAD_WLAD_INTERNAL_H
#define WLAD_WLAD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/agents.h"
#include "agent/answers.h"
#include "allocation/allocation.h"
#include "base/counters.h"
#include "base/guard.h"
#include "base/random.h"
#include "config/changes.h"
#include "config/config.h"
#include "control/control.h"
#include "control/manager.h"
#include "control/site_events.h"
#include "datapath.h"
#include "health/health.h"
#include "io/io.h"
#include "load/exchange.h"
#include "load/table.h"
#include "loop.h"
#include "platform/notify.h"
#include "queues.h"
#include "transfer/keyring.h"

#define ERROR_TEXT 512

/* The apparatus: everything that lives as long as the process. */
struct wlad {
	struct config *config;         /* the file's */
	struct config_changes changes; /* what administrators have changed about it */
	struct loop *loop;
	struct counters counters;
	struct random random;
	struct io *io;
	struct guard *guard;   /* NULL: the device has one queue */
	struct queues *queues; /* the others; NULL likewise */
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct datapath *datapath;
	struct health *health;
	struct agents *agents;
	struct answers *answers;
	struct exchange *exchange;
	struct control *control;
	struct notify *notify;
	struct manager *manager;
	struct site_events *site_events;
	struct wlad_keep *keep; /* rules for servers that see clients' addresses; NULL: none */
	struct loop_fd *device_fd, *transfer_fd, *demand_fd;
	struct loop_timer *broken_queue; /* set by its thread */
	struct loop_timer *tell;         /* until the other sites are told of other servers */
	struct loop_timer *expiry, *paths, *key_expiry, *key_epoch;
	struct loop_signal *signals[3];
	bool stopping, broken;
	bool verbose; /* -v: log level debug whatever the file says */
	char error[ERROR_TEXT];
};

/* ---- wlad_events.c ---- */

/* From now on the loop calls; everything else of the apparatus is there. */
void wlad_connect(struct wlad *w);
void wlad_disconnect(struct wlad *w);

/* The same for the threads of further queues, if there are any.  0, or -1 with a sentence in
 * w->error. */
int wlad_start_queues(struct wlad *w);

/* What the exchange tells, with a struct wlad as argument; what the datapath tells others. */
extern const struct exchange_handlers wlad_exchange_handlers;
struct datapath_peers wlad_datapath_peers(struct wlad *w);

/* For the control socket, likewise. */
void wlad_probe_site(void *arg, uint32_t site);
int64_t wlad_certificate_expiry(void *arg);

/* ---- wlad_keep.c ---- */

/* The load table may ask for other rules than before. */
void wlad_keep_update(struct wlad *w);

/* Removes them, as far as we still may. */
void wlad_keep_free(struct wlad *w);

/* 0, or -1 with a sentence if this system has no such rules and the configuration needs some. */
int wlad_keep_possible(const struct config *config, char *error, size_t size);

/* ---- wlad.c and reload.c ---- */

/* Opens the load exchange if there are peers.  0, or -1 with a sentence in w->error. */
int wlad_open_exchange(struct wlad *w);

/*
 * Reads the configuration's file again and goes over to it, connections and all, or stays with
 * the old one whole.  Returns 0, or -1 with every fault, a line each, in error; both are logged.
 */
int wlad_reload(void *arg, char *error, size_t size);

/* Puts a change of a server in force beside the file.  0, or -1 with a sentence. */
int wlad_edit(void *arg, const struct config_edit *edit, char *error, size_t size);

#endif
