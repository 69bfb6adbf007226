#include "config/check.h"

#include <netinet/in.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *
family_of(const struct ip *ip)
{
	return ip_is_v4(ip) ? "IPv4" : "IPv6";
}

static bool
same_name(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Site names are DNS names of certificates: their case says nothing. */
static bool
same_site(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

static bool
same_ip(const struct ip *a, const struct ip *b)
{
	return !ip_is_zero(a) && ip_equal(a, b);
}

/* The field of v4 and v6 that equals ip, or NULL. */
static const struct ip *
match(const struct ip *v4, const struct ip *v6, const struct ip *ip)
{
	if (same_ip(v4, ip))
		return v4;
	return same_ip(v6, ip) ? v6 : NULL;
}

static bool
has_port(const struct config_service *service, uint16_t port)
{
	for (size_t i = 0; i < service->ports_count; i++)
		if (service->ports[i] == port)
			return true;
	return false;
}

/* The service whose address this is, or NULL. */
static const struct config_service *
service_at(const struct config *config, const struct ip *ip)
{
	for (size_t i = 0; i < config->services_count; i++)
		if (match(&config->services[i].v4, &config->services[i].v6, ip) != NULL)
			return &config->services[i];
	return NULL;
}

static bool
is_self_address(const struct config *config, const struct ip *ip)
{
	for (size_t i = 0; i < config->self_addresses_count; i++)
		if (same_ip(&config->self_addresses[i], ip))
			return true;
	return false;
}

static void
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
		const struct ip *ip = match(&server->v4, &server->v6, &other->v4);

		if (ip == NULL)
			ip = match(&server->v4, &server->v6, &other->v6);
		if (same_name(server->name, other->name))
			report_field(report, &server->name,
			    "\"%s\" is the name of another server of the service, at %s",
			    server->name,
			    report_place(report, &other->name, &server->name, place));
		if (ip != NULL && same_endpoint(service, server, other)) {
			const struct ip *twin = match(&other->v4, &other->v6, ip);

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
	service = service_at(config, ip);
	if (service != NULL)
		report_field(report, ip,
		    "%s is the address of service \"%s\": a server needs one of its own",
		    ip_format(ip, text), service->name != NULL ? service->name : "");
	else if (is_self_address(config, ip))
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
		const struct ip *ip = match(&service->v4, &service->v6, &other->v4);
		uint16_t port = 0;

		if (ip == NULL)
			ip = match(&service->v4, &service->v6, &other->v6);
		if (ip != NULL && service->protocol == other->protocol)
			port = common_port(service, other);
		if (same_name(service->name, other->name))
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

static void
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
		const struct ip *ip = match(&server->v4, &server->v6, &other->v4);

		if (ip == NULL)
			ip = match(&server->v4, &server->v6, &other->v6);
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
	if (service_at(config, &addr->ip) != NULL || is_self_address(config, &addr->ip))
		report_field(report, addr,
		    "%s is a service or self address: packets to it go to wlad's device, "
		    "an address of the host itself is needed",
		    ip_format(&addr->ip, text));
}

static void
check_peer_twins(const struct config *config, size_t number, struct report *report)
{
	const struct config_peer *peer = &config->peers[number];
	char place[REPORT_PLACE], text[ADDR_TEXT];

	for (size_t i = 0; i < number; i++) {
		const struct config_peer *other = &config->peers[i];

		if (same_site(peer->site, other->site))
			report_field(report, &peer->site, "\"%s\" is another peer, at %s",
			    peer->site, report_place(report, &other->site, &peer->site, place));
		if (peer->load.port != 0 && addr_equal(&peer->load, &other->load))
			report_field(report, &peer->load, "%s is that of another peer, at %s",
			    addr_format(&peer->load, text),
			    report_place(report, &other->load, &peer->load, place));
		if (peer->transfer.port != 0 && addr_equal(&peer->transfer, &other->transfer))
			report_field(report, &peer->transfer, "%s is that of another peer, at %s",
			    addr_format(&peer->transfer, text),
			    report_place(report, &other->transfer, &peer->transfer, place));
	}
}

static void
check_peer(const struct config *config, size_t number, struct report *report)
{
	const struct config_peer *peer = &config->peers[number];
	const struct addr *listen = &config->transfer.listen;
	char text[ADDR_TEXT];

	if (same_site(peer->site, config->site))
		report_field(report, &peer->site, "\"%s\" is this site itself", peer->site);
	check_host_addr(config, &peer->load, false, report);
	check_host_addr(config, &peer->transfer, false, report);
	if (peer->transfer.port != 0 && listen->port != 0) {
		if (addr_equal(&peer->transfer, listen))
			report_field(report, &peer->transfer,
			    "%s is transfer.listen of this site", addr_format(listen, text));
		else if (ip_is_v4(&peer->transfer.ip) != ip_is_v4(&listen->ip))
			report_field(report, &peer->transfer,
			    "is an %s address, but transfer.listen is an %s address",
			    family_of(&peer->transfer.ip), family_of(&listen->ip));
	}
	if (peer->load.port != 0 && addr_equal(&peer->load, &config->load.listen))
		report_field(report, &peer->load, "%s is load.listen of this site",
		    addr_format(&peer->load, text));
	check_peer_twins(config, number, report);
}

static void
need(const void *field, bool set, const char *path, const struct config *config,
    struct report *report)
{
	const void *asking = &config->peers;
	const char *why = "there are peers";

	if (config->role == CONFIG_ROLE_COORDINATOR) {
		asking = &config->role;
		why = "this is a coordinator";
	} else if (config->load.coordinators_count > 0) {
		asking = &config->load.coordinators;
		why = "there are coordinators";
	} else if (config->load.accept_unknown) {
		asking = &config->load.accept_unknown;
		why = "accept_unknown is";
	}
	if (!set && !report_bad(report, field))
		report_missing(report, asking, path, "must be set, as %s", why);
}

/* The site with the smaller name dials; the other one has to listen. */
static void
check_dialled(const struct config *config, struct report *report)
{
	if (config->load.listen.port != 0 || report_bad(report, &config->load.listen) ||
	    config->site == NULL || config->role == CONFIG_ROLE_COORDINATOR)
		return;
	for (size_t i = 0; i < config->peers_count; i++)
		if (config->peers[i].site != NULL &&
		    strcmp(config->peers[i].site, config->site) < 0) {
			report_missing(report, &config->peers, "load.listen",
			    "must be set: \"%s\" dials this site, as its name is the "
			    "smaller one",
			    config->peers[i].site);
			return;
		}
}

static void
check_peers(const struct config *config, struct report *report)
{
	size_t most = config->role == CONFIG_ROLE_COORDINATOR ? CONFIG_COORDINATOR_PEERS_MAX
							      : CONFIG_PEERS_MAX;

	check_host_addr(config, &config->transfer.listen, false, report);
	check_host_addr(config, &config->load.listen, true, report);
	if (!config_exchanges(config))
		return;
	if (config->peers_count > most)
		report_field(report, &config->peers, "can hold at most %zu peers", most);
	if (config->role == CONFIG_ROLE_SITE)
		need(&config->transfer.listen, config->transfer.listen.port != 0,
		    "transfer.listen", config, report);
	if (config->role == CONFIG_ROLE_COORDINATOR || config->load.accept_unknown)
		need(&config->load.listen, config->load.listen.port != 0, "load.listen", config,
		    report);
	need(&config->load.certificate, config->load.certificate != NULL, "load.certificate",
	    config, report);
	need(&config->load.key, config->load.key != NULL, "load.key", config, report);
	need(&config->load.ca, config->load.ca != NULL, "load.ca", config, report);
	check_dialled(config, report);
	for (size_t i = 0; i < config->peers_count; i++)
		check_peer(config, i, report);
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
