/*
 * tun_linux: a queue of the Linux TUN device, for tun_linux.c and tun_open_linux.c alone.
 */
#ifndef WLAD_IO_TUN_LINUX_H
#define WLAD_IO_TUN_LINUX_H

#include <net/if.h>
#include <stdint.h>

#include "io/device.h"
#include "io/io.h"

/* Octets of the virtio-net header in front of each packet; see tun_linux.c. */
#define VNET_LEN 10

/* Pieces of one packet at most; the kernel takes 1024 with the header. */
#define DEVICE_PIECES_MAX 256

/* Packets of one read after the other: one of any size, or many small ones and one. */
#define IN_EACH (IO_HEADROOM + PACKET_MAX)
#define IN_SIZE (2 * IN_EACH)

struct device {
	int fd;
	short flags; /* of TUNSETIFF */
	char name[IF_NAMESIZE];
	struct device_offload offload;
	int failed; /* errno of a read behind packets that were handed over; 0: none */
	uint8_t in[IN_SIZE];
	uint8_t scratch[PACKET_MAX]; /* a packet whose checksum is completed, of the queue's own thread */
	struct iovec vector[1 + DEVICE_PIECES_MAX];
};

#endif
