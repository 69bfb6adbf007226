/*
 * views_explain: where a connection would go, and every input of that decision.
 *
 * Reads what allocation_decide() would read, by the functions that it uses, and changes nothing.
 */
#include <stdlib.h>

#include "base/xalloc.h"
#include "control/shares.h"
#include "control/views.h"

#define EXISTING_MAX 16 /* connections of one client address and port that are shown */

/* What the command line asks for. */
struct question {
	struct addr client;
	uint32_t service;
	bool v4;
};

static int
parse_question(struct request *request, struct question *q)
{
	const char *client = request->match.value[0];
	const struct service *service;

	q->client.port = 0;
	if (ip_parse(client, &q->client.ip) < 0 && addr_parse(client, &q->client) < 0) {
		request_fail(request, CONTROL_BAD,
		    "the client is an address, with or without port");
		return -1;
	}
	q->service = request_service(request, request->match.value[1]);
	if (q->service == LOAD_NONE)
		return -1;
	service = load_table_service(request->parts->load, q->service);
	q->v4 = ip_is_v4(&q->client.ip);
	if (ip_is_zero(q->v4 ? &service->v4 : &service->v6)) {
		request_fail(request, CONTROL_BAD, "service %s has no %s address", service->name,
		    q->v4 ? "IPv4" : "IPv6");
		return -1;
	}
	return 0;
}

static void
question_members(struct request *request, const struct question *q)
{
	struct json *json = &request->json;
	const struct service *service = load_table_service(request->parts->load, q->service);
	struct addr address = {q->v4 ? service->v4 : service->v6, 0};

	view_addr(json, "client", &q->client);
	json_put_string(json, "service", service->name);
	view_addr(json, "service_address", &address);
	view_protocol(json, "protocol", service->protocol);
	json_put_string(json, "family", q->v4 ? "ipv4" : "ipv6");
	json_put_bool(json, "martian", ip_is_martian(&q->client.ip));
}

/* A connection that exists is not allocated again, on whichever port of the service it is. */
static void
existing(struct request *request, const struct question *q)
{
	struct connection_table *table = request->parts->connections;
	const struct service *service = load_table_service(request->parts->load, q->service);
	struct connection_key key = {.source = q->client, .protocol = service->protocol};
	enum connection_side side;
	int found = 0;

	key.destination.ip = q->v4 ? service->v4 : service->v6;
	json_begin_array(&request->json, "existing");
	for (size_t i = 0; i < service->ports_count && found < EXISTING_MAX; i++) {
		const struct connection *c;

		key.destination.port = service->ports[i];
		c = table != NULL && q->client.port != 0 ? connection_find(table, &key, &side)
							 : NULL;
		if (c == NULL)
			continue;
		view_connection(request, c);
		found++;
	}
	json_end_array(&request->json);
}

static void
site_member(struct request *request, const struct sitechoice *choice,
    const struct sitechoice_site *c, double away)
{
	struct json *json = &request->json;
	const struct site *site = load_table_site(request->parts->load, c->site);

	json_begin_object(json, NULL);
	json_put_string(json, "site", site->name);
	json_put_bool(json, "candidate", c->reason == SITECHOICE_candidate);
	json_put_string(json, "reason", sitechoice_reason_text(c->reason));
	json_put_real(json, "capacity", c->capacity, 0);
	json_put_real(json, "load", c->load, 4);
	json_put_real(json, "fresh", c->fresh, 4);
	json_put_real(json, "slow_start", c->slow_start, 4);
	json_put_real(json, "near", c->near, 4);
	json_put_real(json, "weight", c->weight, 4);
	json_put_real(json, "probability", away > 0 ? away * c->weight / choice->total : 0, 4);
	json_end_object(json);
}

/* The site choice; returns the probability that the connection goes to another site. */
static double
site_choice(struct request *request, const struct question *q)
{
	struct json *json = &request->json;
	const struct service *own = load_table_service(request->parts->load, q->service);
	const struct sitechoice *choice =
	    allocation_explain(request->parts->allocation, q->service, request->now);
	double away = choice->total > 0 ? choice->gate : 0;

	json_begin_object(json, "own");
	json_put_string(json, "prefer", config_prefer_name(own->prefer));
	json_put_real(json, "load", choice->own_load, 4);
	json_put_real(json, "high_load", own->high_load, 4);
	json_put_real(json, "gate", choice->gate, 4);
	json_put_uint(json, "servers_up", choice->own_up);
	json_put_uint(json, "active", own->active);
	json_put_uint(json, "capacity", own->capacity);
	json_end_object(json);
	json_begin_array(json, "sites");
	for (size_t i = 0; i < choice->count; i++)
		site_member(request, choice, &choice->sites[i], away);
	json_end_array(json);
	return away;
}

/* Why a server is no candidate; NULL if it is one. */
static const char *
server_reason(const struct server *server, bool v4)
{
	if (server->state != SERVER_UP)
		return "down";
	if (server->admin != SERVER_ENABLED)
		return server_admin_name(server->admin);
	if (ip_is_zero(v4 ? &server->v4 : &server->v6))
		return "no address of the client's family";
	if (server->weight == 0)
		return "weight is 0";
	if (server->active >= server->max_connections)
		return "full";
	return NULL;
}

static void
server_member(struct request *request, uint32_t number, bool v4, double probability)
{
	struct json *json = &request->json;
	const struct server *server = load_table_server(request->parts->load, number);
	const char *reason = server_reason(server, v4);
	struct addr address = {v4 ? server->v4 : server->v6, server->port};

	json_begin_object(json, NULL);
	json_put_string(json, "name", server->name);
	view_addr(json, "address", &address);
	json_put_bool(json, "candidate", reason == NULL);
	json_put_string(json, "reason", reason != NULL ? reason : "candidate");
	json_put_uint(json, "weight", server->weight);
	json_put_uint(json, "active", server->active);
	json_put_uint(json, "max_connections", server->max_connections);
	json_put_real(json, "load", server_load(server), 4);
	json_put_real(json, "probability", probability, 4);
	json_end_object(json);
}

/* The service's own servers; returns the probability that one of them can take the connection. */
static double
server_choice(struct request *request, const struct question *q, double home)
{
	struct json *json = &request->json;
	const struct control_parts *parts = request->parts;
	const struct service *own = load_table_service(parts->load, q->service);
	const struct scheduler *list = allocation_candidates(parts->allocation, q->service, q->v4);
	double *share = xcalloc(list->count + 1, sizeof(*share)), sum = 0, probability;
	size_t next = 0; /* the list has the service's order, with servers left out */

	shares_calculate(list, parts->load, own->scheduler, share);
	json_put_string(json, "scheduler", config_scheduler_name(own->scheduler));
	json_begin_array(json, "servers");
	for (size_t i = 0; i < own->servers_count; i++) {
		probability = 0;
		if (next < list->count && list->servers[next] == own->servers[i])
			probability = share[next++];
		sum += probability;
		server_member(request, own->servers[i], q->v4, home * probability);
	}
	json_end_array(json);
	free(share);
	return sum > 0 ? 1 : 0;
}

void
view_explain(struct request *request)
{
	struct json *json = &request->json;
	struct question question;
	double away, home;

	if (parse_question(request, &question) < 0)
		return;
	question_members(request, &question);
	existing(request, &question);
	away = site_choice(request, &question);
	home = (1 - away) * server_choice(request, &question, 1 - away);
	json_begin_object(json, "outcome");
	json_put_real(json, "own_server", home, 4);
	json_put_real(json, "other_site", away, 4);
	json_put_real(json, "refused", 1 - away - home, 4);
	json_end_object(json);
}
