/*
 * datagram: a probe's UDP socket: one datagram to the server, and what comes back from it.
 */
#ifndef WLAD_HEALTH_DATAGRAM_H
#define WLAD_HEALTH_DATAGRAM_H

#include "health/probe.h"

struct datagram_probe {
	struct probe probe;
	int fd; /* -1: none */
	struct loop_fd *watch;
	/* A datagram of the server; true if it has finished the probe. */
	bool (*received)(
	    struct datagram_probe *probe, const uint8_t *data, size_t len, uint64_t now);
};

/*
 * Of a zeroed struct with received set; sends data.  What ICMP says of it ends the probe; the
 * timeout means cause.
 */
void datagram_start(struct datagram_probe *probe, const struct probe_request *request,
    const void *data, size_t len, enum health_cause cause);

#endif
