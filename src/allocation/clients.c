#include "allocation/clients.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* Idle entries that are looked at for one that is stale. */
#define LOOKS 8

/* Entries beyond one for each connection, at least. */
#define SPARE_MIN 1024

int
clients_init(struct clients *t, uint32_t capacity, const struct siphash_key *key)
{
	uint32_t buckets = 16;

	while (buckets < capacity)
		buckets *= 2;
	memset(t, 0, sizeof(*t));
	t->entries = calloc(capacity, sizeof(*t->entries));
	t->buckets = calloc(buckets, sizeof(*t->buckets));
	t->capacity = capacity;
	t->mask = buckets - 1;
	t->key = *key;
	t->free = t->idle_first = t->idle_last = NONE;
	if (t->entries != NULL && t->buckets != NULL)
		return 0;
	clients_fini(t);
	return -1;
}

void
clients_fini(struct clients *t)
{
	free(t->entries);
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

uint32_t
clients_capacity(uint32_t connections)
{
	uint32_t spare = connections / 4;

	return connections + (spare > SPARE_MIN ? spare : SPARE_MIN);
}

static void
clear_behind(uint8_t *octets, size_t count, unsigned bits)
{
	for (size_t i = 0; i<count; i++, bits = bits> 8 ? bits - 8 : 0)
		if (bits < 8)
			octets[i] &= (uint8_t)(0xff00 >> bits);
}

struct ip
clients_prefix(const struct ip *ip, unsigned mask_v4, unsigned mask_v6)
{
	struct ip prefix = *ip;

	if (ip_is_v4(ip))
		clear_behind(prefix.octet + 12, 4, mask_v4);
	else
		clear_behind(prefix.octet, 16, mask_v6);
	return prefix;
}

/* ---- the hash ---- */

/* Holds the number of the first entry + 1: 0 is an empty one, so that memory starts as it is. */
static uint32_t *
bucket_of(const struct clients *t, uint16_t service, const struct ip *prefix)
{
	uint8_t octets[18];

	memcpy(octets, prefix->octet, 16);
	octets[16] = (uint8_t)(service >> 8);
	octets[17] = (uint8_t)service;
	return &t->buckets[siphash13(&t->key, octets, sizeof(octets)) & t->mask];
}

static uint32_t
number_of(const struct clients *t, const struct client_entry *c)
{
	return (uint32_t)(c - t->entries);
}

struct client_entry *
clients_find(const struct clients *t, uint16_t service, const struct ip *prefix)
{
	uint32_t number = *bucket_of(t, service, prefix);

	while (number != 0) {
		struct client_entry *c = &t->entries[number - 1];

		if (c->service == service && ip_equal(&c->prefix, prefix))
			return c;
		number = c->chain;
	}
	return NULL;
}

/* ---- the idle ones ---- */

static void
idle_link(struct clients *t, struct client_entry *c)
{
	uint32_t number = number_of(t, c);

	c->next = NONE;
	c->previous = t->idle_last;
	if (t->idle_last != NONE)
		t->entries[t->idle_last].next = number;
	else
		t->idle_first = number;
	t->idle_last = number;
}

static void
idle_unlink(struct clients *t, struct client_entry *c)
{
	if (c->previous != NONE)
		t->entries[c->previous].next = c->next;
	else
		t->idle_first = c->next;
	if (c->next != NONE)
		t->entries[c->next].previous = c->previous;
	else
		t->idle_last = c->previous;
}

void
clients_opened(struct clients *t, struct client_entry *c)
{
	if (c->count++ == 0)
		idle_unlink(t, c);
}

void
clients_over(struct clients *t, struct client_entry *c)
{
	if (c->count > 0 && --c->count == 0)
		idle_link(t, c);
}

void
clients_renew(struct clients *t, struct client_entry *c)
{
	if (c->count > 0)
		return;
	idle_unlink(t, c);
	idle_link(t, c);
}

/* ---- entries come and go ---- */

/* A free entry is told by its chain. */
#define CHAIN_FREE NONE

void
clients_remove(struct clients *t, struct client_entry *c)
{
	uint32_t *link = bucket_of(t, c->service, &c->prefix);

	while (*link != number_of(t, c) + 1)
		link = &t->entries[*link - 1].chain;
	*link = c->chain;
	if (c->count == 0)
		idle_unlink(t, c);
	c->chain = CHAIN_FREE;
	c->next = t->free;
	t->free = number_of(t, c);
	t->used--;
}

static bool
make_room(struct clients *t, clients_stale *stale, void *arg, uint64_t now)
{
	uint32_t number = t->idle_first;

	if (number == NONE)
		return false;
	for (int i = 0; i < LOOKS && number != NONE; i++) {
		struct client_entry *c = &t->entries[number];

		if (stale(arg, c, now)) {
			clients_remove(t, c);
			return true;
		}
		number = c->next;
	}
	clients_remove(t, &t->entries[t->idle_first]);
	t->forgotten++;
	return true;
}

struct client_entry *
clients_enter(struct clients *t, uint16_t service, const struct ip *prefix,
    clients_stale *stale, void *arg, uint64_t now)
{
	struct client_entry *c;
	uint32_t *bucket;

	if (t->free == NONE && t->fresh == t->capacity && !make_room(t, stale, arg, now))
		return NULL;
	if (t->free != NONE) {
		c = &t->entries[t->free];
		t->free = c->next;
	} else {
		c = &t->entries[t->fresh++];
	}
	bucket = bucket_of(t, service, prefix);
	*c = (struct client_entry){.prefix = *prefix, .service = service, .chain = *bucket};
	*bucket = number_of(t, c) + 1;
	idle_link(t, c);
	t->used++;
	return c;
}

void
clients_expire(struct clients *t, clients_stale *stale, void *arg, uint64_t now, uint32_t budget)
{
	while (budget-- > 0 && t->idle_first != NONE &&
	    stale(arg, &t->entries[t->idle_first], now))
		clients_remove(t, &t->entries[t->idle_first]);
}

void
clients_purge(struct clients *t, uint16_t service)
{
	for (uint32_t i = 0; i < t->fresh; i++) {
		struct client_entry *c = &t->entries[i];

		if (c->chain != CHAIN_FREE && c->service == service)
			clients_remove(t, c);
	}
}

struct client_entry *
clients_walk(const struct clients *t, uint32_t *cursor, uint32_t *budget, bool *done)
{
	for (*done = false; *cursor<t->fresh && * budget> 0; --*budget) {
		struct client_entry *c = &t->entries[(*cursor)++];

		if (c->chain != CHAIN_FREE) {
			--*budget;
			return c;
		}
	}
	*done = *cursor >= t->fresh;
	return NULL;
}
