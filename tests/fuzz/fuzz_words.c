/*
 * Fuzz target: a line of the agent protocol.
 *
 * The first octet says how the rest is cut into pieces.  However it is cut, the result is the
 * same; what was understood can be said again, and means the same then.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/meaning.h"
#include "agent/words.h"

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

static enum words_result
feed(const char *data, size_t size, size_t piece, struct words *words)
{
	enum words_result result = WORDS_MORE;

	for (size_t n = 0; n < size && result == WORDS_MORE;) {
		n += size - n < piece ? size - n : piece;
		result = words_parse(words, data, n);
		expect(result != WORDS_MORE || n < WORDS_LINE);
	}
	return result;
}

/* Said by us, it is understood as it was. */
static void
say_again(const struct words *words)
{
	char line[WORDS_LINE];
	size_t len = words_format(words, line);
	struct words again;

	expect(len < WORDS_LINE && line[len] == '\0' && line[len - 1] == '\n');
	expect(words_parse(&again, line, len) == WORDS_FOUND);
	expect(again.unknown == 0 && again.operation == words->operation &&
	    again.admin == words->admin && again.kind == words->kind &&
	    again.weight == words->weight && again.limited == words->limited &&
	    again.max_connections == words->max_connections);
	expect(strcmp(again.description, words->description) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct words whole = {0}, pieces = {0};
	enum words_result result;
	struct server_agent said;

	if (size == 0)
		return 0;
	result = feed((const char *)data + 1, size - 1, size, &whole);
	expect(feed((const char *)data + 1, size - 1, data[0] % 32 + 1u, &pieces) == result);
	if (result != WORDS_FOUND)
		return 0;
	expect(memcmp(&whole, &pieces, sizeof(whole)) == 0);
	say_again(&whole);
	said = meaning_of(&whole);
	expect(said.load <= 1 && said.weight <= WORDS_WEIGHT_MAX);
	expect((said.why != NULL) == (said.down || said.drain || said.maint));
	return 0;
}
