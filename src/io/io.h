/*
 * io: where packets come from and go to: the device and the transfer socket.
 *
 * One struct of functions, implemented by the TUN device with a UDP socket and raw sockets
 * (io.c, tun_*.c, udp.c, raw_*.c) and by memory queues (memory.c).  The datapath holds an io and knows no file
 * descriptor; the loop asks for descriptors to wait on.  Nothing here looks into a packet
 * further than offload demands.
 */
#ifndef WLAD_IO_IO_H
#define WLAD_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#include "base/addr.h"
#include "packet/packet.h"

#define IO_QUEUES_MAX 64 /* of the device */

/* Octets in front of each received packet that may be overwritten. */
#define IO_HEADROOM 128

/* A received datagram, or several of equal size in one (UDP_GRO): borrowed until the next
 * receive. */
struct datagram {
	uint8_t *data;
	uint32_t len;
	uint32_t segment; /* octets of each; == len if it is one */
	struct addr from;
	bool demand; /* it came to the demand port */
};

#define IO_BATCH 64 /* datagrams of one receive call, and packets of one wake-up */

/* Datagrams of equal size that one system call may send: UDP_MAX_SEGMENTS of older kernels, and
 * no more octets than an IPv4 packet holds. */
#define IO_SEND_SEGMENTS 64
#define IO_SEND_LEN      65000

struct io;

/* What device_flush() could not send. */
struct io_refused {
	uint32_t count;       /* packets */
	uint32_t too_big;     /* of them larger than their way takes */
	uint32_t mtu;         /* what it takes; 0: not known, or none was too big */
	struct packet packet; /* with mtu, one that was too big, parsed: valid until
	                       * the next device_send or device_flush */
};

struct io_ops {
	/*
	 * Reads one packet; the view's received part is set, the rest is zero.  The buffer belongs to
	 * the io and is valid until the next call.  1, 0 if there is none now, -1 with errno on an
	 * error other than EAGAIN/EINTR (EBADFD on Linux: somebody removed the device).
	 */
	int (*device_receive)(struct io *io, struct packet *p);

	/*
	 * Reads up to max packets, whose buffers are all valid until the next call of either;
	 * *more: there may be others.  Result as device_receive, but for how many they are.
	 * NULL: the io reads one at a time.
	 */
	int (*device_receive_many)(struct io *io, struct packet *p, int max, bool *more);

	/* Writes a parsed packet; what the device does not take as it is (takes_* below) is
	 * segmented or completed here.  May overwrite the headroom.  0, or -1 with errno if the
	 * device refused it. */
	int (*device_send)(struct io *io, const struct packet *p);

	/*
	 * Writes a parsed super-packet whose checksum is partial, of which p->data holds only what
	 * the first of the pieces does: its headers and the beginning of its payload.  For devices
	 * that take super-packets of its kind as they are.  Result and headroom as device_send.
	 */
	int (*device_send_pieces)(
	    struct io *io, const struct packet *p, const struct iovec *piece, unsigned count);

	/*
	 * Sends what device_send took and kept back, so that several packets go by one system
	 * call.  To be called before the io is left alone.  Returns how many packets were refused
	 * since the last call, of which refused tells more.  NULL: nothing is ever kept back.
	 */
	uint32_t (*device_flush)(struct io *io, struct io_refused *refused);

	/* Up to IO_BATCH datagrams; returns how many, 0 for none now, -1 on error. */
	int (*transfer_receive)(struct io *io, struct datagram *batch, int max);

	/* Sends the datagrams of segment octets each (the last may be shorter) that lie one after
	 * the other in data.  Returns how many octets the socket took, which are fewer than len
	 * if it refused a datagram, or -1 with errno if it refused the first (EMSGSIZE: path MTU,
	 * EAGAIN: full). */
	long (*transfer_send)(struct io *io, const struct addr *to, const uint8_t *data,
	    size_t len, size_t segment);

	int (*device_fd)(const struct io *io);   /* -1: none */
	int (*transfer_fd)(const struct io *io); /* -1: none */
	int (*demand_fd)(const struct io *io);   /* -1: none; transfer_receive reads both */
	void (*close)(struct io *io);
};

struct io {
	const struct io_ops *ops;
	bool takes_super; /* the device takes super-packets of TCP whose checksum is partial */
	bool takes_uso;   /* the device takes super-packets of UDP, likewise */
	bool takes_partial; /* the device takes partial checksums */
	bool transferring; /* what is sent now came by the transfer socket: the caller's word */
};

struct io_settings {
	const char *device_name; /* "wlad0"; NULL: no device */
	uint32_t mtu;            /* of the device; 0: as the OS makes it */
	bool offload;            /* ask for super-packets and partial checksums */
	bool threaded; /* a thread of the kernel takes what the device is sent; Linux */
	bool raw;      /* packets leave by raw sockets, not by the device */
	bool queues;   /* io_open_queue() will be asked for others */
	struct addr transfer_listen; /* port 0: no transfer socket */
	uint16_t demand_port;        /* a second one, on the same address; 0: none */
};

/* Opens device and sockets (needs CAP_NET_ADMIN, and CAP_NET_RAW for raw).  NULL with a sentence in error. */
struct io *io_open(const struct io_settings *settings, char *error, size_t error_size);

/*
 * Another queue of the device, for another thread: an io of its own, with the first one's transfer
 * socket to send by, to be closed before the first, which sends nothing afterwards.  All of them keep back what device_send is
 * given, until device_flush.  NULL with a sentence in error.
 */
struct io *io_open_queue(struct io *first, char *error, size_t error_size);

/* The name the kernel gave the device; "" if there is none. */
const char *io_device_name(const struct io *io);

static inline void
io_close(struct io *io)
{
	if (io != NULL)
		io->ops->close(io);
}

#endif
