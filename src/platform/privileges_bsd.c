/*
 * FreeBSD and OpenBSD.  Written from setresuid(2) and initgroups(3); not tested on
 * these systems.
 */
#include "platform/privileges.h"

#include <sys/types.h>

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/account.h"

int
privileges_drop(const char *user, char *error, size_t error_size)
{
	struct account account;

	if (geteuid() != 0)
		return 0;
	if (account_find(user, &account, error, error_size) == -1)
		return -1;
	if (initgroups(account.name, account.gid) == -1 ||
	    setresgid(account.gid, account.gid, account.gid) == -1 ||
	    setresuid(account.uid, account.uid, account.uid) == -1) {
		snprintf(error, error_size, "cannot become user %s: %s", account.name,
		    strerror(errno));
		return -1;
	}
	if (getuid() != account.uid || geteuid() != account.uid || setuid(0) != -1 ||
	    seteuid(0) != -1) {
		snprintf(error, error_size, "privileges are still there after becoming user %s",
		    account.name);
		return -1;
	}
	return 0;
}
