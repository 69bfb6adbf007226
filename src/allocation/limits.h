/*
 * limits: how many connections a client may have with a service, and how many new ones a second.
 *
 * A client is an address, or the prefix it belongs to.  Both limits are exact: a connection counts
 * from its first packet, half-open or not, until it is over (TIME_WAIT); the rate is a bucket of
 * so many connections (burst) that fills at the rate.  Nobody is refused for what others do:
 * there is room for more clients than there can be connections, so that whoever has one is
 * counted.  What a flood from very many senders can do is to make the bucket of a client that
 * has no connection be forgotten before it is full; that is counted (clients_forgotten).
 *
 * Connections that other sites sent us are limited there, not here.  Nothing is done per packet.
 */
#ifndef WLAD_ALLOCATION_LIMITS_H
#define WLAD_ALLOCATION_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "allocation/clients.h"
#include "base/counters.h"
#include "load/table.h"

struct limits;

/* As persistence_new(). */
struct limits *limits_new(
    struct load_table *table, uint32_t connections, const struct siphash_key *key);
void limits_free(struct limits *l);

/* A configuration was applied: as persistence_apply() and so on. */
bool limits_apply(struct limits *l);
bool limits_counts_anew(const struct limits *l, uint16_t service);
void limits_counted(struct limits *l);

bool limits_wanted(const struct limits *l, uint16_t service);

/* May the client open a connection?  DROP_none, and then it has one less in its bucket;
 * DROP_client_connections or DROP_client_rate, and then nothing has changed. */
enum drop limits_admit(struct limits *l, uint16_t service, const struct ip *client, uint64_t now);

/* The same without taking anything. */
enum drop limits_would_admit(
    const struct limits *l, uint16_t service, const struct ip *client, uint64_t now);

/* A connection of the client was entered; one is over. */
void limits_opened(struct limits *l, uint16_t service, const struct ip *client, uint64_t now);
void limits_over(struct limits *l, uint16_t service, const struct ip *client, uint64_t now);

/* Removes clients that have nothing that counts, a part at a time. */
void limits_expire(struct limits *l, uint64_t now);

/* What control shows. */
const struct clients *limits_clients(const struct limits *l);
struct ip limits_prefix(const struct limits *l, uint16_t service, const struct ip *client);

/* How many connections the client may open at once as far as the rate goes; the burst if there is
 * none in the bucket's way. */
uint32_t limits_tokens(const struct limits *l, const struct client_entry *c, uint64_t now);

/* The burst in force: as set, else what comes in a second; 0 without a rate. */
uint64_t limits_burst(const struct config_client_limit *limit);

/* Connections refused since the start. */
struct limits_refused {
	uint64_t connections, rate;
};
struct limits_refused limits_refused(const struct limits *l, uint16_t service);

#endif
