/*
 * manager: keeps the service manager (systemd) informed: a status for people, and the
 * watchdog.
 *
 * The status follows the load table, at most once a second.  The watchdog is fed from the
 * loop at a third of its interval: a loop that hangs is noticed.
 */
#ifndef WLAD_CONTROL_MANAGER_H
#define WLAD_CONTROL_MANAGER_H

#include <stddef.h>

#include "load/table.h"
#include "loop.h"
#include "platform/notify.h"

struct manager;

/* All borrowed.  Begins with the first status and, if it is wanted, the watchdog. */
struct manager *manager_new(struct loop *loop, struct load_table *table, struct notify *notify);
void manager_free(struct manager *manager); /* NULL is fine */

/* The load table changed. */
void manager_changed(struct manager *manager);

/* "5 of 6 servers up, 1 of 2 sites usable".  Returns buf. */
const char *manager_status(struct load_table *table, char *buf, size_t size);

#endif
