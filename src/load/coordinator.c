#include "load/coordinator_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

#define SILENT_INTERVALS 2.5 /* of the site's own, without a report */
#define GONE_AFTER       (600 * CLOCK_SECOND)
#define INTERVAL_DEFAULT CLOCK_SECOND
#define LOAD_STEP        10 /* converted load, out of 1000 */
#define SHARE_STEP       20 /* of connections and rates: a 20th */

struct coordinator *
coordinator_new(void)
{
	return xcalloc(1, sizeof(struct coordinator));
}

void
coordinator_free(struct coordinator *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->count; i++) {
		sites_record_fini(&c->sites[i].identity);
		load_report_fini(&c->sites[i].told);
		free(c->sites[i].services);
		free(c->sites[i].links);
	}
	free(c->services);
	free(c->sites);
	free(c);
}

struct known *
coordinator_site(struct coordinator *c, uint32_t site)
{
	if (site >= c->count) {
		c->sites = xrealloc_array(c->sites, (size_t)site + 1, sizeof(c->sites[0]));
		memset(c->sites + c->count, 0, (site + 1 - c->count) * sizeof(c->sites[0]));
		c->count = site + 1;
	}
	return &c->sites[site];
}

/* A new session of a site that is as it was is no news. */
static bool
same_identity(const struct sites_record *a, const struct sites_record *b)
{
	struct sites_writer v, w;
	bool same;

	sites_begin(&v, 0);
	sites_add(&v, a);
	sites_end(&v);
	sites_begin(&w, 0);
	sites_add(&w, b);
	sites_end(&w);
	same = v.b.len == w.b.len && memcmp(v.b.data, w.b.data, v.b.len) == 0;
	codec_buffer_fini(&v.b);
	codec_buffer_fini(&w.b);
	return same;
}

/* It is there, and what it is has to be told. */
static void
returns(struct coordinator *c, uint32_t site)
{
	struct known *k = &c->sites[site];

	k->gone = k->silent = false;
	k->identity_change = k->urgent_change = k->state_change = ++c->changes;
	coordinator_offers(c, site);
}

void
coordinator_hello(
    struct coordinator *c, uint32_t site, const struct sites_record *identity, uint64_t now)
{
	struct known *k = coordinator_site(c, site);

	if (k->known && !k->gone && same_identity(&k->identity, identity)) {
		k->heard_at = now;
		return;
	}
	sites_record_fini(&k->identity);
	load_report_fini(&k->told);
	k->identity = *identity;
	hello_copy(&k->identity.hello, &identity->hello);
	k->identity.report = (struct load_report){0};
	k->identity.identity = true;
	k->identity.reported = k->reported = false;
	k->known = true;
	k->heard_at = now;
	returns(c, site);
}

/* ---- is a report news? ---- */

static bool
differs(uint32_t a, uint32_t b, uint32_t whole)
{
	uint32_t difference = a > b ? a - b : b - a;

	return difference > 0 && (uint64_t)difference * SHARE_STEP >= whole;
}

static bool
service_differs(const struct load_report_service *a, const struct load_report_service *b)
{
	uint32_t room = b->transferable > b->active ? b->transferable : b->active;

	return a->number != b->number || a->servers_up != b->servers_up ||
	    a->servers_not_high != b->servers_not_high || a->permitted != b->permitted ||
	    (a->load > b->load ? a->load - b->load : b->load - a->load) >= LOAD_STEP ||
	    differs(a->transferable, b->transferable, room) ||
	    differs(a->active, b->active, room) ||
	    differs(a->new_per_second, b->new_per_second, b->new_per_second) ||
	    differs(a->mean_life, b->mean_life, b->mean_life);
}

static bool
report_differs(const struct load_report *a, const struct load_report *b)
{
	if (a->services_count != b->services_count)
		return true;
	for (size_t i = 0; i < a->services_count; i++)
		if (service_differs(&a->services[i], &b->services[i]))
			return true;
	return false;
}

/* New connections go there, or do no more. */
static bool
cannot_wait(const struct load_report *a, const struct load_report *b)
{
	if (a->services_count != b->services_count)
		return true;
	for (size_t i = 0; i < a->services_count; i++)
		if (a->services[i].permitted != b->services[i].permitted ||
		    (a->services[i].servers_up == 0) != (b->services[i].servers_up == 0))
			return true;
	return false;
}

/* The services of a report; what concerns the coordinator alone stays here. */
static void
copy_report(struct load_report *to, const struct load_report *from)
{
	load_report_fini(to);
	to->sequence = from->sequence;
	to->services = xcalloc(from->services_count + 1, sizeof(to->services[0]));
	for (size_t i = 0; i < from->services_count; i++) {
		struct load_report_service *s = &to->services[to->services_count];

		if (from->services[i].between)
			continue;
		*s = from->services[i];
		s->limited = false;
		s->quota = s->held_from_you = 0;
		to->services_count++;
	}
}

void
coordinator_load(
    struct coordinator *c, uint32_t site, const struct load_report *report, uint64_t now)
{
	struct known *k = coordinator_site(c, site);

	if (!k->known)
		return;
	k->heard_at = now;
	if (k->gone)
		returns(c, site);
	if (k->reported && !k->silent && !report_differs(report, &k->told))
		return;
	k->state_change = ++c->changes;
	if (!k->reported || k->silent || cannot_wait(report, &k->told))
		k->urgent_change = k->state_change;
	copy_report(&k->told, report);
	k->reported = true;
	k->silent = false;
}

void
coordinator_lost(struct coordinator *c, uint32_t site, uint64_t now)
{
	struct known *k = coordinator_site(c, site);

	(void)now;
	if (!k->known || k->silent || k->gone)
		return;
	k->silent = true;
	k->urgent_change = k->state_change = ++c->changes;
}

void
coordinator_gone(struct coordinator *c, uint32_t site)
{
	struct known *k = coordinator_site(c, site);

	if (!k->known || k->gone)
		return;
	k->gone = true;
	k->urgent_change = k->state_change = ++c->changes;
	coordinator_withdraws(c, site);
}

static uint64_t
patience(const struct known *k)
{
	uint64_t interval = k->identity.hello.interval_ms * CLOCK_MILLISECOND;

	if (interval == 0)
		interval = INTERVAL_DEFAULT;
	return (uint64_t)((double)interval * SILENT_INTERVALS);
}

bool
coordinator_tick(struct coordinator *c, uint64_t now)
{
	uint64_t before = c->changes;

	for (uint32_t i = 0; i < c->count; i++) {
		const struct known *k = &c->sites[i];

		if (k->known && now - k->heard_at > patience(k))
			coordinator_lost(c, i, now);
		if (k->known && now - k->heard_at > GONE_AFTER)
			coordinator_gone(c, i);
	}
	return c->changes != before;
}

uint64_t
coordinator_changes(const struct coordinator *c)
{
	return c->changes;
}
