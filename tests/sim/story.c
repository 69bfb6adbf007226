/* What happens in a world besides clients who come and go. */
#include "base/clock.h"
#include "sim.h"

#define BEGINS  40 /* seconds after the start */
#define NOTICED 3  /* checks in a row */
#define MISSED  1  /* liveness messages */
#define LASTS   60
#define FLASH   4.0 /* times what the site can serve */

enum turn { TURN_BEGINS, TURN_NOTICED, TURN_ENDS, TURN_RETURNED };

static void
turn_at(struct world *w, double seconds, enum turn turn)
{
	queue_add(&w->queue, w->now + (uint64_t)(seconds * CLOCK_SECOND), EVENT_TURN, turn, 0);
}

/* A third of the sites gets half as much again as it can serve; the others share the rest. */
static void
skew(struct world *w)
{
	unsigned sites = w->cell->sites, hot = (sites + 2) / 3;
	double all = 0, rest = 0, hot_use = 1.2 * w->cell->use + 0.3, cool_use;

	for (unsigned i = 0; i < sites; i++) {
		all += w->sites[i].capacity;
		rest += i < hot ? 0 : w->sites[i].capacity;
	}
	cool_use = (w->cell->use * all - hot_use * (all - rest)) / rest;
	if (cool_use < 0.05)
		cool_use = 0.05;
	for (unsigned i = 0; i < sites; i++)
		w->sites[i].rate =
		    w->sites[i].capacity * (i < hot ? hot_use : cool_use) / w->cell->life;
}

void
story_begin(struct world *w)
{
	struct sim_site *last = &w->sites[w->cell->sites - 1];

	switch (w->cell->story) {
	case STORY_LIAR:
	case STORY_BRAGGART:
		last->lies = true;
		skew(w);
		break;
	case STORY_SKEW:
		skew(w);
		break;
	case STORY_FLASH:
	case STORY_SERVERS:
	case STORY_SITE:
		turn_at(w, BEGINS, TURN_BEGINS);
		break;
	case STORY_EVEN:
	default:
		break;
	}
}

static void
flash(struct world *w, enum turn turn)
{
	struct sim_site *site = &w->sites[0];

	if (turn == TURN_BEGINS) {
		site->rate = FLASH * site->capacity / w->cell->life;
		turn_at(w, LASTS, TURN_ENDS);
	} else {
		site->rate = w->cell->use * site->capacity / w->cell->life;
	}
}

static void
set_servers(struct world *w, enum server_state state)
{
	for (uint32_t i = 0; i < SIM_SERVERS; i++)
		load_table_server_set_state(
		    w->sites[0].table, i, state, state == SERVER_UP ? NULL : "refused", w->now);
}

/* What is there breaks when the checks notice. */
static void
servers_die(struct world *w, enum turn turn)
{
	switch (turn) {
	case TURN_BEGINS:
		turn_at(w, NOTICED, TURN_NOTICED);
		break;
	case TURN_NOTICED:
		set_servers(w, SERVER_DOWN);
		for (uint32_t i = 0; i < SIM_SERVERS; i++)
			client_broken(w, i);
		turn_at(w, LASTS, TURN_ENDS);
		break;
	case TURN_ENDS:
	case TURN_RETURNED:
	default:
		set_servers(w, SERVER_UP);
		break;
	}
}

static void
seen_by_others(struct world *w, enum site_path path, enum site_session session)
{
	struct sim_site *gone = &w->sites[0];

	for (uint32_t i = 0; i < gone->peers_count; i++) {
		struct load_table *table = w->sites[gone->peers[i]].table;
		uint32_t number = world_number(w, gone->peers[i], 0);

		load_table_site_set_path(table, number, path, w->now);
		load_table_site_session(table, number, session, w->now);
	}
}

static void
site_dies(struct world *w, enum turn turn)
{
	switch (turn) {
	case TURN_BEGINS:
		w->sites[0].dead = true;
		for (uint32_t i = 0; i < SIM_SERVERS; i++)
			client_broken(w, i);
		turn_at(w, MISSED, TURN_NOTICED);
		break;
	case TURN_NOTICED:
		seen_by_others(w, SITE_PATH_LOST, SITE_NO_SESSION);
		turn_at(w, LASTS, TURN_ENDS);
		break;
	case TURN_ENDS:
	case TURN_RETURNED:
	default:
		w->sites[0].dead = false;
		seen_by_others(w, SITE_PATH_ALIVE, SITE_SESSION);
		break;
	}
}

void
story_turn(struct world *w, uint32_t turn)
{
	switch (w->cell->story) {
	case STORY_FLASH:
		flash(w, turn);
		break;
	case STORY_SERVERS:
		servers_die(w, turn);
		break;
	case STORY_SITE:
		site_dies(w, turn);
		break;
	case STORY_EVEN:
	case STORY_SKEW:
	case STORY_LIAR:
	case STORY_BRAGGART:
	default:
		break;
	}
}
