/*
 * probe: one question to one address of a server, of whatever kind.
 *
 * One file a kind: tcp.c, http.c, icmp.c, udp.c, dns.c, script.c; this one has what they share.  A probe is a chain
 * of short continuations on the loop that end in one probe_finish(), by a timer at the latest.
 */
#ifndef WLAD_HEALTH_PROBE_H
#define WLAD_HEALTH_PROBE_H

#include "base/addr.h"
#include "config/config.h"
#include "health/health.h"
#include "loop.h"

struct icmp;
struct probe;
struct scripts;
struct tls_context;

struct probe_result {
	enum health_cause cause;
	/* HTTP status or DNS response code; exit status or signal of a script; 0: none came */
	unsigned status;
	bool has_load;
	double load; /* as a script told it, 0 to 1 */
};

/* Called once, not from within probe_start(); the probe is over and freed by then. */
typedef void probe_done(void *arg, const struct probe_result *result, uint64_t now);

/* Read by probe_start() alone, nothing of it is kept. */
struct probe_request {
	struct loop *loop;
	struct icmp *icmp;            /* for CONFIG_CHECK_ICMP */
	struct tls_context *tls;      /* for CONFIG_CHECK_TLS and _HTTPS */
	struct scripts *scripts;      /* for CONFIG_CHECK_SCRIPT, and who is asked for: */
	const char *service, *server; /* their names */
	struct addr to;
	const struct config_check *check; /* its type is not CONFIG_CHECK_NONE */
	probe_done *done;
	void *arg;
};

struct probe *probe_start(const struct probe_request *request);

/* Gives up without calling done.  NULL is fine. */
void probe_cancel(struct probe *probe);

/* ---- for the kinds ---- */

/* The head of each kind's struct, which is one allocation. */
struct probe {
	void (*release)(struct probe *probe); /* closes what the kind has opened */
	struct loop *loop;
	struct loop_timer *timer; /* the timeout, or an end that is due at once */
	enum health_cause cause;  /* what the timer reports */
	bool has_load;            /* to be reported */
	double load;
	probe_done *done;
	void *arg;
};

/* Of a zeroed struct; the timer runs for the check's timeout and reports cause. */
void probe_init(struct probe *probe, const struct probe_request *request,
    enum health_cause cause, void (*release)(struct probe *probe));

/* There is nothing to wait for: the end comes from the loop, at once. */
void probe_end_soon(struct probe *probe, enum health_cause cause);

void probe_finish(struct probe *probe, enum health_cause cause, unsigned status, uint64_t now);

/* What an errno of a socket says of the server; HEALTH_none for 0. */
enum health_cause probe_cause(int error);

/* False for what the check could not do: that says nothing of the server. */
bool probe_is_verdict(enum health_cause cause);

struct probe *tcp_start(const struct probe_request *request);
struct probe *http_start(const struct probe_request *request);
struct probe *icmp_start(const struct probe_request *request);
struct probe *udp_start(const struct probe_request *request);
struct probe *dns_start(const struct probe_request *request);
struct probe *script_start(const struct probe_request *request);

#endif
