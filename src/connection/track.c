/*
 * What a packet does to the record of its connection.
 */
#include "connection/internal.h"

#define PORT_DNS 53

/* An answer in fragments may be under way for so long. */
#define ANSWER_TICKS (3 * TICKS_PER_SECOND)

uint32_t
connection_timeout(const struct connection_table *table, const struct connection *c)
{
	const struct connection_timeouts *t = &table->ticks;

	switch (c->protocol) {
	case IPPROTO_TCP:
		if (c->state == CONNECTION_OPENING)
			return t->tcp_opening;
		if (c->state == CONNECTION_ESTABLISHED)
			return t->tcp_established;
		return c->state == CONNECTION_CLOSING ? t->tcp_closing : t->tcp_time_wait;
	case IPPROTO_UDP:
		if (c->one_packet && c->state != CONNECTION_OPENING)
			return ANSWER_TICKS;
		if (c->state == CONNECTION_OPENING || c->service_port == PORT_DNS)
			return t->udp_opening;
		return t->udp;
	default:
		return t->icmp;
	}
}

bool
connection_is_active(const struct connection *c)
{
	return c->state == CONNECTION_OPENING || c->state == CONNECTION_ESTABLISHED;
}

uint32_t
connection_micros(const struct connection_table *table, uint64_t now)
{
	return (uint32_t)((now - table->start) / (CLOCK_SECOND / 1000000));
}

bool
connection_is_answered(const struct connection *c)
{
	return c->state != CONNECTION_OPENING || c->flags & FLAG_SERVER_SEQ;
}

bool
connection_is_heard(const struct connection *c)
{
	return connection_is_answered(c) || !connection_has_server(c) ||
	    connection_is_one_sided(c);
}

uint32_t
connection_waits(const struct connection_table *table, const struct connection *c, uint64_t now)
{
	return connection_micros(table, now) - (c->server_seq & ~(uint32_t)WAITS_BITS);
}

bool
connection_blame(struct connection *c)
{
	if (connection_is_heard(c) || c->server_seq & WAITS_BLAMED)
		return false;
	c->server_seq |= WAITS_BLAMED;
	return true;
}

void
connection_set_state(
    struct connection_table *table, struct connection *c, enum connection_state state)
{
	bool before = connection_is_active(c);
	bool opening = c->flags & FLAG_OPENING;
	bool moves = opening ? state == CONNECTION_ESTABLISHED : state == CONNECTION_TIME_WAIT;

	if (moves)
		connection_queue_unlink(table, c);
	table->by_state[c->state]--;
	table->by_state[state]++;
	c->state = (uint8_t)state;
	if (moves) {
		c->flags &= (uint8_t)~FLAG_OPENING;
		c->touched = table->tick;
		c->expires = table->tick + connection_timeout(table, c);
		connection_queue_link(table, c);
	}
	if (table->change == NULL || connection_is_active(c))
		return;
	if (before || state == CONNECTION_TIME_WAIT)
		table->change(table->change_arg, c, before, false, false);
}

/* UDP and ICMP: a reply of the server shows that somebody is there.  Where replies do not pass
 * here, a client that goes on sending does. */
static void
track_datagram(
    struct connection_table *table, struct connection *c, const struct connection_event *event)
{
	if (c->state != CONNECTION_OPENING)
		return;
	if (event->side == CONNECTION_FROM_SERVER ||
	    (connection_is_one_sided(c) && c->packets >= 2))
		connection_set_state(table, c, CONNECTION_ESTABLISHED);
}

/* Whether the record is elsewhere in its list, or in another one, if it gets its time now. */
static bool
moves_by_packet(const struct connection_table *table, const struct connection *c)
{
	switch (connection_queue_of(c)) {
	case QUEUE_TCP:
		return false;
	case QUEUE_UDP:
	case QUEUE_TIME_WAIT:
		return c->touched != table->tick;
	default:
		return table->tick + connection_timeout(table, c) < c->expires;
	}
}

/* Gives the record its time, from now on. */
static void
refresh(struct connection_table *table, struct connection *c)
{
	bool moves = moves_by_packet(table, c);

	if (moves)
		connection_queue_unlink(table, c);
	c->touched = table->tick;
	c->expires = table->tick + connection_timeout(table, c);
	if (moves)
		connection_queue_link(table, c);
}

void
connection_track(struct connection_table *table, struct connection *c,
    const struct connection_event *event, uint64_t now)
{
	bool alive = true;

	connection_clock(table, now);
	c->packets++;
	c->bytes += event->len;
	if (event->later_fragment)
		alive = true;
	else if (c->protocol == IPPROTO_TCP)
		alive = connection_tcp_track(table, c, event);
	else
		track_datagram(table, c, event);
	if (alive)
		refresh(table, c);
}
