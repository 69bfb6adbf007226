#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/types.h>
#include <sys/wait.h>

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/account.h"
#include "platform/privileges.h"

static void
test_account(void **state)
{
	struct account account;
	struct passwd *pw;
	char error[200] = "";

	(void)state;
	assert_int_equal(account_find("nobody", &account, error, sizeof(error)), 0);
	pw = getpwnam("nobody");
	assert_non_null(pw);
	assert_int_equal(account.uid, pw->pw_uid);
	assert_int_equal(account.gid, pw->pw_gid);
	assert_string_equal(account.name, "nobody");

	assert_int_equal(account_find("no-such-user", &account, error, sizeof(error)), -1);
	assert_string_equal(error, "there is no user no-such-user");
	assert_int_equal(account_find("root", &account, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "user root has every right"));

	assert_int_equal(account_find("", &account, error, sizeof(error)), 0);
	assert_string_equal(account.name, getpwnam("wlad") != NULL ? "wlad" : "nobody");
}

/* A line of /proc/self/status, without its name. */
static void
status_line(const char *name, char *value, size_t size)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	size_t len = strlen(name);

	value[0] = '\0';
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(value, size, "%s", line + len + 2);
			value[strcspn(value, "\n")] = '\0';
		}
	if (file != NULL)
		fclose(file);
}

/* 0 if all is gone, else the number of what is not. */
static int
look_after_drop(uid_t uid)
{
	static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
	char value[64];

	if (getuid() != uid || geteuid() != uid || getgid() == 0)
		return 2;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		status_line(sets[i], value, sizeof(value));
		if (strcmp(value, "0000000000000000") != 0)
			return 10 + (int)i;
	}
	status_line("NoNewPrivs", value, sizeof(value));
	if (strcmp(value, "1") != 0)
		return 3;
	if (setuid(0) != -1 || seteuid(0) != -1 || setgid(0) != -1 || setgroups(0, NULL) != -1)
		return 4;
	return access("/proc/sys/net/ipv4/ip_forward", W_OK) == -1 ? 0 : 5;
}

/* In a child: there is no way back. */
static int
drop_in_child(const char *user, uid_t uid)
{
	char error[200] = "";
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (privileges_drop(user, error, sizeof(error)) == -1) {
			fprintf(stderr, "%s\n", error);
			_exit(1);
		}
		_exit(look_after_drop(uid));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_drop(void **state)
{
	struct account account;
	char error[200];

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	assert_int_equal(account_find("nobody", &account, error, sizeof(error)), 0);
	assert_int_equal(drop_in_child("nobody", account.uid), 0);
	assert_int_equal(account_find("", &account, error, sizeof(error)), 0);
	assert_int_equal(drop_in_child("", account.uid), 0);
	assert_int_equal(drop_in_child("no-such-user", 0), 1);
}

static void
test_not_root(void **state)
{
	char error[200] = "";
	uid_t uid = geteuid();
	pid_t pid;
	int status;

	(void)state;
	/* Who is not root stays who he is, even if the user does not exist. */
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (uid == 0 && (setgid(65534) == -1 || setuid(65534) == -1))
			_exit(1);
		uid = geteuid();
		if (privileges_drop("no-such-user", error, sizeof(error)) == -1)
			_exit(2);
		_exit(geteuid() == uid ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_account),
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_not_root),
	};

	return cmocka_run_group_tests_name("privileges", tests, NULL, NULL);
}
