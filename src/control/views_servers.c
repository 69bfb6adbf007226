/*
 * views_servers: services, and their servers.
 */
#include <stdio.h>

#include "base/clock.h"
#include "control/views.h"

#define PORTS_TEXT 1024 /* octets of a list of ports that are shown */

/* "80,443,8000-8099": ports are sorted; a list that does not fit ends in "...". */
static const char *
ports_format(const struct service *s, char buf[PORTS_TEXT])
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0, last; i < s->ports_count; i = last + 1) {
		if (len > PORTS_TEXT - 16) {
			snprintf(buf + len, PORTS_TEXT - len, ",...");
			break;
		}
		for (last = i; last + 1 < s->ports_count; last++)
			if (s->ports[last + 1] != s->ports[last] + 1)
				break;
		len += (size_t)snprintf(
		    buf + len, PORTS_TEXT - len, "%s%u", i > 0 ? "," : "", s->ports[i]);
		if (last > i)
			len +=
			    (size_t)snprintf(buf + len, PORTS_TEXT - len, "-%u", s->ports[last]);
	}
	return buf;
}

void
view_permitted(struct json *json, const struct service *service)
{
	json_put_bool(json, "permitted", service->transfer_permitted);
	json_put_bool(json, "permitted_configured", service->transfer_configured);
	if (service->transfer_set)
		json_put_bool(json, "permitted_admin", service->transfer_permitted);
	else
		json_put_null(json, "permitted_admin");
}

static void
service_object(struct json *json, struct load_table *load, uint32_t number)
{
	const struct service *s = load_table_service(load, number);
	char ports[PORTS_TEXT];

	json_begin_object(json, NULL);
	json_put_string(json, "service", s->name);
	view_protocol(json, "protocol", s->protocol);
	view_addresses(json, &s->v4, &s->v6, 0);
	json_put_string(json, "ports", ports_format(s, ports));
	json_put_string(json, "scheduler", config_scheduler_name(s->scheduler));
	json_put_string(json, "prefer", config_prefer_name(s->prefer));
	json_put_string(json, "site_metric", config_site_metric_name(s->site_metric));
	json_put_string(json, "client_address", config_client_address_name(s->client_address));
	view_permitted(json, s);
	json_put_uint(json, "servers", s->servers_count);
	json_put_uint(json, "servers_up", s->up);
	json_put_uint(json, "servers_not_high", s->not_high);
	json_put_bool(json, "on_backup", s->on_backup);
	json_put_real(json, "high_load", s->high_load, 4);
	json_put_real(json, "load", service_load(s), 4);
	json_put_uint(json, "capacity", s->capacity);
	json_put_uint(json, "active", s->active);
	json_put_uint(json, "total", s->total);
	json_put_uint(json, "transferred_active", s->transferred);
	json_put_uint(json, "transferred_total", s->transferred_total);
	json_put_uint(json, "received_active", s->received);
	json_put_uint(json, "received_total", s->received_total);
	view_agent_listen(json, load, number);
	json_end_object(json);
}

void
view_services(struct request *request)
{
	struct load_table *load = request->parts->load;

	json_begin_array(&request->json, "services");
	for (uint32_t i = 0; i < load_table_services(load); i++) {
		const struct service *s = load_table_service(load, i);

		if (s->present)
			service_object(&request->json, load, i);
	}
	json_end_array(&request->json);
}

void
view_weight(struct json *json, const struct server *server)
{
	json_put_uint(json, "weight", server->weight);
	json_put_uint(json, "weight_configured", server->weight_configured);
	if (server->weight_set)
		json_put_uint(json, "weight_admin", server->weight_admin);
	else
		json_put_null(json, "weight_admin");
}

void
view_origin(struct json *json, const struct server *server)
{
	const char *setting;

	json_put_string(json, "origin", server->added ? "run-time" : "file");
	json_put_bool(json, "removed", server->removed);
	json_begin_array(json, "changed");
	for (unsigned i = 0; i < 32 && (setting = config_server_setting(i)) != NULL; i++)
		if ((server->changed & (uint32_t)1 << i) != 0)
			json_put_string(json, NULL, setting);
	json_end_array(json);
}

/* What the packets of its clients say of it. */
static void
signals_members(struct json *json, const struct server *s, uint64_t now)
{
	struct signals_rates rates = server_rates(s, now);

	if (s->signals.samples > 0) {
		json_put_real(json, "response_ms", s->signals.fast * 1000, 3);
		json_put_real(json, "response_usual_ms", s->signals.slow * 1000, 3);
	} else {
		json_put_null(json, "response_ms");
		json_put_null(json, "response_usual_ms");
	}
	json_put_uint(json, "unanswered", s->signals.unanswered);
	json_put_bool(json, "avoided", s->avoided);
	json_put_real(json, "slow_start", (double)s->ramp / LOAD_RAMP, 4);
	json_put_real(json, "connections_per_second", rates.connections, 3);
	json_put_real(json, "bytes_per_second", rates.bytes, 0);
}

static void
server_object(struct request *request, const struct server *s)
{
	struct json *json = &request->json;
	const struct service *service = load_table_service(request->parts->load, s->service);

	json_begin_object(json, NULL);
	json_put_string(json, "service", service->name);
	json_put_string(json, "name", s->name);
	view_addresses(json, &s->v4, &s->v6, s->port);
	json_put_bool(json, "present", s->present);
	view_origin(json, s);
	json_put_string(
	    json, "state", server_state_name(server_is_up(s) ? SERVER_UP : SERVER_DOWN));
	json_put_string(json, "checked", server_state_name(s->state));
	json_put_string(json, "cause", server_cause(s));
	json_put_string(json, "admin", server_admin_name(s->admin));
	json_put_uint(json, "since_s",
	    request->now > s->state_since ? (request->now - s->state_since) / CLOCK_SECOND : 0);
	json_put_real(json, "load", server_load(s), 4);
	json_put_bool(json, "high", s->high);
	json_put_bool(json, "backup", s->backup);
	view_weight(json, s);
	json_put_uint(json, "active", s->active);
	json_put_uint(json, "max_connections", s->max_connections);
	json_put_uint(json, "total", s->total);
	json_put_uint(json, "packets_in", s->packets_in);
	json_put_uint(json, "packets_out", s->packets_out);
	json_put_uint(json, "bytes_in", s->bytes_in);
	json_put_uint(json, "bytes_out", s->bytes_out);
	signals_members(json, s, request->now);
	view_agent(json, s, request->now);
	json_end_object(json);
}

/*
 * Present ones, those that an administrator has removed, and those that are gone for good as long as
 * they have connections.
 */
static void
servers_of(struct request *request, uint32_t service)
{
	struct load_table *load = request->parts->load;

	for (uint32_t i = 0; i < load_table_servers(load); i++) {
		const struct server *s = load_table_server(load, i);

		if (s->service == service && (s->present || s->removed || s->active > 0))
			server_object(request, s);
	}
}

void
view_servers(struct request *request)
{
	const char *name = request->match.value[0];
	uint32_t only = LOAD_NONE;

	if (name != NULL) {
		only = request_service(request, name);
		if (only == LOAD_NONE)
			return;
	}
	json_begin_array(&request->json, "servers");
	for (uint32_t i = 0; i < load_table_services(request->parts->load); i++)
		if (only == LOAD_NONE || only == i)
			servers_of(request, i);
	json_end_array(&request->json);
}
