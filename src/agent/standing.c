#include "agent/standing.h"

#include <math.h>
#include <stdio.h>

#include "allocation/sitechoice.h"

/* Whoever reads it holds a signed number of 32 bits. */
#define MAXCONN_MAX INT32_MAX

/* What is free as a percentage: 1 at least, as 0 is the weight of who takes nothing. */
static uint32_t
free_percent(double load)
{
	double percent = load < 1 ? floor(100 * (1 - load) + 0.5) : 0;

	return percent < 1 ? 1 : percent > 100 ? 100 : (uint32_t)percent;
}

static struct words
up(uint32_t percent, const char *description)
{
	struct words words = {
	    .operation = WORDS_UP, .admin = WORDS_READY, .kind = WORDS_PERCENT, .weight = percent};

	snprintf(words.description, sizeof(words.description), "%s", description);
	return words;
}

/* Servers that are held back, and servers that are out of service. */
static void
count_idle(struct load_table *table, const struct service *s, size_t *held, size_t *out)
{
	*held = *out = 0;
	for (size_t i = 0; i < s->servers_count; i++) {
		const struct server *server = load_table_server(table, s->servers[i]);
		bool disabled = server->admin == SERVER_DISABLED || server->agent_maint;

		if (disabled)
			++*out;
		else if (server_is_up(server))
			++*held;
	}
}

/* The least load of another site that takes connections of the service; 1 if there is none. */
static double
elsewhere(struct load_table *table, uint32_t service)
{
	double least = 1;

	for (uint32_t i = 0; i < load_table_sites(table); i++) {
		const struct site *site = load_table_site(table, i);
		const struct site_service *s;
		uint32_t number;

		if (!site->present || sitechoice_site_reason(site) != SITECHOICE_candidate)
			continue;
		number = load_table_site_service(table, i, service);
		if (number == LOAD_NONE)
			continue;
		s = &site->services[number];
		if (s->reported && s->permitted && s->servers_up > 0 && s->load / 1000.0 < least)
			least = s->load / 1000.0;
	}
	return least;
}

struct words
standing_of(struct load_table *table, uint32_t number)
{
	const struct service *s = load_table_service(table, number);
	struct words words = {.operation = WORDS_UP, .admin = WORDS_DRAIN};
	size_t held, out;
	double load;

	if (s->up > 0) {
		words = up(free_percent(service_load(s)), "");
		words.limited = true;
		words.max_connections =
		    s->capacity < MAXCONN_MAX ? (uint32_t)s->capacity : MAXCONN_MAX;
		return words;
	}
	count_idle(table, s, &held, &out);
	if (held > 0)
		return words;
	if (out > 0 && out == s->servers_count)
		return (struct words){.admin = WORDS_MAINT};
	load = elsewhere(table, number);
	if (load < 1)
		return up(s->prefer == CONFIG_PREFER_REMOTE ? free_percent(load) : 1,
		    "other sites serve");
	words = (struct words){.operation = WORDS_DOWN};
	snprintf(words.description, sizeof(words.description), "no server up");
	return words;
}
