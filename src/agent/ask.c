#include "agent/ask.h"

#include <string.h>

#include "base/xalloc.h"
#include "health/stream.h"

struct ask {
	struct stream stream;
	struct ask_answer *answer;
	const struct octets *send;
	size_t sent; /* of send */
	size_t len;  /* of line, as far as it has come */
	char line[WORDS_LINE];
};

static const char *const FAULTS[] = {
#define X(name, text) [ASK_##name] = text,
    ASK_FAULTS(X)
#undef X
};

const char *
ask_fault_text(enum ask_fault fault)
{
	return (unsigned)fault < ASK_FAULT_COUNT ? FAULTS[fault] : FAULTS[ASK_words];
}

static void
finish(struct ask *ask, enum ask_fault fault, uint64_t now)
{
	ask->answer->fault = fault;
	probe_finish(&ask->stream.probe, HEALTH_none, 0, now);
}

/* The connection is over before the line is. */
static void
end(struct ask *ask, ssize_t result, uint64_t now)
{
	if (result == STREAM_BROKEN)
		probe_finish(&ask->stream.probe, ask->stream.cause, 0, now);
	else if (ask->len == 0)
		probe_finish(&ask->stream.probe, HEALTH_closed, 0, now);
	else
		finish(ask, ASK_cut, now);
}

static void
receive(struct stream *stream, uint64_t now)
{
	struct ask *ask = (struct ask *)stream;
	enum words_result result = WORDS_MORE;
	ssize_t n;

	while (result == WORDS_MORE) {
		n = stream_read(
		    stream, ask->line + ask->len, sizeof(ask->line) - ask->len, receive);
		if (n == STREAM_WAIT)
			return;
		if (n <= 0) {
			end(ask, n, now);
			return;
		}
		ask->len += (size_t)n;
		result = words_parse(&ask->answer->words, ask->line, ask->len);
	}
	finish(ask,
	    result == WORDS_FOUND      ? ASK_none
		: result == WORDS_LONG ? ASK_long
				       : ASK_words,
	    now);
}

/* Who answers and closes without reading has answered all the same. */
static void
transmit(struct stream *stream, uint64_t now)
{
	struct ask *ask = (struct ask *)stream;
	ssize_t n = 0;

	while (n >= 0 && ask->sent < ask->send->len) {
		n = stream_write(
		    stream, ask->send->data + ask->sent, ask->send->len - ask->sent, transmit);
		if (n == STREAM_WAIT)
			return;
		ask->sent += n > 0 ? (size_t)n : 0;
	}
	receive(stream, now);
}

struct probe *
ask_start(const struct ask_request *request)
{
	struct ask *ask = xcalloc(1, sizeof(*ask));
	struct config_check check = {.timeout = request->timeout};
	struct probe_request probe = {
	    .loop = request->loop,
	    .to = request->at,
	    .check = &check,
	    .done = request->done,
	    .arg = request->arg,
	};

	memset(request->answer, 0, sizeof(*request->answer));
	ask->answer = request->answer;
	ask->send = request->send;
	stream_start(&ask->stream, &probe, transmit);
	return &ask->stream.probe;
}
