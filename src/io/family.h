/*
 * family: packets with their address family in front, as the BSDs' TUN devices have them.
 *
 * Four octets in network order, then the IP packet (tun(4)).  The descriptor is the
 * caller's; any that keeps message boundaries will do, so that the test needs no device.
 */
#ifndef WLAD_IO_FAMILY_H
#define WLAD_IO_FAMILY_H

#include "io/io.h"

#define FAMILY_LEN 4

struct family_buffer {
	uint8_t in[IO_HEADROOM + PACKET_MAX];
	uint8_t scratch[PACKET_MAX]; /* a packet whose checksum is completed */
};

/* As io_ops.device_receive. */
int family_receive(int fd, struct family_buffer *buffer, struct packet *p);

/* As io_ops.device_send: super-packets are segmented, partial checksums completed. */
int family_send(int fd, struct family_buffer *buffer, const struct packet *p);

#endif
