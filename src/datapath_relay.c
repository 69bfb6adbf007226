/*
 * datapath_relay: rule 3, by which the server's packets come to the client by way of the
 * transferor, and every packet carries its true sender (the seed's Figs. 16 to 18).
 */
#include <netinet/in.h>

#include "base/clock.h"
#include "datapath_internal.h"

/* A demand for another relay port than the record's may have been under way for so long. */
#define REORDERED (3 * CLOCK_SECOND)

struct connection *
datapath_find_relay(struct datapath *dp, const struct addr *source,
    const struct addr *destination, uint8_t protocol)
{
	struct connection_key key = {*source, *destination, protocol, 0};

	/* a relay port is one of a service's address, which most strays are not even for */
	if (!load_table_is_service_ip(dp->load, &destination->ip))
		return NULL;
	return connection_find_relay(dp->connections, &key);
}

bool
datapath_relay_server(
    const struct datapath *dp, const struct connection *c, const struct addr *sender)
{
	struct addr server = connection_server(dp->connections, c);
	bool pinned = c->server_port != 0;

	if (pinned && addr_equal(&server, sender))
		return true;
	/* one of UDP may have been allocated anew, where its server went down */
	if (pinned && c->protocol != IPPROTO_UDP)
		return false;
	return load_table_site_has_server(dp->load, c->site, sender, c->protocol);
}

bool
datapath_pin(struct datapath *dp, struct connection *c, const struct addr *server)
{
	struct addr pinned = connection_server(dp->connections, c);

	return addr_equal(&pinned, server) || connection_pin(dp->connections, c, server);
}

/*
 * The transferor repeats by rule 3 what got no answer by rule 2, never the other way round, and
 * chooses another port only for another connection.  So rule 3 overtakes, and rule 2 only
 * what is too old to be waiting for a datagram that came late.
 */
bool
datapath_is_overtaken(const struct datapath *dp, const struct connection *c,
    const struct datapath_arrival *arrival, uint64_t now)
{
	return arrival->info.relay_port != 0 ||
	    connection_is_older(dp->connections, c, REORDERED, now);
}

/* So many clients must have been helped, each behind another address. */
#define CLIENTS (sizeof(((struct datapath_site *)0)->helped) / sizeof(struct ip))

void
datapath_repeat_helped(struct datapath *dp, const struct connection *c, uint64_t now)
{
	struct datapath_site *site = datapath_site(dp, c->site);

	for (size_t i = 0; i < site->helped_count; i++) {
		if (ip_equal(&site->helped[i], &c->client))
			return;
	}
	site->helped[site->helped_count++] = c->client;
	if (site->helped_count < CLIENTS)
		return;
	site->helped_count = 0;
	load_table_site_direct_blocked(dp->load, c->site, now);
}
