/*
 * check_agent: what services say of agents: those of their servers, and the one that each may be.
 */
#include <stdio.h>

#include "config/check.h"

static bool
is_any(const struct ip *ip)
{
	return ip_is_v4(ip) ? ip_v4(ip)[0] == 0 : ip_is_zero(ip);
}

/* Two sockets that cannot listen at the same time. */
static bool
collide(const struct addr *a, const struct addr *b)
{
	if (a->port != b->port || ip_is_v4(&a->ip) != ip_is_v4(&b->ip))
		return false;
	return ip_equal(&a->ip, &b->ip) || is_any(&a->ip) || is_any(&b->ip);
}

static void
check_listen(const struct config *config, size_t number, struct report *report)
{
	const struct addr *listen = &config->services[number].agent_listen;
	char text[ADDR_TEXT], place[REPORT_PLACE];

	if (listen->port == 0)
		return;
	check_host_addr(config, listen, true, report);
	if (config->load.listen.port != 0 && collide(listen, &config->load.listen))
		report_field(report, listen, "%s is taken by load.listen, at %s",
		    addr_format(listen, text),
		    report_place(report, &config->load.listen, listen, place));
	for (size_t i = 0; i < number; i++) {
		const struct addr *other = &config->services[i].agent_listen;

		if (other->port == 0 || !collide(listen, other))
			continue;
		report_field(report, listen, "%s is that of another service already, at %s",
		    addr_format(listen, text), report_place(report, other, listen, place));
		break;
	}
}

static bool
has_port(const struct config_service *service)
{
	if (service->agent.port != 0)
		return true;
	for (size_t i = 0; i < service->servers_count; i++)
		if (service->servers[i].agent_port != 0)
			return true;
	return false;
}

/* What nobody would read would be silently without effect. */
static void
check_used(const struct config_service *service, size_t number, struct report *report)
{
	const struct config_agent *agent = &service->agent;
	const void *asking = agent->send.len > 0       ? (const void *)&agent->send
	    : agent->interval != CONFIG_AGENT_INTERVAL ? (const void *)&agent->interval
	    : agent->timeout != CONFIG_AGENT_TIMEOUT   ? (const void *)&agent->timeout
						       : NULL;
	char path[64];

	if (asking == NULL || has_port(service) || report_bad(report, &agent->port))
		return;
	snprintf(path, sizeof(path), "services[%zu].agent.port", number);
	report_missing(report, asking, path,
	    "must be set, or agent_port of a server: no agent is asked without");
}

static void
check_server(const struct config_service *service, const struct config_server *server,
    struct report *report)
{
	const struct ip *given[] = {&server->agent_v4, &server->agent_v6};
	char text[IP_TEXT];

	for (size_t i = 0; i < 2; i++) {
		const struct ip *ip = given[i];

		if (ip_is_zero(ip))
			continue;
		if (is_any(ip) || (ip_is_v4(ip) ? ip_v4(ip)[0] >= 224 : ip->octet[0] == 0xff))
			report_field(report, ip, "%s is no address of a single host",
			    ip_format(ip, text));
		else if (service->agent.port == 0 && server->agent_port == 0 &&
		    !report_bad(report, &server->agent_port) &&
		    !report_bad(report, &service->agent.port))
			report_field(
			    report, ip, "needs agent_port, or agent.port of the service");
	}
}

void
check_agents(const struct config *config, struct report *report)
{
	for (size_t i = 0; i < config->services_count; i++) {
		const struct config_service *service = &config->services[i];

		check_listen(config, i, report);
		check_used(service, i, report);
		for (size_t j = 0; j < service->servers_count; j++)
			check_server(service, &service->servers[j], report);
	}
}
