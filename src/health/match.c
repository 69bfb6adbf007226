#include "health/match.h"

void
match_init(struct match *match, const struct octets *want)
{
	uint16_t at = 0;

	match->want = *want;
	match->at = 0;
	match->back[0] = 0;
	for (uint16_t i = 1; i < want->len; i++) {
		while (at > 0 && want->data[i] != want->data[at])
			at = match->back[at - 1];
		if (want->data[i] == want->data[at])
			at++;
		match->back[i] = at;
	}
}

bool
match_feed(struct match *match, const void *data, size_t len)
{
	const uint8_t *octets = data;

	for (size_t i = 0; i < len && match->at < match->want.len; i++) {
		while (match->at > 0 && octets[i] != match->want.data[match->at])
			match->at = match->back[match->at - 1];
		if (octets[i] == match->want.data[match->at])
			match->at++;
	}
	return match->at >= match->want.len;
}
