/*
 * notify: what systemd wants to be told, by the protocol of sd_notify(3), without its library.
 *
 * One datagram a call to the socket that $NOTIFY_SOCKET names, a path or an abstract name.
 * Without that variable every function does nothing.  The socket is opened once, at the start,
 * so that no later sandbox is in its way.
 */
#ifndef WLAD_PLATFORM_NOTIFY_H
#define WLAD_PLATFORM_NOTIFY_H

#include <stdint.h>

struct notify;

/*
 * Reads and removes the variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID: they are for
 * this process and not for those it may start.  Never NULL.
 */
struct notify *notify_open(void);
void notify_close(struct notify *notify); /* NULL is fine */

/* READY=1: the start is over; or the reload, after notify_reloading(). */
void notify_ready(struct notify *notify);

/* RELOADING=1 with the time, monotonic nanoseconds (clock.h), at which the reload begins. */
void notify_reloading(struct notify *notify, uint64_t now);

/* STOPPING=1. */
void notify_stopping(struct notify *notify);

/* STATUS=: one line for people, shown by systemctl status. */
void notify_status(struct notify *notify, const char *text);

/* WATCHDOG=1: still alive. */
void notify_watchdog(struct notify *notify);

/* Nanoseconds within which notify_watchdog() has to be called; 0: never. */
uint64_t notify_watchdog_interval(const struct notify *notify);

#endif
