/*
 * signals: what the packets of a server's clients say of it.
 *
 * How long its answers to new connections take, how many connections in a row it has left
 * unanswered, and how much comes and goes.  Plain data and arithmetic: time is an argument,
 * each step costs the same.  What follows from it for the server is table_signals.c's.
 */
#ifndef WLAD_LOAD_SIGNALS_H
#define WLAD_LOAD_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Connections in a row that a server has left unanswered when it is taken out.  One may be a lost packet, and so may
 * two where one packet in a hundred is lost: once in 10,000 connections.  Three would be once in a million,
 * and all three have waited for most of a second.
 */
#define SIGNALS_ENOUGH 3

/* How a new connection was not answered.  One text each, shown by `show servers` and listed in
 * wladmctl(8). */
#define SIGNALS_CAUSES(X) \
	X(silent, "new connections get no answer") \
	X(refused, "new connections are refused") \
	X(unreachable, "unreachable for new connections")

enum signals_cause {
#define X(name, text) SIGNALS_##name,
	SIGNALS_CAUSES(X)
#undef X
	    SIGNALS_CAUSE_COUNT
};

const char *signals_cause_text(enum signals_cause cause);

struct signals {
	/* of the answers: seconds from a connection's first packet to the server's first */
	uint32_t samples;
	double fast, slow; /* averages over the latest 8 and 256 */

	uint32_t unanswered;      /* connections since the latest answer */
	enum signals_cause cause; /* of the latest of them */
	uint64_t since, latest;   /* when the first and the latest of them were counted */

	/* what had come and gone at two times, a second or more apart */
	struct signals_mark {
		uint64_t at, connections, bytes;
	} mark[2];
};

/* Rates of late. */
struct signals_rates {
	double connections, bytes; /* a second */
};

void signals_reset(struct signals *s);

/* A new connection was answered; after seconds, below 0 if that is not known. */
void signals_answered(struct signals *s, double seconds);

/* One more was not. */
void signals_unanswered(struct signals *s, enum signals_cause cause, uint64_t now);

/* True if so many connections are unanswered, for so long, that the server is to be taken out. */
bool signals_enough(const struct signals *s, uint64_t now);

/*
 * What these say of its load, 0 to 1: the share of SIGNALS_ENOUGH that is unanswered, or how
 * far answers are beyond what is usual, up to the second after which clients try again.
 */
double signals_load(const struct signals *s);

/* How fast it answers, in steps of a fifth; 0: not known. */
unsigned signals_class(const struct signals *s);
#define SIGNALS_CLASSES 256

/* Totals until now, for the rates: to be told at times, as often as one likes. */
void signals_mark(struct signals *s, uint64_t connections, uint64_t bytes, uint64_t now);

/* Over the time since the older mark: a second or two of a server that has connections. */
struct signals_rates signals_rates(
    const struct signals *s, uint64_t connections, uint64_t bytes, uint64_t now);

#endif
