#include "relay/relay.h"

#include "packet/convert.h"

void
relay_to_server(
    struct packet *p, const struct connection_table *table, const struct connection *c)
{
	struct addr self = connection_self(table, c);
	struct addr server = connection_server(table, c);

	packet_convert(p, &self, &server);
}

bool
relay_to_client(struct packet *p, const struct connection_table *table,
    const struct connection *c, uint16_t mss)
{
	struct addr service = connection_service(table, c);
	struct addr client = connection_client(table, c);
	bool lowered = false;

	/* the client's segments will travel in transfer packets: they must fit into them */
	if (mss != 0 && (p->tcp_flags & TCP_SYN))
		lowered = packet_clamp_mss(p, mss);
	packet_convert(p, &service, &client);
	return lowered;
}
