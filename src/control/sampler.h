/*
 * sampler: counters into rates.
 *
 * Reads the counters once a second and keeps what changed between the last two readings.
 * Pure: time is an argument.  Owned and driven by the control server.
 */
#ifndef WLAD_CONTROL_SAMPLER_H
#define WLAD_CONTROL_SAMPLER_H

#include <stdint.h>

#include "base/counters.h"

struct sampler {
	uint64_t at; /* of the last reading; 0: none */
	uint64_t counter[COUNTER_COUNT];
	double rate[COUNTER_COUNT]; /* a second, between the last two readings */
};

/* A reading.  One that comes in the same nanosecond as the last changes nothing. */
void sampler_read(struct sampler *sampler, const struct counters *counters, uint64_t now);

/* Changes of a counter a second; 0 if sampler is NULL or was not read twice. */
double sampler_rate(const struct sampler *sampler, enum counter counter);

#endif
