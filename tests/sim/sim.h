/*
 * sim: many sites under a virtual clock.
 *
 * Each site is the real load table, allocation and report code; simulated are clients, servers (processor
 * sharing) and the network between sites (delay and loss of reports, distance of connections).
 * Everything follows from the seed.  A cell of the table is a world and a rule.
 */
#ifndef WLAD_TESTS_SIM_H
#define WLAD_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocation/allocation.h"
#include "base/random.h"
#include "load/codec.h"
#include "load/table.h"

#define SIM_SERVERS 4   /* a site */
#define SIM_START   100 /* seconds on the clock when a run begins */
#define SIM_WARM_UP 20  /* seconds until anything is counted */

enum sim_rule {
	RULE_LOCAL, /* every site for itself */
	RULE_LEAST, /* the least loaded site, as reported */
	RULE_TWO,   /* the less loaded, as reported, of two drawn from all */
	RULE_ANY,   /* wlad with prefer = "any" */
	RULE_WLAD,  /* wlad as it is by default */
	SIM_RULES
};

enum sim_story {
	STORY_EVEN,    /* every site as much as its size */
	STORY_SKEW,    /* a third of the sites has more than it can serve */
	STORY_FLASH,   /* site 0 has four times as much as it can serve for a minute */
	STORY_SERVERS, /* all servers of site 0 die, and come back a minute later */
	STORY_SITE,    /* site 0 is gone for a minute */
	STORY_LIAR,    /* as SKEW; a site says that it is huge and idle, and answers nobody */
	STORY_BRAGGART /* the same, but it serves as well as it can */
};

struct sim_cell {
	const char *name;
	unsigned sites;
	bool circles; /* sites know those whom a coordinator introduces; else all */
	enum sim_story story;
	double use;      /* of all capacity */
	double interval; /* of reports, seconds */
	double life;     /* mean, seconds */
	double shape;    /* of the Pareto distribution of lives; 0: all the same */
	double loss;     /* of reports */
	double capacity; /* of a typical site, connections */
	double seconds;
	bool unlimited;  /* nobody grants rates */
	double slowdown; /* what it was, of RULE_WLAD with seed 1; 0: not held */
};

struct sim_result {
	double slowdown; /* time from the first attempt to the end, through the time alone */
	double moved;    /* share of connections that another site served */
	double peak;     /* load of any site at most */
	double pushed;   /* share of connections sent to another site that it had no room for */
	double lost;     /* share of connections that nobody served, or that broke */
	double to_liar;  /* share of what moved */
	unsigned reversals; /* how often a site went from sender to receiver or back, at most */
	uint64_t connections;
};

void sim_run(
    const struct sim_cell *cell, enum sim_rule rule, uint64_t seed, struct sim_result *result);
const char *sim_rule_name(enum sim_rule rule);

/* ---- events: queue.c ---- */

enum sim_event_kind {
	EVENT_CLIENT,     /* a: site, whose next client comes */
	EVENT_ATTEMPT,    /* a: connection, that tries again */
	EVENT_TRANSFER,   /* a: connection, that arrives at its site */
	EVENT_CLOSED,     /* a: site, b: the one that had one of its connections */
	EVENT_SERVER,     /* a: server, b: version; its next connection ends */
	EVENT_REPORT,     /* a: site, that reports */
	EVENT_DELIVERED,  /* a: message */
	EVENT_UNANSWERED, /* a: connection, whose client repeats its SYN */
	EVENT_GIVEN_UP,   /* a: connection, that was never answered */
	EVENT_SAMPLE,
	EVENT_TURN /* a: of the story */
};

struct sim_event {
	uint64_t at, order;
	enum sim_event_kind kind;
	uint32_t a, b;
};

struct sim_queue {
	struct sim_event *heap;
	size_t count, size;
	uint64_t order;
};

void queue_add(
    struct sim_queue *q, uint64_t at, enum sim_event_kind kind, uint32_t a, uint32_t b);
bool queue_take(struct sim_queue *q, struct sim_event *event);
void queue_fini(struct sim_queue *q);

/* ---- servers: server.c ---- */

/* A connection at a server, by the work that the server will have done for each when it ends. */
struct sim_job {
	double until;
	uint32_t connection;
};

/*
 * Processor sharing: full speed up to SERVER_SLOTS of its places, from there on the same work in
 * all, so that each connection becomes slower.
 */
struct sim_server {
	struct sim_job *heap;
	size_t count, size;
	double places;
	double work; /* done so far for each of its connections, seconds */
	uint64_t at; /* when that was so */
	uint32_t version;
};

void server_start(struct sim_server *s, uint32_t connection, double seconds, uint64_t now);
/* When the next one ends; UINT64_MAX if there is none. */
uint64_t server_next(const struct sim_server *s);
/* Takes that one off. */
uint32_t server_end(struct sim_server *s, uint64_t now);

/* ---- the world: world.c, message.c, story.c, rules.c ---- */

struct sim_connection {
	uint32_t home, site, server; /* site, and server of all; site LOAD_NONE: nowhere */
	uint64_t born;
	double alone; /* seconds that it takes without anybody else */
	uint8_t attempts;
	bool counted;
	uint32_t next_free;
};

struct world;

struct sim_site {
	struct load_table *table;
	struct allocation *allocation;
	struct random clients, choices; /* apart: the same clients come whatever the rule */
	double x, y;
	double capacity, rate; /* connections; new clients a second */
	bool dead;             /* gone */
	bool lies;
	struct world *world;
	uint64_t reported_at, report_at; /* last and next */
	uint32_t *peers;                 /* sites by their number in the table */
	uint32_t peers_count;
	/* since the last sample */
	uint64_t sent, received;
	int direction;
	unsigned reversals;
};

struct sim_message {
	uint32_t from, to;
	struct load_report report;
	uint32_t next_free;
};

struct world {
	const struct sim_cell *cell;
	enum sim_rule rule;
	struct sim_queue queue;
	struct random random;
	uint64_t now, end;
	struct sim_site *sites;
	struct sim_server *servers;
	struct sim_connection *connections;
	uint32_t connections_count, connections_size, free_connection, live;
	struct sim_message *messages;
	uint32_t messages_count, messages_size, free_message;

	/* sums for the result */
	double spent, alone, peak;
	uint64_t done, lost, moved, transfers, pushed, to_liar;
};

double world_rtt(const struct world *w, uint32_t a, uint32_t b);
uint64_t world_after(const struct world *w, double seconds);
/* Number of site b in a's table, LOAD_NONE if it does not know it. */
uint32_t world_number(const struct world *w, uint32_t a, uint32_t b);

void world_build(struct world *w, uint64_t seed);
void world_free(struct world *w);

/* message.c */
void message_hello(struct world *w, uint32_t site);
void message_send(struct world *w, uint32_t site);
void message_deliver(struct world *w, uint32_t message);
void message_listen(struct world *w, uint32_t site);
void message_at(struct world *w, uint32_t site, uint64_t at);

/* story.c: what is different at which time. */
void story_begin(struct world *w);
void story_turn(struct world *w, uint32_t turn);

/* rules.c: where a connection goes: a site, or LOAD_NONE if nobody takes it. */
uint32_t rules_decide(struct world *w, uint32_t home, uint32_t *server);

/* client.c: a connection's life. */
void client_comes(struct world *w, uint32_t site);
void client_attempts(struct world *w, uint32_t connection);
void client_arrives(struct world *w, uint32_t connection);
void client_unanswered(struct world *w, uint32_t connection);
void client_gives_up(struct world *w, uint32_t connection);
void client_closed(struct world *w, uint32_t home, uint32_t site);
void client_served(struct world *w, uint32_t server);
/* All connections of a server break. */
void client_broken(struct world *w, uint32_t server);

#endif
