#include "load/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/siphash.h"
#include "base/xalloc.h"

#define FIRST_SIZE 16

/* One for each number: the next one of the same bucket. */
struct entry {
	uint64_t hash;
	uint32_t next;
};

struct names {
	struct siphash_key key;
	struct entry *entries;
	uint32_t *buckets; /* the latest entry of each */
	uint32_t count, size;
};

struct names *
names_new(void)
{
	struct names *n = xcalloc(1, sizeof(*n));

	random_system(&n->key, sizeof(n->key));
	return n;
}

void
names_free(struct names *n)
{
	if (n == NULL)
		return;
	free(n->entries);
	free(n->buckets);
	free(n);
}

static uint64_t
hash_of(const struct names *n, uint32_t owner, const char *name)
{
	struct siphash_key key = n->key;

	key.k[1] ^= owner;
	return siphash13(&key, name, strlen(name));
}

static void
enter(struct names *n, uint32_t number)
{
	struct entry *entry = &n->entries[number];
	uint32_t *bucket = &n->buckets[entry->hash & (n->size - 1)];

	entry->next = *bucket;
	*bucket = number;
}

/* As many buckets as there may be entries, a power of two. */
static void
grow(struct names *n)
{
	n->size = n->size > 0 ? 2 * n->size : FIRST_SIZE;
	n->entries = xrealloc_array(n->entries, n->size, sizeof(*n->entries));
	n->buckets = xrealloc_array(n->buckets, n->size, sizeof(*n->buckets));
	memset(n->buckets, 0xff, n->size * sizeof(*n->buckets)); /* NAMES_NONE */
	for (uint32_t i = 0; i < n->count; i++)
		enter(n, i);
}

uint32_t
names_add(struct names *n, uint32_t owner, const char *name)
{
	if (n->count == n->size)
		grow(n);
	n->entries[n->count].hash = hash_of(n, owner, name);
	enter(n, n->count);
	return n->count++;
}

void
names_replace(struct names *n, uint32_t number, uint32_t owner, const char *name)
{
	struct entry *entry = &n->entries[number];
	uint32_t *at = &n->buckets[entry->hash & (n->size - 1)];

	while (*at != number)
		at = &n->entries[*at].next;
	*at = entry->next;
	entry->hash = hash_of(n, owner, name);
	enter(n, number);
}

/* The first one from here on, in its bucket, that has the hash. */
static uint32_t
with_hash(const struct names *n, uint32_t number, uint64_t hash)
{
	while (number != NAMES_NONE && n->entries[number].hash != hash)
		number = n->entries[number].next;
	return number;
}

uint32_t
names_first(const struct names *n, uint32_t owner, const char *name)
{
	uint64_t hash;

	if (n->count == 0)
		return NAMES_NONE;
	hash = hash_of(n, owner, name);
	return with_hash(n, n->buckets[hash & (n->size - 1)], hash);
}

uint32_t
names_next(const struct names *n, uint32_t number)
{
	return with_hash(n, n->entries[number].next, n->entries[number].hash);
}
