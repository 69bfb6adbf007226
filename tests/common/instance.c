#include "instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "load/endpoints.h"
#include "transfer/keys.h"

#define QUEUE 4096

static struct config *
parse(const char *text)
{
	struct config_faults faults;
	struct config *config = config_parse(text, "instance", &faults);

	for (size_t i = 0; i < faults.count; i++)
		fprintf(stderr, "%s\n", faults.text[i]);
	config_faults_free(&faults);
	return config;
}

static void
on_closed(void *arg, uint32_t site, const struct connection_closed *entry)
{
	struct instance *i = arg;

	if (i->closed_count < INSTANCE_CLOSED_MAX) {
		i->closed[i->closed_count].site = site;
		i->closed[i->closed_count].entry = *entry;
	}
	i->closed_count++;
}

static void
on_seen(void *arg, uint32_t site, uint64_t id)
{
	struct instance *i = arg;

	if (i->seen_count < INSTANCE_SEEN_MAX) {
		i->seen[i->seen_count].site = site;
		i->seen[i->seen_count].id = id;
	}
	i->seen_count++;
}

unsigned
instance_tell(struct instance *a, struct instance *b, uint64_t now)
{
	uint32_t b_at_a = load_table_find_site(a->load, b->config->site);
	uint32_t a_at_b = load_table_find_site(b->load, a->config->site);
	unsigned told = 0;

	for (size_t i = 0; i < a->closed_count && i < INSTANCE_CLOSED_MAX; i++) {
		if (a->closed[i].site != b_at_a)
			continue;
		datapath_peer_closed(b->datapath, a_at_b, &a->closed[i].entry, now);
		told++;
	}
	a->closed_count = 0;
	return told;
}

static struct instance *
make(const char *text, uint64_t seed, uint64_t now, struct guard *guard)
{
	struct config *config = parse(text);
	struct instance *i;

	if (config == NULL)
		return NULL;
	i = xcalloc(1, sizeof(*i));
	i->config = config;
	random_init(&i->random, seed);
	i->load = load_table_new();
	load_table_apply(i->load, config, now);
	for (uint32_t s = 0; s < load_table_servers(i->load); s++)
		load_table_server_set_state(i->load, s, SERVER_UP, NULL, now);
	i->allocation = allocation_new(i->load, config->load.interval);
	i->keyring = keyring_new(&i->random);
	i->io = memory_new(QUEUE);
	i->datapath =
	    datapath_new(&(struct datapath_parts){.config = config,
			     .io = i->io,
			     .load = i->load,
			     .allocation = i->allocation,
			     .keyring = i->keyring,
			     .counters = &i->counters,
			     .random = &i->random,
			     .guard = guard,
			     .peers = {.arg = i, .closed = on_closed, .probe_seen = on_seen}},
		now);
	i->guard = guard;
	return i;
}

struct instance *
instance_new(const char *text, uint64_t seed, uint64_t now)
{
	return make(text, seed, now, NULL);
}

struct instance *
instance_new_queues(const char *text, uint64_t seed, unsigned queues)
{
	struct instance *i = make(text, seed, clock_now(), guard_new());

	for (unsigned n = 1; i != NULL && n < queues && n < INSTANCE_QUEUES_MAX; n++) {
		i->queue[n] = memory_new(QUEUE);
		i->queues = n;
		if (datapath_add_queue(i->datapath, i->queue[n]) != (int)n)
			log_fatalx("no queue %u", n);
	}
	return i;
}

void
instance_free(struct instance *i)
{
	if (i == NULL)
		return;
	datapath_free(i->datapath);
	for (unsigned n = 1; n <= i->queues; n++)
		io_close(i->queue[n]);
	guard_free(i->guard);
	keyring_free(i->keyring);
	allocation_free(i->allocation);
	load_table_free(i->load);
	io_close(i->io);
	config_free(i->config);
	free(i);
}

/* What a's HELLO would say of its services. */
static struct site_service *
offers(struct instance *a, size_t *count)
{
	struct site_service *list = xcalloc(load_table_services(a->load), sizeof(*list));

	*count = load_table_services(a->load);
	for (uint32_t n = 0; n < *count; n++) {
		const struct service *s = load_table_service(a->load, n);

		list[n] = (struct site_service){.name = xstrdup(s->name),
		    .number = (uint16_t)n,
		    .protocol = s->protocol,
		    .v4 = s->v4,
		    .v6 = s->v6,
		    .proxy = s->client_address == CONFIG_CLIENT_PROXY,
		    .ports_count = s->ports_count};
		list[n].ports = xcalloc(s->ports_count, sizeof(*s->ports));
		memcpy(list[n].ports, s->ports, s->ports_count * sizeof(*s->ports));
	}
	return list;
}

static void
announce(struct endpoints *e, struct instance *a)
{
	uint32_t count = load_table_servers(a->load);

	for (uint32_t n = 0; n < count; n++) {
		const struct server *s = load_table_server(a->load, n);
		const struct service *owner = load_table_service(a->load, s->service);
		struct addr v4 = {s->v4, s->port}, v6 = {s->v6, s->port};

		if (!ip_is_zero(&s->v4))
			endpoints_add(e, &v4, owner->protocol, s->service);
		if (!ip_is_zero(&s->v6))
			endpoints_add(e, &v6, owner->protocol, s->service);
	}
}

/* And of its servers, and those of a site behind it, if there is one. */
static struct endpoints *
announced(struct instance *a, struct instance *behind)
{
	size_t count = load_table_servers(a->load);
	struct endpoints *e;

	if (behind != NULL)
		count += load_table_servers(behind->load);
	e = endpoints_new(2 * count + 1);
	announce(e, a);
	if (behind != NULL)
		announce(e, behind);
	return e;
}

static void
add_passes(struct endpoints *e, const struct service *s, const struct ip *ip, uint32_t value)
{
	struct addr addr = {.ip = *ip};

	for (size_t i = 0; i < s->ports_count && !ip_is_zero(ip); i++) {
		addr.port = s->ports[i];
		endpoints_add(e, &addr, s->protocol, value);
	}
}

void
instance_chain(struct instance *owner, struct instance *near, struct instance *far, uint64_t now)
{
	uint32_t near_at_far = load_table_find_site(far->load, near->config->site);
	uint32_t near_at_owner = load_table_find_site(owner->load, near->config->site);
	uint32_t known = load_table_find_site(far->load, owner->config->site);
	struct endpoints *e = endpoints_new(1024);

	(void)now;
	for (uint32_t n = 0; n < load_table_services(owner->load); n++) {
		const struct service *s = load_table_service(owner->load, n);
		uint32_t local = load_table_find_service(far->load, s->name);
		uint32_t value = site_passes((uint16_t)local, (uint16_t)known);

		add_passes(e, s, &s->v4, value);
		add_passes(e, s, &s->v6, value);
	}
	load_table_site_passes(far->load, near_at_far, e);
	if (near_at_owner != LOAD_NONE)
		load_table_site_servers(owner->load, near_at_owner, announced(near, far));
}

void
instance_report(struct instance *a, struct instance *b, uint64_t now)
{
	struct site *site =
	    load_table_site(b->load, load_table_find_site(b->load, a->config->site));

	for (size_t n = 0; n < site->services_count; n++) {
		struct site_service *r = &site->services[n];
		const struct service *s = load_table_service(a->load, r->number);

		r->reported = true;
		r->servers_up = s->up;
		r->servers_not_high = s->not_high;
		r->transferable = (uint32_t)(s->capacity - s->active);
		r->active = (uint32_t)s->active;
		r->permitted = s->transfer_permitted && s->up > 0;
		r->load = (uint16_t)(service_load(s) * 1000);
		r->held_from_us = (uint32_t)r->transferred;
		r->received_at = now;
	}
}

/* a's way to b: b accepts what a seals. */
static int
link_one_way(struct instance *a, struct instance *b, uint8_t secret_octet, uint64_t now)
{
	uint32_t b_at_a = load_table_find_site(a->load, b->config->site);
	uint32_t a_at_b = load_table_find_site(b->load, a->config->site);
	uint8_t secret[KEYS_SECRET_LEN];
	struct site_service *services;
	uint32_t index;
	size_t count;

	if (b_at_a == LOAD_NONE || a_at_b == LOAD_NONE)
		return -1;
	memset(secret, secret_octet, sizeof(secret));
	index = keyring_reserve(b->keyring);
	keyring_enter(b->keyring, index, transfer_rx_new(KEYS_AES_128_GCM, secret),
	    (uint16_t)a_at_b, &a->config->transfer.listen);
	keyring_set_tx(
	    a->keyring, (uint16_t)b_at_a, transfer_tx_new(KEYS_AES_128_GCM, secret, index));
	services = offers(b, &count);
	load_table_site_services(a->load, b_at_a, services, count);
	load_table_site_servers(a->load, b_at_a, announced(b, NULL));
	load_table_site(a->load, b_at_a)->demand_port = b->config->transfer.demand_port;
	load_table_site_session(a->load, b_at_a, SITE_SESSION, now);
	load_table_site_keys(a->load, b_at_a, true, now);
	load_table_site_set_path(a->load, b_at_a, SITE_PATH_ALIVE, now);
	return 0;
}

int
instance_link(struct instance *a, struct instance *b, uint64_t now)
{
	if (link_one_way(a, b, 0xa1, now) == -1 || link_one_way(b, a, 0xb2, now) == -1)
		return -1;
	instance_report(a, b, now);
	instance_report(b, a, now);
	return 0;
}

/* What went to the demand port. */
static void
demand(struct instance *a, struct instance *b, const struct memory_packet *d, uint64_t now)
{
	static uint8_t room[IO_HEADROOM + 65536];

	memcpy(room + IO_HEADROOM, d->data, d->len);
	datapath_transfer_datagram(
	    b->datapath, room + IO_HEADROOM, d->len, &a->config->transfer.listen, true, now);
}

unsigned
instance_carry(struct instance *a, struct instance *b, uint64_t now)
{
	struct memory_packet d;
	unsigned count = 0;

	while (memory_take_datagram(a->io, &d)) {
		count++;
		if (b->config->transfer.demand_port != 0 &&
		    d.peer.port == b->config->transfer.demand_port)
			demand(a, b, &d, now);
		else
			memory_put_datagram(b->io, d.data, d.len, &a->config->transfer.listen);
	}
	while (datapath_run_transfer(b->datapath, now) == IO_BATCH)
		;
	return count;
}
