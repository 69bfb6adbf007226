/*
 * The states of a TCP connection as a third party sees them.
 *
 *   OPENING      --the handshake is acknowledged--> ESTABLISHED
 *   ESTABLISHED  --a FIN of either end-->           CLOSING
 *   CLOSING      --both FINs are acknowledged-->    TIME_WAIT
 *   any of them  --a RST that can be genuine-->     TIME_WAIT
 *
 * Nothing is refused here: a packet that makes no sense changes nothing and passes, and the
 * ends judge it.  What is guarded is the memory that a record takes: it stays
 * among the opening ones, short-lived and first to go, until somebody who sees the
 * server's packets has acknowledged the server's sequence number exactly.  A
 * sender of forged SYN, ACK, FIN or RST packets never gets further than that.
 *
 * Of sequence numbers we know the next one expected from each end.  Window scales are not
 * kept; a number is taken for genuine within 1 MiB of it.  A forged RST that
 * hits this (one in 2048) costs the record its state, not the connection: its ends compare
 * exactly (RFC 5961), and while they go on talking each packet keeps the record alive, and
 * behind all the others in TIME_WAIT where room is needed.
 */
#include "connection/internal.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define WINDOW (INT32_C(1) << 20)

/* Data that a SYN may carry (RFC 7413) and the other end need not have taken. */
#define SYN_DATA 1500

/* What the record knows of one end. */
struct end {
	uint32_t *seq; /* next sequence number expected */
	uint8_t known, fin, fin_acked;
};

static inline struct end
end_of(struct connection *c, enum connection_side side)
{
	if (side == CONNECTION_FROM_CLIENT)
		return (struct end){
		    &c->client_seq, FLAG_CLIENT_SEQ, FLAG_CLIENT_FIN, FLAG_CLIENT_FIN_ACKED};
	return (struct end){
	    &c->server_seq, FLAG_SERVER_SEQ, FLAG_SERVER_FIN, FLAG_SERVER_FIN_ACKED};
}

static inline struct end
other_end_of(struct connection *c, enum connection_side side)
{
	return end_of(c,
	    side == CONNECTION_FROM_CLIENT ? CONNECTION_FROM_SERVER : CONNECTION_FROM_CLIENT);
}

/* How far a is after b, modulo 2^32; negative if it is before. */
static inline int32_t
distance(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static inline bool
in_window(uint32_t seq, uint32_t expected)
{
	return distance(seq, expected) <= WINDOW && distance(seq, expected) >= -WINDOW;
}

/* Exact, but for data in the SYN: of an opening connection nothing else can be under way. */
static inline bool
is_after_syn(uint32_t seq, uint32_t expected)
{
	return distance(seq, expected) >= 0 && distance(seq, expected) <= SYN_DATA;
}

static bool
reset_is_genuine(struct connection *c, const struct connection_event *e)
{
	struct end sender = end_of(c, e->side), other = other_end_of(c, e->side);
	bool opening = c->state == CONNECTION_OPENING;
	bool by_seq = c->flags & sender.known;
	bool by_ack = e->tcp_flags & TCP_ACK && c->flags & other.known;

	/* the answer to a SYN that nobody wanted has no sequence number of its own */
	if (opening && e->side == CONNECTION_FROM_SERVER)
		return (by_ack && is_after_syn(e->tcp_ack, *other.seq)) ||
		    (by_seq && e->tcp_seq == *sender.seq);
	if (opening)
		return by_seq && is_after_syn(e->tcp_seq, *sender.seq);
	if (by_seq)
		return in_window(e->tcp_seq, *sender.seq);
	return by_ack && in_window(e->tcp_ack, *other.seq);
}

/*
 * A reset connection leaves soon.  One that was never answered stays in its queue: a SYN with
 * a RST after it must not make a record that lives longer.
 */
static bool
track_reset(
    struct connection_table *table, struct connection *c, const struct connection_event *e)
{
	if (c->state == CONNECTION_TIME_WAIT || !reset_is_genuine(c, e))
		return false;
	connection_set_state(table, c, CONNECTION_TIME_WAIT);
	return true;
}

static bool
handshake_is_over(const struct connection *c, const struct connection_event *e)
{
	bool ack = e->tcp_flags & TCP_ACK;

	/* by rule 2 the client's half is all there is; the transferee, who sees both, judges */
	if (connection_is_one_sided(c))
		return e->side == CONNECTION_FROM_CLIENT && ack && !(e->tcp_flags & TCP_SYN);
	if (!(c->flags & FLAG_SERVER_SEQ))
		return false;
	/* a SYN-ACK of the client too: a simultaneous open or a split handshake */
	if (e->side == CONNECTION_FROM_CLIENT)
		return ack && e->tcp_ack == c->server_seq;
	/* data of the server before that: it has accepted the data of the SYN (RFC 7413) */
	return ack && !(e->tcp_flags & TCP_SYN) && e->payload > 0;
}

/* A SYN counts while the connection opens, and the latest one most.  Later ones are stray:
 * those of a new connection have been told apart by connection_may_reopen(). */
static void
take_syn(struct connection *c, const struct connection_event *e)
{
	struct end sender = end_of(c, e->side);

	if (c->state != CONNECTION_OPENING)
		return;
	*sender.seq = e->tcp_seq + 1;
	c->flags |= sender.known;
}

static void
take_segment(struct connection *c, const struct connection_event *e)
{
	struct end sender = end_of(c, e->side);
	bool fin = e->tcp_flags & TCP_FIN;
	uint32_t next = e->tcp_seq + e->payload + fin;

	if (!(c->flags & sender.known)) {
		*sender.seq = next;
		c->flags |= sender.known;
	}
	if (!in_window(next, *sender.seq))
		return;
	if (distance(next, *sender.seq) > 0)
		*sender.seq = next;
	if (fin)
		c->flags |= sender.fin;
}

static void
take_ack(struct connection *c, const struct connection_event *e)
{
	struct end other = other_end_of(c, e->side);
	int32_t beyond = distance(e->tcp_ack, *other.seq);

	if (!(e->tcp_flags & TCP_ACK))
		return;
	/* the server's numbers as far as its client tells: a RST in its name needs them */
	if (connection_is_one_sided(c))
		*other.seq = e->tcp_ack;
	if (!(c->flags & other.known))
		return;
	/* The server has more than we saw: we are behind by more than a window, and its
	 * word, which comes from inside, is believed. */
	if (e->side == CONNECTION_FROM_SERVER && beyond > 0)
		*other.seq = e->tcp_ack;
	if (c->flags & other.fin && beyond >= 0 && beyond <= WINDOW)
		c->flags |= other.fin_acked;
}

static void
follow_fins(struct connection_table *table, struct connection *c)
{
	const uint8_t acked = FLAG_CLIENT_FIN_ACKED | FLAG_SERVER_FIN_ACKED;

	if (c->state == CONNECTION_ESTABLISHED && c->flags & (FLAG_CLIENT_FIN | FLAG_SERVER_FIN))
		connection_set_state(table, c, CONNECTION_CLOSING);
	if (c->state == CONNECTION_CLOSING && (c->flags & acked) == acked)
		connection_set_state(table, c, CONNECTION_TIME_WAIT);
}

bool
connection_tcp_track(
    struct connection_table *table, struct connection *c, const struct connection_event *e)
{
	if (e->tcp_flags & TCP_RST)
		return track_reset(table, c, e);
	if (e->tcp_flags & TCP_SYN)
		take_syn(c, e);
	if (c->state == CONNECTION_OPENING && handshake_is_over(c, e))
		connection_set_state(table, c, CONNECTION_ESTABLISHED);
	if (c->flags & FLAG_OPENING)
		return true;
	if (!(e->tcp_flags & TCP_SYN))
		take_segment(c, e);
	take_ack(c, e);
	follow_fins(table, c);
	return true;
}

/*
 * A client that sends a SYN has forgotten the old connection, or somebody forges it, or it
 * was long under way.  The last is told by its sequence number, which is not beyond those
 * that were used.  Forged ones do no harm to a connection that is over.  One whose
 * client has closed its half may still receive for hours, so that its record is kept: the
 * server answers by the acknowledgement that makes a client without that connection reset
 * it (RFC 9293, 3.10.7.4), and the SYN after that opens.
 */
bool
connection_may_reopen(const struct connection *c, const struct connection_event *e)
{
	const uint8_t fins = FLAG_CLIENT_FIN | FLAG_SERVER_FIN;

	if (e->side != CONNECTION_FROM_CLIENT ||
	    (e->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return false;
	if (c->state == CONNECTION_TIME_WAIT)
		return true;
	if (c->state != CONNECTION_CLOSING ||
	    ((c->flags & fins) == FLAG_CLIENT_FIN && !connection_is_one_sided(c)))
		return false;
	return distance(e->tcp_seq, c->client_seq) > 0;
}
