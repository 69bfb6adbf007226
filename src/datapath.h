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

/* All borrowed and to outlive the datapath. */
struct datapath_parts {
	const struct config *config;
	struct io *io;
	struct load_table *load;
	struct allocation *allocation;
	struct keyring *keyring;
	struct counters *counters;
	struct random *random;
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

/* Arrivals 1, 2, 3 and 6: one packet from the device. */
void datapath_device_packet(struct datapath *dp, struct packet *p, uint64_t now);

/* Arrivals 4 and 5: one datagram from the transfer socket. */
void datapath_transfer_datagram(
    struct datapath *dp, uint8_t *data, size_t len, const struct addr *from, uint64_t now);

/* Ends expired connections within a budget; returns when to be called again, ns of the clock. */
uint64_t datapath_expire(struct datapath *dp, uint64_t now);

/* A server went down: its TCP connections are reset towards their clients or stay, as the
 * service says; its UDP records end, for their next packet to be allocated anew. */
void datapath_server_down(struct datapath *dp, uint32_t server, uint64_t now);

/* A reload brought a new configuration: borrowed.  Timeouts hold for the next packets. */
void datapath_set_config(struct datapath *dp, const struct config *config);

struct connection_table *datapath_connections(struct datapath *dp);

#endif
