/*
 * datapath_receive: from a datagram of another site to the client packet in it, whose story is
 * told in datapath.c.
 */
#include <netinet/in.h>

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

/* Data: the client packet and its story. */
static enum drop
client_packet(struct datapath *dp, const struct transfer_opened *opened, uint16_t site,
    bool demand, uint64_t now)
{
	struct datapath_arrival arrival = {.transferred = true,
	    .site = site,
	    .demand = demand || (opened->info.flags & TRANSFER_FLAG_DEMAND) != 0,
	    .info = opened->info};
	struct site *sender = load_table_site(dp->load, site);
	struct packet p;
	enum drop drop;

	counter_add(dp->counters, COUNTER_transfer_packets_in, 1);
	counter_add(dp->counters, COUNTER_transfer_bytes_in, opened->inner_len);
	sender->transfer_packets_in++;
	sender->transfer_bytes_in += opened->inner_len;
	drop = unpack(opened, &p);
	if (drop != DROP_none)
		return drop;
	if (packet_is_icmp(&p))
		return datapath_icmp_transferred(dp, &p, &arrival);
	if (p.fragment != PACKET_WHOLE)
		return datapath_fragment(dp, &p, &arrival, now);
	return datapath_story(dp, &p, &arrival, now);
}

void
datapath_transfer_datagram(struct datapath *dp, uint8_t *data, size_t len,
    const struct addr *from, bool demand, uint64_t now)
{
	struct transfer_opened opened;
	uint16_t site;
	enum drop drop = reception_open(dp->keyring, data, len, from, now, &opened, &site);

	if (drop == DROP_none)
		load_table_site(dp->load, site)->heard_at = now;
	if (drop == DROP_none && opened.type != TRANSFER_DATA)
		drop = datapath_path_message(dp, &opened, site, now);
	else if (drop == DROP_none)
		drop = client_packet(dp, &opened, site, demand, now);
	if (drop == DROP_none)
		return;
	counter_drop(dp->counters, drop);
	if (site != UINT16_MAX)
		load_table_site(dp->load, site)->transfer_drops++;
}
