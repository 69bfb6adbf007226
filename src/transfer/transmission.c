#include "transfer/transmission.h"

void
transmission_start(
    struct transmission *t, const struct packet *p, const struct transfer_info *info)
{
	segment_start(&t->segments, p);
	t->fragments.packet = NULL;
	t->most = segment_max_len(p);
	t->info = *info;
	if (p->partial)
		t->info.flags |= TRANSFER_FLAG_PARTIAL;
	if (p->fragment != PACKET_WHOLE)
		t->info.flags |= TRANSFER_FLAG_FRAGMENT;
	t->count = 0;
}

void
transmission_start_split(struct transmission *t, const struct packet *p, uint32_t mtu,
    const struct transfer_info *info)
{
	transmission_start(t, p, info);
	split_start(&t->fragments, p, mtu);
	t->most = split_max_len(&t->fragments);
	t->info.flags |= TRANSFER_FLAG_FRAGMENT;
}

static bool
next(struct transmission *t, struct segment *s)
{
	if (t->fragments.packet == NULL)
		return segment_next(&t->segments, s);
	if (t->count > 0) /* only the first can open a connection */
		t->info.flags &= (uint8_t)~TRANSFER_FLAG_DEMAND;
	return split_next(&t->fragments, s);
}

long
transmission_next(
    struct transmission *t, struct transfer_tx *tx, uint8_t *out, size_t size, size_t *segment)
{
	size_t most = t->most + TRANSFER_OVERHEAD;
	size_t used = 0;
	struct segment s;

	*segment = most;
	while (size - used >= most && next(t, &s)) {
		size_t len = transfer_seal(tx, TRANSFER_DATA, &t->info, s.header, s.header_len,
		    s.payload, s.payload_len, out + used, size - used);

		if (len == 0)
			return -1;
		used += len;
		t->count++;
	}
	return (long)used;
}
