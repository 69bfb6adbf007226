#include "base/ratelimit.h"

#include "base/clock.h"

bool
ratelimit_take(struct ratelimit *limit, uint64_t now)
{
	if (limit->last != 0 && now > limit->last) {
		double gained = (double)(now - limit->last) / CLOCK_SECOND * limit->rate;

		limit->tokens += gained;
		if (limit->tokens > limit->burst)
			limit->tokens = limit->burst;
	}
	if (now > limit->last)
		limit->last = now;
	if (limit->tokens < 1)
		return false;
	limit->tokens -= 1;
	return true;
}
