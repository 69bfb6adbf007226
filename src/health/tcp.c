/*
 * tcp: does the server accept connections, and answer as is expected?  With TLS: does it get
 * through a handshake?
 */
#include "base/xalloc.h"
#include "health/match.h"
#include "health/stream.h"

#define ANSWER_MAX 65536 /* octets in which what is expected has to stand */

struct tcp {
	struct stream stream;
	struct octets send;
	struct match match;
	size_t sent, received;
};

static void
end(struct tcp *tcp, enum health_cause cause, uint64_t now)
{
	probe_finish(&tcp->stream.probe, cause, 0, now);
}

static void
receive(struct stream *stream, uint64_t now)
{
	struct tcp *tcp = (struct tcp *)stream;
	char buf[4096];
	ssize_t n;

	while ((n = stream_read(stream, buf, sizeof(buf), receive)) > 0) {
		tcp->received += (size_t)n;
		if (match_feed(&tcp->match, buf, (size_t)n)) {
			end(tcp, HEALTH_none, now);
			return;
		}
		stream->probe.cause = HEALTH_unexpected;
		if (tcp->received >= ANSWER_MAX) {
			end(tcp, HEALTH_unexpected, now);
			return;
		}
	}
	if (n == STREAM_WAIT)
		return;
	if (tcp->received > 0)
		end(tcp, HEALTH_unexpected, now);
	else
		end(tcp, n == 0 ? HEALTH_closed : stream->cause, now);
}

static void
transmit(struct stream *stream, uint64_t now)
{
	struct tcp *tcp = (struct tcp *)stream;
	ssize_t n;

	while (tcp->sent < tcp->send.len) {
		n = stream_write(
		    stream, tcp->send.data + tcp->sent, tcp->send.len - tcp->sent, transmit);
		if (n == STREAM_WAIT)
			return;
		if (n <= 0) {
			end(tcp, stream->cause, now);
			return;
		}
		tcp->sent += (size_t)n;
	}
	if (tcp->match.want.len == 0)
		end(tcp, HEALTH_none, now);
	else
		receive(stream, now);
}

struct probe *
tcp_start(const struct probe_request *request)
{
	struct tcp *tcp = xcalloc(1, sizeof(*tcp));

	tcp->send = request->check->send;
	match_init(&tcp->match, &request->check->expect);
	stream_start(&tcp->stream, request, transmit);
	return &tcp->stream.probe;
}
