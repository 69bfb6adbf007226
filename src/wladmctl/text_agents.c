/*
 * text_agents: agents in the tables of servers and services.
 */
#include <stdio.h>

#include "wladmctl/text.h"

#define AGENT_TEXT 256

/* "drain 75% at most 30 #why", "ready"; what it says of no consequence is left out. */
static void
words_text(const json_t *agent, char buf[AGENT_TEXT])
{
	const json_t *limit = json_object_get(agent, "max_connections");
	const json_t *description = json_object_get(agent, "description");
	double weight = text_number(agent, "weight");
	bool absolute = text_true(agent, "weight_absolute");
	size_t len;

	len = (size_t)snprintf(buf, AGENT_TEXT, "%s%s",
	    text_true(agent, "down") ? "down, " : "", text_string(agent, "admin"));
	if (absolute)
		len += (size_t)snprintf(buf + len, AGENT_TEXT - len, ", weight %.0f", weight);
	else if (weight < 100 || weight > 100)
		len += (size_t)snprintf(buf + len, AGENT_TEXT - len, ", %.0f%%", weight);
	if (json_is_number(limit))
		len += (size_t)snprintf(
		    buf + len, AGENT_TEXT - len, ", at most %.0f", json_number_value(limit));
	if (json_is_string(description))
		snprintf(buf + len, AGENT_TEXT - len, ", \"%s\"", json_string_value(description));
}

void
text_cell_agent(struct table *table, const json_t *server)
{
	const json_t *agent = json_object_get(server, "agent");
	const char *fault = json_string_value(json_object_get(agent, "fault"));
	bool said = json_is_number(json_object_get(agent, "age_s"));
	bool out = json_is_string(json_object_get(agent, "cause"));
	char words[AGENT_TEXT], age[TEXT_SHORT];

	if (!json_is_object(agent)) {
		table_cell(table, TABLE_PLAIN, "%s", "");
		return;
	}
	if (!said) {
		table_cell(table, TABLE_WARN, "%s", fault != NULL ? fault : "not asked yet");
		return;
	}
	words_text(agent, words);
	if (fault == NULL)
		table_cell(table, out ? TABLE_WARN : TABLE_PLAIN, "%s", words);
	else
		table_cell(table, TABLE_WARN, "%s (%s ago; %s)", words,
		    text_seconds(text_number(agent, "age_s"), age), fault);
}

void
text_cell_agent_says(struct table *table, const json_t *service)
{
	const json_t *says = json_object_get(service, "agent_says");

	table_cell(table, TABLE_PLAIN, "%s", json_is_string(says) ? json_string_value(says) : "");
}
