#include "allocation/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

/* Entries removed in one go. */
#define EXPIRE_BUDGET 1024

/* A client that was refused something is shown for so long, ns. */
#define SHOWN (60 * CLOCK_SECOND)

/*
 * What a service wants, as it was applied.  A bucket of b connections that gains one each
 * interval is kept as the time at which it will be full (GCRA): an empty one will be b
 * intervals from now.
 */
struct wish {
	uint32_t connections; /* 0: any number */
	uint64_t interval;    /* ns a connection; 0: at any rate */
	uint64_t span;        /* ns in which an empty bucket fills */
	uint8_t mask_v4, mask_v6;
	bool anew; /* its connections are being counted */
	struct limits_refused refused;
};

struct limits {
	struct load_table *table;
	struct wish *wishes; /* by service */
	uint32_t services;
	struct clients clients;
};

struct limits *
limits_new(struct load_table *table, uint32_t connections, const struct siphash_key *key)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->table = table;
	if (clients_init(&l->clients, clients_capacity(connections), key) == 0)
		return l;
	free(l);
	return NULL;
}

void
limits_free(struct limits *l)
{
	if (l == NULL)
		return;
	clients_fini(&l->clients);
	free(l->wishes);
	free(l);
}

/* ---- what services want ---- */

static bool
is_wanted(const struct wish *wish)
{
	return wish->connections != 0 || wish->interval != 0;
}

/* Never less than one. */
uint64_t
limits_burst(const struct config_client_limit *c)
{
	uint64_t second = (uint64_t)c->rate;

	if (c->rate <= 0)
		return 0;
	if (c->burst != 0)
		return c->burst;
	second += (double)second < c->rate;
	return second > 0 ? second : 1;
}

static struct wish
wish_of(const struct service *service)
{
	const struct config_client_limit *c = &service->client_limit;
	struct wish wish = {.connections = c->connections};

	if (!service->present)
		return (struct wish){0};
	if (c->rate > 0)
		wish.interval = (uint64_t)((double)CLOCK_SECOND / c->rate);
	wish.span = limits_burst(c) * wish.interval;
	wish.mask_v4 = c->mask_v4;
	wish.mask_v6 = c->mask_v6;
	return wish;
}

static bool
same_prefixes(const struct wish *a, const struct wish *b)
{
	return is_wanted(a) == is_wanted(b) && a->mask_v4 == b->mask_v4 &&
	    a->mask_v6 == b->mask_v6;
}

static void
grow(struct limits *l)
{
	uint32_t services = load_table_services(l->table);

	if (services <= l->services)
		return;
	l->wishes = xrealloc_array(l->wishes, services, sizeof(*l->wishes));
	memset(l->wishes + l->services, 0, (services - l->services) * sizeof(*l->wishes));
	l->services = services;
}

bool
limits_apply(struct limits *l)
{
	bool any = false;

	grow(l);
	for (uint32_t i = 0; i < l->services; i++) {
		struct wish wish = wish_of(load_table_service(l->table, i));
		struct wish *old = &l->wishes[i];

		wish.refused = old->refused;
		if (!same_prefixes(old, &wish)) {
			if (is_wanted(old))
				clients_purge(&l->clients, (uint16_t)i);
			wish.anew = is_wanted(&wish);
			any |= wish.anew;
		}
		*old = wish;
	}
	return any;
}

bool
limits_counts_anew(const struct limits *l, uint16_t service)
{
	return service < l->services && l->wishes[service].anew;
}

void
limits_counted(struct limits *l)
{
	for (uint32_t i = 0; i < l->services; i++)
		l->wishes[i].anew = false;
}

bool
limits_wanted(const struct limits *l, uint16_t service)
{
	return service < l->services && is_wanted(&l->wishes[service]);
}

struct ip
limits_prefix(const struct limits *l, uint16_t service, const struct ip *client)
{
	const struct wish *wish = &l->wishes[service];

	return clients_prefix(client, wish->mask_v4, wish->mask_v6);
}

/* ---- clients ---- */

/* When the bucket will be full.  What another rate left in it is not more than empty. */
static uint64_t
full_at(const struct wish *wish, const struct client_entry *c, uint64_t now)
{
	if (c == NULL || c->time <= now)
		return now;
	return c->time - now < wish->span ? c->time : now + wish->span;
}

static enum drop
judge(const struct wish *wish, const struct client_entry *c, uint64_t now)
{
	if (wish->connections != 0 && c != NULL && c->count >= wish->connections)
		return DROP_client_connections;
	if (wish->interval != 0 && full_at(wish, c, now) + wish->interval - now > wish->span)
		return DROP_client_rate;
	return DROP_none;
}

/* Nothing is lost without it: it would begin with no connection and a full bucket again.  One
 * that was refused something is kept a while to be shown. */
static bool
is_stale(void *arg, const struct client_entry *c, uint64_t now)
{
	(void)arg;
	return c->count == 0 && c->time + (c->refused > 0 ? SHOWN : 0) <= now;
}

static struct client_entry *
find(const struct limits *l, uint16_t service, const struct ip *client)
{
	struct ip prefix = limits_prefix(l, service, client);

	return clients_find(&l->clients, service, &prefix);
}

static struct client_entry *
enter(struct limits *l, uint16_t service, const struct ip *client, uint64_t now)
{
	struct ip prefix = limits_prefix(l, service, client);

	return clients_enter(&l->clients, service, &prefix, is_stale, l, now);
}

static void
count_refused(struct wish *wish, struct client_entry *c, enum drop drop)
{
	if (c != NULL)
		c->refused++;
	if (drop == DROP_client_connections)
		wish->refused.connections++;
	else
		wish->refused.rate++;
}

enum drop
limits_admit(struct limits *l, uint16_t service, const struct ip *client, uint64_t now)
{
	struct wish *wish;
	struct client_entry *c;
	enum drop drop;

	if (!limits_wanted(l, service))
		return DROP_none;
	wish = &l->wishes[service];
	c = find(l, service, client);
	drop = judge(wish, c, now);
	if (drop != DROP_none) {
		count_refused(wish, c, drop);
		return drop;
	}
	if (wish->interval == 0)
		return DROP_none;
	if (c == NULL)
		c = enter(l, service, client, now);
	if (c == NULL)
		return DROP_none;
	c->time = full_at(wish, c, now) + wish->interval;
	clients_renew(&l->clients, c);
	return DROP_none;
}

enum drop
limits_would_admit(const struct limits *l, uint16_t service, const struct ip *client, uint64_t now)
{
	if (!limits_wanted(l, service))
		return DROP_none;
	return judge(&l->wishes[service], find(l, service, client), now);
}

void
limits_opened(struct limits *l, uint16_t service, const struct ip *client, uint64_t now)
{
	struct client_entry *c;

	if (!limits_wanted(l, service))
		return;
	c = find(l, service, client);
	if (c == NULL)
		c = enter(l, service, client, now);
	if (c != NULL)
		clients_opened(&l->clients, c);
}

void
limits_over(struct limits *l, uint16_t service, const struct ip *client, uint64_t now)
{
	struct client_entry *c = limits_wanted(l, service) ? find(l, service, client) : NULL;

	if (c == NULL || c->count == 0)
		return;
	if (c->time < now)
		c->time = now; /* full, as it was */
	clients_over(&l->clients, c);
	if (is_stale(l, c, now))
		clients_remove(&l->clients, c);
}

void
limits_expire(struct limits *l, uint64_t now)
{
	clients_expire(&l->clients, is_stale, l, now, EXPIRE_BUDGET);
}

const struct clients *
limits_clients(const struct limits *l)
{
	return &l->clients;
}

uint32_t
limits_tokens(const struct limits *l, const struct client_entry *c, uint64_t now)
{
	const struct wish *wish = &l->wishes[c->service];

	if (wish->interval == 0)
		return 0;
	return (uint32_t)((wish->span - (full_at(wish, c, now) - now)) / wish->interval);
}

struct limits_refused
limits_refused(const struct limits *l, uint16_t service)
{
	return service < l->services ? l->wishes[service].refused : (struct limits_refused){0, 0};
}
