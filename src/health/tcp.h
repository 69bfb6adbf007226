/*
 * tcp: a check that a server accepts connections.
 */
#ifndef WLAD_HEALTH_TCP_H
#define WLAD_HEALTH_TCP_H

#include "base/addr.h"
#include "health/health.h"
#include "loop.h"

struct tcp_check;

/* Called once, not from within tcp_check_start(); the check is over and freed by then. */
typedef void tcp_check_done(void *arg, enum health_cause cause, uint64_t now);

/* Connects and closes with RST, within timeout seconds. */
struct tcp_check *tcp_check_start(struct loop *loop, const struct addr *to, double timeout,
    tcp_check_done *done, void *arg);

/* Gives up without calling done. */
void tcp_check_cancel(struct tcp_check *check);

#endif
