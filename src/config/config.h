/*
 * config: /etc/wlad.conf as an immutable struct.
 *
 * config_load() is the only door; config.c and read*.c the only files that know libconfig.  What it
 * returns is complete: every default filled in, every address parsed, every reference
 * checked.  Owned by the caller, freed by config_free(), never changed in between.
 * The keys are described in wlad.conf(5).
 */
#ifndef WLAD_CONFIG_CONFIG_H
#define WLAD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/log.h"
#include "config/octets.h"
#include "config/question.h"
#include "config/statuses.h"

#define CONFIG_NAME_MAX \
	63 /* octets of a site, service or server name; a DNS label's characters and '.', '_' */

#define CONFIG_PORTS_MAX             1024 /* of a service: what other sites can be told */
#define CONFIG_PEERS_MAX             256
#define CONFIG_COORDINATOR_PEERS_MAX 4096 /* of a coordinator */
#define CONFIG_COORDINATORS_MAX      16

enum config_output { CONFIG_OUTPUT_TUN, CONFIG_OUTPUT_RAW };
enum config_role { CONFIG_ROLE_SITE, CONFIG_ROLE_COORDINATOR };
enum config_scheduler {
	CONFIG_TWOS,
	CONFIG_RR,
	CONFIG_WRR,
	CONFIG_LC,
	CONFIG_WLC,
	CONFIG_SED,
	CONFIG_NQ,
	CONFIG_SH,
	CONFIG_MH,
	CONFIG_OVF,
	CONFIG_LRT,
	CONFIG_SCHEDULERS
};
enum config_prefer { CONFIG_PREFER_LOCAL, CONFIG_PREFER_ANY, CONFIG_PREFER_REMOTE };
enum config_site_metric {
	CONFIG_METRIC_HEADROOM,    /* II and IV together */
	CONFIG_METRIC_SERVERS,     /* load information I */
	CONFIG_METRIC_CONNECTIONS, /* II */
	CONFIG_METRIC_PERMISSION,  /* III alone */
	CONFIG_METRIC_LOAD         /* IV */
};
/* What servers see as the client's address. */
enum config_client_address {
	CONFIG_CLIENT_HIDE,  /* a self address */
	CONFIG_CLIENT_PROXY, /* a self address, and the client's in a PROXY header */
	CONFIG_CLIENT_KEEP   /* the client's own */
};
enum config_unknown { CONFIG_UNKNOWN_RESET, CONFIG_UNKNOWN_DROP };
enum config_server_down { CONFIG_DOWN_RESET, CONFIG_DOWN_KEEP };
enum config_cipher {
	CONFIG_CIPHER_AUTO,
	CONFIG_CIPHER_AES_128_GCM,
	CONFIG_CIPHER_AES_256_GCM,
	CONFIG_CIPHER_CHACHA20_POLY1305
};
enum config_reply { CONFIG_REPLY_AUTO, CONFIG_REPLY_DIRECT, CONFIG_REPLY_TRANSFEROR };
enum config_check_type {
	CONFIG_CHECK_NONE,
	CONFIG_CHECK_TCP,
	CONFIG_CHECK_TLS,
	CONFIG_CHECK_HTTP,
	CONFIG_CHECK_HTTPS,
	CONFIG_CHECK_ICMP,
	CONFIG_CHECK_UDP,
	CONFIG_CHECK_DNS,
	CONFIG_CHECK_SCRIPT,
	CONFIG_CHECK_TYPES
};

#define CONFIG_CHECK_TEXT 256 /* octets of path, host, ca and command with NUL */

struct config_check {
	enum config_check_type type;
	double interval, timeout; /* seconds, 0.05 to 3600 */
	double interval_down;     /* while the server is down; 0: as interval */
	unsigned rise, fall;      /* checks in a row, 1 to 100 */

	/* The rest is read by some types alone: keys.c says which. */
	uint16_t port;                /* 0: the server's, else the service's first */
	struct octets send;           /* what the server is sent */
	struct octets expect;         /* what its answer has to hold; none: anything will do */
	char path[CONFIG_CHECK_TEXT]; /* what is asked for */
	char host[CONFIG_CHECK_TEXT]; /* Host field and SNI; "": the server's address, none */
	struct statuses status;       /* what passes */
	char ca[CONFIG_CHECK_TEXT];   /* path of authorities' certificates; "": any will do */
	struct dns_question query;    /* what a name server is asked */
	char command[CONFIG_CHECK_TEXT]; /* path of a program */

	bool proxy; /* not in the file: the server expects a PROXY header, so what is asked begins
	             * with one */
};

/* Clients come to the same server again. */
struct config_persistence {
	uint32_t timeout;         /* seconds after the last connection; 0: they do not */
	uint8_t mask_v4, mask_v6; /* bits that make a client */
};

/* What a client may have of a service. */
struct config_client_limit {
	uint32_t connections;     /* in flight; 0: any number */
	double rate;              /* new ones a second, 0.001 to 1000000; 0: any number */
	uint32_t burst;           /* at once; 0: as many as in a second */
	uint8_t mask_v4, mask_v6; /* bits that make a client */
};

#define CONFIG_AGENT_INTERVAL 2
#define CONFIG_AGENT_TIMEOUT  1

/* How the agents of a service's servers are asked. */
struct config_agent {
	uint16_t port;            /* 0: servers without agent_port have none */
	double interval, timeout; /* seconds, 0.05 to 3600 */
	struct octets send;       /* what an agent is sent first */
};

struct config_server {
	char *name;
	struct ip v4, v6;             /* zero where the server has none; at least one is set */
	uint16_t port;                /* 0: the port that the client asked for */
	uint32_t weight;              /* 0 to 65535 */
	uint32_t max_connections;     /* 0: as many as there are self ports */
	bool backup;                  /* serves while no other server can */
	uint16_t agent_port;          /* 0: that of the service */
	struct ip agent_v4, agent_v6; /* where its agent is; zero: at the server's address */
	unsigned line;                /* in the file, for messages; 0: not in it */

	/* Not of the file, but of an administrator: see config/changes.h. */
	bool added, removed;
	uint32_t changed; /* settings that are not the file's, a bit each */
};

struct config_service {
	char *name;
	struct ip v4, v6; /* service addresses, zero where there is none */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t *ports;  /* 1 to 65535, sorted, no two equal */
	size_t ports_count;
	enum config_scheduler scheduler;
	enum config_prefer prefer;
	enum config_site_metric site_metric;
	enum config_client_address client_address;
	enum config_unknown on_unknown;
	enum config_server_down on_server_down;
	bool transfer_permitted; /* transfer = "permit": other sites may send us connections */
	double high_load;        /* 0.05 to 1 */
	double slow_start; /* seconds until a server that came up has its whole weight; 0: none */
	bool passive;      /* clients' unanswered connections may take a server out */
	bool one_packet;   /* each datagram is allocated by itself; UDP only */
	struct config_persistence persistence;
	struct config_client_limit client_limit;
	struct config_check check;
	struct config_agent agent;
	struct addr agent_listen; /* where the service is an agent itself; port 0: nowhere */
	struct config_server *servers;
	size_t servers_count;
	unsigned line;
};

struct config_peer {
	char *site;
	struct addr load;        /* its load exchange */
	struct addr transfer;    /* its transfer socket */
	enum config_reply reply; /* to connections that we transfer to it: rule 2, rule 3 */
	char *fingerprint; /* SHA-256 of its certificate, 64 lower-case hexadecimal digits; NULL: chain decides */
	bool chained; /* the chain decides besides; not in the file, but of sites that others introduce */
	unsigned line;
};

/* A file that was read. */
struct config_file {
	char *name;      /* as it was opened */
	uint64_t digest; /* of its octets, see config_digest() */
};

struct config {
	char *file;                /* as it was named to config_load */
	struct config_file *files; /* itself, and then those that it includes; owned */
	size_t files_count;
	char *site;
	enum config_role role;

	struct {
		char *name;      /* of the TUN device, at most 15 octets */
		uint32_t mtu;    /* 1280 to 65535 */
		bool routes;     /* wlad sets the routes of service and self addresses */
		bool offload;    /* ask the kernel for super-packets */
		uint32_t queues; /* of the device, each but the first with a thread */
		bool threaded;   /* a thread of the kernel takes what the device is sent */
		enum config_output output; /* how packets leave */
	} device;

	struct ip *self_addresses; /* none of a family: the service address itself */
	size_t self_addresses_count;

	struct config_service *services;
	size_t services_count; /* 1 to 65535: more do not fit into a file of 1 MiB */

	struct {
		struct addr listen;     /* port 0: no transfer */
		uint32_t max_transfers; /* a connection is passed on at most so often, 1 to 15 */
		uint16_t demand_port; /* where connection demands are taken; 0: with the rest */
		uint32_t mtu; /* of the path between sites at most, outer packets, 1280 to 65535 */
		enum config_cipher cipher; /* of transfer packets; auto: whatever the peer prefers */
		double give_up; /* seconds without a sign of life of a site until its connections end */
	} transfer;

	struct {
		struct addr listen;               /* port 0: nobody may dial us */
		char *certificate, *key, *ca;     /* paths; NULL only without peers */
		char *crl;                        /* path; NULL: no certificate is revoked */
		double interval;                  /* seconds, 0.1 to 60 */
		struct config_peer *coordinators; /* site, load, fingerprint alone */
		size_t coordinators_count;
		bool accept_unknown; /* whoever is of our authority may report to us */
		char *report_to;     /* see config_reports_to() */
	} load;

	struct config_peer *peers;
	size_t peers_count;

	struct {
		uint32_t connections; /* 1024 to 8388608 */
	} limits;

	struct {
		uint32_t tcp_opening, tcp_established, tcp_closing, udp,
		    icmp; /* seconds, 1 to 1000000 */
	} timeouts;

	struct {
		char *socket; /* path */
		char *group;  /* who may look; "" : only root and the user */
	} control;

	char *user; /* who to become; "" if the file does not say */

	enum log_level log_level;
};

/* Faults found, all of them, in the order of the file. */
struct config_faults {
	char **text; /* "wlad.conf:12: ..." */
	size_t count;
};

/*
 * Reads and checks a file.  Returns NULL if there is any fault; faults (initialised by the
 * call) then says which, and is to be freed by config_faults_free() either way.
 */
struct config *config_load(const char *file, struct config_faults *faults);

/*
 * The same from a string (tests, fuzzers); name stands for the file in messages.  Opens no
 * file: an @include is a fault, found before libconfig sees the text.
 */
struct config *config_parse(const char *text, const char *name, struct config_faults *faults);

/* Whether a file is still the one that was read is judged by this; no secret is in it. */
uint64_t config_digest(const void *text, size_t len);

void config_free(struct config *config);
void config_faults_free(struct config_faults *faults);

/*
 * The path of each setting in turn, from 0: "services", "services.name",
 * "services.check.rise"; NULL behind the last.  A test holds the manual to the tables.
 */
#define CONFIG_KEY_TEXT 64 /* octets that hold any path with its NUL */
const char *config_key(size_t number, char buf[CONFIG_KEY_TEXT]);

/* True if there is a load exchange at all. */
bool config_exchanges(const struct config *config);

/* Whom our load is reported to: everybody, those who report theirs to us, or those on a list. */
enum config_report { CONFIG_REPORT_NO, CONFIG_REPORT_YES, CONFIG_REPORT_SENDERS };
enum config_report config_reports_to(const struct config *config, const char *site);

const char *config_scheduler_name(enum config_scheduler scheduler);
const char *config_prefer_name(enum config_prefer prefer);
const char *config_site_metric_name(enum config_site_metric metric);
const char *config_client_address_name(enum config_client_address client_address);
const char *config_reply_name(enum config_reply reply);

#endif
