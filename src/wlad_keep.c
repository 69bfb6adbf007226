/*
 * wlad_keep: rules of policy routing for servers that see their clients' own addresses
 * (client_address = "keep"): what they send to clients leads to the device.
 *
 * Kept in step with the load table, whatever has changed it: the file or an administrator.
 */
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "platform/policy.h"
#include "wlad_internal.h"

/* Of a line of the log. */
#define REMEDIES_TEXT 800

struct wlad_keep {
	struct policy_rule *rules;
	size_t count;
	bool open; /* the device has its table */
};

static void
append(struct wlad_keep *k, const struct policy_rule *rule)
{
	k->rules = xrealloc_array(k->rules, k->count + 1, sizeof(*k->rules));
	k->rules[k->count++] = *rule;
}

static bool
has(const struct wlad_keep *k, const struct policy_rule *rule)
{
	for (size_t i = 0; i < k->count; i++) {
		const struct policy_rule *r = &k->rules[i];

		if (ip_equal(&r->server, &rule->server) && r->protocol == rule->protocol &&
		    r->port_min == rule->port_min && r->port_max == rule->port_max)
			return true;
	}
	return false;
}

static void
append_once(struct wlad_keep *k, const struct policy_rule *rule)
{
	if (!has(k, rule))
		append(k, rule);
}

/* Later fragments of UDP have no ports. */
static void
append_ports(struct wlad_keep *k, const struct service *s, const struct ip *ip, uint16_t port)
{
	struct policy_rule rule = {.server = *ip, .protocol = s->protocol};

	if (s->protocol == IPPROTO_UDP || port != 0) {
		if (s->protocol != IPPROTO_UDP)
			rule.port_min = rule.port_max = port;
		append_once(k, &rule);
		return;
	}
	for (size_t i = 0, last; i < s->ports_count; i = last + 1) {
		for (last = i; last + 1 < s->ports_count; last++)
			if (s->ports[last + 1] != s->ports[last] + 1)
				break;
		rule.port_min = s->ports[i];
		rule.port_max = s->ports[last];
		append_once(k, &rule);
	}
}

static void
append_server(struct wlad_keep *k, const struct service *s, const struct ip *ip, uint16_t port)
{
	struct policy_rule errors = {
	    .server = *ip, .protocol = ip_is_v4(ip) ? IPPROTO_ICMP : IPPROTO_ICMPV6};

	if (ip_is_zero(ip))
		return;
	append_ports(k, s, ip, port);
	append_once(k, &errors);
}

/* What the load table asks for. */
static struct wlad_keep
wanted(struct load_table *load)
{
	struct wlad_keep k = {0};

	for (uint32_t i = 0; i < load_table_services(load); i++) {
		const struct service *s = load_table_service(load, i);

		if (!s->present || s->client_address != CONFIG_CLIENT_KEEP)
			continue;
		for (size_t j = 0; j < s->servers_count; j++) {
			const struct server *server = load_table_server(load, s->servers[j]);

			append_server(&k, s, &server->v4, server->port);
			append_server(&k, s, &server->v6, server->port);
		}
	}
	return k;
}

/* Commands that the log is to have: several a line, as it takes few lines of one kind at once. */
struct remedies {
	char text[REMEDIES_TEXT];
	size_t len;
	char why[ERROR_TEXT];
};

static void
say(struct remedies *r)
{
	if (r->len > 0)
		log_warnx("packets to clients of client_address=keep need rules reason=\"%s\" "
			  "remedy=\"%s\"",
		    r->why, r->text);
	r->len = 0;
}

static void
need(struct remedies *r, const char *device, const struct policy_rule *rule, const char *why)
{
	char command[POLICY_TEXT];
	size_t len = strlen(policy_remedy(device, rule, command));

	if (r->len + len + sizeof("; ") > sizeof(r->text) || strcmp(r->why, why) != 0)
		say(r);
	snprintf(r->why, sizeof(r->why), "%s", why);
	r->len += (size_t)snprintf(r->text + r->len, sizeof(r->text) - r->len, "%s%s",
	    r->len > 0 ? "; " : "", command);
}

static void
open_once(struct wlad *w, const char *device, struct remedies *remedies)
{
	char error[ERROR_TEXT];

	if (w->keep->open)
		return;
	w->keep->open = true;
	if (!w->config->device.routes)
		need(remedies, device, NULL, "device.routes is false");
	else if (policy_open(device, error, sizeof(error)) == -1)
		need(remedies, device, NULL, error);
}

static void
add(struct wlad *w, const char *device, const struct policy_rule *rule, struct remedies *remedies)
{
	char error[ERROR_TEXT];

	open_once(w, device, remedies);
	if (!w->config->device.routes) {
		need(remedies, device, rule, "device.routes is false");
	} else if (policy_add(device, rule, error, sizeof(error)) == -1) {
		need(remedies, device, rule, error);
	}
}

static void
replace(struct wlad *w, const struct wlad_keep *next)
{
	const char *device = io_device_name(w->io);
	struct remedies remedies = {.len = 0};

	for (size_t i = 0; i < next->count; i++)
		if (!has(w->keep, &next->rules[i]))
			add(w, device, &next->rules[i], &remedies);
	say(&remedies);
	for (size_t i = 0; i < w->keep->count && w->config->device.routes; i++)
		if (!has(next, &w->keep->rules[i]))
			policy_remove(device, &w->keep->rules[i]);
}

void
wlad_keep_update(struct wlad *w)
{
	struct wlad_keep next;

	if (w->io == NULL)
		return;
	if (w->keep == NULL)
		w->keep = xcalloc(1, sizeof(*w->keep));
	next = wanted(w->load);
	replace(w, &next);
	next.open = w->keep->open;
	free(w->keep->rules);
	*w->keep = next;
}

int
wlad_keep_possible(const struct config *config, char *error, size_t size)
{
	for (size_t i = 0; i < config->services_count; i++)
		if (config->services[i].client_address == CONFIG_CLIENT_KEEP)
			return policy_possible(error, size);
	return 0;
}

void
wlad_keep_free(struct wlad *w)
{
	if (w->keep == NULL)
		return;
	if (w->keep->open && w->config->device.routes)
		policy_close(io_device_name(w->io));
	free(w->keep->rules);
	free(w->keep);
	w->keep = NULL;
}
