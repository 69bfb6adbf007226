#include "platform/account.h"

#include <pwd.h>
#include <stdio.h>

int
account_find(const char *user, struct account *account, char *error, size_t error_size)
{
	const struct passwd *pw;

	if (user[0] != '\0') {
		pw = getpwnam(user);
	} else {
		pw = getpwnam("wlad");
		if (pw == NULL)
			pw = getpwnam("nobody");
		user = "nobody";
	}
	if (pw == NULL) {
		snprintf(error, error_size, "there is no user %s", user);
		return -1;
	}
	if (pw->pw_uid == 0) {
		snprintf(
		    error, error_size, "user %s has every right: name one that has none", user);
		return -1;
	}
	if ((size_t)snprintf(account->name, sizeof(account->name), "%s", pw->pw_name) >=
	    sizeof(account->name)) {
		snprintf(error, error_size, "user name %s is too long", user);
		return -1;
	}
	account->uid = pw->pw_uid;
	account->gid = pw->pw_gid;
	return 0;
}
