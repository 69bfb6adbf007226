#include "wladmctl/replace.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define MODE_NEW 0644 /* of a file that was not there; no secret is in it */

static int
write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Owner and mode of the old file, contents, and all of it on the disk. */
static int
fill(int fd, const struct stat *old, const char *text)
{
	struct stat now;

	if (fstat(fd, &now) == -1)
		return -1;
	if (old != NULL && (now.st_uid != old->st_uid || now.st_gid != old->st_gid) &&
	    fchown(fd, old->st_uid, old->st_gid) == -1)
		return -1;
	if (fchmod(fd, old != NULL ? old->st_mode & 07777 : MODE_NEW) == -1)
		return -1;
	return write_all(fd, text) == -1 || fsync(fd) == -1 ? -1 : 0;
}

/* The old one under its second name: a link, so that at no time there is none under the first. */
static int
keep_old(const char *file)
{
	char *old = xasprintf("%s~", file);
	int result = unlink(old) == -1 && errno != ENOENT ? -1 : link(file, old);

	free(old);
	return result;
}

/* So that the new name is on the disk as well; there are file systems that cannot. */
static void
sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return;
	fsync(fd);
	close(fd);
}

static char *
folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return xstrdup(".");
	return slash == file ? xstrdup("/") : xasprintf("%.*s", (int)(slash - file), file);
}

int
replace_file(const char *file, const char *text, char *error, size_t error_size)
{
	char *folder = folder_of(file), *temporary = xasprintf("%s.XXXXXX", file);
	struct stat old;
	bool there = stat(file, &old) == 0, made = false;
	const char *what = temporary;
	int fd = mkostemp(temporary, O_CLOEXEC), result = -1;

	if (fd == -1) {
		what = folder;
	} else if (fill(fd, there ? &old : NULL, text) == 0) {
		made = true;
		what = file;
		if ((!there || keep_old(file) == 0) && rename(temporary, file) == 0)
			result = 0;
	}
	if (result == 0)
		sync_folder(folder);
	else
		snprintf(error, error_size, "%s: %s", made || fd == -1 ? what : temporary,
		    strerror(errno));
	if (fd != -1)
		close(fd);
	if (fd != -1 && result == -1)
		unlink(temporary);
	free(temporary);
	free(folder);
	return result;
}
