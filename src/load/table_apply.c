/*
 * table_apply: from a configuration to the load table, the first time and at each reload.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/table.h"
#include "load/table_internal.h"

/* Before another server of the service gets the slot of one that is gone: it may come back, to
 * what an administrator said of it and to its clients. */
#define SLOT_REST (600 * CLOCK_SECOND)

/* The number of the service of that name, present or not; a new slot if there was none. */
static uint32_t
service_slot(struct load_table *table, const char *name)
{
	struct service *service;
	uint32_t i = names_first(table->service_names, 0, name);

	while (i != NAMES_NONE && strcmp(table->services[i]->name, name) != 0)
		i = names_next(table->service_names, i);
	if (i != NAMES_NONE)
		return i;
	service = xcalloc(1, sizeof(*service));
	service->name = xstrdup(name);
	service->spare = LOAD_NONE;
	table->services =
	    xrealloc_array(table->services, table->services_count + 1, sizeof(*table->services));
	table->services[table->services_count] = service;
	names_add(table->service_names, 0, name);
	return table->services_count++;
}

/* A server is the same if its service, name and addresses are. */
static bool
server_is(const struct server *s, uint32_t service, const struct config_server *c)
{
	return s->service == service && strcmp(s->name, c->name) == 0 &&
	    ip_equal(&s->v4, &c->v4) && ip_equal(&s->v6, &c->v6);
}

/* A slot of one that is gone, and has not come back meanwhile; LOAD_NONE: there is none. */
static uint32_t
spare_slot(struct load_table *table, uint32_t service, const char *name)
{
	struct service *owner = table->services[service];
	struct server *server;
	uint32_t number;

	do {
		number = owner->spare;
		if (number == LOAD_NONE)
			return LOAD_NONE;
		server = table->servers[number];
		owner->spare = server->next_spare;
	} while (server->present || server->removed);
	table_signals_unattend(table, server);
	free(server->name);
	memset(server, 0, sizeof(*server));
	names_replace(table->server_names, number, service, name);
	return number;
}

static uint32_t
new_slot(struct load_table *table, uint32_t service, const char *name)
{
	if (table->servers_count == table->servers_size) {
		table->servers_size = table->servers_size > 0 ? 2 * table->servers_size : 16;
		table->servers =
		    xrealloc_array(table->servers, table->servers_size, sizeof(*table->servers));
	}
	table->servers[table->servers_count] = xcalloc(1, sizeof(**table->servers));
	names_add(table->server_names, service, name);
	return table->servers_count++;
}

static uint32_t
server_slot(
    struct load_table *table, uint32_t service, const struct config_server *c, uint64_t now)
{
	struct server *server;
	uint32_t i = names_first(table->server_names, service, c->name);

	while (i != NAMES_NONE && !server_is(table->servers[i], service, c))
		i = names_next(table->server_names, i);
	if (i != NAMES_NONE)
		return i;
	i = spare_slot(table, service, c->name);
	if (i == LOAD_NONE)
		i = new_slot(table, service, c->name);
	server = table->servers[i];
	server->name = xstrdup(c->name);
	server->service = service;
	server->v4 = c->v4;
	server->v6 = c->v6;
	server->state_since = now;
	server->agent_load = server->agent_said_load = server->script_load = -1;
	server->agent_weight = 100;
	server->ramp = LOAD_RAMP;
	return i;
}

/*
 * One that was not there before: what an administrator said of the server of its name, which had
 * another address, holds for this one.  Whether it serves has to be found out, unless it does: old
 * connections show that.
 */
static void
enter_server(struct load_table *table, struct server *server, uint64_t now)
{
	if (server->active == 0) {
		server->state = SERVER_DOWN;
		server->why = NULL;
		server->state_since = now;
	}
	for (uint32_t i = names_first(table->server_names, server->service, server->name);
	     i != NAMES_NONE; i = names_next(table->server_names, i)) {
		const struct server *before = table->servers[i];

		if (!before->was_present || before == server ||
		    before->service != server->service || strcmp(before->name, server->name) != 0)
			continue;
		server->admin = before->admin;
		server->weight_set = before->weight_set;
		server->weight_admin = before->weight_admin;
		return;
	}
}

/* Where the server's agent is: IPv4 where there is the choice.  Port 0: it has none. */
static struct addr
agent_address(const struct config_server *c, uint16_t port)
{
	const struct ip *choice[] = {&c->agent_v4, &c->agent_v6, &c->v4, &c->v6};
	size_t i = 0;

	if (c->agent_port != 0)
		port = c->agent_port;
	if (port == 0)
		return (struct addr){0};
	while (i < 3 && ip_is_zero(choice[i]))
		i++;
	return (struct addr){.ip = *choice[i], .port = port};
}

static void
apply_server(
    struct load_table *table, uint32_t service, const struct config_server *c, uint64_t now)
{
	struct service *owner = table->services[service];
	uint32_t number = server_slot(table, service, c, now);
	struct server *server = table->servers[number];

	if (!server->was_present && !c->removed)
		enter_server(table, server, now);
	server->present = !c->removed;
	server->removed = c->removed;
	server->added = c->added;
	server->changed = c->changed;
	if (server->weight_admin == c->weight && server->weight_configured != c->weight)
		server->weight_set = false;
	server->port = c->port;
	server->weight_configured = c->weight;
	server->max_connections_configured =
	    c->max_connections != 0 ? c->max_connections : LOAD_SELF_PORTS;
	table_server_limits(server);
	server->backup = c->backup;
	if (c->removed)
		return;
	server->place = (uint32_t)owner->servers_count;
	server->passive_down = server->passive_down && owner->passive;
	owner->backups += c->backup;
	server->agent_at = agent_address(c, owner->agent.port);
	if (owner->check.type == CONFIG_CHECK_NONE)
		server->state = SERVER_UP;
	owner->servers[owner->servers_count++] = number;
}

static void
apply_service(struct load_table *table, const struct config_service *c, uint64_t now)
{
	uint32_t number = service_slot(table, c->name);
	struct service *s = table->services[number];

	s->present = true;
	s->v4 = c->v4;
	s->v6 = c->v6;
	s->protocol = c->protocol;
	free(s->ports);
	s->ports_count = c->ports_count;
	s->ports = xcalloc(c->ports_count, sizeof(*s->ports));
	memcpy(s->ports, c->ports, c->ports_count * sizeof(*s->ports));
	s->scheduler = c->scheduler;
	s->prefer = c->prefer;
	s->site_metric = c->site_metric;
	s->client_address = c->client_address;
	s->kept = s->kept || c->client_address == CONFIG_CLIENT_KEEP;
	s->on_unknown = c->on_unknown;
	s->on_server_down = c->on_server_down;
	if (s->transfer_permitted == c->transfer_permitted &&
	    s->transfer_configured != c->transfer_permitted)
		s->transfer_set = false;
	s->transfer_configured = c->transfer_permitted;
	if (!s->transfer_set)
		s->transfer_permitted = c->transfer_permitted;
	s->high_load = c->high_load;
	s->slow_start = c->slow_start;
	s->passive = c->passive;
	s->one_packet = c->one_packet;
	s->persistence = c->persistence;
	s->client_limit = c->client_limit;
	s->check = c->check;
	/* a port of its own for checks is taken for one that expects none */
	s->check.proxy = c->client_address == CONFIG_CLIENT_PROXY && c->check.port == 0;
	s->agent = c->agent;
	s->agent_listen = c->agent_listen;
	free(s->servers);
	s->servers = xcalloc(c->servers_count, sizeof(*s->servers));
	s->servers_count = s->backups = 0;
	for (size_t i = 0; i < c->servers_count; i++)
		apply_server(table, number, &c->servers[i], now);
}

uint32_t
table_site_slot(struct load_table *table, const char *name)
{
	struct site *site;
	uint32_t i = names_first(table->site_names, 0, name);

	while (i != NAMES_NONE && strcmp(table->sites[i]->name, name) != 0)
		i = names_next(table->site_names, i);
	if (i != NAMES_NONE)
		return i;
	site = xcalloc(1, sizeof(*site));
	site->name = xstrdup(name);
	table->sites =
	    xrealloc_array(table->sites, table->sites_count + 1, sizeof(*table->sites));
	table->sites[table->sites_count] = site;
	names_add(table->site_names, 0, name);
	return table->sites_count++;
}

static void
apply_peer(struct load_table *table, const struct config_peer *c, bool coordinator)
{
	/* first, as it may move table->sites */
	uint32_t number = table_site_slot(table, c->site);
	struct site *site = table->sites[number];

	site->present = true;
	table->entered_count -= site->entered;
	site->entered = site->introduced = false;
	site->coordinator = coordinator;
	site->load = c->load;
	site->reply = c->reply;
	site->transfer = c->transfer;
}

static void
enter_endpoints(struct load_table *table, const struct ip *ip, uint32_t number)
{
	const struct service *s = table->services[number];
	struct addr addr = {*ip, 0};

	if (ip_is_zero(ip))
		return;
	endpoints_add(table->addresses, &addr, 0, number);
	for (size_t i = 0; i < s->ports_count; i++) {
		addr.port = s->ports[i];
		endpoints_add(table->endpoints, &addr, s->protocol, number);
	}
}

static void
index_services(struct load_table *table)
{
	size_t ports = 0;

	for (uint32_t i = 0; i < table->services_count; i++)
		ports += table->services[i]->ports_count;
	endpoints_free(table->endpoints);
	endpoints_free(table->addresses);
	table->endpoints = endpoints_new(2 * ports);
	table->addresses = endpoints_new((size_t)2 * table->services_count);
	for (uint32_t i = 0; i < table->services_count; i++) {
		if (!table->services[i]->present)
			continue;
		enter_endpoints(table, &table->services[i]->v4, i);
		enter_endpoints(table, &table->services[i]->v6, i);
	}
}

/* The kernel may still lead packets of servers to us that have seen their clients' addresses. */
static bool
is_spare(const struct load_table *table, const struct server *server, uint64_t now)
{
	return !server->present && !server->removed && server->records == 0 &&
	    now >= server->gone_at + SLOT_REST && !table->services[server->service]->kept;
}

static void
find_spare_slots(struct load_table *table, uint64_t now)
{
	for (uint32_t i = 0; i < table->services_count; i++)
		table->services[i]->spare = LOAD_NONE;
	for (uint32_t i = 0; i < table->servers_count; i++) {
		struct server *server = table->servers[i];
		struct service *owner = table->services[server->service];

		if (!is_spare(table, server, now))
			continue;
		server->next_spare = owner->spare;
		owner->spare = i;
	}
}

static void
forget_presence(struct load_table *table)
{
	for (uint32_t i = 0; i < table->services_count; i++) {
		table->services[i]->present = false;
		table->services[i]->servers_count = table->services[i]->backups = 0;
	}
	for (uint32_t i = 0; i < table->servers_count; i++) {
		struct server *server = table->servers[i];

		server->was_present = server->present;
		server->present = server->removed = false;
		server->serving = server->counted = false;
	}
	for (uint32_t i = 0; i < table->sites_count; i++)
		table->sites[i]->present = table->sites[i]->entered;
}

static void
enter_keeping(struct load_table *table, const struct ip *ip, uint32_t number)
{
	struct addr addr = {*ip, 0};

	if (!ip_is_zero(ip))
		endpoints_add(table->keeping, &addr, 0, number);
}

/* Once among them, a server stays: rules of the kernel may lead its packets to us until the end. */
static void
index_keeping(struct load_table *table)
{
	size_t count = 0;

	endpoints_free(table->keeping);
	table->keeping = NULL;
	for (uint32_t i = 0; i < table->servers_count; i++)
		count += table->services[table->servers[i]->service]->kept;
	if (count == 0)
		return;
	table->keeping = endpoints_new(2 * count);
	for (uint32_t i = 0; i < table->servers_count; i++) {
		const struct server *server = table->servers[i];

		if (!table->services[server->service]->kept)
			continue;
		enter_keeping(table, &server->v4, i);
		enter_keeping(table, &server->v6, i);
	}
}

static void
come_or_go(struct load_table *table, uint32_t number, uint64_t now)
{
	struct server *server = table->servers[number];

	if (!server->was_present && server_usable(server))
		table_start_slowly(table, number, now);
	if (server->was_present && !server->present)
		server->gone_at = now;
}

void
load_table_apply(struct load_table *table, const struct config *config, uint64_t now)
{
	find_spare_slots(table, now);
	forget_presence(table);
	if (table->started == 0)
		table->started = now > 0 ? now : 1;
	table->grants_stale = true;
	table->max_transfers = config->transfer.max_transfers;
	for (size_t i = 0; i < config->services_count; i++)
		apply_service(table, &config->services[i], now);
	for (size_t i = 0; i < config->peers_count; i++)
		apply_peer(table, &config->peers[i], false);
	for (size_t i = 0; i < config->load.coordinators_count; i++)
		apply_peer(table, &config->load.coordinators[i], true);
	index_services(table);
	index_keeping(table);
	for (uint32_t i = 0; i < table->servers_count; i++)
		come_or_go(table, i, now);
	for (uint32_t i = 0; i < table->services_count; i++)
		table_recount(table, i);
	for (uint32_t i = 0; i < table->sites_count; i++)
		table_link_site(table, table->sites[i]);
}
