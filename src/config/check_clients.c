/*
 * check_clients: what services say of their clients.
 */
#include <netinet/in.h>

#include "config/check.h"

/* A rate below that is a mistake: one connection in a quarter of an hour. */
#define RATE_MIN 0.001

static void
check_one_packet(const struct config_service *service, struct report *report)
{
	if (!service->one_packet)
		return;
	if (service->protocol != IPPROTO_UDP)
		report_field(report, &service->one_packet,
		    "is for services of the protocol \"udp\" only");
	if (service->persistence.timeout != 0)
		report_field(report, &service->one_packet,
		    "allocates each datagram anew, and persistence.timeout does not: "
		    "a service can have one of them");
	if (service->client_address == CONFIG_CLIENT_KEEP)
		report_field(report, &service->one_packet,
		    "gives each datagram a port of its own, but client_address = \"keep\" "
		    "shows "
		    "servers the client's");
}

static void
check_client_limit(const struct config_service *service, struct report *report)
{
	const struct config_client_limit *limit = &service->client_limit;

	if (limit->rate > 0 && limit->rate < RATE_MIN)
		report_field(report, &limit->rate, "must be 0 (none) or at least %g", RATE_MIN);
	if (limit->burst != 0 && limit->rate <= 0 && !report_bad(report, &limit->rate))
		report_field(report, &limit->burst, "says nothing without a rate");
}

void
check_service_clients(const struct config_service *service, struct report *report)
{
	check_one_packet(service, report);
	check_client_limit(service, report);
}
