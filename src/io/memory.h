/*
 * memory: an io of queues, for unit tests, fuzzers, benchmarks and the simulator.
 *
 * What the test puts in is received by the datapath; what the datapath sends is kept for the
 * test to take out, octet for octet with its offload data.
 */
#ifndef WLAD_IO_MEMORY_H
#define WLAD_IO_MEMORY_H

#include "io/io.h"

struct memory_packet {
	uint8_t *data;
	size_t len;
	uint8_t gso;
	bool partial;
	bool gso_ecn;
	uint16_t gso_size;
	struct addr peer; /* datagrams: from or to */
	bool demand;      /* a datagram for the demand port */
};

/* An io that holds up to capacity packets in each queue; more are refused as by a full device. */
struct io *memory_new(size_t capacity);

/* Puts a copy of a packet on the device, or of a datagram on the transfer socket.  0, or -1
 * if full. */
int memory_put_packet(
    struct io *io, const void *data, size_t len, uint8_t gso, uint16_t gso_size, bool partial);
int memory_put_datagram(struct io *io, const void *data, size_t len, const struct addr *from);

/* The same for the demand port's socket. */
int memory_put_demand(struct io *io, const void *data, size_t len, const struct addr *from);

/* From now on datagrams of more octets are refused with EMSGSIZE, as by a path MTU; 0: none. */
void memory_set_datagram_max(struct io *io, size_t octets);

/* From now on packets of more octets, or segments of more, are refused by the device, as by
 * raw sockets whose way out is narrow; 0: none. */
void memory_set_device_max(struct io *io, uint32_t octets);

/* Takes the oldest packet sent to the device, or datagram sent to a peer.  false if there is
 * none; data is valid until the next take of the same queue. */
bool memory_take_packet(struct io *io, struct memory_packet *out);
bool memory_take_datagram(struct io *io, struct memory_packet *out);

#endif
