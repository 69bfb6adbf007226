/*
 * listener: the file in the file system that is the control socket.
 *
 * Nobody but root and the group can ever open it, not even while it is being made.  A file
 * left by a daemon that is gone is replaced, one behind which a daemon answers is refused,
 * anything that is no socket is left alone.
 */
#ifndef WLAD_CONTROL_LISTENER_H
#define WLAD_CONTROL_LISTENER_H

#include <sys/types.h>

#include <stddef.h>

struct listener {
	int fd; /* listening, non-blocking, closed on exec; -1: closed */
	char *path;
	dev_t device; /* of the file, so that only our own is removed */
	ino_t inode;
};

/*
 * Makes the socket, with mode 0660 and, if a group of that name exists, that group ("": none);
 * also its directory if only that is missing.  0, or -1 with a sentence in error.
 */
int listener_open(struct listener *listener, const char *path, const char *group, char *error,
    size_t error_size);

/* Closes it, and removes the file if it is still ours. */
void listener_close(struct listener *listener);

#endif
