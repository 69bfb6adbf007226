/*
 * wlad_internal: the apparatus, for wlad.c, wlad_events.c and reload.c alone.
 */
#ifndef WLAD_WLAD_INTERNAL_H
#define WLAD_WLAD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "allocation/allocation.h"
#include "base/counters.h"
#include "base/random.h"
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
#include "transfer/keyring.h"

#define ERROR_TEXT 512

/* The apparatus: everything that lives as long as the process. */
struct wlad {
	struct config *config;
	struct loop *loop;
	struct counters counters;
	struct random random;
	struct io *io;
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct datapath *datapath;
	struct health *health;
	struct exchange *exchange;
	struct control *control;
	struct notify *notify;
	struct manager *manager;
	struct site_events *site_events;
	struct loop_fd *device_fd, *transfer_fd, *demand_fd;
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

/* What the exchange tells, with a struct wlad as argument; what the datapath tells others. */
extern const struct exchange_handlers wlad_exchange_handlers;
struct datapath_peers wlad_datapath_peers(struct wlad *w);

/* For the control socket, likewise. */
void wlad_probe_site(void *arg, uint32_t site);
int64_t wlad_certificate_expiry(void *arg);

/* ---- wlad.c and reload.c ---- */

/* Opens the load exchange if there are peers.  0, or -1 with a sentence in w->error. */
int wlad_open_exchange(struct wlad *w);

/*
 * Reads the configuration's file again and goes over to it, connections and all, or stays with
 * the old one whole.  Returns 0, or -1 with every fault, a line each, in error; both are logged.
 */
int wlad_reload(void *arg, char *error, size_t size);

#endif
