/*
 * loop_internal: the loop's insides, for loop.c and loop_shared.c alone.
 */
#ifndef WLAD_LOOP_INTERNAL_H
#define WLAD_LOOP_INTERNAL_H

#include <sys/time.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

#define NEVER UINT64_MAX

struct event;

struct loop {
	struct event_base *base;
	bool running;
	bool stop;
	bool fresh;          /* now is of this wake-up */
	struct timeval tick; /* libevent's time when now was read */
	uint64_t now;

	struct guard *guard; /* NULL: there are no other threads */
	pthread_t thread;    /* that runs the loop */
	int wake[2];         /* with a guard, a pipe: there are posted timers */
	struct loop_fd *woken;
	struct loop_timer *posted; /* set by other threads */
};

struct loop_timer {
	struct loop *loop;
	struct event *event;
	uint64_t due;   /* NEVER: it is not set */
	uint64_t fires; /* when libevent looks at it; NEVER: not at all */
	struct loop_timer *next_posted;
	bool posted;
	loop_callback *callback;
	void *arg;
};

/* Lets libevent look at the timer when it is due. */
void loop_timer_arm(struct loop_timer *timer, uint64_t now);

/* ---- loop_shared.c: with other threads ---- */

/* True in another thread than the loop's. */
bool loop_is_elsewhere(const struct loop *loop);

/* Another thread has set the timer: the loop is to arm it. */
void loop_post(struct loop_timer *timer);
void loop_unpost(struct loop_timer *timer);

void loop_unshare(struct loop *loop);

#endif
