/*
 * site_events: what the log, and so `monitor`, is told of the other sites' direct replies.
 *
 * What decides is in two places, reports of the site and experience of clients; what follows,
 * the rule for new connections, is for people to know.  Remembers what it last said of each
 * site.  Called by the listener of the load table.
 */
#ifndef WLAD_CONTROL_SITE_EVENTS_H
#define WLAD_CONTROL_SITE_EVENTS_H

#include <stdint.h>

#include "load/table.h"

struct site_events;

/* table: borrowed. */
struct site_events *site_events_new(struct load_table *table);
void site_events_free(struct site_events *events); /* NULL is fine */

/* Something about that site has changed. */
void site_events_changed(struct site_events *events, uint32_t site);

#endif
