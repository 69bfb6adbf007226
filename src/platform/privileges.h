/*
 * privileges: from root to a user without rights, for good.  One file an OS.
 */
#ifndef WLAD_PLATFORM_PRIVILEGES_H
#define WLAD_PLATFORM_PRIVILEGES_H

#include <stddef.h>

/*
 * Becomes the user (name; "" for wlad if it exists, else nobody) with its groups, and gives up
 * every capability.  Who is not root stays who he is, but the capabilities go.  0, or -1 with a
 * sentence in error; verified afterwards.
 */
int privileges_drop(const char *user, char *error, size_t error_size);

#endif
