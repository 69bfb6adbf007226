#include "health/icmp.h"

#include <sys/socket.h>

#include <linux/icmp.h>
#include <netinet/in.h>

int
icmp_filter_v4(int fd)
{
	struct icmp_filter filter = {
	    .data = ~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH),
	};

	return setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
}
