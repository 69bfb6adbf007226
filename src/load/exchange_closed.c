/*
 * exchange_closed: the ends of connections that peers are to be told.
 *
 * They come from the packet path, in bursts: so the queue of each peer is made of chunks, of which
 * one is always there and is all that is used while there is a session.  A chunk is a message.
 * What has been handed to a session that then ends may be lost, and is left to its timeout.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/exchange_internal.h"

#define BATCH (CLOCK_SECOND / 10)

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

	if (q->waiting > 0 && peer->current != NULL)
		loop_timer_set(q->timer, q->first->count == CLOSED_ENTRIES_MAX ? 0 : BATCH);
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

	(void)now;
	if (peer->current == NULL || q->waiting == 0)
		return;
	if (!peering_send_closed(peer->current, q->first->entries, q->first->count)) {
		loop_timer_set(q->timer, BATCH);
		return;
	}
	shift(q);
	arm(peer);
}

void
peer_closed_init(struct peer *peer)
{
	struct closed_queue *q = &peer->closed;

	q->first = q->last = chunk_new();
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
	if (q->waiting == 1 || q->waiting == CLOSED_ENTRIES_MAX)
		arm(peer);
}
