#include "load/circle.h"

#include <string.h>

#include "base/siphash.h"

/* A level is so much more than the one before; there is as much to fall until it changes back. */
#define STEP(level) ((level) + (level) / 4)

uint64_t
circle_point(const char *name)
{
	static const struct siphash_key everywhere = {{0, 0}};

	return siphash13(&everywhere, name, strlen(name));
}

uint32_t
circle_level(uint32_t level, uint32_t sites)
{
	uint32_t next = CIRCLE_SITES;

	if (level >= sites && (level <= CIRCLE_SITES || sites > level - level / 3))
		return level < CIRCLE_SITES ? CIRCLE_SITES : level;
	while (next < sites)
		next = STEP(next);
	return next;
}

/* The finalizer of SplitMix64: every bit of the sum counts for every bit of the result. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

bool
circle_knows(uint64_t a, uint64_t b, uint64_t service, uint32_t level)
{
	uint64_t pair = mix(mix(a + b) ^ mix((a ^ b) + service));

	return level <= CIRCLE_SITES || pair < UINT64_MAX / level * CIRCLE_SITES;
}
