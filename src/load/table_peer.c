/*
 * table_peer: what two sites tell each other besides load: whose packets relay ports take, what
 * is known of the path.
 */
#include <stdlib.h>

#include "load/table.h"
#include "load/table_internal.h"

void
load_table_site_servers(struct load_table *table, uint32_t number, struct endpoints *servers)
{
	struct site *site = table->sites[number];

	endpoints_free(site->servers);
	site->servers = servers;
}

bool
load_table_site_has_server(const struct load_table *table, uint32_t number,
    const struct addr *address, uint8_t protocol)
{
	struct addr any_port = {address->ip, 0};
	const struct endpoints *servers;

	if (number >= table->sites_count)
		return false;
	servers = table->sites[number]->servers;
	return endpoints_find(servers, address, protocol) != UINT32_MAX ||
	    endpoints_find(servers, &any_port, protocol) != UINT32_MAX;
}

void
load_table_site_set_mtu(struct load_table *table, uint32_t number, uint32_t path_mtu)
{
	struct site *site = table->sites[number];

	if (site->path_mtu == path_mtu)
		return;
	site->path_mtu = path_mtu;
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_set_direct_out(struct load_table *table, uint32_t number, enum site_direct direct)
{
	struct site *site = table->sites[number];

	if (site->direct_out == direct)
		return;
	site->direct_out = direct;
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_no_error(struct load_table *table, uint32_t number)
{
	free(table->sites[number]->last_error);
	table->sites[number]->last_error = NULL;
}

void
load_table_site_passes(struct load_table *table, uint32_t number, struct endpoints *passes)
{
	struct site *site = load_table_site(table, number);

	if (site == NULL) {
		endpoints_free(passes);
		return;
	}
	endpoints_free(site->passes);
	site->passes = passes;
}

uint32_t
load_table_site_passes_lookup(const struct load_table *table, uint32_t number,
    const struct addr *address, uint8_t protocol, uint16_t *owner)
{
	uint32_t value;

	*owner = UINT16_MAX;
	if (number >= table->sites_count)
		return LOAD_NONE;
	value = endpoints_find(table->sites[number]->passes, address, protocol);
	if (value == UINT32_MAX)
		return LOAD_NONE;
	*owner = (uint16_t)(value >> 16);
	return value & UINT16_MAX;
}
