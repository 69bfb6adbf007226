#include "wladmctl/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define NO_PROTOCOL "whoever answers there does not speak wlad's protocol"
#define HEAD_MAX    1024 /* octets of the first line of an answer */
#define FIRST_SIZE  4096
#define STREAM      "ok stream\n"
#define PIECES      "ok pieces\n"
#define PIECE_HEAD  16 /* octets of the line before a piece */

static void set_text(struct client_answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
set_text(struct client_answer *answer, const char *format, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	free(answer->text);
	answer->text = xstrdup(text);
	answer->len = strlen(text);
}

static enum client_status
connect_failed(const char *path, struct client_answer *answer)
{
	int error = errno;

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		set_text(answer, "no daemon at %s: start wlad, or name its socket by -s", path);
		return CLIENT_NO_DAEMON;
	case EACCES:
		set_text(answer, "%s: permission denied: be root or in the group of the socket",
		    path);
		return CLIENT_NO_DAEMON;
	default:
		set_text(answer, "%s: %s", path, strerror(error));
		return CLIENT_NO_DAEMON;
	}
}

/* A connected socket, or -1 with status and text. */
static int
open_socket(const char *path, struct client_answer *answer, enum client_status *status)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = CLIENT_TIMEOUT};
	int fd;

	*status = CLIENT_FAILED;
	if (strlen(path) >= sizeof(address.sun_path)) {
		set_text(answer, "%s: longer than the path of a socket can be", path);
		return -1;
	}
	strcpy(address.sun_path, path); /* fits: see above */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		set_text(answer, "socket: %s", strerror(errno));
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	*status = connect_failed(path, answer);
	close(fd);
	return -1;
}

/* The daemon may refuse and close before it read: what it said is still there to be read. */
static void
send_line(int fd, const char *line)
{
	char *text = xasprintf("%s\n", line);
	size_t len = strlen(text), sent = 0;

	while (sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	free(text);
}

int
client_parse_head(const char *data, size_t len, size_t *head_len, size_t *body_len)
{
	const char *end = memchr(data, '\n', len < HEAD_MAX ? len : HEAD_MAX);
	size_t body = 0, i;

	if (end == NULL)
		return len < HEAD_MAX ? 0 : -1;
	*head_len = (size_t)(end - data) + 1;
	*body_len = 0;
	if (*head_len > 4 && memcmp(data, "err ", 4) == 0)
		return 2;
	if (*head_len == sizeof(STREAM) - 1 && memcmp(data, STREAM, sizeof(STREAM) - 1) == 0)
		return 3;
	if (*head_len == sizeof(PIECES) - 1 && memcmp(data, PIECES, sizeof(PIECES) - 1) == 0)
		return 4;
	if (*head_len < 5 || memcmp(data, "ok ", 3) != 0)
		return -1;
	for (i = 3; data + i < end; i++) {
		if (data[i] < '0' || data[i] > '9' || body > CLIENT_ANSWER_MAX)
			return -1;
		body = 10 * body + (size_t)(data[i] - '0');
	}
	if (body > CLIENT_ANSWER_MAX)
		return -1;
	*body_len = body;
	return 1;
}

/* Reads more; 1, or 0 at the end, or -1 with a text. */
static int
read_more(int fd, char **data, size_t *len, size_t *size, struct client_answer *answer)
{
	ssize_t n;

	if (*len == *size) {
		*size = *size > 0 ? 2 * *size : FIRST_SIZE;
		*data = xrealloc_array(*data, *size, 1);
	}
	do
		n = recv(fd, *data + *len, *size - *len, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*len += (size_t)n;
		return 1;
	}
	if (n == 0 || errno == ECONNRESET) {
		set_text(answer, "the daemon closed the connection without a whole answer");
		return 0;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		set_text(answer, "no answer within %d seconds", CLIENT_TIMEOUT);
	else
		set_text(answer, "answer: %s", strerror(errno));
	return -1;
}

/* A piece's first line: 1 with both lengths, 0 if it is not complete, -1 if it is none. */
static int
parse_piece(const char *data, size_t len, size_t *head_len, size_t *body_len)
{
	const char *end = memchr(data, '\n', len < PIECE_HEAD ? len : PIECE_HEAD);
	size_t body = 0;

	if (end == NULL)
		return len < PIECE_HEAD ? 0 : -1;
	for (const char *digit = data; digit < end; digit++) {
		if (*digit < '0' || *digit > '9' || body > CLIENT_PIECE_MAX)
			return -1;
		body = 10 * body + (size_t)(*digit - '0');
	}
	*head_len = (size_t)(end - data) + 1;
	*body_len = body;
	return end > data && body <= CLIENT_PIECE_MAX ? 1 : -1;
}

/* Hands over the whole pieces; 1 when it was the last, or the handler wants no more, 0 to read on,
 * -1 if this is none. */
static int
take_pieces(char *data, size_t *len, client_piece *piece, void *arg)
{
	size_t at = 0, head, body;
	int kind;

	for (;;) {
		kind = parse_piece(data + at, *len - at, &head, &body);
		if (kind < 0)
			return -1;
		if (kind == 0 || *len - at < head + body)
			break;
		if (body == 0 || piece(arg, data + at + head, body) != 0)
			return 1;
		at += head + body;
	}
	*len -= at;
	memmove(data, data + at, *len);
	return 0;
}

/* What follows "ok pieces"; some of it has come already. */
static enum client_status
read_pieces(int fd, char **data, size_t *len, size_t *size, client_piece *piece, void *arg,
    struct client_answer *answer)
{
	for (;;) {
		int kind = take_pieces(*data, len, piece, arg);

		if (kind > 0) {
			answer->pieces = true;
			return CLIENT_OK;
		}
		if (kind < 0) {
			set_text(answer, NO_PROTOCOL);
			return CLIENT_FAILED;
		}
		if (read_more(fd, data, len, size, answer) <= 0)
			return CLIENT_FAILED;
	}
}

static enum client_status
read_answer(int fd, client_piece *piece, void *arg, struct client_answer *answer)
{
	enum client_status status = CLIENT_FAILED;
	size_t len = 0, size = 0, head_len = 0, body_len = 0;
	char *data = NULL;
	int kind = 0;

	while (read_more(fd, &data, &len, &size, answer) > 0) {
		if (kind == 0)
			kind = client_parse_head(data, len, &head_len, &body_len);
		if (kind < 0 || kind == 3 || (kind == 4 && piece == NULL)) {
			set_text(answer, NO_PROTOCOL);
			break;
		}
		if (kind == 4) {
			len -= head_len;
			memmove(data, data + head_len, len);
			status = read_pieces(fd, &data, &len, &size, piece, arg, answer);
			break;
		}
		if (kind == 2) {
			set_text(answer, "%.*s", (int)(head_len - 5), data + 4);
			status = CLIENT_REFUSED;
			break;
		}
		if (kind == 1 && len - head_len >= body_len) {
			free(answer->text);
			answer->text = xmalloc(body_len + 1);
			memcpy(answer->text, data + head_len, body_len);
			answer->text[body_len] = '\0';
			answer->len = body_len;
			status = CLIENT_OK;
			break;
		}
	}
	free(data);
	return status;
}

enum client_status
client_listing(const char *socket_path, const char *line, client_piece *piece, void *arg,
    struct client_answer *answer)
{
	enum client_status status;
	int fd;

	*answer = (struct client_answer){.text = xstrdup("")};
	fd = open_socket(socket_path, answer, &status);
	if (fd < 0)
		return status;
	send_line(fd, line);
	status = read_answer(fd, piece, arg, answer);
	close(fd);
	return status;
}

enum client_status
client_request(const char *socket_path, const char *line, struct client_answer *answer)
{
	return client_listing(socket_path, line, NULL, NULL, answer);
}

/* Hands over the whole lines, and keeps what is left of the last.  Returns what the handler did. */
static int
hand_over(char *data, size_t *len, client_line *handler, void *arg)
{
	char *at = data, *end;
	int result = 0;

	while (result == 0 && (end = memchr(at, '\n', *len - (size_t)(at - data))) != NULL) {
		*end = '\0';
		result = handler(arg, at, (size_t)(end - at));
		at = end + 1;
	}
	*len -= (size_t)(at - data);
	memmove(data, at, *len);
	return result;
}

/* The first line: 3, or a status by *status. */
static int
read_stream_head(int fd, char **data, size_t *len, size_t *size, struct client_answer *answer,
    enum client_status *status)
{
	size_t head_len = 0, body_len;
	int kind = 0;

	while (kind == 0 && read_more(fd, data, len, size, answer) > 0)
		kind = client_parse_head(*data, *len, &head_len, &body_len);
	*status = CLIENT_FAILED;
	if (kind == 2) {
		set_text(answer, "%.*s", (int)(head_len - 5), *data + 4);
		*status = CLIENT_REFUSED;
	} else if (kind == 3) {
		*len -= head_len;
		memmove(*data, *data + head_len, *len);
	} else if (kind != 0) {
		set_text(answer, NO_PROTOCOL);
	}
	return kind;
}

static enum client_status
read_stream(int fd, client_line *handler, void *arg, struct client_answer *answer)
{
	static const struct timeval forever = {0};
	enum client_status status;
	size_t len = 0, size = 0;
	char *data = NULL;
	int more = 1;

	if (read_stream_head(fd, &data, &len, &size, answer, &status) != 3) {
		free(data);
		return status;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	while (more > 0) {
		if (hand_over(data, &len, handler, arg) != 0) {
			status = CLIENT_OK;
			break;
		}
		if (len >= CLIENT_STREAM_LINE_MAX) {
			set_text(answer, NO_PROTOCOL);
			break;
		}
		more = read_more(fd, &data, &len, &size, answer);
		if (more == 0) {
			set_text(answer, "the daemon ended it");
			status = CLIENT_NO_DAEMON;
		}
	}
	free(data);
	return status;
}

enum client_status
client_stream(const char *socket_path, const char *line, client_line *handler, void *arg,
    struct client_answer *answer)
{
	enum client_status status;
	int fd;

	*answer = (struct client_answer){.text = xstrdup("")};
	fd = open_socket(socket_path, answer, &status);
	if (fd < 0)
		return status;
	send_line(fd, line);
	status = read_stream(fd, handler, arg, answer);
	close(fd);
	return status;
}
