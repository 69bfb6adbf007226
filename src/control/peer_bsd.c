#include <sys/types.h>
#include <sys/socket.h>

#include <unistd.h>

#include "control/peer.h"

int
peer_uid(int fd, uint32_t *uid)
{
	uid_t euid;
	gid_t egid;

	if (getpeereid(fd, &euid, &egid) < 0)
		return -1;
	*uid = euid;
	return 0;
}
