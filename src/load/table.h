/*
 * table: the load information table 44 with its management unit 42: what we know of our
 * services and servers, and of the other sites.
 *
 * A number means the same for as long as anything goes by it: a server that a reload took out of the
 * file stays, not present, for the connections it still has, and is found again if it returns;
 * long after that its slot may be another's.
 * All sums that a decision
 * needs (capacity, active, servers up, not highly loaded) are kept up to date on each
 * change, so that a decision reads them and counts nothing.
 *
 * Written by: datapath (connections), health (up, down), load exchange (reports), control
 * (administration), reload.  Time is an argument.  No I/O; state changes are told to one
 * listener.  Seed: [0068].
 */
#ifndef WLAD_LOAD_TABLE_H
#define WLAD_LOAD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "config/config.h"
#include "load/entries.h"

struct endpoints;
struct load_table;

struct load_table *load_table_new(void);
void load_table_free(struct load_table *table);

/*
 * Enters a configuration, the first or a new one: what has the same name (services, sites) or the
 * same name and addresses (servers) keeps its slot, state and counts.  The slot of a server that has been
 * gone for ten minutes, and that no connection names any more, may be another's of its service from then on.  What an administrator said of
 * a server goes by its name: a new address takes over admin and weight.  Where the configuration comes to
 * say the same as an administrator did, it is the configuration's from then on.
 */
void load_table_apply(struct load_table *table, const struct config *config, uint64_t now);

/* Sites that are entered without being configured, at a time and names ever. */
#define LOAD_ENTERED_MAX 4096
#define LOAD_SITES_MAX   16384

/*
 * table_enter.c: a site that is not configured: entered by name, it is present until it leaves or
 * a reload configures it.  LOAD_NONE if there are too many.
 */
uint32_t load_table_site_enter(struct load_table *table, const char *name);
void load_table_site_leave(struct load_table *table, uint32_t site, uint64_t now);

/* What a coordinator knows of its load no longer: it has not reported. */
void load_table_site_unreport(struct load_table *table, uint32_t site);

/* A coordinator vouches that the site's last report still holds: received now. */
void load_table_site_vouch(struct load_table *table, uint32_t site, uint64_t now);

/* Slots by number; NULL if there is none.  Numbers run from 0 to count - 1. */
struct service *load_table_service(struct load_table *table, uint32_t number);
struct server *load_table_server(struct load_table *table, uint32_t number);
struct site *load_table_site(struct load_table *table, uint32_t number);
uint32_t load_table_services(const struct load_table *table);
uint32_t load_table_servers(const struct load_table *table);
uint32_t load_table_sites(const struct load_table *table);

/* By name; LOAD_NONE if there is none that is present. */
uint32_t load_table_find_service(const struct load_table *table, const char *name);
uint32_t load_table_find_server(
    const struct load_table *table, uint32_t service, const char *name);
uint32_t load_table_find_site(const struct load_table *table, const char *name);

/* Our service at that address, port and protocol, or LOAD_NONE.  O(1), per packet. */
uint32_t load_table_lookup(
    const struct load_table *table, const struct addr *address, uint8_t protocol);

/* True if the address (port ignored) is one of our service addresses. */
bool load_table_is_service_ip(const struct load_table *table, const struct ip *ip);

/* True if it is the address of a server that sees its clients' own addresses. */
bool load_table_keeps(const struct load_table *table, const struct ip *ip);

/* Index into site->services of that site's service with the name of our service; LOAD_NONE. */
uint32_t load_table_site_service(const struct load_table *table, uint32_t site, uint32_t service);

/* Index into site->services of what that site calls its service at that address; LOAD_NONE. */
uint32_t load_table_site_lookup(const struct load_table *table, uint32_t site,
    const struct addr *address, uint8_t protocol);

/* Before a connection opens whose answers do not pass here (rule 3): it cannot be a server's trial,
 * so that one that was to be tried again is trusted. */
void load_table_server_trust(struct load_table *table, uint32_t server);

/* A connection in flight more or less at a server.  opened counts it in totals as well. */
void load_table_server_opened(struct load_table *table, uint32_t server);
void load_table_server_closed(struct load_table *table, uint32_t server);

/* The record of one is gone: nobody asks for its server any more. */
void load_table_server_forgotten(struct load_table *table, uint32_t server);

/* The same for a connection of our service at another site, and for one that another
 * site sent us (whose server is counted besides). */
void load_table_transferred_opened(struct load_table *table, uint32_t site, uint32_t service);
void load_table_transferred_closed(struct load_table *table, uint32_t site, uint32_t service);
/* How a TCP connection of ours there began: answered, or not.  Told when it ends, or is refused. */
void load_table_transferred_answered(
    struct load_table *table, uint32_t site, uint32_t service, bool answered);

/* A new connection of an own client that nobody could take. */
void load_table_service_refused(struct load_table *table, uint32_t service);

void load_table_received_opened(
    struct load_table *table, uint32_t site, uint32_t service, uint64_t now);
void load_table_received_closed(struct load_table *table, uint32_t site, uint32_t service);

/*
 * False if a new connection of the site's is to be refused: our servers are highly loaded, and it
 * sends far more than we have granted it.
 */
bool load_table_may_receive(
    const struct load_table *table, uint32_t site, uint32_t service, uint64_t now);

/*
 * Measures the rates and lives of our services, and shares out among the sites what they may send
 * (table_quota.c).  To be called before a report is made; does nothing if the last time is less than a
 * quarter of a second ago and nothing has changed since.
 */
void load_table_measure(struct load_table *table, uint64_t now);

void load_table_server_set_state(struct load_table *table, uint32_t server,
    enum server_state state, const char *why, uint64_t now);
void load_table_server_set_admin(
    struct load_table *table, uint32_t server, enum server_admin admin, uint64_t now);

/* weight: 0 to 65535 in place of the configured one, or LOAD_NONE for that one again. */
void load_table_server_set_weight(struct load_table *table, uint32_t server, uint32_t weight);

/*
 * What a server's agent says, whole: each time all of it.  It takes a server out, makes it
 * lighter or heavier, or limits it; it does not bring back one whose check fails.
 */
struct server_agent {
	double load;     /* 0 to 1; below 0: it says nothing of it */
	uint32_t weight; /* percent of the weight of the server; 100: as it is */
	bool down, drain, maint;
	const char *why;          /* static text, for one of these; or NULL */
	uint32_t max_connections; /* 0: it says nothing of it */
	bool absolute; /* weight is no percentage, but in place of the configured one */
};

/* One that has, or no longer has, an agent: nothing is said. */
#define SERVER_AGENT_NONE ((struct server_agent){.load = -1, .weight = 100})

void load_table_server_set_agent(
    struct load_table *table, uint32_t server, const struct server_agent *said, uint64_t now);

/* What the script of its check says of its load, 0 to 1; below 0: nothing. */
void load_table_server_set_script(struct load_table *table, uint32_t server, double load);

/*
 * table_signals.c: what packets say of a server.
 *
 * A new connection was answered, after so many microseconds (0: not known), or was counted as
 * unanswered.  From the first of these on others come before it; after SIGNALS_ENOUGH, with none
 * answered in between, it is taken out if the service is passive and another server is there.
 * One connection may then find out whether it answers again: after `rise` checks that began
 * later have passed, where there are checks; and not before a pause, which is longer each time.
 */
void load_table_server_answered(
    struct load_table *table, uint32_t server, uint32_t microseconds, uint64_t now);
void load_table_server_unanswered(
    struct load_table *table, uint32_t server, enum signals_cause cause, uint64_t now);

/* A check that began at that time has passed, or not. */
void load_table_server_checked(
    struct load_table *table, uint32_t server, bool passed, uint64_t began, uint64_t now);

/* What time brings: servers that start slowly or may be tried again, some of them at each
 * call.  Returns when to be called again, ns of the clock; UINT64_MAX if there are none. */
uint64_t load_table_attend(struct load_table *table, uint64_t now);

/* What packets show of late, over about a second. */
struct signals_rates server_rates(const struct server *server, uint64_t now);

/* True if it serves as far as is known, whatever an administrator or its agent want it to do. */
bool server_is_up(const struct server *server);

/* Why it is down; NULL if it is up. */
const char *server_cause(const struct server *server);

/* Called after a server's active, or its place among others, has changed, and after another version of its
 * service that is a version_one; for whoever keeps servers in order. */
typedef void load_table_counted(void *arg, uint32_t server);
void load_table_set_counted(struct load_table *table, load_table_counted *counted, void *arg);

/* True if new connections may go to it: present, up, enabled. */
bool server_usable(const struct server *server);

/* True if it is among the sums of its service. */
bool server_counts(const struct service *service, const struct server *server);

/* Load of a server and of a service as a converted value, 0 idle to 1 full: of a server active through
 * capacity, what its agent says or what packets say, whichever is most; 1 where nothing is up. */
double server_load(const struct server *server);
double service_load(const struct service *service);

/* What HELLO says of a site's services: replaces them; connection counts stay by name.
 * Takes ownership of services and everything in them. */
void load_table_site_services(
    struct load_table *table, uint32_t site, struct site_service *services, size_t count);

void load_table_site_session(
    struct load_table *table, uint32_t site, enum site_session session, uint64_t now);
void load_table_site_keys(struct load_table *table, uint32_t site, bool keys, uint64_t now);

/* A change of path or admin is told to the listener. */
void load_table_site_set_path(
    struct load_table *table, uint32_t site, enum site_path path, uint64_t now);
void load_table_site_set_disabled(
    struct load_table *table, uint32_t site, bool disabled, uint64_t now);

/*
 * Whether its direct replies get through (table_direct.c): as it reports, and as clients show that
 * got an answer only when their connection was repeated by rule 3.  Clients are believed more: a
 * report to the contrary is taken a minute later at the earliest, twice as long after each time
 * that they contradict again, an hour at most.
 */
void load_table_site_direct_reported(
    struct load_table *table, uint32_t site, enum site_direct direct, uint64_t now);
void load_table_site_direct_blocked(struct load_table *table, uint32_t site, uint64_t now);

/* True if a connection transferred to it now is to be answered by way of us (rule 3). */
bool site_wants_relay(const struct site *site);

/* What the next report to a site tells it; a change is told to the listener. */
void load_table_site_set_mtu(struct load_table *table, uint32_t site, uint32_t path_mtu);
void load_table_site_set_direct_out(
    struct load_table *table, uint32_t site, enum site_direct direct);

/* What HELLO says of a site's servers: replaces them; takes ownership. */
void load_table_site_servers(struct load_table *table, uint32_t site, struct endpoints *servers);

/*
 * Chains (Fig. 21): the addresses of services of sites behind it, under which it may pass
 * connections on to us: replaces them, takes ownership.  Each value is made by site_passes().
 */
void load_table_site_passes(struct load_table *table, uint32_t site, struct endpoints *passes);

/* service: number of ours; owner: number of the site whose address it is, UINT16_MAX if we do not
 * know that site. */
static inline uint32_t
site_passes(uint16_t service, uint16_t owner)
{
	return (uint32_t)owner << 16 | service;
}

/*
 * What can be passed on of a service for which we have no servers up, but sites behind us have, if
 * transfer.max_transfers allows it (table_passable.c).  receiver: who is to be told, and does not count.
 * False if there is nothing.
 */
struct load_passable {
	uint32_t servers_up, servers_not_high;
	uint64_t transferable, active;
	double capacity, load; /* connections; 0 to 1000, of all together */
	double rate;           /* new connections a second that we may pass on */
	double mean_life;      /* the shortest, seconds; 0: not known */
	uint8_t distance;      /* transfers from us to the farthest of the servers */
};
bool load_table_passable(const struct load_table *table, uint32_t service, uint32_t receiver,
    struct load_passable *sum);

/* Our service that the site may pass connections to that address on to, or LOAD_NONE. */
uint32_t load_table_site_passes_lookup(const struct load_table *table, uint32_t site,
    const struct addr *address, uint8_t protocol, uint16_t *owner);

/* True if the site has announced a server at that address, for rule 3. */
bool load_table_site_has_server(const struct load_table *table, uint32_t site,
    const struct addr *address, uint8_t protocol);

/* III of a service, set by an administrator until the next start. */
void load_table_service_set_transfer(struct load_table *table, uint32_t service, bool permitted);

/* As configured again. */
void load_table_service_reset_transfer(struct load_table *table, uint32_t service);

void load_table_site_error(struct load_table *table, uint32_t site, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The error is over. */
void load_table_site_no_error(struct load_table *table, uint32_t site);

/* Called after a server's or site's state changed, after permission changed: what a report "at once" is due to. */
enum load_change { LOAD_CHANGE_SERVER, LOAD_CHANGE_SERVICE, LOAD_CHANGE_SITE };
typedef void load_table_changed(void *arg, enum load_change change, uint32_t number);
void load_table_set_listener(struct load_table *table, load_table_changed *listener, void *arg);

const char *server_state_name(enum server_state state);
const char *server_admin_name(enum server_admin admin);
const char *site_path_name(enum site_path path);       /* unknown, alive, lost */
const char *site_direct_name(enum site_direct direct); /* unknown, ok, blocked */
const char *site_session_name(enum site_session session);

#endif
