/*
 * table: the load information table 44 with its management unit 42: what we know of our
 * services and servers, and of the other sites.
 *
 * Slots keep their number for the life of the process: a server that a reload took out of the
 * file stays, not present, for the connections it still has, and is found again if it returns.
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
#include "load/quota.h"

#define LOAD_NONE UINT32_MAX

/* Connections that a server without max_connections takes: as many as one self address has ports. */
#define LOAD_SELF_PORTS 64512

enum server_state { SERVER_DOWN, SERVER_UP };
enum server_admin { SERVER_ENABLED, SERVER_DRAINING, SERVER_DISABLED };

struct server {
	char *name;
	uint32_t service; /* number of its service */
	struct ip v4, v6; /* zero: none */
	uint16_t port;    /* 0: the client's */
	uint32_t weight;  /* in force: what the administrator set, else the configured one */
	uint32_t weight_configured;
	bool weight_set;          /* by an administrator, kept over reload */
	uint32_t max_connections; /* never 0: the configured one or LOAD_SELF_PORTS */
	bool backup;              /* serves while no other can */
	uint32_t place;           /* index into its service's servers, while present */
	struct config_check check;

	bool present;            /* false: removed from the configuration, connections remain */
	enum server_state state; /* measured */
	enum server_admin admin; /* set by an administrator, kept over reload */
	const char *why;         /* static text: cause of the last failed check, or NULL */
	bool high;               /* highly loaded, with hysteresis */
	uint64_t state_since;

	uint64_t active, total; /* connections in flight; allocated since start */
	uint64_t packets_in, packets_out, bytes_in, bytes_out; /* in: towards the server */
};

struct service {
	char *name;
	bool present;
	struct ip v4, v6;
	uint8_t protocol;
	uint16_t *ports;
	size_t ports_count;
	enum config_scheduler scheduler;
	enum config_prefer prefer;
	enum config_site_metric site_metric;
	enum config_unknown on_unknown;
	enum config_server_down on_server_down;
	bool transfer_permitted; /* in force: what the administrator set, else the configured */
	bool transfer_configured;
	bool transfer_set; /* by an administrator, kept over reload */
	double high_load;

	uint32_t *servers;             /* numbers of the servers that are present */
	size_t servers_count, backups; /* of which so many are backup servers */

	/*
	 * Sums over the servers that new connections may go to: usable, with weight above 0.
	 * Backup servers are among them only while no other one is (on_backup).
	 */
	bool on_backup;
	uint32_t up, not_high;
	uint64_t capacity; /* of their max_connections */
	uint64_t active;   /* of their connections */
	uint64_t version; /* changes whenever the set of servers that may be chosen, or a weight, does */

	uint64_t total;                 /* connections allocated to own servers since start */
	uint64_t closed;                /* of which are over */
	uint64_t refused;               /* connections of own clients that nobody could take */
	uint64_t transferred, received; /* in flight, to and from other sites */
	uint64_t transferred_total, received_total;

	/* As load_table_measure() found. */
	struct quota_meter meter;
	double quota; /* new connections a second that all other sites together may send */
	double typical_capacity; /* the median of what the sites say of theirs, ours among them; 0: not
	                          * known */
};

/* One service of another site, as it told us. */
struct site_service {
	char *name;
	uint32_t local;  /* number of our service of that name, or LOAD_NONE */
	uint16_t number; /* its number at that site: what transfer packets to it carry */
	uint8_t protocol;
	struct ip v4, v6;
	uint16_t *ports; /* on which it may send us connections */
	size_t ports_count;

	bool reported; /* the rest is valid */
	uint32_t sequence;
	uint32_t servers_up, servers_not_high; /* I */
	uint32_t transferable;                 /* II */
	bool permitted;                        /* III */
	uint16_t load;                         /* IV: 0 to 1000 */
	uint32_t active;
	uint32_t held_from_us; /* connections that it holds for us, when it reported */
	bool limited;          /* it has granted a rate */
	double quota;          /* new connections a second that it grants us, if limited */
	double new_per_second; /* of its clients, wherever served */
	double mean_life;      /* of connections at its servers, seconds; 0: not said */
	uint64_t received_at;

	struct quota_bucket tokens; /* of the rate that it grants */
	double unanswered; /* share of our latest TCP connections there that it left so */
	struct quota_rate incoming; /* of the connections that it sends us */
	double granted;             /* new connections a second that we grant it */

	uint64_t transferred; /* our connections there now */
	uint64_t transferred_total, received, received_total;
};

enum site_session { SITE_NO_SESSION, SITE_CONNECTING, SITE_SESSION };

/* Whether transfer packets get through to a site and back, as liveness messages find. */
enum site_path { SITE_PATH_UNKNOWN, SITE_PATH_ALIVE, SITE_PATH_LOST };

/* Whether direct replies under a foreign address get through (rule 2). */
enum site_direct { SITE_DIRECT_UNKNOWN, SITE_DIRECT_OK, SITE_DIRECT_BLOCKED };

struct site {
	char *name;
	bool present;     /* configured */
	bool disabled;    /* by an administrator, kept over reload: no candidate */
	bool entered;     /* not configured: a coordinator or it itself has named it */
	bool introduced;  /* its reports come from a coordinator, its sessions are for keys */
	bool coordinator; /* it is no site, but a coordinator of ours */
	bool keyless;     /* we are a coordinator: there are no keys between us */
	struct addr load, transfer;
	uint16_t demand_port; /* where it takes connection demands; 0: with the rest */
	enum config_reply reply;
	double interval; /* seconds between its reports, as its HELLO says; 0: not said */
	enum site_session session;
	bool keys; /* transfer packets can be sealed for it */
	uint64_t session_since;
	uint64_t up_since; /* for slow start: when it became usable; 0 while it is not */
	double rtt;        /* seconds, of the session's messages; 0: unknown */

	/* Of the transfer path. */
	enum site_path path;
	uint64_t path_since;
	double path_rtt;   /* seconds; 0: unknown */
	double path_loss;  /* of the latest liveness messages, 0 to 1 */
	uint32_t path_mtu; /* outer packets that get through to it; 0: not known */
	uint32_t peer_mtu; /* the same the other way, as it reports; 0: not known */
	enum site_direct direct; /* its replies under our addresses, as it reports or our clients show */
	uint64_t direct_blocked_at; /* when clients showed that none get through; 0: they have not */
	uint64_t direct_hold;       /* so long reports to the contrary are not believed, ns */
	enum site_direct direct_out; /* ours under its addresses, as probes show: what we report */
	/* When a liveness message was last answered, path_mtu last confirmed, and a direct-reply
	 * probe last judged, whichever way: `wladmctl probe` waits for them.  0: never. */
	uint64_t path_answered, mtu_confirmed, direct_judged;
	uint64_t heard_at; /* when a transfer packet of it was last accepted; 0: never */

	char *last_error;              /* owned; NULL if none */
	struct site_service *services; /* as told by HELLO */
	size_t services_count;
	uint32_t *by_local; /* index into services by the number of our service */
	size_t by_local_count;
	struct endpoints *endpoints; /* index into services by address, port, protocol */
	struct endpoints *passes;    /* of services of sites behind it: see site_passes() */
	struct endpoints *servers; /* its servers, as told by HELLO: whose packets relay ports take;
	                            * a port 0 stands for each of the service's */
	uint64_t transfer_packets_in, transfer_packets_out, transfer_bytes_in, transfer_bytes_out;
	uint64_t transfer_drops;
};

struct endpoints;
struct load_table;

struct load_table *load_table_new(void);
void load_table_free(struct load_table *table);

/* Enters a configuration, the first or a new one: what has the same name (services, sites) or the same name and addresses
 * (servers) keeps its slot, state and counts. */
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

/* Index into site->services of that site's service with the name of our service; LOAD_NONE. */
uint32_t load_table_site_service(const struct load_table *table, uint32_t site, uint32_t service);

/* Index into site->services of what that site calls its service at that address; LOAD_NONE. */
uint32_t load_table_site_lookup(const struct load_table *table, uint32_t site,
    const struct addr *address, uint8_t protocol);

/* A connection in flight more or less at a server.  opened counts it in totals as well. */
void load_table_server_opened(struct load_table *table, uint32_t server);
void load_table_server_closed(struct load_table *table, uint32_t server);

/* The same for a connection of our service at another site, and for one that another
 * site sent us (whose server is counted besides). */
void load_table_transferred_opened(struct load_table *table, uint32_t site, uint32_t service);
void load_table_transferred_closed(struct load_table *table, uint32_t site, uint32_t service);
/* How a TCP connection of ours there began: answered, or not.  Told when it ends, or is refused. */
void load_table_transferred_answered(
    struct load_table *table, uint32_t site, uint32_t service, bool answered);

/* A new connection of an own client that nobody could take. */
void load_table_service_refused(struct load_table *table, uint32_t service);

void load_table_received_opened(struct load_table *table, uint32_t site, uint32_t service);
void load_table_received_closed(struct load_table *table, uint32_t site, uint32_t service);

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

/* Called after a server's active has changed; for whoever keeps servers in order. */
typedef void load_table_counted(void *arg, uint32_t server);
void load_table_set_counted(struct load_table *table, load_table_counted *counted, void *arg);

/* True if new connections may go to it: present, up, enabled. */
bool server_usable(const struct server *server);

/* True if it is among the sums of its service. */
bool server_counts(const struct service *service, const struct server *server);

/* Load of a server and of a service as a converted value, 0 idle to 1 full: active through
 * capacity; 1 where nothing is up. */
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

/* Our service that the site may pass connections to that address on to, or LOAD_NONE. */
uint32_t load_table_site_passes_lookup(const struct load_table *table, uint32_t site,
    const struct addr *address, uint8_t protocol, uint16_t *owner);

/* True if the site has announced a server at that address, for rule 3. */
bool load_table_site_has_server(const struct load_table *table, uint32_t site,
    const struct addr *address, uint8_t protocol);

/* III of a service, set by an administrator until the next start. */
void load_table_service_set_transfer(struct load_table *table, uint32_t service, bool permitted);

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
