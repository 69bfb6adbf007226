/*
 * random: a fast generator whose state is an argument, so that decisions can be repeated.
 *
 * xoshiro256** (Blackman, Vigna 2018).  Not for keys: those come from OpenSSL.
 */
#ifndef WLAD_BASE_RANDOM_H
#define WLAD_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state[4];
};

/* Starts a repeatable sequence (splitmix64 of the seed). */
void random_init(struct random *r, uint64_t seed);

/* Fills the buffer with octets of the operating system's generator; ends the program if
 * there is none (getrandom(2), arc4random(3)). */
void random_system(void *buf, size_t len);

uint64_t random_next(struct random *r);

/* Uniform in [0, bound) without bias (Lemire 2019); bound 0 gives 0. */
uint32_t random_below(struct random *r, uint32_t bound);

/* Uniform in [0, 1). */
double random_unit(struct random *r);

#endif
