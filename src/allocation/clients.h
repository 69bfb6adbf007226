/*
 * clients: what is remembered of the clients of each service: an entry for a service and an
 * address, or the prefix it stands for.
 *
 * Persistence and client limits keep one such table each.  An entry counts the connections that
 * its clients have; as long as there is one, it stays.  The others, the idle ones, wait in
 * the order in which they became so, and the oldest goes when room is needed: a table with room
 * for more entries than there can be connections never lacks one for a client that has any.
 *
 * Found by a keyed hash, so that nobody can choose where he collides.  All memory is reserved at
 * the start, and only what was ever used is really taken.  Time is an argument.
 */
#ifndef WLAD_ALLOCATION_CLIENTS_H
#define WLAD_ALLOCATION_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/siphash.h"

struct client_entry {
	struct ip prefix; /* the bits behind the mask are 0 */
	uint16_t service;
	uint16_t kind;           /* the owner's */
	uint32_t count;          /* connections that are not over */
	uint32_t chain;          /* of its bucket */
	uint32_t previous, next; /* of the idle ones; next also of the free ones */
	uint32_t target;         /* the owner's, as the rest */
	uint64_t time;
	uint64_t refused;
};

struct clients {
	struct client_entry *entries;
	uint32_t *buckets;
	uint32_t mask; /* buckets - 1 */
	uint32_t capacity, fresh, used;
	uint32_t free;
	uint32_t idle_first, idle_last;
	uint64_t forgotten; /* entries that went for others although they still said something */
	struct siphash_key key;
};

/* For so many entries.  0, or -1 with errno if memory is short. */
int clients_init(struct clients *t, uint32_t capacity, const struct siphash_key *key);
void clients_fini(struct clients *t);

/* How many entries are enough for so many connections, with some for clients that have none. */
uint32_t clients_capacity(uint32_t connections);

/* The prefix that an address belongs to: of 1 to 32 bits for IPv4, 1 to 128 for IPv6. */
struct ip clients_prefix(const struct ip *ip, unsigned mask_v4, unsigned mask_v6);

struct client_entry *clients_find(
    const struct clients *t, uint16_t service, const struct ip *prefix);

/* True if nothing is lost when the entry goes. */
typedef bool clients_stale(void *arg, const struct client_entry *c, uint64_t now);

/*
 * A new, idle entry for a client that has none; one of the idle ones goes for it if there is no
 * room: of the oldest ones the first that is stale, else the oldest.  NULL if none is idle.
 */
struct client_entry *clients_enter(struct clients *t, uint16_t service, const struct ip *prefix,
    clients_stale *stale, void *arg, uint64_t now);

/* A connection more or less.  One that has no more is the latest of the idle ones. */
void clients_opened(struct clients *t, struct client_entry *c);
void clients_over(struct clients *t, struct client_entry *c);

/* An idle entry is the latest of them again. */
void clients_renew(struct clients *t, struct client_entry *c);

/* Removes an entry, whatever it counts. */
void clients_remove(struct clients *t, struct client_entry *c);

/* Removes the oldest idle entries as long as they are stale, at most so many. */
void clients_expire(
    struct clients *t, clients_stale *stale, void *arg, uint64_t now, uint32_t budget);

/* Removes all entries of a service. */
void clients_purge(struct clients *t, uint16_t service);

/*
 * Entries one after the other: start with *cursor = 0.  Looks at no more than *budget places and
 * takes them from it.  NULL if that is used up, or with *done at the end.
 */
struct client_entry *clients_walk(
    const struct clients *t, uint32_t *cursor, uint32_t *budget, bool *done);

#endif
