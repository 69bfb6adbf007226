/*
 * datapath_device: from a packet of the device to its story, which is told in datapath.c.
 */
#include "datapath_internal.h"

static enum drop
device_packet(struct datapath *dp, struct packet *p, uint64_t now)
{
	static const struct datapath_arrival arrival = {.transferred = false};

	if (packet_is_icmp(p))
		return datapath_icmp(dp, p, now);
	if (p->fragment != PACKET_WHOLE)
		return datapath_fragment(dp, p, &arrival, now);
	if (p->gso == PACKET_GSO_UDP && datapath_is_bundle(dp, p))
		return datapath_unbundle(dp, p, now);
	return datapath_story(dp, p, &arrival, now);
}

static enum drop
arrive(struct datapath *dp, struct packet *p)
{
	counter_add(dp->counters, COUNTER_packets_in, 1);
	counter_add(dp->counters, COUNTER_bytes_in, p->len);
	return packet_parse(p);
}

/* drop: what arrive() said. */
static void
go(struct datapath *dp, struct packet *p, enum drop drop, uint64_t now)
{
	if (drop == DROP_none)
		drop = device_packet(dp, p, now);
	if (drop != DROP_none)
		counter_drop(dp->counters, drop);
}

void
datapath_device_packet(struct datapath *dp, struct packet *p, uint64_t now)
{
	go(dp, p, arrive(dp, p), now);
}

void
datapath_device_burst(struct datapath *dp, struct packet *burst, unsigned count, uint64_t now)
{
	struct datapath_burst b;
	enum drop drop[DATAPATH_BURST];

	datapath_burst_begin(&b);
	for (unsigned i = 0; i < count; i++) {
		struct packet *p = &burst[i];

		drop[i] = arrive(dp, p);
		if (drop[i] == DROP_none && !packet_is_icmp(p) && p->fragment == PACKET_WHOLE)
			datapath_burst_add(dp, &b, p, 0);
	}
	datapath_burst_fetch(dp, &b);
	for (unsigned i = 0; i < count; i++)
		go(dp, &burst[i], drop[i], now);
}
