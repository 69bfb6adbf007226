/*
 * sitechoice: own site or another one, and which.  Pure.
 *
 *   gate = clamp((u_L - high_load) / 0.10, 0, 1); 1 if no own server is up or prefer = "remote"
 *   with probability gate, another site s by weight
 *     w(s) = capacity(s) * max(0, 0.90 - u(s)) * fresh(s) * slow_start(s) * near(s)
 *     u(s) = reported load + (our connections there now - those in its report) / capacity(s)
 *     0 unless u(s) < u_L - 0.10, or no own server is up
 *
 *   fresh: 1 up to an age of 2 of the site's intervals, 0 at 5;  slow_start: 0.1 to 1 in 10 s;
 *   near = 0.1 s / (0.1 s + round-trip time), of the transfer path if it is known
 *
 * A ramp, no step, and own transfers counted since the report: that is what stops swinging.
 */
#ifndef WLAD_ALLOCATION_SITECHOICE_H
#define WLAD_ALLOCATION_SITECHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "load/table.h"

#define SITECHOICE_MAX 256 /* sites considered */

/* Why a site is no candidate. */
#define SITECHOICE_REASONS(X) \
	X(candidate, "candidate") \
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
	X(not_better, "not better than here")

enum sitechoice_reason {
#define X(name, text) SITECHOICE_##name,
	SITECHOICE_REASONS(X)
#undef X
	    SITECHOICE_REASON_COUNT
};

struct sitechoice_site {
	uint32_t site, site_service; /* numbers: of the site, of the service in its list */
	enum sitechoice_reason reason;
	double capacity, load, fresh, slow_start, near, weight;
};

struct sitechoice {
	double own_load, gate;
	bool forced;
	uint32_t own_up;
	size_t count;
	double total;
	struct sitechoice_site sites[SITECHOICE_MAX];
};

/* Fills in every input of the decision.  interval: our load.interval in seconds, for sites that have
 * not said theirs.  forced: no own server can take the connection, whatever the load says. */
void sitechoice_evaluate(struct sitechoice *choice, struct load_table *table, uint32_t service,
    bool forced, double interval, uint64_t now);

/* Draws: an index into choice->sites, or -1 for the own site. */
int sitechoice_draw(const struct sitechoice *choice, struct random *random);

/* What keeps a site from being a candidate whatever the service: SITECHOICE_candidate if nothing. */
enum sitechoice_reason sitechoice_site_reason(const struct site *site);

const char *sitechoice_reason_text(enum sitechoice_reason reason);

#endif
