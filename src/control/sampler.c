#include "control/sampler.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"

void
sampler_read(struct sampler *sampler, const struct counters *counters, uint64_t now)
{
	double seconds = (double)(now - sampler->at) / CLOCK_SECOND;

	if (now == sampler->at)
		return;
	for (int i = 0; i < COUNTER_COUNT && sampler->at != 0; i++)
		sampler->rate[i] = (double)(counters->counter[i] - sampler->counter[i]) / seconds;
	memcpy(sampler->counter, counters->counter, sizeof(sampler->counter));
	sampler->at = now;
}

double
sampler_rate(const struct sampler *sampler, enum counter counter)
{
	return sampler != NULL ? sampler->rate[counter] : 0;
}
