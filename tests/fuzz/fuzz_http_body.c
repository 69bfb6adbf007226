/*
 * Fuzz target: the rest of an HTTP response behind its status code.
 *
 * The first octet says how the rest is cut into pieces, the second whether the status line is
 * over.  However it is cut, the result is the same, and comes within bounds.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "health/http_body.h"

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

static enum http_body_result
feed(const uint8_t *data, size_t size, size_t piece, bool line_over)
{
	static struct octets want;
	struct http_body b;
	enum http_body_result result = HTTP_BODY_MORE;

	expect(octets_parse("abab", &want) == 0);
	http_body_init(&b, &want, line_over);
	for (size_t i = 0; i < size && result == HTTP_BODY_MORE; i += piece) {
		result = http_body_feed(&b, data + i, size - i < piece ? size - i : piece);
		expect(b.body <= HTTP_BODY_OCTETS && b.framing <= HTTP_FIELDS_OCTETS + 1);
	}
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool line_over;

	if (size < 2)
		return 0;
	line_over = (data[1] & 1) != 0;
	expect(feed(data + 2, size - 2, size, line_over) ==
	    feed(data + 2, size - 2, data[0] % 32 + 1u, line_over));
	return 0;
}
