#include "allocation/persistence.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

/* Entries removed in one go. */
#define EXPIRE_BUDGET 1024

/* What a service wants, as it was applied. */
struct wish {
	uint32_t timeout; /* seconds; 0: no persistence */
	uint8_t mask_v4, mask_v6;
	bool anew; /* its connections are being counted */
};

struct persistence {
	struct load_table *table;
	struct wish *wishes; /* by service */
	uint32_t services;
	struct clients clients;
};

struct persistence *
persistence_new(struct load_table *table, uint32_t connections, const struct siphash_key *key)
{
	struct persistence *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->table = table;
	if (clients_init(&p->clients, clients_capacity(connections), key) == 0)
		return p;
	free(p);
	return NULL;
}

void
persistence_free(struct persistence *p)
{
	if (p == NULL)
		return;
	clients_fini(&p->clients);
	free(p->wishes);
	free(p);
}

/* ---- what services want ---- */

static struct wish
wish_of(const struct service *service)
{
	const struct config_persistence *c = &service->persistence;

	if (!service->present)
		return (struct wish){0};
	return (struct wish){c->timeout, c->mask_v4, c->mask_v6, false};
}

static bool
same_prefixes(const struct wish *a, const struct wish *b)
{
	return (a->timeout != 0) == (b->timeout != 0) && a->mask_v4 == b->mask_v4 &&
	    a->mask_v6 == b->mask_v6;
}

static void
grow(struct persistence *p)
{
	uint32_t services = load_table_services(p->table);

	if (services <= p->services)
		return;
	p->wishes = xrealloc_array(p->wishes, services, sizeof(*p->wishes));
	memset(p->wishes + p->services, 0, (services - p->services) * sizeof(*p->wishes));
	p->services = services;
}

bool
persistence_apply(struct persistence *p)
{
	bool any = false;

	grow(p);
	for (uint32_t i = 0; i < p->services; i++) {
		struct wish wish = wish_of(load_table_service(p->table, i));
		struct wish *old = &p->wishes[i];

		if (!same_prefixes(old, &wish)) {
			if (old->timeout != 0)
				clients_purge(&p->clients, (uint16_t)i);
			wish.anew = wish.timeout != 0;
			any |= wish.anew;
		}
		*old = wish;
	}
	return any;
}

bool
persistence_counts_anew(const struct persistence *p, uint16_t service)
{
	return service < p->services && p->wishes[service].anew;
}

void
persistence_counted(struct persistence *p)
{
	for (uint32_t i = 0; i < p->services; i++)
		p->wishes[i].anew = false;
}

bool
persistence_wanted(const struct persistence *p, uint16_t service)
{
	return service < p->services && p->wishes[service].timeout != 0;
}

struct ip
persistence_prefix(const struct persistence *p, uint16_t service, const struct ip *client)
{
	const struct wish *wish = &p->wishes[service];

	return clients_prefix(client, wish->mask_v4, wish->mask_v6);
}

/* ---- entries ---- */

bool
persistence_is_fresh(const struct persistence *p, const struct client_entry *c, uint64_t now)
{
	if (c->kind == PERSISTENCE_NONE)
		return false;
	return c->count > 0 || persistence_remaining(p, c, now) > 0;
}

double
persistence_remaining(const struct persistence *p, const struct client_entry *c, uint64_t now)
{
	uint64_t until = c->time + p->wishes[c->service].timeout * CLOCK_SECOND;

	if (c->count > 0)
		return p->wishes[c->service].timeout;
	return until > now ? (double)(until - now) / CLOCK_SECOND : 0;
}

static bool
is_stale(void *arg, const struct client_entry *c, uint64_t now)
{
	return !persistence_is_fresh(arg, c, now);
}

static struct client_entry *
find(const struct persistence *p, uint16_t service, const struct ip *client)
{
	struct ip prefix = persistence_prefix(p, service, client);

	return clients_find(&p->clients, service, &prefix);
}

struct persistence_target
persistence_find(
    const struct persistence *p, uint16_t service, const struct ip *client, uint64_t now)
{
	static const struct persistence_target none = {PERSISTENCE_NONE, LOAD_NONE};
	const struct client_entry *c;

	if (!persistence_wanted(p, service))
		return none;
	c = find(p, service, client);
	if (c == NULL || !persistence_is_fresh(p, c, now))
		return none;
	return (struct persistence_target){(enum persistence_kind)c->kind, c->target};
}

void
persistence_opened(struct persistence *p, uint16_t service, const struct ip *client,
    struct persistence_target target, uint64_t now)
{
	struct client_entry *c;
	struct ip prefix;

	if (!persistence_wanted(p, service))
		return;
	prefix = persistence_prefix(p, service, client);
	c = clients_find(&p->clients, service, &prefix);
	if (c == NULL)
		c = clients_enter(&p->clients, service, &prefix, is_stale, p, now);
	if (c == NULL)
		return;
	c->kind = (uint16_t)target.kind;
	c->target = target.number;
	c->time = now;
	clients_opened(&p->clients, c);
}

void
persistence_over(struct persistence *p, uint16_t service, const struct ip *client, uint64_t now)
{
	struct client_entry *c = persistence_wanted(p, service) ? find(p, service, client) : NULL;

	if (c == NULL || c->count == 0)
		return;
	c->time = now;
	clients_over(&p->clients, c);
}

void
persistence_expire(struct persistence *p, uint64_t now)
{
	clients_expire(&p->clients, is_stale, p, now, EXPIRE_BUDGET);
}

/* One that has connections goes on counting them, without a target. */
static bool
forget(struct persistence *p, struct client_entry *c, uint64_t now)
{
	bool fresh = persistence_is_fresh(p, c, now);

	if (c->count == 0)
		clients_remove(&p->clients, c);
	else
		c->kind = PERSISTENCE_NONE;
	return fresh;
}

uint32_t
persistence_flush(struct persistence *p, uint32_t service, const struct ip *client, uint64_t now)
{
	uint32_t cursor = 0, budget = UINT32_MAX, count = 0;
	struct client_entry *c;
	bool done;

	while ((c = clients_walk(&p->clients, &cursor, &budget, &done)) != NULL) {
		struct ip prefix;

		if (service != LOAD_NONE && c->service != service)
			continue;
		if (client != NULL) {
			prefix = persistence_prefix(p, c->service, client);
			if (!ip_equal(&prefix, &c->prefix))
				continue;
		}
		count += forget(p, c, now);
	}
	return count;
}

const struct clients *
persistence_clients(const struct persistence *p)
{
	return &p->clients;
}
