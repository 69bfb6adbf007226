/*
 * icmp: the sockets that all ICMP probes share, one a family.
 *
 * They need rights: icmp_new() comes before these are given up.  A reply counts if its
 * sender, id, sequence number and token are those of a probe under way.
 */
#ifndef WLAD_HEALTH_ICMP_H
#define WLAD_HEALTH_ICMP_H

#include "loop.h"

struct icmp;

/* Never NULL; what cannot be opened is told by icmp_error() and by each probe. */
struct icmp *icmp_new(struct loop *loop);
void icmp_free(struct icmp *icmp); /* after all its probes; NULL is fine */

/* 0, or the errno for which there is no socket of that family. */
int icmp_error(const struct icmp *icmp, int v4);

/*
 * One file an OS: keeps all but echo replies and "unreachable" away from a raw IPv4 socket
 * where the kernel can.  0, or -1 with errno.
 */
int icmp_filter_v4(int fd);

#endif
