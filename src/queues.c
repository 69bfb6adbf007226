#include "queues.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "platform/thread.h"

struct queue {
	struct queues *all;
	struct io *io;
	unsigned number; /* the datapath's */
	pthread_t thread;
	bool running;
};

struct queues {
	struct queues_parts parts;
	int stop[2]; /* a pipe: its writing end is closed when the threads are to end */
	unsigned count;
	struct queue queue[IO_QUEUES_MAX];
};

/* Until it is to end (0), or cannot (-1). */
static int
handle(struct queue *q)
{
	struct pollfd wait[] = {
	    {.fd = q->io->ops->device_fd(q->io), .events = POLLIN},
	    {.fd = q->all->stop[0], .events = POLLIN},
	};

	while (wait[1].revents == 0) {
		if (poll(wait, 2, -1) == -1 && errno != EINTR)
			return -1;
		if (wait[0].revents != 0 &&
		    datapath_run_queue(q->all->parts.datapath, q->number) == -1)
			return -1;
	}
	return 0;
}

static void *
run(void *arg)
{
	struct queue *q = arg;
	const struct queues_parts *parts = &q->all->parts;
	char name[16];

	snprintf(name, sizeof(name), "wlad/%u", q->number);
	thread_name(name);
	if (handle(q) == -1) {
		guard_enter(parts->guard);
		log_error("queue of the device cannot be read number=%u", q->number);
		parts->broken(parts->arg);
		guard_leave(parts->guard);
	}
	return NULL;
}

struct queues *
queues_open(struct io *first, unsigned count, char *error, size_t error_size)
{
	struct queues *q = xcalloc(1, sizeof(*q));

	q->stop[0] = q->stop[1] = -1;
	for (; q->count < count; q->count++) {
		struct queue *one = &q->queue[q->count];

		one->all = q;
		one->io = io_open_queue(first, error, error_size);
		if (one->io == NULL) {
			queues_free(q);
			return NULL;
		}
	}
	return q;
}

static int
start(struct queue *q)
{
	int number = datapath_add_queue(q->all->parts.datapath, q->io), error;

	if (number == -1)
		return ENOMEM;
	q->number = (unsigned)number;
	error = pthread_create(&q->thread, NULL, run, q);
	q->running = error == 0;
	return error;
}

/* Signals are the loop's. */
int
queues_start(struct queues *q, const struct queues_parts *parts, char *error, size_t error_size)
{
	sigset_t all, before;
	int failed = 0;

	q->parts = *parts;
	if (pipe2(q->stop, O_CLOEXEC) == -1)
		failed = errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < q->count && failed == 0; i++)
		failed = start(&q->queue[i]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0) {
		log_info("device has several queues queues=%u", q->count + 1);
		return 0;
	}
	snprintf(error, error_size, "the device's queues have no threads: %s", strerror(failed));
	return -1;
}

void
queues_free(struct queues *q)
{
	if (q == NULL)
		return;
	if (q->stop[1] != -1)
		close(q->stop[1]);
	for (unsigned i = 0; i < q->count; i++) {
		if (q->queue[i].running)
			pthread_join(q->queue[i].thread, NULL);
		io_close(q->queue[i].io);
	}
	if (q->stop[0] != -1)
		close(q->stop[0]);
	free(q);
}
