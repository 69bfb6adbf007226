/*
 * text_clients: what is remembered of clients.
 */
#include "wladmctl/text.h"

#define COLUMNS(array) (sizeof(array) / sizeof((array)[0]))

static void
totals(const json_t *answer, FILE *out)
{
	char entries[TEXT_SHORT], capacity[TEXT_SHORT];

	fprintf(out, "%s of %s places used", text_count(text_number(answer, "entries"), entries),
	    text_count(text_number(answer, "capacity"), capacity));
	if (text_number(answer, "forgotten") > 0)
		fprintf(out, ", %.0f clients forgotten early", text_number(answer, "forgotten"));
	if (text_true(answer, "truncated"))
		fputs("; there are more", out);
	fputc('\n', out);
}

void
text_persistence(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"CLIENT", false},
	    {"SERVER", false}, {"SITE", false}, {"CONNECTIONS", true}, {"FOR", true}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "clients"), i, o) {
		text_cell_string(table, o, "service");
		text_cell_string(table, o, "client");
		text_cell_remark(table, o, "server");
		text_cell_remark(table, o, "site");
		text_cell_exact(table, o, "connections");
		text_cell_seconds(table, o, "remaining_s", 1);
	}
	table_print(table, out, style);
	table_free(table);
	totals(answer, out);
}

static void
cell_limit(struct table *table, const json_t *o, const char *key)
{
	if (text_number(o, key) > 0)
		table_cell(table, TABLE_PLAIN, "%g", text_number(o, key));
	else
		table_cell(table, TABLE_PLAIN, "-");
}

static void
limits_of_services(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"CONNECTIONS", true},
	    {"RATE", true}, {"BURST", true}, {"MASKS", false}, {"REFUSED", true},
	    {"BY RATE", true}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "services"), i, o) {
		text_cell_string(table, o, "service");
		cell_limit(table, o, "connections");
		cell_limit(table, o, "rate");
		cell_limit(table, o, "burst");
		table_cell(table, TABLE_PLAIN, "/%.0f /%.0f", text_number(o, "mask_v4"),
		    text_number(o, "mask_v6"));
		text_cell_count(table, o, "refused_connections");
		text_cell_count(table, o, "refused_rate");
	}
	if (i == 0)
		fputs("no limits for clients\n", out);
	table_print(table, out, style);
	table_free(table);
	if (i > 0)
		fputc('\n', out);
}

void
text_limits(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"CLIENT", false},
	    {"CONNECTIONS", true}, {"MAY OPEN", true}, {"REFUSED", true}, {"LIMITED BY", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	limits_of_services(answer, out, style);
	json_array_foreach (json_object_get(answer, "clients"), i, o) {
		text_cell_string(table, o, "service");
		text_cell_string(table, o, "client");
		text_cell_exact(table, o, "connections");
		text_cell_exact(table, o, "tokens");
		text_cell_exact(table, o, "refused");
		text_cell_remark(table, o, "limited_by");
	}
	table_print(table, out, style);
	table_free(table);
	totals(answer, out);
}

void
text_flush(const json_t *answer, FILE *out, const struct table_style *style)
{
	(void)style;
	fprintf(out, "%.0f clients forgotten\n", text_number(answer, "flushed"));
}
