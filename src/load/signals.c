#include "load/signals.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define FAST 8.0
#define SLOW 256.0

/* Before so many answers nobody knows what is usual. */
#define SAMPLES_MIN 8

/* Usual is up to twice the average of long, and so much more: what a busy host or a switch may
 * take now and then. */
#define USUAL_TIMES 2.0
#define USUAL_MORE  0.010

/* Clients try again after a second (RFC 6298). */
#define PATIENCE 1.0

/*
 * An answer that is under way when the first is counted arrives within this time, and makes
 * an end of counting: connections that are all repeated at once prove nothing.
 */
#define SPAN (CLOCK_SECOND / 4)

#define MARK_EVERY CLOCK_SECOND

#define CLASSES_EACH 4.0 /* an octave */
#define CLASS_BEGIN  16e-6

static const char *const CAUSES[] = {
#define X(name, text) [SIGNALS_##name] = text,
    SIGNALS_CAUSES(X)
#undef X
};

const char *
signals_cause_text(enum signals_cause cause)
{
	return (unsigned)cause < SIGNALS_CAUSE_COUNT ? CAUSES[cause] : CAUSES[SIGNALS_silent];
}

void
signals_reset(struct signals *s)
{
	s->samples = s->unanswered = 0;
	s->fast = s->slow = 0;
	s->since = s->latest = 0;
}

static void
average(double *mean, double value, double samples, double memory)
{
	*mean += (value - *mean) / (samples < memory ? samples : memory);
}

void
signals_answered(struct signals *s, double seconds)
{
	s->unanswered = 0;
	if (seconds < 0)
		return;
	if (s->samples < UINT32_MAX)
		s->samples++;
	average(&s->fast, seconds, s->samples, FAST);
	average(&s->slow, seconds, s->samples, SLOW);
}

void
signals_unanswered(struct signals *s, enum signals_cause cause, uint64_t now)
{
	if (s->unanswered == 0)
		s->since = now;
	if (s->unanswered < UINT32_MAX)
		s->unanswered++;
	s->cause = cause;
	s->latest = now;
}

bool
signals_enough(const struct signals *s, uint64_t now)
{
	return s->unanswered >= SIGNALS_ENOUGH && now - s->since >= SPAN;
}

static double
clamp(double value)
{
	return value < 0 ? 0 : value > 1 ? 1 : value;
}

double
signals_load(const struct signals *s)
{
	double unanswered = clamp((double)s->unanswered / SIGNALS_ENOUGH);
	double usual = USUAL_TIMES * s->slow + USUAL_MORE, late = 0;

	if (s->samples >= SAMPLES_MIN && usual < PATIENCE)
		late = clamp((s->fast - usual) / (PATIENCE - usual));
	return late > unanswered ? late : unanswered;
}

unsigned
signals_class(const struct signals *s)
{
	double class;

	if (s->samples == 0)
		return 0;
	if (s->fast <= CLASS_BEGIN)
		return 1;
	class = 1 + floor(CLASSES_EACH * log2(s->fast / CLASS_BEGIN));
	return class < SIGNALS_CLASSES - 1 ? (unsigned)class : SIGNALS_CLASSES - 1;
}

void
signals_mark(struct signals *s, uint64_t connections, uint64_t bytes, uint64_t now)
{
	if (s->mark[1].at != 0 && now - s->mark[1].at < MARK_EVERY)
		return;
	s->mark[0] = s->mark[1];
	s->mark[1] = (struct signals_mark){now, connections, bytes};
}

struct signals_rates
signals_rates(const struct signals *s, uint64_t connections, uint64_t bytes, uint64_t now)
{
	const struct signals_mark *from = s->mark[0].at != 0 ? &s->mark[0] : &s->mark[1];
	struct signals_rates rates = {0, 0};
	double seconds =
	    from->at != 0 && now > from->at ? (double)(now - from->at) / CLOCK_SECOND : 0;

	if (seconds > 0) {
		rates.connections = (double)(connections - from->connections) / seconds;
		rates.bytes = (double)(bytes - from->bytes) / seconds;
	}
	return rates;
}
