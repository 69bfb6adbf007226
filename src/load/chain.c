#include "load/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/siphash.h"
#include "base/xalloc.h"
#include "load/endpoints.h"
#include "load/report.h"

/* A site behind a peer. */
struct behind {
	struct hello hello;
	unsigned distance; /* transfers from the peer to it */
	bool stale;        /* of an earlier session, and not told again yet */
};

/* What a peer has been told of a site. */
struct told {
	char name[CODEC_NAME_MAX + 1];
	uint64_t digest;
	bool again; /* there is still something to tell */
};

struct neighbour {
	bool known; /* hello is valid */
	struct hello hello;
	struct behind *behind;
	size_t behind_count;
	struct told *told;
	size_t told_count;
	bool told_ever;
	bool dirty; /* more has been told than is in the load table */
};

struct chain {
	struct load_table *table;
	char *site;
	struct siphash_key key;       /* of digests */
	struct neighbour *neighbours; /* by number of the site */
	uint32_t count;
};

struct chain *
chain_new(struct load_table *table, const char *site)
{
	struct chain *chain = xcalloc(1, sizeof(*chain));

	chain->table = table;
	chain->site = xstrdup(site);
	random_system(&chain->key, sizeof(chain->key));
	return chain;
}

static void
forget_behind(struct neighbour *n)
{
	for (size_t i = 0; i < n->behind_count; i++)
		hello_fini(&n->behind[i].hello);
	free(n->behind);
	n->behind = NULL;
	n->behind_count = 0;
}

static void
neighbour_fini(struct neighbour *n)
{
	forget_behind(n);
	hello_fini(&n->hello);
	free(n->told);
	*n = (struct neighbour){0};
}

void
chain_free(struct chain *chain)
{
	if (chain == NULL)
		return;
	for (uint32_t i = 0; i < chain->count; i++)
		neighbour_fini(&chain->neighbours[i]);
	free(chain->neighbours);
	free(chain->site);
	free(chain);
}

static struct neighbour *
neighbour_of(struct chain *chain, uint32_t peer)
{
	if (peer >= chain->count) {
		chain->neighbours = xrealloc_array(
		    chain->neighbours, (size_t)peer + 1, sizeof(chain->neighbours[0]));
		memset(chain->neighbours + chain->count, 0,
		    (peer + 1 - chain->count) * sizeof(chain->neighbours[0]));
		chain->count = peer + 1;
	}
	return &chain->neighbours[peer];
}

/* ---- into the load table ---- */

static size_t
count_addresses(const struct hello *hello)
{
	size_t count = 0;

	for (size_t i = 0; i < hello->services_count; i++)
		count += 2 * hello->services[i].ports_count;
	return count;
}

static void
pass_address(struct endpoints *passes, const struct hello_service *s, const struct ip *ip,
    uint32_t value)
{
	struct addr addr = {*ip, 0};

	for (size_t i = 0; i < s->ports_count && !ip_is_zero(ip); i++) {
		addr.port = s->ports[i];
		endpoints_add(passes, &addr, s->protocol, value);
	}
}

/* The addresses of its services that are called as ours. */
static void
pass_services(struct chain *chain, struct endpoints *passes, const struct hello *hello)
{
	uint32_t owner = load_table_find_site(chain->table, hello->site);

	for (size_t i = 0; i < hello->services_count; i++) {
		const struct hello_service *s = &hello->services[i];
		uint32_t own = load_table_find_service(chain->table, s->name);
		uint32_t value;

		if (own > UINT16_MAX ||
		    load_table_service(chain->table, own)->protocol != s->protocol)
			continue;
		value = site_passes(
		    (uint16_t)own, owner < UINT16_MAX ? (uint16_t)owner : UINT16_MAX);
		pass_address(passes, s, &s->v4, value);
		pass_address(passes, s, &s->v6, value);
	}
}

/* What the load table says of a peer on behalf of the sites behind it. */
static void
enter(struct chain *chain, uint32_t peer)
{
	struct neighbour *n = neighbour_of(chain, peer);
	const struct hello **all = xcalloc(n->behind_count + 1, sizeof(*all));
	struct endpoints *passes;
	size_t count = 0;

	all[0] = &n->hello;
	for (size_t i = 0; i < n->behind_count; i++) {
		all[i + 1] = &n->behind[i].hello;
		count += count_addresses(all[i + 1]);
	}
	passes = endpoints_new(count < CHAIN_ENDPOINTS_MAX ? count : CHAIN_ENDPOINTS_MAX);
	for (size_t i = 0; i < n->behind_count; i++)
		pass_services(chain, passes, all[i + 1]);
	load_table_site_passes(chain->table, peer, passes);
	n->dirty = false;
	report_enter_servers(chain->table, peer, all, n->behind_count + 1, CHAIN_ENDPOINTS_MAX);
	free(all);
}

/* ---- what peers say ---- */

void
chain_hello(struct chain *chain, uint32_t peer, const struct hello *hello)
{
	struct neighbour *n = neighbour_of(chain, peer);

	hello_fini(&n->hello);
	hello_copy(&n->hello, hello);
	n->known = true;
	enter(chain, peer);
}

static struct behind *
find_behind(struct neighbour *n, const char *name)
{
	for (size_t i = 0; i < n->behind_count; i++)
		if (strcmp(n->behind[i].hello.site, name) == 0)
			return &n->behind[i];
	return NULL;
}

static void
remove_behind(struct neighbour *n, struct behind *b)
{
	hello_fini(&b->hello);
	*b = n->behind[--n->behind_count];
}

static struct behind *
add_behind(struct neighbour *n)
{
	if (n->behind_count == CHAIN_BEHIND_MAX)
		return NULL;
	n->behind = xrealloc_array(n->behind, n->behind_count + 1, sizeof(n->behind[0]));
	n->behind[n->behind_count] = (struct behind){0};
	return &n->behind[n->behind_count++];
}

static void
take_record(struct chain *chain, struct neighbour *n, const struct sites_record *record)
{
	struct behind *b = find_behind(n, record->hello.site);

	if (strcmp(record->hello.site, chain->site) == 0)
		return;
	if (record->gone) {
		if (b != NULL)
			remove_behind(n, b);
		return;
	}
	if (!record->identity || record->distance == 0)
		return;
	if (b == NULL)
		b = add_behind(n);
	if (b == NULL)
		return;
	hello_fini(&b->hello);
	hello_copy(&b->hello, &record->hello);
	b->distance = record->distance;
	b->stale = false;
}

void
chain_take(struct chain *chain, uint32_t peer, const struct sites *sites)
{
	struct neighbour *n = neighbour_of(chain, peer);

	for (size_t i = 0; i < n->behind_count && (sites->flags & SITES_FIRST) != 0; i++)
		n->behind[i].stale = true;
	for (size_t i = 0; i < sites->count; i++)
		take_record(chain, n, &sites->records[i]);
	for (size_t i = n->behind_count; i-- > 0 && (sites->flags & SITES_LAST) != 0;)
		if (n->behind[i].stale)
			remove_behind(n, &n->behind[i]);
	n->dirty = true;
}

void
chain_enter(struct chain *chain)
{
	for (uint32_t i = 0; i < chain->count; i++)
		if (chain->neighbours[i].dirty)
			enter(chain, i);
}

void
chain_forget(struct chain *chain, uint32_t peer)
{
	struct neighbour *n = neighbour_of(chain, peer);

	if (!n->known)
		return;
	neighbour_fini(n);
	enter(chain, peer);
}

/* ---- what peers are told ---- */

/* A site that is told of: where the record comes from. */
struct candidate {
	const struct hello *hello;
	unsigned distance;
};

struct candidates {
	struct candidate *list;
	size_t count, room;
};

/* Of two ways the shorter one. */
static void
consider(struct candidates *c, const struct hello *hello, unsigned distance)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->list[i].hello->site, hello->site) != 0)
			continue;
		if (distance < c->list[i].distance)
			c->list[i] = (struct candidate){hello, distance};
		return;
	}
	if (c->count == c->room || c->count == CHAIN_BEHIND_MAX)
		return;
	c->list[c->count++] = (struct candidate){hello, distance};
}

/* All but the peer itself, and what it has told us. */
static void
gather(struct chain *chain, uint32_t peer, unsigned max_transfers, struct candidates *c)
{
	const char *name = load_table_site(chain->table, peer)->name;

	for (uint32_t i = 0; i < chain->count; i++)
		c->room += 1 + chain->neighbours[i].behind_count;
	c->list = xcalloc(c->room, sizeof(c->list[0]));
	for (uint32_t i = 0; i < chain->count; i++) {
		const struct neighbour *n = &chain->neighbours[i];

		if (i == peer || !n->known || max_transfers < 2)
			continue;
		consider(c, &n->hello, 1);
		for (size_t k = 0; k < n->behind_count; k++)
			if (n->behind[k].distance + 2 <= max_transfers &&
			    strcmp(n->behind[k].hello.site, name) != 0)
				consider(c, &n->behind[k].hello, n->behind[k].distance + 1);
	}
}

static uint64_t
digest(const struct chain *chain, const struct sites_record *record)
{
	struct sites_writer w;
	uint64_t value;

	sites_begin(&w, 0);
	sites_add(&w, record);
	sites_end(&w);
	value = siphash13(&chain->key, w.b.data, w.b.len);
	codec_buffer_fini(&w.b);
	return value;
}

static struct told *
told_of(struct neighbour *n, const char *name)
{
	for (size_t i = 0; i < n->told_count; i++)
		if (strcmp(n->told[i].name, name) == 0)
			return &n->told[i];
	n->told = xrealloc_array(n->told, n->told_count + 1, sizeof(n->told[0]));
	n->told[n->told_count] = (struct told){0};
	strcpy(n->told[n->told_count].name, name);
	return &n->told[n->told_count++];
}

/* True if it is new to the peer. */
static bool
tell_site(
    struct chain *chain, struct neighbour *n, const struct candidate *c, struct sites_writer *w)
{
	/* shallow: the record is only read */
	struct sites_record record = {
	    .hello = *c->hello, .identity = true, .distance = (uint8_t)c->distance};
	struct told *told = told_of(n, c->hello->site);
	uint64_t now = digest(chain, &record);

	told->again = true;
	if (told->digest == now)
		return false;
	told->digest = now;
	sites_add(w, &record);
	return true;
}

/* What the peer was told of and what is no more. */
static bool
tell_gone(struct neighbour *n, struct sites_writer *w)
{
	bool any = false;

	for (size_t i = n->told_count; i-- > 0;) {
		struct sites_record record = {.gone = true};

		if (n->told[i].again)
			continue;
		strcpy(record.hello.site, n->told[i].name);
		sites_add(w, &record);
		n->told[i] = n->told[--n->told_count];
		any = true;
	}
	return any;
}

bool
chain_tell(struct chain *chain, uint32_t peer, unsigned max_transfers, bool whole,
    struct sites_writer *w)
{
	struct neighbour *n = neighbour_of(chain, peer);
	struct candidates c = {0};
	bool any;

	gather(chain, peer, max_transfers, &c);
	sites_begin(w, whole ? SITES_FIRST | SITES_LAST : 0);
	if (whole)
		n->told_count = 0;
	for (size_t i = 0; i < n->told_count; i++)
		n->told[i].again = false;
	any = whole && n->told_ever;
	for (size_t i = 0; i < c.count; i++)
		any |= tell_site(chain, n, &c.list[i], w);
	any |= tell_gone(n, w);
	sites_end(w);
	free(c.list);
	n->told_ever |= any;
	if (!any)
		codec_buffer_fini(&w->b);
	return any;
}
