/*
 * datapath_close: connections that end: what other sites are told of them and tell us, and what
 * becomes of those whose server or site is gone.
 *
 * A connection between two sites is over when somebody knows who sees both its directions: the
 * transferee by rule 2, the transferor by rule 3.  The other one has seen half of it, and is
 * told.
 */
#include <netinet/in.h>

#include "base/xalloc.h"
#include "datapath_internal.h"

/* Records ended or looked at in one go, so that no wake-up takes long. */
#define SWEEP_BUDGET 32768
#define RESET_BUDGET 1024

/* How far a sequence number may be from the one we know for the same connection. */
#define WINDOW (INT32_C(1) << 20)

struct datapath_site *
datapath_site(struct datapath *dp, uint32_t number)
{
	static const struct datapath_site zero;

	if (number >= dp->sites_count) {
		dp->sites = xrealloc_array(dp->sites, (size_t)number + 1, sizeof(*dp->sites));
		while (dp->sites_count <= number)
			dp->sites[dp->sites_count++] = zero;
	}
	return &dp->sites[number];
}

/* ---- what other sites are told ---- */

static void
tell(struct datapath *dp, uint16_t site, const struct connection_closed *entry)
{
	if (dp->peers.closed != NULL)
		dp->peers.closed(dp->peers.arg, site, entry);
}

void
datapath_report(struct datapath *dp, const struct connection *c, bool reset)
{
	tell(dp, c->site,
	    &(struct connection_closed){.client = connection_client(dp->connections, c),
		.service = connection_service(dp->connections, c),
		.protocol = c->protocol,
		.from_transferor = c->kind == CONNECTION_TRANSFERRED,
		.reset = reset,
		.seq = c->client_seq});
}

void
datapath_report_unknown(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now)
{
	struct connection_closed entry = {.client = p->source,
	    .service = p->destination,
	    .protocol = p->protocol,
	    .reset = arrival->info.relay_port != 0,
	    .seq = p->tcp_seq + packet_payload_len(p) + ((p->tcp_flags & TCP_SYN) != 0)};

	/* a RST needs no answer, and a fragment has no number */
	if (p->protocol != IPPROTO_TCP || p->tcp_flags & TCP_RST || p->fragment != PACKET_WHOLE)
		return;
	if (ratelimit_take(&dp->reports, now))
		tell(dp, arrival->site, &entry);
	else
		counter_drop(dp->counters, DROP_rate_limited);
}

void
datapath_end_quietly(struct datapath *dp, struct connection *c)
{
	dp->quiet = true;
	connection_end(dp->connections, c);
	dp->quiet = false;
}

/* Whether the other site has not seen the end that was seen here. */
static bool
is_to_be_told(const struct datapath *dp, const struct connection *c, bool ended)
{
	if (dp->quiet || c->protocol != IPPROTO_TCP)
		return false;
	if (c->kind == CONNECTION_TRANSFERRED && c->relay_port == 0)
		return false; /* the transferee tells us */
	if (c->kind != CONNECTION_TRANSFERRED && c->kind != CONNECTION_RECEIVED)
		return false;
	/* told when it came into TIME_WAIT, it is not told again when that is over */
	return (c->state == CONNECTION_TIME_WAIT) != ended;
}

static void
transferred_closed(struct datapath *dp, const struct connection *c)
{
	uint16_t site = datapath_transferee(c);

	load_table_transferred_closed(dp->load, site, c->service);
	if (c->protocol == IPPROTO_TCP)
		load_table_transferred_answered(
		    dp->load, site, c->service, c->state != CONNECTION_OPENING);
}

void
datapath_connection_changed(
    void *arg, const struct connection *c, bool active_before, bool active_after, bool ended)
{
	struct datapath *dp = arg;

	if (is_to_be_told(dp, c, ended))
		datapath_report(dp, c, false);
	/* over when it comes into TIME_WAIT, or ends before that */
	if ((c->state == CONNECTION_TIME_WAIT) != ended)
		allocation_over(dp->allocation, c, connection_table_now(dp->connections));
	if (ended && (c->kind == CONNECTION_LOCAL || c->kind == CONNECTION_RECEIVED))
		load_table_server_forgotten(dp->load, c->server);
	if (!active_before || active_after)
		return;
	if (c->kind == CONNECTION_TRANSFERRED || c->kind == CONNECTION_PASSED)
		transferred_closed(dp, c);
	if (c->kind == CONNECTION_RECEIVED || c->kind == CONNECTION_PASSED)
		load_table_received_closed(dp->load, c->site, c->service);
	if (c->kind == CONNECTION_LOCAL || c->kind == CONNECTION_RECEIVED)
		load_table_server_closed(dp->load, c->server);
}

/* ---- what they tell us ---- */

static struct connection *
find_client(struct datapath *dp, const struct connection_closed *entry, uint32_t origin)
{
	struct connection_key key = {
	    entry->client, entry->service, entry->protocol, (uint16_t)origin};
	enum connection_side side;
	struct connection *c = connection_find(dp->connections, &key, &side);

	return c != NULL && side == CONNECTION_FROM_CLIENT ? c : NULL;
}

/* One that we passed on to the site: whoever sent it to us. */
static struct connection *
find_passed(struct datapath *dp, uint32_t next, const struct connection_closed *entry)
{
	for (uint32_t site = 0; site < load_table_sites(dp->load); site++) {
		struct connection *c = find_client(dp, entry, site + 1);

		if (c != NULL && c->kind == CONNECTION_PASSED && c->next == next)
			return c;
	}
	return NULL;
}

/* The record that the other site means: our part of the same connection. */
static struct connection *
find_part(struct datapath *dp, uint32_t site, const struct connection_closed *entry)
{
	struct connection *c = find_client(dp, entry, entry->from_transferor ? site + 1 : 0);

	if (entry->from_transferor)
		return c; /* received or passed on: its origin says from whom */
	if (c != NULL && c->kind == CONNECTION_TRANSFERRED && c->site == site)
		return c;
	return find_passed(dp, site, entry);
}

/* The client may have opened a new connection from the same port since. */
static bool
is_the_same(const struct connection *c, const struct connection_closed *entry)
{
	int32_t distance = (int32_t)(entry->seq - c->client_seq);

	return distance <= WINDOW && distance >= -WINDOW;
}

void
datapath_peer_closed(
    struct datapath *dp, uint32_t site, const struct connection_closed *entry, uint64_t now)
{
	struct connection *c = find_part(dp, site, entry);

	if (c == NULL || c->state == CONNECTION_TIME_WAIT || entry->protocol != IPPROTO_TCP ||
	    !is_the_same(c, entry))
		return;
	counter_add(dp->counters, COUNTER_connections_closed_by_peer, 1);
	if (entry->reset && c->kind == CONNECTION_TRANSFERRED) {
		datapath_reset_client(dp, c);
		/* it had no room, whatever it reports */
		if (c->state == CONNECTION_OPENING)
			load_table_transferred_answered(dp->load, c->site, c->service, false);
	}
	if (c->kind == CONNECTION_PASSED) /* the rest of the chain wants to know */
		tell(dp, entry->from_transferor ? c->next : c->site, entry);
	dp->quiet = true;
	connection_close(dp->connections, c, now);
	dp->quiet = false;
}

/* ---- servers and sites that are gone ---- */

void
datapath_server_down(struct datapath *dp, uint32_t server, uint64_t now)
{
	(void)server;
	(void)now;
	dp->sweeping = true;
	dp->sweep_cursor = 0;
}

void
datapath_site_lost(struct datapath *dp, uint32_t site, uint64_t now)
{
	datapath_site(dp, site)->lost_at = now;
	dp->sweeping = true;
	dp->sweep_cursor = 0;
}

/* One that nobody has answered yet just goes, and so do those of UDP: the client's next packet is
 * allocated anew, and nobody has noticed anything. */
static bool
is_answered(const struct connection *c)
{
	return c->protocol == IPPROTO_TCP && connection_is_answered(c);
}

/* A TCP connection whose server is down ends with a RST to the client, or stays if the service
 * says so. */
static void
server_lost(struct datapath *dp, struct connection *c)
{
	const struct service *service = load_table_service(dp->load, c->service);
	bool relayed = c->kind == CONNECTION_RECEIVED && c->relay_port != 0;

	if (is_answered(c) && service->on_server_down == CONFIG_DOWN_KEEP)
		return;
	if (c->state == CONNECTION_TIME_WAIT || !is_answered(c)) {
		connection_end(dp->connections, c);
		return;
	}
	if (!relayed) {
		datapath_reset_client(dp, c);
		connection_end(dp->connections, c);
		return;
	}
	/* our own RST would be a direct reply, which may not get through */
	datapath_report(dp, c, true);
	datapath_end_quietly(dp, c);
}

/* A part of the chain is gone: the other part is told, and the client's end resets it. */
static void
tell_chain(struct datapath *dp, const struct connection *c, uint16_t lost)
{
	struct connection_closed entry = {.client = connection_client(dp->connections, c),
	    .service = connection_service(dp->connections, c),
	    .protocol = c->protocol,
	    .from_transferor = lost == c->site,
	    .reset = true,
	    .seq = c->client_seq};

	tell(dp, lost == c->site ? c->next : c->site, &entry);
}

/* The other half of a connection is forgotten, or out of reach for good. */
static void
site_lost(struct datapath *dp, struct connection *c, uint16_t site)
{
	bool over = !is_answered(c) || c->state == CONNECTION_TIME_WAIT;

	if (c->kind == CONNECTION_PASSED)
		tell_chain(dp, c, site);
	else if (!over && c->kind == CONNECTION_TRANSFERRED)
		datapath_reset_client(dp, c);
	else if (!over)
		datapath_reset_server(dp, c);
	datapath_end_quietly(dp, c);
}

static bool
is_lost(const struct datapath *dp, const struct connection *c, uint16_t number)
{
	const struct datapath_site *site;

	if (number == CONNECTION_NO_SITE || number >= dp->sites_count)
		return false;
	site = &dp->sites[number];
	return site->lost_at != 0 && connection_is_older(dp->connections, c, 0, site->lost_at);
}

/* Ends a connection that has lost what it needs; false if it has not. */
static bool
end_if_lost(struct datapath *dp, struct connection *c)
{
	const struct server *server;

	if (is_lost(dp, c, c->site) || is_lost(dp, c, c->next)) {
		site_lost(dp, c, is_lost(dp, c, c->site) ? c->site : c->next);
		return true;
	}
	if (c->server == CONNECTION_NO_SERVER)
		return false;
	server = load_table_server(dp->load, c->server);
	if (server_is_up(server))
		return false;
	/* that it takes no new connections does not mean that it has left the others */
	if (server->state == SERVER_UP && !server->agent_down && is_answered(c))
		return false;
	server_lost(dp, c);
	return true;
}

void
datapath_sweep(struct datapath *dp)
{
	uint32_t budget = SWEEP_BUDGET;
	bool done;

	for (int lost = 0; lost < RESET_BUDGET;) {
		struct connection *c =
		    connection_walk_some(dp->connections, &dp->sweep_cursor, &budget, &done);

		if (c == NULL) {
			dp->sweeping = !done;
			break;
		}
		lost += end_if_lost(dp, c);
	}
	if (dp->sweeping)
		return;
	for (size_t i = 0; i < dp->sites_count; i++)
		dp->sites[i].lost_at = 0;
}
