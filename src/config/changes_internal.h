/*
 * changes_internal: settings of a server by their place in the tables, for config/changes*.c alone.
 */
#ifndef WLAD_CONFIG_CHANGES_INTERNAL_H
#define WLAD_CONFIG_CHANGES_INTERNAL_H

#include <stdint.h>

#include "config/config.h"
#include "config/keys.h"

/* The table of a server's settings; the name is the first of them. */
const struct key *server_settings(void);

/* A bit for each. */
uint32_t server_settings_all(void);

/* Copies those settings; the name is never among them. */
void server_settings_put(
    struct config_server *to, const struct config_server *from, uint32_t settings);

/* Those in which two servers differ, the name apart. */
uint32_t server_settings_differ(const struct config_server *a, const struct config_server *b);

#endif
