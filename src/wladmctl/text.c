#include "wladmctl/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#define COLUMNS(array) (sizeof(array) / sizeof((array)[0]))

static void
rate_line(const json_t *answer, FILE *out, const char *name, const char *prefix)
{
	static const char *const keys[] = {"packets_in", "bytes_in", "packets_out", "bytes_out"};
	char key[64], text[4][TEXT_SHORT];

	for (size_t i = 0; i < 4; i++) {
		snprintf(key, sizeof(key), "%s%s_per_second", prefix, keys[i]);
		text_count(text_number(answer, key), text[i]);
	}
	fprintf(out, "%-12s in %s packets/s, %sB/s; out %s packets/s, %sB/s\n", name, text[0],
	    text[1], text[2], text[3]);
}

static void
summary_services(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"UP", true},
	    {"LOAD", true}, {"ACTIVE", true}, {"TRANSFERRED", true}, {"RECEIVED", true}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "services"), i, o) {
		text_cell_string(table, o, "service");
		text_cell_up(table, o);
		text_cell_percent(table, o, "load");
		text_cell_count(table, o, "active");
		text_cell_count(table, o, "transferred_active");
		text_cell_count(table, o, "received_active");
	}
	table_print(table, out, style);
	table_free(table);
}

static void
summary_sites(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"STATE", false},
	    {"SESSION", false}, {"PATH", false}, {"RULE", true}, {"TRANSFERRED", true},
	    {"RECEIVED", true}, {"WHY NOT", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "sites"), i, o) {
		text_cell_string(table, o, "site");
		text_cell_state(table, o, "state");
		text_cell_state(table, o, "session");
		text_cell_state(table, o, "path");
		text_cell_count(table, o, "rule");
		text_cell_count(table, o, "transferred_active");
		text_cell_count(table, o, "received_active");
		text_cell_remark(table, o, "reason");
	}
	if (i > 0)
		fputc('\n', out);
	table_print(table, out, style);
	table_free(table);
}

static void
print_summary(const json_t *answer, FILE *out, const struct table_style *style)
{
	char up[TEXT_SHORT], live[TEXT_SHORT], limit[TEXT_SHORT], fresh[TEXT_SHORT];

	fprintf(out, "site %s, wlad %s, up %s\n\n", text_string(answer, "site"),
	    text_string(answer, "version"), text_seconds(text_number(answer, "uptime_s"), up));
	fprintf(out, "%-12s %s of %s, %s new/s\n", "connections",
	    text_count(text_number(answer, "connections"), live),
	    text_count(text_number(answer, "connections_limit"), limit),
	    text_count(text_number(answer, "new_per_second"), fresh));
	rate_line(answer, out, "device", "");
	rate_line(answer, out, "transfer", "transfer_");
	fputc('\n', out);
	summary_services(answer, out, style);
	summary_sites(answer, out, style);
}

/* Worth a word only where other sites may not send connections, or an administrator said so. */
static void
cell_transfer(struct table *table, const json_t *o)
{
	bool set = json_is_boolean(json_object_get(o, "permitted_admin"));

	if (json_is_false(json_object_get(o, "permitted")))
		table_cell(table, TABLE_WARN, "prohibit%s", set ? " (set)" : "");
	else
		table_cell(table, TABLE_PLAIN, "%s", set ? "permit (set)" : "");
}

static void
print_services(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"ADDRESS", false},
	    {"UP", true}, {"LOAD", true}, {"ACTIVE", true}, {"TOTAL", true}, {"SENT", true},
	    {"GOT", true}, {"TRANSFER", false}, {"PORTS", false}, {"AGENT SAYS", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "services"), i, o) {
		text_cell_string(table, o, "service");
		text_cell_string(table, o, "address");
		text_cell_up(table, o);
		text_cell_percent(table, o, "load");
		text_cell_count(table, o, "active");
		text_cell_count(table, o, "total");
		text_cell_count(table, o, "transferred_active");
		text_cell_count(table, o, "received_active");
		cell_transfer(table, o);
		table_cell(table, TABLE_PLAIN, "%s %s", text_string(o, "protocol"),
		    text_string(o, "ports"));
		text_cell_agent_says(table, o);
	}
	table_print(table, out, style);
	table_free(table);
}

/* The measured state, and what is worth knowing besides. */
static void
cell_server_state(struct table *table, const json_t *o)
{
	const char *state = text_string(o, "state");

	if (json_is_false(json_object_get(o, "present")))
		table_cell(table, TABLE_WARN, "removed");
	else if (strcmp(state, "up") == 0 && text_true(o, "avoided"))
		table_cell(table, TABLE_WARN, "up, silent");
	else if (strcmp(state, "up") == 0 && text_true(o, "high"))
		table_cell(table, TABLE_WARN, "up, high");
	else
		table_cell(table, text_state_colour(state), "%s", state);
}

/* With the configured one if an administrator set another. */
static void
cell_weight(struct table *table, const json_t *o)
{
	char set[TEXT_SHORT], configured[TEXT_SHORT];

	if (json_is_number(json_object_get(o, "weight_admin")))
		table_cell(table, TABLE_WARN, "%s (%s)",
		    text_count(text_number(o, "weight"), set),
		    text_count(text_number(o, "weight_configured"), configured));
	else
		text_cell_count(table, o, "weight");
}

/* What of a server is an administrator's: "added", "port, weight set"; nothing if nothing is. */
static void
cell_changed(struct table *table, const json_t *o)
{
	const json_t *changed = json_object_get(o, "changed"), *value;
	char text[256] = "";
	size_t i;

	if (text_true(o, "removed") || strcmp(text_string(o, "origin"), "run-time") == 0) {
		table_cell(
		    table, TABLE_WARN, "%s", text_true(o, "removed") ? "removed" : "added");
		return;
	}
	json_array_foreach (changed, i, value)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
		    i > 0 ? ", " : "", json_is_string(value) ? json_string_value(value) : "-");
	table_cell(table, TABLE_WARN, "%s%s", text, i > 0 ? " set" : "");
}

/* How soon it answers; nothing if that is not known. */
static void
cell_response(struct table *table, const json_t *o)
{
	double ms = text_number(o, "response_ms");

	if (!json_is_number(json_object_get(o, "response_ms")))
		table_cell(table, TABLE_PLAIN, "%s", "");
	else
		table_cell(table, TABLE_PLAIN, ms < 10 ? "%.2f ms" : "%.0f ms", ms);
}

static void
print_servers(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"SERVER", false},
	    {"ADDRESS", false}, {"STATE", false}, {"ADMIN", false}, {"LOAD", true},
	    {"WEIGHT", true}, {"ACTIVE", true}, {"TOTAL", true}, {"ANSWERS IN", true},
	    {"CHANGED", false}, {"AGENT", false}, {"CAUSE", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "servers"), i, o) {
		text_cell_string(table, o, "service");
		text_cell_string(table, o, "name");
		text_cell_string(table, o, "address");
		cell_server_state(table, o);
		text_cell_state(table, o, "admin");
		text_cell_percent(table, o, "load");
		cell_weight(table, o);
		text_cell_count(table, o, "active");
		text_cell_count(table, o, "total");
		cell_response(table, o);
		cell_changed(table, o);
		text_cell_agent(table, o);
		text_cell_remark(table, o, "cause");
	}
	table_print(table, out, style);
	table_free(table);
}

static void
print_numbers(const json_t *object, FILE *out, bool all)
{
	const char *key;
	json_t *value;
	bool some = false;

	json_object_foreach ((json_t *)object, key, value) {
		if (!all && json_number_value(value) <= 0)
			continue;
		fprintf(out, "  %-28s %16.0f\n", key, json_number_value(value));
		some = true;
	}
	if (!some)
		fputs("  none\n", out);
}

static void
print_counters(const json_t *answer, FILE *out, const struct table_style *style)
{
	table_text(out, style, TABLE_HEAD, "COUNTERS\n");
	print_numbers(json_object_get(answer, "counters"), out, true);
	table_text(out, style, TABLE_HEAD, "PACKETS DROPPED\n");
	print_numbers(json_object_get(answer, "drops"), out, false);
}

/* An edit: what became of the server. */
static void
print_edit(const json_t *answer, FILE *out, const struct table_style *style)
{
	const char *done = text_string(answer, "done"), *admin = text_string(answer, "admin");
	char active[TEXT_SHORT], *text;

	fprintf(out, "%s/%s: ", text_string(answer, "service"), text_string(answer, "name"));
	table_text(out, style, TABLE_GOOD, done);
	text_count(text_number(answer, "active"), active);
	if (strcmp(done, "removed") == 0) {
		fprintf(out, ", %s connections\n", active);
		return;
	}
	text =
	    xasprintf(", %s, weight %.0f, at most %.0f connections%s, %s, measured %s, now %s",
		text_string(answer, "address"), text_number(answer, "weight"),
		text_number(answer, "max_connections"),
		text_true(answer, "backup") ? ", backup" : "", admin,
		text_string(answer, "state"), active);
	table_harmless(text);
	fputs(text, out);
	fputc('\n', out);
	free(text);
}

static void
print_server(const json_t *answer, FILE *out, const struct table_style *style)
{
	const char *admin = text_string(answer, "admin"), *state = text_string(answer, "state");
	const json_t *weight = json_object_get(answer, "weight_admin");
	char active[TEXT_SHORT];

	if (json_object_get(answer, "done") != NULL) {
		print_edit(answer, out, style);
		return;
	}
	fprintf(out, "%s/%s: ", text_string(answer, "service"), text_string(answer, "name"));
	table_text(out, style, text_state_colour(admin), admin);
	fprintf(out, " (was %s), measured ", text_string(answer, "before"));
	table_text(out, style, text_state_colour(state), state);
	fprintf(out, ", %s connections", text_count(text_number(answer, "active"), active));
	if (json_is_number(weight) ||
	    text_number(answer, "weight") != text_number(answer, "weight_before"))
		fprintf(out, ", weight %.0f (was %.0f, configured %.0f)",
		    text_number(answer, "weight"), text_number(answer, "weight_before"),
		    text_number(answer, "weight_configured"));
	fputc('\n', out);
}

static void
print_log(const json_t *answer, FILE *out, const struct table_style *style)
{
	(void)style;
	fprintf(out, "log level %s\n", text_string(answer, "level"));
}

static void
print_version(const json_t *answer, FILE *out, const struct table_style *style)
{
	(void)style;
	fprintf(out, "wlad %s at site %s\n", text_string(answer, "version"),
	    text_string(answer, "site"));
}

static void
print_help(const json_t *answer, FILE *out, const struct table_style *style)
{
	const json_t *o;
	size_t i;

	(void)style;
	json_array_foreach (json_object_get(answer, "commands"), i, o)
		fprintf(out, "%s\n        %s%s\n", text_string(o, "command"),
		    text_string(o, "help"),
		    strcmp(text_string(o, "right"), "change") == 0 ? " (*)" : "");
	fputs("(*) root and the daemon's user only\n", out);
}

static const struct {
	const char *view;
	void (*print)(const json_t *answer, FILE *out, const struct table_style *style);
} views[] = {
    {"summary", print_summary},
    {"services", print_services},
    {"servers", print_servers},
    {"sites", text_sites},
    {"connections", text_connections},
    {"persistence", text_persistence},
    {"limits", text_limits},
    {"flush", text_flush},
    {"counters", print_counters},
    {"keys", text_keys},
    {"config", text_config},
    {"errors", text_errors},
    {"explain", text_explain},
    {"server", print_server},
    {"site", text_site},
    {"transfer", text_transfer},
    {"probe", text_probe},
    {"reload", text_reload},
    {"save", text_save},
    {"log", print_log},
    {"version", print_version},
    {"help", print_help},
};

void
text_print(const json_t *answer, FILE *out, const struct table_style *style)
{
	const char *view = text_string(answer, "view");

	for (size_t i = 0; i < COLUMNS(views); i++) {
		if (strcmp(views[i].view, view) == 0) {
			views[i].print(answer, out, style);
			return;
		}
	}
	json_dumpf(answer, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
	fputc('\n', out);
}
