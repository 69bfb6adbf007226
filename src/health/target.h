/*
 * target: what checks ask: an address, a port and the settings of a check; asked once, however
 * many servers and services want to know.
 *
 * Says when: spread at the beginning, jitter, so many at a time.  Each that wants to know is a
 * subscriber, embedded in what it belongs to, and judges by itself.
 */
#ifndef WLAD_HEALTH_TARGET_H
#define WLAD_HEALTH_TARGET_H

#include <sys/queue.h>

#include "base/random.h"
#include "health/probe.h"

struct subscriber;
struct target;
struct targets;

/* A result; the subscriber may not leave or join meanwhile. */
typedef void subscriber_callback(
    struct subscriber *subscriber, const struct probe_result *result, uint64_t now);

struct subscriber {
	struct target *target; /* NULL: none */
	subscriber_callback *told;
	bool down; /* what it depends on is down: interval_down will do for it */
	TAILQ_ENTRY(subscriber) entry;
};

/* server: the number of the server that a script is run for; it is not shared with others. */
struct target_key {
	struct addr to;
	const struct config_check *check;
	uint32_t server;
	const char *service_name, *server_name; /* live as long as targets */
};

struct targets *targets_new(struct loop *loop, struct random *random, struct icmp *icmp);
void targets_free(struct targets *targets); /* after all subscribers have left; NULL is fine */

/* Subscribes to that target, if it does not yet, and to no other.  True if it did not. */
bool target_join(
    struct targets *targets, struct subscriber *subscriber, const struct target_key *key);
void target_leave(struct targets *targets, struct subscriber *subscriber);

/* Begins to ask what has been joined since the last time, some at a time. */
void targets_begin(struct targets *targets);

/* The files of authorities may have changed. */
void targets_reload(struct targets *targets);

/* How many there are; for tests. */
unsigned targets_count(const struct targets *targets);

#endif
