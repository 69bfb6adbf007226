/*
 * OpenBSD: tun(4).  Written from the manual; not tested on the system.
 *
 * Each packet has the address family in front, four octets in network order.  There are
 * neither super-packets nor partial checksums.
 */
#include "io/device.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "io/family.h"
#include "io/io.h"

struct device {
	int fd;
	char name[IFNAMSIZ];
	struct family_buffer buffer;
};

struct device *
device_open(const char *name, const struct device_wanted *wanted, char *error, size_t error_size)
{
	struct device *d = xcalloc(1, sizeof(*d));
	char path[sizeof("/dev/") + IFNAMSIZ];

	if (wanted->threaded)
		log_warnx("device.threaded is for Linux");
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	d->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (d->fd != -1)
		return d;
	snprintf(error, error_size,
	    "device %s cannot be opened: %s (device.name is tun0, tun1 ...)", name,
	    strerror(errno));
	device_close(d);
	return NULL;
}

struct device *
device_open_queue(const struct device *first, char *error, size_t error_size)
{
	snprintf(error, error_size, "device %s has no other queue: device.queues is Linux's",
	    first->name);
	return NULL;
}

void
device_close(struct device *d)
{
	if (d == NULL)
		return;
	if (d->fd != -1)
		close(d->fd);
	free(d);
}

/* Only where there are queues anything is kept. */
bool
device_holds(const struct device *d, const uint8_t *data)
{
	(void)d;
	(void)data;
	return false;
}

int
device_fd(const struct device *d)
{
	return d->fd;
}

const char *
device_name(const struct device *d)
{
	return d->name;
}

struct device_offload
device_offload(const struct device *d)
{
	(void)d;
	return (struct device_offload){false, false, false};
}

int
device_receive(struct device *d, struct packet *p)
{
	return family_receive(d->fd, &d->buffer, p);
}

/* One: it has one buffer. */
int
device_receive_many(struct device *d, struct packet *p, int max, bool *more)
{
	int got = max > 0 ? device_receive(d, p) : 0;

	*more = got == 1;
	return got;
}

int
device_send(struct device *d, const struct packet *p)
{
	return family_send(d->fd, &d->buffer, p);
}

/* The device takes no super-packets. */
int
device_send_pieces(
    struct device *d, const struct packet *p, const struct iovec *piece, unsigned count)
{
	(void)d;
	(void)p;
	(void)piece;
	(void)count;
	errno = EOPNOTSUPP;
	return -1;
}
