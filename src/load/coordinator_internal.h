/*
 * coordinator_internal: the coordinator's insides, for load/coordinator*.c alone.
 *
 * coordinator.c: what is known, and what of it is news; coordinator_links.c: who is told of whom;
 * coordinator_tell.c: what is told when.
 */
#ifndef WLAD_LOAD_COORDINATOR_INTERNAL_H
#define WLAD_LOAD_COORDINATOR_INTERNAL_H

#include "load/coordinator.h"

/* What one site has been told of another. */
struct link {
	uint32_t site;
	uint64_t told; /* the number of its last change then; 0: nothing of it */
	bool over;     /* only one thing more is to be told: that the other is gone */
};

/* What is known of one site. */
struct known {
	bool known; /* it has said HELLO */
	bool gone;
	bool silent;
	bool reported;
	uint64_t heard_at;
	/* The numbers of the last change of what it is, of what cannot wait, of anything. */
	uint64_t identity_change, urgent_change, state_change;
	struct sites_record identity;
	struct load_report told; /* its report, as far as it is news */

	uint64_t point;     /* circle.h */
	uint32_t *services; /* numbers of them, each once */
	size_t services_count;
	struct link *links; /* sorted by site */
	size_t links_count;
	bool begun;       /* it has been told something in this session */
	double room;      /* octets that it may be sent */
	uint64_t room_at; /* when that was so; 0: it has no session */
};

/* A service as sites call it. */
struct offered {
	char name[CODEC_NAME_MAX + 1];
	uint8_t protocol;
	uint64_t point;
	uint32_t sites, level; /* circle.h */
};

struct coordinator {
	struct known *sites;
	uint32_t count;
	uint64_t changes;
	struct offered *services;
	uint32_t services_count;
	uint32_t listeners; /* sites with a session */
};

struct known *coordinator_site(struct coordinator *c, uint32_t site);

/* ---- coordinator_links.c ---- */

/* A site's HELLO names services: who knows whom changes. */
void coordinator_offers(struct coordinator *c, uint32_t site);
/* It offers none any more. */
void coordinator_withdraws(struct coordinator *c, uint32_t site);

#endif
