/*
 * table_enter: sites that no configuration names: coordinators introduce them, or they have
 * reported by themselves.
 */
#include <string.h>

#include "load/table.h"
#include "load/table_internal.h"

/* Whether it has been here before. */
static bool
has_slot(const struct load_table *table, const char *name)
{
	uint32_t i = names_first(table->site_names, 0, name);

	while (i != NAMES_NONE && strcmp(table->sites[i]->name, name) != 0)
		i = names_next(table->site_names, i);
	return i != NAMES_NONE;
}

uint32_t
load_table_site_enter(struct load_table *table, const char *name)
{
	uint32_t number = load_table_find_site(table, name);
	struct site *site;

	if (number != LOAD_NONE)
		return number;
	if (table->entered_count >= LOAD_ENTERED_MAX ||
	    (table->sites_count >= LOAD_SITES_MAX && !has_slot(table, name)))
		return LOAD_NONE;
	number = table_site_slot(table, name);
	site = table->sites[number];
	table->entered_count++;
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
	table->entered_count--;
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
