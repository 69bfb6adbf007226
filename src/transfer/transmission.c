#include "transfer/transmission.h"

void
transmission_start(struct transmission *t, const struct packet *p,
    const struct transfer_info *info)
{
	segment_start(&t->segments, p);
	t->info = *info;
	if (p->partial)
		t->info.flags |= TRANSFER_FLAG_PARTIAL;
	t->count = 0;
}

long
transmission_next(struct transmission *t, struct transfer_tx *tx, uint8_t *out, size_t size,
    size_t *segment)
{
	size_t most = segment_max_len(t->segments.packet) + TRANSFER_OVERHEAD;
	size_t used = 0;
	struct segment s;

	*segment = most;
	while (size - used >= most && segment_next(&t->segments, &s)) {
		size_t len = transfer_seal(tx, TRANSFER_DATA, &t->info, s.header,
		    s.header_len, s.payload, s.payload_len, out + used, size - used);

		if (len == 0)
			return -1;
		used += len;
		t->count++;
	}
	return (long)used;
}
