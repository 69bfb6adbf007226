#include "control/site_events.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"

struct site_events {
	struct load_table *table;
	enum site_direct *told; /* by number of the site */
	uint32_t count;
};

struct site_events *
site_events_new(struct load_table *table)
{
	struct site_events *events = xcalloc(1, sizeof(*events));

	events->table = table;
	return events;
}

void
site_events_free(struct site_events *events)
{
	if (events == NULL)
		return;
	free(events->told);
	free(events);
}

/* A reload may have brought sites, of which nothing is known, as in the table. */
static enum site_direct *
told_of(struct site_events *events, uint32_t site)
{
	if (site >= events->count) {
		events->told = xrealloc_array(events->told, site + 1, sizeof(*events->told));
		while (events->count <= site)
			events->told[events->count++] = SITE_DIRECT_UNKNOWN;
	}
	return &events->told[site];
}

void
site_events_changed(struct site_events *events, uint32_t number)
{
	const struct site *site = load_table_site(events->table, number);
	enum site_direct *told = told_of(events, number);
	int rule = site_wants_relay(site) ? 3 : 2;

	if (*told == site->direct)
		return;
	*told = site->direct;
	if (site->direct == SITE_DIRECT_BLOCKED)
		log_warnx("direct replies are blocked site=%s seen_by=%s rule=%d", site->name,
		    site->direct_blocked_at != 0 ? "clients" : "probes", rule);
	else
		log_info("direct replies of site=%s direct=%s rule=%d", site->name,
		    site_direct_name(site->direct), rule);
}
