/*
 * views_agents: what the agents of servers say, and what services say as agents themselves.
 */
#include "agent/standing.h"
#include "base/clock.h"
#include "control/views.h"

void
view_agent(struct json *json, const struct server *s, uint64_t now)
{
	if (s->agent_at.port == 0) {
		json_put_null(json, "agent");
		return;
	}
	json_begin_object(json, "agent");
	view_addr(json, "address", &s->agent_at);
	json_put_string(json, "cause", s->agent_why);
	json_put_string(json, "description", s->agent_text[0] != '\0' ? s->agent_text : NULL);
	json_put_bool(json, "down", s->agent_down);
	json_put_string(json, "admin",
	    s->agent_maint       ? "maint"
		: s->agent_drain ? "drain"
				 : "ready");
	json_put_uint(json, "weight", s->agent_weight);
	json_put_bool(json, "weight_absolute", s->agent_absolute);
	if (s->agent_said_load >= 0)
		json_put_real(json, "load", s->agent_said_load, 4);
	else
		json_put_null(json, "load");
	if (s->agent_max_connections != 0)
		json_put_uint(json, "max_connections", s->agent_max_connections);
	else
		json_put_null(json, "max_connections");
	if (s->agent_said_at != 0)
		json_put_real(json, "age_s",
		    now > s->agent_said_at ? (double)(now - s->agent_said_at) / CLOCK_SECOND : 0,
		    1);
	else
		json_put_null(json, "age_s");
	json_put_string(json, "fault", s->agent_fault);
	json_end_object(json);
}

void
view_agent_listen(struct json *json, struct load_table *load, uint32_t service)
{
	const struct service *s = load_table_service(load, service);
	struct words words;
	char line[WORDS_LINE];

	if (s->agent_listen.port == 0) {
		json_put_null(json, "agent_listen");
		json_put_null(json, "agent_says");
		return;
	}
	words = standing_of(load, service);
	line[words_format(&words, line) - 1] = '\0';
	view_addr(json, "agent_listen", &s->agent_listen);
	json_put_string(json, "agent_says", line);
}
