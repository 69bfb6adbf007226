/*
 * text_sites: the other sites, the ways to them, and what was changed or measured there.
 */
#include <string.h>

#include "wladmctl/text.h"

#define COLUMNS(array) (sizeof(array) / sizeof((array)[0]))

static void
cell_ms(struct table *table, const json_t *o, const char *key)
{
	char buf[TEXT_SHORT];

	table_cell(table, TABLE_PLAIN, "%s", text_ms(o, key, buf));
}

static void
session_rows(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"STATE", false},
	    {"SESSION", false}, {"SINCE", true}, {"RTT", true}, {"TRANSFERRED", true},
	    {"RECEIVED", true}, {"WHY NOT", false}, {"ERROR", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "sites"), i, o) {
		text_cell_string(table, o, "site");
		text_cell_state(table, o, "state");
		text_cell_state(table, o, "session");
		text_cell_seconds(table, o, "session_s", 1);
		cell_ms(table, o, "rtt_ms");
		text_cell_count(table, o, "transferred_active");
		text_cell_count(table, o, "received_active");
		text_cell_remark(table, o, "reason");
		text_cell_remark(table, o, "error");
	}
	table_print(table, out, style);
	table_free(table);
}

static void
path_rows(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"PATH", false},
	    {"SINCE", true}, {"RTT", true}, {"LOSS", true}, {"MTU", true}, {"MTU IN", true},
	    {"DIRECT IN", false}, {"OUT", false}, {"RULE", true}, {"WHY", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "sites"), i, o) {
		text_cell_string(table, o, "site");
		text_cell_state(table, o, "path");
		text_cell_seconds(table, o, "path_s", 1);
		cell_ms(table, o, "path_rtt_ms");
		text_cell_percent(table, o, "path_loss");
		text_cell_exact(table, o, "path_mtu");
		text_cell_exact(table, o, "peer_mtu");
		text_cell_state(table, o, "direct");
		text_cell_state(table, o, "direct_out");
		text_cell_count(table, o, "rule");
		/* rule 2 is as it should be, and needs no reason */
		table_cell(table, TABLE_PLAIN, "%s",
		    text_number(o, "rule") == 3 ? text_string(o, "rule_reason") : "");
	}
	if (i > 0)
		fputc('\n', out);
	table_print(table, out, style);
	table_free(table);
}

static void
service_row(struct table *table, const json_t *site, const json_t *o)
{
	const json_t *permitted = json_object_get(o, "permitted");

	text_cell_string(table, site, "site");
	text_cell_string(table, o, "service");
	text_cell_count(table, o, "servers_up");
	text_cell_count(table, o, "servers_not_high");
	text_cell_count(table, o, "transferable");
	if (json_is_boolean(permitted))
		table_cell(table, json_is_true(permitted) ? TABLE_GOOD : TABLE_WARN, "%s",
		    json_is_true(permitted) ? "yes" : "no");
	else
		table_cell(table, TABLE_PLAIN, "-");
	text_cell_percent(table, o, "load");
	text_cell_seconds(table, o, "age_ms", 0.001);
	text_cell_count(table, o, "transferred_active");
	text_cell_count(table, o, "received_active");
	table_cell(table, TABLE_WARN, "%s",
	    json_is_false(json_object_get(o, "candidate")) ? text_string(o, "reason") : "");
}

static void
service_rows(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"SERVICE", false},
	    {"UP", true}, {"NOT HIGH", true}, {"FREE", true}, {"PERMITTED", false},
	    {"LOAD", true}, {"AGE", true}, {"SENT", true}, {"GOT", true}, {"WHY NOT", false}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *site, *o;
	size_t i, k, rows = 0;

	json_array_foreach (json_object_get(answer, "sites"), i, site) {
		json_array_foreach (json_object_get(site, "services"), k, o) {
			service_row(table, site, o);
			rows++;
		}
	}
	if (rows > 0)
		fputc('\n', out);
	table_print(table, out, style);
	table_free(table);
}

void
text_sites(const json_t *answer, FILE *out, const struct table_style *style)
{
	if (json_array_size(json_object_get(answer, "sites")) == 0)
		fputs("no other sites\n", out);
	session_rows(answer, out, style);
	path_rows(answer, out, style);
	service_rows(answer, out, style);
}

void
text_site(const json_t *answer, FILE *out, const struct table_style *style)
{
	const char *admin = text_string(answer, "admin"), *state = text_string(answer, "state");
	char active[TEXT_SHORT];

	fprintf(out, "%s: ", text_string(answer, "site"));
	table_text(out, style, text_state_colour(admin), admin);
	fprintf(out, " (was %s)\nstate ", text_string(answer, "before"));
	table_text(out, style, text_state_colour(state), state);
	if (json_is_string(json_object_get(answer, "reason")))
		fprintf(out, " (%s)", text_string(answer, "reason"));
	fprintf(out, ", %s connections there\n",
	    text_count(text_number(answer, "transferred_active"), active));
}

static void
cell_permission(struct table *table, const json_t *o, const char *key)
{
	bool yes = text_true(o, key);

	table_cell(table, yes ? TABLE_GOOD : TABLE_WARN, "%s", yes ? "permit" : "prohibit");
}

void
text_transfer(const json_t *answer, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"TRANSFER", false},
	    {"WAS", false}, {"CONFIGURED", false}, {"RECEIVED", true}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(answer, "services"), i, o) {
		text_cell_string(table, o, "service");
		cell_permission(table, o, "permitted");
		cell_permission(table, o, "permitted_before");
		cell_permission(table, o, "permitted_configured");
		text_cell_count(table, o, "received_active");
	}
	table_print(table, out, style);
	table_free(table);
}

/* "ok", or "ok (not measured now)" if the probe did not show it again. */
static void
print_found(const json_t *answer, FILE *out, const struct table_style *style, const char *name,
    const char *key, const char *confirmed)
{
	const char *state = text_string(answer, key);

	fprintf(out, "%-12s ", name);
	table_text(out, style, text_state_colour(state), state);
	if (confirmed != NULL && !text_true(answer, confirmed))
		fputs(" (not measured now)", out);
	fputc('\n', out);
}

static void
print_mtu(const json_t *answer, FILE *out)
{
	char there[TEXT_SHORT], back[TEXT_SHORT];

	fprintf(out, "%-12s %s there%s, %s back\n", "path MTU",
	    text_exact(answer, "path_mtu", there),
	    text_true(answer, "mtu_confirmed") ? "" : " (not measured now)",
	    text_exact(answer, "peer_mtu", back));
}

void
text_probe(const json_t *answer, FILE *out, const struct table_style *style)
{
	const char *path = text_string(answer, "path");
	char since[TEXT_SHORT], rtt[TEXT_SHORT], loss[TEXT_SHORT], waited[TEXT_SHORT];

	fprintf(out, "site %s: ", text_string(answer, "site"));
	if (text_true(answer, "answered"))
		table_text(out, style, TABLE_GOOD, "answered");
	else
		table_text(out, style, TABLE_BAD, "no answer");
	fprintf(
	    out, " within %s\n", text_seconds(text_number(answer, "waited_ms") / 1000, waited));
	fprintf(out, "%-12s ", "path");
	table_text(out, style, text_state_colour(path), path);
	fprintf(out, " for %s, round trip %s, loss %s\n",
	    text_seconds(text_number(answer, "path_s"), since),
	    text_ms(answer, "path_rtt_ms", rtt), text_share(answer, "path_loss", loss));
	print_mtu(answer, out);
	print_found(answer, out, style, "direct here", "direct", NULL);
	print_found(answer, out, style, "direct there", "direct_out", "direct_judged");
	fprintf(out, "%-12s %.0f: %s\n", "rule", text_number(answer, "rule"),
	    text_string(answer, "rule_reason"));
}
