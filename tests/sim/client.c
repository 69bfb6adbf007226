/*
 * A client: it connects, is served here or elsewhere, or is refused and tries again after 1, 2,
 * 4 ... seconds, five times.
 */
#include <math.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "sim.h"

#define ATTEMPTS       5
#define UNANSWERED     3.0  /* seconds until a client's third SYN, repeated by rule 3 */
#define GIVEN_UP       63.0 /* until the record goes */
#define SITE_LOST      15.0 /* a SYN after the connections of a site that is gone have ended */
#define CLOSED_BATCHES 0.1
#define ROUND_TRIPS    2  /* that a far server costs */
#define LONGEST        50 /* times the mean life */

static uint32_t
new_connection(struct world *w)
{
	uint32_t number = w->free_connection;

	w->live++;
	if (number != LOAD_NONE) {
		w->free_connection = w->connections[number].next_free;
		return number;
	}
	if (w->connections_count == w->connections_size) {
		w->connections_size = w->connections_size == 0 ? 4096 : w->connections_size * 2;
		w->connections = xrealloc_array(
		    w->connections, w->connections_size, sizeof(w->connections[0]));
	}
	return w->connections_count++;
}

static void
forget(struct world *w, uint32_t number)
{
	w->live--;
	w->connections[number].next_free = w->free_connection;
	w->free_connection = number;
}

/* Pareto, bounded, of the cell's mean; or all the same. */
static double
life(const struct sim_cell *cell, struct random *random)
{
	double shape = cell->shape, low, x;

	if (shape == 0)
		return cell->life;
	low = cell->life * (shape - 1) / shape;
	x = low / pow(1 - random_unit(random), 1 / shape);
	return x < cell->life * LONGEST ? x : cell->life * LONGEST;
}

void
client_comes(struct world *w, uint32_t number)
{
	struct sim_site *site = &w->sites[number];
	double wait = -log(1 - random_unit(&site->clients)) / site->rate;
	uint32_t c;

	if (w->now >= w->end)
		return;
	queue_add(&w->queue, world_after(w, wait), EVENT_CLIENT, number, 0);
	if (site->dead)
		return;
	c = new_connection(w);
	w->connections[c] = (struct sim_connection){.home = number,
	    .site = LOAD_NONE,
	    .born = w->now,
	    .alone = life(w->cell, &site->clients),
	    .counted = w->now >= (SIM_START + SIM_WARM_UP) * CLOCK_SECOND};
	client_attempts(w, c);
}

static void
count(struct world *w, const struct sim_connection *c, bool lost)
{
	if (!c->counted)
		return;
	w->done++;
	w->lost += lost;
	w->moved += !lost && c->site != c->home;
	/* what a lost one would have taken is lost as well, or to lose the long ones would pay */
	w->spent += (double)(w->now - c->born) / CLOCK_SECOND + (lost ? c->alone : 0);
	w->alone += c->alone;
}

static void
lose(struct world *w, uint32_t number)
{
	struct sim_connection *c = &w->connections[number];

	count(w, c, true);
	forget(w, number);
}

static void
refused(struct world *w, uint32_t number)
{
	struct sim_connection *c = &w->connections[number];

	c->site = LOAD_NONE;
	if (++c->attempts > ATTEMPTS || w->sites[c->home].dead)
		lose(w, number);
	else
		queue_add(&w->queue, world_after(w, ldexp(1, c->attempts - 1)), EVENT_ATTEMPT,
		    number, 0);
}

static void
note_load(struct world *w, uint32_t site)
{
	double load = service_load(load_table_service(w->sites[site].table, 0));

	if (w->now >= (SIM_START + SIM_WARM_UP) * CLOCK_SECOND && load > w->peak)
		w->peak = load;
}

static void
schedule(struct world *w, uint32_t server)
{
	uint64_t next = server_next(&w->servers[server]);

	if (next != UINT64_MAX)
		queue_add(&w->queue, next, EVENT_SERVER, server, w->servers[server].version);
}

static void
serve(struct world *w, uint32_t number, uint32_t local_server)
{
	struct sim_connection *c = &w->connections[number];
	double far = c->site != c->home ? ROUND_TRIPS * world_rtt(w, c->home, c->site) : 0;

	load_table_server_opened(w->sites[c->site].table, local_server);
	c->server = c->site * SIM_SERVERS + local_server;
	server_start(&w->servers[c->server], number, c->alone + far, w->now);
	schedule(w, c->server);
	note_load(w, c->site);
}

static void
transfer(struct world *w, uint32_t number, uint32_t to)
{
	struct sim_connection *c = &w->connections[number];

	c->site = to;
	load_table_transferred_opened(w->sites[c->home].table, world_number(w, c->home, to), 0);
	w->sites[c->home].sent++;
	w->transfers += c->counted;
	w->to_liar += c->counted && w->sites[to].lies;
	queue_add(&w->queue, world_after(w, world_rtt(w, c->home, to) / 2), EVENT_TRANSFER,
	    number, 0);
}

void
client_attempts(struct world *w, uint32_t number)
{
	struct sim_connection *c = &w->connections[number];
	uint32_t server = LOAD_NONE, to;

	if (w->sites[c->home].dead) {
		lose(w, number);
		return;
	}
	to = rules_decide(w, c->home, &server);
	if (to == LOAD_NONE) {
		refused(w, number);
	} else if (to == c->home) {
		c->site = to;
		serve(w, number, server);
	} else {
		transfer(w, number, to);
	}
}

static void
not_answered(struct world *w, uint32_t number)
{
	queue_add(&w->queue, world_after(w, UNANSWERED), EVENT_UNANSWERED, number, 0);
	queue_add(&w->queue,
	    world_after(w, w->sites[w->connections[number].site].dead ? SITE_LOST : GIVEN_UP),
	    EVENT_GIVEN_UP, number, 0);
}

void
client_arrives(struct world *w, uint32_t number)
{
	struct sim_connection *c = &w->connections[number];
	struct sim_site *site = &w->sites[c->site];
	struct allocation_decision decision;
	struct ip client;

	ip_parse("192.0.2.1", &client);
	if (site->dead || (site->lies && w->cell->story == STORY_LIAR)) {
		not_answered(w, number);
		return;
	}
	allocation_decide_received(
	    site->allocation, 0, &client, &site->choices, w->now, &decision);
	if (decision.where == ALLOCATION_NONE ||
	    (!site->lies &&
		!load_table_may_receive(
		    site->table, world_number(w, c->site, c->home), 0, w->now))) {
		w->pushed += c->counted;
		client_unanswered(w, number);
		client_closed(w, c->home, c->site);
		refused(w, number);
		return;
	}
	site->received++;
	load_table_received_opened(site->table, world_number(w, c->site, c->home), 0, w->now);
	serve(w, number, decision.server);
}

/* The first record ends, and the second is for the same site. */
void
client_unanswered(struct world *w, uint32_t number)
{
	const struct sim_connection *c = &w->connections[number];

	load_table_transferred_answered(
	    w->sites[c->home].table, world_number(w, c->home, c->site), 0, false);
}

void
client_gives_up(struct world *w, uint32_t number)
{
	struct sim_connection *c = &w->connections[number];
	struct load_table *table = w->sites[c->home].table;
	uint32_t site = world_number(w, c->home, c->site);

	load_table_transferred_closed(table, site, 0);
	load_table_transferred_answered(table, site, 0, false);
	if (w->sites[c->site].dead)
		refused(w, number);
	else
		lose(w, number);
}

void
client_closed(struct world *w, uint32_t home, uint32_t site)
{
	struct load_table *table = w->sites[home].table;
	uint32_t number = world_number(w, home, site);

	load_table_transferred_closed(table, number, 0);
	load_table_transferred_answered(table, number, 0, true);
}

/* The site of the client hears of the end. */
static void
tell(struct world *w, const struct sim_connection *c)
{
	if (c->site == c->home)
		return;
	load_table_received_closed(w->sites[c->site].table, world_number(w, c->site, c->home), 0);
	queue_add(&w->queue, world_after(w, CLOSED_BATCHES + world_rtt(w, c->home, c->site) / 2),
	    EVENT_CLOSED, c->home, c->site);
}

void
client_served(struct world *w, uint32_t server)
{
	uint32_t number = server_end(&w->servers[server], w->now);
	struct sim_connection *c = &w->connections[number];

	load_table_server_closed(w->sites[c->site].table, server % SIM_SERVERS);
	tell(w, c);
	count(w, c, false);
	forget(w, number);
	schedule(w, server);
}

void
client_broken(struct world *w, uint32_t server)
{
	while (w->servers[server].count > 0) {
		uint32_t number = server_end(&w->servers[server], w->now);
		struct sim_connection *c = &w->connections[number];

		load_table_server_closed(w->sites[c->site].table, server % SIM_SERVERS);
		tell(w, c);
		/* it had what it had: the client connects anew for the rest */
		c->site = LOAD_NONE;
		c->attempts = 0;
		client_attempts(w, number);
	}
}
