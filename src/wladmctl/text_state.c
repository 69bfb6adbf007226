/*
 * text_state: what is in force, and what is wrong with it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "wladmctl/text.h"

#define COLUMNS(array) (sizeof(array) / sizeof((array)[0]))
#define EXPIRY_WARN    (30 * 86400.0) /* seconds */

void
text_event(const json_t *event, FILE *out, const struct table_style *style)
{
	static const enum table_colour colours[] = {TABLE_BAD, TABLE_WARN, TABLE_PLAIN};
	static const char *const levels[] = {"error", "warn"};
	const char *level = text_string(event, "level"), *key;
	const json_t *value;
	char *line = xstrdup(text_string(event, "text")), *longer;
	size_t i = 0;

	while (i < COLUMNS(levels) && strcmp(levels[i], level) != 0)
		i++;
	json_object_foreach (json_object_get(event, "fields"), key, value) {
		const char *text = json_is_string(value) ? json_string_value(value) : "-";
		const char *quote = *text == '\0' || strchr(text, ' ') != NULL ? "\"" : "";

		longer = xasprintf(
		    "%s%s%s=%s%s%s", line, *line != '\0' ? " " : "", key, quote, text, quote);
		free(line);
		line = longer;
	}
	longer = xasprintf("%s %-5s %s", text_string(event, "time"), level, line);
	table_harmless(longer);
	table_text(out, style, colours[i], longer);
	fputc('\n', out);
	free(longer);
	free(line);
}

void
text_keys(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"DIRECTION", false},
	    {"INDEX", false}, {"CIPHER", false}, {"EPOCH", true}, {"PACKETS", true},
	    {"USABLE", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	if (json_array_size(json_object_get(answer, "keys")) == 0)
		fputs("no keys\n", out);
	json_array_foreach (json_object_get(answer, "keys"), i, o) {
		bool usable = text_true(o, "usable");

		text_cell_string(table, o, "site");
		text_cell_string(table, o, "direction");
		text_cell_string(table, o, "index");
		text_cell_string(table, o, "cipher");
		text_cell_count(table, o, "epoch");
		text_cell_count(table, o, "packets");
		table_cell(table, usable ? TABLE_GOOD : TABLE_BAD, "%s", usable ? "yes" : "no");
	}
	table_print(table, out, style);
	table_free(table);
}

/* A text of several lines. */
static void
print_lines(const char *text, FILE *out)
{
	char *copy = xstrdup(text), *next = copy, *line;

	while ((line = strsep(&next, "\n")) != NULL) {
		if (next == NULL && *line == '\0')
			break;
		table_harmless(line);
		fprintf(out, "%s\n", line);
	}
	free(copy);
}

void
text_config(const json_t *answer, FILE *out, const struct table_style *style)
{
	(void)style;
	print_lines(text_string(answer, "text"), out);
}

static void
print_faults(const json_t *o, FILE *out)
{
	const json_t *fault;
	size_t i;

	json_array_foreach (json_object_get(o, "faults"), i, fault)
		print_lines(json_is_string(fault) ? json_string_value(fault) : "-", out);
}

void
text_reload(const json_t *answer, FILE *out, const struct table_style *style)
{
	if (text_true(answer, "reloaded"))
		table_text(out, style, TABLE_GOOD, "reloaded\n");
	else
		table_text(out, style, TABLE_BAD, "not reloaded, the old configuration stays:\n");
	print_faults(answer, out);
}

/* What became of a configuration that was saved. */
void
text_save(const json_t *answer, FILE *out, const struct table_style *style)
{
	const json_t *o;
	size_t i;

	fprintf(out, "wrote %s, without the comments that were there\n",
	    text_string(answer, "file"));
	if (text_true(answer, "kept"))
		fprintf(out, "the file before it is %s~\n", text_string(answer, "file"));
	json_array_foreach (json_object_get(answer, "included"), i, o)
		if (i > 0)
			fprintf(out, "no longer included: %s\n", text_string(o, "file"));
	json_array_foreach (json_object_get(answer, "unsaved"), i, o) {
		table_text(out, style, TABLE_WARN, "not in the file, lost with a restart: ");
		print_lines(json_is_string(o) ? json_string_value(o) : "-", out);
	}
	if (text_true(answer, "own"))
		text_reload(answer, out, style);
}

static bool
error_sites(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"STATE", false},
	    {"SESSION", false}, {"SINCE", true}, {"PATH", false}, {"DIRECT IN", false},
	    {"OUT", false}, {"WHY NOT", false}, {"LAST ERROR", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "sites"), i, o) {
		text_cell_string(table, o, "site");
		text_cell_state(table, o, "state");
		text_cell_state(table, o, "session");
		text_cell_seconds(table, o, "session_s", 1);
		text_cell_state(table, o, "path");
		text_cell_state(table, o, "direct");
		text_cell_state(table, o, "direct_out");
		text_cell_remark(table, o, "reason");
		text_cell_string(table, o, "error");
	}
	table_print(table, out, style);
	table_free(table);
	if (i > 0)
		fputc('\n', out);
	return i > 0;
}

static bool
error_servers(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false},
	    {"SERVER DOWN", false}, {"ADDRESS", false}, {"SINCE", true}, {"CAUSE", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "servers"), i, o) {
		text_cell_string(table, o, "service");
		table_cell(table, TABLE_BAD, "%s", text_string(o, "name"));
		text_cell_string(table, o, "address");
		text_cell_seconds(table, o, "since_s", 1);
		text_cell_string(table, o, "cause");
	}
	table_print(table, out, style);
	table_free(table);
	if (i > 0)
		fputc('\n', out);
	return i > 0;
}

static bool
error_drops(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {
	    {"PACKETS DROPPED", false}, {"COUNT", true}, {"MEANING", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "drops"), i, o) {
		text_cell_string(table, o, "reason");
		text_cell_count(table, o, "count");
		text_cell_string(table, o, "help");
	}
	table_print(table, out, style);
	table_free(table);
	if (i > 0)
		fputc('\n', out);
	return i > 0;
}

/* A reload that was done is worth a line, but is no error. */
static bool
error_reload(const json_t *answer, FILE *out, const struct table_style *style)
{
	const json_t *o = json_object_get(answer, "reload");
	bool done = text_true(o, "reloaded");
	char ago[TEXT_SHORT];

	if (!json_is_object(o))
		return false;
	fprintf(out, "last reload %s ago: ", text_seconds(text_number(o, "since_s"), ago));
	table_text(out, style, done ? TABLE_GOOD : TABLE_BAD, done ? "done" : "refused");
	fputc('\n', out);
	print_faults(o, out);
	return !done;
}

static bool
error_certificate(const json_t *answer, FILE *out, const struct table_style *style)
{
	const json_t *o = json_object_get(answer, "certificate");
	double left = text_number(o, "left_s");
	char rest[TEXT_SHORT], *text;

	if (!json_is_object(o))
		return false;
	text = xasprintf("%s %s %s%s%s", left < 0 ? "expired" : "expires",
	    text_string(o, "expires"), left < 0 ? "" : "in ",
	    text_seconds(left < 0 ? -left : left, rest), left < 0 ? " ago" : "");
	table_harmless(text);
	print_lines(text_string(o, "file"), out);
	fputs("    ", out);
	table_text(out, style,
	    left < 0                 ? TABLE_BAD
		: left < EXPIRY_WARN ? TABLE_WARN
				     : TABLE_GOOD,
	    text);
	fputc('\n', out);
	free(text);
	return left < EXPIRY_WARN;
}

void
text_errors(const json_t *answer, FILE *out, const struct table_style *style)
{
	static bool (*const parts[])(const json_t *, FILE *, const struct table_style *) = {
	    error_sites, error_servers, error_drops, error_reload, error_certificate};
	bool some = false;

	for (size_t i = 0; i < COLUMNS(parts); i++)
		if (parts[i](answer, out, style))
			some = true;
	if (!some)
		table_text(out, style, TABLE_GOOD, "no errors\n");
}
