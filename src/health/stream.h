/*
 * stream: a probe's TCP connection: opened without waiting, closed with RST.
 */
#ifndef WLAD_HEALTH_STREAM_H
#define WLAD_HEALTH_STREAM_H

#include "health/probe.h"

struct stream {
	struct probe probe;
	int fd;                /* -1: none */
	struct loop_fd *watch; /* what is waited for */
	void (*connected)(struct stream *stream, uint64_t now);
};

/*
 * Of a zeroed struct.  connected() is called when the server has accepted; otherwise the probe
 * ends by itself.
 */
void stream_start(struct stream *stream, const struct probe_request *request,
    void (*connected)(struct stream *stream, uint64_t now));

/* Waits for the connection to be readable or writable, instead of what was waited for. */
void stream_wait(struct stream *stream, bool write, loop_fd_callback *callback);

#endif
