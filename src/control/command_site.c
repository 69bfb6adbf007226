/*
 * command_site: what changes something between us and the other sites, and what measures it.
 * Each is logged with the caller's uid.
 */
#include "base/clock.h"
#include "base/log.h"
#include "control/views.h"

#define PROBE_WAIT (2 * CLOCK_SECOND)       /* for what a probe finds */
#define PROBE_LOOK (50 * CLOCK_MILLISECOND) /* from one look to the next */

/* Order of the choices of "site" in grammar.c. */
enum { CHOICE_ENABLE, CHOICE_DISABLE };

/* Order of the choices of "transfer". */
enum { CHOICE_PERMIT, CHOICE_PROHIBIT, CHOICE_RESET };

void
command_site(struct request *request)
{
	struct json *json = &request->json;
	struct load_table *load = request->parts->load;
	uint32_t number = request_site(request, request->match.value[0]);
	bool disabled = request->match.choice[1] == CHOICE_DISABLE, before;
	const struct site *site;

	if (number == LOAD_NONE)
		return;
	site = load_table_site(load, number);
	before = site->disabled;
	if (disabled != before) {
		load_table_site_set_disabled(load, number, disabled, request->now);
		log_info("site administration changed site=%s admin=%s uid=%u", site->name,
		    view_site_admin(site->disabled), (unsigned)request->uid);
	}
	json_put_string(json, "site", site->name);
	json_put_string(json, "admin", view_site_admin(site->disabled));
	json_put_string(json, "before", view_site_admin(before));
	json_put_string(json, "state", view_site_state(site));
	json_put_string(json, "reason", view_site_reason(site));
	json_put_uint(json, "transferred_active", view_site_sums(site).transferred);
}

static void
set_transfer(struct request *request, uint32_t number)
{
	struct json *json = &request->json;
	struct load_table *load = request->parts->load;
	const struct service *service = load_table_service(load, number);
	bool before = service->transfer_permitted, was_set = service->transfer_set;
	int choice = request->match.choice[0];

	if (choice == CHOICE_RESET)
		load_table_service_reset_transfer(load, number);
	else
		load_table_service_set_transfer(load, number, choice == CHOICE_PERMIT);
	if (before != service->transfer_permitted || was_set != service->transfer_set)
		log_info("transfer permission changed service=%s transfer=%s by=%s uid=%u",
		    service->name, service->transfer_permitted ? "permit" : "prohibit",
		    service->transfer_set ? "administrator" : "configuration",
		    (unsigned)request->uid);
	json_begin_object(json, NULL);
	json_put_string(json, "service", service->name);
	view_permitted(json, service);
	json_put_bool(json, "permitted_before", before);
	json_put_uint(json, "received_active", service->received);
	json_end_object(json);
}

void
command_transfer(struct request *request)
{
	struct load_table *load = request->parts->load;
	const char *name = request->match.value[1];
	uint32_t only = LOAD_NONE;

	if (name != NULL) {
		only = request_service(request, name);
		if (only == LOAD_NONE)
			return;
	}
	json_begin_array(&request->json, "services");
	for (uint32_t i = 0; i < load_table_services(load); i++)
		if (load_table_service(load, i)->present && (only == LOAD_NONE || only == i))
			set_transfer(request, i);
	json_end_array(&request->json);
}

/* All that a probe asks for has come since, or it is known that it does not come. */
static bool
is_measured(const struct site *site, uint64_t since)
{
	return site->path_answered >= since && site->mtu_confirmed >= since &&
	    site->direct_judged >= since;
}

static void
probe_members(struct request *request, const struct site *site)
{
	struct json *json = &request->json;

	json_put_string(json, "site", site->name);
	json_put_real(
	    json, "waited_ms", (double)(request->now - request->since) / CLOCK_MILLISECOND, 0);
	json_put_bool(json, "answered", site->path_answered >= request->since);
	json_put_bool(json, "mtu_confirmed", site->mtu_confirmed >= request->since);
	json_put_bool(json, "direct_judged", site->direct_judged >= request->since);
	view_site_path(json, site, request->now);
}

void
command_probe(struct request *request)
{
	const struct control_parts *parts = request->parts;
	uint32_t number = request_site(request, request->match.value[0]);
	const struct site *site;

	if (number == LOAD_NONE)
		return;
	site = load_table_site(parts->load, number);
	if (parts->probe == NULL) {
		request_fail(request, CONTROL_FAILED, "probing is not supported");
		return;
	}
	if (!site->keys) {
		request_fail(request, CONTROL_FAILED,
		    "no keys for site %s: without a session nothing can be sent to it",
		    site->name);
		return;
	}
	if (request->since == 0) {
		request->since = request->now;
		log_info("probe requested site=%s uid=%u", site->name, (unsigned)request->uid);
		parts->probe(parts->probe_arg, number);
	}
	if (!is_measured(site, request->since) && request->now < request->since + PROBE_WAIT) {
		request->again = true;
		request->wake = request->now + PROBE_LOOK;
		return;
	}
	probe_members(request, site);
}
