#include "platform/privileges.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/account.h"

static int
say(char *error, size_t error_size, const char *what)
{
	snprintf(error, error_size, "%s: %s", what, strerror(errno));
	return -1;
}

/*
 * What no program started later may have.  Only with CAP_SETPCAP, hence before the user
 * changes; a service manager may have kept that back, and no_new_privs closes this way
 * too.  Capabilities end with the first number that does not exist.
 */
static void
drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return;
}

/* Everybody may give up what he has, also what a service manager handed to a plain user. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	/* A kernel before 4.3 has no ambient set to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 && errno != EINVAL)
		return -1;
	if (syscall(SYS_capset, &header, none) == -1)
		return -1;
	memset(now, 0xff, sizeof(now));
	if (syscall(SYS_capget, &header, now) == -1)
		return -1;
	if (memcmp(now, none, sizeof(now)) != 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* True if no way leads back. */
static int
verify(uid_t uid, gid_t gid)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) == -1 || getresgid(&rgid, &egid, &sgid) == -1)
		return 0;
	if (ruid != uid || euid != uid || suid != uid || rgid != gid || egid != gid || sgid != gid)
		return 0;
	return setresuid((uid_t)-1, 0, (uid_t)-1) == -1 && setuid(0) == -1 &&
	    (gid == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == -1);
}

static int
become(const struct account *account, char *error, size_t error_size)
{
	drop_bounding_set();
	if (initgroups(account->name, account->gid) == -1 ||
	    setresgid(account->gid, account->gid, account->gid) == -1 ||
	    setresuid(account->uid, account->uid, account->uid) == -1) {
		snprintf(error, error_size, "cannot become user %s: %s", account->name,
		    strerror(errno));
		return -1;
	}
	return 0;
}

int
privileges_drop(const char *user, char *error, size_t error_size)
{
	struct account account;
	int root = geteuid() == 0;

	if (root && account_find(user, &account, error, error_size) == -1)
		return -1;
	if (root && become(&account, error, error_size) == -1)
		return -1;
	if (drop_capabilities() == -1)
		return say(error, error_size, "capabilities cannot be given up");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return say(error, error_size, "new privileges cannot be refused");
	if (root && !verify(account.uid, account.gid)) {
		snprintf(error, error_size, "privileges are still there after becoming user %s",
		    account.name);
		return -1;
	}
	return 0;
}
