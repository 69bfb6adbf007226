#include "load/coordinator.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

#define SILENT_INTERVALS 2.5 /* of the site's own, without a report */
#define GONE_AFTER       (600 * CLOCK_SECOND)
#define INTERVAL_DEFAULT CLOCK_SECOND
#define LOAD_STEP        10 /* converted load, out of 1000 */
#define SHARE_STEP       20 /* of connections and rates: a 20th */

/* What is known of one site. */
struct known {
	bool known; /* it has said HELLO */
	bool gone;
	bool silent;
	bool reported;
	uint64_t heard_at;
	uint64_t identity_change, state_change; /* their numbers */
	struct sites_record identity;
	struct load_report told; /* its report, as far as it has been told */
};

struct coordinator {
	struct known *sites;
	uint32_t count;
	uint64_t changes;
};

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
	}
	free(c->sites);
	free(c);
}

static struct known *
site_of(struct coordinator *c, uint32_t site)
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

void
coordinator_hello(
    struct coordinator *c, uint32_t site, const struct sites_record *identity, uint64_t now)
{
	struct known *k = site_of(c, site);

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
	k->gone = k->silent = false;
	k->heard_at = now;
	k->identity_change = k->state_change = ++c->changes;
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
	struct known *k = site_of(c, site);

	if (!k->known)
		return;
	k->heard_at = now;
	if (k->reported && !k->silent && !k->gone && !report_differs(report, &k->told))
		return;
	copy_report(&k->told, report);
	k->reported = true;
	k->silent = k->gone = false;
	k->state_change = ++c->changes;
}

void
coordinator_lost(struct coordinator *c, uint32_t site, uint64_t now)
{
	struct known *k = site_of(c, site);

	(void)now;
	if (!k->known || k->silent || k->gone)
		return;
	k->silent = true;
	k->state_change = ++c->changes;
}

void
coordinator_gone(struct coordinator *c, uint32_t site)
{
	struct known *k = site_of(c, site);

	if (!k->known || k->gone)
		return;
	k->gone = true;
	k->state_change = ++c->changes;
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

/* ---- what is told ---- */

static uint32_t
age_of(const struct known *k, uint64_t now)
{
	uint64_t age = now > k->heard_at ? (now - k->heard_at) / CLOCK_MILLISECOND : 0;

	return age < UINT32_MAX ? (uint32_t)age : UINT32_MAX;
}

static void
tell(const struct known *k, uint64_t since, struct sites_writer *w, uint64_t now)
{
	struct sites_record r = {.identity = false};

	if (k->identity_change > since && !k->gone)
		r = k->identity; /* shallow: it is only read */
	else
		memcpy(r.hello.site, k->identity.hello.site, sizeof(r.hello.site));
	r.gone = k->gone;
	r.silent = k->silent;
	r.reported = k->reported && !k->gone;
	r.report = k->told;
	r.age_ms = age_of(k, now);
	sites_add(w, &r);
}

void
coordinator_tell(const struct coordinator *c, uint64_t since, struct sites_writer *w, uint64_t now)
{
	sites_begin(w, since == 0 ? SITES_FIRST | SITES_LAST : 0);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct known *k = &c->sites[i];

		if (k->known && k->state_change > since)
			tell(k, since, w, now);
	}
	sites_end(w);
}
