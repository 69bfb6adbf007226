/*
 * connection: the connection information table 40 with its management unit 38.
 *
 * A flat arena of records, allocated at start, linked by index.  Each record is found from
 * both directions by one keyed hash: as the client's packet (C > L, and for received
 * connections which site it came from) and as the server's (S > A).  Records carry everything
 * that the conversion rules need.  Time is an argument; nothing is allocated after
 * connection_table_new().
 *
 * Called by the datapath (and read by control).  Does not know servers or sites other than as
 * numbers, sends nothing, logs nothing.
 * Seed: [0041] Fig. 5, [0052] Fig. 8, [0053] Fig. 9, claims 3, 4, 6.
 */
#ifndef WLAD_CONNECTION_CONNECTION_H
#define WLAD_CONNECTION_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/counters.h"
#include "base/random.h"
#include "base/siphash.h"

enum connection_kind {
	CONNECTION_LOCAL,       /* our service, our server (rule 1) */
	CONNECTION_TRANSFERRED, /* our service, another site's server: we are X (rules 2, 3) */
	CONNECTION_RECEIVED,    /* another site's service, our server: we are Y */
	CONNECTION_PASSED,      /* another site's service, a third site's server (Fig. 21) */
	CONNECTION_KINDS
};

enum connection_state {
	CONNECTION_OPENING,     /* TCP: SYN seen, no answer acknowledged; UDP: no reply seen */
	CONNECTION_ESTABLISHED, /* data may flow both ways */
	CONNECTION_CLOSING,     /* a FIN seen */
	CONNECTION_TIME_WAIT,   /* FINs of both sides acknowledged, or RST: it is over */
	CONNECTION_STATES
};

/* Whether we put a PROXY header in front of the client's data, and how far that is. */
enum connection_proxy {
	CONNECTION_PROXY_NONE,
	CONNECTION_PROXY_SYN,   /* the server has not answered yet */
	CONNECTION_PROXY_READY, /* its SYN-ACK was seen, the header was not sent */
	CONNECTION_PROXY_SENT,
	CONNECTION_PROXY_AGAIN, /* it was repeated because the server said that it lacks it */
	CONNECTION_PROXY_DONE   /* the server has it */
};

/* Which end a packet comes from. */
enum connection_side { CONNECTION_FROM_CLIENT, CONNECTION_FROM_SERVER };

#define CONNECTION_NO_SITE   UINT16_MAX
#define CONNECTION_NO_SERVER UINT32_MAX

/* A record as the outside sees it: addresses are looked up by the functions below.
 * Read-only outside of this folder. */
struct connection {
	/* the first 64 octets are all that a search touches, and most of what a packet does */
	struct ip client;
	uint16_t client_port, service_port, self_port, server_port;
	/* handles into the table's address pool */
	uint32_t service_ip, self_ip, server_ip;
	uint8_t protocol;
	uint8_t kind : 2;     /* enum connection_kind */
	uint8_t repeated : 1; /* rule 3 in place of rule 2, by which no answer got through */
	uint8_t keep : 1;     /* the server sees the client's own address: self is the client */
	uint8_t proxy : 3;    /* enum connection_proxy; the datapath's, as is the rest of it */
	uint8_t spoke : 1;    /* the server has sent data before it had the PROXY header */
	uint8_t state : 2;    /* enum connection_state */
	uint8_t one_packet : 1; /* it is over with the server's first answer */
	uint8_t unkeyed : 1;    /* no packet of the client finds it */
	uint8_t flags;          /* private to the module */
	uint16_t service;       /* number of the service in the load table */
	uint16_t site;          /* transferee; the transferor if received or passed on */
	uint32_t server;  /* number of the server in the load table; CONNECTION_NO_SERVER */
	uint32_t expires; /* in ticks, see expiry.c */
	uint32_t touched; /* tick of the last packet */
	uint64_t packets : 48;
	uint64_t isn_high : 16;
	/* the rest */
	uint64_t bytes : 48;
	uint64_t isn_low : 16; /* of the client's initial sequence number, see connection_isn() */
	/* next sequence number expected from each end */
	uint32_t client_seq, server_seq;
	uint32_t queue_prev, queue_next; /* expiry queue */
	uint32_t opened;                 /* tick of its opening */
	uint16_t relay_port; /* rule 3: where the server's packets arrive at the transferor; else 0 */
	uint16_t next;       /* passed on: the transferee; else CONNECTION_NO_SITE */
};

_Static_assert(sizeof(struct connection) == 96, "a record has grown");

/* Where a PROXY header stands in: the number of the SYN that is in force. */
static inline uint32_t
connection_isn(const struct connection *c)
{
	return (uint32_t)c->isn_high << 16 | (uint32_t)c->isn_low;
}

static inline void
connection_set_isn(struct connection *c, uint32_t isn)
{
	c->isn_high = isn >> 16;
	c->isn_low = isn & 0xffff;
}

/* A hash key: the packet's own addresses.  origin is 0 but for packets out of a transfer
 * packet, where it is the transferor's site number + 1. */
struct connection_key {
	struct addr source, destination;
	uint8_t protocol;
	uint16_t origin;
};

struct connection_timeouts { /* seconds */
	uint32_t tcp_opening, tcp_established, tcp_closing, tcp_time_wait;
	uint32_t udp, udp_opening, icmp;
};

struct connection_settings {
	uint32_t capacity; /* connections, 16 to 8388608 (8 Mi) */
	struct connection_timeouts timeouts;
	struct siphash_key hash_key; /* random per start */
};

/* What is known of a connection when it opens. */
struct connection_new {
	enum connection_kind kind;
	uint8_t protocol;
	struct addr client, service;
	struct addr server, self; /* unused if transferred; self.port 0: choose one */
	bool keep; /* self is the client, not given: its own port is had or none */
	/* Rule 3.  Transferred: a port is opened on the service's address, and chosen if this is 0.
	 * Received: the transferor's, not 0; the service's address with it is what the server
	 * sees, and self is not used. */
	bool relayed;
	uint16_t relay_port;
	/* UDP: over with the first answer of the server.  Unkeyed, only the server's packets find
	 * it, so that there may be any number of them between the same ends: each datagram of
	 * the client gets its own.  One that is keyed takes the later fragments of its datagram. */
	bool one_packet, unkeyed;
	uint16_t service_number, site;
	uint16_t next; /* passed on: to whom */
	uint32_t server_number;
};

/* A connection that is over, or that nobody here knows. */
struct connection_closed {
	struct addr client, service; /* as in the client's packets */
	uint8_t protocol;
	bool from_transferor; /* the site that says so transferred it; else it was transferred to it */
	bool reset;           /* its client is to be told by a RST */
	uint32_t seq; /* TCP: the client's sequence number, next expected: who reopened the same
	               * ports since has another one */
};

struct connection_counts {
	uint64_t live, capacity;
	uint64_t by_kind[CONNECTION_KINDS];
	uint64_t by_state[CONNECTION_STATES];
};

struct connection_table;

/* Allocates everything for the capacity, and touches it, so that no packet waits for a page.
 * NULL with errno: ENOMEM, or EINVAL for a capacity out of range. */
struct connection_table *connection_table_new(
    const struct connection_settings *settings, uint64_t now);
void connection_table_free(struct connection_table *table);

/* A reload changed the timeouts: they hold for the next packet of each connection; for those
 * that are opening, and those in TIME_WAIT, at once. */
void connection_table_set_timeouts(
    struct connection_table *table, const struct connection_timeouts *timeouts);

/* Finds the record of a packet, and which side sent it; NULL if there is none. */
struct connection *connection_find(struct connection_table *table,
    const struct connection_key *key, enum connection_side *side);

/*
 * The same in two steps, for who has several packets at once: their hashes, of which
 * connection_fetch() lets the memory be read that the searches will look at, all at the same time.
 */
uint64_t connection_hash(const struct connection_table *table, const struct connection_key *key);
void connection_fetch(struct connection_table *table, const uint64_t *hashes, uint32_t count);
struct connection *connection_find_hashed(struct connection_table *table,
    const struct connection_key *key, uint64_t hash, enum connection_side *side);

/*
 * Enters a connection.  A self port is chosen at random (RFC 6056) from 1024-65535, not in use
 * towards that server from that self address, and for which port_taken() (may be NULL) says no:
 * it names the ports on which the self address offers a service.  A port that was in use
 * towards that server less than two minutes ago is taken only if no other is found; then, at
 * last, that of a connection of which nothing was seen for a second and that is in TIME_WAIT,
 * or if none is met unanswered: its record ends.  A given port is had in the same way or not at
 * all.
 * If a record with the same client key exists, *out is that one and nothing is entered ("the
 * insert notices"): told apart by *existed.
 * Returns DROP_none, DROP_table_full (also if there is no room for another address of servers,
 * services and our own) or DROP_out_of_ports.
 * A full table makes room by ending the connection that is in TIME_WAIT without a packet for
 * the longest time, or if there is none the oldest unanswered one (TCP or UDP, of whichever
 * there are more); half-open TCP connections older than a second end when there are more of
 * them than a quarter of the table.  Established and closing ones stay.  The change callback is
 * called for those that are ended, of which there may be two; nobody is ended for a connection
 * that is refused.
 * The new record is opening and has seen no packet yet: hand its first one to
 * connection_track().  The caller counts it as active.
 */
enum drop connection_open(struct connection_table *table, const struct connection_new *what,
    struct random *random, uint64_t now, struct connection **out, bool *existed);

/*
 * The transferred connection whose relay port that is (destination, of our service's address),
 * whoever the sender; NULL if there is none.  Its server is the first whose packet was accepted:
 * until connection_pin() it has none (address zero).
 */
struct connection *connection_find_relay(
    struct connection_table *table, const struct connection_key *key);

/* From now on only this server's packets are the connection's.  False if there is no room for
 * its address: nothing has changed. */
bool connection_pin(
    struct connection_table *table, struct connection *c, const struct addr *server);

/* Somebody who sees both directions says that it is over: as if that had been seen here. */
void connection_close(struct connection_table *table, struct connection *c, uint64_t now);

/* Says whether a self address's port must not be used. */
typedef bool connection_port_taken(void *arg, const struct addr *self, uint8_t protocol);
void connection_table_set_port_taken(
    struct connection_table *table, connection_port_taken *taken, void *arg);

/*
 * Takes a packet of the connection into account: state, timeouts, counters, sequence numbers.
 * Pure of I/O.  tcp_* are 0 for other protocols; payload is octets of TCP payload, len
 * octets of the IP packet.  A later fragment (RFC 791, 3.2) is counted and gives the
 * connection its time, and says nothing else.
 */
struct connection_event {
	enum connection_side side;
	uint8_t tcp_flags;
	uint32_t tcp_seq, tcp_ack, payload, len;
	bool later_fragment;
};
void connection_track(struct connection_table *table, struct connection *c,
    const struct connection_event *event, uint64_t now);

/*
 * True if the packet is the SYN of a new connection although the record of an old one between
 * the same ends is still here (RFC 1122, 4.2.2.13): the record is to be ended and a new one
 * opened.  Never for a connection that may still carry data from its server.  To be asked
 * before connection_track().
 */
bool connection_may_reopen(const struct connection *c, const struct connection_event *event);

/*
 * The server's first word.  While a connection of our own server opens and nothing was heard of
 * it (a SYN of TCP, any packet of others) the record remembers when its first packet came, and
 * whether the connection has been counted as unanswered.
 */

/* True once the server's SYN was seen here, or of other protocols a packet; or it is over. */
bool connection_is_answered(const struct connection *c);

/* False if the next packet of the server is its first. */
bool connection_is_heard(const struct connection *c);

/* Microseconds from its first packet until now, of one that is not heard: exact up to 4, and
 * modulo 71 minutes. */
uint32_t connection_waits(
    const struct connection_table *table, const struct connection *c, uint64_t now);

/* Counts it as unanswered: true the first time only. */
bool connection_blame(struct connection *c);

/* True while the connection counts as in flight (opening or established): the "active" of the
 * load.  Changes are told by the callback below. */
bool connection_is_active(const struct connection *c);

/*
 * Called when a connection stops being active and when it comes into TIME_WAIT, which may be
 * the same (ended = false), and when its record goes (ended = true); active_before says whether
 * it counted until now, which is so once for each connection: that keeps the load table's counts
 * exact.
 * The record is valid during the call, which must not change the table.
 */
typedef void connection_change(
    void *arg, const struct connection *c, bool active_before, bool active_after, bool ended);
void connection_table_set_change(
    struct connection_table *table, connection_change *change, void *arg);

/* True if no packet can find the record any more: an unkeyed one whose server's packets do not
 * pass here.  To be ended once its datagram has left. */
bool connection_is_spent(const struct connection *c);

/* Removes a record now. */
void connection_end(struct connection_table *table, struct connection *c);

/*
 * Ends what has expired; returns how many.  Looks at no more than budget records: those that
 * have expired, and those whose turn it was but which have seen packets since (each of
 * these every 8 minutes).  There is more to do while connection_next_expiry() is not after now.
 */
uint32_t connection_expire(struct connection_table *table, uint64_t now, uint32_t budget);

/* The time of the latest event that the table was told of, to an eighth of a second. */
uint64_t connection_table_now(const struct connection_table *table);

/* When connection_expire() next has work, ns of the clock, possibly in the past;
 * UINT64_MAX if the table is empty.  Cheap: asked after each burst of packets. */
uint64_t connection_next_expiry(const struct connection_table *table);

/* The addresses of a record. */
struct addr connection_client(const struct connection_table *table, const struct connection *c);
struct addr connection_service(const struct connection_table *table, const struct connection *c);
struct addr connection_self(const struct connection_table *table, const struct connection *c);
struct addr connection_server(const struct connection_table *table, const struct connection *c);

/* Milliseconds since its last packet; milliseconds until it expires. */
uint64_t connection_idle_ms(
    const struct connection_table *table, const struct connection *c, uint64_t now);
uint64_t connection_remaining_ms(
    const struct connection_table *table, const struct connection *c, uint64_t now);

/* True if it was opened age ns before that time, or earlier; by an eighth of a second. */
bool connection_is_older(const struct connection_table *table, const struct connection *c,
    uint64_t age, uint64_t time);

/* Walks all live records: start with *cursor = 0, NULL at the end.  Records may end between
 * calls.  After many have ended, a call may pass over millions of free ones. */
struct connection *connection_walk(struct connection_table *table, uint32_t *cursor);

/* The same a part at a time: looks at no more than *budget records, free or live, and takes
 * them from it.  NULL if it is used up, or with *done at the end. */
struct connection *connection_walk_some(
    struct connection_table *table, uint32_t *cursor, uint32_t *budget, bool *done);

/* Connections that connection_open() has ended to make room, since the start. */
uint64_t connection_table_evicted(const struct connection_table *table);

void connection_table_counts(
    const struct connection_table *table, struct connection_counts *counts);

/* Octets of memory for each connection of the capacity, all indexes included. */
double connection_table_bytes_each(const struct connection_table *table);

const char *connection_kind_name(enum connection_kind kind);
const char *connection_state_name(enum connection_state state);

#endif
