#include "connection/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NIL UINT32_MAX

static uint32_t
buckets_for(uint32_t size)
{
	uint32_t n = 1;

	while (n < size)
		n <<= 1;
	return n;
}

size_t
pool_octets(uint32_t size)
{
	return (size + (size_t)1) * sizeof(struct pool_entry) +
	    buckets_for(size) * sizeof(uint32_t);
}

int
pool_init(struct pool *pool, uint32_t size, const struct siphash_key *key)
{
	uint32_t i, buckets = buckets_for(size);

	if (size < 1 || size > 65536) {
		errno = EINVAL;
		return -1;
	}
	*pool = (struct pool){.size = size + 1, .mask = buckets - 1, .key = *key};
	pool->entries = calloc(pool->size, sizeof(*pool->entries));
	pool->buckets = malloc(buckets * sizeof(*pool->buckets));
	if (pool->entries == NULL || pool->buckets == NULL) {
		pool_fini(pool);
		errno = ENOMEM;
		return -1;
	}
	memset(pool->buckets, 0xff, buckets * sizeof(*pool->buckets));
	for (i = 1; i < pool->size; i++)
		pool->entries[i].next = i + 1 < pool->size ? i + 1 : NIL;
	pool->free = 1;
	return 0;
}

void
pool_fini(struct pool *pool)
{
	free(pool->entries);
	free(pool->buckets);
	*pool = (struct pool){0};
}

static uint32_t *
bucket_of(struct pool *pool, const struct ip *ip)
{
	uint64_t hash = siphash13(&pool->key, ip->octet, sizeof(ip->octet));

	return &pool->buckets[hash & pool->mask];
}

uint32_t
pool_get(struct pool *pool, const struct ip *ip)
{
	uint32_t *bucket, handle;
	struct pool_entry *e;

	if (ip_is_zero(ip))
		return POOL_ZERO;
	bucket = bucket_of(pool, ip);
	for (handle = *bucket; handle != NIL; handle = e->next) {
		e = &pool->entries[handle];
		if (ip_equal(&e->ip, ip)) {
			e->users++;
			return handle;
		}
	}
	if (pool->free == NIL)
		return POOL_NONE;
	handle = pool->free;
	e = &pool->entries[handle];
	pool->free = e->next;
	*e = (struct pool_entry){.ip = *ip, .users = 1, .next = *bucket};
	*bucket = handle;
	pool->used++;
	return handle;
}

void
pool_put(struct pool *pool, uint32_t handle)
{
	struct pool_entry *e = &pool->entries[handle];
	uint32_t *link;

	if (handle == POOL_ZERO || --e->users > 0)
		return;
	link = bucket_of(pool, &e->ip);
	while (*link != handle)
		link = &pool->entries[*link].next;
	*link = e->next;
	e->next = pool->free;
	pool->free = handle;
	pool->used--;
}
