/*
 * views: members that several views have, and the views that need nothing else.
 */
#include "control/views.h"

#include <netinet/in.h>
#include <stdio.h>

#include "version.h"

void
view_protocol(struct json *json, const char *key, uint8_t protocol)
{
	char text[8];

	switch (protocol) {
	case IPPROTO_TCP:
		json_put_string(json, key, "tcp");
		break;
	case IPPROTO_UDP:
		json_put_string(json, key, "udp");
		break;
	case IPPROTO_ICMP:
		json_put_string(json, key, "icmp");
		break;
	case IPPROTO_ICMPV6:
		json_put_string(json, key, "icmpv6");
		break;
	default:
		snprintf(text, sizeof(text), "%u", protocol);
		json_put_string(json, key, text);
	}
}

void
view_addr(struct json *json, const char *key, const struct addr *addr)
{
	char text[ADDR_TEXT];

	if (ip_is_zero(&addr->ip))
		json_put_null(json, key);
	else if (addr->port == 0)
		json_put_string(json, key, ip_format(&addr->ip, text));
	else
		json_put_string(json, key, addr_format(addr, text));
}

void
view_addresses(struct json *json, const struct ip *v4, const struct ip *v6, uint16_t port)
{
	struct addr first = {*v4, port}, second = {*v6, port};

	view_addr(json, "address", ip_is_zero(v4) ? &second : &first);
	json_begin_array(json, "addresses");
	if (!ip_is_zero(v4))
		view_addr(json, NULL, &first);
	if (!ip_is_zero(v6))
		view_addr(json, NULL, &second);
	json_end_array(json);
}

void
view_version(struct request *request)
{
	json_put_string(&request->json, "version", version_string());
	json_put_string(&request->json, "site", request->parts->config->site);
}

void
view_help(struct request *request)
{
	struct json *json = &request->json;
	char syntax[GRAMMAR_SYNTAX];

	json_begin_array(json, "commands");
	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		const struct grammar_command *command = grammar_command((enum grammar_id)i);

		if (command->right == GRAMMAR_TOOL)
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "command", grammar_syntax((enum grammar_id)i, syntax));
		json_put_string(
		    json, "right", command->right == GRAMMAR_CHANGE ? "change" : "look");
		json_put_string(json, "help", command->help);
		json_end_object(json);
	}
	json_end_array(json);
}

void
view_counters(struct request *request)
{
	struct json *json = &request->json;
	const struct counters *counters = request->parts->counters;

	json_begin_object(json, "counters");
	for (int i = 0; i < COUNTER_COUNT; i++)
		json_put_uint(json, counter_name((enum counter)i), counters->counter[i]);
	json_end_object(json);
	json_begin_object(json, "drops");
	for (int i = DROP_none + 1; i < DROP_COUNT; i++)
		json_put_uint(json, drop_name((enum drop)i), counters->drop[i]);
	json_end_object(json);
}
