/*
 * tcp: does the server accept connections?
 */
#include "base/xalloc.h"
#include "health/stream.h"

static void
on_accepted(struct stream *stream, uint64_t now)
{
	probe_finish(&stream->probe, HEALTH_none, 0, now);
}

struct probe *
tcp_start(const struct probe_request *request)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream_start(stream, request, on_accepted);
	return &stream->probe;
}
