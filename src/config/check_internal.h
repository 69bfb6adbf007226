/*
 * check_internal: what the files of the checks share.  Nobody else includes this.
 *
 *   check.c              what holds for addresses, and for services together
 *   check_server.c       servers of a service, in a file and changed at run time
 *   check_peer.c         other sites, and what a site that has some needs
 *   check_check.c        the check of a service
 *   check_clients.c      persistence, limits, one-packet scheduling
 *   check_agent.c        agents
 *   check_coordinator.c  coordinators
 */
#ifndef WLAD_CONFIG_CHECK_INTERNAL_H
#define WLAD_CONFIG_CHECK_INTERNAL_H

#include "config/check.h"

bool check_same_name(const char *a, const char *b);

/* The field of v4 and v6 that equals ip, or NULL. */
const struct ip *check_match(const struct ip *v4, const struct ip *v6, const struct ip *ip);

/* The service whose address this is, or NULL. */
const struct config_service *check_service_at(const struct config *config, const struct ip *ip);

bool check_is_self_address(const struct config *config, const struct ip *ip);

/* No host has such an address, which is what. */
void check_martian(const struct ip *ip, const char *what, struct report *report);

void check_service_servers(const struct config *config, size_t number, struct report *report);
void check_peers(const struct config *config, struct report *report);

#endif
