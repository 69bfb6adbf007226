/*
 * pool: the IP addresses that connections share, each held once.
 *
 * A million connections towards a hundred servers name the same few addresses again and again:
 * a record holds 4-octet handles instead of 16-octet addresses.  Addresses are counted by
 * their users and leave with the last of them.  They come from configuration and from verified
 * peers, not from clients.  Allocates nothing after pool_init().
 */
#ifndef WLAD_CONNECTION_POOL_H
#define WLAD_CONNECTION_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/siphash.h"

#define POOL_NONE UINT32_MAX /* no handle: the pool is full */
#define POOL_ZERO 0          /* the handle of the zero address, always there */

struct pool_entry {
	struct ip ip;
	uint32_t users;
	uint32_t next; /* of its hash chain, or of the free entries */
};

struct pool {
	struct pool_entry *entries;
	uint32_t *buckets;
	struct siphash_key key;
	uint32_t size; /* entries, with that of the zero address */
	uint32_t mask; /* buckets - 1 */
	uint32_t free; /* first free entry */
	uint32_t used; /* entries in use */
};

/* Room for size different addresses, 1 to 65536.  Returns 0, or -1 with errno. */
int pool_init(struct pool *pool, uint32_t size, const struct siphash_key *key);
void pool_fini(struct pool *pool);

/* Enters an address, or counts one more user of it; POOL_NONE if there is no room. */
uint32_t pool_get(struct pool *pool, const struct ip *ip);

/* One user less. */
void pool_put(struct pool *pool, uint32_t handle);

/* Octets of memory that a pool of that size takes. */
size_t pool_octets(uint32_t size);

static inline const struct ip *
pool_ip(const struct pool *pool, uint32_t handle)
{
	return &pool->entries[handle].ip;
}

#endif
