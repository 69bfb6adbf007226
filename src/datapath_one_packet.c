/*
 * datapath_one_packet: services of which each datagram is allocated by itself (one_packet), as
 * those of name servers, whose clients send all their questions from one port.
 *
 * Full conversion needs to know the client when the server answers: each datagram gets a record
 * with a self port of its own, which only the server's packets find, and which is over with the
 * first answer.  Where the answer does not come by here (at the transferor by rule 2, at the
 * transferee by rule 3) nothing is kept at all.  A datagram that comes in fragments has a record
 * that the client's packets find as well: its later fragments have to.
 */
#include <string.h>

#include "datapath_internal.h"
#include "packet/segment.h"

void
datapath_one_packet(const struct datapath *dp, const struct packet *p, struct connection_new *what)
{
	what->one_packet = load_table_service(dp->load, what->service_number)->one_packet;
	what->unkeyed = what->one_packet && p->fragment == PACKET_WHOLE;
}

bool
datapath_is_bundle(const struct datapath *dp, const struct packet *p)
{
	uint32_t service = load_table_lookup(dp->load, &p->destination, p->protocol);

	return service != LOAD_NONE && load_table_service(dp->load, service)->one_packet;
}

enum drop
datapath_unbundle(struct datapath *dp, const struct packet *p, uint64_t now)
{
	static const struct datapath_arrival arrival = {.transferred = false};
	uint8_t *start = dp->datagram + IO_HEADROOM;
	struct segmenter segmenter;
	struct segment segment;

	segment_start(&segmenter, p);
	while (segment_next(&segmenter, &segment)) {
		struct packet one = {.data = start,
		    .len = segment.header_len + segment.payload_len,
		    .headroom = IO_HEADROOM,
		    .partial = p->partial};
		enum drop drop;

		memcpy(start, segment.header, segment.header_len);
		memcpy(start + segment.header_len, segment.payload, segment.payload_len);
		drop = packet_parse(&one);
		if (drop == DROP_none)
			drop = datapath_story(dp, &one, &arrival, now);
		if (drop != DROP_none)
			counter_drop(dp->counters, drop);
	}
	return DROP_none;
}

void
datapath_client_left(struct datapath *dp, struct connection *c)
{
	if (connection_is_spent(c))
		connection_end(dp->connections, c);
}

/* An answer in fragments has more to come. */
void
datapath_server_left(struct datapath *dp, const struct packet *p, struct connection *c)
{
	if (c->one_packet && p->fragment == PACKET_WHOLE)
		connection_end(dp->connections, c);
}
