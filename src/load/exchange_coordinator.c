/*
 * exchange_coordinator: at a coordinator: what sites report is told to all others (coordinator.c).
 *
 * Changes are told in batches of 100 ms; at each interval of load.interval all are told that the rest
 * still holds.
 */
#include "base/clock.h"
#include "load/exchange_internal.h"

/* everybody: also those for whom there is nothing new. */
static void
spread(struct exchange *x, bool everybody)
{
	bool again = false;

	for (size_t i = 0; i < x->peers_count; i++) {
		struct peer *peer = x->peers[i];
		struct sites_writer w;
		bool waits;

		if (peer->current == NULL)
			continue;
		if (!peering_can_send(peer->current)) {
			again = true; /* it is slow to read: later, and all in one */
			continue;
		}
		if (coordinator_tell(
			x->coordinator, peer->site, everybody, &w, &waits, exchange_now(x))) {
			peering_send(peer->current, &w.b, w.messages);
			codec_buffer_fini(&w.b);
		}
		again |= waits;
	}
	if (again)
		exchange_sites_arm(x);
}

void
coordinator_spread(struct exchange *x)
{
	spread(x, false);
}

void
coordinator_speak(struct exchange *x)
{
	coordinator_tick(x->coordinator, exchange_now(x));
	spread(x, true);
}

/* An address that a site says of itself; if it does not say which, it is that of its session. */
static struct addr
address_of(const struct addr *told, struct peering *p)
{
	struct addr address = *told;

	if (address.port != 0 && ip_is_zero(&address.ip))
		address.ip = peering_address(p)->ip;
	return address;
}

void
coordinator_said_hello(struct peer *peer, struct peering *p, const struct hello *hello)
{
	struct exchange *x = peer->exchange;
	struct sites_record record = {.hello = *hello, .identity = true};
	struct site *site = load_table_site(x->parts.table, peer->site);

	record.hello.transfer = address_of(&hello->transfer, p);
	record.load = address_of(&hello->load, p);
	record.certified = peering_certificate(p, record.certificate) == 0;
	site->transfer = record.hello.transfer;
	site->load = record.load;
	site->keyless = true;
	coordinator_hello(x->coordinator, peer->site, &record, exchange_now(x));
	exchange_sites_arm(x);
}

void
coordinator_told_load(struct peer *peer, const struct load_report *report)
{
	struct exchange *x = peer->exchange;

	coordinator_load(x->coordinator, peer->site, report, exchange_now(x));
	exchange_sites_arm(x);
}

void
coordinator_lost_peer(struct peer *peer, bool gone)
{
	struct exchange *x = peer->exchange;

	coordinator_listens(x->coordinator, peer->site, false);
	if (gone)
		coordinator_gone(x->coordinator, peer->site);
	else
		coordinator_lost(x->coordinator, peer->site, exchange_now(x));
	exchange_sites_arm(x);
}
