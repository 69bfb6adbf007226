/*
 * ratelimit: a token bucket.
 */
#ifndef WLAD_BASE_RATELIMIT_H
#define WLAD_BASE_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct ratelimit {
	uint32_t rate;  /* tokens a second */
	uint32_t burst; /* tokens at most */
	double tokens;
	uint64_t last; /* ns of the clock; 0: never asked */
};

/* A full bucket. */
static inline struct ratelimit
ratelimit_make(uint32_t rate, uint32_t burst)
{
	return (struct ratelimit){.rate = rate, .burst = burst, .tokens = burst};
}

/* Takes a token; false if there is none. */
bool ratelimit_take(struct ratelimit *limit, uint64_t now);

#endif
