/*
 * dns: does the name server answer a query without an error?
 */
#include "base/random.h"
#include "base/xalloc.h"
#include "health/datagram.h"
#include "health/dns_message.h"

struct dns {
	struct datagram_probe datagram;
	struct dns_question question;
	uint16_t id;
};

/* What is no answer to the query is passed over: another may follow. */
static bool
on_received(struct datagram_probe *probe, const uint8_t *data, size_t len, uint64_t now)
{
	struct dns *dns = (struct dns *)probe;
	unsigned rcode;

	if (!dns_message_answers(data, len, &dns->question, dns->id, &rcode)) {
		probe->probe.cause = HEALTH_unexpected;
		return false;
	}
	probe_finish(&probe->probe, rcode == 0 ? HEALTH_none : HEALTH_rcode, rcode, now);
	return true;
}

struct probe *
dns_start(const struct probe_request *request)
{
	struct dns *dns = xcalloc(1, sizeof(*dns));
	uint8_t query[DNS_QUERY_MAX];
	size_t len;

	random_system(&dns->id, sizeof(dns->id));
	dns->question = request->check->query;
	dns->datagram.received = on_received;
	len = dns_message_query(&dns->question, dns->id, query);
	datagram_start(&dns->datagram, request, query, len, HEALTH_timeout);
	return &dns->datagram.probe;
}
