#include "load/introduced.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/report.h"

_Static_assert(CONFIG_COORDINATORS_MAX <= 16, "a bit for each coordinator");

/*
 * A coordinator that has just started knows nobody yet.  What it told before is not vouched for
 * meanwhile, but only given up when everybody has had time to come back to it.
 */
#define SWEEP_DELAY (60 * CLOCK_SECOND)

/* What coordinators say of one site; a bit for each of them. */
struct entry {
	uint16_t listed, stale, silent;
	uint64_t report_at; /* when the report that counts was made; 0: there is none */
};

struct introduced {
	struct load_table *table;
	char *own;
	const struct introduced_handlers *handlers;
	void *arg;
	uint32_t coordinators[CONFIG_COORDINATORS_MAX]; /* LOAD_NONE: a free bit */
	uint64_t sweep_at[CONFIG_COORDINATORS_MAX];     /* 0: nothing is stale */
	struct entry *entries;                          /* by number of the site */
	uint32_t count;
};

struct introduced *
introduced_new(struct load_table *table, const char *own,
    const struct introduced_handlers *handlers, void *arg)
{
	struct introduced *in = xcalloc(1, sizeof(*in));

	in->table = table;
	in->own = xstrdup(own);
	in->handlers = handlers;
	in->arg = arg;
	for (size_t i = 0; i < CONFIG_COORDINATORS_MAX; i++)
		in->coordinators[i] = LOAD_NONE;
	return in;
}

void
introduced_free(struct introduced *in)
{
	if (in == NULL)
		return;
	free(in->entries);
	free(in->own);
	free(in);
}

static struct entry *
entry_of(struct introduced *in, uint32_t site)
{
	if (site >= in->count) {
		in->entries =
		    xrealloc_array(in->entries, (size_t)site + 1, sizeof(in->entries[0]));
		memset(in->entries + in->count, 0,
		    (site + 1 - in->count) * sizeof(in->entries[0]));
		in->count = site + 1;
	}
	return &in->entries[site];
}

static unsigned
place_of(uint16_t bit)
{
	unsigned place = 0;

	while ((bit >>= 1) != 0)
		place++;
	return place;
}

/* The bit of a coordinator, 0 if there are none left. */
static uint16_t
bit_of(struct introduced *in, uint32_t coordinator)
{
	int free_bit = -1;

	for (int i = 0; i < CONFIG_COORDINATORS_MAX; i++) {
		if (in->coordinators[i] == coordinator)
			return (uint16_t)(1 << i);
		if (in->coordinators[i] == LOAD_NONE && free_bit == -1)
			free_bit = i;
	}
	if (free_bit == -1)
		return 0;
	in->coordinators[free_bit] = coordinator;
	return (uint16_t)(1 << free_bit);
}

/* A coordinator does not know the site any more. */
static void
unlist(struct introduced *in, uint32_t site, uint16_t bit)
{
	struct entry *e = entry_of(in, site);

	if ((e->listed & bit) == 0)
		return;
	e->listed &= (uint16_t)~bit;
	e->stale &= (uint16_t)~bit;
	e->silent &= (uint16_t)~bit;
	if (e->listed != 0)
		return;
	*e = (struct entry){0};
	load_table_site_unreport(in->table, site);
	in->handlers->left(in->arg, site);
}

/* ---- a record ---- */

/* Where it is and what it offers; in a session it says so itself. */
static void
enter_identity(
    struct introduced *in, uint32_t number, const struct sites_record *record, double interval)
{
	struct site *site = load_table_site(in->table, number);

	site->introduced = true;
	in->handlers->entered(in->arg, number, record);
	if (site->session == SITE_SESSION)
		return;
	report_enter_hello(in->table, number, &record->hello);
	if (site->interval < interval)
		site->interval = interval;
}

static void
enter_report(
    struct introduced *in, uint32_t number, const struct sites_record *record, uint64_t now)
{
	struct entry *e = entry_of(in, number);
	uint64_t age = record->age_ms * CLOCK_MILLISECOND;
	uint64_t at = now > age ? now - age : 1;

	if (at < e->report_at)
		return;
	e->report_at = at;
	report_enter_services(in->table, number, &record->report, at);
}

/* The number of the site if a coordinator may speak of it, else LOAD_NONE. */
static uint32_t
find(struct introduced *in, const struct sites_record *record)
{
	uint32_t number = load_table_find_site(in->table, record->hello.site);
	bool known = number != LOAD_NONE && load_table_site(in->table, number)->entered;

	if (strcmp(record->hello.site, in->own) == 0 || (number != LOAD_NONE && !known))
		return LOAD_NONE;
	if (!known && record->identity && !record->gone)
		number = load_table_site_enter(in->table, record->hello.site);
	return number < UINT16_MAX ? number : LOAD_NONE;
}

static void
take_record(struct introduced *in, uint16_t bit, double interval,
    const struct sites_record *record, uint64_t now)
{
	uint32_t number = find(in, record);
	struct entry *e;

	if (number == LOAD_NONE || record->distance != 0)
		return;
	if (record->gone) {
		unlist(in, number, bit);
		return;
	}
	e = entry_of(in, number);
	if (!record->identity && (e->listed & bit) == 0)
		return;
	e->listed |= bit;
	e->stale &= (uint16_t)~bit;
	e->silent = (uint16_t)(record->silent ? e->silent | bit : e->silent & ~bit);
	if (record->identity)
		enter_identity(in, number, record, interval);
	if (record->reported)
		enter_report(in, number, record, now);
}

/* ---- a message ---- */

static void
mark_stale(struct introduced *in, uint16_t bit)
{
	for (uint32_t i = 0; i < in->count; i++)
		in->entries[i].stale |= in->entries[i].listed & bit;
}

static void
sweep(struct introduced *in, uint16_t bit, uint64_t now)
{
	uint64_t *at = &in->sweep_at[place_of(bit)];

	if (*at == 0 || now < *at)
		return;
	*at = 0;
	for (uint32_t i = 0; i < in->count; i++)
		if ((in->entries[i].stale & bit) != 0)
			unlist(in, i, bit);
}

static void
vouch(struct introduced *in, uint16_t bit, uint64_t now)
{
	for (uint32_t i = 0; i < in->count; i++) {
		const struct entry *e = &in->entries[i];

		if ((e->listed & bit) != 0 && (e->silent & bit) == 0 && (e->stale & bit) == 0 &&
		    e->report_at != 0)
			load_table_site_vouch(in->table, i, now);
	}
}

void
introduced_take(struct introduced *in, uint32_t coordinator, double interval,
    const struct sites *sites, uint64_t now)
{
	uint16_t bit = bit_of(in, coordinator);

	if (bit == 0)
		return;
	if ((sites->flags & SITES_FIRST) != 0) {
		mark_stale(in, bit);
		in->sweep_at[place_of(bit)] = now + SWEEP_DELAY;
	}
	for (size_t i = 0; i < sites->count; i++)
		take_record(in, bit, interval, &sites->records[i], now);
	sweep(in, bit, now);
	vouch(in, bit, now);
}

void
introduced_dismiss(struct introduced *in, uint32_t coordinator)
{
	uint16_t bit = bit_of(in, coordinator);

	if (bit == 0)
		return;
	for (uint32_t i = 0; i < in->count; i++)
		unlist(in, i, bit);
	in->coordinators[place_of(bit)] = LOAD_NONE;
	in->sweep_at[place_of(bit)] = 0;
}
