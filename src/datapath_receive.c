/*
 * datapath_receive: from a datagram of another site to the client packet in it, whose story is
 * told in datapath.c.
 */
#include <netinet/in.h>

#include <stdlib.h>

#include "datapath_internal.h"
#include "transfer/reception.h"

/* The client packet out of a transfer packet: is it what its flags say? */
static enum drop
unpack(const struct transfer_opened *opened, struct packet *p)
{
	uint8_t flags = opened->info.flags;

	*p = (struct packet){.data = opened->inner,
	    .len = (uint32_t)opened->inner_len,
	    .headroom = TRANSFER_HEADER_LEN + TRANSFER_INFO_LEN, /* in front may be another */
	    .partial = (flags & TRANSFER_FLAG_PARTIAL) != 0};
	if (packet_parse(p) != DROP_none)
		return DROP_transfer_inner;
	if ((p->fragment != PACKET_WHOLE) != ((flags & TRANSFER_FLAG_FRAGMENT) != 0))
		return DROP_transfer_inner;
	if (packet_is_icmp(p) != ((flags & TRANSFER_FLAG_ICMP) != 0))
		return DROP_transfer_inner;
	return DROP_none;
}

struct datapath_received {
	struct packet packet;
	struct datapath_arrival arrival;
};

struct datapath_received *
datapath_received_new(void)
{
	return calloc(DATAPATH_BURST, sizeof(struct datapath_received));
}

static void
count_drop(struct datapath *dp, uint16_t site, enum drop drop)
{
	if (drop == DROP_none)
		return;
	counter_drop(dp->counters, drop);
	if (site != UINT16_MAX)
		load_table_site(dp->load, site)->transfer_drops++;
}

/* Data: a client packet. */
static enum drop
take_packet(struct datapath *dp, const struct transfer_opened *opened, uint16_t site, bool demand)
{
	struct datapath_received *r = &dp->received[dp->received_count];
	struct site *sender = load_table_site(dp->load, site);
	enum drop drop;

	counter_add(dp->counters, COUNTER_transfer_packets_in, 1);
	counter_add(dp->counters, COUNTER_transfer_bytes_in, opened->inner_len);
	sender->transfer_packets_in++;
	sender->transfer_bytes_in += opened->inner_len;
	drop = unpack(opened, &r->packet);
	if (drop != DROP_none)
		return drop;
	r->arrival = (struct datapath_arrival){.transferred = true,
	    .site = site,
	    .demand = demand || (opened->info.flags & TRANSFER_FLAG_DEMAND) != 0,
	    .info = opened->info};
	dp->received_count++;
	return DROP_none;
}

static enum drop
client_packet(struct datapath *dp, struct datapath_received *r, uint64_t now)
{
	if (packet_is_icmp(&r->packet))
		return datapath_icmp_transferred(dp, &r->packet, &r->arrival);
	if (r->packet.fragment != PACKET_WHOLE)
		return datapath_fragment(dp, &r->packet, &r->arrival, now);
	return datapath_story(dp, &r->packet, &r->arrival, now);
}

static void
fetch(struct datapath *dp)
{
	struct datapath_burst b;

	datapath_burst_begin(&b);
	for (unsigned i = 0; i < dp->received_count; i++) {
		struct datapath_received *r = &dp->received[i];

		if (!packet_is_icmp(&r->packet) && r->packet.fragment == PACKET_WHOLE)
			datapath_burst_add(dp, &b, &r->packet, datapath_origin(&r->arrival));
	}
	datapath_burst_fetch(dp, &b);
}

void
datapath_received(struct datapath *dp, uint64_t now)
{
	if (dp->received_count > 1 || dp->guard != NULL) /* the hash chooses a queue, too */
		fetch(dp);
	for (unsigned i = 0; i < dp->received_count; i++) {
		struct datapath_received *r = &dp->received[i];

		count_drop(dp, r->arrival.site, client_packet(dp, r, now));
	}
	dp->received_count = 0;
}

void
datapath_receive(struct datapath *dp, uint8_t *data, size_t len, const struct addr *from,
    bool demand, uint64_t now)
{
	struct transfer_opened opened;
	uint16_t site;
	enum drop drop;

	if (dp->received_count == DATAPATH_BURST)
		datapath_received(dp, now);
	drop = reception_open(dp->keyring, data, len, from, now, &opened, &site);
	if (drop == DROP_none)
		load_table_site(dp->load, site)->heard_at = now;
	if (drop == DROP_none && opened.type != TRANSFER_DATA)
		drop = datapath_path_message(dp, &opened, site, now);
	else if (drop == DROP_none)
		drop = take_packet(dp, &opened, site, demand);
	count_drop(dp, site, drop);
}

void
datapath_transfer_datagram(struct datapath *dp, uint8_t *data, size_t len,
    const struct addr *from, bool demand, uint64_t now)
{
	datapath_receive(dp, data, len, from, demand, now);
	datapath_received(dp, now);
}
