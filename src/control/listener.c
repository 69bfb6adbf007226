#include "control/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

#define BACKLOG 64

static int
fill_address(struct sockaddr_un *address, const char *path, char *error, size_t error_size)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (*path == '\0' || strlen(path) >= sizeof(address->sun_path)) {
		snprintf(error, error_size, "control.socket is to have 1 to %zu octets: \"%s\"",
		    sizeof(address->sun_path) - 1, path);
		return -1;
	}
	strcpy(address->sun_path, path); /* fits: see above */
	return 0;
}

static int
new_socket(char *error, size_t error_size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	snprintf(error, error_size, "control socket: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* True if a daemon answers there.  A full backlog (EAGAIN) is an answer too. */
static bool
is_live(const struct sockaddr_un *address, char *error, size_t error_size)
{
	int fd = new_socket(error, error_size);
	bool live = true;

	if (fd < 0)
		return true;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	    (errno == ECONNREFUSED || errno == ENOENT))
		live = false;
	else
		snprintf(error, error_size,
		    "a daemon answers at %s: stop it, or set control.socket", address->sun_path);
	close(fd);
	return live;
}

/* Takes what is left of a daemon that is gone out of the way. */
static int
remove_stale(const struct sockaddr_un *address, char *error, size_t error_size)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, error_size, "%s is no socket: remove it, or set control.socket",
		    path);
		return -1;
	}
	if (is_live(address, error, error_size))
		return -1;
	if (unlink(path) < 0 && errno != ENOENT) {
		snprintf(error, error_size, "%s cannot be replaced: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

/* /run is empty after a boot: the last directory of the path is made if it is missing. */
static void
make_directory(const char *path)
{
	char *directory = xstrdup(path), *slash = strrchr(directory, '/');

	if (slash != NULL && slash != directory) {
		*slash = '\0';
		if (mkdir(directory, 0755) == 0)
			log_info("directory made path=%s", directory);
	}
	free(directory);
}

/* A missing group leaves the socket to root and the daemon's user: said, not fatal. */
static void
give_to_group(const char *path, const char *group)
{
	const struct group *entry;

	if (*group == '\0')
		return;
	entry = getgrnam(group);
	if (entry == NULL)
		log_info("no such group, the control socket is for root only group=%s", group);
	else if (lchown(path, (uid_t)-1, entry->gr_gid) < 0)
		log_warn("control socket cannot be given to its group path=%s group=%s", path,
		    group);
}

static int
bind_and_listen(struct listener *listener, const struct sockaddr_un *address, const char *group,
    char *error, size_t error_size)
{
	/* the mode holds from the very first moment; start-up has one thread */
	mode_t mask = umask(0117);
	int result = bind(listener->fd, (const struct sockaddr *)address, sizeof(*address));
	struct stat st;

	umask(mask);
	if (result < 0) {
		snprintf(error, error_size, "%s: %s", address->sun_path, strerror(errno));
		return -1;
	}
	if (lstat(address->sun_path, &st) == 0) {
		listener->device = st.st_dev;
		listener->inode = st.st_ino;
	}
	give_to_group(address->sun_path, group);
	if (listen(listener->fd, BACKLOG) < 0) {
		snprintf(error, error_size, "%s: listen: %s", address->sun_path, strerror(errno));
		return -1;
	}
	return 0;
}

int
listener_open(struct listener *listener, const char *path, const char *group, char *error,
    size_t error_size)
{
	struct sockaddr_un address;

	memset(listener, 0, sizeof(*listener));
	listener->fd = -1;
	if (fill_address(&address, path, error, error_size) < 0 ||
	    remove_stale(&address, error, error_size) < 0)
		return -1;
	listener->fd = new_socket(error, error_size);
	if (listener->fd < 0)
		return -1;
	listener->path = xstrdup(path);
	make_directory(path);
	if (bind_and_listen(listener, &address, group, error, error_size) == 0)
		return 0;
	listener_close(listener);
	return -1;
}

void
listener_close(struct listener *listener)
{
	struct stat st;

	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	if (listener->path != NULL && listener->inode != 0 && lstat(listener->path, &st) == 0 &&
	    st.st_dev == listener->device && st.st_ino == listener->inode)
		unlink(listener->path);
	free(listener->path);
	listener->path = NULL;
}
