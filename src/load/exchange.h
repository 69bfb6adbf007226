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
#include "connection/connection.h"
#include "load/table.h"
#include "loop.h"
#include "transfer/keyring.h"

struct exchange;

/* What the packet path is told.  Any may be NULL. */
struct exchange_handlers {
	/* The peer reports a connection that is over. */
	void (*closed)(void *arg, uint32_t site, const struct connection_closed *entry);
	/* The peer has received our direct-reply probe of that number. */
	void (*probe_seen)(void *arg, uint32_t site, uint64_t id);
	/* The peer has started anew, or says that it stops: it knows none of its connections any
	 * more. */
	void (*forgotten)(void *arg, uint32_t site);
};

/* What the exchange works with; all borrowed and to outlive it. */
struct exchange_parts {
	struct loop *loop;
	const struct config *config;
	struct load_table *table;
	struct keyring *keyring;
	struct counters *counters;
	struct random *random;
	const struct exchange_handlers *handlers; /* NULL: none */
	void *handlers_arg;
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

/*
 * Our servers have changed, and the load table has it: each peer gets a new session, make before break, for
 * what HELLO says.
 */
void exchange_tell(struct exchange *exchange);

/* When our own certificate expires, seconds since 1970; 0 if there is none. */
int64_t exchange_certificate_expiry(const struct exchange *exchange);

/* Load information changed: report at once, within 10 reports a second. */
void exchange_changed(struct exchange *exchange);

/* Something about a site changed, perhaps what it is told of the path to it: then the same. */
void exchange_site_changed(struct exchange *exchange, uint32_t site);

/* Reports to a site that a connection is over: in batches of 100 ms or CLOSED_ENTRIES_MAX, over
 * the session, or once there is one again.  What does not fit into the queue (65536 entries a
 * peer) is counted and left to its timeout. */
void exchange_closed(
    struct exchange *exchange, uint32_t site, const struct connection_closed *entry);

/* A connection would go to a site to which there are no keys yet: dials it, if coordinators have
 * introduced it. */
void exchange_wanted(struct exchange *exchange, uint32_t site);

/* Tells a site that its direct-reply probe has arrived here. */
void exchange_probe_seen(struct exchange *exchange, uint32_t site, uint64_t id);

/* A file of the configuration as the daemon would read it: checks certificate, key, CA for `wlad -n`.
 * 0, or -1 with a sentence. */
int exchange_check_files(const struct config *config, char *error, size_t error_size);

#endif
