/*
 * peering_send: what is sent when there is something to say, as long as the peer reads.
 */
#include "load/peering_internal.h"

/* Reports of ends wait as long as there is this much before them. */
#define WAITING_MAX (SESSION_OUTPUT_MAX / 4)

bool
peering_can_send(const struct peering *p)
{
	return p->info.established && session_is_open(p->session) &&
	    session_waiting(p->session) <= WAITING_MAX;
}

void
peering_send(struct peering *p, const struct codec_buffer *messages, unsigned count)
{
	if (peering_can_send(p))
		session_send(p->session, messages, count);
}

bool
peering_send_closed(struct peering *p, const struct connection_closed *entries, size_t count)
{
	struct codec_buffer b = {0};

	if (!peering_can_send(p))
		return false;
	if (codec_encode_closed(&b, entries, count) == 0)
		session_send(p->session, &b, 1);
	codec_buffer_fini(&b);
	return true;
}

void
peering_send_probe(struct peering *p, uint64_t id)
{
	const struct probe_seen probe = {id};
	struct codec_buffer b = {0};

	if (!peering_can_send(p))
		return;
	if (codec_encode_probe(&b, &probe) == 0)
		session_send(p->session, &b, 1);
	codec_buffer_fini(&b);
}
