/*
 * FreeBSD and OpenBSD.  Written from fcntl(2) and getdtablesize(3); not tested on these systems.
 */
#include "platform/inherit.h"

#include <fcntl.h>
#include <unistd.h>

#define FIRST 3 /* behind standard input, output and error */

void
inherit_nothing(void)
{
	int last = getdtablesize();

	for (int fd = FIRST; fd < last; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}
