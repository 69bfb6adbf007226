/*
 * text_connections: connections as text, all of an answer or as they come.
 */
#include <string.h>

#include "wladmctl/text.h"

/* The server, or the site that has it, or the site that it is served for. */
static void
cell_served(struct table *table, const json_t *o)
{
	const char *kind = text_string(o, "kind");

	if (strcmp(kind, "transferred") == 0 && json_is_string(json_object_get(o, "server")))
		table_cell(table, TABLE_PLAIN, "%s at %s", text_string(o, "server"),
		    text_string(o, "transferee"));
	else if (strcmp(kind, "transferred") == 0)
		table_cell(table, TABLE_PLAIN, "at %s", text_string(o, "transferee"));
	else if (strcmp(kind, "received") == 0)
		table_cell(table, TABLE_PLAIN, "%s for %s", text_string(o, "server"),
		    text_string(o, "transferor"));
	else
		table_cell(table, TABLE_PLAIN, "%s", text_string(o, "server"));
}

/* Nothing where there is none: without rule 3 the column is left out. */
static void
cell_port(struct table *table, const json_t *o, const char *key)
{
	const json_t *port = json_object_get(o, key);

	if (json_is_number(port))
		table_cell(table, TABLE_PLAIN, "%.0f", json_number_value(port));
	else
		table_cell(table, TABLE_PLAIN, "%s", "");
}

struct table *
text_connections_table(void)
{
	static const struct table_column columns[] = {{"PROTO", false}, {"CLIENT", false},
	    {"SERVICE ADDRESS", false}, {"SERVER", false}, {"STATE", false}, {"KIND", false},
	    {"RULE", true}, {"RELAY PORT", true}, {"IDLE", true}, {"PACKETS", true},
	    {"BYTES", true}};

	return table_new(columns, sizeof(columns) / sizeof(columns[0]));
}

void
text_connections_row(struct table *table, const json_t *o)
{
	text_cell_string(table, o, "protocol");
	text_cell_string(table, o, "client");
	text_cell_string(table, o, "service_address");
	cell_served(table, o);
	text_cell_state(table, o, "state");
	text_cell_string(table, o, "kind");
	text_cell_count(table, o, "rule");
	cell_port(table, o, "relay_port");
	text_cell_seconds(table, o, "idle_ms", 0.001);
	text_cell_count(table, o, "packets");
	text_cell_count(table, o, "bytes");
}

void
text_connections_end(const json_t *answer, FILE *out)
{
	fprintf(out, "%.0f shown of %.0f%s\n", text_number(answer, "listed"),
	    text_number(answer, "live"),
	    text_true(answer, "truncated") ? ", truncated: see limit" : "");
}

void
text_connections(const json_t *answer, FILE *out, const struct table_style *style)
{
	struct table *table = text_connections_table();
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "connections"), i, o)
		text_connections_row(table, o);
	table_print(table, out, style);
	table_free(table);
	text_connections_end(answer, out);
}
