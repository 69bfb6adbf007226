/*
 * stream: a probe's connection, TCP or TLS over it: opened without waiting, closed with RST.
 *
 * A kind is a chain of steps.  Each reads or writes as far as that goes; what would block is
 * waited for here, and the step is called again.
 */
#ifndef WLAD_HEALTH_STREAM_H
#define WLAD_HEALTH_STREAM_H

#include <sys/types.h>

#include "health/probe.h"

struct stream;
struct tls_client;

typedef void stream_step(struct stream *stream, uint64_t now);

struct stream {
	struct probe probe;
	int fd; /* -1: none */
	struct loop_fd *watch;
	bool watch_write;       /* what it waits for */
	struct tls_client *tls; /* NULL: TCP alone */
	struct tls_context *tls_context;
	char host[CONFIG_CHECK_TEXT]; /* for TLS */
	bool secure, http, proxy;
	stream_step *ready; /* the first step of the kind */
	stream_step *step;  /* the present one */
	enum health_cause cause;
};

/*
 * Of a zeroed struct.  The step ready comes when octets can be exchanged; otherwise the probe ends
 * by itself.
 */
void stream_start(struct stream *stream, const struct probe_request *request, stream_step *ready);

/* Results other than a count; 0 of a read is the end of what the server sends. */
#define STREAM_BROKEN (-1) /* stream->cause says how */
#define STREAM_WAIT   (-2) /* the step that is given comes once there may be more */

ssize_t stream_read(struct stream *stream, void *buf, size_t size, stream_step *step);
ssize_t stream_write(struct stream *stream, const void *data, size_t len, stream_step *step);

#endif
