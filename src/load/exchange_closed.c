/*
 * exchange_closed: the ends of connections that peers are to be told.
 *
 * They come from the packet path, in bursts: so the queue of each peer is made of chunks, of which
 * one is always there and is all that is used while there is a session.  A chunk is a message.
 * What has been handed to a session that then ends may be lost, and is left to its timeout.
 *
 * Whoever is not told yet counts a connection that is over.  Where places are few and connections short, a
 * batch of 100 ms would be more of them than are in flight, and the site be taken for full; so a
 * batch goes early when it makes a difference to the load.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/exchange_internal.h"

#define BATCH   (CLOCK_SECOND / 10)
#define SPACING (CLOCK_SECOND / 200) /* between two messages, whatever they say */
#define MATTERS 50                   /* a batch of this part of the places goes early */

/* Entries that wait for one peer. */
#define QUEUE_MAX 65536

struct closed_chunk {
	struct closed_chunk *next;
	size_t count;
	struct connection_closed entries[CLOSED_ENTRIES_MAX];
};

static struct closed_chunk *
chunk_new(void)
{
	return xcalloc(1, sizeof(struct closed_chunk));
}

/* When the next message is due. */
static void
arm(struct peer *peer)
{
	const struct closed_queue *q = &peer->closed;
	uint64_t now = exchange_now(peer->exchange), next = q->sent_at + SPACING, delay = BATCH;

	if (q->waiting == 0 || peer->current == NULL)
		return;
	if (q->first->count == CLOSED_ENTRIES_MAX)
		delay = 0;
	else if (q->waiting >= q->enough)
		delay = next > now ? next - now : 0;
	loop_timer_set(q->timer, delay);
}

/* Of the two sides of a service, the places of the smaller one; 0 if there are none. */
static uint64_t
places(const struct service *own, const struct site_service *theirs)
{
	uint64_t here = own->capacity, there = (uint64_t)theirs->transferable + theirs->active;

	return here == 0 || (there != 0 && there < here) ? there : here;
}

/* By the service with the fewest places. */
void
peer_closed_measure(struct peer *peer)
{
	struct load_table *table = peer->exchange->parts.table;
	const struct site *site = load_table_site(table, peer->site);
	uint64_t fewest = 0, count;

	for (size_t i = 0; i < site->services_count; i++) {
		const struct site_service *s = &site->services[i];

		if (s->local == LOAD_NONE)
			continue;
		count = places(load_table_service(table, s->local), s);
		if (count != 0 && (fewest == 0 || count < fewest))
			fewest = count;
	}
	count = fewest / MATTERS;
	peer->closed.enough = fewest == 0 || count > CLOSED_ENTRIES_MAX ? CLOSED_ENTRIES_MAX
	    : count > 1                                                 ? (size_t)count
									: 1;
}

/* The first chunk has been sent. */
static void
shift(struct closed_queue *q)
{
	struct closed_chunk *sent = q->first;

	q->waiting -= sent->count;
	sent->count = 0;
	if (sent->next == NULL)
		return;
	q->first = sent->next;
	free(sent);
}

static void
on_closed_timer(void *arg, uint64_t now)
{
	struct peer *peer = arg;
	struct closed_queue *q = &peer->closed;

	if (peer->current == NULL || q->waiting == 0)
		return;
	if (!peering_send_closed(peer->current, q->first->entries, q->first->count)) {
		loop_timer_set(q->timer, BATCH);
		return;
	}
	q->sent_at = now;
	shift(q);
	arm(peer);
}

void
peer_closed_init(struct peer *peer)
{
	struct closed_queue *q = &peer->closed;

	q->first = q->last = chunk_new();
	q->enough = CLOSED_ENTRIES_MAX;
	q->timer = loop_timer_new(peer->exchange->parts.session.loop, on_closed_timer, peer);
}

void
peer_closed_clear(struct peer *peer)
{
	struct closed_queue *q = &peer->closed;

	while (q->waiting > 0)
		shift(q);
	loop_timer_cancel(q->timer);
}

void
peer_closed_fini(struct peer *peer)
{
	peer_closed_clear(peer);
	loop_timer_free(peer->closed.timer);
	free(peer->closed.first);
}

void
peer_closed_resume(struct peer *peer)
{
	arm(peer);
}

void
peer_closed_add(struct peer *peer, const struct connection_closed *entry)
{
	struct closed_queue *q = &peer->closed;

	if (q->waiting == QUEUE_MAX) {
		exchange_count(peer->exchange, COUNTER_closed_untold);
		return;
	}
	if (q->last->count == CLOSED_ENTRIES_MAX) {
		q->last->next = chunk_new();
		q->last = q->last->next;
	}
	q->last->entries[q->last->count++] = *entry;
	q->waiting++;
	/* only what changes the time, not each entry, sets the timer */
	if (q->waiting == 1 || q->waiting == q->enough || q->waiting == CLOSED_ENTRIES_MAX)
		arm(peer);
}
