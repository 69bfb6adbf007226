/*
 * check_server: what must hold for the servers of a service, and for one that an administrator has
 * changed.
 */
#include <stdio.h>
#include <string.h>

#include "config/check_internal.h"

static bool
has_port(const struct config_service *service, uint16_t port)
{
	for (size_t i = 0; i < service->ports_count; i++)
		if (service->ports[i] == port)
			return true;
	return false;
}

/* Two servers with one address: do packets to them go to the same port? */
static bool
same_endpoint(const struct config_service *service, const struct config_server *a,
    const struct config_server *b)
{
	if (a->port == b->port)
		return true;
	if (a->port == 0)
		return has_port(service, b->port);
	return b->port == 0 && has_port(service, a->port);
}

static void
check_server_twins(const struct config_service *service, size_t number, struct report *report)
{
	const struct config_server *server = &service->servers[number];
	char place[REPORT_PLACE], text[IP_TEXT];

	for (size_t i = 0; i < number; i++) {
		const struct config_server *other = &service->servers[i];
		const struct ip *ip = check_match(&server->v4, &server->v6, &other->v4);

		if (ip == NULL)
			ip = check_match(&server->v4, &server->v6, &other->v6);
		if (check_same_name(server->name, other->name))
			report_field(report, &server->name,
			    "\"%s\" is the name of another server of the service, at %s",
			    server->name,
			    report_place(report, &other->name, &server->name, place));
		if (ip != NULL && same_endpoint(service, server, other)) {
			const struct ip *twin = check_match(&other->v4, &other->v6, ip);

			report_field(report, ip,
			    "%s on the same port is another server of the service, at %s",
			    ip_format(ip, text), report_place(report, twin, ip, place));
		}
	}
}

static void
check_server_ip(const struct config *config, const struct ip *ip, struct report *report)
{
	const struct config_service *service;
	char text[IP_TEXT];

	if (ip_is_zero(ip))
		return;
	check_martian(ip, "server", report);
	service = check_service_at(config, ip);
	if (service != NULL)
		report_field(report, ip,
		    "%s is the address of service \"%s\": a server needs one of its own",
		    ip_format(ip, text), service->name != NULL ? service->name : "");
	else if (check_is_self_address(config, ip))
		report_field(report, ip,
		    "%s is among self_addresses: a server needs an address of its own",
		    ip_format(ip, text));
}

/* What holds for a server by itself. */
static void
check_server(const struct config *config, const struct config_service *service,
    const struct config_server *server, struct report *report)
{
	bool v4 = !ip_is_zero(&server->v4), v6 = !ip_is_zero(&server->v6);
	bool service_v4 = !ip_is_zero(&service->v4), service_v6 = !ip_is_zero(&service->v6);

	check_server_ip(config, &server->v4, report);
	check_server_ip(config, &server->v6, report);
	if ((v4 || v6) && (service_v4 || service_v6) && !(v4 && service_v4) && !(v6 && service_v6))
		report_field(report, v4 ? &server->v4 : &server->v6,
		    "is an %s address, but the service has only an %s address",
		    v4 ? "IPv4" : "IPv6", service_v4 ? "IPv4" : "IPv6");
}

void
check_service_servers(const struct config *config, size_t number, struct report *report)
{
	const struct config_service *service = &config->services[number];
	bool remote = service->prefer == CONFIG_PREFER_REMOTE;
	char path[64];

	if (service->servers_count == 0 && !remote && !report_bad(report, &service->servers)) {
		snprintf(path, sizeof(path), "services[%zu].servers", number);
		report_missing(report, &service->line, path,
		    "must hold at least one server, unless prefer is \"remote\"");
	}
	if (remote && config->peers_count == 0 && config->load.coordinators_count == 0 &&
	    !config->load.accept_unknown && !report_bad(report, &config->peers))
		report_field(report, &service->prefer,
		    "\"remote\" needs other sites, but there are no peers");
	for (size_t i = 0; i < service->servers_count; i++) {
		check_server(config, service, &service->servers[i], report);
		check_server_twins(service, i, report);
	}
}

/* The first fault as a sentence, without the file that it is not in. */
static int
first_fault(const struct config_faults *faults, const char *file, char *error, size_t size)
{
	size_t prefix = strlen(file) + 2;

	if (faults->count == 0)
		return 0;
	snprintf(error, size, "%s", faults->text[0] + prefix);
	return -1;
}

int
check_server_change(const struct config *config, const struct config_service *service,
    const struct config_server *server, char *error, size_t size)
{
	struct source_file file = {.name = config->file};
	struct source source = {.files = &file, .files_count = 1};
	struct config_faults faults = {0};
	struct report report;
	char text[IP_TEXT];
	int result;

	if (server->removed)
		return 0;
	report_init(&report, &source);
	check_server(config, service, server, &report);
	report_finish(&report, &faults);
	result = first_fault(&faults, config->file, error, size);
	config_faults_free(&faults);
	for (size_t i = 0; i < service->servers_count && result == 0; i++) {
		const struct config_server *other = &service->servers[i];
		const struct ip *ip = check_match(&server->v4, &server->v6, &other->v4);

		if (ip == NULL)
			ip = check_match(&server->v4, &server->v6, &other->v6);
		if (other == server || other->removed || ip == NULL ||
		    !same_endpoint(service, server, other))
			continue;
		snprintf(error, size, "%s on the same port is server \"%s\" already",
		    ip_format(ip, text), other->name);
		result = -1;
	}
	return result;
}

int
check_servers_left(const struct config *config, const char *name, char *error, size_t size)
{
	for (size_t i = 0; i < config->services_count; i++) {
		const struct config_service *service = &config->services[i];
		size_t left = 0;

		if (strcmp(service->name, name) != 0)
			continue;
		for (size_t j = 0; j < service->servers_count; j++)
			left += !service->servers[j].removed;
		if (left > 0 || service->prefer == CONFIG_PREFER_REMOTE)
			return 0;
		snprintf(error, size,
		    "service %s must hold at least one server, unless prefer is \"remote\": "
		    "disable it instead",
		    name);
		return -1;
	}
	return 0;
}
