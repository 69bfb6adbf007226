/*
 * text_explain: why a connection would go where it would go.
 */
#include <string.h>

#include "wladmctl/text.h"

#define COLUMNS(array) (sizeof(array) / sizeof((array)[0]))

static void
print_head(const json_t *answer, FILE *out)
{
	const json_t *own = json_object_get(answer, "own");
	char load[TEXT_SHORT], high[TEXT_SHORT], gate[TEXT_SHORT];

	fprintf(out, "client %s to service %s (%s %s)\n", text_string(answer, "client"),
	    text_string(answer, "service"), text_string(answer, "protocol"),
	    text_string(answer, "service_address"));
	if (text_true(answer, "martian"))
		fputs("no client can have this address: its packets are dropped\n", out);
	fprintf(out, "own site: load %s of %.0f, high from %s, %.0f servers up, prefer %s\n",
	    text_percent(text_number(own, "load"), load), text_number(own, "capacity"),
	    text_percent(text_number(own, "high_load"), high), text_number(own, "servers_up"),
	    text_string(own, "prefer"));
	fprintf(out, "gate: %s of new connections may leave for a better site, by %s\n",
	    text_percent(text_number(own, "gate"), gate), text_string(own, "site_metric"));
	if (text_number(own, "weight") > 0)
		fprintf(out, "weight of the own site among them: %.1f\n",
		    text_number(own, "weight"));
	if (text_true(own, "last_resort"))
		fputs(
		    "no own server can take it: any other site that can is better than none\n",
		    out);
}

static void
print_existing(const json_t *answer, FILE *out)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "existing"), i, o)
		fprintf(out, "exists: %s to %s,\n        %s, %s, %s: it stays where it is\n",
		    text_string(o, "client"), text_string(o, "service_address"),
		    text_string(o, "state"), text_string(o, "kind"),
		    strcmp(text_string(o, "kind"), "transferred") == 0
			? text_string(o, "transferee")
			: text_string(o, "server"));
}

static void
cell_reason(struct table *table, const json_t *o)
{
	table_cell(table, text_true(o, "candidate") ? TABLE_GOOD : TABLE_WARN, "%s",
	    text_string(o, "reason"));
}

static void
print_sites(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"REASON", false},
	    {"CAPACITY", true}, {"LOAD", true}, {"FRESH", true}, {"SLOW START", true},
	    {"NEAR", true}, {"ANSWERS", true}, {"RATE", true}, {"WEIGHT", true}, {"GETS", true},
	    {"RULE", true}, {"WHY", false}};
	static const char *const factors[] = {"fresh", "slow_start", "near", "answers"};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "sites"), i, o) {
		text_cell_string(table, o, "site");
		cell_reason(table, o);
		text_cell_count(table, o, "capacity");
		text_cell_percent(table, o, "load");
		for (size_t k = 0; k < COLUMNS(factors); k++)
			table_cell(table, TABLE_PLAIN, "%.2f", text_number(o, factors[k]));
		if (text_true(o, "limited"))
			table_cell(table, TABLE_PLAIN, "%.1f", text_number(o, "rate"));
		else
			table_cell(table, TABLE_PLAIN, "%s", "any");
		table_cell(table, TABLE_PLAIN, "%.1f", text_number(o, "weight"));
		text_cell_percent(table, o, "probability");
		text_cell_count(table, o, "rule");
		table_cell(table, TABLE_PLAIN, "%s", text_string(o, "rule_reason"));
	}
	if (i > 0)
		fputc('\n', out);
	table_print(table, out, style);
	table_free(table);
}

static void
print_servers(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVER", false}, {"ADDRESS", false},
	    {"REASON", false}, {"WEIGHT", true}, {"ACTIVE", true}, {"MAX", true},
	    {"LOAD", true}, {"GETS", true}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "servers"), i, o) {
		text_cell_string(table, o, "name");
		text_cell_string(table, o, "address");
		cell_reason(table, o);
		text_cell_count(table, o, "weight");
		text_cell_count(table, o, "active");
		text_cell_count(table, o, "max_connections");
		text_cell_percent(table, o, "load");
		text_cell_percent(table, o, "probability");
	}
	if (i > 0)
		fputc('\n', out);
	table_print(table, out, style);
	table_free(table);
}

static void
print_client(const json_t *answer, FILE *out)
{
	const json_t *persistent = json_object_get(answer, "persistent");

	if (json_is_string(json_object_get(persistent, "server")))
		fprintf(out, "\nthe client's connections go to server %s (persistence)\n",
		    text_string(persistent, "server"));
	else if (json_is_object(persistent))
		fprintf(out, "\nthe client's connections go to site %s (persistence)\n",
		    text_string(persistent, "site"));
	if (json_is_string(json_object_get(answer, "limited_by")))
		fprintf(out, "\nthe client has used up its limit (%s): it is refused now\n",
		    text_string(answer, "limited_by"));
}

void
text_explain(const json_t *answer, FILE *out, const struct table_style *style)
{
	const json_t *outcome = json_object_get(answer, "outcome");
	char own[TEXT_SHORT], other[TEXT_SHORT], refused[TEXT_SHORT];

	print_head(answer, out);
	print_existing(answer, out);
	print_sites(answer, out, style);
	print_servers(answer, out, style);
	print_client(answer, out);
	fprintf(out, "\na new connection: own server %s, other site %s, refused %s (%s)\n",
	    text_percent(text_number(outcome, "own_server"), own),
	    text_percent(text_number(outcome, "other_site"), other),
	    text_percent(text_number(outcome, "refused"), refused),
	    text_string(answer, "scheduler"));
}
