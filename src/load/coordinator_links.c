/*
 * coordinator_links: who is told of whom: sites that offer the same service, all of them as long
 * as they are few, else those that circle.h draws.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/circle.h"
#include "load/coordinator_internal.h"

static uint32_t
number_of(struct coordinator *c, const struct hello_service *s)
{
	uint32_t i = 0;

	while (i < c->services_count &&
	    (c->services[i].protocol != s->protocol || strcmp(c->services[i].name, s->name) != 0))
		i++;
	if (i < c->services_count)
		return i;
	c->services = xrealloc_array(c->services, (size_t)i + 1, sizeof(c->services[0]));
	c->services[i] =
	    (struct offered){.protocol = s->protocol, .point = circle_point(s->name)};
	strcpy(c->services[i].name, s->name);
	c->services_count++;
	return i;
}

/* ---- links ---- */

/* Where the link to a site is, or would be. */
static size_t
place_of(const struct known *k, uint32_t site)
{
	size_t low = 0, high = k->links_count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (k->links[mid].site < site)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
set_link(struct known *k, uint32_t site, bool linked)
{
	size_t at = place_of(k, site);
	bool is = at < k->links_count && k->links[at].site == site;

	if (is && linked && k->links[at].over) {
		k->links[at].over = false;
		k->links[at].told = 0;
	} else if (is && !linked && k->links[at].told > 0) {
		k->links[at].over = true;
	} else if (is && !linked) {
		k->links_count--;
		memmove(&k->links[at], &k->links[at + 1],
		    (k->links_count - at) * sizeof(k->links[0]));
	} else if (!is && linked) {
		k->links = xrealloc_array(k->links, k->links_count + 1, sizeof(k->links[0]));
		memmove(&k->links[at + 1], &k->links[at],
		    (k->links_count - at) * sizeof(k->links[0]));
		k->links[at] = (struct link){.site = site};
		k->links_count++;
	}
}

static bool
offers(const struct known *k, uint32_t service)
{
	for (size_t i = 0; i < k->services_count; i++)
		if (k->services[i] == service)
			return true;
	return false;
}

static bool
should_know(const struct coordinator *c, const struct known *a, const struct known *b)
{
	for (size_t i = 0; i < a->services_count; i++) {
		const struct offered *s = &c->services[a->services[i]];

		if (circle_knows(a->point, b->point, s->point, s->level) &&
		    offers(b, a->services[i]))
			return true;
	}
	return false;
}

static bool
is_there(const struct known *k)
{
	return k->known && !k->gone;
}

/* One that is gone keeps its links until the others have been told so. */
static void
relink(struct coordinator *c, uint32_t site, uint32_t from)
{
	struct known *a = &c->sites[site];

	for (uint32_t i = from; i < c->count; i++) {
		struct known *b = &c->sites[i];
		bool linked;

		if (i == site || !is_there(b))
			continue;
		linked = should_know(c, a, b);
		set_link(a, i, linked);
		set_link(b, site, linked);
	}
}

/* ---- levels ---- */

/* So many sites more or less offer a service.  True if that changes who knows whom. */
static bool
count_offer(struct coordinator *c, uint32_t service, int more)
{
	struct offered *s = &c->services[service];
	uint32_t level;

	s->sites += (uint32_t)more;
	level = circle_level(s->level, s->sites);
	if (level == s->level)
		return false;
	s->level = level;
	return true;
}

static void
relink_all(struct coordinator *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (is_there(&c->sites[i]))
			relink(c, i, i + 1);
}

/* True if that changes who knows whom. */
static bool
forget_services(struct coordinator *c, struct known *k)
{
	bool changed = false;

	for (size_t i = 0; i < k->services_count; i++)
		changed |= count_offer(c, k->services[i], -1);
	free(k->services);
	k->services = NULL;
	k->services_count = 0;
	return changed;
}

void
coordinator_offers(struct coordinator *c, uint32_t site)
{
	struct known *k = &c->sites[site];
	const struct hello *hello = &k->identity.hello;
	bool changed = forget_services(c, k);

	k->point = circle_point(hello->site);
	k->services = xcalloc(hello->services_count + 1, sizeof(k->services[0]));
	for (size_t i = 0; i < hello->services_count; i++) {
		uint32_t service = number_of(c, &hello->services[i]);

		if (offers(k, service))
			continue;
		k->services[k->services_count++] = service;
		changed |= count_offer(c, service, 1);
	}
	if (changed)
		relink_all(c);
	else
		relink(c, site, 0);
}

void
coordinator_withdraws(struct coordinator *c, uint32_t site)
{
	if (forget_services(c, &c->sites[site]))
		relink_all(c);
}
