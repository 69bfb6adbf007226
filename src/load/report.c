#include "load/report.h"

#include <string.h>

#include "base/xalloc.h"
#include "load/endpoints.h"

#define INTERVAL_MAX 60.0 /* seconds; a longer one is not believed */

#define MTU_MIN 1280 /* every path between sites takes that; less is not believed */

/* A server without a port is entered with each port of its service, as long as there are no more
 * than these of a site; beyond that any port of it is taken. */
#define ENDPOINTS_MAX 65536

/* Numbers of services travel in 16 bits. */
static bool
may_tell(const struct service *s, uint32_t number)
{
	return s->present && number <= UINT16_MAX && s->ports_count >= 1 &&
	    s->ports_count <= HELLO_PORTS_MAX && strlen(s->name) <= CODEC_NAME_MAX;
}

size_t
report_hello(struct load_table *table, struct hello *hello)
{
	uint32_t count = load_table_services(table);
	size_t left_out = 0;

	hello->services = xcalloc(HELLO_SERVICES_MAX, sizeof(hello->services[0]));
	hello->services_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct service *s = load_table_service(table, i);
		struct hello_service *to;

		if (!s->present)
			continue;
		if (!may_tell(s, i) || hello->services_count == HELLO_SERVICES_MAX) {
			left_out++;
			continue;
		}
		to = &hello->services[hello->services_count++];
		strcpy(to->name, s->name);
		to->number = (uint16_t)i;
		to->protocol = s->protocol;
		if (s->client_address == CONFIG_CLIENT_PROXY)
			to->client_address = HELLO_CLIENT_PROXY;
		to->v4 = s->v4;
		to->v6 = s->v6;
		to->ports = xcalloc(s->ports_count, sizeof(to->ports[0]));
		to->ports_count = s->ports_count;
		memcpy(to->ports, s->ports, s->ports_count * sizeof(to->ports[0]));
	}
	return left_out;
}

static size_t
add_server(struct hello_service *to, const struct ip *ip, uint16_t port)
{
	if (ip_is_zero(ip))
		return 0;
	if (to->servers_count == HELLO_SERVERS_MAX)
		return 1;
	to->servers[to->servers_count++] = (struct addr){*ip, port};
	return 0;
}

size_t
report_servers(struct load_table *table, struct hello *hello)
{
	size_t left_out = 0;

	for (size_t i = 0; i < hello->services_count; i++) {
		struct hello_service *to = &hello->services[i];
		const struct service *s = load_table_service(table, to->number);
		size_t most = 2 * s->servers_count;

		if (most > HELLO_SERVERS_MAX)
			most = HELLO_SERVERS_MAX;
		to->servers = xcalloc(most, sizeof(to->servers[0]));
		for (size_t j = 0; j < s->servers_count; j++) {
			const struct server *server = load_table_server(table, s->servers[j]);

			left_out += add_server(to, &server->v4, server->port);
			left_out += add_server(to, &server->v6, server->port);
		}
	}
	return left_out;
}

/* How many endpoints the servers of a site become. */
static size_t
count_endpoints(const struct hello *hello, bool any_port)
{
	size_t count = 0;

	for (size_t i = 0; i < hello->services_count; i++) {
		const struct hello_service *s = &hello->services[i];

		for (size_t j = 0; j < s->servers_count; j++)
			count += s->servers[j].port == 0 && !any_port ? s->ports_count : 1;
	}
	return count;
}

static void
enter_server(struct endpoints *servers, const struct addr *server,
    const struct hello_service *s, uint32_t index, bool any_port)
{
	struct addr address = *server;

	if (server->port != 0 || any_port) {
		endpoints_add(servers, server, s->protocol, index);
		return;
	}
	for (size_t i = 0; i < s->ports_count; i++) {
		address.port = s->ports[i];
		endpoints_add(servers, &address, s->protocol, index);
	}
}

static void
enter_servers(struct endpoints *servers, const struct hello *hello, bool any_port)
{
	for (size_t i = 0; i < hello->services_count; i++) {
		const struct hello_service *s = &hello->services[i];

		for (size_t j = 0; j < s->servers_count; j++)
			enter_server(servers, &s->servers[j], s, (uint32_t)i, any_port);
	}
}

void
report_enter_servers(struct load_table *table, uint32_t site, const struct hello *const *hellos,
    size_t count, size_t most)
{
	size_t room = 0, room_any_port = 0;
	struct endpoints *servers;
	bool any_port;

	for (size_t i = 0; i < count; i++) {
		room += count_endpoints(hellos[i], false);
		room_any_port += count_endpoints(hellos[i], true);
	}
	any_port = room > ENDPOINTS_MAX;
	if (any_port)
		room = room_any_port;
	servers = endpoints_new(room < most ? room : most);
	for (size_t i = 0; i < count; i++)
		enter_servers(servers, hellos[i], any_port);
	load_table_site_servers(table, site, servers);
}

static double
interval_of(const struct hello *hello)
{
	double interval = hello->interval_ms / 1000.0;

	return interval < INTERVAL_MAX ? interval : INTERVAL_MAX;
}

void
report_enter_hello(struct load_table *table, uint32_t number, const struct hello *hello)
{
	struct site *site = load_table_site(table, number);
	struct site_service *services = xcalloc(hello->services_count + 1, sizeof(services[0]));

	for (size_t i = 0; i < hello->services_count; i++) {
		const struct hello_service *from = &hello->services[i];
		struct site_service *to = &services[i];

		to->name = xstrdup(from->name);
		to->local = LOAD_NONE;
		to->number = from->number;
		to->protocol = from->protocol;
		to->proxy = from->client_address == HELLO_CLIENT_PROXY;
		to->v4 = from->v4;
		to->v6 = from->v6;
		to->ports = xcalloc(from->ports_count, sizeof(to->ports[0]));
		to->ports_count = from->ports_count;
		memcpy(to->ports, from->ports, from->ports_count * sizeof(to->ports[0]));
	}
	site->demand_port = hello->demand_port;
	site->interval = interval_of(hello);
	report_enter_servers(table, number, &hello, 1, SIZE_MAX);
	load_table_site_services(table, number, services, hello->services_count);
}

static uint32_t
at_most_32(uint64_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Of a rate or a time. */
static uint32_t
thousandths(double x)
{
	double n = x * 1000 + 0.5;

	return n >= UINT32_MAX ? UINT32_MAX : n > 0 ? (uint32_t)n : 0;
}

static uint16_t
converted_load(const struct service *s)
{
	double load = service_load(s);

	if (!(load > 0))
		return 0;
	return load < 1 ? (uint16_t)(load * 1000 + 0.5) : 1000;
}

/* What concerns the site itself: the connections that it has transferred to us, and how many
 * more it may. */
static void
for_you(struct load_table *table, uint32_t site, uint32_t service, struct load_report_service *to)
{
	uint32_t index = load_table_site_service(table, site, service);
	struct site_service *s;

	to->limited = true;
	if (index == LOAD_NONE)
		return;
	s = &load_table_site(table, site)->services[index];
	s->told = s->granted;
	to->held_from_you = at_most_32(s->received);
	to->quota = thousandths(s->granted);
}

void
report_path(struct load_table *table, uint32_t site, struct load_report *report)
{
	const struct site *to = load_table_site(table, site);

	if (to == NULL)
		return;
	report->path_mtu = to->path_mtu;
	report->direct = (uint8_t)to->direct_out;
}

void
report_between(struct load_table *table, uint32_t site, struct load_report *report)
{
	uint32_t count = load_table_services(table);

	report_path(table, site, report);
	report->services = xcalloc(count < HELLO_SERVICES_MAX ? count + 1 : HELLO_SERVICES_MAX,
	    sizeof(report->services[0]));
	report->services_count = 0;
	for (uint32_t i = 0; i < count && report->services_count < HELLO_SERVICES_MAX; i++) {
		const struct service *s = load_table_service(table, i);

		if (!may_tell(s, i) || load_table_site_service(table, site, i) == LOAD_NONE)
			continue;
		report->services[report->services_count] =
		    (struct load_report_service){.number = (uint16_t)i, .between = true};
		for_you(table, site, i, &report->services[report->services_count++]);
	}
}

/* Who has no servers speaks of those behind it; not to a coordinator, which tells sites that know
 * them as well. */
static void
speak_of_others(struct load_table *table, uint32_t site, struct load_report_service *to)
{
	const struct site *receiver = load_table_site(table, site);
	struct load_passable sum;

	if ((receiver != NULL && receiver->coordinator) ||
	    !load_table_passable(table, to->number, site, &sum))
		return;
	to->servers_up = sum.servers_up;
	to->servers_not_high = sum.servers_not_high;
	to->transferable = at_most_32(sum.transferable);
	to->permitted = true;
	to->load = (uint16_t)(sum.load + 0.5);
	to->active = at_most_32(sum.active);
	to->mean_life = thousandths(sum.mean_life);
	to->distance = sum.distance;
}

void
report_load(struct load_table *table, uint32_t site, struct load_report *report)
{
	uint32_t count = load_table_services(table);

	report_path(table, site, report);
	report->services = xcalloc(count < HELLO_SERVICES_MAX ? count + 1 : HELLO_SERVICES_MAX,
	    sizeof(report->services[0]));
	report->services_count = 0;
	for (uint32_t i = 0; i < count && report->services_count < HELLO_SERVICES_MAX; i++) {
		const struct service *s = load_table_service(table, i);

		if (!may_tell(s, i))
			continue;
		report->services[report->services_count++] = (struct load_report_service){
		    .number = (uint16_t)i,
		    .servers_up = s->up,
		    .servers_not_high = s->not_high,
		    .transferable =
			at_most_32(s->capacity > s->loaded ? s->capacity - s->loaded : 0),
		    .permitted = s->transfer_permitted && s->up > 0,
		    .load = converted_load(s),
		    .active = at_most_32(s->active),
		    .new_per_second = thousandths(s->meter.offered),
		    .mean_life = thousandths(quota_life(&s->meter)),
		};
		speak_of_others(table, site, &report->services[report->services_count - 1]);
		for_you(table, site, i, &report->services[report->services_count - 1]);
	}
}

/*
 * The site's service of that number.  Reports name services in the order of HELLO, so the
 * search begins at the place where the last one ended.
 */
static struct site_service *
find(struct site *site, uint16_t number, size_t *hint)
{
	for (size_t i = 0; i < site->services_count; i++) {
		size_t at = (*hint + i) % site->services_count;

		if (site->services[at].number == number) {
			*hint = at + 1;
			return &site->services[at];
		}
	}
	return NULL;
}

/* Of the load itself: I to IV, and what goes with it. */
static void
enter_load(struct site_service *to, const struct load_report_service *from, uint32_t sequence,
    uint64_t at)
{
	to->reported = true;
	to->sequence = sequence;
	to->servers_up = from->servers_up;
	to->servers_not_high = from->servers_not_high;
	to->transferable = from->transferable;
	to->permitted = from->permitted;
	to->load = from->load;
	to->active = from->active;
	to->new_per_second = from->new_per_second / 1000.0;
	to->mean_life = from->mean_life / 1000.0;
	to->distance = from->distance;
	to->received_at = at;
}

/* What is between the two of us. */
static void
enter_between(struct site_service *to, const struct load_report_service *from)
{
	to->held_from_us = from->held_from_you;
	to->limited = from->limited;
	to->quota = from->quota / 1000.0;
}

void
report_enter_load(
    struct load_table *table, uint32_t number, const struct load_report *report, uint64_t now)
{
	struct site *site = load_table_site(table, number);
	size_t hint = 0;

	site->peer_mtu = report->path_mtu >= MTU_MIN ? report->path_mtu : 0;
	load_table_site_direct_reported(table, number, (enum site_direct)report->direct, now);
	for (size_t i = 0; i < report->services_count; i++) {
		const struct load_report_service *from = &report->services[i];
		struct site_service *to = find(site, from->number, &hint);

		if (to == NULL)
			continue;
		enter_between(to, from);
		if (!from->between)
			enter_load(to, from, report->sequence, now);
	}
}

void
report_enter_services(
    struct load_table *table, uint32_t number, const struct load_report *report, uint64_t at)
{
	struct site *site = load_table_site(table, number);
	size_t hint = 0;

	for (size_t i = 0; i < report->services_count; i++) {
		struct site_service *to = find(site, report->services[i].number, &hint);

		if (to != NULL)
			enter_load(to, &report->services[i], report->sequence, at);
	}
}
