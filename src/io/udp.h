/*
 * udp: the transfer socket: datagrams in batches, never fragmented, never waiting.
 *
 * udp.c is the socket; udp_linux.c and udp_bsd.c what one OS can and another cannot.
 * Used by io.c and its test.
 */
#ifndef WLAD_IO_UDP_H
#define WLAD_IO_UDP_H

#include "io/io.h"

/* More than the octets of the largest datagram, and such that buffers in a row are aligned. */
#define UDP_BUFFER 65536

struct udp;

/* Binds to the address (port 0: any).  NULL with a sentence in error. */
struct udp *udp_open(const struct addr *listen, char *error, size_t error_size);
void udp_close(struct udp *udp);

/* Receives at once after such a one that brought several datagrams in one: what a wake-up handles
 * is bounded, and its buffers stay in the cache. */
#define UDP_BATCH_JOINED 16

/* As io_ops.transfer_receive and transfer_send. */
int udp_receive(struct udp *udp, struct datagram *batch, int max);
long udp_send(
    struct udp *udp, const struct addr *to, const uint8_t *data, size_t len, size_t segment);

/* True if the octets are of a datagram received last. */
bool udp_holds(const struct udp *udp, const uint8_t *data);

int udp_fd(const struct udp *udp);

/* True if the kernel joins datagrams of equal size (UDP_GRO). */
bool udp_joining(const struct udp *udp);

/* True as long as the kernel cuts a buffer into datagrams (UDP_SEGMENT). */
bool udp_segmentation(const struct udp *udp);

/*
 * The OS's part.  Options: don't fragment, large buffers; each is wanted, none is needed.
 * Returns whether udp_os_send_segments() may be tried.
 */
bool udp_os_options(int fd, bool v6);

/* Several datagrams of one peer may be received in one from now on.  False if the OS cannot. */
bool udp_os_join(int fd);

/* What was received: octets of each datagram in it; 0 if it is one. */
uint32_t udp_os_segment(const struct msghdr *message);

/* One system call for the whole buffer, sendmsg(2) otherwise. */
long udp_os_send_segments(int fd, const struct sockaddr_storage *to, socklen_t to_len,
    const uint8_t *data, size_t len, size_t segment);

#endif
