/*
 * loop: the one event loop; the only file that talks to libevent's core.
 *
 * File descriptors, timers and signals with callbacks that only translate; the time of the
 * current wake-up, read once.  The load exchange and the control server, which use
 * libevent's buffered sockets, get the base by loop_base().
 *
 * Where other threads handle packets as well (loop_share()), all callbacks run inside the guard, and of
 * the rest other threads may call, inside it too, loop_timer_set(), loop_timer_cancel() and
 * loop_now().
 */
#ifndef WLAD_LOOP_H
#define WLAD_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct guard;
struct loop;
struct loop_fd;
struct loop_timer;
struct loop_signal;

typedef void loop_callback(void *arg, uint64_t now);
typedef void loop_fd_callback(void *arg, int fd, bool readable, bool writable, uint64_t now);

struct loop *loop_new(void); /* ends the program if libevent cannot start */
void loop_free(struct loop *loop);
struct event_base *loop_base(struct loop *loop);

/* There will be other threads: from now on whoever is called back is inside the guard, which is
 * borrowed.  To be called by the thread that will run the loop. */
void loop_share(struct loop *loop, struct guard *guard);

/* For those whom libevent calls by itself (loop_base()): around all they do.  Without other
 * threads, and inside another callback, without effect. */
void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);

/* Monotonic nanoseconds of this wake-up (clock.h); outside of loop_run(), of this moment. */
uint64_t loop_now(struct loop *loop);

/* Runs until loop_stop(), or until there is nothing left to wait for. */
void loop_run(struct loop *loop);

/* No callback is called any more, even one that is due; loop_run() returns, and if it has
 * not begun, returns at once. */
void loop_stop(struct loop *loop);

/* Calls back while the descriptor is readable (and, if asked, writable).  The descriptor
 * stays the caller's. */
struct loop_fd *loop_fd_add(
    struct loop *loop, int fd, bool read, bool write, loop_fd_callback *callback, void *arg);
void loop_fd_free(struct loop_fd *fd); /* NULL is fine; may be called from its callback */

/* The same for one who enters the guard by himself, as he reads before. */
struct loop_fd *loop_fd_add_outside(
    struct loop *loop, int fd, bool read, bool write, loop_fd_callback *callback, void *arg);

/* The longest delay of a timer, 100 days: more is cut to that. */
#define LOOP_TIMER_MAX (UINT64_C(8640000) * UINT64_C(1000000000))

/*
 * A timer that is armed for one time, or not at all.  It is never early; late by a millisecond
 * or so, and by what else the wake-up has to do.
 */
struct loop_timer *loop_timer_new(struct loop *loop, loop_callback *callback, void *arg);
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ns); /* from now; replaces */
void loop_timer_cancel(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* as loop_fd_free */

/* Calls back on each delivery of the signal (several before a wake-up are one). */
struct loop_signal *loop_signal_add(
    struct loop *loop, int signal, loop_callback *callback, void *arg);
void loop_signal_free(struct loop_signal *signal);

#endif
