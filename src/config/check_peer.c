/*
 * check_peer: what must hold for other sites, and what a site that has some must set.
 */
#include <string.h>
#include <strings.h>

#include "config/check_internal.h"

static const char *
family_of(const struct ip *ip)
{
	return ip_is_v4(ip) ? "IPv4" : "IPv6";
}

/* Site names are DNS names of certificates: their case says nothing. */
static bool
same_site(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
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

void
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
