/*
 * http_status: the status code out of an HTTP/1 response that arrives in pieces.
 *
 * A pure function over octets from outside: takes them one by one, keeps no text, gives up
 * after HTTP_STATUS_OCTETS.  Interim responses (RFC 9110, 15.2), except 101, are skipped with
 * their fields.
 */
#ifndef WLAD_HEALTH_HTTP_STATUS_H
#define WLAD_HEALTH_HTTP_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_STATUS_OCTETS 16384

enum http_status_result {
	HTTP_STATUS_MORE,  /* so far it may be HTTP */
	HTTP_STATUS_FOUND, /* the code is there */
	HTTP_STATUS_BAD    /* it is none, or takes too long to become one */
};

/* All zero before the first octet. */
struct http_status {
	unsigned at;     /* octet of the status line that is expected next */
	unsigned code;   /* of the final response, once found */
	unsigned octets; /* taken so far */
	bool skipping;   /* the rest of an interim response */
	bool line_empty; /* nothing of this line has come yet */
};

/* Takes the next octets.  After FOUND or BAD it is not to be called again. */
enum http_status_result http_status_feed(struct http_status *h, const void *data, size_t len);

#endif
