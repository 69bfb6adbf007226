/*
 * http_body: what stands behind the status code of an HTTP/1 response that arrives in pieces.
 *
 * Looks for the expected octets in the first HTTP_BODY_OCTETS of the body, past the fields, and
 * through the chunks of a chunked one (RFC 9112, 7.1).  A pure function over octets from outside
 * that keeps no text.
 */
#ifndef WLAD_HEALTH_HTTP_BODY_H
#define WLAD_HEALTH_HTTP_BODY_H

#include "health/match.h"

#define HTTP_FIELDS_OCTETS 16384 /* of all fields; and of all that frames chunks */
#define HTTP_BODY_OCTETS   65536

enum http_body_result {
	HTTP_BODY_MORE,  /* not found yet */
	HTTP_BODY_FOUND, /* it is there */
	HTTP_BODY_END,   /* it is not, and will not come */
	HTTP_BODY_BAD    /* this is no HTTP */
};

enum http_body_state {
	HTTP_IN_STATUS_LINE,
	HTTP_IN_NAME,  /* of a field */
	HTTP_IN_VALUE, /* of a field */
	HTTP_IN_BODY,
	HTTP_IN_CHUNK_SIZE,
	HTTP_IN_CHUNK_EXTENSION,
	HTTP_IN_CHUNK,
	HTTP_BEHIND_CHUNK
};

struct http_body {
	struct match match;
	enum http_body_state state;
	unsigned framing; /* octets taken outside of the body */
	unsigned body;    /* octets of it taken */
	unsigned at;      /* octet of a name, a value or a size */
	bool is_encoding, is_length;
	char last[8]; /* the last octets of an encoding, in lower case */
	bool chunked, sized;
	uint64_t left; /* octets of the chunk, or of a body that is sized */
};

/* line_over: the octet behind the status code has ended the status line. */
void http_body_init(struct http_body *b, const struct octets *want, bool line_over);

/* Takes the next octets.  After another result than MORE it is not to be called again. */
enum http_body_result http_body_feed(struct http_body *b, const void *data, size_t len);

#endif
