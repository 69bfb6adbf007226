/*
 * Fuzz target: the status of an HTTP response.
 *
 * The first octet says how the rest is cut into pieces.  However it is cut, the result is the
 * same, and it comes within HTTP_STATUS_OCTETS.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "health/http_status.h"

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

static enum http_status_result
feed(const uint8_t *data, size_t size, size_t piece, unsigned *code)
{
	struct http_status h = {0};
	enum http_status_result result = HTTP_STATUS_MORE;

	for (size_t i = 0; i < size && result == HTTP_STATUS_MORE; i += piece) {
		result = http_status_feed(&h, data + i, size - i < piece ? size - i : piece);
		expect(result != HTTP_STATUS_MORE || h.octets <= HTTP_STATUS_OCTETS);
	}
	*code = h.code;
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_status_result whole, pieces;
	unsigned whole_code, pieces_code;

	if (size == 0)
		return 0;
	whole = feed(data + 1, size - 1, size, &whole_code);
	pieces = feed(data + 1, size - 1, data[0] % 32 + 1u, &pieces_code);
	expect(whole == pieces && whole_code == pieces_code);
	if (whole == HTTP_STATUS_FOUND)
		expect(whole_code == 101 || (whole_code >= 200 && whole_code <= 999));
	if (whole == HTTP_STATUS_MORE)
		expect(size - 1 <= HTTP_STATUS_OCTETS);
	return 0;
}
