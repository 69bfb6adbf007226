/*
 * table_enter: sites that no configuration names: coordinators introduce them, or they have
 * reported by themselves.
 */
#include <string.h>

#include "load/table.h"
#include "load/table_internal.h"

uint32_t
load_table_site_enter(struct load_table *table, const char *name)
{
	uint32_t number = load_table_find_site(table, name), entered = 0;
	struct site *site;

	if (number != LOAD_NONE)
		return number;
	for (uint32_t i = 0; i < table->sites_count; i++) {
		if (strcmp(table->sites[i]->name, name) == 0)
			number = i;
		entered += table->sites[i]->entered;
	}
	if (entered >= LOAD_ENTERED_MAX ||
	    (number == LOAD_NONE && table->sites_count >= LOAD_SITES_MAX))
		return LOAD_NONE;
	number = table_site_slot(table, name);
	site = table->sites[number];
	site->present = site->entered = true;
	site->coordinator = site->introduced = false;
	site->reply = CONFIG_REPLY_AUTO;
	return number;
}

void
load_table_site_leave(struct load_table *table, uint32_t number, uint64_t now)
{
	struct site *site = table->sites[number];

	if (!site->entered)
		return;
	load_table_site_unreport(table, number);
	site->present = site->entered = false;
	load_table_site_session(table, number, SITE_NO_SESSION, now);
}

void
load_table_site_unreport(struct load_table *table, uint32_t number)
{
	struct site *site = table->sites[number];

	for (size_t i = 0; i < site->services_count; i++)
		site->services[i].reported = false;
}

void
load_table_site_vouch(struct load_table *table, uint32_t number, uint64_t now)
{
	struct site *site = table->sites[number];

	for (size_t i = 0; i < site->services_count; i++)
		if (site->services[i].reported)
			site->services[i].received_at = now;
}
