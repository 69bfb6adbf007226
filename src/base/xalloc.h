/*
 * xalloc: memory that is there or the program ends.
 *
 * For start-up, configuration and control only; the packet path allocates nothing.
 * The caller owns what is returned and gives it back by free(3).
 */
#ifndef WLAD_BASE_XALLOC_H
#define WLAD_BASE_XALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc_array(void *old, size_t count, size_t size);
char *xstrdup(const char *text);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
