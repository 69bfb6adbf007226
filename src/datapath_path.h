/*
 * datapath_path: what the datapath knows of each transfer path, for datapath_path.c and
 * datapath_direct.c alone.
 */
#ifndef WLAD_DATAPATH_PATH_H
#define WLAD_DATAPATH_PATH_H

#include "datapath_internal.h"
#include "transfer/path.h"

struct datapath_path {
	bool running; /* there are keys: the rest up to given_up is valid */
	struct addr to;
	struct path path;
	uint16_t demand_port; /* 0: none */
	struct path demand;   /* whether messages get there */
	uint64_t due;         /* when there is something to do next */

	/* direct-reply probes under the site's addresses */
	uint64_t direct_id;     /* of the one under way; 0: none is */
	uint32_t direct_by;     /* the site it was sent to */
	uint64_t direct_at;     /* when it was sent */
	uint64_t direct_due;    /* when the next one is */
	unsigned direct_missed; /* in a row */
	uint32_t direct_turn;   /* the site that was asked last */

	uint64_t looked_at; /* by the timer */
	uint64_t alive_at;  /* the last sign of life; 0: there was none yet */
	bool given_up;      /* since then */
};

/* datapath_direct.c: judges and sends a probe if it is time to; returns when it is next. */
uint64_t datapath_direct_probe(struct datapath *dp, uint32_t site, uint64_t now);

/* The next one at once. */
void datapath_direct_renew(struct datapath *dp, uint32_t site, uint64_t now);

/* Nothing is known any more. */
void datapath_direct_forget(struct datapath *dp, uint32_t site);

#endif
