#include "packet/fragment.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK   512 /* octets of a packet that waits are kept in chains of these */
#define BLOCKS  (FRAGMENT_BYTES / BLOCK)
#define BUCKETS (2 * FRAGMENT_DATAGRAMS)
#define NIL     UINT16_MAX

/* Octets of the largest fragment: an IPv6 header and 65535 octets and headers behind it. */
#define LARGEST (PACKET_MAX + 2048 + 64)

/* What names a datagram (RFC 791, 3.2; RFC 8200, 4.5). */
struct name {
	struct ip source, destination;
	uint32_t id;
	uint16_t origin;
	uint8_t protocol, zero;
};

_Static_assert(sizeof(struct name) == 40, "a name has no padding: it is hashed");

struct piece {
	uint16_t offset, len; /* of the datagram's octets */
	uint16_t block;       /* the first that holds it; NIL: it has gone on */
	uint32_t size;        /* octets of the packet */
};

enum state { WAITING, KNOWN, REFUSED };

struct fragment_datagram {
	struct name name;
	uint8_t state;
	uint16_t source_port, destination_port; /* if known */
	uint16_t pieces, waiting;
	uint32_t end;  /* octets of the datagram; 0 until the last fragment came */
	uint32_t seen; /* octets of it that came */
	uint64_t until;
	uint16_t chain;        /* next in the bucket, or of the free ones */
	uint16_t older, newer; /* in order of arrival */
	struct piece piece[FRAGMENT_PIECES];
};

struct fragment_store {
	struct siphash_key key;
	struct counters *counters;
	struct fragment_datagram datagram[FRAGMENT_DATAGRAMS];
	uint16_t bucket[BUCKETS];
	uint16_t free;           /* datagrams, by chain */
	uint16_t oldest, newest; /* those in use */
	uint32_t count;
	uint16_t next[BLOCKS]; /* of a packet's chain of blocks, or of the free ones */
	uint16_t free_block;
	uint32_t free_blocks;
	uint8_t block[BLOCKS][BLOCK];
	uint8_t out[FRAGMENT_HEADROOM + LARGEST]; /* the packet released last */
};

_Static_assert(BLOCKS < NIL && FRAGMENT_DATAGRAMS < NIL, "NIL is none of them");

struct fragment_store *
fragment_store_new(const struct siphash_key *key, struct counters *counters)
{
	struct fragment_store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->key = *key;
	s->counters = counters;
	s->oldest = s->newest = NIL;
	memset(s->bucket, 0xff, sizeof(s->bucket));
	for (uint16_t i = 0; i < FRAGMENT_DATAGRAMS; i++)
		s->datagram[i].chain = (uint16_t)(i + 1);
	s->datagram[FRAGMENT_DATAGRAMS - 1].chain = NIL;
	for (uint16_t i = 0; i < BLOCKS; i++)
		s->next[i] = (uint16_t)(i + 1);
	s->next[BLOCKS - 1] = NIL;
	s->free_blocks = BLOCKS;
	return s;
}

void
fragment_store_free(struct fragment_store *store)
{
	free(store);
}

/* ---- packets that wait ---- */

static uint32_t
blocks_for(uint32_t size)
{
	return (size + BLOCK - 1) / BLOCK;
}

/* Copies a packet into blocks, which are there.  Returns the first. */
static uint16_t
hold(struct fragment_store *s, const uint8_t *data, uint32_t size)
{
	uint16_t first = s->free_block, last = NIL;
	uint32_t n;

	for (uint32_t at = 0; at < size; at += n) {
		n = size - at < BLOCK ? size - at : BLOCK;
		last = s->free_block;
		s->free_block = s->next[last];
		s->free_blocks--;
		memcpy(s->block[last], data + at, n);
	}
	if (last != NIL)
		s->next[last] = NIL;
	return first;
}

/* Gives a packet's blocks back, copied out first if there is a place for it. */
static void
unhold(struct fragment_store *s, struct piece *piece, uint8_t *to)
{
	uint32_t left = piece->size, n;
	uint16_t next;

	for (uint16_t block = piece->block; block != NIL; block = next) {
		next = s->next[block];
		n = left < BLOCK ? left : BLOCK;
		if (to != NULL) {
			memcpy(to, s->block[block], n);
			to += n;
		}
		left -= n;
		s->next[block] = s->free_block;
		s->free_block = block;
		s->free_blocks++;
	}
	piece->block = NIL;
}

/* Drops what waits of a datagram. */
static void
drop_waiting(struct fragment_store *s, struct fragment_datagram *d, enum drop drop)
{
	for (uint16_t i = 0; i < d->pieces && d->waiting > 0; i++) {
		if (d->piece[i].block == NIL)
			continue;
		unhold(s, &d->piece[i], NULL);
		d->waiting--;
		counter_drop(s->counters, drop);
	}
}

static void
refuse(struct fragment_store *s, struct fragment_datagram *d, enum drop drop)
{
	drop_waiting(s, d, drop);
	d->state = REFUSED;
}

/* ---- datagrams ---- */

static struct name
name_of(const struct packet *p, uint16_t origin)
{
	return (struct name){.source = p->source.ip,
	    .destination = p->destination.ip,
	    .id = p->fragment_id,
	    .origin = origin,
	    .protocol = p->protocol};
}

static uint16_t *
bucket_of(struct fragment_store *s, const struct name *name)
{
	return &s->bucket[siphash13(&s->key, name, sizeof(*name)) % BUCKETS];
}

static void
forget(struct fragment_store *s, struct fragment_datagram *d, enum drop drop)
{
	uint16_t number = (uint16_t)(d - s->datagram);
	uint16_t *link = bucket_of(s, &d->name);

	drop_waiting(s, d, drop);
	while (*link != number)
		link = &s->datagram[*link].chain;
	*link = d->chain;
	*(d->older == NIL ? &s->oldest : &s->datagram[d->older].newer) = d->newer;
	*(d->newer == NIL ? &s->newest : &s->datagram[d->newer].older) = d->older;
	d->chain = s->free;
	s->free = number;
	s->count--;
}

static struct fragment_datagram *
find(struct fragment_store *s, const struct name *name)
{
	uint16_t number = *bucket_of(s, name);

	while (number != NIL && memcmp(&s->datagram[number].name, name, sizeof(*name)) != 0)
		number = s->datagram[number].chain;
	return number == NIL ? NULL : &s->datagram[number];
}

/* A new record; if all are in use, the oldest one's. */
static struct fragment_datagram *
make(struct fragment_store *s, const struct name *name, uint64_t now)
{
	uint16_t *bucket = bucket_of(s, name), number;
	struct fragment_datagram *d;

	if (s->free == NIL)
		forget(s, &s->datagram[s->oldest], DROP_fragment_limit);
	number = s->free;
	d = &s->datagram[number];
	s->free = d->chain;
	d->name = *name;
	d->state = WAITING;
	d->pieces = d->waiting = 0;
	d->end = d->seen = 0;
	d->until = now + FRAGMENT_TIMEOUT;
	d->chain = *bucket;
	*bucket = number;
	d->older = s->newest;
	d->newer = NIL;
	*(s->newest == NIL ? &s->oldest : &s->datagram[s->newest].newer) = number;
	s->newest = number;
	s->count++;
	return d;
}

/* ---- fragments ---- */

/* The network has doubled it (RFC 8200, 4.5), or somebody would have it replaced. */
static bool
is_double(const struct fragment_datagram *d, const struct packet *p)
{
	for (uint16_t i = 0; i < d->pieces; i++) {
		if (d->piece[i].offset == p->fragment_offset && d->piece[i].len == p->fragment_len)
			return true;
	}
	return false;
}

/* Whether a fragment may be part of what is known of its datagram. */
static enum drop
fits(const struct fragment_datagram *d, const struct packet *p)
{
	uint32_t start = p->fragment_offset, end = start + p->fragment_len;

	for (uint16_t i = 0; i < d->pieces; i++) {
		uint32_t first = d->piece[i].offset;
		uint32_t behind = first + d->piece[i].len;

		if (first < end && start < behind)
			return DROP_fragment_overlap;
		if (!p->fragment_more && behind > end)
			return DROP_fragment_overlap;
	}
	if (d->end != 0 && (end > d->end || !p->fragment_more))
		return DROP_fragment_overlap;
	return d->pieces == FRAGMENT_PIECES ? DROP_fragment_limit : DROP_none;
}

static void
note(struct fragment_datagram *d, const struct packet *p)
{
	d->piece[d->pieces++] = (struct piece){
	    .offset = p->fragment_offset, .len = p->fragment_len, .block = NIL, .size = p->len};
	d->seen += p->fragment_len;
	if (!p->fragment_more)
		d->end = (uint32_t)p->fragment_offset + p->fragment_len;
}

/* Makes room for so many blocks at the cost of the oldest datagrams that wait. */
static void
make_room(struct fragment_store *s, const struct fragment_datagram *but, uint32_t blocks)
{
	uint16_t number = s->oldest;

	while (s->free_blocks < blocks && number != NIL) {
		struct fragment_datagram *d = &s->datagram[number];

		number = d->newer;
		if (d != but && d->waiting > 0)
			refuse(s, d, DROP_fragment_limit);
	}
}

/* Keeps a copy of the fragment noted last. */
static enum drop
wait(struct fragment_store *s, struct fragment_datagram *d, const struct packet *p)
{
	uint32_t blocks = blocks_for(p->len);

	if (d->waiting == FRAGMENT_WAITING || p->len > LARGEST) {
		refuse(s, d, DROP_fragment_limit);
		return DROP_fragment_limit;
	}
	make_room(s, d, blocks);
	if (s->free_blocks < blocks) {
		refuse(s, d, DROP_fragment_limit);
		return DROP_fragment_limit;
	}
	d->piece[d->pieces - 1].block = hold(s, p->data, p->len);
	d->waiting++;
	counter_add(s->counters, COUNTER_fragments_held, 1);
	return DROP_none;
}

enum drop
fragment_enter(struct fragment_store *store, struct packet *p, uint16_t origin, uint64_t now,
    struct fragment_datagram **datagram)
{
	struct name name = name_of(p, origin);
	struct fragment_datagram *d;
	enum drop drop;

	*datagram = NULL;
	fragment_expire(store, now);
	d = find(store, &name);
	if (d == NULL)
		d = make(store, &name, now);
	if (d->state == REFUSED)
		return DROP_fragment;
	if (is_double(d, p))
		return DROP_fragment_overlap;
	drop = fits(d, p);
	if (drop != DROP_none) {
		refuse(store, d, drop);
		return drop;
	}
	note(d, p);
	if (p->fragment == PACKET_FIRST_FRAGMENT) {
		d->state = KNOWN;
		d->source_port = p->source.port;
		d->destination_port = p->destination.port;
	} else if (d->state == WAITING) {
		return wait(store, d, p);
	}
	p->source.port = d->source_port;
	p->destination.port = d->destination_port;
	*datagram = d;
	return DROP_none;
}

bool
fragment_next(struct fragment_store *store, struct fragment_datagram *datagram, struct packet *out)
{
	struct fragment_datagram *d = datagram;

	for (uint16_t i = 0; i < d->pieces && d->waiting > 0; i++) {
		if (d->piece[i].block == NIL)
			continue;
		*out = (struct packet){.data = store->out + FRAGMENT_HEADROOM,
		    .len = d->piece[i].size,
		    .headroom = FRAGMENT_HEADROOM};
		unhold(store, &d->piece[i], out->data);
		d->waiting--;
		if (packet_parse(out) != DROP_none)
			continue; /* it was parsed before */
		out->source.port = d->source_port;
		out->destination.port = d->destination_port;
		return true;
	}
	return false;
}

void
fragment_refuse(struct fragment_store *store, struct fragment_datagram *datagram)
{
	refuse(store, datagram, DROP_fragment);
}

void
fragment_done(struct fragment_store *store, struct fragment_datagram *datagram)
{
	if (datagram->state == KNOWN && datagram->end != 0 && datagram->seen == datagram->end &&
	    datagram->waiting == 0)
		forget(store, datagram, DROP_fragment);
}

void
fragment_expire(struct fragment_store *store, uint64_t now)
{
	while (store->oldest != NIL && store->datagram[store->oldest].until <= now)
		forget(store, &store->datagram[store->oldest], DROP_fragment_timeout);
}

uint64_t
fragment_next_expiry(const struct fragment_store *store)
{
	return store->oldest == NIL ? UINT64_MAX : store->datagram[store->oldest].until;
}

uint32_t
fragment_bytes(const struct fragment_store *store)
{
	return (BLOCKS - store->free_blocks) * BLOCK;
}

uint32_t
fragment_datagrams(const struct fragment_store *store)
{
	return store->count;
}
