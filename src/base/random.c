#include "base/random.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"

static uint64_t
splitmix64(uint64_t *x)
{
	uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
random_init(struct random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->state[i] = splitmix64(&seed);
}

void
random_system(void *buf, size_t len)
{
	uint8_t *p = buf;

	/* getentropy(3) is on Linux and all BSDs; 256 octets a call */
	while (len > 0) {
		size_t n = len < 256 ? len : 256;

		if (getentropy(p, n) == -1)
			log_fatal("the operating system gives no random numbers");
		p += n;
		len -= n;
	}
}

static uint64_t
rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t
random_next(struct random *r)
{
	uint64_t *s = r->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint32_t
random_below(struct random *r, uint32_t bound)
{
	uint64_t product;
	uint32_t threshold;

	if (bound == 0)
		return 0;
	product = (random_next(r) >> 32) * bound;
	if ((uint32_t)product < bound) {
		threshold = -bound % bound;
		while ((uint32_t)product < threshold)
			product = (random_next(r) >> 32) * bound;
	}
	return (uint32_t)(product >> 32);
}

double
random_unit(struct random *r)
{
	return (double)(random_next(r) >> 11) * 0x1.0p-53;
}
