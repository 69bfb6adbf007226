/*
 * raw: the other way out: packets with their headers, by raw IP sockets.
 *
 * One file an OS: raw_linux.c, raw_bsd.c; used by io.c and the test.  To the kernel the
 * packets are its own: it routes them without forwarding them.  The sockets only send, and
 * never wait.
 */
#ifndef WLAD_IO_RAW_H
#define WLAD_IO_RAW_H

#include "io/io.h"

struct raw;

/* Opens a socket of each family (needs CAP_NET_RAW).  NULL with a sentence in error. */
struct raw *raw_open(char *error, size_t error_size);
void raw_close(struct raw *raw);

/* False if packets of this IP version have no way out here: they leave by the device. */
bool raw_takes(const struct raw *raw, int version);

/*
 * Takes a parsed packet of such a version; it is copied or sent at once.  Super-packets are
 * segmented, partial checksums completed, and IPv4 packets that may be fragmented are,
 * where their way is too narrow.
 */
void raw_send(struct raw *raw, const struct packet *p);

/* As io_ops.device_flush. */
uint32_t raw_flush(struct raw *raw, struct io_refused *refused);

#endif
