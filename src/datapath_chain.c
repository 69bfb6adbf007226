/*
 * datapath_chain: networks in series (Fig. 21): what a site sends us may be for a service of a
 * site behind it, and what we cannot serve goes on to a third one.
 *
 * The transferee answers as if the first site had sent it the packet: under that one's address by
 * rule 2, to its relay port by rule 3; so only client packets travel the chain.
 */
#include "datapath_internal.h"

bool
datapath_sender_owns(const struct datapath *dp, const struct datapath_arrival *arrival,
    const struct addr *address, uint8_t protocol)
{
	const struct service *own = load_table_service(dp->load, arrival->info.service);
	const struct site *sender = load_table_site(dp->load, arrival->site);
	uint32_t index = load_table_site_lookup(dp->load, arrival->site, address, protocol);
	uint16_t owner;

	if (own == NULL || !own->present)
		return false;
	if (index != LOAD_NONE && sender->services[index].local == arrival->info.service)
		return true;
	return arrival->info.hops > 1 &&
	    load_table_site_passes_lookup(dp->load, arrival->site, address, protocol, &owner) ==
	    arrival->info.service;
}

/* The connection has been here: its record has another origin. */
static bool
has_been_here(
    const struct datapath *dp, const struct packet *p, const struct datapath_arrival *arrival)
{
	struct connection_key key = {p->source, p->destination, p->protocol, 0};
	enum connection_side side;

	for (uint32_t origin = 0; origin <= load_table_sites(dp->load); origin++) {
		key.origin = (uint16_t)origin;
		if (origin != datapath_origin(arrival) &&
		    connection_find(dp->connections, &key, &side) != NULL &&
		    side == CONNECTION_FROM_CLIENT)
			return true;
	}
	return false;
}

enum drop
datapath_decide_received(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now, struct allocation_decision *decision)
{
	uint32_t service = arrival->info.service;
	uint16_t visited[2] = {arrival->site, UINT16_MAX};

	if (!load_table_may_receive(dp->load, arrival->site, service, now))
		return DROP_transfer_rate;
	if (arrival->info.hops > 1) {
		if (has_been_here(dp, p, arrival))
			return DROP_transfer_loop;
		load_table_site_passes_lookup(
		    dp->load, arrival->site, &p->destination, p->protocol, &visited[1]);
	}
	if (arrival->info.hops < dp->config->transfer.max_transfers) {
		allocation_decide_passed(dp->allocation, service, &p->source.ip, visited, 2,
		    dp->random, now, decision);
		return DROP_none;
	}
	allocation_decide_received(
	    dp->allocation, service, &p->source.ip, dp->random, now, decision);
	return DROP_none;
}
