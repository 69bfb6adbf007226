/*
 * kept: packets for the device that wait, where they lie, until they are sent together.
 *
 * Whoever handles packets inside the guard (base/guard.h) hands them over here, and sends them
 * when he is outside: the system calls are nearly all of the time that a packet takes.
 */
#ifndef WLAD_IO_KEPT_H
#define WLAD_IO_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/uio.h>

#include "io/device.h"
#include "packet/packet.h"

/* Packets and pieces that may wait: what a burst makes of itself is less, nearly always. */
#define KEPT_PACKETS 1024
#define KEPT_PIECES  4096

struct kept;

struct kept *kept_new(void); /* ends the program if there is no memory */
void kept_free(struct kept *k);

/*
 * One more for the device, which is borrowed, whose octets and headroom (and pieces' octets) stay until kept_send(); pieces: as
 * device_send_pieces(), or count 0.  False if there is no room.
 */
bool kept_add(struct kept *k, struct device *device, const struct packet *p,
    const struct iovec *piece, unsigned count);

/* Sends all in the order they came.  Returns how many packets the device refused: as many as a
 * super-packet's pieces for each of those. */
uint32_t kept_send(struct kept *k);

#endif
