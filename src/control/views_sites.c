/*
 * views_sites: the other sites, and what they reported.
 */
#include "base/clock.h"
#include "control/views.h"

const char *
view_site_state(const struct site *site)
{
	return site->up_since != 0 ? "up" : "down";
}

struct view_site_sums
view_site_sums(const struct site *site)
{
	struct view_site_sums sums = {0};

	for (size_t i = 0; i < site->services_count; i++) {
		sums.transferred += site->services[i].transferred;
		sums.transferred_total += site->services[i].transferred_total;
		sums.received += site->services[i].received;
		sums.received_total += site->services[i].received_total;
	}
	return sums;
}

/* What a site that has not reported would report is not known: null, not 0. */
static void
report(struct json *json, const struct site_service *s, uint64_t now)
{
	if (!s->reported) {
		json_put_null(json, "servers_up");
		json_put_null(json, "servers_not_high");
		json_put_null(json, "transferable");
		json_put_null(json, "permitted");
		json_put_null(json, "load");
		json_put_null(json, "active");
		json_put_null(json, "age_ms");
		return;
	}
	json_put_uint(json, "servers_up", s->servers_up);
	json_put_uint(json, "servers_not_high", s->servers_not_high);
	json_put_uint(json, "transferable", s->transferable);
	json_put_bool(json, "permitted", s->permitted);
	json_put_real(json, "load", s->load / 1000.0, 3);
	json_put_uint(json, "active", s->active);
	json_put_uint(json, "age_ms",
	    now > s->received_at ? (now - s->received_at) / CLOCK_MILLISECOND : 0);
}

static void
service_object(struct json *json, const struct site_service *s, uint64_t now)
{
	json_begin_object(json, NULL);
	json_put_string(json, "service", s->name);
	view_protocol(json, "protocol", s->protocol);
	json_put_bool(json, "ours", s->local != LOAD_NONE);
	report(json, s, now);
	json_put_uint(json, "transferred_active", s->transferred);
	json_put_uint(json, "received_active", s->received);
	json_end_object(json);
}

static void
traffic(struct json *json, const struct site *s)
{
	struct view_site_sums sums = view_site_sums(s);

	json_put_uint(json, "transferred_active", sums.transferred);
	json_put_uint(json, "transferred_total", sums.transferred_total);
	json_put_uint(json, "received_active", sums.received);
	json_put_uint(json, "received_total", sums.received_total);
	json_put_uint(json, "transfer_packets_in", s->transfer_packets_in);
	json_put_uint(json, "transfer_packets_out", s->transfer_packets_out);
	json_put_uint(json, "transfer_bytes_in", s->transfer_bytes_in);
	json_put_uint(json, "transfer_bytes_out", s->transfer_bytes_out);
	json_put_uint(json, "transfer_drops", s->transfer_drops);
}

static void
site_object(struct json *json, const struct site *s, uint64_t now)
{
	json_begin_object(json, NULL);
	json_put_string(json, "site", s->name);
	json_put_string(json, "state", view_site_state(s));
	json_put_string(json, "session", site_session_name(s->session));
	json_put_uint(json, "session_s",
	    now > s->session_since ? (now - s->session_since) / CLOCK_SECOND : 0);
	json_put_bool(json, "keys", s->keys);
	json_put_string(json, "error", s->last_error);
	/* nothing proves yet that replies under another site's address get through */
	json_put_string(json, "direct", "unknown");
	if (s->rtt > 0)
		json_put_real(json, "rtt_ms", s->rtt * 1000, 3);
	else
		json_put_null(json, "rtt_ms");
	view_addr(json, "load_address", &s->load);
	view_addr(json, "transfer_address", &s->transfer);
	json_begin_array(json, "services");
	for (size_t i = 0; i < s->services_count; i++)
		service_object(json, &s->services[i], now);
	json_end_array(json);
	traffic(json, s);
	json_end_object(json);
}

void
view_sites(struct request *request)
{
	struct load_table *load = request->parts->load;

	json_begin_array(&request->json, "sites");
	for (uint32_t i = 0; i < load_table_sites(load); i++) {
		const struct site *s = load_table_site(load, i);

		if (s->present)
			site_object(&request->json, s, request->now);
	}
	json_end_array(&request->json);
}
