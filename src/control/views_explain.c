/*
 * views_explain: where a connection would go, and every input of that decision.
 *
 * Reads what allocation_decide() would read, by the functions that it uses, and changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "control/shares.h"
#include "control/views.h"

#define EXISTING_MAX 16 /* connections of one client address and port that are shown */

/* What the command line asks for. */
struct inquiry {
	struct addr client;
	uint32_t service;
	bool v4;
};

static int
parse_question(struct request *request, struct inquiry *q)
{
	const char *client = request->match.value[0];
	const struct service *service;

	q->client.port = 0;
	if (ip_parse(client, &q->client.ip) < 0 && addr_parse(client, &q->client) < 0) {
		request_fail(
		    request, CONTROL_BAD, "the client is an address, with or without port");
		return -1;
	}
	q->service = request_service(request, request->match.value[1]);
	if (q->service == LOAD_NONE)
		return -1;
	service = load_table_service(request->parts->load, q->service);
	q->v4 = ip_is_v4(&q->client.ip);
	if (ip_is_zero(q->v4 ? &service->v4 : &service->v6)) {
		request_fail(request, CONTROL_BAD, "service %s has no %s address",
		    service->name, q->v4 ? "IPv4" : "IPv6");
		return -1;
	}
	return 0;
}

static void
question_members(struct request *request, const struct inquiry *q)
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
existing(struct request *request, const struct inquiry *q)
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

/* What the decision draws from, and how probable each way is. */
struct chances {
	const struct scheduler *list; /* of own servers */
	double *share;                /* of each of them, if the connection stays */
	bool can_stay;                /* one of them has room */
	const struct sitechoice *choice;
	struct sitechoice *last; /* the choice once more where no own server can; NULL if one can */
	double home, away, resort; /* own server; another site at first, and as the last resort */
	struct allocation_decision persistent; /* where the client's connections go, if anywhere */
};

/* The client has been here: nothing is drawn. */
static void
weigh_persistent(struct chances *chances)
{
	bool server = chances->persistent.where == ALLOCATION_SERVER;

	for (size_t i = 0; i < chances->list->count; i++)
		chances->share[i] =
		    server && chances->list->servers[i] == chances->persistent.server;
	chances->can_stay = true;
	chances->home = server;
	chances->away = !server;
}

static void
weigh(struct request *request, const struct inquiry *q, struct chances *chances)
{
	const struct control_parts *parts = request->parts;

	memset(chances, 0, sizeof(*chances));
	allocation_persistent(
	    parts->allocation, q->service, &q->client.ip, request->now, &chances->persistent);
	chances->list = allocation_candidates(parts->allocation, q->service, q->v4);
	chances->share = xcalloc(chances->list->count + 1, sizeof(*chances->share));
	shares_calculate(chances->list, parts->load, &q->client.ip, chances->share);
	for (size_t i = 0; i < chances->list->count; i++)
		chances->can_stay |= chances->share[i] > 0;
	chances->choice = allocation_explain(parts->allocation, q->service, request->now);
	chances->away = sitechoice_leaves(chances->choice);
	if (chances->persistent.persistent) {
		weigh_persistent(chances);
		return;
	}
	if (chances->can_stay) {
		chances->home = 1 - chances->away;
		return;
	}
	chances->last = xcalloc(1, sizeof(*chances->last));
	sitechoice_evaluate(chances->last, parts->load, q->service, true,
	    parts->config->load.interval, request->now);
	chances->resort = (1 - chances->away) * sitechoice_leaves(chances->last);
}

static void
chances_fini(struct chances *chances)
{
	free(chances->share);
	free(chances->last);
}

static double
drawn(const struct sitechoice *choice, size_t index, double probability)
{
	return probability > 0 ? probability * choice->sites[index].weight / choice->total : 0;
}

static double
site_probability(const struct chances *chances, size_t index)
{
	if (chances->persistent.persistent)
		return chances->persistent.where == ALLOCATION_SITE &&
		    chances->persistent.site == chances->choice->sites[index].site;
	return drawn(chances->choice, index, chances->away) +
	    drawn(chances->last, index, chances->resort);
}

static void
site_member(struct request *request, const struct chances *chances, size_t index)
{
	struct json *json = &request->json;
	const struct sitechoice *shown = chances->last != NULL ? chances->last : chances->choice;
	const struct sitechoice_site *c = &shown->sites[index];
	const struct site *site = load_table_site(request->parts->load, c->site);

	json_begin_object(json, NULL);
	json_put_string(json, "site", site->name);
	json_put_bool(json, "candidate", c->reason == SITECHOICE_candidate);
	json_put_string(json, "reason", sitechoice_reason_text(c->reason));
	json_put_string(json, "path", site_path_name(site->path));
	view_site_rule(json, site);
	json_put_real(json, "claimed", c->claimed, 0);
	json_put_real(json, "capacity", c->capacity, 0);
	json_put_real(json, "load", c->load, 4);
	json_put_real(json, "fresh", c->fresh, 4);
	json_put_real(json, "slow_start", c->slow_start, 4);
	json_put_real(json, "near", c->near, 4);
	json_put_real(json, "answers", c->answers, 4);
	json_put_bool(json, "limited", c->limited);
	json_put_real(json, "rate", c->rate, 3);
	json_put_real(json, "tokens", c->tokens, 3);
	json_put_real(json, "weight", c->weight, 4);
	json_put_real(json, "probability", site_probability(chances, index), 4);
	json_end_object(json);
}

static void
site_members(struct request *request, const struct inquiry *q, const struct chances *chances)
{
	struct json *json = &request->json;
	const struct service *own = load_table_service(request->parts->load, q->service);

	json_begin_object(json, "own");
	json_put_string(json, "prefer", config_prefer_name(own->prefer));
	json_put_string(json, "site_metric", config_site_metric_name(own->site_metric));
	json_put_real(json, "load", chances->choice->own_load, 4);
	json_put_real(json, "high_load", own->high_load, 4);
	json_put_real(json, "gate", chances->choice->gate, 4);
	json_put_real(json, "weight", chances->choice->own_weight, 4);
	json_put_real(json, "typical_capacity", chances->choice->typical_capacity, 0);
	json_put_bool(json, "last_resort", !chances->can_stay);
	json_put_uint(json, "servers_up", chances->choice->own_up);
	json_put_uint(json, "active", own->active);
	json_put_uint(json, "received", own->received);
	json_put_uint(json, "capacity", own->capacity);
	json_end_object(json);
	json_begin_array(json, "sites");
	for (size_t i = 0; i < chances->choice->count; i++)
		site_member(request, chances, i);
	json_end_array(json);
}

/* Why a server is no candidate; NULL if it is one. */
static const char *
server_reason(const struct server *server, bool v4, const struct scheduler *list)
{
	if (!server_is_up(server))
		return "down";
	if (server->admin != SERVER_ENABLED)
		return server_admin_name(server->admin);
	if (ip_is_zero(v4 ? &server->v4 : &server->v6))
		return "no address of the client's family";
	if (server->weight == 0)
		return "weight is 0";
	if (server->active >= server->max_connections)
		return "full";
	if (list->weight[server->place] == 0)
		return "backup, not in use";
	if (scheduler_room(list)->value[server->place] == 0)
		return "does not answer new connections";
	return NULL;
}

static void
server_member(struct request *request, uint32_t number, bool v4, const struct scheduler *list,
    double probability)
{
	struct json *json = &request->json;
	const struct server *server = load_table_server(request->parts->load, number);
	const char *reason = server_reason(server, v4, list);
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

static void
server_members(struct request *request, const struct inquiry *q, const struct chances *chances)
{
	struct json *json = &request->json;
	const struct service *own = load_table_service(request->parts->load, q->service);
	const struct scheduler *list = chances->list;

	json_put_string(json, "scheduler", config_scheduler_name(own->scheduler));
	json_begin_array(json, "servers");
	for (size_t i = 0; i < list->count; i++)
		server_member(
		    request, list->servers[i], q->v4, list, chances->home * chances->share[i]);
	json_end_array(json);
}

/* What is remembered of the client. */
static void
client_members(struct request *request, const struct inquiry *q, const struct chances *chances)
{
	const struct allocation_decision *d = &chances->persistent;
	struct load_table *load = request->parts->load;
	struct json *json = &request->json;
	struct limits *limits = allocation_limits(request->parts->allocation);
	enum drop drop = DROP_none;

	if (d->persistent) {
		bool server = d->where == ALLOCATION_SERVER;

		json_begin_object(json, "persistent");
		json_put_string(
		    json, "server", server ? load_table_server(load, d->server)->name : NULL);
		json_put_string(
		    json, "site", server ? NULL : load_table_site(load, d->site)->name);
		json_end_object(json);
	} else {
		json_put_null(json, "persistent");
	}
	if (limits != NULL)
		drop = limits_would_admit(
		    limits, (uint16_t)q->service, &q->client.ip, request->now);
	json_put_string(json, "limited_by", view_limited_by(drop));
}

void
view_explain(struct request *request)
{
	struct json *json = &request->json;
	struct inquiry question;
	struct chances chances;
	double other;

	if (parse_question(request, &question) < 0)
		return;
	weigh(request, &question, &chances);
	question_members(request, &question);
	existing(request, &question);
	site_members(request, &question, &chances);
	server_members(request, &question, &chances);
	client_members(request, &question, &chances);
	other = chances.away + chances.resort;
	json_begin_object(json, "outcome");
	json_put_real(json, "own_server", chances.home, 4);
	json_put_real(json, "other_site", other, 4);
	json_put_real(json, "refused", 1 - other - chances.home, 4);
	json_end_object(json);
	chances_fini(&chances);
}
