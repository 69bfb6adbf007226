/*
 * datapath_open: new connections: allocate, choose a self address, record; and how the
 * load table hears of them.
 */
#include <netinet/in.h>

#include "datapath_internal.h"

bool
datapath_may_open(const struct packet *p)
{
	if (p->fragment == PACKET_LATER_FRAGMENT)
		return false;
	if (p->protocol == IPPROTO_UDP)
		return true;
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

static bool
is_self_address(const struct datapath *dp, const struct ip *ip)
{
	for (size_t i = 0; i < dp->config->self_addresses_count; i++) {
		if (ip_equal(&dp->config->self_addresses[i], ip))
			return true;
	}
	return load_table_is_service_ip(dp->load, ip);
}

bool
datapath_is_martian(const struct datapath *dp, const struct ip *source)
{
	return ip_is_martian(source) || is_self_address(dp, source);
}

bool
datapath_port_taken(void *arg, const struct addr *self, uint8_t protocol)
{
	const struct datapath *dp = arg;

	return load_table_lookup(dp->load, self, protocol) != LOAD_NONE;
}

static enum drop
enter(struct datapath *dp, const struct connection_new *what, uint64_t now,
    struct connection **out, bool *existed)
{
	uint64_t before = connection_table_evicted(dp->connections);
	enum drop drop = connection_open(dp->connections, what, dp->random, now, out, existed);

	counter_add(dp->counters, COUNTER_connections_evicted,
	    connection_table_evicted(dp->connections) - before);
	return drop;
}

/* Enters the connection under the first self address that has a port left. */
static enum drop
enter_with_self(struct datapath *dp, struct connection_new *what, uint64_t now,
    struct connection **out, bool *existed)
{
	const struct config *config = dp->config;
	const struct service *service = load_table_service(dp->load, what->service_number);
	bool v4 = ip_is_v4(&what->client.ip);
	size_t count = config->self_addresses_count;
	size_t start = random_below(dp->random, (uint32_t)count);
	enum drop drop = DROP_out_of_ports;
	bool tried = false;

	for (size_t i = 0; i < count && drop == DROP_out_of_ports; i++) {
		what->self.ip = config->self_addresses[(start + i) % count];
		if (ip_is_v4(&what->self.ip) != v4)
			continue;
		tried = true;
		drop = enter(dp, what, now, out, existed);
	}
	if (tried)
		return drop;
	/* none of this family is configured: the service's own address (the seed's Lx, Ly) */
	what->self.ip = v4 ? service->v4 : service->v6;
	if (ip_is_zero(&what->self.ip))
		return DROP_no_server;
	return enter(dp, what, now, out, existed);
}

/* What the server sees as the client's address. */
static enum config_client_address
client_address(const struct datapath *dp, const struct connection_new *what)
{
	const struct service *service = load_table_service(dp->load, what->service_number);

	/* by rule 3 it is the transferor that may say more than its address and port */
	if (what->relayed)
		return CONFIG_CLIENT_HIDE;
	/* a server that is a client of its own service would answer itself */
	if (service->client_address == CONFIG_CLIENT_KEEP &&
	    ip_equal(&what->client.ip, &what->server.ip))
		return CONFIG_CLIENT_HIDE;
	return service->client_address;
}

/* Enters the connection under the address that the server is to see. */
static enum drop
enter_as_client(struct datapath *dp, struct connection_new *what, uint64_t now,
    struct connection **out, bool *existed)
{
	enum config_client_address address = client_address(dp, what);
	enum drop drop;

	what->keep = address == CONFIG_CLIENT_KEEP;
	if (what->keep)
		what->self = what->client;
	/* by rule 3 the server sees the transferor's address: none of ours is needed */
	if (what->keep || what->relayed)
		return enter(dp, what, now, out, existed);
	drop = enter_with_self(dp, what, now, out, existed);
	if (drop == DROP_none && !*existed && address == CONFIG_CLIENT_PROXY &&
	    what->protocol == IPPROTO_TCP)
		(*out)->proxy = CONNECTION_PROXY_SYN;
	return drop;
}

static enum drop
enter_at_server(struct datapath *dp, struct connection_new *what, uint32_t number, uint64_t now,
    struct connection **out)
{
	const struct server *server = load_table_server(dp->load, number);
	bool existed;
	enum drop drop;

	what->server_number = number;
	what->server.ip = ip_is_v4(&what->client.ip) ? server->v4 : server->v6;
	what->server.port = server->port != 0 ? server->port : what->service.port;
	drop = enter_as_client(dp, what, now, out, &existed);
	if (drop != DROP_none || existed)
		return drop;
	allocation_opened(dp->allocation, *out, now);
	if (what->relayed)
		load_table_server_trust(dp->load, number);
	load_table_server_opened(dp->load, number);
	if (what->kind == CONNECTION_RECEIVED) {
		load_table_received_opened(dp->load, what->site, what->service_number, now);
		counter_add(dp->counters, COUNTER_connections_received, 1);
	} else {
		counter_add(dp->counters, COUNTER_connections_local, 1);
	}
	return DROP_none;
}

/* By rule 3 we see what the other site's servers send, and it does not. */
static bool
wants_header(const struct datapath *dp, const struct connection_new *what, uint32_t site)
{
	uint32_t index = load_table_site_service(dp->load, site, what->service_number);

	return what->relayed && what->protocol == IPPROTO_TCP && index != LOAD_NONE &&
	    load_table_site(dp->load, site)->services[index].proxy;
}

static enum drop
enter_transferred(struct datapath *dp, struct connection_new *what, uint32_t site, uint64_t now,
    struct connection **out)
{
	bool existed;
	enum drop drop;

	what->kind = CONNECTION_TRANSFERRED;
	what->site = (uint16_t)site;
	what->server_number = CONNECTION_NO_SERVER;
	what->relayed = what->relayed || site_wants_relay(load_table_site(dp->load, site));
	drop = enter(dp, what, now, out, &existed);
	if (drop != DROP_none || existed)
		return drop;
	allocation_opened(dp->allocation, *out, now);
	if (wants_header(dp, what, site))
		(*out)->proxy = CONNECTION_PROXY_SYN;
	load_table_transferred_opened(dp->load, site, what->service_number);
	counter_add(dp->counters, COUNTER_connections_transferred, 1);
	if (what->relayed)
		counter_add(dp->counters, COUNTER_connections_relayed, 1);
	return DROP_none;
}

enum drop
datapath_open_client(struct datapath *dp, const struct packet *p, uint32_t service,
    uint64_t now, struct connection **out)
{
	struct allocation_decision decision;
	struct connection_new what = {
	    .kind = CONNECTION_LOCAL,
	    .protocol = p->protocol,
	    .client = p->source,
	    .service = p->destination,
	    .service_number = (uint16_t)service,
	    .site = CONNECTION_NO_SITE,
	};
	enum drop drop;

	drop = allocation_admit(dp->allocation, service, &p->source.ip, now);
	if (drop != DROP_none)
		return drop;
	datapath_one_packet(dp, p, &what);
	allocation_decide(dp->allocation, service, &p->source.ip, dp->random, now, &decision);
	counter_add(dp->counters, COUNTER_connections_persistent, decision.persistent);
	switch (decision.where) {
	case ALLOCATION_SERVER:
		return enter_at_server(dp, &what, decision.server, now, out);
	case ALLOCATION_SITE:
		return enter_transferred(dp, &what, decision.site, now, out);
	case ALLOCATION_NONE:
	default:
		return DROP_no_server;
	}
}

enum drop
datapath_open_repeated(struct datapath *dp, const struct packet *p, struct connection *old,
    uint64_t now, struct connection **out)
{
	struct connection_new what = {
	    .protocol = p->protocol,
	    .client = p->source,
	    .service = p->destination,
	    .service_number = old->service,
	    .relayed = true,
	};
	uint32_t site = old->site;
	enum drop drop;

	/* the old record's key is the new one's */
	datapath_end_quietly(dp, old);
	drop = enter_transferred(dp, &what, site, now, out);
	if (drop != DROP_none)
		return drop;
	(*out)->repeated = true;
	counter_add(dp->counters, COUNTER_connections_repeated, 1);
	return DROP_none;
}

static enum drop
enter_passed(struct datapath *dp, struct connection_new *what, uint32_t next, uint64_t now,
    struct connection **out)
{
	bool existed;
	enum drop drop;

	what->kind = CONNECTION_PASSED;
	what->next = (uint16_t)next;
	what->server_number = CONNECTION_NO_SERVER;
	drop = enter(dp, what, now, out, &existed);
	if (drop != DROP_none || existed)
		return drop;
	allocation_opened(dp->allocation, *out, now);
	load_table_transferred_opened(dp->load, next, what->service_number);
	load_table_received_opened(dp->load, what->site, what->service_number, now);
	counter_add(dp->counters, COUNTER_connections_passed, 1);
	return DROP_none;
}

enum drop
datapath_open_received(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now, struct connection **out)
{
	struct allocation_decision decision;
	struct connection_new what = {
	    .kind = CONNECTION_RECEIVED,
	    .protocol = p->protocol,
	    .client = p->source,
	    .service = p->destination,
	    .service_number = arrival->info.service,
	    .site = arrival->site,
	    .relayed = arrival->info.relay_port != 0,
	    .relay_port = arrival->info.relay_port,
	};
	enum drop drop = datapath_decide_received(dp, p, arrival, now, &decision);

	if (drop != DROP_none)
		return drop;
	datapath_one_packet(dp, p, &what);
	counter_add(dp->counters, COUNTER_connections_persistent, decision.persistent);
	switch (decision.where) {
	case ALLOCATION_SERVER:
		return enter_at_server(dp, &what, decision.server, now, out);
	case ALLOCATION_SITE:
		return enter_passed(dp, &what, decision.site, now, out);
	case ALLOCATION_NONE:
	default:
		return DROP_no_server;
	}
}
