/*
 * table_internal: the load table's insides, for load/table*.c alone.
 */
#ifndef WLAD_LOAD_TABLE_INTERNAL_H
#define WLAD_LOAD_TABLE_INTERNAL_H

#include <sys/queue.h>

#include "load/endpoints.h"
#include "load/names.h"
#include "load/table.h"

/* A server is no longer highly loaded when it is this far below high_load. */
#define HIGH_LOAD_HYSTERESIS 0.05

struct load_table {
	/* arrays of pointers: a slot's address stays the same while the table grows */
	struct service **services;
	struct server **servers;
	struct site **sites;
	uint32_t services_count, servers_count, sites_count;
	uint32_t max_transfers; /* transfer.max_transfers */
	uint32_t servers_size;
	struct names *service_names, *server_names, *site_names; /* of all slots */
	uint32_t entered_count;                                  /* sites that are entered */
	bool grants_stale;    /* something has changed since they were made */
	uint64_t measured_at; /* load_table_measure(); 0: never */
	double *scratch;      /* scratch of load_table_measure() */
	size_t scratch_count;

	struct endpoints *endpoints; /* of our services */
	struct endpoints *addresses; /* the same with port 0 and protocol 0 */
	struct endpoints *keeping; /* of servers that see their clients' addresses, with port and
	                            * protocol 0; NULL: none */

	load_table_changed *listener;
	void *listener_arg;
	TAILQ_HEAD(, server) attended; /* time changes something about them */
	uint32_t attended_count;
	uint64_t started; /* first load_table_apply() */

	load_table_counted *counted;
	void *counted_arg;
};

void table_changed(struct load_table *table, enum load_change change, uint32_t number);

/* ---- table_sums.c ---- */

/* Makes a service's sums anew after its list of servers has changed. */
void table_recount(struct load_table *table, uint32_t service);

/* The same after one server may serve, may serve no longer, or counts for something else. */
void table_server_changed(struct load_table *table, uint32_t server);

/* Its load by agent or packets is another one. */
void table_server_loaded(struct load_table *table, uint32_t server);

/* Its load is: is it a high one? */
void table_server_judge(struct load_table *table, struct server *server);

/* table_signals.c: what packets said of it holds no longer. */
void table_signals_forget(struct server *server);

/* Time changes nothing about it any more. */
void table_signals_unattend(struct load_table *table, struct server *server);

/* It can be used from now on: with a little of its weight at first. */
void table_start_slowly(struct load_table *table, uint32_t server, uint64_t now);

/* A connection was opened that may be the one to find out. */
void table_trial_opened(struct load_table *table, uint32_t server);

/* Weight and max_connections in force, from what they are made of. */
void table_server_limits(struct server *server);

/* The number of the site of that name, present or not; a new slot if there was none. */
uint32_t table_site_slot(struct load_table *table, const char *name);

/* Finds which of our services each of a site's services is. */
void table_link_site(struct load_table *table, struct site *site);
void site_services_free(struct site_service *services, size_t count);

/* table_quota.c: a connection of the site's has been taken in. */
void table_quota_received(struct site_service *s, uint64_t now);

#endif
