/*
 * device: the TUN device of one operating system; what io.c and a device file share.
 *
 * One file an OS: tun_linux.c, tun_freebsd.c, tun_openbsd.c.  Nobody else includes this.
 */
#ifndef WLAD_IO_DEVICE_H
#define WLAD_IO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/uio.h>

#include "packet/packet.h"

struct device;

/* What may be written as it is; the rest is segmented or completed by device_send(). */
struct device_offload {
	bool super, uso, partial;
};

struct device_wanted {
	bool offload;  /* super-packets and partial checksums */
	bool threaded; /* a thread of the kernel takes what is sent; Linux */
	bool queues;   /* device_open_queue() will be asked for others */
};

/* Opens or creates the device.  NULL with a sentence in error; that there is no thread is logged,
 * with the command that helps. */
struct device *device_open(
    const char *name, const struct device_wanted *wanted, char *error, size_t error_size);

/* Another queue of the device that first has opened with wanted->queues: packets of one flow come
 * from one of them, the one that last sent some of it.  NULL with a sentence in error. */
struct device *device_open_queue(const struct device *first, char *error, size_t error_size);

void device_close(struct device *d);

/* As io_ops.device_receive, device_receive_many and device_send. */
int device_receive(struct device *d, struct packet *p);
int device_receive_many(struct device *d, struct packet *p, int max, bool *more);
int device_send(struct device *d, const struct packet *p);

/* As io_ops.device_send_pieces. */
int device_send_pieces(
    struct device *d, const struct packet *p, const struct iovec *piece, unsigned count);

/* True if the octets are of a packet received last. */
bool device_holds(const struct device *d, const uint8_t *data);

int device_fd(const struct device *d);
const char *device_name(const struct device *d);
struct device_offload device_offload(const struct device *d);

#endif
