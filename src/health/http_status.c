#include "health/http_status.h"

#define MINOR     7 /* place of the minor version in the line */
#define CODE      9 /* place of the first digit of the code */
#define CODE_END  (CODE + 3)
#define SWITCHING 101 /* final in spite of its class: nothing comes behind it */

/* "HTTP/1.1 200 OK" up to the octet behind the code; '0' stands for any digit. */
static const char line[] = "HTTP/1.0 000";

static bool
is_digit(uint8_t octet)
{
	return octet >= '0' && octet <= '9';
}

/* The code is complete, and octet is behind it. */
static enum http_status_result
judge(struct http_status *h, uint8_t octet)
{
	if (octet != ' ' && octet != '\r' && octet != '\n')
		return HTTP_STATUS_BAD;
	if (h->code < 100)
		return HTTP_STATUS_BAD;
	if (h->code >= 200 || h->code == SWITCHING)
		return HTTP_STATUS_FOUND;
	h->skipping = true;
	h->line_empty = octet == '\n';
	return HTTP_STATUS_MORE;
}

/* An interim response ends with an empty line; the next one follows. */
static enum http_status_result
skip(struct http_status *h, uint8_t octet)
{
	if (octet == '\n' && h->line_empty) {
		h->skipping = false;
		h->at = h->code = 0;
	} else if (octet != '\r')
		h->line_empty = octet == '\n';
	return HTTP_STATUS_MORE;
}

static enum http_status_result
take(struct http_status *h, uint8_t octet)
{
	if (h->skipping)
		return skip(h, octet);
	if (h->at == CODE_END)
		return judge(h, octet);
	if (h->at == MINOR || h->at >= CODE) {
		if (!is_digit(octet))
			return HTTP_STATUS_BAD;
		if (h->at >= CODE)
			h->code = h->code * 10 + (unsigned)(octet - '0');
	} else if (octet != (uint8_t)line[h->at])
		return HTTP_STATUS_BAD;
	h->at++;
	return HTTP_STATUS_MORE;
}

enum http_status_result
http_status_feed(struct http_status *h, const void *data, size_t len)
{
	const uint8_t *octets = data;
	enum http_status_result result = HTTP_STATUS_MORE;

	for (size_t i = 0; i < len && result == HTTP_STATUS_MORE; i++) {
		if (h->octets++ == HTTP_STATUS_OCTETS)
			return HTTP_STATUS_BAD;
		result = take(h, octets[i]);
	}
	return result;
}
