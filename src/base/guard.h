/*
 * guard: what several threads share, and the time in it: one of them at a time.
 *
 * With several queues of the device (device.queues) each further one has a thread.  All that the
 * process knows is in one room, and this is its door: whoever handles packets or events is
 * inside; whoever waits, reads or writes is outside.  Nobody else may be asked to wait there.
 */
#ifndef WLAD_BASE_GUARD_H
#define WLAD_BASE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct guard;

struct guard *guard_new(void); /* ends the program if there is no memory */
void guard_free(struct guard *g);

/*
 * Waits until no other thread is inside.  Returns the time from now on, monotonic nanoseconds
 * (clock.h): never less than anybody was told before.  Whoever is inside may enter again, at the
 * same time still, and is outside when he has left as often; inside one guard at a time.
 */
uint64_t guard_enter(struct guard *g);
void guard_leave(struct guard *g);

/* True if the thread that asks is inside. */
bool guard_is_inside(void);

/* The time that guard_enter() has told; inside only. */
uint64_t guard_now(const struct guard *g);

#endif
