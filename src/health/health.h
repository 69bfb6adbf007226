/*
 * health: asks the servers whether they serve, and tells the load table.
 *
 * A check asks each address of the server that has a family of the service, and passes if all of
 * them do (round.c).  What is asked is a target (target.h), which may be shared with other
 * servers; this file judges what comes of it for each server (rise and fall in hysteresis.c) and
 * reports.
 */
#ifndef WLAD_HEALTH_HEALTH_H
#define WLAD_HEALTH_HEALTH_H

#include "base/counters.h"
#include "base/random.h"
#include "load/table.h"
#include "loop.h"

struct health;

/* Why a check failed.  One text each, shown by `show servers` and listed in wladmctl(8). */
#define HEALTH_CAUSES(X) \
	X(none, "no fault") \
	X(not_checked, "not checked yet") \
	X(refused, "connection refused") \
	X(timeout, "no answer in time") \
	X(unreachable, "network or host unreachable") \
	X(reset, "connection reset") \
	X(silent, "accepted, but no answer in time") \
	X(closed, "closed before an answer") \
	X(not_http, "answer is not HTTP") \
	X(status, "HTTP status not accepted") \
	X(unexpected, "answer without what is expected") \
	X(tls, "TLS handshake failed") \
	X(certificate, "certificate not of the authority") \
	X(certificate_dates, "certificate expired or not yet valid") \
	X(certificate_name, "certificate of another name") \
	X(rcode, "DNS answer is an error") \
	X(script, "script says that it is down") \
	X(script_signal, "script ended by a signal") \
	X(script_timeout, "script not finished in time") \
	X(script_output, "script wrote too much") \
	X(script_start, "script cannot be run") \
	X(authorities, "no authorities to verify with") \
	X(local, "no socket for the check") \
	X(other, "connection failed")

/* HEALTH_local, _authorities and _script_start are no verdict on the server: its state stays. */
enum health_cause {
#define X(name, text) HEALTH_##name,
	HEALTH_CAUSES(X)
#undef X
	    HEALTH_CAUSE_COUNT
};

const char *health_cause_text(enum health_cause cause);

/*
 * All borrowed; starts checking the table's servers.  Opens what needs rights: comes before
 * these are given up.
 */
struct health *health_new(struct loop *loop, struct load_table *table,
    struct counters *counters, struct random *random);
void health_free(struct health *health);

/*
 * Whether there is a socket for each kind of check that the table's servers ask for.  0, or -1
 * with a sentence in error.
 */
int health_sockets(struct health *health, char *error, size_t error_size);

/*
 * Whether the files that checks name can be read and run: `wlad -n`, start and reload.  0, or -1
 * with a sentence in error.
 */
int health_files(const struct config *config, char *error, size_t error_size);

/* The table's servers changed (reload): starts and stops checks. */
void health_refresh(struct health *health);

#endif
