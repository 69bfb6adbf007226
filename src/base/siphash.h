/*
 * siphash: SipHash-1-3 (Aumasson, Bernstein 2012), the keyed hash of all tables that
 * foreign hosts can write to.
 */
#ifndef WLAD_BASE_SIPHASH_H
#define WLAD_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len);

#endif
