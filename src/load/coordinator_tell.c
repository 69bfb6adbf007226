/*
 * coordinator_tell: what each site is told when.
 *
 * What all sites together are sent is bounded, whatever changes: each has its part of BUDGET.  What
 * cannot wait (sites, servers, permission that come or go) is told first, and may use what the
 * site is to get in the next second; of loads first those that were told the longest ago.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/coordinator_internal.h"

#define BUDGET   875000.0 /* octets a second to all sites, with what TLS, TCP and IP add */
#define HEADERS  110.0    /* that is what they add to a message, with its acknowledgement */
#define WORTH    512.0 /* octets; until there is room for them no message of loads alone begins */
#define NEWCOMER 16384.0 /* what a session may begin with */

void
coordinator_listens(struct coordinator *c, uint32_t site, bool listens)
{
	struct known *k = coordinator_site(c, site);

	if (listens && k->room_at == 0)
		c->listeners++;
	if (!listens && k->room_at != 0)
		c->listeners--;
	k->begun = false;
	k->room = NEWCOMER;
	k->room_at = listens ? 1 : 0;
	for (size_t i = 0; i < k->links_count; i++)
		k->links[i].told = 0;
}

/* What each may be sent in a second. */
static double
part_of(const struct coordinator *c)
{
	return BUDGET / (c->listeners > 0 ? c->listeners : 1);
}

static void
make_room(const struct coordinator *c, struct known *k, uint64_t now)
{
	double part = part_of(c), most = part > WORTH ? part : WORTH;

	if (k->room_at > 1 && now > k->room_at)
		k->room += part * (double)(now - k->room_at) / CLOCK_SECOND;
	/* what a newcomer does not need is not kept */
	if (k->begun && k->room > most)
		k->room = most;
	k->room_at = now;
}

/* ---- what waits ---- */

enum need { NEED_NOTHING, NEED_LOAD, NEED_URGENT };

static enum need
need_of(const struct coordinator *c, const struct link *link)
{
	const struct known *k = &c->sites[link->site];

	if (link->over || (link->told > 0 && link->told < k->urgent_change))
		return NEED_URGENT;
	return link->told < k->state_change ? NEED_LOAD : NEED_NOTHING;
}

struct waiting {
	enum need need;
	struct link *link;
};

/* Urgent ones first, then those that were told the longest ago. */
static int
by_need(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	if (x->need != y->need)
		return x->need > y->need ? -1 : 1;
	if (x->link->told != y->link->told)
		return x->link->told < y->link->told ? -1 : 1;
	return x->link->site < y->link->site ? -1 : 1;
}

static size_t
gather(const struct coordinator *c, struct known *k, struct waiting *list)
{
	size_t count = 0;

	for (size_t i = 0; i < k->links_count; i++) {
		enum need need = need_of(c, &k->links[i]);

		if (need != NEED_NOTHING)
			list[count++] = (struct waiting){need, &k->links[i]};
	}
	qsort(list, count, sizeof(list[0]), by_need);
	return count;
}

/* ---- what is told ---- */

static uint32_t
age_of(const struct known *k, uint64_t now)
{
	uint64_t age = now > k->heard_at ? (now - k->heard_at) / CLOCK_MILLISECOND : 0;

	return age < UINT32_MAX ? (uint32_t)age : UINT32_MAX;
}

static void
tell(const struct known *k, struct link *link, struct sites_writer *w, uint64_t now)
{
	struct sites_record r = {.identity = false};
	bool gone = k->gone || link->over;

	if (k->identity_change > link->told && !gone)
		r = k->identity; /* shallow: it is only read */
	else
		memcpy(r.hello.site, k->identity.hello.site, sizeof(r.hello.site));
	r.gone = gone;
	r.silent = k->silent;
	r.reported = k->reported && !gone;
	r.report = k->told;
	r.age_ms = age_of(k, now);
	sites_add(w, &r);
	link->over = gone;
	link->told = gone ? 0 : k->state_change;
}

/* Of who is gone it has been told. */
static void
remove_over(struct known *k)
{
	size_t kept = 0;

	for (size_t i = 0; i < k->links_count; i++)
		if (!k->links[i].over || k->links[i].told != 0)
			k->links[kept++] = k->links[i];
	k->links_count = kept;
}

/* Tells as much as there is room for.  Returns how many. */
static size_t
tell_waiting(struct coordinator *c, struct known *k, struct waiting *list, size_t count,
    struct sites_writer *w, uint64_t now)
{
	double debts = -part_of(c), room = k->room - HEADERS;
	size_t told = 0;

	sites_begin(w, k->begun ? 0 : SITES_FIRST);
	while (told < count &&
	    room - (double)w->b.len > (list[told].need == NEED_URGENT ? debts : 0)) {
		tell(&c->sites[list[told].link->site], list[told].link, w, now);
		told++;
	}
	sites_end(w);
	k->room = room - (double)w->b.len;
	k->begun = true;
	remove_over(k);
	return told;
}

bool
coordinator_tell(struct coordinator *c, uint32_t site, bool anyway, struct sites_writer *w,
    bool *waits, uint64_t now)
{
	struct known *k = coordinator_site(c, site);
	struct waiting *list;
	size_t count;
	bool worth;

	*waits = false;
	if (!k->known || k->room_at == 0)
		return false;
	make_room(c, k, now);
	list = xcalloc(k->links_count + 1, sizeof(list[0]));
	count = gather(c, k, list);
	worth =
	    count > 0 && k->room > (list[0].need == NEED_URGENT ? HEADERS - part_of(c) : WORTH);
	if (anyway || worth)
		count -= tell_waiting(c, k, list, count, w, now);
	*waits = count > 0;
	free(list);
	return anyway || worth;
}
