/*
 * datapath_internal: the datapath's insides, for datapath*.c alone.
 */
#ifndef WLAD_DATAPATH_INTERNAL_H
#define WLAD_DATAPATH_INTERNAL_H

#include "base/ratelimit.h"
#include "datapath.h"
#include "packet/fragment.h"
#include "packet/join.h"
#include "packet/reply.h"
#include "transfer/header.h"
#include "transfer/seal.h"

/* Sealed datagrams of one super-packet, as many as go out by one system call. */
#define SEAL_BUFFER (128 * 1024)

/* Packets that are looked up together: more do not hide the memory's latency better. */
#define DATAPATH_BURST 32

/* Flows whose packets are joined at a time. */
#define JOINS_MAX 8

/* Datagrams that lie sealed and wait to leave by one system call. */
struct datapath_outgoing {
	struct addr to;
	uint32_t site;
	size_t at, used; /* octets */
	size_t segment;  /* of each datagram but the last */
	long sent;       /* octets taken by that call; -1: error says why none */
	int error;
};

/* So many system calls may wait for the end of a burst: a super-packet makes two. */
#define OUTGOING_MAX 4

/* A queue of the device, and what only its thread needs. */
struct datapath_lane {
	struct io *io;
	struct datapath_outgoing outgoing[OUTGOING_MAX]; /* one after the other in sealed */
	unsigned outgoings;
	uint8_t sealed[SEAL_BUFFER];
};

/* What the datapath remembers of a site. */
struct datapath_site {
	uint64_t lost_at;    /* connections opened before are being ended; 0: none are */
	struct ip helped[3]; /* clients that only a repetition by rule 3 has helped */
	uint8_t helped_count;
};

struct datapath {
	const struct config *config;
	struct guard *guard;                        /* NULL: one thread does it all */
	struct datapath_lane *lanes[IO_QUEUES_MAX]; /* the first is the loop's */
	unsigned lanes_count;
	struct datapath_lane *lane; /* of whoever is inside the guard */
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct counters *counters;
	struct random *random;
	struct connection_table *connections;
	struct fragment_store *fragments;
	struct datapath_peers peers;
	struct datapath_site *sites; /* by number */
	size_t sites_count;

	struct ratelimit resets, icmp, echoes; /* answers of wlad itself */
	struct ratelimit reports;              /* to other sites, of unknown connections */

	/* connections of servers and sites that are gone are ended a part at a time */
	bool sweeping;
	uint32_t sweep_cursor;
	bool quiet; /* what ends now, other sites need not be told */

	bool batch; /* more packets may come at once: what is sealed may wait for them */

	bool joining;                /* packets may wait in joins for their neighbours */
	struct join join[JOINS_MAX]; /* a flow each */
	unsigned joins_used;         /* the first so many may be in use */
	unsigned joins_turn;         /* who leaves if one more is needed */

	struct datapath_received *received; /* have been opened, in a burst */
	unsigned received_count;

	struct datapath_path **paths; /* by site, NULL where there is none; datapath_path.c's */
	size_t paths_count;

	uint8_t datagram[IO_HEADROOM + PACKET_MAX]; /* one of a bundle */
	uint8_t reply[IO_HEADROOM + REPLY_MAX];
};

/* How a packet came. */
struct datapath_arrival {
	bool transferred;          /* in a transfer packet; else from the device */
	uint16_t site;             /* who transferred it */
	bool demand;               /* by the port it came to, or by its flag */
	struct transfer_info info; /* what came with it */
};

/* A part of the keys of connections and fragments: the transferor's number + 1. */
static inline uint16_t
datapath_origin(const struct datapath_arrival *arrival)
{
	return arrival->transferred ? (uint16_t)(arrival->site + 1) : 0;
}

/* datapath.c.  Stories 1 to 5 and part of 6, told of a parsed TCP or UDP packet that has its ports. */
enum drop datapath_story(struct datapath *dp, struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now);

/* datapath_chain.c: whose connections a site may send us, and passing them on (Fig. 21). */

/* True if what was transferred is for a service of ours that the sender's service at this
 * address stands for, or that of a site behind the sender. */
bool datapath_sender_owns(const struct datapath *dp, const struct datapath_arrival *arrival,
    const struct addr *address, uint8_t protocol);

/* Where a connection goes that a site sent us: to an own server, or, where chains are allowed,
 * further on. */
enum drop datapath_decide_received(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now, struct allocation_decision *decision);

/* The transferee of a connection that we transferred or passed on. */
static inline uint16_t
datapath_transferee(const struct connection *c)
{
	return c->kind == CONNECTION_PASSED ? c->next : c->site;
}

/* datapath_fragment.c: a fragment's story, if its ports are known; else it waits. */
enum drop datapath_fragment(struct datapath *dp, struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now);

/* datapath_icmp.c: ICMP from the device; an ICMP error out of a transfer packet. */
enum drop datapath_icmp(struct datapath *dp, struct packet *p, uint64_t now);
enum drop datapath_icmp_transferred(
    struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival);

/* The transferred connection whose relay port that is; NULL if it is none. */
struct connection *datapath_find_relay(struct datapath *dp, const struct addr *source,
    const struct addr *destination, uint8_t protocol);

/* True if a packet of that sender may come to the relay port of a transferred connection: of the
 * server whose packet came first, or of any that the transferee has announced. */
bool datapath_relay_server(
    const struct datapath *dp, const struct connection *c, const struct addr *sender);

/* From now on it is that server.  False if there is no room for its address. */
bool datapath_pin(struct datapath *dp, struct connection *c, const struct addr *server);

/* datapath_close.c: connections that end here or elsewhere. */

/* What is remembered of a site. */
struct datapath_site *datapath_site(struct datapath *dp, uint32_t number);

/* Tells the site that has the other half of a connection that it is over. */
void datapath_report(struct datapath *dp, const struct connection *c, bool reset);

/* The same for a packet that was transferred to us and belongs to no connection. */
void datapath_report_unknown(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now);

/* Ends a connection without a word to other sites. */
void datapath_end_quietly(struct datapath *dp, struct connection *c);

/* Ends some of the connections of servers and sites that are gone. */
void datapath_sweep(struct datapath *dp);

/* datapath_proxy.c: the PROXY header in front of a client's data, of connections whose proxy is
 * not CONNECTION_PROXY_NONE. */

/* A client packet on its way to the server, before its addresses are converted: is tracked, and the
 * header goes in front of it or takes its place. */
enum drop datapath_proxy_client(struct datapath *dp, struct packet *p, struct connection *c,
    const struct connection_event *event, uint64_t now);

/* A server packet, before it is tracked: packet and event get the client's numbers. */
void datapath_proxy_server(struct datapath *dp, struct packet *p, struct connection *c,
    struct connection_event *event);

/* The number that the server expects next. */
uint32_t datapath_proxy_seq(const struct connection *c);

/* The client's number for what an ICMP error from the server's side is about. */
uint32_t datapath_proxy_quoted(const struct connection *c, uint32_t seq);

/* datapath_keep.c: what is none of ours, but is led to the device because its sender is a server
 * that sees its clients' own addresses. */
bool datapath_passes_by(const struct datapath *dp, const struct packet *p);
enum drop datapath_pass_by(struct datapath *dp, struct packet *p, uint64_t now);

/* datapath_send.c: the ways out. */

/* Hands a packet to the device and counts it; while a batch of transfer packets is handled, it may
 * wait for others of its flow to leave with. */
enum drop datapath_output(struct datapath *dp, const struct packet *p);

/* The same at once. */
enum drop datapath_write(struct datapath *dp, const struct packet *p);

/* datapath_join.c: packets that leave as one. */

/* Between these, packets may be kept back: their octets are to stay where they are. */
void datapath_join_begin(struct datapath *dp);
void datapath_join_end(struct datapath *dp);

/* A packet leaves, with others or alone; the order within its flow stays. */
enum drop datapath_join(struct datapath *dp, const struct packet *p);

/*
 * Sends what the io has kept back.  A packet that its way out is too narrow for is answered,
 * as a router would, to the sender that it has by now: that is one of our addresses, so the
 * answer comes back by the device and is converted like any other ICMP error.
 */
void datapath_flush(struct datapath *dp, uint64_t now);

/* The same of a queue, from outside the guard. */
void datapath_flush_outside(struct datapath *dp, struct datapath_lane *lane);

/* datapath_burst.c: packets whose connections are looked up together. */
struct datapath_burst {
	const struct packet *last; /* that was hashed */
	uint16_t origin;           /* its */
	unsigned count;
	uint64_t hashes[DATAPATH_BURST];
};

void datapath_burst_begin(struct datapath_burst *b);

/* One more, at most DATAPATH_BURST, neither ICMP nor a fragment: it gets its hash.  It stays
 * where it is until the next was added. */
void datapath_burst_add(
    struct datapath *dp, struct datapath_burst *b, struct packet *p, uint16_t origin);

/* Lets the memory be read that the searches will look at. */
void datapath_burst_fetch(struct datapath *dp, const struct datapath_burst *b);

/* datapath_receive.c: opens a transfer datagram, whose octets stay until datapath_received(), which
 * tells the stories of the packets opened; it may do so before, when there are many. */
void datapath_receive(struct datapath *dp, uint8_t *data, size_t len, const struct addr *from,
    bool demand, uint64_t now);
void datapath_received(struct datapath *dp, uint64_t now);
struct datapath_received *datapath_received_new(void);

/* Packets of the device that were read together, at most DATAPATH_BURST. */
void datapath_device_burst(
    struct datapath *dp, struct packet *burst, unsigned count, uint64_t now);

/* datapath_path.c: the transfer paths. */

/* A transfer packet that carries no client packet: its type is not TRANSFER_DATA. */
enum drop datapath_path_message(
    struct datapath *dp, const struct transfer_opened *opened, uint16_t site, uint64_t now);

/* The socket refused a datagram of so many octets to a site (EMSGSIZE). */
void datapath_path_too_big(struct datapath *dp, uint32_t site, size_t datagram);

/* Forgets all paths. */
void datapath_paths_free(struct datapath *dp);

/* Largest client packet that fits into a transfer packet to a site. */
uint32_t datapath_inner_mtu(const struct datapath *dp, const struct site *site);

/* Upper bound of the MSS option of a SYN-ACK whose client's segments travel in transfer packets;
 * 0 for others. */
uint16_t datapath_mss_limit(
    const struct datapath *dp, const struct packet *p, const struct connection *c);

/* How packets of a connection get to the site that has its server. */
struct datapath_way {
	struct site *site;
	uint32_t number; /* the site's */
	struct addr to;  /* its transfer address */
	struct transfer_tx *tx;
	uint16_t service; /* its number at that site */
	uint32_t mtu;     /* as datapath_inner_mtu() */
};

/* False if there is no way: no key, or a service that the site no longer offers. */
bool datapath_way(struct datapath *dp, const struct connection *c, struct datapath_way *way);

/* Makes what is sent a connection demand: by the port (Fig. 12) where the site has one for that,
 * else by the flag (Fig. 13). */
void datapath_make_demand(struct datapath_way *way, struct transfer_info *info);

/* Sends what lies sealed.  Datagrams that the socket refuses are counted here. */
void datapath_send_sealed(struct datapath *dp);

/* Sends a packet in transfer packets; while a batch is handled they may wait for others to leave
 * with.  One that is larger than the way's MTU must be one that may be fragmented
 * (split_possible()). */
enum drop datapath_seal(struct datapath *dp, struct packet *p, const struct transfer_info *info,
    const struct datapath_way *way);

/* datapath_answer.c: what wlad itself says. */

/* A packet that belongs to no connection and may open none: answered as the service's
 * on_unknown says, if it is addressed to one of our addresses at all. */
void datapath_answer_unknown(
    struct datapath *dp, const struct packet *p, uint32_t service, uint64_t now);
void datapath_answer_too_big(
    struct datapath *dp, const struct packet *p, uint16_t mtu, uint64_t now);
void datapath_answer_ttl(struct datapath *dp, const struct packet *p, uint64_t now);

/* An echo request to a service address is answered; others belong to nobody here. */
enum drop datapath_answer_echo(struct datapath *dp, struct packet *p, uint64_t now);

/* Tells the client of a connection whose server is gone, or the server whose client is. */
void datapath_reset_client(struct datapath *dp, const struct connection *c);
void datapath_reset_server(struct datapath *dp, const struct connection *c);

/* datapath_one_packet.c: services whose datagrams are allocated one by one. */

/* Makes what opens such a connection, if the service is one of them. */
void datapath_one_packet(
    const struct datapath *dp, const struct packet *p, struct connection_new *what);

/* True if a packet from the device is several datagrams of a client of such a service in one:
 * they go their ways one by one. */
bool datapath_is_bundle(const struct datapath *dp, const struct packet *p);
enum drop datapath_unbundle(struct datapath *dp, const struct packet *p, uint64_t now);

/* A packet of the connection has left: it is over if nothing else is to come of it. */
void datapath_client_left(struct datapath *dp, struct connection *c);
void datapath_server_left(struct datapath *dp, const struct packet *p, struct connection *c);

/* datapath_signal.c: what the packets of a connection that opens say of its server. */

/* Tracks a packet of the server of a connection that is opening. */
void datapath_track_first(struct datapath *dp, struct connection *c,
    const struct connection_event *event, uint64_t now);

/* An ICMP error from the server's side about the connection. */
void datapath_unreachable(
    struct datapath *dp, const struct packet *p, struct connection *c, uint64_t now);

/* A client's packet of a connection that is opening, and not its first: true if the connection
 * is to end for the packet to open another one. */
bool datapath_repeated(
    struct datapath *dp, const struct packet *p, struct connection *c, uint64_t now);

/* The same for any packet. */
static inline bool
datapath_moves(struct datapath *dp, const struct packet *p, struct connection *c, uint64_t now)
{
	return c->state == CONNECTION_OPENING && c->packets > 0 &&
	    datapath_repeated(dp, p, c, now);
}

/* datapath_open.c: new connections. */

/* A client's first packet to our service: allocate, record.  *out is the record. */
enum drop datapath_open_client(struct datapath *dp, const struct packet *p, uint32_t service,
    uint64_t now, struct connection **out);

/* The same by rule 3 to the site that had it by rule 2, whose record ends. */
enum drop datapath_open_repeated(struct datapath *dp, const struct packet *p,
    struct connection *old, uint64_t now, struct connection **out);

/* A connection that a site sent us, or which it did already: the record. */
enum drop datapath_open_received(struct datapath *dp, const struct packet *p,
    const struct datapath_arrival *arrival, uint64_t now, struct connection **out);

/* Keeps the load table's counts in step with the connection table. */
void datapath_connection_changed(
    void *arg, const struct connection *c, bool active_before, bool active_after, bool ended);
bool datapath_port_taken(void *arg, const struct addr *self, uint8_t protocol);

/* A demand names another relay port than the record: true if the record is the older one. */
bool datapath_is_overtaken(const struct datapath *dp, const struct connection *c,
    const struct datapath_arrival *arrival, uint64_t now);

/* A client has got the answer by rule 3 that it did not get by rule 2.  Several of them show that
 * the site's direct replies are blocked. */
void datapath_repeat_helped(struct datapath *dp, const struct connection *c, uint64_t now);

/* True if the packet may open a connection: a TCP SYN, or any UDP packet; no later fragment. */
bool datapath_may_open(const struct packet *p);

/* True if no client can have this address: RFC 6890 and our own service and self addresses. */
bool datapath_is_martian(const struct datapath *dp, const struct ip *source);

#endif
