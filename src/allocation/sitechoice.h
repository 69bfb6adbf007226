/*
 * sitechoice: own site or another one, and which.  Pure.
 *
 *   gate = clamp((u_L - min(taken / capacity, 0.12) - high_load) / 0.10, 0, 1);
 *     1 if no own server is up, or prefer = "remote" or "any"
 *     taken: the most connections of other sites that it had of late, forgotten in 30 s
 *   with probability gate, another site s by weight
 *     w(s) = room(s) * fresh(s) * slow_start(s) * near(s) * answers(s)
 *     0 unless u(s) < u_L - 0.10, or no own server is up, or prefer = "any"
 *     0 without a token of the rate that s grants us
 *   with prefer = "any" the own site is one of them, with w = room
 *
 *   site_metric   u, load                         room                           [0068]
 *   headroom      present load                    capacity * max(0, 0.90 - u)    II and IV
 *   servers       share of servers highly loaded  max(0, 0.90 - u)               I
 *   connections   present load                    connections that it can take   II
 *   permission    -                               1                              III
 *   load          as reported                     max(0, 0.90 - u)               IV
 *
 *   present load: reported load + (our connections there now - those in its report) / capacity
 *   fresh: 1 up to an age of 2 of the site's intervals, 0 at 5;  slow_start: 0.1 to 1 in 10 s;
 *   near = 0.1 s / (0.1 s + round-trip time), of the transfer path if it is known;
 *   answers: share of our latest connections that it answered, to the fourth power
 *
 * A ramp, no step, and own transfers counted since the report: that is what stops swinging.
 *
 * What a site says of itself is believed within bounds: a capacity up to twice the typical one of the
 * sites, or twice what it has proved to serve for us, whichever is more; a rate of new connections
 * that would fill that in a second; and never less load than our own connections make there.
 */
#ifndef WLAD_ALLOCATION_SITECHOICE_H
#define WLAD_ALLOCATION_SITECHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "load/table.h"

#define SITECHOICE_MAX 1024 /* sites considered */

/* Why a site is no candidate. */
#define SITECHOICE_REASONS(X) \
	X(candidate, "candidate") \
	X(visited, "the connection has been there") \
	X(disabled, "disabled by an administrator") \
	X(no_session, "no session") \
	X(no_keys, "no keys") \
	X(path_unknown, "path not proved yet") \
	X(path_lost, "path lost") \
	X(no_service, "does not offer the service") \
	X(no_report, "has not reported") \
	X(stale, "report too old") \
	X(prohibited, "transfer prohibited") \
	X(no_server, "no server up") \
	X(full, "as good as full") \
	X(not_better, "not better than here") \
	X(no_token, "rate that it grants used up")

enum sitechoice_reason {
#define X(name, text) SITECHOICE_##name,
	SITECHOICE_REASONS(X)
#undef X
	    SITECHOICE_REASON_COUNT
};

struct sitechoice_site {
	uint32_t site, site_service; /* numbers: of the site, of the service in its list */
	enum sitechoice_reason reason;
	double claimed;  /* capacity that it says it has, connections */
	double capacity; /* of which so much is believed */
	double load, fresh, slow_start, near, answers, weight;
	bool limited; /* it grants a rate */
	double rate;  /* of new connections a second that is believed, if limited */
	double tokens;
	double life;  /* mean, of connections there, seconds; 0: not known */
	double would; /* its weight, if it had keys: it is introduced, and lacks nothing else */
	double beyond; /* its weight beyond the rate that it grants; see sitechoice_evaluate() */
};

struct sitechoice {
	const uint16_t *visited; /* sites that are no candidates; set by the caller */
	size_t visited_count;
	enum config_site_metric metric;
	enum config_prefer prefer;
	double own_load; /* by the metric */
	double gate;
	double own_weight; /* 0 unless prefer is "any" */
	double typical_capacity;
	bool seek; /* would is wanted, too; set by the caller */
	bool forced;
	uint32_t own_up;
	size_t count;
	double total; /* of the sites' weights */
	struct sitechoice_site sites[SITECHOICE_MAX];
};

/* Fills in every input of the decision.  interval: our load.interval in seconds, for sites that have
 * not said theirs.  forced: no own server can take the connection, whatever the load says. */
void sitechoice_evaluate(struct sitechoice *choice, struct load_table *table, uint32_t service,
    bool forced, double interval, uint64_t now);

/*
 * The same for one site alone, whether or not it is better than here: an index into
 * choice->sites if it is a candidate, else -1.  For a client that has been sent there before.
 */
int sitechoice_evaluate_site(struct sitechoice *choice, struct load_table *table,
    uint32_t service, uint32_t site, double interval, uint64_t now);

/* True if every connection stays whatever the other sites say: nothing to evaluate. */
bool sitechoice_stays(const struct service *own);

/* Draws: an index into choice->sites, or -1 for the own site. */
int sitechoice_draw(const struct sitechoice *choice, struct random *random);

/* How probable it is that a connection goes to another site. */
double sitechoice_leaves(const struct sitechoice *choice);

/*
 * The site that is to be met besides: introduced by a coordinator, without keys as yet, drawn by the
 * weight that it would have; LOAD_NONE if those that there are suffice.
 */
uint32_t sitechoice_wanted(const struct sitechoice *choice, struct random *random);

/* What was drawn is done: one token less. */
void sitechoice_take(
    const struct sitechoice *choice, int drawn, struct load_table *table, uint64_t now);

/* What keeps a site from being a candidate whatever the service: SITECHOICE_candidate if nothing. */
enum sitechoice_reason sitechoice_site_reason(const struct site *site);

const char *sitechoice_reason_text(enum sitechoice_reason reason);

#endif
