/*
 * http: does the server answer a GET with a status code that is accepted, and with a body as is
 * expected?  Over TCP or TLS.
 */
#include <stdio.h>

#include "base/xalloc.h"
#include "health/http_body.h"
#include "health/http_status.h"
#include "health/stream.h"

#define HTTP_PORT  80
#define HTTPS_PORT 443

/* Path and host at their longest, and what stands around them. */
#define REQUEST_MAX (2 * CONFIG_CHECK_TEXT + 128)

struct http {
	struct stream stream;
	struct statuses accepted;
	struct octets expect;
	struct http_status status;
	struct http_body body;
	bool in_body;
	char request[REQUEST_MAX];
	size_t len, sent;
	enum health_cause at_end; /* what the end of the connection means */
};

static void
end(struct http *http, enum health_cause cause, uint64_t now)
{
	probe_finish(&http->stream.probe, cause, http->status.code, now);
}

/* Octets of the body; true if that was the end. */
static bool
take_body(struct http *http, const char *data, size_t len, uint64_t now)
{
	switch (http_body_feed(&http->body, data, len)) {
	case HTTP_BODY_MORE:
		return false;
	case HTTP_BODY_FOUND:
		end(http, HEALTH_none, now);
		break;
	case HTTP_BODY_END:
		end(http, HEALTH_unexpected, now);
		break;
	case HTTP_BODY_BAD:
		end(http, HEALTH_not_http, now);
		break;
	}
	return true;
}

/* The code is there; behind it come so many octets.  True if that was the end. */
static bool
take_code(struct http *http, const char *data, size_t len, bool line_over, uint64_t now)
{
	bool accepted = statuses_have(&http->accepted, http->status.code);

	if (!accepted || http->expect.len == 0) {
		end(http, accepted ? HEALTH_none : HEALTH_status, now);
		return true;
	}
	http->in_body = true;
	http->at_end = HEALTH_unexpected;
	http_body_init(&http->body, &http->expect, line_over);
	return take_body(http, data, len, now);
}

/* True if that was the end. */
static bool
take(struct http *http, const char *data, size_t len, uint64_t now)
{
	unsigned before = http->status.octets, taken;

	if (http->in_body)
		return take_body(http, data, len, now);
	switch (http_status_feed(&http->status, data, len)) {
	case HTTP_STATUS_MORE:
		return false;
	case HTTP_STATUS_BAD:
		probe_finish(&http->stream.probe, HEALTH_not_http, 0, now);
		return true;
	case HTTP_STATUS_FOUND:
		break;
	}
	taken = http->status.octets - before;
	return take_code(http, data + taken, len - taken, data[taken - 1] == '\n', now);
}

static void
receive(struct stream *stream, uint64_t now)
{
	struct http *http = (struct http *)stream;
	char buf[4096];
	ssize_t n;

	while ((n = stream_read(stream, buf, sizeof(buf), receive)) > 0)
		if (take(http, buf, (size_t)n, now))
			return;
	if (n == STREAM_WAIT)
		return;
	/* a code that is not complete is none */
	probe_finish(&stream->probe, n == 0 ? http->at_end : stream->cause,
	    http->in_body ? http->status.code : 0, now);
}

static void
transmit(struct stream *stream, uint64_t now)
{
	struct http *http = (struct http *)stream;
	ssize_t n = 0;

	while (http->sent < http->len) {
		n = stream_write(
		    stream, http->request + http->sent, http->len - http->sent, transmit);
		if (n == STREAM_WAIT)
			return;
		if (n <= 0)
			break;
		http->sent += (size_t)n;
	}
	if (http->sent < http->len && stream->cause != HEALTH_reset) {
		probe_finish(&stream->probe, stream->cause, 0, now);
		return;
	}
	/* who closes without reading may have answered before */
	if (http->sent < http->len)
		http->at_end = HEALTH_reset;
	receive(stream, now);
}

/* "10.1.0.11", "10.1.0.11:8080", "[2001:db8::11]", "[2001:db8::11]:8080" */
static void
address_as_host(const struct addr *to, bool secure, char host[ADDR_TEXT + 2])
{
	char text[IP_TEXT];

	if (to->port != (secure ? HTTPS_PORT : HTTP_PORT))
		addr_format(to, host);
	else
		snprintf(host, ADDR_TEXT + 2, ip_is_v4(&to->ip) ? "%s" : "[%s]",
		    ip_format(&to->ip, text));
}

static void
compose(struct http *http, const struct config_check *check, const struct addr *to)
{
	char address[ADDR_TEXT + 2];

	address_as_host(to, check->type == CONFIG_CHECK_HTTPS, address);
	http->len = (size_t)snprintf(http->request, sizeof(http->request),
	    "GET %s HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "User-Agent: wlad\r\n"
	    "Accept: */*\r\n"
	    "Connection: close\r\n"
	    "\r\n",
	    check->path, check->host[0] != '\0' ? check->host : address);
}

struct probe *
http_start(const struct probe_request *request)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->accepted = request->check->status;
	http->expect = request->check->expect;
	http->at_end = HEALTH_closed;
	compose(http, request->check, &request->to);
	stream_start(&http->stream, request, transmit);
	return &http->stream.probe;
}
