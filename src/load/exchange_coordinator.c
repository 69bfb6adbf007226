/*
 * exchange_coordinator: at a coordinator: what sites report is told to all others (coordinator.c).
 *
 * Changes are told in batches of 100 ms; at each interval of load.interval all are told that the rest
 * still holds.  What one site is told all others are told that know as much: the message is
 * written once.
 */
#include "base/clock.h"
#include "load/exchange_internal.h"

/* The message for those who have been told of so many changes. */
struct batch {
	bool written;
	uint64_t since;
	struct sites_writer w;
};

static void
write_batch(struct exchange *x, struct batch *batch, uint64_t since)
{
	if (batch->written && batch->since == since)
		return;
	if (batch->written)
		codec_buffer_fini(&batch->w.b);
	batch->written = true;
	batch->since = since;
	coordinator_tell(x->coordinator, since, &batch->w, exchange_now(x));
}

/* everybody: also those for whom there is nothing new. */
static void
spread(struct exchange *x, bool everybody)
{
	uint64_t changes = coordinator_changes(x->coordinator);
	struct batch batch = {.written = false};
	bool again = false;

	for (size_t i = 0; i < x->peers_count; i++) {
		struct peer *peer = x->peers[i];

		if (peer->current == NULL || (peer->told_changes == changes && !everybody))
			continue;
		if (!peering_can_send(peer->current)) {
			again = true; /* it is slow to read: later, and all in one */
			continue;
		}
		write_batch(x, &batch, peer->told_changes);
		peering_send(peer->current, &batch.w.b, batch.w.messages);
		peer->told_changes = changes;
	}
	if (batch.written)
		codec_buffer_fini(&batch.w.b);
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

	if (gone)
		coordinator_gone(x->coordinator, peer->site);
	else
		coordinator_lost(x->coordinator, peer->site, exchange_now(x));
	exchange_sites_arm(x);
}
