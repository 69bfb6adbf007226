/*
 * views_summary: the site at a glance.
 */
#include "base/clock.h"
#include "control/sampler.h"
#include "control/views.h"

/* Rates are of what came in or went out, by the device and by transfer packets alike. */
static void
rates(struct json *json, const struct sampler *s)
{
	json_put_real(json, "new_per_second",
	    sampler_rate(s, COUNTER_connections_local) +
		sampler_rate(s, COUNTER_connections_transferred) +
		sampler_rate(s, COUNTER_connections_received),
	    1);
	json_put_real(json, "packets_in_per_second", sampler_rate(s, COUNTER_packets_in), 1);
	json_put_real(json, "packets_out_per_second", sampler_rate(s, COUNTER_packets_out), 1);
	json_put_real(json, "bytes_in_per_second", sampler_rate(s, COUNTER_bytes_in), 1);
	json_put_real(json, "bytes_out_per_second", sampler_rate(s, COUNTER_bytes_out), 1);
	json_put_real(json, "transfer_packets_in_per_second",
	    sampler_rate(s, COUNTER_transfer_packets_in), 1);
	json_put_real(json, "transfer_packets_out_per_second",
	    sampler_rate(s, COUNTER_transfer_packets_out), 1);
	json_put_real(json, "transfer_bytes_in_per_second",
	    sampler_rate(s, COUNTER_transfer_bytes_in), 1);
	json_put_real(json, "transfer_bytes_out_per_second",
	    sampler_rate(s, COUNTER_transfer_bytes_out), 1);
}

static void
connections(struct json *json, const struct control_parts *parts)
{
	struct connection_counts counts = {0};

	if (parts->connections != NULL)
		connection_table_counts(parts->connections, &counts);
	json_put_uint(json, "connections", counts.live);
	json_put_uint(json, "connections_limit", counts.capacity);
	json_begin_object(json, "connections_by_kind");
	for (int i = 0; i < CONNECTION_KINDS; i++)
		json_put_uint(
		    json, connection_kind_name((enum connection_kind)i), counts.by_kind[i]);
	json_end_object(json);
	json_begin_object(json, "connections_by_state");
	for (int i = 0; i < CONNECTION_STATES; i++)
		json_put_uint(
		    json, connection_state_name((enum connection_state)i), counts.by_state[i]);
	json_end_object(json);
}

static void
services(struct json *json, struct load_table *load)
{
	json_begin_array(json, "services");
	for (uint32_t i = 0; i < load_table_services(load); i++) {
		const struct service *s = load_table_service(load, i);

		if (!s->present)
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "service", s->name);
		json_put_uint(json, "servers", s->servers_count);
		json_put_uint(json, "servers_up", s->up);
		json_put_real(json, "load", service_load(s), 4);
		json_put_uint(json, "active", s->active);
		json_put_uint(json, "transferred_active", s->transferred);
		json_put_uint(json, "received_active", s->received);
		json_put_bool(json, "permitted", s->transfer_permitted);
		json_end_object(json);
	}
	json_end_array(json);
}

static void
sites(struct json *json, struct load_table *load)
{
	json_begin_array(json, "sites");
	for (uint32_t i = 0; i < load_table_sites(load); i++) {
		const struct site *s = load_table_site(load, i);
		struct view_site_sums sums = view_site_sums(s);

		if (!s->present)
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "site", s->name);
		json_put_string(json, "state", view_site_state(s));
		json_put_string(json, "reason", view_site_reason(s));
		json_put_string(json, "session", site_session_name(s->session));
		json_put_string(json, "path", site_path_name(s->path));
		view_site_rule(json, s);
		json_put_uint(json, "transferred_active", sums.transferred);
		json_put_uint(json, "received_active", sums.received);
		json_end_object(json);
	}
	json_end_array(json);
}

void
view_summary(struct request *request)
{
	struct json *json = &request->json;
	const struct control_parts *parts = request->parts;

	view_version(request); /* site and version */
	json_put_uint(json, "uptime_s", (request->now - parts->started) / CLOCK_SECOND);
	connections(json, parts);
	rates(json, parts->sampler);
	services(json, parts->load);
	sites(json, parts->load);
}
