/*
 * check: what must hold between settings, over a struct config that the walk has filled.
 *
 * Works on a partly filled struct as well (a faulty setting leaves its default), so that one
 * run reports everything; a fault is not reported again for its consequences.
 */
#ifndef WLAD_CONFIG_CHECK_H
#define WLAD_CONFIG_CHECK_H

#include "config/config.h"
#include "config/report.h"

void check_config(const struct config *config, struct report *report);

/* For check.c: what a coordinator is, and what a site that has some (check_coordinator.c). */
void check_coordinators(const struct config *config, struct report *report);

/* For check.c: agents of servers and of services (check_agent.c). */
void check_agents(const struct config *config, struct report *report);

/* For check.c: the settings of a service's check (check_check.c). */
void check_service_check(const struct config *config, size_t number, struct report *report);

/*
 * One server of a configuration that was judged before, which an administrator has changed since,
 * against the rest; and whether a service has servers left.  0, or -1 with a sentence.
 */
int check_server_change(const struct config *config, const struct config_service *service,
    const struct config_server *server, char *error, size_t error_size);
int check_servers_left(
    const struct config *config, const char *service, char *error, size_t error_size);

/* An address of a host, not one that the device takes; any: 0.0.0.0 and :: are fine. */
void check_host_addr(
    const struct config *config, const struct addr *addr, bool any, struct report *report);

/* What a service says of its clients: persistence, limits, one-packet scheduling. */
void check_service_clients(const struct config_service *service, struct report *report);

#endif
