/*
 * internal: what the files of this folder share.  Nobody else includes this.
 *
 *   connection.c  the table, and the life of a record: opened, ended
 *   index.c       the hash index of both directions
 *   ports.c       the choice of a self port
 *   expiry.c      who expires when, and who goes first: the timer wheel and the queues
 *   track.c       what a packet does to a record
 *   tcp.c         the same for TCP's states
 *   view.c        what control sees
 *   pool.c        addresses, each held once
 */
#ifndef WLAD_CONNECTION_INTERNAL_H
#define WLAD_CONNECTION_INTERNAL_H

#include <netinet/in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "connection/connection.h"
#include "connection/pool.h"

#define NIL UINT32_MAX

/* struct connection, flags */
#define FLAG_LIVE             0x01 /* in use */
#define FLAG_OPENING          0x02 /* in a queue of opening connections: never answered */
#define FLAG_CLIENT_SEQ       0x04 /* client_seq is known */
#define FLAG_SERVER_SEQ       0x08 /* server_seq is known: the server's SYN was seen */
#define FLAG_CLIENT_FIN       0x10
#define FLAG_SERVER_FIN       0x20
#define FLAG_CLIENT_FIN_ACKED 0x40
#define FLAG_SERVER_FIN_ACKED 0x80

/* Until then server_seq is the microsecond at which the record was made, but for its last bits. */
#define WAITS_BITS   0x03
#define WAITS_BLAMED 0x01 /* has been counted as unanswered */

/* Time is counted in ticks since the table was made; 32 bits last for 17 years. */
#define TICKS_PER_SECOND 8
#define TICK             (CLOCK_SECOND / TICKS_PER_SECOND)

/* So long nobody ends a connection for another one's sake that is cheaper to spare: one that
 * opens may be in the middle of its handshake, late packets of one that is over may be under
 * way.  A second; a tick is the rounding. */
#define QUIET_TICKS (1 * TICKS_PER_SECOND + 1)

/* The wheel: one list for each tick ahead, up to 512 s.  64 * 64, for its bitmap. */
#define WHEEL_SLOTS 4096
#define WHEEL_WORDS (WHEEL_SLOTS / 64)

/* Numbers of the lists: first the wheel's, then the queues. */
enum {
	QUEUE_TCP = WHEEL_SLOTS, /* opening; by time of opening */
	QUEUE_UDP,               /* opening; by time of the last packet */
	QUEUE_TIME_WAIT,         /* over; by time of the last packet */
	QUEUE_LISTS,
	NO_QUEUE /* in the wheel */
};

struct connection_queues {
	uint32_t first[QUEUE_LISTS];
	uint32_t last[QUEUE_LISTS - WHEEL_SLOTS];
	uint32_t count[QUEUE_LISTS - WHEEL_SLOTS];
	uint64_t used[WHEEL_WORDS]; /* a bit for each slot that is not empty */
	uint64_t summary;           /* a bit for each word of used that is not 0 */
	uint32_t cursor;            /* the tick whose slot is next to be looked at */
};

/* A line of the index, see index.c. */
#define BUCKET_ENTRIES 15

struct connection_bucket {
	uint32_t entry[BUCKET_ENTRIES]; /* 8 bits of the hash, record * 2 + side; 0: empty */
	uint32_t passed;                /* entries that would be here if there had been room */
};

/* Servers towards which no port was left, see ports.c. */
#define EXHAUSTED_PLACES 64

struct connection_exhausted {
	uint32_t tag;  /* of the server and our address; 0: nobody */
	uint32_t tick; /* when */
};

struct connection_table {
	struct connection *records;
	struct connection_bucket *buckets;
	uint32_t bucket_count;
	uint32_t capacity;
	struct siphash_key key;
	struct pool pool;

	uint32_t live;
	uint64_t evicted; /* records ended to make room */
	uint32_t fresh;   /* records from here on were never used */
	uint32_t free;    /* first record that was given back, linked by queue_next */

	uint64_t start;                   /* of tick 0, ns of the clock */
	uint32_t tick;                    /* the latest that was seen */
	struct connection_timeouts ticks; /* the timeouts */
	struct connection_queues queues;

	uint32_t *freed; /* ports freed lately, see ports.c */
	uint32_t freed_mask;
	bool ports_scarce; /* the last search for one found none that had rested */
	struct connection_exhausted exhausted[EXHAUSTED_PLACES];
	uint32_t exhausted_last; /* the latest of their ticks */

	connection_port_taken *port_taken;
	void *port_taken_arg;
	connection_change *change;
	void *change_arg;

	uint32_t by_kind[CONNECTION_KINDS];
	uint32_t by_state[CONNECTION_STATES];
	size_t octets; /* of memory, all in all */
};

/* index.c.  What is hashed: the addresses of a packet as they stand in it. */
struct connection_tuple {
	struct ip source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol, zero;
	uint16_t origin;
};

uint64_t connection_index_hash(
    const struct connection_table *table, const struct connection_tuple *tuple);

/* The record of a packet, NULL if there is none. */
struct connection *connection_index_find(struct connection_table *table,
    const struct connection_tuple *tuple, uint64_t hash, enum connection_side *side);

/* Lets memory be read that searches for these hashes will look at, all at the same time. */
void connection_index_fetch(
    struct connection_table *table, const uint64_t *hashes, uint32_t count);

/* What packets of that side look like. */
struct connection_tuple connection_index_tuple(const struct connection_table *table,
    const struct connection *c, enum connection_side side);

/* Enters and removes a side of a record; hash is that of its tuple. */
void connection_index_insert(struct connection_table *table, struct connection *c,
    enum connection_side side, uint64_t hash);
void connection_index_remove(struct connection_table *table, struct connection *c,
    enum connection_side side, uint64_t hash);

/* ports.c.  Chooses a port if what->self.port is 0, else sees whether that one may be had.
 * Returns the port, 0 if there is none.  *holder is the record, over or unanswered, that has to
 * end for it, NULL if the port is free. */
uint16_t connection_port_choose(struct connection_table *table,
    const struct connection_new *what, struct random *random, struct connection **holder);

/* A port whose server side had that hash is free from now on. */
void connection_port_freed(struct connection_table *table, uint64_t hash);

/* expiry.c */
void connection_queues_init(struct connection_queues *queues);

/* Enters a record by its state, flags, protocol and expires, none of which changes until it
 * has been taken out again; but for expires, which may be put off. */
void connection_queue_link(struct connection_table *table, struct connection *c);
void connection_queue_unlink(struct connection_table *table, struct connection *c);

/* The tick at whose end the record goes if nothing more is seen of it. */
uint32_t connection_queue_deadline(
    const struct connection_table *table, const struct connection *c);

/* The record that goes first when room is needed, NULL if there is none. */
struct connection *connection_queue_victim(struct connection_table *table);

/* The oldest half-open TCP record if there are too many to add one, and it has had its second;
 * else NULL. */
struct connection *connection_queue_excess(struct connection_table *table);

/* Brings table->tick up to the time. */
void connection_clock(struct connection_table *table, uint64_t now);

/* track.c.  The timeout of its state, in ticks. */
uint32_t connection_timeout(const struct connection_table *table, const struct connection *c);

/* Microseconds since the table was made, modulo 2^32. */
uint32_t connection_micros(const struct connection_table *table, uint64_t now);

/* Changes the state, tells the listener, moves a record that has been answered, or is over,
 * to where it waits from now on. */
void connection_set_state(
    struct connection_table *table, struct connection *c, enum connection_state state);

/* tcp.c.  Returns whether the packet keeps the connection alive. */
bool connection_tcp_track(
    struct connection_table *table, struct connection *c, const struct connection_event *event);

static inline uint32_t
connection_index(const struct connection_table *table, const struct connection *c)
{
	return (uint32_t)(c - table->records);
}

/* The queue a record is in.  One that was reset before it was answered stays among the
 * opening ones. */
static inline uint32_t
connection_queue_of(const struct connection *c)
{
	if (c->flags & FLAG_OPENING)
		return c->protocol == IPPROTO_TCP ? QUEUE_TCP : QUEUE_UDP;
	return c->state == CONNECTION_TIME_WAIT ? QUEUE_TIME_WAIT : NO_QUEUE;
}

/*
 * Packets of the server do not pass here, and no port of ours waits for them: by rule 2 at the
 * transferor, by rule 3 at the transferee.
 */
static inline bool
connection_is_one_sided(const struct connection *c)
{
	switch (c->kind) {
	case CONNECTION_TRANSFERRED:
		return c->relay_port == 0;
	case CONNECTION_RECEIVED:
		return c->relay_port != 0;
	case CONNECTION_PASSED:
		return true;
	default:
		return false;
	}
}

/* Clients are too many to be in the pool. */
static inline const struct ip *
connection_self_ip(const struct connection_table *table, const struct connection *c)
{
	return c->keep ? &c->client : pool_ip(&table->pool, c->self_ip);
}

/* It is we who send to the server. */
static inline bool
connection_has_server(const struct connection *c)
{
	return c->kind == CONNECTION_LOCAL || c->kind == CONNECTION_RECEIVED;
}

#endif
