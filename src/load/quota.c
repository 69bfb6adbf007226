#include "load/quota.h"

#include <math.h>
#include <stdbool.h>

#include "base/clock.h"

#define RATE_SMOOTHING 5.0  /* seconds over which rates are smoothed */
#define LIFE_SMOOTHING 30.0 /* and lives */
#define LIFE_UNKNOWN   10.0
#define LIFE_SHORTEST  0.01 /* seconds; a connection occupies a server at least so long */
/* A longer life counts as this one: what is free may be filled in half a minute, although in
 * the long run only the ends of connections make room again. */
#define LIFE_LONGEST 30.0
/*
 * The share of its capacity that a site aims at: 0.85, but so much less that it is not full by
 * chance alone: connections that come independently vary by the root of their number.
 */
#define AIM        0.85
#define AIM_LEAST  0.25
#define AIM_ROOTS  2
#define FILL_TIME  5.0 /* seconds in which free places may be filled */
#define EQUAL_PART 0.1
#define BURST      1.0 /* seconds; or the life of a connection, if that is less */

static double
seconds_between(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / CLOCK_SECOND : 0;
}

static double
smooth(double old, double latest, double seconds, double over)
{
	return old + (latest - old) * (1 - exp(-seconds / over));
}

static double
since(uint64_t total, uint64_t before)
{
	return total > before ? (double)(total - before) : 0;
}

void
quota_rate(struct quota_rate *rate, uint64_t total, double seconds)
{
	if (seconds <= 0)
		return;
	rate->rate =
	    smooth(rate->rate, since(total, rate->total) / seconds, seconds, RATE_SMOOTHING);
	rate->total = total;
}

void
quota_measure(struct quota_meter *meter, const struct quota_totals *totals, uint64_t now)
{
	const struct quota_totals *was = &meter->totals;
	double seconds = seconds_between(meter->measured_at, now), keep, in_flight;

	if (meter->measured_at == 0) {
		meter->measured_at = now;
		meter->totals = *totals;
		return;
	}
	if (seconds <= 0)
		return;
	meter->own =
	    smooth(meter->own, since(totals->own, was->own) / seconds, seconds, RATE_SMOOTHING);
	meter->offered = smooth(meter->offered, since(totals->offered, was->offered) / seconds,
	    seconds, RATE_SMOOTHING);
	in_flight = (since(was->opened, was->closed) + since(totals->opened, totals->closed)) / 2;
	keep = exp(-seconds / LIFE_SMOOTHING);
	meter->busy = meter->busy * keep + in_flight * seconds;
	meter->closed = meter->closed * keep + since(totals->closed, was->closed);
	meter->totals = *totals;
	meter->measured_at = now;
}

/* As if one connection of unknown life had been seen besides. */
double
quota_life(const struct quota_meter *meter)
{
	double prior = meter->prior > 0 ? meter->prior : LIFE_UNKNOWN;
	double life = (meter->busy + prior) / (meter->closed + 1);

	return life > LIFE_SHORTEST ? life : LIFE_SHORTEST;
}

static double
aim_of(double capacity)
{
	double aim = 1 - AIM_ROOTS / sqrt(capacity);

	return aim > AIM ? AIM : aim > AIM_LEAST ? aim : AIM_LEAST;
}

double
quota_total(uint64_t capacity, uint64_t active, const struct quota_meter *meter)
{
	double life = quota_life(meter), rate, used, aim, fill;

	if (capacity == 0)
		return 0;
	if (life > LIFE_LONGEST)
		life = LIFE_LONGEST;
	aim = aim_of((double)capacity);
	rate = aim * (double)capacity / life - meter->own;
	used = (double)active / (double)capacity;
	/* what is free may be filled within some reports, however long connections last */
	fill = (aim - used) * (double)capacity / FILL_TIME - meter->own;
	if (fill > rate)
		rate = fill;
	if (used > aim)
		rate *= (1 - used) / (1 - aim);
	return rate > 0 && used < 1 ? rate : 0;
}

double
quota_left(double offered, double capacity, double life)
{
	double left =
	    aim_of(capacity) * capacity / (life > LIFE_SHORTEST ? life : LIFE_SHORTEST) - offered;

	return left > 0 ? left : 0;
}

double
quota_need(double offered, double limit, double capacity, double life)
{
	double need = offered - limit * capacity / (life > LIFE_SHORTEST ? life : LIFE_SHORTEST);

	return need > 0 ? need : 0;
}

/* The most that one may have so that all have no more than total together: each pass finds
 * those who want less than an equal share of what the others leave. */
static double
fair_level(double total, const double *demand, size_t count)
{
	double level = total / (double)count, before;

	do {
		double left = total;
		size_t more = 0;

		before = level;
		for (size_t i = 0; i < count; i++) {
			if (demand[i] > level)
				more++;
			else
				left -= demand[i];
		}
		if (more == 0)
			return INFINITY;
		level = left / (double)more;
	} while (level > before);
	return level;
}

void
quota_share(double total, double *demand, size_t count)
{
	double rest = total * (1 - EQUAL_PART), level, served = 0, equal, more;

	if (count == 0)
		return;
	level = fair_level(rest, demand, count);
	for (size_t i = 0; i < count; i++) {
		demand[i] = demand[i] < level ? demand[i] : level;
		served += demand[i];
	}
	/* what nobody demands, by demand as well */
	more = served > 0 && rest > served ? rest / served : 1;
	equal = (total * EQUAL_PART + (served > 0 ? 0 : rest)) / (double)count;
	for (size_t i = 0; i < count; i++)
		demand[i] = demand[i] * more + equal;
}

/* What comes at once is there at the same time: no more than the rate keeps there anyway. */
static double
burst_of(double rate, double life)
{
	double burst = rate * (life > 0 && life < BURST ? life : BURST);

	return rate <= 0 ? 0 : burst > 1 ? burst : 1;
}

double
quota_tokens(const struct quota_bucket *bucket, double rate, double life, uint64_t now)
{
	double burst = burst_of(rate, life), tokens;

	if (bucket->at == 0)
		return burst;
	tokens = bucket->tokens + rate * seconds_between(bucket->at, now);
	return tokens < burst ? tokens : burst;
}

void
quota_take(struct quota_bucket *bucket, double rate, double life, uint64_t now)
{
	bucket->tokens = quota_tokens(bucket, rate, life, now) - 1;
	bucket->at = now;
}
