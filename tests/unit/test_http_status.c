#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "health/http_status.h"

/* The code, 0: more is wanted, -1: bad.  In pieces of so many octets. */
static int
feed(const char *text, size_t len, size_t piece)
{
	struct http_status h = {0};

	for (size_t i = 0; i < len; i += piece) {
		switch (http_status_feed(&h, text + i, piece < len - i ? piece : len - i)) {
		case HTTP_STATUS_FOUND:
			return (int)h.code;
		case HTTP_STATUS_BAD:
			return -1;
		case HTTP_STATUS_MORE:
			break;
		}
	}
	return 0;
}

static void
assert_code(const char *text, int code)
{
	size_t len = strlen(text);

	for (size_t piece = 1; piece <= len; piece++)
		if (feed(text, len, piece) != code)
			fail_msg(
			    "\"%s\" in pieces of %zu: %d", text, piece, feed(text, len, piece));
}

static void
test_codes(void **state)
{
	(void)state;
	assert_code("HTTP/1.1 200 OK\r\n", 200);
	assert_code("HTTP/1.0 404 Not Found\r\n", 404);
	assert_code("HTTP/1.1 503 ", 503);
	assert_code("HTTP/1.1 204\r\n", 204); /* no reason */
	assert_code("HTTP/1.1 204\n", 204);   /* a bare LF (RFC 9112, 2.2) */
	assert_code("HTTP/1.9 299 \r\n", 299);
	assert_code("HTTP/1.1 999 Denied\r\n", 999);
	assert_code("HTTP/1.1 101 Switching Protocols\r\n", 101);
}

static void
test_more(void **state)
{
	static const char line[] = "HTTP/1.1 200 ";

	(void)state;
	for (size_t len = 0; len + 1 < sizeof(line) - 1; len++)
		assert_int_equal(feed(line, len, 1), 0);
	assert_int_equal(feed(line, sizeof(line) - 2, 1), 0); /* the code, but no end of it */
	assert_int_equal(feed(line, sizeof(line) - 1, 1), 200);
}

static void
test_bad(void **state)
{
	static const char *const texts[] = {"SSH-2.0-OpenSSH_9.2\r\n", "http/1.1 200 OK\r\n",
	    "HTTP/2.0 200 OK\r\n", "HTTP/1. 200 OK\r\n", "HTTP/1.1  200 OK\r\n",
	    "HTTP/1.1\t200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000 OK\r\n",
	    "HTTP/1.1 -20 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/1.1 000 OK\r\n",
	    "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 200OK\r\n", "HTTP/1.1\r\n",
	    "\r\nHTTP/1.1 200 OK\r\n", "<html>", " HTTP/1.1 200 OK", "\x15\x03\x03",
	    "ICY 200 OK\r\n", "HTTP/11 200 OK"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_code(texts[i], -1);
	assert_int_equal(feed("\0", 1, 1), -1);
	assert_int_equal(feed("HTTP/1.1 200\0", 13, 1), -1);
}

static void
test_interim(void **state)
{
	(void)state;
	assert_code("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 200);
	assert_code("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		    "HTTP/1.1 102\n\nHTTP/1.1 500 No\r\n",
	    500);
	assert_code("HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", 0); /* a field of it */
	assert_code("HTTP/1.1 100\r\n\r\n", 0);
	assert_code("HTTP/1.1 100\r\n\r\nnonsense", -1);
	assert_code("HTTP/1.1 100 x\r\n\r\n\r\nHTTP/1.1 200 OK\r\n", -1);
}

static void
test_bound(void **state)
{
	struct http_status h = {0};
	char block[64];
	size_t octets = 25;

	(void)state;
	memset(block, 'x', sizeof(block));
	assert_int_equal(
	    http_status_feed(&h, "HTTP/1.1 100 Continue\r\nA:", octets), HTTP_STATUS_MORE);
	while (http_status_feed(&h, block, sizeof(block)) == HTTP_STATUS_MORE) {
		octets += sizeof(block);
		assert_in_range(octets, 0, HTTP_STATUS_OCTETS);
	}
	assert_in_range(octets, HTTP_STATUS_OCTETS - sizeof(block), HTTP_STATUS_OCTETS);
}

/* A response that needs the last octet that is allowed is still taken. */
static void
test_bound_exactly(void **state)
{
	static const char head[] = "HTTP/1.1 100 Continue\r\nA: ";
	static const char tail[] = "\r\n\r\nHTTP/1.1 200 ";
	static char text[HTTP_STATUS_OCTETS + 1];
	size_t fill = HTTP_STATUS_OCTETS - strlen(head) - strlen(tail);

	(void)state;
	for (size_t more = 0; more <= 1; more++) {
		memset(text, 'x', sizeof(text));
		memcpy(text, head, strlen(head));
		memcpy(text + strlen(head) + fill + more, tail, strlen(tail));
		assert_int_equal(feed(text, HTTP_STATUS_OCTETS + more, 100), more ? -1 : 200);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_codes),
	    cmocka_unit_test(test_more),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_interim),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_bound_exactly),
	};

	return cmocka_run_group_tests_name("http_status", tests, NULL, NULL);
}
