/*
 * views: one function a command, each of which writes one JSON object's members.
 *
 * The object is begun and ended by commands.c, which also writes "schema" and "view".  The keys are
 * documented in wladmctl(8).  Only command_* change anything.
 */
#ifndef WLAD_CONTROL_VIEWS_H
#define WLAD_CONTROL_VIEWS_H

#include "control/commands.h"

void view_summary(struct request *request);
void view_services(struct request *request);
void view_servers(struct request *request);
void view_sites(struct request *request);
void view_connections(struct request *request);
void view_persistence(struct request *request);
void view_limits(struct request *request);
void view_counters(struct request *request);
void view_explain(struct request *request);
void view_version(struct request *request);
void view_help(struct request *request);
void view_keys(struct request *request);
void view_config(struct request *request);
void view_errors(struct request *request);
void command_server(struct request *request);
void command_server_edit(struct request *request);
void command_flush(struct request *request);
void command_site(struct request *request);
void command_transfer(struct request *request);
void command_probe(struct request *request);
void command_reload(struct request *request);
void command_log(struct request *request);
void command_monitor(struct request *request);

/* Members that several views have. */

/* "tcp", "udp", "icmp", "icmpv6", or the number. */
void view_protocol(struct json *json, const char *key, uint8_t protocol);

/* An address as text; null if it is zero.  Port 0 is left out. */
void view_addr(struct json *json, const char *key, const struct addr *addr);

/* Both families: the first that there is as key "address", all as array "addresses". */
void view_addresses(struct json *json, const struct ip *v4, const struct ip *v6, uint16_t port);

/* "up" if connections can be transferred there, else "down"; and what keeps them from it, NULL if
 * nothing does. */
const char *view_site_state(const struct site *site);
const char *view_site_reason(const struct site *site);

/* What an administrator said of a site: "enabled" or "disabled". */
const char *view_site_admin(bool disabled);

/* reply, rule and rule_reason: who would answer a connection that is transferred there now. */
void view_site_rule(struct json *json, const struct site *site);

/* What is known of the transfer path to it, and the rule. */
void view_site_path(struct json *json, const struct site *site, uint64_t now);

/* permitted, permitted_configured, and permitted_admin: what an administrator set, or null. */
void view_permitted(struct json *json, const struct service *service);

/* origin, removed, changed: what of it is the file's, and what an administrator's. */
void view_origin(struct json *json, const struct server *server);

/* weight, weight_configured, and weight_admin: what an administrator set, or null. */
void view_weight(struct json *json, const struct server *server);

/* Which limit refuses a client, NULL if none: "connections" or "rate". */
const char *view_limited_by(enum drop drop);

/* agent: what the server's agent says, or null if it has none. */
void view_agent(struct json *json, const struct server *server, uint64_t now);

/* agent_listen, agent_says: where the service is an agent itself, and what it says; or null. */
void view_agent_listen(struct json *json, struct load_table *load, uint32_t service);

/* The lines of faults as an array of texts; NULL: none. */
void view_faults(struct json *json, const char *key, const char *faults);

/* Sums over the site's services. */
struct view_site_sums {
	uint64_t transferred, transferred_total, received, received_total;
};
struct view_site_sums view_site_sums(const struct site *site);

/* One connection as an object. */
void view_connection(struct request *request, const struct connection *c);

#endif
