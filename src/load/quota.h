/*
 * quota: how many new connections a second a site may send us: measured, computed, shared out,
 * and kept to.
 *
 * The receiver grants rates, so that any number of senders that know the same old report cannot
 * overload it together:
 *
 *   R = max(aim * capacity / mean life, (aim * capacity - active) / 5 s)
 *           - own new connections a second, 0 at least
 *       scaled to 0 as active goes from aim to 1 of capacity
 *   aim = 0.85, and less below 178 connections: 1 - 2 / root of capacity, 0.25 at least
 *
 * A tenth of R is shared equally among those that may send, the rest by demand.  The sender keeps
 * to its rate by a token bucket of one second.  A rate, no stock: N senders that were each
 * granted the free places of a second ago fill them N times.
 *
 * Pure arithmetic; time is an argument.  Used by load/table_quota.c and allocation/sitechoice.c.
 */
#ifndef WLAD_LOAD_QUOTA_H
#define WLAD_LOAD_QUOTA_H

#include <stddef.h>
#include <stdint.h>

/* Totals since the start, of one service. */
struct quota_totals {
	uint64_t own;     /* connections of own clients that own servers got */
	uint64_t offered; /* connections of own clients, wherever they went, and those refused */
	uint64_t opened, closed; /* at own servers, whoever's */
};

/* Smoothed rates of one service, and what they were measured from. */
struct quota_meter {
	uint64_t measured_at; /* 0: never */
	struct quota_totals totals;
	double own, offered; /* new connections a second */
	double busy, closed; /* connections * seconds, and ends; old ones forgotten */
	double prior; /* seconds; a life to begin with, as others know it; 0: nobody does */
};

/* Measures; now is not before the last time. */
void quota_measure(struct quota_meter *meter, const struct quota_totals *totals, uint64_t now);

/*
 * Mean connection life in seconds: connections in flight, integrated over time, through
 * connections ended (Little's law), of the last half minute or so.  The prior, or else 10, as long as nothing is known.
 */
double quota_life(const struct quota_meter *meter);

/* One rate alone, of a total that only grows. */
struct quota_rate {
	uint64_t total;
	double rate;
};
void quota_rate(struct quota_rate *rate, uint64_t total, double seconds);

/* New connections a second that all others together may send: R. */
double quota_total(uint64_t capacity, uint64_t active, const struct quota_meter *meter);

/*
 * New connections a second that a site cannot serve itself: what its clients want less what
 * keeps its servers at the load limit.
 */
double quota_need(double offered, double limit, double capacity, double life);

/* New connections a second that it may have left for others, by what it says of itself. */
double quota_left(double offered, double capacity, double life);

/*
 * Shares total out: a tenth equally; of the rest each gets what it demands, or, if that is too
 * much, no more than any other (max-min fair: who exaggerates gains nothing at the expense of
 * those who ask for less than an equal share); what nobody demands by demand as well, or
 * equally if there is none.  demand is overwritten with the shares.
 */
void quota_share(double total, double *demand, size_t count);

/* Tokens of a sender.  Zeroed it is full. */
struct quota_bucket {
	double tokens;
	uint64_t at; /* when they were counted */
};

/*
 * Tokens now at a rate, of connections with that mean life (0: not known).  They fill up to what the
 * rate brings in a life, or in a second if that is less, but to one at least, so that a small rate
 * is one as well.
 */
double quota_tokens(const struct quota_bucket *bucket, double rate, double life, uint64_t now);
void quota_take(struct quota_bucket *bucket, double rate, double life, uint64_t now);

#endif
