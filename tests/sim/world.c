/* Sites, and the clock. */
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/circle.h"
#include "load/report.h"
#include "sim.h"

#define DRAIN     120 /* seconds for what is under way at the end */
#define SPREAD    8.0 /* between the largest site and the smallest */
#define RTT_LEAST 0.005
#define RTT_MOST  0.1 /* from one corner to the next */
#define NAME_SIZE 16
#define SWING     0.05 /* of a site's capacity, a second: less is neither sender nor receiver */

double
world_rtt(const struct world *w, uint32_t a, uint32_t b)
{
	return RTT_LEAST +
	    RTT_MOST * hypot(w->sites[a].x - w->sites[b].x, w->sites[a].y - w->sites[b].y);
}

uint64_t
world_after(const struct world *w, double seconds)
{
	return w->now + (uint64_t)(seconds * CLOCK_SECOND);
}

uint32_t
world_number(const struct world *w, uint32_t a, uint32_t b)
{
	uint32_t low = 0, high = w->sites[a].peers_count, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (w->sites[a].peers[mid] < b)
			low = mid + 1;
		else
			high = mid;
	}
	return low < w->sites[a].peers_count && w->sites[a].peers[low] == b ? low : LOAD_NONE;
}

/* ---- sites ---- */

static void
name(char buf[NAME_SIZE], char kind, uint32_t number)
{
	snprintf(buf, NAME_SIZE, "%c%u", kind, number);
}

static uint64_t
point_of(uint32_t site)
{
	char buf[NAME_SIZE];

	name(buf, 's', site);
	return circle_point(buf);
}

/* Everybody, or those whom a coordinator would introduce. */
static bool
are_peers(const struct sim_cell *cell, uint32_t a, uint32_t b)
{
	return a != b &&
	    (!cell->circles ||
		circle_knows(point_of(a), point_of(b), circle_point("web"),
		    circle_level(0, cell->sites)));
}

static void
find_peers(struct world *w, uint32_t number)
{
	struct sim_site *site = &w->sites[number];

	site->peers = xcalloc(w->cell->sites, sizeof(site->peers[0]));
	for (uint32_t i = 0; i < w->cell->sites; i++)
		if (are_peers(w->cell, number, i))
			site->peers[site->peers_count++] = i;
}

static void
configure_service(struct config_service *service, const struct sim_site *site,
    struct config_server *servers, char names[][NAME_SIZE], enum sim_rule rule)
{
	static uint16_t port = 80;
	static char web[] = "web";

	for (uint32_t i = 0; i < SIM_SERVERS; i++) {
		name(names[i], 'a', i);
		servers[i] = (struct config_server){.name = names[i],
		    .weight = 1,
		    .max_connections = (uint32_t)(site->capacity / SIM_SERVERS + 0.5)};
		ip_parse("10.0.0.1", &servers[i].v4);
		servers[i].v4.octet[15] = (uint8_t)(i + 1);
	}
	*service = (struct config_service){.name = web,
	    .protocol = IPPROTO_TCP,
	    .ports = &port,
	    .ports_count = 1,
	    .scheduler = CONFIG_TWOS,
	    .prefer = rule == RULE_ANY ? CONFIG_PREFER_ANY : CONFIG_PREFER_LOCAL,
	    .transfer_permitted = true,
	    .high_load = 0.75,
	    .check.type = CONFIG_CHECK_NONE,
	    .servers = servers,
	    .servers_count = SIM_SERVERS};
	ip_parse("203.0.113.1", &service->v4);
}

static void
build_table(struct world *w, uint32_t number)
{
	struct sim_site *site = &w->sites[number];
	struct config_service service;
	struct config_server servers[SIM_SERVERS];
	char names[SIM_SERVERS][NAME_SIZE];
	char(*peer_names)[NAME_SIZE] = xcalloc(site->peers_count + 1, sizeof(*peer_names));
	struct config_peer *peers = xcalloc(site->peers_count + 1, sizeof(*peers));
	struct config config = {.services = &service,
	    .services_count = 1,
	    .peers = peers,
	    .peers_count = site->peers_count};

	configure_service(&service, site, servers, names, w->rule);
	for (uint32_t i = 0; i < site->peers_count; i++) {
		name(peer_names[i], 's', site->peers[i]);
		peers[i].site = peer_names[i];
	}
	site->table = load_table_new();
	load_table_apply(site->table, &config, 1);
	free(peers);
	free(peer_names);
	for (uint32_t i = 0; i < site->peers_count; i++) {
		load_table_site_session(site->table, i, SITE_SESSION, 1);
		load_table_site_keys(site->table, i, true, 1);
		load_table_site_set_path(site->table, i, SITE_PATH_ALIVE, 1);
	}
	site->allocation = allocation_new(site->table, w->cell->interval);
}

/* A size between the smallest and the largest, as many small as large; a place on the map. */
static void
place_site(struct world *w, uint32_t number, uint64_t seed)
{
	struct sim_site *site = &w->sites[number];
	double servers;

	random_init(&site->clients, seed * 1000003 + number);
	random_init(&site->choices, seed * 7000003 + number);
	site->world = w;
	site->x = random_unit(&w->random);
	site->y = random_unit(&w->random);
	servers = w->cell->capacity / SIM_SERVERS * pow(SPREAD, random_unit(&w->random) - 0.5);
	site->capacity = SIM_SERVERS * floor(servers + 0.5);
	site->rate = w->cell->use * site->capacity / w->cell->life;
	find_peers(w, number);
	for (uint32_t i = 0; i < SIM_SERVERS; i++) {
		w->servers[number * SIM_SERVERS + i].places = site->capacity / SIM_SERVERS;
		w->servers[number * SIM_SERVERS + i].at = w->now;
	}
}

void
world_build(struct world *w, uint64_t seed)
{
	uint32_t sites = w->cell->sites;

	random_init(&w->random, seed);
	w->now = SIM_START * CLOCK_SECOND;
	w->end = world_after(w, SIM_WARM_UP + w->cell->seconds);
	w->free_connection = w->free_message = LOAD_NONE;
	w->sites = xcalloc(sites, sizeof(w->sites[0]));
	w->servers = xcalloc((size_t)sites * SIM_SERVERS, sizeof(w->servers[0]));
	for (uint32_t i = 0; i < sites; i++)
		place_site(w, i, seed);
	for (uint32_t i = 0; i < sites; i++)
		build_table(w, i);
	for (uint32_t i = 0; i < sites; i++)
		message_hello(w, i);
	story_begin(w);
	for (uint32_t i = 0; i < sites; i++) {
		message_listen(w, i);
		message_at(w, i, world_after(w, random_unit(&w->random) * w->cell->interval));
		queue_add(&w->queue, w->now, EVENT_CLIENT, i, 0);
	}
	queue_add(&w->queue, world_after(w, SIM_WARM_UP), EVENT_SAMPLE, 0, 0);
}

void
world_free(struct world *w)
{
	struct sim_event event;

	while (queue_take(&w->queue, &event))
		if (event.kind == EVENT_DELIVERED)
			load_report_fini(&w->messages[event.a].report);
	for (uint32_t i = 0; i < w->cell->sites; i++) {
		allocation_free(w->sites[i].allocation);
		load_table_free(w->sites[i].table);
		free(w->sites[i].peers);
		for (uint32_t k = 0; k < SIM_SERVERS; k++)
			free(w->servers[i * SIM_SERVERS + k].heap);
	}
	queue_fini(&w->queue);
	free(w->sites);
	free(w->servers);
	free(w->connections);
	free(w->messages);
}

/* ---- the clock ---- */

/* Each second: is a site one that sends connections away, or one that gets some? */
static void
sample(struct world *w)
{
	for (uint32_t i = 0; i < w->cell->sites; i++) {
		struct sim_site *site = &w->sites[i];
		double net = (double)site->sent - (double)site->received;
		double least = SWING * site->capacity / w->cell->life;
		int direction = net > least ? 1 : net < -least ? -1 : 0;

		if (direction != 0) {
			site->reversals += site->direction == -direction;
			site->direction = direction;
		}
		site->sent = site->received = 0;
	}
	if (w->now < w->end)
		queue_add(&w->queue, world_after(w, 1), EVENT_SAMPLE, 0, 0);
}

static void
dispatch(struct world *w, const struct sim_event *e)
{
	switch (e->kind) {
	case EVENT_CLIENT:
		client_comes(w, e->a);
		break;
	case EVENT_ATTEMPT:
		client_attempts(w, e->a);
		break;
	case EVENT_TRANSFER:
		client_arrives(w, e->a);
		break;
	case EVENT_CLOSED:
		client_closed(w, e->a, e->b);
		break;
	case EVENT_SERVER:
		if (w->servers[e->a].version == e->b)
			client_served(w, e->a);
		break;
	case EVENT_REPORT:
		message_send(w, e->a);
		break;
	case EVENT_DELIVERED:
		message_deliver(w, e->a);
		break;
	case EVENT_UNANSWERED:
		client_unanswered(w, e->a);
		break;
	case EVENT_GIVEN_UP:
		client_gives_up(w, e->a);
		break;
	case EVENT_SAMPLE:
		sample(w);
		break;
	case EVENT_TURN:
	default:
		story_turn(w, e->a);
		break;
	}
}

static double
share(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

static void
summarise(const struct world *w, struct sim_result *result)
{
	*result = (struct sim_result){.slowdown = w->alone > 0 ? w->spent / w->alone : 0,
	    .moved = share(w->moved, w->done),
	    .peak = w->peak,
	    .pushed = share(w->pushed, w->transfers),
	    .lost = share(w->lost, w->done),
	    .to_liar = share(w->to_liar, w->transfers),
	    .connections = w->done};
	for (uint32_t i = 0; i < w->cell->sites; i++)
		if (w->sites[i].reversals > result->reversals)
			result->reversals = w->sites[i].reversals;
}

/* Nobody comes any more, and all that did are served, or have had time enough. */
static bool
is_over(const struct world *w)
{
	return w->now > w->end && (w->live == 0 || w->now > w->end + DRAIN * CLOCK_SECOND);
}

void
sim_run(const struct sim_cell *cell, enum sim_rule rule, uint64_t seed, struct sim_result *result)
{
	struct world w = {.cell = cell, .rule = rule};
	struct sim_event event;

	world_build(&w, seed);
	while (!is_over(&w) && queue_take(&w.queue, &event)) {
		w.now = event.at;
		dispatch(&w, &event);
	}
	summarise(&w, result);
	world_free(&w);
}
