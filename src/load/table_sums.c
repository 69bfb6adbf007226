/*
 * table_sums: the sums over a service's servers.
 *
 * When something about one server changes, what it counted for goes out of them and what it counts
 * for now goes in: thousands of servers of one service may come up at once.  Only when backup servers
 * take over, or give back, all are counted.
 */
#include "load/table.h"
#include "load/table_internal.h"

static bool
may_serve(const struct server *server)
{
	return server_usable(server) && server->weight > 0;
}

bool
server_counts(const struct service *service, const struct server *server)
{
	return may_serve(server) && server->backup == service->on_backup;
}

/* As many connections as agent and packets make of its load. */
static uint64_t
floor_of(const struct server *server)
{
	double load = server->agent_load > server->signal ? server->agent_load : server->signal;

	return load > 0 ? (uint64_t)(load * server->max_connections) : 0;
}

static uint64_t
loaded(const struct server *server)
{
	return server->active > server->floor ? server->active : server->floor;
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

static void
put_in(struct service *service, struct server *server)
{
	server->high = judge_high(service, server);
	server->floor = floor_of(server);
	server->counted = server_counts(service, server);
	if (!server->counted)
		return;
	server->capacity = server->max_connections;
	service->up++;
	service->not_high += !server->high;
	service->capacity += server->capacity;
	service->active += server->active;
	service->loaded += loaded(server);
}

/* As it was put in: of what has changed since, connections are followed as they come and go. */
static void
take_out(struct service *service, struct server *server)
{
	if (!server->counted)
		return;
	server->counted = false;
	service->up--;
	service->not_high -= !server->high;
	service->capacity -= server->capacity;
	service->active -= server->active;
	service->loaded -= loaded(server);
}

static void
note_serving(struct service *service, struct server *server)
{
	bool serving = may_serve(server);

	service->serving[server->backup] += serving;
	service->serving[server->backup] -= server->serving;
	server->serving = serving;
}

/* The backup servers are in use while they are the only ones. */
static bool
needs_backup(const struct service *service)
{
	return service->serving[false] == 0 && service->serving[true] > 0;
}

void
table_recount(struct load_table *table, uint32_t number)
{
	struct service *service = table->services[number];

	service->serving[false] = service->serving[true] = 0;
	service->up = service->not_high = 0;
	service->capacity = service->active = service->loaded = 0;
	for (size_t i = 0; i < service->servers_count; i++) {
		struct server *server = table->servers[service->servers[i]];

		server->serving = false;
		note_serving(service, server);
	}
	service->on_backup = needs_backup(service);
	for (size_t i = 0; i < service->servers_count; i++)
		put_in(service, table->servers[service->servers[i]]);
	service->version++;
}

void
table_server_changed(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];
	struct service *service = table->services[server->service];

	take_out(service, server);
	note_serving(service, server);
	if (needs_backup(service) != service->on_backup) {
		table_recount(table, server->service);
		return;
	}
	put_in(service, server);
	service->version_one = ++service->version;
	if (table->counted != NULL)
		table->counted(table->counted_arg, number);
}

void
table_server_judge(struct load_table *table, struct server *server)
{
	struct service *service = table->services[server->service];
	bool high = judge_high(service, server);

	if (high == server->high)
		return;
	server->high = high;
	if (!server->counted)
		return;
	if (high)
		service->not_high--;
	else
		service->not_high++;
	table_changed(table, LOAD_CHANGE_SERVICE, server->service);
}

void
table_server_loaded(struct load_table *table, uint32_t number)
{
	struct server *server = table->servers[number];
	struct service *service = table->services[server->service];
	uint64_t before = loaded(server);

	server->floor = floor_of(server);
	if (server->counted)
		service->loaded += loaded(server) - before;
	table_server_judge(table, server);
}
