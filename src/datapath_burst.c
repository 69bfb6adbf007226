/*
 * datapath_burst: packets that came together, and whose connections are looked up together.
 */
#include "datapath_internal.h"

void
datapath_burst_begin(struct datapath_burst *b)
{
	b->last = NULL;
	b->count = 0;
}

/* Neighbours are often of one connection, and its hash costs more than a look. */
static bool
is_of_same_flow(const struct datapath_burst *b, const struct packet *p, uint16_t origin)
{
	return b->last != NULL && b->origin == origin && b->last->protocol == p->protocol &&
	    addr_equal(&b->last->source, &p->source) &&
	    addr_equal(&b->last->destination, &p->destination);
}

void
datapath_burst_add(
    struct datapath *dp, struct datapath_burst *b, struct packet *p, uint16_t origin)
{
	if (is_of_same_flow(b, p, origin)) {
		p->hash = b->last->hash;
		return;
	}
	p->hash = connection_hash(dp->connections,
	    &(struct connection_key){p->source, p->destination, p->protocol, origin});
	b->hashes[b->count++] = p->hash;
	b->last = p;
	b->origin = origin;
}

/* In a large table each look-up waits for memory: here they wait together. */
void
datapath_burst_fetch(struct datapath *dp, const struct datapath_burst *b)
{
	if (b->count > 1)
		connection_fetch(dp->connections, b->hashes, b->count);
}
