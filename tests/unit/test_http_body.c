#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/http_body.h"

static enum http_body_result
feed(const char *text, size_t len, const char *want, size_t piece, bool line_over)
{
	struct octets octets;
	struct http_body b;
	enum http_body_result result = HTTP_BODY_MORE;

	assert_int_equal(octets_parse(want, &octets), 0);
	http_body_init(&b, &octets, line_over);
	for (size_t i = 0; i < len && result == HTTP_BODY_MORE; i += piece)
		result = http_body_feed(&b, text + i, piece < len - i ? piece : len - i);
	return result;
}

/* What stands behind the code, however it is cut. */
static void
assert_body(const char *text, const char *want, enum http_body_result result)
{
	size_t len = strlen(text);

	for (size_t piece = 1; piece <= len; piece++)
		if (feed(text, len, want, piece, false) != result)
			fail_msg("\"%s\" in pieces of %zu: %d", text, piece,
			    feed(text, len, want, piece, false));
}

static void
test_plain(void **state)
{
	(void)state;
	assert_body("OK\r\n\r\nall is well", "is", HTTP_BODY_FOUND);
	assert_body("OK\n\nall is well", "well", HTTP_BODY_FOUND);
	assert_body("OK\r\nA: b\r\nC:d\r\n\r\nall is well", "all is well", HTTP_BODY_FOUND);
	assert_body("OK\r\n\r\nall is well", "ill", HTTP_BODY_MORE);
	/* neither the status line nor the fields are the body */
	assert_body("is\r\nis: is\r\n\r\nall", "is", HTTP_BODY_MORE);
	assert_body("OK\r\nA: b\r\n", "b", HTTP_BODY_MORE);
	assert_int_equal(feed("\r\nis", 4, "is", 4, true), HTTP_BODY_FOUND);
}

static void
test_length(void **state)
{
	(void)state;
	assert_body("OK\r\nContent-Length: 4\r\n\r\nwell", "well", HTTP_BODY_FOUND);
	assert_body("OK\r\ncontent-length:4\r\n\r\nwell", "ill", HTTP_BODY_END);
	/* what stands behind the body is none of it */
	assert_body("OK\r\nCONTENT-LENGTH: 3 \r\n\r\nwell", "well", HTTP_BODY_END);
	assert_body("OK\r\nContent-Length: 0\r\n\r\n", "a", HTTP_BODY_END);
	assert_body("OK\r\nContent-Lengt: 0\r\n\r\na", "b", HTTP_BODY_MORE);
	assert_body("OK\r\nContent-Lengths: 0\r\n\r\na", "b", HTTP_BODY_MORE);
	assert_body("OK\r\nContent-Length: -1\r\n\r\n", "a", HTTP_BODY_BAD);
	assert_body("OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "a", HTTP_BODY_BAD);
}

#define CHUNKED "OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void
test_chunked(void **state)
{
	(void)state;
	/* across two chunks */
	assert_body(CHUNKED "2\r\nwe\r\n2;a=b\r\nll\r\n0\r\n\r\n", "well", HTTP_BODY_FOUND);
	assert_body(CHUNKED "2\nwe\n2\nll\n0\n\n", "well", HTTP_BODY_FOUND);
	assert_body(CHUNKED "00A\r\nwell, well\r\n0\r\n\r\n", "ill", HTTP_BODY_END);
	/* sizes are no part of it */
	assert_body(CHUNKED "3\r\nabc\r\n0\r\n\r\n", "3", HTTP_BODY_END);
	assert_body(CHUNKED "3\r\nabc\r\n0\r\n\r\n", "c\\r\\n", HTTP_BODY_END);
	assert_body(CHUNKED "3\r\nabcd\r\n", "e", HTTP_BODY_BAD);
	assert_body(CHUNKED "x\r\n", "e", HTTP_BODY_BAD);
	assert_body(CHUNKED "\r\n", "e", HTTP_BODY_BAD);
	assert_body(CHUNKED "fffffffffffffffffffff\r\n", "e", HTTP_BODY_BAD);
	assert_body("OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n", "ab",
	    HTTP_BODY_FOUND);
	assert_body("OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n1\r\na\r\n1\r\nb\r\n", "ab",
	    HTTP_BODY_MORE);
	assert_body("OK\r\nTransfer-Encoding: chunkedd\r\n\r\n1\r\na\r\n", "1", HTTP_BODY_FOUND);
	/* chunks win (RFC 9112, 6.3) */
	assert_body("OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
	    "ab", HTTP_BODY_FOUND);
}

static void
test_fields(void **state)
{
	(void)state;
	assert_body("OK\r\nno colon\r\n\r\n", "a", HTTP_BODY_BAD);
}

/* Neither fields nor a body without end are read for good. */
static void
test_bounds(void **state)
{
	size_t len = HTTP_BODY_OCTETS + HTTP_FIELDS_OCTETS;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', len);
	assert_int_equal(feed(text, HTTP_FIELDS_OCTETS, "b", 1000, false), HTTP_BODY_MORE);
	assert_int_equal(feed(text, HTTP_FIELDS_OCTETS + 1, "b", 1000, false), HTTP_BODY_BAD);
	memcpy(text, "\r\n\r\n", 4);
	assert_int_equal(feed(text, HTTP_BODY_OCTETS + 3, "b", 1000, false), HTTP_BODY_MORE);
	assert_int_equal(feed(text, HTTP_BODY_OCTETS + 4, "b", 1000, false), HTTP_BODY_END);
	text[HTTP_BODY_OCTETS + 3] = 'b'; /* the last that is looked at */
	assert_int_equal(feed(text, HTTP_BODY_OCTETS + 4, "b", 1000, false), HTTP_BODY_FOUND);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_chunked),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("http_body", tests, NULL, NULL);
}
