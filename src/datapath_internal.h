/*
 * datapath_internal: the datapath's insides, for datapath*.c alone.
 */
#ifndef WLAD_DATAPATH_INTERNAL_H
#define WLAD_DATAPATH_INTERNAL_H

#include "base/ratelimit.h"
#include "datapath.h"
#include "packet/reply.h"

/* Sealed datagrams of one super-packet, as many as go out by one system call. */
#define SEAL_BUFFER (128 * 1024)

struct datapath {
	const struct config *config;
	struct io *io;
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct counters *counters;
	struct random *random;
	struct connection_table *connections;

	struct ratelimit resets, icmp, echoes; /* answers of wlad itself */

	/* connections of servers that went down are ended a part at a time */
	bool sweeping;
	uint32_t sweep_cursor;

	uint8_t reply[IO_HEADROOM + REPLY_MAX];
	uint8_t sealed[SEAL_BUFFER];
};

/* Hands a packet to the device and counts it. */
enum drop datapath_output(struct datapath *dp, const struct packet *p);

/* datapath_answer.c: what wlad itself says. */

/* A packet that belongs to no connection and may open none: answered as the service's
 * on_unknown says, if it is addressed to one of our addresses at all. */
void datapath_answer_unknown(struct datapath *dp, const struct packet *p, uint32_t service,
    uint64_t now);
void datapath_answer_too_big(struct datapath *dp, const struct packet *p, uint16_t mtu,
    uint64_t now);
void datapath_answer_ttl(struct datapath *dp, const struct packet *p, uint64_t now);

/* ICMP from the device: an echo request to a service address is answered. */
enum drop datapath_icmp(struct datapath *dp, struct packet *p, uint64_t now);

/* Tells the client of a connection whose server is gone. */
void datapath_reset_client(struct datapath *dp, const struct connection *c, uint64_t now);

/* datapath_open.c: new connections. */

/* A client's first packet to our service: allocate, record.  *out is the record. */
enum drop datapath_open_client(struct datapath *dp, const struct packet *p, uint32_t service,
    uint64_t now, struct connection **out);

/* A connection that a site sent us, or which it did already: the record. */
enum drop datapath_open_received(struct datapath *dp, const struct packet *p,
    uint32_t service, uint16_t site, uint64_t now, struct connection **out);

/* Keeps the load table's counts in step with the connection table. */
void datapath_connection_changed(void *arg, const struct connection *c, bool active_before,
    bool active_after, bool ended);
bool datapath_port_taken(void *arg, const struct addr *self, uint8_t protocol);

/* True if the packet may open a connection: a TCP SYN, or any UDP packet. */
bool datapath_may_open(const struct packet *p);

/* True if no client can have this address: RFC 6890 and our own service and self addresses. */
bool datapath_is_martian(const struct datapath *dp, const struct ip *source);

#endif
