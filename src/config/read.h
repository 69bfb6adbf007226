/*
 * read: from what libconfig has read to the fields that the tables of keys.c name.
 */
#ifndef WLAD_CONFIG_READ_H
#define WLAD_CONFIG_READ_H

#include <libconfig.h>

#include "config/keys.h"
#include "config/report.h"

/* Reads a group by its keys into the object, which holds the presets already; path: of the group, ""
 * for the file's root.  Every fault is reported, and each field marked with where it came from. */
void read_group(struct report *report, const struct key *keys, const config_setting_t *group,
    const char *path, void *object);

#endif
