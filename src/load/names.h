/*
 * names: from the name of something, and the number of who owns it, to the numbers of those called
 * so.
 *
 * Things are numbered as they are entered, from 0; several may have the same name, which
 * is why a look-up gives candidates, the latest first, until there is no more.  Holds hashes, not the
 * names: whoever asks compares.  Keyed, since other sites choose names.
 */
#ifndef WLAD_LOAD_NAMES_H
#define WLAD_LOAD_NAMES_H

#include <stdint.h>

#define NAMES_NONE UINT32_MAX

struct names;

struct names *names_new(void);
void names_free(struct names *n);

/* Enters the next one; returns its number. */
uint32_t names_add(struct names *n, uint32_t owner, const char *name);

/* The number, which was entered before, is somebody else's from now on. */
void names_replace(struct names *n, uint32_t number, uint32_t owner, const char *name);

/* One that may be called so, and the one after a candidate; NAMES_NONE: there is no more. */
uint32_t names_first(const struct names *n, uint32_t owner, const char *name);
uint32_t names_next(const struct names *n, uint32_t number);

#endif
