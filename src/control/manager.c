#include "control/manager.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"

#define STATUS         200          /* octets that hold any status */
#define STATUS_PERIOD  CLOCK_SECOND /* from one status to the next */
#define WATCHDOG_PARTS 3            /* so many signs of life an interval: two may come late */

struct manager {
	struct load_table *table;
	struct notify *notify;
	struct loop *loop;
	struct loop_timer *status, *watchdog;
	uint64_t status_due;
	bool status_armed;
};

const char *
manager_status(struct load_table *table, char *buf, size_t size)
{
	unsigned servers = 0, up = 0, sites = 0, usable = 0;

	for (uint32_t i = 0; i < load_table_services(table); i++) {
		const struct service *service = load_table_service(table, i);

		servers += service->present ? (unsigned)service->servers_count : 0;
		up += service->present ? service->up : 0;
	}
	for (uint32_t i = 0; i < load_table_sites(table); i++) {
		const struct site *site = load_table_site(table, i);

		sites += site->present;
		usable += site->present && site->up_since != 0;
	}
	if (sites > 0)
		snprintf(buf, size, "%u of %u servers up, %u of %u sites up", up, servers,
		    usable, sites);
	else
		snprintf(buf, size, "%u of %u servers up", up, servers);
	return buf;
}

static void
on_status(void *arg, uint64_t now)
{
	struct manager *manager = arg;
	char text[STATUS];

	manager->status_armed = false;
	manager->status_due = now + STATUS_PERIOD;
	notify_status(manager->notify, manager_status(manager->table, text, sizeof(text)));
}

static void
on_watchdog(void *arg, uint64_t now)
{
	struct manager *manager = arg;

	(void)now;
	notify_watchdog(manager->notify);
	loop_timer_set(
	    manager->watchdog, notify_watchdog_interval(manager->notify) / WATCHDOG_PARTS);
}

/* Servers and sites often change together, and may flap: each status holds what came before it. */
void
manager_changed(struct manager *manager)
{
	uint64_t now = loop_now(manager->loop);

	if (manager->status_armed)
		return;
	manager->status_armed = true;
	loop_timer_set(
	    manager->status, manager->status_due > now ? manager->status_due - now : 0);
}

struct manager *
manager_new(struct loop *loop, struct load_table *table, struct notify *notify)
{
	struct manager *manager = xcalloc(1, sizeof(*manager));

	manager->loop = loop;
	manager->table = table;
	manager->notify = notify;
	manager->status = loop_timer_new(loop, on_status, manager);
	manager->watchdog = loop_timer_new(loop, on_watchdog, manager);
	if (notify_watchdog_interval(notify) > 0)
		loop_timer_set(manager->watchdog, 0);
	manager_changed(manager);
	return manager;
}

void
manager_free(struct manager *manager)
{
	if (manager == NULL)
		return;
	loop_timer_free(manager->watchdog);
	loop_timer_free(manager->status);
	free(manager);
}
