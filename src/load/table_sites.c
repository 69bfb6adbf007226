/*
 * table_sites: what we know of the other sites, as their HELLO and LOAD messages say.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/table.h"
#include "load/table_internal.h"

void
site_services_free(struct site_service *services, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(services[i].name);
		free(services[i].ports);
	}
	free(services);
}

static void
enter_endpoints(struct site *site, const struct ip *ip, uint32_t index)
{
	const struct site_service *s = &site->services[index];
	struct addr addr = {*ip, 0};

	if (ip_is_zero(ip))
		return;
	for (size_t i = 0; i < s->ports_count; i++) {
		addr.port = s->ports[i];
		endpoints_add(site->endpoints, &addr, s->protocol, index);
	}
}

void
table_link_site(struct load_table *table, struct site *site)
{
	size_t ports = 0;

	site->by_local_count = table->services_count;
	site->by_local =
	    xrealloc_array(site->by_local, site->by_local_count, sizeof(*site->by_local));
	for (size_t i = 0; i < site->by_local_count; i++)
		site->by_local[i] = LOAD_NONE;
	for (size_t i = 0; i < site->services_count; i++) {
		struct site_service *s = &site->services[i];
		uint32_t local = load_table_find_service(table, s->name);

		/* a service of the same name but another protocol is another service */
		if (local != LOAD_NONE && table->services[local]->protocol != s->protocol)
			local = LOAD_NONE;
		s->local = local;
		if (local != LOAD_NONE)
			site->by_local[local] = (uint32_t)i;
		ports += s->ports_count;
	}
	endpoints_free(site->endpoints);
	site->endpoints = endpoints_new(2 * ports);
	for (size_t i = 0; i < site->services_count; i++) {
		enter_endpoints(site, &site->services[i].v4, (uint32_t)i);
		enter_endpoints(site, &site->services[i].v6, (uint32_t)i);
	}
}

/* Connections in flight outlive a session: their counts go over to the new list. */
static void
keep_counts(struct site_service *to, const struct site_service *from)
{
	to->transferred = from->transferred;
	to->transferred_total = from->transferred_total;
	to->received = from->received;
	to->received_total = from->received_total;
	to->incoming = from->incoming;
	to->granted = from->granted;
	to->tokens = from->tokens;
	to->unanswered = from->unanswered;
}

/* A session that replaces another says HELLO again: what was reported is as true as before, until
 * the next report. */
static void
keep_report(struct site_service *to, const struct site_service *from)
{
	if (!from->reported || from->protocol != to->protocol)
		return;
	to->reported = true;
	to->sequence = from->sequence;
	to->servers_up = from->servers_up;
	to->servers_not_high = from->servers_not_high;
	to->transferable = from->transferable;
	to->permitted = from->permitted;
	to->load = from->load;
	to->active = from->active;
	to->held_from_us = from->held_from_us;
	to->limited = from->limited;
	to->quota = from->quota;
	to->new_per_second = from->new_per_second;
	to->mean_life = from->mean_life;
	to->distance = from->distance;
	to->received_at = from->received_at;
}

/* What is known of services that were there before. */
static void
keep(struct site_service *services, size_t count, const struct site *site)
{
	struct names *names = names_new();

	for (size_t i = 0; i < site->services_count; i++)
		names_add(names, 0, site->services[i].name);
	for (size_t i = 0; i < count; i++) {
		struct site_service *to = &services[i];
		uint32_t from = names_first(names, 0, to->name);

		while (from != NAMES_NONE && strcmp(site->services[from].name, to->name) != 0)
			from = names_next(names, from);
		if (from == NAMES_NONE)
			continue;
		keep_counts(to, &site->services[from]);
		keep_report(to, &site->services[from]);
	}
	names_free(names);
}

void
load_table_site_services(
    struct load_table *table, uint32_t number, struct site_service *services, size_t count)
{
	struct site *site = table->sites[number];

	keep(services, count, site);
	site_services_free(site->services, site->services_count);
	site->services = services;
	site->services_count = count;
	table_link_site(table, site);
	table_changed(table, LOAD_CHANGE_SITE, number);
}

uint32_t
load_table_site_service(const struct load_table *table, uint32_t number, uint32_t service)
{
	const struct site *site;

	if (number >= table->sites_count)
		return LOAD_NONE;
	site = table->sites[number];
	return service < site->by_local_count ? site->by_local[service] : LOAD_NONE;
}

uint32_t
load_table_site_lookup(const struct load_table *table, uint32_t number,
    const struct addr *address, uint8_t protocol)
{
	if (number >= table->sites_count)
		return LOAD_NONE;
	return endpoints_find(table->sites[number]->endpoints, address, protocol);
}

/* The site's entry of our service, or NULL if it does not offer it (any more). */
static struct site_service *
entry(struct load_table *table, uint32_t site, uint32_t service)
{
	uint32_t index = load_table_site_service(table, site, service);

	return index == LOAD_NONE ? NULL : &table->sites[site]->services[index];
}

void
load_table_transferred_opened(struct load_table *table, uint32_t site, uint32_t service)
{
	struct site_service *s = entry(table, site, service);

	table->services[service]->transferred++;
	table->services[service]->transferred_total++;
	if (s != NULL) {
		s->transferred++;
		s->transferred_total++;
	}
}

void
load_table_transferred_closed(struct load_table *table, uint32_t site, uint32_t service)
{
	struct site_service *s = entry(table, site, service);

	table->services[service]->transferred--;
	if (s != NULL && s->transferred > 0)
		s->transferred--;
}

/* Of the latest OUTCOMES or so. */
#define OUTCOMES 32

void
load_table_transferred_answered(
    struct load_table *table, uint32_t site, uint32_t service, bool answered)
{
	struct site_service *s = entry(table, site, service);

	if (s != NULL)
		s->unanswered += ((answered ? 0 : 1) - s->unanswered) / OUTCOMES;
}

void
load_table_service_refused(struct load_table *table, uint32_t service)
{
	table->services[service]->refused++;
}

void
load_table_received_opened(struct load_table *table, uint32_t site, uint32_t service, uint64_t now)
{
	struct site_service *s = entry(table, site, service);
	struct service *own = table->services[service];

	own->received++;
	own->received_total++;
	if (own->taken < (double)own->received)
		own->taken = (double)own->received;
	if (s != NULL) {
		s->received++;
		s->received_total++;
		table_quota_received(s, now);
	}
}

void
load_table_received_closed(struct load_table *table, uint32_t site, uint32_t service)
{
	struct site_service *s = entry(table, site, service);

	table->services[service]->received--;
	if (s != NULL && s->received > 0)
		s->received--;
}

/* Slow start and candidacy begin when session and keys are there and the path is proved. */
static void
judge_up(struct site *site, uint64_t now)
{
	bool up = site->session == SITE_SESSION && site->keys && site->path == SITE_PATH_ALIVE;

	if (!up)
		site->up_since = 0;
	else if (site->up_since == 0)
		site->up_since = now;
}

void
load_table_site_session(
    struct load_table *table, uint32_t number, enum site_session session, uint64_t now)
{
	struct site *site = table->sites[number];

	if (site->session == session)
		return;
	site->session = session;
	site->session_since = now;
	/* what a site said in a session that is over may no longer be true */
	if (session == SITE_NO_SESSION && !site->introduced) {
		for (size_t i = 0; i < site->services_count; i++)
			site->services[i].reported = false;
	}
	judge_up(site, now);
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_keys(struct load_table *table, uint32_t number, bool keys, uint64_t now)
{
	struct site *site = table->sites[number];

	site->keys = keys;
	judge_up(site, now);
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_set_path(
    struct load_table *table, uint32_t number, enum site_path path, uint64_t now)
{
	struct site *site = table->sites[number];

	if (site->path == path)
		return;
	site->path = path;
	site->path_since = now;
	judge_up(site, now);
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_set_disabled(
    struct load_table *table, uint32_t number, bool disabled, uint64_t now)
{
	struct site *site = table->sites[number];

	if (site->disabled == disabled)
		return;
	site->disabled = disabled;
	/* who comes back is led in slowly, whatever it was away for */
	if (site->up_since != 0)
		site->up_since = now;
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_error(struct load_table *table, uint32_t number, const char *format, ...)
{
	struct site *site = table->sites[number];
	va_list ap;

	free(site->last_error);
	va_start(ap, format);
	if (vasprintf(&site->last_error, format, ap) == -1)
		site->last_error = NULL;
	va_end(ap);
}

const char *
site_session_name(enum site_session session)
{
	static const char *const names[] = {"none", "connecting", "up"};

	return names[session];
}

const char *
site_path_name(enum site_path path)
{
	static const char *const names[] = {"unknown", "alive", "lost"};

	return names[path];
}

const char *
site_direct_name(enum site_direct direct)
{
	static const char *const names[] = {"unknown", "ok", "blocked"};

	return names[direct];
}
