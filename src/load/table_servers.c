/*
 * table_servers: states, counts and load of servers.
 */
#include "load/table.h"
#include "load/table_internal.h"

bool
server_usable(const struct server *server)
{
	return server->present && server_is_up(server) && server->admin == SERVER_ENABLED &&
	    !server->agent_drain && !server->agent_maint;
}

double
server_load(const struct server *server)
{
	double load = (double)server->active / server->max_connections;

	load = load > server->agent_load ? load : server->agent_load;
	load = load > server->signal ? load : server->signal;
	return load < 1 ? load : 1;
}

double
service_load(const struct service *service)
{
	double load;

	if (service->up == 0 || service->capacity == 0)
		return 1;
	load = (double)service->loaded / (double)service->capacity;
	return load < 1 ? load : 1;
}

/* What follows from another active. */
static void
counted(struct load_table *table, struct server *server, uint32_t number)
{
	table_server_judge(table, server);
	if (table->counted != NULL)
		table->counted(table->counted_arg, number);
}

void
load_table_server_opened(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];
	struct service *service = table->services[server->service];

	server->active++;
	server->records++;
	server->total++;
	service->total++;
	if (server->counted) {
		service->active++;
		service->loaded += server->active > server->floor;
	}
	if (server->trial)
		table_trial_opened(table, number);
	counted(table, server, number);
}

void
load_table_server_forgotten(struct load_table *table, uint32_t number)
{
	table->servers[number]->records--;
}

void
load_table_server_closed(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];
	struct service *service = table->services[server->service];

	service->closed++;
	if (server->counted) {
		service->active--;
		service->loaded -= server->active > server->floor;
	}
	server->active--;
	counted(table, server, number);
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
	table_signals_forget(server);
	if (server_usable(server))
		table_start_slowly(table, number, now);
	table_server_changed(table, number);
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
	if (server_usable(server))
		table_start_slowly(table, number, now);
	table_server_changed(table, number);
	table_changed(table, LOAD_CHANGE_SERVER, number);
}

/* The weight in force in parts of LOAD_RAMP: a percentage of little is not nothing. */
static uint32_t
weight_parts(const struct server *server)
{
	uint64_t weight = server->weight_set ? server->weight_admin : server->weight_configured;
	uint64_t parts = weight * LOAD_RAMP, agent = server->agent_weight;

	if (!server->agent_absolute)
		parts = parts * agent / 100;
	else if (!server->weight_set || agent < weight)
		parts = agent * LOAD_RAMP;
	if (parts == 0 && weight > 0 && agent > 0)
		parts = 1;
	return parts < UINT16_MAX * LOAD_RAMP ? (uint32_t)parts : UINT16_MAX * LOAD_RAMP;
}

void
table_server_limits(struct server *server)
{
	uint32_t agent = server->agent_max_connections;

	server->weight_parts = weight_parts(server);
	server->weight = server->weight_parts / LOAD_RAMP;
	if (server->weight == 0 && server->weight_parts > 0)
		server->weight = 1;
	server->max_connections = server->max_connections_configured;
	if (agent != 0 && agent < server->max_connections)
		server->max_connections = agent;
}

void
load_table_server_set_weight(struct load_table *table, uint32_t number, uint32_t weight)
{
	struct server *server = table->servers[number];

	server->weight_set = weight != LOAD_NONE;
	server->weight_admin = server->weight_set ? weight : 0;
	weight = server->weight_parts;
	table_server_limits(server);
	if (server->weight_parts == weight)
		return;
	table_server_changed(table, number);
	table_changed(table, LOAD_CHANGE_SERVICE, server->service);
}

/* Who reports more is believed. */
static void
set_loads(struct server *server, double agent, double script)
{
	server->agent_said_load = agent < 1 ? agent : 1;
	server->script_load = script < 1 ? script : 1;
	server->agent_load = server->agent_said_load > server->script_load
	    ? server->agent_said_load
	    : server->script_load;
}

/* Its place among others may be another one now. */
static void
another_load(struct load_table *table, uint32_t number)
{
	table_server_loaded(table, number);
	if (table->counted != NULL)
		table->counted(table->counted_arg, number);
}

void
load_table_server_set_script(struct load_table *table, uint32_t number, double load)
{
	struct server *server = table->servers[number];

	if (load == server->script_load)
		return;
	set_loads(server, server->agent_said_load, load);
	another_load(table, number);
}

void
load_table_server_set_agent(
    struct load_table *table, uint32_t number, const struct server_agent *said, uint64_t now)
{
	struct server *server = table->servers[number];
	uint32_t weight = server->weight_parts, max_connections = server->max_connections;
	bool usable = server_usable(server);

	set_loads(server, said->load, server->script_load);
	server->agent_weight = said->weight;
	server->agent_absolute = said->absolute;
	server->agent_down = said->down;
	server->agent_drain = said->drain;
	server->agent_maint = said->maint;
	server->agent_why = said->why;
	server->agent_max_connections = said->max_connections;
	table_server_limits(server);
	if (usable != server_usable(server)) {
		server->state_since = now;
		if (!usable)
			table_start_slowly(table, number, now);
		table_server_changed(table, number);
		table_changed(table, LOAD_CHANGE_SERVER, number);
	} else if (weight != server->weight_parts || max_connections != server->max_connections) {
		table_server_changed(table, number);
		table_changed(table, LOAD_CHANGE_SERVICE, server->service);
	} else {
		another_load(table, number);
	}
}

static void
set_transfer(struct load_table *table, uint32_t number, bool permitted)
{
	struct service *service = table->services[number];

	if (service->transfer_permitted == permitted)
		return;
	service->transfer_permitted = permitted;
	table_changed(table, LOAD_CHANGE_SERVICE, number);
}

void
load_table_service_set_transfer(struct load_table *table, uint32_t number, bool permitted)
{
	table->services[number]->transfer_set = true;
	set_transfer(table, number, permitted);
}

void
load_table_service_reset_transfer(struct load_table *table, uint32_t number)
{
	table->services[number]->transfer_set = false;
	set_transfer(table, number, table->services[number]->transfer_configured);
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
