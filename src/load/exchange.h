/*
 * exchange: load information transmission 30 and reception 28: TLS sessions to the peers.
 *
 * Listens, dials (the site with the smaller name does), verifies, says HELLO, agrees keys,
 * reports load, receives reports.  With libevent's buffered TLS sockets and OpenSSL (tls.c).
 * Nothing that a peer sends stops the daemon: a session that misbehaves is closed with a log
 * line that says why, and dialled again with back-off.
 * Seed: [0068] Fig. 19.
 */
#ifndef WLAD_LOAD_EXCHANGE_H
#define WLAD_LOAD_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/random.h"
#include "config/config.h"
#include "load/table.h"
#include "loop.h"
#include "transfer/keyring.h"

struct exchange;

/* What the exchange works with; all borrowed and to outlive it. */
struct exchange_parts {
	struct loop *loop;
	const struct config *config;
	struct load_table *table;
	struct keyring *keyring;
	struct counters *counters;
	struct random *random;
};

/*
 * Loads certificate, key and CA and opens the listener (privileges may be dropped afterwards);
 * dials start with the loop.  The configuration must have been entered into the load table
 * before.  Ignores SIGPIPE from then on.  Without peers it does nothing.  NULL with a sentence in
 * error.
 */
struct exchange *exchange_new(const struct exchange_parts *parts, char *error, size_t error_size);

/* Sends BYE to every peer; sessions close once it is written or after 500 ms, then done is called. */
void exchange_stop(struct exchange *exchange, void (*done)(void *arg), void *arg);
void exchange_free(struct exchange *exchange);

/*
 * Goes over to a new configuration (borrowed, as the old one was until now), which is already in
 * the load table and whose load.listen and site are the old ones.  Peers that left get BYE; those that
 * stay get a new session each, make before break, for what HELLO says and the certificates.
 * Returns 0, or -1 with a sentence in error if the TLS files cannot be used: then the old
 * certificates stay, and all else has changed.
 */
int exchange_reload(
    struct exchange *exchange, const struct config *config, char *error, size_t error_size);

/* When our own certificate expires, seconds since 1970; 0 if there is none. */
int64_t exchange_certificate_expiry(const struct exchange *exchange);

/* Load information changed: report at once, within 10 reports a second. */
void exchange_changed(struct exchange *exchange);

/* A file of the configuration as the daemon would read it: checks certificate, key, CA for `wlad -n`.
 * 0, or -1 with a sentence. */
int exchange_check_files(const struct config *config, char *error, size_t error_size);

#endif
