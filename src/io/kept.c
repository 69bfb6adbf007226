#include "io/kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct waiting {
	struct device *device;
	struct packet packet;
	unsigned first, count; /* its pieces; 0: it is whole */
};

struct kept {
	unsigned count, pieces;
	struct waiting waiting[KEPT_PACKETS];
	struct iovec piece[KEPT_PIECES];
};

struct kept *
kept_new(void)
{
	return xcalloc(1, sizeof(struct kept));
}

void
kept_free(struct kept *k)
{
	free(k);
}

bool
kept_add(struct kept *k, struct device *device, const struct packet *p,
    const struct iovec *piece, unsigned count)
{
	struct waiting *w = &k->waiting[k->count];

	if (k->count == KEPT_PACKETS || count > KEPT_PIECES - k->pieces)
		return false;
	w->device = device;
	w->packet = *p;
	w->first = k->pieces;
	w->count = count;
	if (count > 0)
		memcpy(&k->piece[k->pieces], piece, count * sizeof(*piece));
	k->pieces += count;
	k->count++;
	return true;
}

static uint32_t
send_one(const struct kept *k, const struct waiting *w)
{
	if (w->count == 0)
		return device_send(w->device, &w->packet) == -1 ? 1 : 0;
	return device_send_pieces(w->device, &w->packet, &k->piece[w->first], w->count) == -1
	    ? w->count
	    : 0;
}

uint32_t
kept_send(struct kept *k)
{
	uint32_t refused = 0;

	for (unsigned i = 0; i < k->count; i++)
		refused += send_one(k, &k->waiting[i]);
	k->count = k->pieces = 0;
	return refused;
}
