/*
 * persistence: the clients of a service come to the same server again.
 *
 * Where the connection of a client (an address, or the prefix it belongs to) to a service went,
 * its later ones go as well, on whichever of the service's ports, while the entry is fresh: as
 * long as one of its connections is not over, and for the service's timeout after the last one
 * was.  It names an own server or another site.  Whether that can still take a connection
 * is for the allocation to see; if it cannot, the connection goes elsewhere, and the entry with
 * it.
 *
 * As LVS keeps its templates: each connection renews the entry, and it does not end while
 * connections of it are there.
 *
 * Bounded: more entries than there can be connections; the one that has been without connections
 * for the longest time goes for a new one.  Nothing is done per packet.
 */
#ifndef WLAD_ALLOCATION_PERSISTENCE_H
#define WLAD_ALLOCATION_PERSISTENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "allocation/clients.h"
#include "load/table.h"

struct persistence;

enum persistence_kind { PERSISTENCE_NONE, PERSISTENCE_SERVER, PERSISTENCE_SITE };

struct persistence_target {
	enum persistence_kind kind;
	uint32_t number; /* of the server or site */
};

/* table: borrowed, for what services want.  connections: how many there can be.  NULL with errno
 * if memory is short. */
struct persistence *persistence_new(
    struct load_table *table, uint32_t connections, const struct siphash_key *key);
void persistence_free(struct persistence *p);

/*
 * A configuration was applied.  Entries of services that do not want them any more, or by other
 * prefixes, go; true if there are services whose connections are to be counted anew: those for
 * which persistence_counts_anew() says so, by persistence_opened(), then persistence_counted().
 */
bool persistence_apply(struct persistence *p);
bool persistence_counts_anew(const struct persistence *p, uint16_t service);
void persistence_counted(struct persistence *p);

bool persistence_wanted(const struct persistence *p, uint16_t service);

/* Where the client's connections go; PERSISTENCE_NONE if there is no fresh entry. */
struct persistence_target persistence_find(
    const struct persistence *p, uint16_t service, const struct ip *client, uint64_t now);

/* A connection of the client was entered, and went there; one is over. */
void persistence_opened(struct persistence *p, uint16_t service, const struct ip *client,
    struct persistence_target target, uint64_t now);
void persistence_over(
    struct persistence *p, uint16_t service, const struct ip *client, uint64_t now);

/* Removes what is not fresh any more, a part at a time; cheap, to be called now and then. */
void persistence_expire(struct persistence *p, uint64_t now);

/* An administrator wants clients allocated anew: of a service or all (LOAD_NONE), of one client
 * or all (NULL).  Returns how many entries that were. */
uint32_t persistence_flush(
    struct persistence *p, uint32_t service, const struct ip *client, uint64_t now);

/* What control shows: entries in the order of the table, see clients_walk(). */
const struct clients *persistence_clients(const struct persistence *p);

/* Of an entry: whether it is fresh, and for how many seconds it will be if nothing comes; the
 * whole timeout while it has connections. */
bool persistence_is_fresh(
    const struct persistence *p, const struct client_entry *c, uint64_t now);
double persistence_remaining(
    const struct persistence *p, const struct client_entry *c, uint64_t now);

/* The prefix that the service's entries have for that client. */
struct ip persistence_prefix(
    const struct persistence *p, uint16_t service, const struct ip *client);

#endif
