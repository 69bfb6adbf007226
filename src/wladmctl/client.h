/*
 * client: one request to the daemon over its UNIX socket.
 *
 * Believes nothing: lengths are bounded, waiting ends after a while, and what is not an
 * answer of the protocol in wladmctl(8) is an error.
 */
#ifndef WLAD_WLADMCTL_CLIENT_H
#define WLAD_WLADMCTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#define CLIENT_ANSWER_MAX (64u * 1024 * 1024) /* octets of JSON */
#define CLIENT_TIMEOUT    30                  /* seconds without an octet */

enum client_status {
	CLIENT_OK,      /* text is the JSON */
	CLIENT_REFUSED, /* the daemon said err; text is what it said, with its code */
	CLIENT_FAILED,  /* no answer, or none that is one; text says why */
	CLIENT_NO_DAEMON /* nobody answers at the socket, or it may not be opened; text says why */
};

struct client_answer {
	char *text; /* owned by the caller, terminated; never NULL */
	size_t len;
	bool pieces; /* it came in pieces, which were handed over: text is empty */
};

/* Sends the line (without newline) and waits for the answer. */
enum client_status client_request(
    const char *socket_path, const char *line, struct client_answer *answer);

/* Octets of an answer that comes in pieces.  Returns 0 to go on, else to end it. */
typedef int client_piece(void *arg, const char *data, size_t len);

#define CLIENT_PIECE_MAX (1024u * 1024) /* octets */

/* The same; a long answer may come in pieces, of which each is handed over as it comes. */
enum client_status client_listing(const char *socket_path, const char *line,
    client_piece *piece, void *arg, struct client_answer *answer);

/* One line of a stream, terminated, without newline.  Returns 0 to go on, else to end it. */
typedef int client_line(void *arg, const char *line, size_t len);

#define CLIENT_STREAM_LINE_MAX 65536 /* octets */

/*
 * Sends the line, whose answer has no end, and hands over each line of it.  Returns CLIENT_OK if
 * the handler ended it, CLIENT_NO_DAEMON if the daemon did; the rest as above.
 */
enum client_status client_stream(const char *socket_path, const char *line,
    client_line *handler, void *arg, struct client_answer *answer);

/*
 * What the octets received so far are: 1 if head_len octets of first line are followed by
 * body_len octets of JSON, 2 for an error answer whose text is first line from 4 on, 3 if lines
 * follow until the connection ends, 4 if pieces follow, 0 if the first line is not complete, -1 if this is no answer.
 */
int client_parse_head(const char *data, size_t len, size_t *head_len, size_t *body_len);

#endif
