/*
 * write: a struct config as text again: what is in force, every default filled in.
 *
 * Walks the tables of keys.c, so a new setting appears by itself.  The walk tells a writer
 * what it finds; config_text() writes libconfig, control/ writes JSON.  Values that cannot be
 * written, since not to set them is the only way to have them, are "none".  Secrets are not
 * in struct config: it has the paths of keys only.
 */
#ifndef WLAD_CONFIG_WRITE_H
#define WLAD_CONFIG_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum config_shape {
	CONFIG_SHAPE_GROUP, /* members with names */
	CONFIG_SHAPE_LIST,  /* of groups */
	CONFIG_SHAPE_ARRAY  /* of numbers or texts */
};

/* What the walk calls; name is NULL inside lists and arrays, and the same for an end as for its
 * begin.  Texts are valid during the call. */
struct config_writer {
	void (*begin)(void *arg, const char *name, enum config_shape shape);
	void (*end)(void *arg, const char *name, enum config_shape shape);
	void (*text)(void *arg, const char *name, const char *value);
	void (*integer)(void *arg, const char *name, uint64_t value);
	void (*real)(void *arg, const char *name, double value);
	void (*boolean)(void *arg, const char *name, bool value);
	void (*none)(void *arg, const char *name);
};

/* All settings in the order of the tables; the file itself is no group of them. */
void config_walk(const struct config *config, const struct config_writer *writer, void *arg);

/* Without those that are as they would be if they were not there. */
void config_walk_brief(
    const struct config *config, const struct config_writer *writer, void *arg);

/* A file that config_parse() takes for the same configuration, in ASCII; owned by the caller. */
char *config_text(const struct config *config);

/* The same without what is the default anyway, as a person would write it. */
char *config_text_brief(const struct config *config);

#endif
