/*
 * udp: does the server answer a datagram as is expected?  Where nothing is, silence passes, and
 * only what ICMP says against it fails.
 */
#include "base/xalloc.h"
#include "health/datagram.h"
#include "health/match.h"

struct udp_probe {
	struct datagram_probe datagram;
	struct octets expect;
};

/* Each datagram by itself: what is expected does not stand across two. */
static bool
on_received(struct datagram_probe *probe, const uint8_t *data, size_t len, uint64_t now)
{
	struct udp_probe *udp = (struct udp_probe *)probe;
	struct match match;

	match_init(&match, &udp->expect);
	if (match_feed(&match, data, len)) {
		probe_finish(&probe->probe, HEALTH_none, 0, now);
		return true;
	}
	probe->probe.cause = HEALTH_unexpected;
	return false;
}

struct probe *
udp_start(const struct probe_request *request)
{
	struct udp_probe *udp = xcalloc(1, sizeof(*udp));
	const struct config_check *check = request->check;

	udp->expect = check->expect;
	udp->datagram.received = on_received;
	datagram_start(&udp->datagram, request, check->send.data, check->send.len,
	    check->expect.len > 0 ? HEALTH_timeout : HEALTH_none);
	return &udp->datagram.probe;
}
