/*
 * relay: server transfer unit 34 and client relay unit 36: what a connection says about a
 * packet is written into it.
 *
 * All three conversion rules go through these two functions; which addresses they write is
 * in the record (seed [0066], [0067]: rule 1 is rule 2 with transferor and transferee the
 * same, rule 3 uses rule 1's conversions at two places).  Pure: they change the packet and
 * nothing else.
 */
#ifndef WLAD_RELAY_RELAY_H
#define WLAD_RELAY_RELAY_H

#include "connection/connection.h"
#include "packet/packet.h"

/* A client packet on its way to the server: C > L becomes A > S. */
void relay_to_server(
    struct packet *p, const struct connection_table *table, const struct connection *c);

/*
 * A server packet on its way to the client: S > A becomes L > C, where L is the transferor's
 * address if the connection was received.  mss: upper bound of the MSS option of a SYN-ACK, 0 for none.  Returns true
 * if the option was lowered.
 */
bool relay_to_client(struct packet *p, const struct connection_table *table,
    const struct connection *c, uint16_t mss);

#endif
