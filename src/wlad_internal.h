/*
 * wlad_internal: the apparatus, for wlad.c and reload.c alone.
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
	struct loop_fd *device_fd, *transfer_fd;
	struct loop_timer *expiry, *key_expiry, *key_epoch;
	struct loop_signal *signals[3];
	bool stopping, broken;
	bool verbose; /* -v: log level debug whatever the file says */
	char error[ERROR_TEXT];
};

/* Opens the load exchange if there are peers.  0, or -1 with a sentence in w->error. */
int wlad_open_exchange(struct wlad *w);

/*
 * Reads the configuration's file again and goes over to it, connections and all, or stays with
 * the old one whole.  Returns 0, or -1 with every fault, a line each, in error; both are logged.
 */
int wlad_reload(void *arg, char *error, size_t size);

#endif
