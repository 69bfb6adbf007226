/*
 * views_sites: the other sites, and what they reported.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "control/views.h"

const char *
view_site_admin(bool disabled)
{
	return disabled ? "disabled" : "enabled";
}

/* How we know it. */
static const char *
view_site_kind(const struct site *site)
{
	if (site->coordinator)
		return "coordinator";
	if (site->introduced)
		return "introduced";
	return site->entered ? "unknown" : "peer";
}

/* Whatever the service is; the order and the words are those of the choice (sitechoice.c). */
const char *
view_site_reason(const struct site *site)
{
	enum sitechoice_reason reason = sitechoice_site_reason(site);

	if (site->coordinator || site->keyless)
		return site->session == SITE_SESSION ? NULL : sitechoice_reason_text(reason);

	return reason != SITECHOICE_candidate ? sitechoice_reason_text(reason) : NULL;
}

const char *
view_site_state(const struct site *site)
{
	return view_site_reason(site) == NULL ? "up" : "down";
}

static const char *
rule_reason(const struct site *site)
{
	if (site->reply == CONFIG_REPLY_DIRECT)
		return "peers.reply is direct";
	if (site->reply == CONFIG_REPLY_TRANSFEROR)
		return "peers.reply is transferor";
	if (site->direct == SITE_DIRECT_OK)
		return "direct replies get through";
	if (site->direct == SITE_DIRECT_UNKNOWN)
		return "nothing is known against direct replies";
	if (site->direct_blocked_at != 0)
		return "clients did not get direct replies";
	return "its direct-reply probes do not get through";
}

void
view_site_rule(struct json *json, const struct site *site)
{
	json_put_string(json, "reply", config_reply_name(site->reply));
	json_put_uint(json, "rule", site_wants_relay(site) ? 3 : 2);
	json_put_string(json, "rule_reason", rule_reason(site));
}

static void
put_ms(struct json *json, const char *key, double seconds)
{
	if (seconds > 0)
		json_put_real(json, key, seconds * 1000, 3);
	else
		json_put_null(json, key);
}

/* How long ago; null if never. */
static void
put_age(struct json *json, const char *key, uint64_t then, uint64_t now)
{
	if (then == 0)
		json_put_null(json, key);
	else
		json_put_uint(json, key, now > then ? (now - then) / CLOCK_MILLISECOND : 0);
}

static void
put_mtu(struct json *json, const char *key, uint32_t mtu)
{
	if (mtu != 0)
		json_put_uint(json, key, mtu);
	else
		json_put_null(json, key);
}

void
view_site_path(struct json *json, const struct site *site, uint64_t now)
{
	json_put_string(json, "path", site_path_name(site->path));
	json_put_uint(json, "path_s",
	    now > site->path_since ? (now - site->path_since) / CLOCK_SECOND : 0);
	put_age(json, "path_answered_ms", site->path_answered, now);
	put_ms(json, "path_rtt_ms", site->path_rtt);
	if (site->path != SITE_PATH_UNKNOWN)
		json_put_real(json, "path_loss", site->path_loss, 4);
	else
		json_put_null(json, "path_loss");
	put_mtu(json, "path_mtu", site->path_mtu);
	put_age(json, "mtu_confirmed_ms", site->mtu_confirmed, now);
	put_mtu(json, "peer_mtu", site->peer_mtu);
	json_put_string(json, "direct", site_direct_name(site->direct));
	json_put_string(json, "direct_out", site_direct_name(site->direct_out));
	put_age(json, "direct_judged_ms", site->direct_judged, now);
	view_site_rule(json, site);
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

/* Why which site is no candidate for which of our services, as the choice says now. */
struct reasons {
	uint8_t *of; /* by service and site: enum sitechoice_reason + 1; 0: not asked yet */
	uint32_t sites;
};

/* One evaluation of a service is for all sites. */
static void
put_reason(struct request *request, struct reasons *reasons, uint32_t service, uint32_t site)
{
	struct json *json = &request->json;
	const struct sitechoice *choice;
	uint8_t *row;

	if (service == LOAD_NONE) {
		json_put_null(json, "candidate");
		json_put_null(json, "reason");
		return;
	}
	row = reasons->of + (size_t)service * reasons->sites;
	if (row[site] == 0) {
		choice = allocation_explain(request->parts->allocation, service, request->now);
		for (size_t i = 0; i < choice->count; i++)
			row[choice->sites[i].site] = (uint8_t)(choice->sites[i].reason + 1);
	}
	json_put_bool(json, "candidate", row[site] == SITECHOICE_candidate + 1);
	json_put_string(json, "reason",
	    row[site] != 0 ? sitechoice_reason_text((enum sitechoice_reason)(row[site] - 1))
			   : NULL);
}

static void
service_object(struct request *request, struct reasons *reasons, const struct site_service *s,
    uint32_t site)
{
	struct json *json = &request->json;

	json_begin_object(json, NULL);
	json_put_string(json, "service", s->name);
	view_protocol(json, "protocol", s->protocol);
	json_put_bool(json, "ours", s->local != LOAD_NONE);
	put_reason(request, reasons, s->local, site);
	report(json, s, request->now);
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
site_object(struct request *request, struct reasons *reasons, uint32_t number)
{
	struct json *json = &request->json;
	const struct site *s = load_table_site(request->parts->load, number);
	uint64_t now = request->now;

	json_begin_object(json, NULL);
	json_put_string(json, "site", s->name);
	json_put_string(json, "state", view_site_state(s));
	json_put_string(json, "reason", view_site_reason(s));
	json_put_string(json, "kind", view_site_kind(s));
	json_put_string(json, "admin", view_site_admin(s->disabled));
	json_put_string(json, "session", site_session_name(s->session));
	json_put_uint(json, "session_s",
	    now > s->session_since ? (now - s->session_since) / CLOCK_SECOND : 0);
	json_put_bool(json, "keys", s->keys);
	json_put_string(json, "error", s->last_error);
	put_ms(json, "rtt_ms", s->rtt);
	view_site_path(json, s, now);
	view_addr(json, "load_address", &s->load);
	view_addr(json, "transfer_address", &s->transfer);
	if (s->demand_port != 0)
		json_put_uint(json, "demand_port", s->demand_port);
	else
		json_put_null(json, "demand_port");
	json_begin_array(json, "services");
	for (size_t i = 0; i < s->services_count; i++)
		service_object(request, reasons, &s->services[i], number);
	json_end_array(json);
	traffic(json, s);
	json_end_object(json);
}

void
view_sites(struct request *request)
{
	struct load_table *load = request->parts->load;
	struct reasons reasons = {.sites = load_table_sites(load)};

	/* touched only where a service is shared */
	reasons.of = xcalloc((size_t)load_table_services(load) * reasons.sites + 1, 1);
	json_begin_array(&request->json, "sites");
	for (uint32_t i = 0; i < reasons.sites; i++)
		if (load_table_site(load, i)->present)
			site_object(request, &reasons, i);
	json_end_array(&request->json);
	free(reasons.of);
}
