#include "config/check.h"

#include <netinet/in.h>

#include <string.h>

#include "config/check_internal.h"

bool
check_same_name(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool
same_ip(const struct ip *a, const struct ip *b)
{
	return !ip_is_zero(a) && ip_equal(a, b);
}

const struct ip *
check_match(const struct ip *v4, const struct ip *v6, const struct ip *ip)
{
	if (same_ip(v4, ip))
		return v4;
	return same_ip(v6, ip) ? v6 : NULL;
}

const struct config_service *
check_service_at(const struct config *config, const struct ip *ip)
{
	for (size_t i = 0; i < config->services_count; i++)
		if (check_match(&config->services[i].v4, &config->services[i].v6, ip) != NULL)
			return &config->services[i];
	return NULL;
}

bool
check_is_self_address(const struct config *config, const struct ip *ip)
{
	for (size_t i = 0; i < config->self_addresses_count; i++)
		if (same_ip(&config->self_addresses[i], ip))
			return true;
	return false;
}

void
check_martian(const struct ip *ip, const char *what, struct report *report)
{
	char text[IP_TEXT];

	if (!ip_is_zero(ip) && ip_is_martian(ip))
		report_field(report, ip,
		    "%s cannot be a %s: it is unspecified, loopback, multicast or reserved",
		    ip_format(ip, text), what);
}

static void
check_self_addresses(const struct config *config, struct report *report)
{
	const struct ip *ips = config->self_addresses;
	char text[IP_TEXT], place[REPORT_PLACE];

	for (size_t i = 0; i < config->self_addresses_count; i++) {
		check_martian(&ips[i], "self address", report);
		for (size_t j = 0; j < i; j++)
			if (ip_equal(&ips[i], &ips[j])) {
				report_field(report, &ips[i], "%s is given twice, first at %s",
				    ip_format(&ips[i], text),
				    report_place(report, &ips[j], &ips[i], place));
				break;
			}
	}
}

static void
check_ports(const struct config_service *service, struct report *report)
{
	if (service->ports_count > CONFIG_PORTS_MAX)
		report_field(
		    report, &service->ports, "can hold at most %d ports", CONFIG_PORTS_MAX);
	for (size_t i = 1; i < service->ports_count; i++)
		if (service->ports[i] == service->ports[i - 1] &&
		    (i == 1 || service->ports[i] != service->ports[i - 2]))
			report_field(report, &service->ports, "port %u is given more than once",
			    service->ports[i]);
}

/* The lowest port that both offer, 0 if there is none; both lists are sorted. */
static uint16_t
common_port(const struct config_service *a, const struct config_service *b)
{
	size_t i = 0, j = 0;

	while (i < a->ports_count && j < b->ports_count) {
		if (a->ports[i] == b->ports[j])
			return a->ports[i];
		if (a->ports[i] < b->ports[j])
			i++;
		else
			j++;
	}
	return 0;
}

static void
check_service_twins(const struct config *config, size_t number, struct report *report)
{
	const struct config_service *service = &config->services[number];
	char place[REPORT_PLACE], text[IP_TEXT];

	for (size_t i = 0; i < number; i++) {
		const struct config_service *other = &config->services[i];
		const struct ip *ip = check_match(&service->v4, &service->v6, &other->v4);
		uint16_t port = 0;

		if (ip == NULL)
			ip = check_match(&service->v4, &service->v6, &other->v6);
		if (ip != NULL && service->protocol == other->protocol)
			port = common_port(service, other);
		if (check_same_name(service->name, other->name))
			report_field(report, &service->name,
			    "\"%s\" is the name of another service, at %s", service->name,
			    report_place(report, &other->name, &service->name, place));
		if (port != 0)
			report_field(report, &service->ports,
			    "%s %s port %u belongs to another service already, at %s",
			    service->protocol == IPPROTO_TCP ? "tcp" : "udp", ip_format(ip, text),
			    port, report_place(report, &other->ports, &service->ports, place));
	}
}

/* A PROXY header is the beginning of a stream. */
static void
check_client_address(const struct config_service *service, struct report *report)
{
	if (service->client_address == CONFIG_CLIENT_PROXY &&
	    service->protocol != IPPROTO_TCP && !report_bad(report, &service->protocol))
		report_field(report, &service->client_address,
		    "\"proxy-v2\" is for services of the protocol \"tcp\" only");
}

static void
check_services(const struct config *config, struct report *report)
{
	bool site = config->role == CONFIG_ROLE_SITE;

	if (site && !report_set(report, &config->services))
		report_line(report, 0, "services", "is missing");
	else if (site && config->services_count == 0 && !report_bad(report, &config->services))
		report_field(report, &config->services, "must hold at least one service");
	for (size_t i = 0; i < config->services_count; i++) {
		const struct config_service *service = &config->services[i];

		check_martian(&service->v4, "service address", report);
		check_martian(&service->v6, "service address", report);
		check_ports(service, report);
		check_client_address(service, report);
		check_service_check(config, i, report);
		check_service_clients(service, report);
		check_service_twins(config, i, report);
		check_service_servers(config, i, report);
	}
}

static bool
is_multicast(const struct ip *ip)
{
	return ip_is_v4(ip) ? ip_v4(ip)[0] >= 224 : ip->octet[0] == 0xff;
}

static bool
is_any(const struct ip *ip)
{
	return ip_is_v4(ip) ? ip_v4(ip)[0] == 0 : ip_is_zero(ip);
}

void
check_host_addr(
    const struct config *config, const struct addr *addr, bool any, struct report *report)
{
	char text[IP_TEXT];

	if (addr->port == 0)
		return;
	if (is_multicast(&addr->ip) || (!any && is_any(&addr->ip)))
		report_field(report, addr, "%s is no address of a single host",
		    ip_format(&addr->ip, text));
	if (check_service_at(config, &addr->ip) != NULL ||
	    check_is_self_address(config, &addr->ip))
		report_field(report, addr,
		    "%s is a service or self address: packets to it go to wlad's device, "
		    "an address of the host itself is needed",
		    ip_format(&addr->ip, text));
}

void
check_config(const struct config *config, struct report *report)
{
	check_self_addresses(config, report);
	check_services(config, report);
	check_agents(config, report);
	check_peers(config, report);
	check_coordinators(config, report);
}
