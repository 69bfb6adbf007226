/*
 * entries: what the load table holds: servers and services of ours, other sites and their
 * services.  Read by everybody; written by the functions of table.h, whose sums follow.
 */
#ifndef WLAD_LOAD_ENTRIES_H
#define WLAD_LOAD_ENTRIES_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "config/config.h"
#include "load/quota.h"
#include "load/signals.h"

struct endpoints;

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
	uint64_t records;       /* of connections that name it, those that are closing too */
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

#endif
