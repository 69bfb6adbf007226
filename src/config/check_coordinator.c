/*
 * check_coordinator: what a coordinator's file must not say, and what a site's says of its
 * coordinators and of whom it reports to.
 */
#include <string.h>
#include <strings.h>

#include "config/check.h"

static bool
same_site(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

/* A coordinator has no device, and nothing that goes through one. */
static void
check_role(const struct config *config, struct report *report)
{
	const struct {
		const void *field;
		bool set;
		const char *what;
	} idle[] = {
	    {&config->services, config->services_count > 0, "services"},
	    {&config->self_addresses, config->self_addresses_count > 0, "self addresses"},
	    {&config->transfer.listen, config->transfer.listen.port != 0, "transfer packets"},
	    {&config->load.coordinators, config->load.coordinators_count > 0, "coordinators"},
	};

	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		if (idle[i].set)
			report_field(
			    report, idle[i].field, "a coordinator has no %s", idle[i].what);
	if (config->peers_count == 0 && !config->load.accept_unknown &&
	    !report_bad(report, &config->peers))
		report_missing(report, &config->role, "peers",
		    "must name the sites, unless load.accept_unknown is true");
}

static void
check_twins(const struct config *config, size_t number, struct report *report)
{
	const struct config_peer *c = &config->load.coordinators[number];
	char place[REPORT_PLACE];

	for (size_t i = 0; i < number; i++) {
		const struct config_peer *other = &config->load.coordinators[i];

		if (same_site(c->site, other->site))
			report_field(report, &c->site, "\"%s\" is another coordinator, at %s",
			    c->site, report_place(report, &other->site, &c->site, place));
	}
	for (size_t i = 0; i < config->peers_count; i++)
		if (same_site(c->site, config->peers[i].site))
			report_field(report, &c->site, "\"%s\" is a peer as well, at %s", c->site,
			    report_place(report, &config->peers[i].site, &c->site, place));
}

static void
check_coordinator(const struct config *config, size_t number, struct report *report)
{
	const struct config_peer *c = &config->load.coordinators[number];
	char text[ADDR_TEXT];

	if (same_site(c->site, config->site))
		report_field(report, &c->site, "\"%s\" is this site itself", c->site);
	check_host_addr(config, &c->load, false, report);
	if (c->load.port != 0 && addr_equal(&c->load, &config->load.listen))
		report_field(report, &c->load, "%s is load.listen of this site",
		    addr_format(&c->load, text));
	check_twins(config, number, report);
}

void
check_coordinators(const struct config *config, struct report *report)
{
	if (config->role == CONFIG_ROLE_COORDINATOR)
		check_role(config, report);
	if (config->load.coordinators_count > CONFIG_COORDINATORS_MAX)
		report_field(report, &config->load.coordinators,
		    "can hold at most %d coordinators", CONFIG_COORDINATORS_MAX);
	for (size_t i = 0; i < config->load.coordinators_count; i++)
		check_coordinator(config, i, report);
}
