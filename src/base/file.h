/*
 * file: regular files, read whole.
 */
#ifndef WLAD_BASE_FILE_H
#define WLAD_BASE_FILE_H

#include <stddef.h>

/* Reads a regular file, up to the limit, and never waits, as for a FIFO's other end.  A NUL follows its
 * octets; freed by the caller.  NULL with errno, which the other one puts into words. */
char *file_read(const char *name, size_t limit, size_t *len);
const char *file_error(int error);

#endif
