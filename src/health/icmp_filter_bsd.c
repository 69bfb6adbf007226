/*
 * FreeBSD and OpenBSD have no filter for raw IPv4 sockets: everything is read, and what is of
 * no interest is passed over.
 */
#include "health/icmp.h"

int
icmp_filter_v4(int fd)
{
	(void)fd;
	return 0;
}
