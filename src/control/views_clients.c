/*
 * views_clients: what is remembered of clients: where they come again, what they have of their
 * limits.
 *
 * Tables of millions, looked at in slices; the answer holds those with the most connections.
 */
#include <stdio.h>
#include <stdlib.h>

#include "allocation/allocation.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "control/views.h"

#define BUDGET        16384 /* entries that are looked at in one call */
#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000

/* Order of the arguments of "show persistence", "show limits" and "flush persistence". */
enum { ARG_SERVICE, ARG_CLIENT, ARG_LIMIT };

/* Which of the two tables a view shows. */
struct source {
	const struct clients *clients;
	bool (*is_wanted)(struct request *request, const struct client_entry *c);
	struct ip (*prefix)(struct request *request, uint16_t service, const struct ip *client);
};

/* ---- the most of a table ---- */

static int
compare(const void *a, const void *b)
{
	const struct client_entry *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	if (x->refused != y->refused)
		return x->refused < y->refused ? 1 : -1;
	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return addr_compare(&(struct addr){x->prefix, 0}, &(struct addr){y->prefix, 0});
}

/* Twice the limit has room: the better half stays when it is used up. */
static void
keep(struct clients_walk *walk, const struct client_entry *c)
{
	walk->list[walk->count++] = *c;
	walk->found++;
	if (walk->count < 2 * walk->limit)
		return;
	qsort(walk->list, walk->count, sizeof(*walk->list), compare);
	walk->count = walk->limit;
}

static int
parse_client(struct request *request, const char *text)
{
	struct clients_walk *walk = &request->clients;

	if (ip_parse(text, &walk->client) < 0) {
		request_fail(request, CONTROL_BAD, "client is an address");
		return -1;
	}
	walk->by_client = true;
	return 0;
}

static int
parse_limit(struct request *request, const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > LIMIT_MAX) {
		request_fail(request, CONTROL_BAD, "limit is a number from 1 to %d", LIMIT_MAX);
		return -1;
	}
	request->clients.limit = (uint32_t)value;
	return 0;
}

/* Filters of the command line. */
static int
parse(struct request *request)
{
	const char *const *value = request->match.value;
	struct clients_walk *walk = &request->clients;

	walk->limit = LIMIT_DEFAULT;
	walk->service = LOAD_NONE;
	if (value[ARG_SERVICE] != NULL) {
		walk->service = request_service(request, value[ARG_SERVICE]);
		if (walk->service == LOAD_NONE)
			return -1;
	}
	if (value[ARG_CLIENT] != NULL && parse_client(request, value[ARG_CLIENT]) < 0)
		return -1;
	return value[ARG_LIMIT] != NULL ? parse_limit(request, value[ARG_LIMIT]) : 0;
}

static bool
fits(struct request *request, const struct source *source, const struct client_entry *c)
{
	const struct clients_walk *walk = &request->clients;
	struct ip prefix;

	if (walk->service != LOAD_NONE && c->service != walk->service)
		return false;
	if (!source->is_wanted(request, c))
		return false;
	if (!walk->by_client)
		return true;
	prefix = source->prefix(request, c->service, &walk->client);
	return ip_equal(&prefix, &c->prefix);
}

/* True once the list is complete, and in order. */
static bool
walk_some(struct request *request, const struct source *source)
{
	struct clients_walk *walk = &request->clients;
	const struct client_entry *c;
	uint32_t budget = BUDGET;
	bool done = true;

	if (walk->list == NULL)
		walk->list = xcalloc(2 * (size_t)walk->limit, sizeof(*walk->list));
	if (source->clients == NULL)
		return true;
	while ((c = clients_walk(source->clients, &walk->cursor, &budget, &done)) != NULL)
		if (fits(request, source, c))
			keep(walk, c);
	if (!done) {
		request->again = true;
		return false;
	}
	qsort(walk->list, walk->count, sizeof(*walk->list), compare);
	if (walk->count > walk->limit)
		walk->count = walk->limit;
	return true;
}

/* "192.0.2.0/24", or an address where that is the client. */
static void
put_prefix(struct json *json, const struct ip *prefix, unsigned mask_v4, unsigned mask_v6)
{
	unsigned mask = ip_is_v4(prefix) ? mask_v4 : mask_v6;
	char ip[IP_TEXT], text[IP_TEXT + 8];

	ip_format(prefix, ip);
	if (mask == (ip_is_v4(prefix) ? 32 : 128))
		snprintf(text, sizeof(text), "%s", ip);
	else
		snprintf(text, sizeof(text), "%s/%u", ip, mask);
	json_put_string(json, "client", text);
}

static void
put_totals(struct request *request, const struct source *source)
{
	struct json *json = &request->json;
	const struct clients *t = source->clients;

	json_put_uint(json, "listed", request->clients.count);
	json_put_bool(json, "truncated", request->clients.found > request->clients.count);
	json_put_uint(json, "entries", t != NULL ? t->used : 0);
	json_put_uint(json, "capacity", t != NULL ? t->capacity : 0);
	json_put_uint(json, "forgotten", t != NULL ? t->forgotten : 0);
}

/* ---- persistence ---- */

static struct persistence *
persistence_of(struct request *request)
{
	return allocation_persistence(request->parts->allocation);
}

static bool
is_persistent(struct request *request, const struct client_entry *c)
{
	return persistence_is_fresh(persistence_of(request), c, request->now);
}

static struct ip
persistent_prefix(struct request *request, uint16_t service, const struct ip *client)
{
	return persistence_prefix(persistence_of(request), service, client);
}

static void
put_persistent(struct request *request, const struct client_entry *c)
{
	struct json *json = &request->json;
	struct load_table *load = request->parts->load;
	const struct service *service = load_table_service(load, c->service);
	bool server = c->kind == PERSISTENCE_SERVER;

	json_begin_object(json, NULL);
	json_put_string(json, "service", service->name);
	put_prefix(json, &c->prefix, service->persistence.mask_v4, service->persistence.mask_v6);
	json_put_string(json, "server", server ? load_table_server(load, c->target)->name : NULL);
	json_put_string(json, "site", server ? NULL : load_table_site(load, c->target)->name);
	json_put_uint(json, "connections", c->count);
	json_put_real(json, "remaining_s",
	    persistence_remaining(persistence_of(request), c, request->now), 1);
	json_end_object(json);
}

void
view_persistence(struct request *request)
{
	struct persistence *p = persistence_of(request);
	const struct source source = {
	    p != NULL ? persistence_clients(p) : NULL, is_persistent, persistent_prefix};

	if ((request->clients.list == NULL && parse(request) < 0) || !walk_some(request, &source))
		return;
	json_begin_array(&request->json, "clients");
	for (uint32_t i = 0; i < request->clients.count; i++)
		put_persistent(request, &request->clients.list[i]);
	json_end_array(&request->json);
	put_totals(request, &source);
}

void
command_flush(struct request *request)
{
	struct persistence *p = persistence_of(request);
	const struct clients_walk *walk = &request->clients;
	uint32_t count;

	if (parse(request) < 0)
		return;
	count = p == NULL ? 0
			  : persistence_flush(p, walk->service,
				walk->by_client ? &walk->client : NULL, request->now);
	log_info(
	    "persistence flushed clients=%u uid=%u", (unsigned)count, (unsigned)request->uid);
	json_put_uint(&request->json, "flushed", count);
}

/* ---- client limits ---- */

static struct limits *
limits_of(struct request *request)
{
	return allocation_limits(request->parts->allocation);
}

static bool
is_limited(struct request *request, const struct client_entry *c)
{
	return c->count > 0 || c->refused > 0 || c->time > request->now;
}

static struct ip
limited_prefix(struct request *request, uint16_t service, const struct ip *client)
{
	return limits_prefix(limits_of(request), service, client);
}

const char *
view_limited_by(enum drop drop)
{
	if (drop == DROP_client_connections)
		return "connections";
	return drop == DROP_client_rate ? "rate" : NULL;
}

static void
put_limited(struct request *request, const struct client_entry *c)
{
	struct json *json = &request->json;
	const struct limits *l = limits_of(request);
	const struct service *service = load_table_service(request->parts->load, c->service);
	const struct config_client_limit *limit = &service->client_limit;

	json_begin_object(json, NULL);
	json_put_string(json, "service", service->name);
	put_prefix(json, &c->prefix, limit->mask_v4, limit->mask_v6);
	json_put_uint(json, "connections", c->count);
	if (limit->rate > 0)
		json_put_uint(json, "tokens", limits_tokens(l, c, request->now));
	else
		json_put_null(json, "tokens");
	json_put_uint(json, "refused", c->refused);
	json_put_string(json, "limited_by",
	    view_limited_by(limits_would_admit(l, c->service, &c->prefix, request->now)));
	json_end_object(json);
}

static void
put_limit(struct request *request, uint32_t number)
{
	struct json *json = &request->json;
	const struct service *service = load_table_service(request->parts->load, number);
	const struct config_client_limit *limit = &service->client_limit;
	struct limits_refused refused = limits_refused(limits_of(request), (uint16_t)number);

	json_begin_object(json, NULL);
	json_put_string(json, "service", service->name);
	json_put_uint(json, "connections", limit->connections);
	json_put_real(json, "rate", limit->rate, 3);
	json_put_uint(json, "burst", limits_burst(limit));
	json_put_uint(json, "mask_v4", limit->mask_v4);
	json_put_uint(json, "mask_v6", limit->mask_v6);
	json_put_uint(json, "refused_connections", refused.connections);
	json_put_uint(json, "refused_rate", refused.rate);
	json_end_object(json);
}

static void
put_limits(struct request *request)
{
	const struct limits *l = limits_of(request);
	uint32_t only = request->clients.service;

	json_begin_array(&request->json, "services");
	for (uint32_t i = 0; l != NULL && i < load_table_services(request->parts->load); i++)
		if (limits_wanted(l, (uint16_t)i) && (only == LOAD_NONE || only == i))
			put_limit(request, i);
	json_end_array(&request->json);
}

void
view_limits(struct request *request)
{
	struct limits *l = limits_of(request);
	const struct source source = {
	    l != NULL ? limits_clients(l) : NULL, is_limited, limited_prefix};

	if ((request->clients.list == NULL && parse(request) < 0) || !walk_some(request, &source))
		return;
	put_limits(request);
	json_begin_array(&request->json, "clients");
	for (uint32_t i = 0; i < request->clients.count; i++)
		put_limited(request, &request->clients.list[i]);
	json_end_array(&request->json);
	put_totals(request, &source);
}
