/*
 * http: does the server answer a GET with a status code that is accepted?
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>

#include "base/xalloc.h"
#include "health/http_status.h"
#include "health/stream.h"

#define HTTP_PORT 80

/* Path and host at their longest, and what stands around them. */
#define REQUEST_MAX (2 * CONFIG_CHECK_TEXT + 128)

struct http {
	struct stream stream;
	struct statuses accepted;
	struct http_status status;
	char request[REQUEST_MAX];
	size_t len, sent;
	enum health_cause at_end; /* what the end of the connection means */
};

/* Reads what is there; the rest of the response behind the status is of no interest. */
static void
on_readable(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct http *http = arg;
	struct probe *probe = &http->stream.probe;
	char buf[1024];
	ssize_t n;

	(void)readable;
	(void)writable;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		probe_finish(probe, n == 0 ? http->at_end : probe_cause(errno), 0, now);
		return;
	}
	switch (http_status_feed(&http->status, buf, (size_t)n)) {
	case HTTP_STATUS_MORE:
		return;
	case HTTP_STATUS_BAD:
		probe_finish(probe, HEALTH_not_http, 0, now);
		return;
	case HTTP_STATUS_FOUND:
		probe_finish(probe,
		    statuses_have(&http->accepted, http->status.code) ? HEALTH_none
								      : HEALTH_status,
		    http->status.code, now);
		return;
	}
}

static void
on_writable(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct http *http = arg;
	ssize_t n;

	(void)readable;
	(void)writable;
	n = send(fd, http->request + http->sent, http->len - http->sent, MSG_NOSIGNAL);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1 && errno != EPIPE && errno != ECONNRESET) {
		probe_finish(&http->stream.probe, probe_cause(errno), 0, now);
		return;
	}
	/* who closes without reading may have answered before */
	if (n == -1)
		http->at_end = HEALTH_reset;
	http->sent = n == -1 ? http->len : http->sent + (size_t)n;
	if (http->sent == http->len)
		stream_wait(&http->stream, false, on_readable);
}

static void
on_accepted(struct stream *stream, uint64_t now)
{
	stream->probe.cause = HEALTH_silent; /* from now on the timeout means that */
	stream_wait(stream, true, on_writable);
	on_writable(stream, stream->fd, false, true, now);
}

/* "10.1.0.11", "10.1.0.11:8080", "[2001:db8::11]", "[2001:db8::11]:8080" */
static void
address_as_host(const struct addr *to, char host[ADDR_TEXT + 2])
{
	char text[IP_TEXT];

	if (to->port != HTTP_PORT)
		addr_format(to, host);
	else
		snprintf(host, ADDR_TEXT + 2, ip_is_v4(&to->ip) ? "%s" : "[%s]",
		    ip_format(&to->ip, text));
}

static void
compose(struct http *http, const struct config_check *check, const struct addr *to)
{
	char address[ADDR_TEXT + 2];

	address_as_host(to, address);
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
	http->at_end = HEALTH_closed;
	compose(http, request->check, &request->to);
	stream_start(&http->stream, request, on_accepted);
	return &http->stream.probe;
}
