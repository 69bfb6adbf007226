/*
 * maglev: a table of rows by which a hash finds its server (Eisenbud et al., NSDI 2016).
 *
 * Each server fills rows in an order of its own, in turns, until all are taken: exactly in
 * proportion to the weights, and nearly all rows stay with their servers when one leaves or
 * comes.  The table depends on the servers' identities and weights alone, not on what it was
 * before: gateways with the same servers have the same one.
 */
#ifndef WLAD_ALLOCATION_MAGLEV_H
#define WLAD_ALLOCATION_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

#define MAGLEV_ROWS 65537 /* a prime, so that each step visits all rows */

struct maglev {
	uint32_t *rows;
	struct maglev_member *members;
	size_t size; /* of members */
};

/* Fills the table with the indices whose weight is not 0; identity tells them apart, by hash.
 * About 5 ms for 10,000 servers. */
void maglev_build(
    struct maglev *m, const uint64_t *identity, const uint32_t *weights, size_t count);
void maglev_fini(struct maglev *m);

#endif
