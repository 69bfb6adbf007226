/* What the sites tell each other, by the code that tells it, late or not at all. */
#include "load/report.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "sim.h"

#define AT_MOST_EVERY (CLOCK_SECOND / 10) /* reports of changes */

void
message_hello(struct world *w, uint32_t from)
{
	struct sim_site *site = &w->sites[from];
	struct hello hello = {.interval_ms = (uint32_t)(w->cell->interval * 1000)};

	report_hello(site->table, &hello);
	for (uint32_t i = 0; i < site->peers_count; i++) {
		struct load_table *table = w->sites[site->peers[i]].table;
		uint32_t number = world_number(w, site->peers[i], from);

		report_enter_hello(table, number, &hello);
		load_table_site(table, number)->path_rtt = world_rtt(w, from, site->peers[i]);
	}
	hello_fini(&hello);
}

static uint32_t
new_message(struct world *w)
{
	uint32_t number = w->free_message;

	if (number != LOAD_NONE) {
		w->free_message = w->messages[number].next_free;
		return number;
	}
	if (w->messages_count == w->messages_size) {
		w->messages_size = w->messages_size == 0 ? 1024 : w->messages_size * 2;
		w->messages =
		    xrealloc_array(w->messages, w->messages_size, sizeof(w->messages[0]));
	}
	return w->messages_count++;
}

/* All the room of the world, no load, every rate; and it has never heard of our connections. */
static void
lie(struct load_report *report)
{
	for (size_t i = 0; i < report->services_count; i++) {
		struct load_report_service *s = &report->services[i];

		s->servers_up = s->servers_not_high = 1000000;
		s->transferable = 1000000000;
		s->permitted = true;
		s->load = 0;
		s->active = 0;
		s->held_from_you = 1000000000;
		s->limited = true;
		s->quota = UINT32_MAX;
		s->new_per_second = UINT32_MAX;
		s->mean_life = 1;
	}
}

void
message_send(struct world *w, uint32_t from)
{
	struct sim_site *site = &w->sites[from];

	/* an earlier one has taken its place */
	if (site->report_at != w->now)
		return;
	site->reported_at = w->now;
	message_at(w, from, world_after(w, w->cell->interval));
	if (site->dead)
		return;
	load_table_measure(site->table, w->now);
	for (uint32_t i = 0; i < site->peers_count; i++) {
		uint32_t to = site->peers[i], number;

		if (random_unit(&w->random) < w->cell->loss)
			continue;
		number = new_message(w);
		w->messages[number] = (struct sim_message){.from = from, .to = to};
		report_load(site->table, i, &w->messages[number].report);
		if (w->cell->unlimited)
			w->messages[number].report.services[0].limited = false;
		if (site->lies)
			lie(&w->messages[number].report);
		queue_add(&w->queue, world_after(w, world_rtt(w, from, to) / 2),
		    EVENT_DELIVERED, number, 0);
	}
}

void
message_deliver(struct world *w, uint32_t number)
{
	struct sim_message *m = &w->messages[number];

	if (!w->sites[m->to].dead)
		report_enter_load(
		    w->sites[m->to].table, world_number(w, m->to, m->from), &m->report, w->now);
	load_report_fini(&m->report);
	m->next_free = w->free_message;
	w->free_message = number;
}

void
message_at(struct world *w, uint32_t number, uint64_t at)
{
	struct sim_site *site = &w->sites[number];

	if (site->report_at > w->now && site->report_at <= at)
		return;
	site->report_at = at;
	queue_add(&w->queue, at, EVENT_REPORT, number, 0);
}

/*
 * Servers that come and go are reported at once.  That one becomes highly loaded is as well in
 * truth; here everybody has to do with older reports.
 */
static void
on_change(void *arg, enum load_change change, uint32_t number)
{
	struct sim_site *site = arg;
	struct world *w = site->world;
	uint64_t at = site->reported_at + AT_MOST_EVERY;

	(void)number;
	if (change == LOAD_CHANGE_SERVER)
		message_at(w, (uint32_t)(site - w->sites), at > w->now ? at : w->now);
}

void
message_listen(struct world *w, uint32_t site)
{
	load_table_set_listener(w->sites[site].table, on_change, &w->sites[site]);
}
