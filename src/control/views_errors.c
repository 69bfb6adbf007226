/*
 * views_errors: what is wrong, in one place.
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "control/views.h"

static uint64_t
seconds_since(uint64_t then, uint64_t now)
{
	return now > then ? (now - then) / CLOCK_SECOND : 0;
}

/* Sites that are down, whose direct replies do not get through or ours not to their clients, and
 * those that an error was noted of, even if they are up again. */
static bool
site_is_wrong(const struct site *s)
{
	return view_site_reason(s) != NULL || s->direct == SITE_DIRECT_BLOCKED ||
	    s->direct_out == SITE_DIRECT_BLOCKED || s->last_error != NULL;
}

static void
sites(struct json *json, struct load_table *load, uint64_t now)
{
	json_begin_array(json, "sites");
	for (uint32_t i = 0; i < load_table_sites(load); i++) {
		const struct site *s = load_table_site(load, i);

		if (!s->present || !site_is_wrong(s))
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "site", s->name);
		json_put_string(json, "state", view_site_state(s));
		json_put_string(json, "reason", view_site_reason(s));
		json_put_string(json, "session", site_session_name(s->session));
		json_put_uint(json, "session_s", seconds_since(s->session_since, now));
		json_put_string(json, "path", site_path_name(s->path));
		json_put_string(json, "direct", site_direct_name(s->direct));
		json_put_string(json, "direct_out", site_direct_name(s->direct_out));
		json_put_string(json, "error", s->last_error);
		json_end_object(json);
	}
	json_end_array(json);
}

static void
servers(struct json *json, struct load_table *load, uint64_t now)
{
	json_begin_array(json, "servers");
	for (uint32_t i = 0; i < load_table_servers(load); i++) {
		const struct server *s = load_table_server(load, i);

		if (!s->present || server_is_up(s))
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "service", load_table_service(load, s->service)->name);
		json_put_string(json, "name", s->name);
		view_addresses(json, &s->v4, &s->v6, s->port);
		json_put_string(json, "cause", server_cause(s));
		json_put_uint(json, "since_s", seconds_since(s->state_since, now));
		json_end_object(json);
	}
	json_end_array(json);
}

static void
reload(struct json *json, const struct control_reload *last, uint64_t now)
{
	if (last == NULL || last->at == 0) {
		json_put_null(json, "reload");
		return;
	}
	json_begin_object(json, "reload");
	json_put_bool(json, "reloaded", last->faults == NULL);
	json_put_uint(json, "since_s", seconds_since(last->at, now));
	view_faults(json, "faults", last->faults);
	json_end_object(json);
}

static void
drops(struct json *json, const struct counters *counters)
{
	json_begin_array(json, "drops");
	for (int i = DROP_none + 1; i < DROP_COUNT; i++) {
		if (counters->drop[i] == 0)
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "reason", drop_name((enum drop)i));
		json_put_uint(json, "count", counters->drop[i]);
		json_put_string(json, "help", drop_help((enum drop)i));
		json_end_object(json);
	}
	json_end_array(json);
}

/* The seconds that are left are negative once it has expired. */
static void
certificate(struct json *json, const struct control_parts *parts)
{
	int64_t expiry = parts->certificate_expiry != NULL
	    ? parts->certificate_expiry(parts->certificate_arg)
	    : 0;
	time_t when = (time_t)expiry;
	struct tm tm;
	char text[32];

	if (expiry == 0 || gmtime_r(&when, &tm) == NULL) {
		json_put_null(json, "certificate");
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_begin_object(json, "certificate");
	json_put_string(json, "file", parts->config->load.certificate);
	json_put_string(json, "expires", text);
	json_put_real(json, "left_s", (double)(expiry - (int64_t)time(NULL)), 0);
	json_end_object(json);
}

void
view_errors(struct request *request)
{
	struct json *json = &request->json;
	const struct control_parts *parts = request->parts;

	sites(json, parts->load, request->now);
	servers(json, parts->load, request->now);
	reload(json, parts->last_reload, request->now);
	drops(json, parts->counters);
	certificate(json, parts);
}
