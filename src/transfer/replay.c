#include "transfer/replay.h"

#include <string.h>

#define WORD_BITS 64

/* The bitmap is a ring of words; one word more than the window needs, so that a word is
 * emptied as a whole when the window moves into it (RFC 6479, 2). */
static uint64_t *
word_of(struct replay *r, uint64_t counter)
{
	return &r->bitmap[counter / WORD_BITS % REPLAY_WORDS];
}

static uint64_t
bit_of(uint64_t counter)
{
	return UINT64_C(1) << counter % WORD_BITS;
}

void
replay_init(struct replay *r)
{
	memset(r, 0, sizeof(*r));
}

bool
replay_acceptable(const struct replay *r, uint64_t counter)
{
	if (counter == UINT64_MAX)
		return false;
	if (counter >= r->newest)
		return true;
	if (r->newest - 1 - counter > REPLAY_WINDOW)
		return false;
	return (r->bitmap[counter / WORD_BITS % REPLAY_WORDS] & bit_of(counter)) == 0;
}

/* Empties the words between the newest counter's and this one's, this one's included. */
static void
advance(struct replay *r, uint64_t counter)
{
	uint64_t from = r->newest == 0 ? 0 : (r->newest - 1) / WORD_BITS;
	uint64_t to = counter / WORD_BITS;

	if (to - from >= REPLAY_WORDS)
		memset(r->bitmap, 0, sizeof(r->bitmap));
	else
		for (uint64_t word = from + 1; word <= to; word++)
			r->bitmap[word % REPLAY_WORDS] = 0;
	r->newest = counter + 1;
}

void
replay_mark(struct replay *r, uint64_t counter)
{
	if (counter >= r->newest)
		advance(r, counter);
	*word_of(r, counter) |= bit_of(counter);
}
