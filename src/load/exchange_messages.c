/*
 * exchange_messages: what the current session of a peer says, and who is told.
 */
#include "base/clock.h"
#include "load/exchange_internal.h"

/* The peer whose current session that is, or NULL. */
static struct peer *
current_peer(struct exchange *x, const struct peering *p)
{
	struct peer *peer = exchange_peer(x, peering_info(p)->site);

	return peer != NULL && peer->current == p ? peer : NULL;
}

static void
on_hello(void *arg, struct peering *p, const struct hello *hello)
{
	struct exchange *x = arg;
	struct peer *peer = current_peer(x, p);

	if (peer == NULL)
		return;
	if (x->coordinator != NULL) {
		coordinator_said_hello(peer, p, hello);
		return;
	}
	if (peer->kind != PEER_COORDINATOR)
		peer_sites_hello(peer, hello);
	peer_report(peer);
}

/* One that says nothing of load counts for nothing. */
static bool
tells_load(const struct load_report *report)
{
	for (size_t i = 0; i < report->services_count; i++)
		if (!report->services[i].between)
			return true;
	return false;
}

#define MUCH_MORE  2.0                 /* times what it was told that it may send */
#define ANSWER_GAP (CLOCK_SECOND / 10) /* between two reports because of that */

static bool
may_send_more(const struct exchange *x, const struct peer *peer)
{
	const struct site *site = load_table_site(x->parts.table, peer->site);

	for (size_t i = 0; i < site->services_count; i++)
		if (site->services[i].granted > MUCH_MORE * site->services[i].told + 1)
			return true;
	return false;
}

/* What it says of its need or of lives may change at once what it is granted; until it hears of that
 * it refuses its clients. */
static void
answer_need(struct exchange *x, struct peer *peer)
{
	uint64_t now = exchange_now(x);

	if (now < peer->answered_at + ANSWER_GAP)
		return;
	load_table_measure(x->parts.table, now);
	if (!may_send_more(x, peer))
		return;
	peer->answered_at = now;
	peer_report(peer);
}

void
exchange_answer_needs(struct exchange *x)
{
	for (size_t i = 0; i < x->peers_count; i++)
		if (x->peers[i]->current != NULL && x->peers[i]->kind != PEER_COORDINATOR)
			answer_need(x, x->peers[i]);
}

static void
on_reported(void *arg, struct peering *p, const struct load_report *report)
{
	struct exchange *x = arg;
	struct peer *peer = current_peer(x, p);

	if (peer == NULL || !tells_load(report))
		return;
	peer->reports = true;
	if (x->coordinator != NULL)
		coordinator_told_load(peer, report);
	else
		answer_need(x, peer);
}

static void
on_closed(void *arg, struct peering *p, const struct closed *closed)
{
	struct exchange *x = arg;
	const struct peer *peer = current_peer(x, p);

	if (peer == NULL || x->handlers->closed == NULL)
		return;
	for (size_t i = 0; i < closed->count; i++)
		x->handlers->closed(x->handlers_arg, peer->site, &closed->entries[i]);
}

static void
on_probe_seen(void *arg, struct peering *p, uint64_t id)
{
	struct exchange *x = arg;
	const struct peer *peer = current_peer(x, p);

	if (peer != NULL && x->handlers->probe_seen != NULL)
		x->handlers->probe_seen(x->handlers_arg, peer->site, id);
}

static void
on_sites(void *arg, struct peering *p, const struct sites *sites)
{
	struct peer *peer = current_peer(arg, p);

	if (peer != NULL)
		peer_sites_take(peer, sites);
}

const struct peering_handlers exchange_peerings = {
    .find = exchange_find,
    .welcome = exchange_welcome,
    .established = exchange_established,
    .ended = exchange_ended,
    .hello = on_hello,
    .reported = on_reported,
    .closed = on_closed,
    .probe_seen = on_probe_seen,
    .sites = on_sites,
};
