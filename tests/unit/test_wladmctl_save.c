/*
 * A file that is replaced: whole, with its owner and mode, and the old one kept; or not at all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "wladmctl/replace.h"

static char folder[] = "/tmp/wlad-replace-XXXXXX";
static char error[400];

static char *
path(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static void
put(const char *name, const char *text, mode_t mode)
{
	char *file = path(name);
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(file, mode), 0);
	free(file);
}

static void
assert_holds(const char *name, const char *text)
{
	char *file = path(name), *data;
	size_t len;

	data = file_read(file, 1000, &len);
	assert_non_null(data);
	assert_string_equal(data, text);
	assert_int_equal(len, strlen(text));
	free(data);
	free(file);
}

/* How many files there are, and away with them. */
static int
clear(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int count = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		char *file;

		if (e->d_name[0] == '.' && strlen(e->d_name) < 3)
			continue;
		file = path(e->d_name);
		assert_int_equal(unlink(file), 0);
		free(file);
		count++;
	}
	closedir(d);
	return count;
}

static void
test_new(void **state)
{
	char *file = path("new.conf");
	struct stat st;

	(void)state;
	assert_int_equal(replace_file(file, "one\n", error, sizeof(error)), 0);
	assert_holds("new.conf", "one\n");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(clear(), 1); /* nothing beside it */
	free(file);
}

static void
test_old_is_kept(void **state)
{
	char *file = path("a.conf");
	struct stat st, before;

	(void)state;
	put("a.conf", "one\n", 0640);
	if (geteuid() == 0)
		assert_int_equal(chown(file, 12345, 54321), 0);
	assert_int_equal(stat(file, &before), 0);
	assert_int_equal(replace_file(file, "two\n", error, sizeof(error)), 0);
	assert_holds("a.conf", "two\n");
	assert_holds("a.conf~", "one\n");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, before.st_uid);
	assert_int_equal(st.st_gid, before.st_gid);
	/* again: it is always the one before */
	assert_int_equal(replace_file(file, "three\n", error, sizeof(error)), 0);
	assert_holds("a.conf", "three\n");
	assert_holds("a.conf~", "two\n");
	assert_int_equal(clear(), 2);
	free(file);
}

/* What cannot be kept is not replaced. */
static void
test_old_cannot_be_kept(void **state)
{
	char *file = path("a.conf"), *old = path("a.conf~");

	(void)state;
	put("a.conf", "one\n", 0600);
	assert_int_equal(mkdir(old, 0700), 0);
	assert_int_equal(replace_file(file, "two\n", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "a.conf"));
	assert_holds("a.conf", "one\n");
	assert_int_equal(rmdir(old), 0);
	assert_int_equal(clear(), 1);
	free(file);
	free(old);
}

static void
test_no_folder(void **state)
{
	(void)state;
	assert_int_equal(replace_file("/nowhere/at/all.conf", "x", error, sizeof(error)), -1);
	assert_string_equal(error, "/nowhere/at: No such file or directory");
}

static void
test_read(void **state)
{
	char *file = path("long"), *data;
	size_t len;

	(void)state;
	assert_null(file_read(file, 10, &len));
	assert_int_equal(errno, ENOENT);
	assert_null(file_read(folder, 10, &len));
	assert_int_equal(errno, EISDIR);
	put("long", "0123456789abc", 0600);
	data = file_read(file, 10, &len);
	assert_string_equal(data, "0123456789");
	assert_int_equal(len, 10);
	free(data);
	assert_int_equal(clear(), 1);
	free(file);
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new),
	    cmocka_unit_test(test_old_is_kept),
	    cmocka_unit_test(test_old_cannot_be_kept),
	    cmocka_unit_test(test_no_folder),
	    cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests_name("wladmctl_save", tests, make_folder, remove_folder);
}
