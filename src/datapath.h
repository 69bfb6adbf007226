/*
 * datapath: a packet's life, from its arrival to where it leaves wlad.
 *
 * An instance holds all that a packet may need; several can live in one process.  Six
 * arrivals, six short stories, in datapath.c from top to bottom.  No system call beyond
 * the io's own, no allocation, no log line per packet.
 */
#ifndef WLAD_DATAPATH_H
#define WLAD_DATAPATH_H

#include <stdint.h>

#include "allocation/allocation.h"
#include "base/counters.h"
#include "base/random.h"
#include "config/config.h"
#include "connection/connection.h"
#include "io/io.h"
#include "load/table.h"
#include "transfer/keyring.h"

struct datapath;

/* What other sites are to be told; each may be NULL. */
struct datapath_peers {
	void *arg;
	/* A connection that the site has its half of is over. */
	void (*closed)(void *arg, uint32_t site, const struct connection_closed *entry);
	/* A direct-reply probe of the site has arrived. */
	void (*probe_seen)(void *arg, uint32_t site, uint64_t id);
};

struct guard;

/* All borrowed and to outlive the datapath. */
struct datapath_parts {
	const struct config *config;
	struct io *io;
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct counters *counters;
	struct random *random;
	struct datapath_peers peers;
	struct guard *guard; /* NULL: only one thread calls */
};

/* Allocates the connection table.  NULL with errno if memory is short. */
struct datapath *datapath_new(const struct datapath_parts *parts, uint64_t now);
void datapath_free(struct datapath *dp);

/*
 * Reads and handles what is there, at most IO_BATCH packets.  Returns how many there were
 * (IO_BATCH: there may be more), or -1 with errno if the device or socket is broken.
 */
int datapath_run_device(struct datapath *dp, uint64_t now);
int datapath_run_transfer(struct datapath *dp, uint64_t now);

/*
 * With a guard: these two, and the same for a further queue of the device, are called from
 * outside the guard, and enter it when they have read; all others are called inside it.
 */
int datapath_run_queue(struct datapath *dp, unsigned queue);

/* One more queue, borrowed like parts.io, before the first packet.  Returns its number, or -1. */
int datapath_add_queue(struct datapath *dp, struct io *io);

/* Arrivals 1, 2, 3 and 6: one packet from the device. */
void datapath_device_packet(struct datapath *dp, struct packet *p, uint64_t now);

/* Arrivals 4 and 5: one datagram from the transfer socket; demand: from that for connection
 * demands (Fig. 12). */
void datapath_transfer_datagram(struct datapath *dp, uint8_t *data, size_t len,
    const struct addr *from, bool demand, uint64_t now);

/* Ends expired connections within a budget; returns when to be called again, ns of the clock. */
uint64_t datapath_expire(struct datapath *dp, uint64_t now);

/* A server went down: its TCP connections are reset towards their clients or stay, as the
 * service says; its UDP records end, for their next packet to be allocated anew. */
void datapath_server_down(struct datapath *dp, uint32_t server, uint64_t now);

/* A site reports that a connection is over. */
void datapath_peer_closed(
    struct datapath *dp, uint32_t site, const struct connection_closed *entry, uint64_t now);

/* A site does not know its connections any more, or has been given up: those that we transferred
 * to it are reset towards their clients, those that it transferred to us towards their
 * servers. */
void datapath_site_lost(struct datapath *dp, uint32_t site, uint64_t now);

/*
 * datapath_path.c: liveness, path MTU and direct-reply probes of the transfer paths.  To be called
 * by a timer; returns when next, ns of the clock.
 */
uint64_t datapath_probe_paths(struct datapath *dp, uint64_t now);

/* A site says that it has received our direct-reply probe. */
void datapath_probe_seen(struct datapath *dp, uint32_t site, uint64_t id, uint64_t now);

/* An administrator wants to know now: all that is measured of a path is measured anew. */
void datapath_probe_now(struct datapath *dp, uint32_t site, uint64_t now);

/* A reload brought a new configuration: borrowed.  Timeouts hold for the next packets. */
void datapath_set_config(struct datapath *dp, const struct config *config);

struct connection_table *datapath_connections(struct datapath *dp);

#endif
