/*
 * peer: who is at the other end of a UNIX socket.  One file an OS.
 */
#ifndef WLAD_CONTROL_PEER_H
#define WLAD_CONTROL_PEER_H

#include <stdint.h>

/* The effective user that connected.  0, or -1 with errno. */
int peer_uid(int fd, uint32_t *uid);

#endif
