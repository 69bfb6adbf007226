#include "health/round.h"

void
round_begin(struct round *r, size_t sides)
{
	*r = (struct round){.sides = sides, .result = {.cause = HEALTH_none}};
}

static bool
complete(const struct round *r)
{
	for (size_t i = 0; i < r->sides; i++)
		if (!r->reported[i])
			return false;
	return true;
}

/*
 * The side was asked before what made the other one fail, and passed: that it fails as well is
 * no second failure in a row.
 */
static bool
is_echo(struct round *r, size_t side, bool failed)
{
	bool echo = failed && r->failed && r->passed[side];

	if (echo)
		r->passed[side] = false;
	return echo;
}

bool
round_report(struct round *r, size_t side, const struct probe_result *result)
{
	bool passed = result->cause == HEALTH_none;
	bool failed = !passed && probe_is_verdict(result->cause);

	if (is_echo(r, side, failed))
		return false;
	if (r->reported[side] || complete(r))
		round_begin(r, r->sides);
	r->reported[side] = true;
	if (r->decided)
		return false;
	r->passed[side] = passed;
	if (failed || r->result.cause == HEALTH_none) {
		r->result = *result;
		r->worst = side;
	}
	r->failed = failed;
	r->decided = failed || complete(r);
	return r->decided;
}
