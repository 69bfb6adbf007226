/*
 * queues: the further queues of the device (device.queues), a thread each.
 *
 * The first queue is the event loop's.  The threads do nothing but wait for packets, handle them
 * inside the guard (base/guard.h) and send them outside of it; what takes time or must wait is
 * left to the loop.
 */
#ifndef WLAD_QUEUES_H
#define WLAD_QUEUES_H

#include <stddef.h>

#include "datapath.h"
#include "io/io.h"

struct queues;

/* Opens count further queues of the device of first, which needs the rights that opened that.
 * NULL with a sentence in error. */
struct queues *queues_open(struct io *first, unsigned count, char *error, size_t error_size);

/* What the threads work with; all of it is borrowed until queues_free(). */
struct queues_parts {
	struct datapath *datapath; /* has the guard */
	struct guard *guard;
	/* Called inside the guard by a thread whose queue cannot be read any more, and which ends. */
	void (*broken)(void *arg);
	void *arg;
};

/* Starts the threads, which have the rights that the caller has now.  0, or -1 with a sentence in
 * error. */
int queues_start(
    struct queues *q, const struct queues_parts *parts, char *error, size_t error_size);

/* Ends the threads, which are not to find the guard locked by the caller, and closes the queues.
 * NULL is fine. */
void queues_free(struct queues *q);

#endif
