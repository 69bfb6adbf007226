/*
 * write_internal: the walk's insides, for config/write*.c alone.
 */
#ifndef WLAD_CONFIG_WRITE_INTERNAL_H
#define WLAD_CONFIG_WRITE_INTERNAL_H

#include "config/keys.h"
#include "config/write.h"

/* One setting of an object, keys being its table. */
void write_setting(const struct config_writer *writer, void *arg, const struct key *keys,
    const struct key *key, const void *object);

/* True if the setting is the same in both, as the writer is told of it (write_brief.c). */
bool write_same(const struct key *keys, const struct key *key, const void *a, const void *b);

#endif
