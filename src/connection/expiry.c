/*
 * Who expires when, without looking at anybody else.
 *
 * The wheel has a list for each tick of the next 512 s.  A packet of a connection only writes
 * the new time into the record, since mostly it is later than the old one: when the turn of
 * its list comes and the record has not expired, it is put where it belongs now.  A time
 * beyond the wheel waits in the last list.  Only a time that gets nearer moves the record
 * at once.
 *
 * Opening connections, TCP and UDP, have a queue each instead, and those in TIME_WAIT one:
 * with the same timeout for all of them it is in the order of expiry, and a full table finds
 * the oldest at its head.  A retransmitted SYN does not move its record; one of UDP, and one
 * in TIME_WAIT, goes to the end with each packet.
 *
 * Lists are doubly linked by index; at both ends stands the number of the list.
 */
#include "connection/internal.h"

#define LIST_MARK UINT32_C(0x80000000)

void
connection_queues_init(struct connection_queues *queues)
{
	uint32_t i;

	*queues = (struct connection_queues){0};
	for (i = 0; i < QUEUE_LISTS; i++)
		queues->first[i] = LIST_MARK | i;
	for (i = WHEEL_SLOTS; i < QUEUE_LISTS; i++)
		queues->last[i - WHEEL_SLOTS] = LIST_MARK | i;
}

void
connection_clock(struct connection_table *table, uint64_t now)
{
	uint64_t tick = now > table->start ? (now - table->start) / TICK : 0;

	if (tick > table->tick)
		table->tick = (uint32_t)tick;
}

static inline bool
is_list(uint32_t link)
{
	return (link & LIST_MARK) != 0;
}

static void
mark_slot(struct connection_queues *q, uint32_t slot)
{
	q->used[slot / 64] |= UINT64_C(1) << slot % 64;
	q->summary |= UINT64_C(1) << slot / 64;
}

static void
clear_slot(struct connection_queues *q, uint32_t slot)
{
	q->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
	if (q->used[slot / 64] == 0)
		q->summary &= ~(UINT64_C(1) << slot / 64);
}

/* The list of a tick: a turn ahead of the cursor at most, so that no two ticks share one. */
static uint32_t
slot_for(const struct connection_queues *q, uint32_t expires)
{
	uint32_t farthest = q->cursor + WHEEL_SLOTS - 1;

	return (expires < farthest ? expires : farthest) % WHEEL_SLOTS;
}

static void
link_front(struct connection_table *table, struct connection *c, uint32_t list)
{
	struct connection_queues *q = &table->queues;
	uint32_t first = q->first[list];

	c->queue_prev = LIST_MARK | list;
	c->queue_next = first;
	if (!is_list(first))
		table->records[first].queue_prev = connection_index(table, c);
	q->first[list] = connection_index(table, c);
}

static void
link_back(struct connection_table *table, struct connection *c, uint32_t list)
{
	struct connection_queues *q = &table->queues;
	uint32_t last = q->last[list - WHEEL_SLOTS];

	c->queue_next = LIST_MARK | list;
	c->queue_prev = last;
	if (is_list(last))
		q->first[list] = connection_index(table, c);
	else
		table->records[last].queue_next = connection_index(table, c);
	q->last[list - WHEEL_SLOTS] = connection_index(table, c);
	q->count[list - WHEEL_SLOTS]++;
}

void
connection_queue_link(struct connection_table *table, struct connection *c)
{
	uint32_t slot, queue = connection_queue_of(c);

	if (queue != NO_QUEUE) {
		link_back(table, c, queue);
		return;
	}
	slot = slot_for(&table->queues, c->expires);
	link_front(table, c, slot);
	mark_slot(&table->queues, slot);
}

void
connection_queue_unlink(struct connection_table *table, struct connection *c)
{
	struct connection_queues *q = &table->queues;
	uint32_t list, queue = connection_queue_of(c);

	if (!is_list(c->queue_prev))
		table->records[c->queue_prev].queue_next = c->queue_next;
	else
		q->first[c->queue_prev & ~LIST_MARK] = c->queue_next;
	if (!is_list(c->queue_next))
		table->records[c->queue_next].queue_prev = c->queue_prev;
	else if ((list = c->queue_next & ~LIST_MARK) >= WHEEL_SLOTS)
		q->last[list - WHEEL_SLOTS] = c->queue_prev;
	else if (is_list(c->queue_prev))
		clear_slot(q, list);
	if (queue != NO_QUEUE)
		q->count[queue - WHEEL_SLOTS]--;
}

static struct connection *
oldest(struct connection_table *table, uint32_t list)
{
	uint32_t first = table->queues.first[list];

	return is_list(first) ? NULL : &table->records[first];
}

static inline uint32_t
count_of(const struct connection_table *table, uint32_t queue)
{
	return table->queues.count[queue - WHEEL_SLOTS];
}

/* What is over harms nobody when it goes.  Of those that open, a flood makes its own queue the
 * longer one: it pays, not the other. */
struct connection *
connection_queue_victim(struct connection_table *table)
{
	if (count_of(table, QUEUE_TIME_WAIT) > 0)
		return oldest(table, QUEUE_TIME_WAIT);
	return oldest(table,
	    count_of(table, QUEUE_TCP) >= count_of(table, QUEUE_UDP) ? QUEUE_TCP : QUEUE_UDP);
}

struct connection *
connection_queue_excess(struct connection_table *table)
{
	struct connection *c = oldest(table, QUEUE_TCP);

	if (count_of(table, QUEUE_TCP) < table->capacity / 4 || c == NULL ||
	    table->tick - c->opened < QUIET_TICKS)
		return NULL;
	return c;
}

/* One tick late rather than early: a record made at the end of its tick has its full time. */
uint32_t
connection_queue_deadline(const struct connection_table *table, const struct connection *c)
{
	switch (connection_queue_of(c)) {
	case QUEUE_TCP:
		return c->opened + table->ticks.tcp_opening + 1;
	case QUEUE_UDP:
		return c->touched + table->ticks.udp_opening + 1;
	case QUEUE_TIME_WAIT:
		return c->touched + table->ticks.tcp_time_wait + 1;
	default:
		return c->expires + 1;
	}
}

/* The next tick from the cursor on whose list is not empty; NIL if none. */
static uint32_t
next_in_wheel(const struct connection_queues *q)
{
	uint32_t at = q->cursor % WHEEL_SLOTS;
	uint64_t word = q->used[at / 64] & (~UINT64_C(0) << at % 64);
	uint64_t later;
	uint32_t slot;

	if (q->summary == 0)
		return NIL;
	if (word != 0) {
		slot = at / 64 * 64 + (uint32_t)__builtin_ctzll(word);
	} else {
		/* the words after this one, else from the first again, this one at last */
		later = at / 64 == 63 ? 0 : q->summary & (~UINT64_C(0) << (at / 64 + 1));
		slot = (uint32_t)__builtin_ctzll(later != 0 ? later : q->summary) * 64;
		slot += (uint32_t)__builtin_ctzll(q->used[slot / 64]);
	}
	return q->cursor + (slot - at) % WHEEL_SLOTS;
}

/* Opening connections that have not been answered in time, and those that are over. */
static uint32_t
expire_queue(struct connection_table *table, uint32_t list, uint32_t budget)
{
	uint32_t ended = 0;
	struct connection *c;

	while (ended < budget && (c = oldest(table, list)) != NULL &&
	    connection_queue_deadline(table, c) <= table->tick) {
		connection_end(table, c);
		ended++;
	}
	return ended;
}

/* Looks at *budget records of the wheel at most and takes them from it. */
static uint32_t
expire_wheel(struct connection_table *table, uint32_t budget)
{
	struct connection_queues *q = &table->queues;
	uint32_t tick, ended = 0;
	struct connection *c;

	for (; budget > 0; budget--) {
		tick = next_in_wheel(q);
		if (tick == NIL || tick >= table->tick) {
			/* the list of this very tick is not due yet */
			if (table->tick > q->cursor)
				q->cursor = table->tick;
			break;
		}
		q->cursor = tick;
		c = oldest(table, tick % WHEEL_SLOTS);
		if (connection_queue_deadline(table, c) <= table->tick) {
			connection_end(table, c);
			ended++;
		} else {
			connection_queue_unlink(table, c);
			connection_queue_link(table, c);
		}
	}
	return ended;
}

uint32_t
connection_expire(struct connection_table *table, uint64_t now, uint32_t budget)
{
	uint32_t list, ended = 0;

	connection_clock(table, now);
	for (list = QUEUE_TCP; list < QUEUE_LISTS; list++)
		ended += expire_queue(table, list, budget - ended);
	return ended + expire_wheel(table, budget - ended);
}

uint64_t
connection_next_expiry(const struct connection_table *table)
{
	const struct connection_queues *q = &table->queues;
	uint32_t list, deadline, next = NIL;

	for (list = QUEUE_TCP; list < QUEUE_LISTS; list++) {
		if (is_list(q->first[list]))
			continue;
		deadline = connection_queue_deadline(table, &table->records[q->first[list]]);
		if (deadline < next)
			next = deadline;
	}
	deadline = next_in_wheel(q);
	if (deadline != NIL && deadline + 1 < next)
		next = deadline + 1;
	return next == NIL ? UINT64_MAX : table->start + next * TICK;
}
