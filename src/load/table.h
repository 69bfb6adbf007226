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

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "config/config.h"
#include "load/quota.h"
#include "load/signals.h"

#define LOAD_NONE UINT32_MAX

/* A server's whole weight, in the parts by which it comes while it starts slowly. */
#define LOAD_RAMP 256

/* Connections that a server without max_connections takes: as many as one self address has ports. */
#define LOAD_SELF_PORTS 64512

#define LOAD_AGENT_TEXT 64 /* octets of an agent's description that are kept, with NUL */

enum server_state { SERVER_DOWN, SERVER_UP };
enum server_admin { SERVER_ENABLED, SERVER_DRAINING, SERVER_DISABLED };

struct server {
	char *name;
	uint32_t service;      /* number of its service */
	struct ip v4, v6;      /* zero: none */
	uint16_t port;         /* 0: the client's */
	uint32_t weight;       /* in force: the one below, as its agent changes it */
	uint32_t weight_parts; /* the same in parts of LOAD_RAMP: 30% of 1 is not nothing, nor 1 */
	uint32_t weight_configured;
	uint32_t weight_admin;    /* in place of the configured one, if weight_set */
	bool weight_set;          /* by an administrator, kept over reload */
	uint32_t max_connections; /* in force: the smaller of the configured one and its agent's */
	uint32_t max_connections_configured; /* never 0: LOAD_SELF_PORTS if the file has none */
	bool backup;                         /* serves while no other can */
	uint32_t place; /* index into its service's servers, while present */

	bool present;        /* false: removed from the configuration, connections remain */
	bool was_present;    /* before the latest load_table_apply() */
	uint64_t gone_at;    /* when it was last removed */
	uint32_t next_spare; /* see service.spare */
	bool added, removed; /* by an administrator, see config/changes.h; removed: not present */
	uint32_t changed;    /* settings that an administrator changed, see there */
	enum server_state state; /* measured */
	enum server_admin admin; /* set by an administrator, kept over reload */
	const char *why;         /* static text: cause of the last failed check, or NULL */
	bool high;               /* highly loaded, with hysteresis */
	bool serving;            /* usable, with weight above 0: as its service has it */
	bool counted;            /* among the sums of its service, */
	uint32_t capacity;       /* with this, while it is */
	uint64_t state_since;

	/* What packets say of it: table_signals.c. */
	struct signals signals;
	double signal; /* signals_load() */
	bool avoided; /* a new connection was not answered since the last that was: others first */
	bool passive_down; /* and so many that it is taken out */
	bool passive_told; /* for whoever logs that */
	bool trial;        /* the next connection is to find out whether it answers again */
	unsigned passes;   /* checks in a row that passed since it is avoided */
	uint64_t pause;    /* between trials; ns */
	uint64_t retry_at; /* not before */
	uint16_t ramp;     /* of LOAD_RAMP: how much of its weight it has by now */
	uint64_t ramp_since;
	bool attended; /* in a list: time changes something about it */
	TAILQ_ENTRY(server) attendance;

	/* What its agent or its check's script says: load_table_server_set_agent(). */
	double agent_load; /* 0 to 1, the larger of the two below; below 0: nothing */
	double agent_said_load, script_load; /* the agent's; the script's; likewise */
	uint32_t agent_weight;               /* percent of its weight; 100: as it is */
	bool agent_down, agent_drain, agent_maint;
	const char *agent_why;          /* static text, for one of these; or NULL */
	uint32_t agent_max_connections; /* 0: nothing */
	bool agent_absolute;            /* agent_weight is one in place of its own */

	/* Its agent itself. */
	struct addr agent_at;    /* where it is asked; port 0: there is none */
	uint64_t agent_said_at;  /* when it last said all this; 0: never */
	const char *agent_fault; /* static text: why it did not when last asked, or NULL */
	char agent_text[LOAD_AGENT_TEXT]; /* what it said besides; "": nothing */

	uint64_t floor; /* connections that it counts for at least, by its agent and its packets */
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
	enum config_client_address client_address;
	uint32_t spare; /* one of its servers that is gone, whose slot may be another's; LOAD_NONE */
	bool kept;      /* its servers have seen clients' addresses since the start, or do */
	enum config_unknown on_unknown;
	enum config_server_down on_server_down;
	bool transfer_permitted; /* in force: what the administrator set, else the configured */
	bool transfer_configured;
	bool transfer_set; /* by an administrator, kept over reload */
	double high_load;
	double slow_start; /* seconds */
	bool passive;      /* unanswered connections take a server out */
	bool one_packet;   /* each datagram is allocated by itself */
	struct config_persistence persistence;
	struct config_client_limit client_limit;
	struct config_check check; /* of each of its servers */
	struct config_agent agent; /* likewise; where it is, is the server's agent_at */
	struct addr agent_listen;  /* where the service itself is an agent; port 0: nowhere */

	uint32_t *servers;             /* numbers of the servers that are present */
	size_t servers_count, backups; /* of which so many are backup servers */

	/*
	 * Sums over the servers that new connections may go to: usable, with weight above 0.
	 * Backup servers are among them only while no other one is (on_backup).
	 */
	bool on_backup;
	uint32_t serving[2]; /* that new connections could go to: proper ones, backup servers */
	uint32_t up, not_high;
	uint64_t capacity; /* of their max_connections */
	uint64_t active;   /* of their connections */
	uint64_t loaded;   /* the same, of each server its floor at least */
	uint64_t version; /* changes whenever the set of servers that may be chosen, or a weight, does */
	uint64_t version_one; /* the latest that only differs by one server from that before */

	uint64_t total;                 /* connections allocated to own servers since start */
	uint64_t closed;                /* of which are over */
	uint64_t refused;               /* connections of own clients that nobody could take */
	uint64_t transferred, received; /* in flight, to and from other sites */
	uint64_t transferred_total, received_total;
	double taken; /* the most of received of late: each rise, forgotten as it is measured */

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
	bool proxy; /* its servers want a PROXY header (rule 3: from us) */

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
	uint8_t distance; /* in a chain: so many transfers behind it are the servers; 0: at it */
	uint64_t received_at;

	struct quota_bucket tokens; /* of the rate that it grants */
	double unanswered; /* share of our latest TCP connections there that it left so */
	struct quota_rate incoming;   /* of the connections that it sends us */
	struct quota_bucket arrivals; /* how many more we take of it, where that matters */
	double lately; /* the most that we granted it of late: it may not have heard of less */
	double granted, told; /* new connections a second that we grant it; as last reported */

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

/*
 * Enters a configuration, the first or a new one: what has the same name (services, sites) or the
 * same name and addresses (servers) keeps its slot, state and counts.  The slot of a server that has been
 * gone for ten minutes, and has no connections, may be another's of its service from then on.  What an administrator said of
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
