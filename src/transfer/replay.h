/*
 * replay: a window over a key's counters (RFC 6479): which came, which are too old.
 *
 * One for each key and epoch.  Checked before decryption, marked only after the tag is
 * verified.
 */
#ifndef WLAD_TRANSFER_REPLAY_H
#define WLAD_TRANSFER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW 32768 /* packets behind the newest that are still told apart */
#define REPLAY_WORDS  (REPLAY_WINDOW / 64 + 1)

struct replay {
	uint64_t newest; /* largest counter marked + 1; 0: none yet */
	uint64_t bitmap[REPLAY_WORDS];
};

void replay_init(struct replay *r);

/* True if the counter has not been marked and is not too old to tell. */
bool replay_acceptable(const struct replay *r, uint64_t counter);

/* Marks it; only after replay_acceptable() and a verified tag. */
void replay_mark(struct replay *r, uint64_t counter);

#endif
