/*
 * views_connections: connections, in slices.
 *
 * A call has a budget, so that a table of millions costs the loop no more than a millisecond at a
 * time.  An answer that may hold more than WHOLE_MAX is sent in pieces, while it is made.  Each
 * connection is a line.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/views.h"

#define BUDGET      8192 /* records that are passed over in one call */
#define LISTED_COST 64   /* as many of them take as long as one that is written */
#define WHOLE_MAX   1000

/* Order of the arguments of "show connections" in grammar.c. */
enum { ARG_SERVICE, ARG_CLIENT, ARG_KIND, ARG_STATE, ARG_LIMIT };

/* The name of a site's end of a connection: ours, another, or none. */
static void
ends(struct request *request, const struct connection *c)
{
	struct json *json = &request->json;
	const char *own = request->parts->config->site;
	const struct site *site = c->site == CONNECTION_NO_SITE
	    ? NULL
	    : load_table_site(request->parts->load, c->site);
	const char *other = site != NULL ? site->name : NULL;

	switch (c->kind) {
	case CONNECTION_TRANSFERRED:
		json_put_string(json, "transferor", own);
		json_put_string(json, "transferee", other);
		break;
	case CONNECTION_RECEIVED:
		json_put_string(json, "transferor", other);
		json_put_string(json, "transferee", own);
		break;
	case CONNECTION_PASSED:
		json_put_string(json, "transferor", other);
		json_put_null(json, "transferee");
		break;
	default:
		json_put_null(json, "transferor");
		json_put_null(json, "transferee");
	}
}

/* Of the conversion rules the one that it follows. */
static unsigned
rule(const struct connection *c)
{
	if (c->kind == CONNECTION_LOCAL)
		return 1;
	return c->relay_port != 0 ? 3 : 2;
}

/*
 * What the server sees, and who it is.  By rule 2 the transferor knows neither; by rule 3 it knows
 * the address that the server answers to, and the server once it has answered.
 */
static void
server_side(struct request *request, const struct connection *c)
{
	const struct connection_table *table = request->parts->connections;
	struct json *json = &request->json;
	const struct server *server = load_table_server(request->parts->load, c->server);
	struct addr self, address;

	json_put_uint(json, "rule", rule(c));
	if (c->relay_port != 0)
		json_put_uint(json, "relay_port", c->relay_port);
	else
		json_put_null(json, "relay_port");
	if (c->server == CONNECTION_NO_SERVER && c->relay_port == 0) {
		json_put_null(json, "self");
		json_put_null(json, "server");
		json_put_null(json, "server_name");
		return;
	}
	self = connection_self(table, c);
	address = connection_server(table, c);
	view_addr(json, "self", &self);
	view_addr(json, "server", &address);
	json_put_string(json, "server_name", server != NULL ? server->name : NULL);
}

void
view_connection(struct request *request, const struct connection *c)
{
	const struct connection_table *table = request->parts->connections;
	const struct service *service = load_table_service(request->parts->load, c->service);
	struct json *json = &request->json;
	struct addr client = connection_client(table, c);
	struct addr address = connection_service(table, c);

	json_begin_object(json, NULL);
	view_protocol(json, "protocol", c->protocol);
	json_put_string(json, "kind", connection_kind_name((enum connection_kind)c->kind));
	json_put_string(json, "service", service != NULL ? service->name : NULL);
	view_addr(json, "client", &client);
	view_addr(json, "service_address", &address);
	ends(request, c);
	server_side(request, c);
	json_put_string(json, "state", connection_state_name((enum connection_state)c->state));
	json_put_uint(json, "idle_ms", connection_idle_ms(table, c, request->now));
	json_put_uint(json, "packets", c->packets);
	json_put_uint(json, "bytes", c->bytes);
	json_end_object(json);
}

/* "limit N"; -1 after request_fail(). */
static int
parse_limit(struct request *request, const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (strspn(text, "0123456789") != strlen(text) || *end != '\0' || value < 1 ||
	    value > UINT32_MAX) {
		request_fail(
		    request, CONTROL_BAD, "limit is a number from 1 to %" PRIu32, UINT32_MAX);
		return -1;
	}
	request->walk.limit = (uint32_t)value;
	return 0;
}

static int
parse_client(struct request *request, const char *text)
{
	struct addr *client = &request->walk.client;

	client->port = 0;
	if (ip_parse(text, &client->ip) < 0 && addr_parse(text, client) < 0) {
		request_fail(request, CONTROL_BAD, "client is an address, with or without port");
		return -1;
	}
	request->walk.by_client = true;
	return 0;
}

static int
walk_start(struct request *request)
{
	const char *const *value = request->match.value;
	struct connections_walk *walk = &request->walk;

	walk->started = true;
	walk->limit = UINT32_MAX;
	walk->service = LOAD_NONE;
	walk->kind = request->match.choice[ARG_KIND];
	walk->state = request->match.choice[ARG_STATE];
	if (value[ARG_SERVICE] != NULL) {
		walk->service = request_service(request, value[ARG_SERVICE]);
		if (walk->service == LOAD_NONE)
			return -1;
	}
	if (value[ARG_CLIENT] != NULL && parse_client(request, value[ARG_CLIENT]) < 0)
		return -1;
	if (value[ARG_LIMIT] != NULL && parse_limit(request, value[ARG_LIMIT]) < 0)
		return -1;
	request->pieces = walk->limit > WHOLE_MAX;
	json_begin_array(&request->json, "connections");
	return 0;
}

static bool
is_wanted(const struct request *request, const struct connection *c)
{
	const struct connections_walk *walk = &request->walk;

	if (walk->service != LOAD_NONE && c->service != walk->service)
		return false;
	if (walk->kind >= 0 && c->kind != walk->kind)
		return false;
	if (walk->state >= 0 && c->state != walk->state)
		return false;
	if (!walk->by_client)
		return true;
	return ip_equal(&c->client, &walk->client.ip) &&
	    (walk->client.port == 0 || c->client_port == walk->client.port);
}

static void
walk_end(struct request *request, bool truncated)
{
	struct json *json = &request->json;
	struct connection_counts counts = {0};

	if (request->parts->connections != NULL)
		connection_table_counts(request->parts->connections, &counts);
	json_next_line(json);
	json_end_array(json);
	json_put_uint(json, "listed", request->walk.listed);
	json_put_bool(json, "truncated", truncated);
	json_put_uint(json, "live", counts.live);
}

void
view_connections(struct request *request)
{
	struct connections_walk *walk = &request->walk;
	struct connection_table *table = request->parts->connections;
	const struct connection *c = NULL;
	uint32_t budget = BUDGET;
	bool done = true;

	if (!walk->started && walk_start(request) < 0)
		return;
	for (;;) {
		if (table != NULL)
			c = connection_walk_some(table, &walk->cursor, &budget, &done);
		if (c == NULL && done) {
			walk_end(request, false);
			return;
		}
		if (c == NULL)
			break;
		if (!is_wanted(request, c))
			continue;
		if (walk->listed == walk->limit) {
			walk_end(request, true);
			return;
		}
		json_next_line(&request->json);
		view_connection(request, c);
		walk->listed++;
		budget -= budget < LISTED_COST ? budget : LISTED_COST;
	}
	request->again = true;
}
