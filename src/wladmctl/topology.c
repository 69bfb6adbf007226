/*
 * topology: this site, the others, and the links to them, as text or as a graph.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "wladmctl/text.h"
#include "wladmctl/wladmctl.h"

static void
print_line(FILE *out, const struct table_style *style, enum table_colour colour, char *text)
{
	table_harmless(text);
	table_text(out, style, colour, text);
	fputc('\n', out);
	free(text);
}

static void
text_own(const json_t *summary, FILE *out, const struct table_style *style)
{
	const json_t *o;
	size_t i;

	print_line(out, style, TABLE_HEAD, xstrdup(text_string(summary, "site")));
	json_array_foreach (json_object_get(summary, "services"), i, o) {
		char load[TEXT_SHORT];

		print_line(out, style, TABLE_PLAIN,
		    xasprintf("    %s: %.0f of %.0f servers up, load %s, %.0f active",
			text_string(o, "service"), text_number(o, "servers_up"),
			text_number(o, "servers"), text_percent(text_number(o, "load"), load),
			text_number(o, "active")));
	}
}

static void
text_path(const json_t *site, FILE *out, const struct table_style *style)
{
	const char *path = text_string(site, "path");
	char rtt[TEXT_SHORT], loss[TEXT_SHORT], mtu[TEXT_SHORT], rule[TEXT_SHORT];

	print_line(out, style, text_state_colour(path),
	    xasprintf("    path %s: rtt %s, loss %s, MTU %s, direct %s, rule %s", path,
		text_ms(site, "path_rtt_ms", rtt), text_share(site, "path_loss", loss),
		text_exact(site, "path_mtu", mtu), text_string(site, "direct"),
		text_exact(site, "rule", rule)));
}

static void
text_link(const json_t *site, FILE *out, const struct table_style *style)
{
	const char *state = text_string(site, "state");
	const json_t *reason = json_object_get(site, "reason"), *o;
	size_t i;

	print_line(out, style, text_state_colour(state),
	    xasprintf("<-> %s: %s%s%s, session %s, sent %.0f, got %.0f",
		text_string(site, "site"), state, json_is_string(reason) ? ": " : "",
		json_is_string(reason) ? json_string_value(reason) : "",
		text_string(site, "session"), text_number(site, "transferred_active"),
		text_number(site, "received_active")));
	text_path(site, out, style);
	json_array_foreach (json_object_get(site, "services"), i, o) {
		char load[TEXT_SHORT];

		if (!json_is_number(json_object_get(o, "servers_up")))
			print_line(out, style, TABLE_PLAIN,
			    xasprintf("    %s: not reported", text_string(o, "service")));
		else
			print_line(out, style, TABLE_PLAIN,
			    xasprintf("    %s: %.0f servers up, load %s, %s",
				text_string(o, "service"), text_number(o, "servers_up"),
				text_percent(text_number(o, "load"), load),
				text_true(o, "permitted") ? "permitted" : "prohibited"));
	}
}

void
topology_text(
    const json_t *summary, const json_t *sites, FILE *out, const struct table_style *style)
{
	const json_t *site;
	size_t i;

	text_own(summary, out, style);
	json_array_foreach (json_object_get(sites, "sites"), i, site)
		text_link(site, out, style);
}

/* Inside a string of graphviz. */
static void
put_quoted(FILE *out, const char *text)
{
	char *copy = xstrdup(text);

	table_harmless(copy);
	for (const char *s = copy; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', out);
		fputc(*s, out);
	}
	free(copy);
}

/* A box with a line for each service: how many servers are up, and the load. */
static void
dot_node(FILE *out, const json_t *site, bool alive)
{
	const json_t *o;
	size_t i;

	fputs("\t\"", out);
	put_quoted(out, text_string(site, "site"));
	fputs("\" [label=\"", out);
	put_quoted(out, text_string(site, "site"));
	json_array_foreach (json_object_get(site, "services"), i, o) {
		char load[TEXT_SHORT];

		fputs("\\n", out);
		put_quoted(out, text_string(o, "service"));
		if (json_is_number(json_object_get(o, "servers_up")))
			fprintf(out, " %.0f up, %s", text_number(o, "servers_up"),
			    text_percent(text_number(o, "load"), load));
	}
	fprintf(out, "\"%s];\n", alive ? "" : ", color=red");
}

/* How many connections go that way; from here also by which rule, and how far it is. */
static void
dot_edge(FILE *out, const char *from, const char *to, double connections, const char *how,
    bool alive)
{
	fputs("\t\"", out);
	put_quoted(out, from);
	fputs("\" -> \"", out);
	put_quoted(out, to);
	fprintf(out, "\" [label=\"%.0f%s\"%s];\n", connections, how,
	    alive ? "" : ", color=red, style=dashed");
}

void
topology_dot(const json_t *summary, const json_t *sites, FILE *out)
{
	const char *own = text_string(summary, "site");
	const json_t *site;
	size_t i;

	fputs("digraph wlad {\n\tnode [shape=box];\n", out);
	dot_node(out, summary, true);
	json_array_foreach (json_object_get(sites, "sites"), i, site) {
		const char *name = text_string(site, "site");
		bool alive = strcmp(text_string(site, "state"), "up") == 0;
		char how[3 * TEXT_SHORT], rtt[TEXT_SHORT], rule[TEXT_SHORT];

		snprintf(how, sizeof(how), " by rule %s\\n%s", text_exact(site, "rule", rule),
		    text_ms(site, "path_rtt_ms", rtt));
		dot_node(out, site, alive);
		dot_edge(out, own, name, text_number(site, "transferred_active"), how, alive);
		dot_edge(out, name, own, text_number(site, "received_active"), "", alive);
	}
	fputs("}\n", out);
}

int
topology_main(const struct options *options, bool dot)
{
	struct table_style style = wladmctl_style();
	json_t *summary, *sites = NULL;
	int status;

	summary = wladmctl_ask(options, "show summary", &status);
	if (status == EXIT_DONE)
		sites = wladmctl_ask(options, "show sites", &status);
	if (status == EXIT_DONE && dot)
		topology_dot(summary, sites, stdout);
	else if (status == EXIT_DONE)
		topology_text(summary, sites, stdout, &style);
	json_decref(summary);
	json_decref(sites);
	if (fflush(stdout) != 0 || ferror(stdout))
		return EXIT_REFUSED;
	return status;
}
