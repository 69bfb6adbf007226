#include "health/http_body.h"

#include <string.h>

#define LENGTH_MAX (UINT64_C(1) << 59)

static const char encoding_name[] = "transfer-encoding", length_name[] = "content-length";
static const char chunked[] = "chunked"; /* the last encoding of the list, if it is one */

void
http_body_init(struct http_body *b, const struct octets *want, bool line_over)
{
	memset(b, 0, sizeof(*b));
	match_init(&b->match, want);
	b->state = line_over ? HTTP_IN_NAME : HTTP_IN_STATUS_LINE;
	b->is_encoding = b->is_length = true;
}

static char
lower(uint8_t octet)
{
	return (char)(octet >= 'A' && octet <= 'Z' ? octet + ('a' - 'A') : octet);
}

/* A field line begins: it may be any of the two. */
static void
begin_line(struct http_body *b)
{
	b->state = HTTP_IN_NAME;
	b->at = 0;
	b->is_encoding = b->is_length = true;
}

/* The empty line has come. */
static enum http_body_result
begin_body(struct http_body *b)
{
	if (b->chunked) {
		b->state = HTTP_IN_CHUNK_SIZE;
		b->at = 0;
		b->left = 0;
		return HTTP_BODY_MORE;
	}
	b->state = HTTP_IN_BODY;
	return b->sized && b->left == 0 ? HTTP_BODY_END : HTTP_BODY_MORE;
}

static enum http_body_result
take_name(struct http_body *b, uint8_t octet)
{
	if (octet == '\n')
		return b->at == 0 ? begin_body(b) : HTTP_BODY_BAD;
	if (octet == '\r' && b->at == 0)
		return HTTP_BODY_MORE;
	if (octet == ':') {
		b->is_encoding = b->is_encoding && b->at == sizeof(encoding_name) - 1;
		b->is_length = b->is_length && b->at == sizeof(length_name) - 1;
		b->state = HTTP_IN_VALUE;
		if (b->is_length) {
			b->sized = true;
			b->left = 0;
		}
		memset(b->last, 0, sizeof(b->last));
		return HTTP_BODY_MORE;
	}
	b->is_encoding = b->is_encoding && b->at < sizeof(encoding_name) - 1 &&
	    lower(octet) == encoding_name[b->at];
	b->is_length = b->is_length && b->at < sizeof(length_name) - 1 &&
	    lower(octet) == length_name[b->at];
	b->at++;
	return HTTP_BODY_MORE;
}

static enum http_body_result
take_value(struct http_body *b, uint8_t octet)
{
	if (octet == '\n') {
		if (b->is_encoding)
			b->chunked = strcmp(b->last, chunked) == 0;
		begin_line(b);
		return HTTP_BODY_MORE;
	}
	if (octet == ' ' || octet == '\t' || octet == '\r')
		return HTTP_BODY_MORE;
	if (b->is_length) {
		if (octet < '0' || octet > '9' || b->left > LENGTH_MAX)
			return HTTP_BODY_BAD;
		b->left = b->left * 10 + (octet - '0');
	}
	if (b->is_encoding) {
		/* "gzip, chunked": what counts is the last one */
		if (octet == ',') {
			memset(b->last, 0, sizeof(b->last));
		} else if (strlen(b->last) < sizeof(b->last) - 1) {
			b->last[strlen(b->last)] = lower(octet);
		} else {
			b->last[0] = '?'; /* too long to be it */
		}
	}
	return HTTP_BODY_MORE;
}

static int
hexadecimal(uint8_t octet)
{
	if (octet >= '0' && octet <= '9')
		return octet - '0';
	octet |= 0x20;
	return octet >= 'a' && octet <= 'f' ? octet - 'a' + 10 : -1;
}

/* The line of a chunk's size is over. */
static enum http_body_result
begin_chunk(struct http_body *b)
{
	if (b->at == 0)
		return HTTP_BODY_BAD;
	b->state = HTTP_IN_CHUNK;
	return b->left == 0 ? HTTP_BODY_END : HTTP_BODY_MORE;
}

static enum http_body_result
take_chunk_size(struct http_body *b, uint8_t octet)
{
	int digit = hexadecimal(octet);

	if (octet == '\n')
		return begin_chunk(b);
	if (octet == ';' || octet == ' ' || octet == '\t' || octet == '\r') {
		b->state = HTTP_IN_CHUNK_EXTENSION;
		return HTTP_BODY_MORE;
	}
	if (digit == -1 || b->left > LENGTH_MAX)
		return HTTP_BODY_BAD;
	b->left = b->left * 16 + (uint64_t)digit;
	b->at++;
	return HTTP_BODY_MORE;
}

static enum http_body_result
take_behind_chunk(struct http_body *b, uint8_t octet)
{
	if (octet == '\r')
		return HTTP_BODY_MORE;
	if (octet != '\n')
		return HTTP_BODY_BAD;
	b->state = HTTP_IN_CHUNK_SIZE;
	b->at = 0;
	return HTTP_BODY_MORE;
}

/* An octet that is not one of the body. */
static enum http_body_result
take(struct http_body *b, uint8_t octet)
{
	if (b->framing++ == HTTP_FIELDS_OCTETS)
		return HTTP_BODY_BAD;
	switch (b->state) {
	case HTTP_IN_STATUS_LINE:
		if (octet == '\n')
			begin_line(b);
		return HTTP_BODY_MORE;
	case HTTP_IN_NAME:
		return take_name(b, octet);
	case HTTP_IN_VALUE:
		return take_value(b, octet);
	case HTTP_IN_CHUNK_SIZE:
		return take_chunk_size(b, octet);
	case HTTP_IN_CHUNK_EXTENSION:
		return octet == '\n' ? begin_chunk(b) : HTTP_BODY_MORE;
	default:
		return take_behind_chunk(b, octet);
	}
}

/* As many octets of the body as there are; how many were taken goes to *taken. */
static enum http_body_result
take_body(struct http_body *b, const uint8_t *octets, size_t len, size_t *taken)
{
	bool bounded = b->state == HTTP_IN_CHUNK || b->sized;
	size_t room = HTTP_BODY_OCTETS - b->body;

	if (bounded && len > b->left)
		len = (size_t)b->left;
	if (len > room)
		len = room;
	*taken = len;
	b->body += (unsigned)len;
	if (bounded)
		b->left -= len;
	if (match_feed(&b->match, octets, len))
		return HTTP_BODY_FOUND;
	if (b->body == HTTP_BODY_OCTETS || (b->state == HTTP_IN_BODY && b->sized && b->left == 0))
		return HTTP_BODY_END;
	if (b->state == HTTP_IN_CHUNK && b->left == 0)
		b->state = HTTP_BEHIND_CHUNK;
	return HTTP_BODY_MORE;
}

enum http_body_result
http_body_feed(struct http_body *b, const void *data, size_t len)
{
	const uint8_t *octets = data;
	enum http_body_result result = HTTP_BODY_MORE;
	size_t taken;

	for (size_t i = 0; i < len && result == HTTP_BODY_MORE; i += taken) {
		taken = 1;
		if (b->state == HTTP_IN_BODY || b->state == HTTP_IN_CHUNK)
			result = take_body(b, octets + i, len - i, &taken);
		else
			result = take(b, octets[i]);
	}
	return result;
}
