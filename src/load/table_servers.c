/*
 * table_servers: states, counts and load of servers, and the sums over a service's servers.
 */
#include "load/table.h"
#include "load/table_internal.h"

bool
server_usable(const struct server *server)
{
	return server->present && server->state == SERVER_UP && server->admin == SERVER_ENABLED;
}

static bool
may_be_chosen(const struct server *server)
{
	return server_usable(server) && server->weight > 0;
}

bool
server_counts(const struct service *service, const struct server *server)
{
	return may_be_chosen(server) && server->backup == service->on_backup;
}

double
server_load(const struct server *server)
{
	double load = (double)server->active / server->max_connections;

	return load < 1 ? load : 1;
}

double
service_load(const struct service *service)
{
	double load;

	if (service->up == 0 || service->capacity == 0)
		return 1;
	load = (double)service->active / (double)service->capacity;
	return load < 1 ? load : 1;
}

/* Highly loaded from high_load on, and again below high_load - 0.05. */
static bool
judge_high(const struct service *service, const struct server *server)
{
	double limit = service->high_load;

	if (server->high)
		limit -= HIGH_LOAD_HYSTERESIS;
	return server_load(server) >= limit;
}

/* The backup servers are in use while they are the only ones. */
static bool
needs_backup(struct load_table *table, const struct service *service)
{
	bool found = false;

	for (size_t i = 0; i < service->servers_count && service->backups > 0; i++) {
		const struct server *server = table->servers[service->servers[i]];

		if (may_be_chosen(server) && !server->backup)
			return false;
		found |= may_be_chosen(server);
	}
	return found;
}

void
table_recount(struct load_table *table, uint32_t number)
{
	struct service *service = table->services[number];

	service->on_backup = needs_backup(table, service);
	service->up = service->not_high = 0;
	service->capacity = service->active = 0;
	for (size_t i = 0; i < service->servers_count; i++) {
		struct server *server = table->servers[service->servers[i]];

		server->high = judge_high(service, server);
		if (!server_counts(service, server))
			continue;
		service->up++;
		service->not_high += !server->high;
		service->capacity += server->max_connections;
		service->active += server->active;
	}
	service->version++;
}

static void
update_high(struct load_table *table, struct service *service, struct server *server)
{
	bool high = judge_high(service, server);

	if (high == server->high)
		return;
	server->high = high;
	if (!server_counts(service, server))
		return;
	if (high)
		service->not_high--;
	else
		service->not_high++;
	table_changed(table, LOAD_CHANGE_SERVICE, server->service);
}

/* What follows from another active. */
static void
counted(struct load_table *table, struct service *service, struct server *server, uint32_t number)
{
	update_high(table, service, server);
	if (table->counted != NULL)
		table->counted(table->counted_arg, number);
}

void
load_table_server_opened(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];
	struct service *service = table->services[server->service];

	server->active++;
	server->total++;
	service->total++;
	if (server_counts(service, server))
		service->active++;
	counted(table, service, server, number);
}

void
load_table_server_closed(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];
	struct service *service = table->services[server->service];

	server->active--;
	service->closed++;
	if (server_counts(service, server))
		service->active--;
	counted(table, service, server, number);
}

void
load_table_server_set_state(struct load_table *table, uint32_t number, enum server_state state,
    const char *why, uint64_t now)
{
	struct server *server = table->servers[number];

	server->why = why;
	if (server->state == state)
		return;
	server->state = state;
	server->state_since = now;
	table_recount(table, server->service);
	table_changed(table, LOAD_CHANGE_SERVER, number);
}

void
load_table_server_set_admin(
    struct load_table *table, uint32_t number, enum server_admin admin, uint64_t now)
{
	struct server *server = table->servers[number];

	if (server->admin == admin)
		return;
	server->admin = admin;
	server->state_since = now;
	table_recount(table, server->service);
	table_changed(table, LOAD_CHANGE_SERVER, number);
}

void
load_table_server_set_weight(struct load_table *table, uint32_t number, uint32_t weight)
{
	struct server *server = table->servers[number];

	server->weight_set = weight != LOAD_NONE;
	if (!server->weight_set)
		weight = server->weight_configured;
	if (server->weight == weight)
		return;
	server->weight = weight;
	table_recount(table, server->service);
	table_changed(table, LOAD_CHANGE_SERVICE, server->service);
}

void
load_table_service_set_transfer(struct load_table *table, uint32_t number, bool permitted)
{
	struct service *service = table->services[number];

	service->transfer_set = true;
	if (service->transfer_permitted == permitted)
		return;
	service->transfer_permitted = permitted;
	table_changed(table, LOAD_CHANGE_SERVICE, number);
}

const char *
server_state_name(enum server_state state)
{
	return state == SERVER_UP ? "up" : "down";
}

const char *
server_admin_name(enum server_admin admin)
{
	static const char *const names[] = {"enabled", "draining", "disabled"};

	return names[admin];
}
