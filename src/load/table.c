#include "load/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/table_internal.h"

struct load_table *
load_table_new(void)
{
	struct load_table *table = xcalloc(1, sizeof(*table));

	TAILQ_INIT(&table->attended);
	table->service_names = names_new();
	table->server_names = names_new();
	table->site_names = names_new();
	return table;
}

static void
service_free(struct service *service)
{
	free(service->name);
	free(service->ports);
	free(service->servers);
	free(service);
}

static void
site_free(struct site *site)
{
	site_services_free(site->services, site->services_count);
	endpoints_free(site->endpoints);
	endpoints_free(site->servers);
	endpoints_free(site->passes);
	free(site->by_local);
	free(site->last_error);
	free(site->name);
	free(site);
}

void
load_table_free(struct load_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < table->services_count; i++)
		service_free(table->services[i]);
	for (uint32_t i = 0; i < table->servers_count; i++) {
		free(table->servers[i]->name);
		free(table->servers[i]);
	}
	for (uint32_t i = 0; i < table->sites_count; i++)
		site_free(table->sites[i]);
	free(table->services);
	free(table->servers);
	free(table->sites);
	names_free(table->service_names);
	names_free(table->server_names);
	names_free(table->site_names);
	free(table->scratch);
	endpoints_free(table->endpoints);
	endpoints_free(table->addresses);
	endpoints_free(table->keeping);
	free(table);
}

void
load_table_set_listener(struct load_table *table, load_table_changed *listener, void *arg)
{
	table->listener = listener;
	table->listener_arg = arg;
}

void
load_table_set_counted(struct load_table *table, load_table_counted *counted, void *arg)
{
	table->counted = counted;
	table->counted_arg = arg;
}

void
table_changed(struct load_table *table, enum load_change change, uint32_t number)
{
	table->grants_stale = true;
	if (table->listener != NULL)
		table->listener(table->listener_arg, change, number);
}

struct service *
load_table_service(struct load_table *table, uint32_t number)
{
	return number < table->services_count ? table->services[number] : NULL;
}

struct server *
load_table_server(struct load_table *table, uint32_t number)
{
	return number < table->servers_count ? table->servers[number] : NULL;
}

struct site *
load_table_site(struct load_table *table, uint32_t number)
{
	return number < table->sites_count ? table->sites[number] : NULL;
}

uint32_t
load_table_services(const struct load_table *table)
{
	return table->services_count;
}

uint32_t
load_table_servers(const struct load_table *table)
{
	return table->servers_count;
}

uint32_t
load_table_sites(const struct load_table *table)
{
	return table->sites_count;
}

uint32_t
load_table_find_service(const struct load_table *table, const char *name)
{
	uint32_t i = names_first(table->service_names, 0, name);

	while (i != NAMES_NONE &&
	    (!table->services[i]->present || strcmp(table->services[i]->name, name) != 0))
		i = names_next(table->service_names, i);
	return i;
}

uint32_t
load_table_find_server(const struct load_table *table, uint32_t service, const char *name)
{
	uint32_t i = names_first(table->server_names, service, name);

	for (; i != NAMES_NONE; i = names_next(table->server_names, i)) {
		const struct server *server = table->servers[i];

		if (server->present && server->service == service &&
		    strcmp(server->name, name) == 0)
			break;
	}
	return i;
}

uint32_t
load_table_find_site(const struct load_table *table, const char *name)
{
	uint32_t i = names_first(table->site_names, 0, name);

	while (i != NAMES_NONE &&
	    (!table->sites[i]->present || strcmp(table->sites[i]->name, name) != 0))
		i = names_next(table->site_names, i);
	return i;
}

uint32_t
load_table_lookup(const struct load_table *table, const struct addr *address, uint8_t protocol)
{
	return endpoints_find(table->endpoints, address, protocol);
}

bool
load_table_is_service_ip(const struct load_table *table, const struct ip *ip)
{
	struct addr addr = {*ip, 0};

	return endpoints_find(table->addresses, &addr, 0) != LOAD_NONE;
}

bool
load_table_keeps(const struct load_table *table, const struct ip *ip)
{
	struct addr addr = {*ip, 0};

	return table->keeping != NULL && endpoints_find(table->keeping, &addr, 0) != LOAD_NONE;
}
