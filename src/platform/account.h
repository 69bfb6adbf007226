/*
 * account: which user the daemon becomes.
 */
#ifndef WLAD_PLATFORM_ACCOUNT_H
#define WLAD_PLATFORM_ACCOUNT_H

#include <sys/types.h>

#include <stddef.h>

struct account {
	char name[64];
	uid_t uid;
	gid_t gid;
};

/* By name; "" for wlad if it exists, else nobody.  -1 with a sentence in error: there is no
 * such user, or it is root. */
int account_find(const char *user, struct account *account, char *error, size_t error_size);

#endif
