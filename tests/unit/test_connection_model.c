/*
 * Random operations on the table, and on a model of it that is an array searched from one end
 * to the other: after each they must agree.  Of TCP the model takes the state from the
 * record (test_connection_tcp.c judges it) and checks what has to follow.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connections.h"

#define ENTRIES_MAX 2048
#define TICK        (CLOCK_SECOND / 8)

struct run {
	uint64_t seed;
	uint32_t capacity;
	uint32_t clients, services, servers, selves;
	uint32_t port_step; /* only each so manieth port may be chosen: 1, or 256, as the walk goes */
	uint32_t operations;
	uint32_t open, end, finish; /* shares of the operations, of 100 */
	uint32_t jump;              /* largest step of the time, milliseconds */
	bool tcp_only;
};

struct entry {
	struct connection *c; /* NULL: not in use */
	struct connection_new what;
	uint16_t self_port;
	int state;
	bool answered; /* no longer among the opening ones */
	uint64_t opened, last;
	uint64_t order; /* of opening */
	uint64_t packets, bytes;
};

struct model {
	const struct run *run;
	struct connection_table *table;
	struct random random;
	uint64_t now, order;
	struct entry entries[ENTRIES_MAX];
	uint32_t live;
	int64_t active; /* as a load table would count it */
	/* what the callback was told during the operation */
	uint32_t ended;
	struct entry gone[2]; /* the first ones that ended */
	/* how often each outcome came: a test that never gets there tests nothing */
	uint64_t scarce_at; /* when a search at random last found no port; 0: never */
	uint32_t opened, existed, refused_full, refused_ports, evicted, expired, found, missed,
	    evicted_over, ports_taken;
};

/* Of whom a record is ended for a new one. */
enum group { OTHERS, OPENING_TCP, OPENING_UDP, OVER, GROUPS };

/* Connections there are, before one is opened. */
struct census {
	uint32_t live, of[GROUPS];
	uint64_t first; /* when the oldest opening TCP one was opened */
};

static const struct connection_timeouts timeouts = {
    .tcp_opening = 60,
    .tcp_established = 700,
    .tcp_closing = 240,
    .tcp_time_wait = 120,
    .udp = 300,
    .udp_opening = 30,
    .icmp = 60,
};

static bool
has_server(const struct entry *e)
{
	return e->what.kind == CONNECTION_LOCAL || e->what.kind == CONNECTION_RECEIVED;
}

static bool
is_active(int state)
{
	return state == CONNECTION_OPENING || state == CONNECTION_ESTABLISHED;
}

static enum group
group_of(const struct entry *e)
{
	if (e->what.protocol == IPPROTO_UDP)
		return e->answered ? OTHERS : OPENING_UDP;
	if (e->what.protocol != IPPROTO_TCP)
		return OTHERS;
	if (!e->answered)
		return OPENING_TCP;
	return e->state == CONNECTION_TIME_WAIT ? OVER : OTHERS;
}

/* In ticks, as the table tells time. */
static uint64_t
ticks(uint64_t at)
{
	return (at - START) / TICK;
}

/* A second has passed for sure. */
static bool
is_old(const struct model *m, uint64_t at)
{
	return ticks(m->now) - ticks(at) > CLOCK_SECOND / TICK;
}

/* Its port may be taken. */
static bool
is_quiet(const struct model *m, const struct entry *e)
{
	return group_of(e) != OTHERS && is_old(m, e->last);
}

static uint64_t
deadline(const struct entry *e)
{
	uint64_t seconds;

	switch (e->what.protocol) {
	case IPPROTO_TCP:
		if (!e->answered)
			return e->opened + timeouts.tcp_opening * CLOCK_SECOND;
		seconds = e->state == CONNECTION_ESTABLISHED ? timeouts.tcp_established
		    : e->state == CONNECTION_CLOSING         ? timeouts.tcp_closing
							     : timeouts.tcp_time_wait;
		break;
	case IPPROTO_UDP:
		seconds = e->answered && e->what.service.port != 53 ? timeouts.udp
								    : timeouts.udp_opening;
		break;
	default:
		seconds = timeouts.icmp;
	}
	return e->last + seconds * CLOCK_SECOND;
}

static bool
is_client_side(const struct entry *e, const struct connection_key *k)
{
	struct connection_key own = client_key(&e->what);

	return addr_equal(&own.source, &k->source) &&
	    addr_equal(&own.destination, &k->destination) && own.protocol == k->protocol &&
	    own.origin == k->origin;
}

static bool
is_server_side(const struct entry *e, const struct connection_key *k)
{
	struct addr self = {.ip = e->what.self.ip, .port = e->self_port};

	return has_server(e) && k->origin == 0 && k->protocol == e->what.protocol &&
	    addr_equal(&k->source, &e->what.server) && addr_equal(&k->destination, &self);
}

static struct entry *
model_find(struct model *m, const struct connection_key *k, enum connection_side *side)
{
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		struct entry *e = &m->entries[i];

		if (e->c == NULL)
			continue;
		*side = CONNECTION_FROM_CLIENT;
		if (is_client_side(e, k))
			return e;
		*side = CONNECTION_FROM_SERVER;
		if (is_server_side(e, k))
			return e;
	}
	return NULL;
}

static struct entry *
entry_of(struct model *m, const struct connection *c)
{
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		if (m->entries[i].c == c)
			return &m->entries[i];
	}
	fail_msg("a record that nobody opened");
	return NULL;
}

static struct entry *
random_entry(struct model *m)
{
	uint32_t i, start = random_below(&m->random, ENTRIES_MAX);

	for (i = 0; i < ENTRIES_MAX; i++) {
		struct entry *e = &m->entries[(start + i) % ENTRIES_MAX];

		if (e->c != NULL)
			return e;
	}
	return NULL;
}

static void
changed(void *arg, const struct connection *c, bool active_before, bool active_after, bool ended)
{
	struct model *m = arg;
	struct entry *e = entry_of(m, c);

	assert_false(active_after);
	if (!ended && !active_before) {
		assert_int_equal(c->state, CONNECTION_TIME_WAIT);
		return;
	}
	if (!ended) {
		assert_true(is_active(e->state));
		assert_false(connection_is_active(c));
		m->active--;
		return;
	}
	assert_int_equal(active_before, is_active(e->state));
	assert_int_equal(active_before, connection_is_active(c));
	m->active -= active_before;
	if (m->ended < 2)
		m->gone[m->ended] = *e;
	m->ended++;
	e->c = NULL;
	m->live--;
}

static bool
port_taken(void *arg, const struct addr *self, uint8_t protocol)
{
	const struct model *m = arg;

	(void)protocol;
	return self->port % m->run->port_step != 0;
}

static uint32_t
below(struct model *m, uint32_t bound)
{
	return random_below(&m->random, bound);
}

static struct connection_new
random_connection(struct model *m)
{
	static const uint8_t protocols[] = {
	    IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP, IPPROTO_ICMP};
	static const uint16_t ports[] = {53, 80, 443};
	const struct run *r = m->run;
	struct connection_new what = {
	    .kind = (enum connection_kind)below(m, CONNECTION_KINDS),
	    .protocol = protocols[below(m, sizeof(protocols))],
	    .client = ten(below(m, r->clients), (uint16_t)(2000 + below(m, 20))),
	    .service = ten(0x100000 + below(m, r->services), ports[below(m, 3)]),
	    .server = ten(0x200000 + below(m, r->servers), 8080),
	    .self = ten(0x300000 + below(m, r->selves), 0),
	    .service_number = (uint16_t)below(m, 5),
	    .site = CONNECTION_NO_SITE,
	    .server_number = below(m, 100),
	};

	if (r->tcp_only)
		what.protocol = IPPROTO_TCP;
	/* a service address as self address, a server as client, a given port */
	if (below(m, 8) == 0)
		what.self.ip = what.service.ip;
	if (below(m, 50) == 0)
		what.client = what.server;
	if (below(m, 10) == 0)
		what.self.port = (uint16_t)(443 + below(m, 3));
	if (what.kind != CONNECTION_LOCAL)
		what.site = (uint16_t)below(m, 3);
	return what;
}

/* Towards that server from that self address. */
static uint32_t
ports_in_use(struct model *m, const struct connection_new *what)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		const struct entry *e = &m->entries[i];

		n += e->c != NULL && has_server(e) && e->what.protocol == what->protocol &&
		    addr_equal(&e->what.server, &what->server) &&
		    ip_equal(&e->what.self.ip, &what->self.ip);
	}
	return n;
}

static struct census
count_groups(const struct model *m)
{
	struct census census = {.live = m->live, .first = UINT64_MAX};

	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		const struct entry *e = &m->entries[i];

		if (e->c == NULL)
			continue;
		census.of[group_of(e)]++;
		if (group_of(e) == OPENING_TCP && e->opened < census.first)
			census.first = e->opened;
	}
	return census;
}

/* Of whom one has to go, OTHERS if nobody has to, or can. */
static enum group
group_of_victim(
    const struct model *m, const struct census *census, const struct connection_new *what)
{
	uint32_t tcp = census->of[OPENING_TCP], udp = census->of[OPENING_UDP];

	if (what->protocol == IPPROTO_TCP && tcp >= m->run->capacity / 4 &&
	    is_old(m, census->first))
		return OPENING_TCP;
	if (census->live < m->run->capacity)
		return OTHERS;
	if (census->of[OVER] > 0)
		return OVER;
	if (tcp + udp == 0)
		return OTHERS;
	return tcp >= udp ? OPENING_TCP : OPENING_UDP;
}

/* The oldest of its group: of opening TCP by opening, else by the last packet. */
static void
check_victim(struct model *m, const struct entry *gone, enum group group)
{
	assert_int_equal(group_of(gone), group);
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		const struct entry *e = &m->entries[i];

		if (e->c == NULL || group_of(e) != group)
			continue;
		if (group == OPENING_TCP)
			assert_true(e->order > gone->order);
		else
			assert_true(ticks(e->last) >= ticks(gone->last));
	}
	m->evicted++;
	m->evicted_over += group == OVER;
}

/* When the oldest opening TCP one was opened, of those that are left and the second to go. */
static uint64_t
first_without(const struct model *m)
{
	uint64_t first = count_groups(m).first;

	if (m->ended > 1 && group_of(&m->gone[1]) == OPENING_TCP && m->gone[1].opened < first)
		first = m->gone[1].opened;
	return first;
}

/* Who went for a new connection: the one whose port it has got, and the one whose record. */
static void
check_gone(struct model *m, struct census census, const struct connection_new *what,
    const struct connection *c)
{
	struct connection_key k = server_key(m->table, c);
	uint32_t taken = m->ended > 0 && c->self_port != 0 && is_server_side(&m->gone[0], &k);
	enum group group;

	if (taken) {
		assert_true(is_quiet(m, &m->gone[0]));
		/* not while most of the ports are free */
		assert_true(m->run->port_step > 100 || what->self.port != 0);
		census.live--;
		census.of[group_of(&m->gone[0])]--;
		if (m->gone[0].opened == census.first)
			census.first = first_without(m);
		m->ports_taken++;
	}
	group = group_of_victim(m, &census, what);
	assert_int_equal(m->ended, taken + (group != OTHERS));
	if (group != OTHERS)
		check_victim(m, &m->gone[taken], group);
}

/* No entry has the server side that a given port would make, but for one that is over; nor is
 * it the client side. */
static bool
given_port_may_be_had(struct model *m, const struct connection_new *what)
{
	struct connection_key k = {
	    .source = what->server,
	    .destination = what->self,
	    .protocol = what->protocol,
	};
	struct connection_key own = client_key(what);
	enum connection_side side = CONNECTION_FROM_CLIENT;
	const struct entry *e = model_find(m, &k, &side);

	return (e == NULL || (side == CONNECTION_FROM_SERVER && is_quiet(m, e))) &&
	    !(own.origin == 0 && addr_equal(&own.source, &k.source) &&
		addr_equal(&own.destination, &k.destination));
}

static void
enter(struct model *m, const struct connection_new *what, struct connection *c)
{
	struct entry *e = m->entries;

	while (e->c != NULL)
		e++;
	*e = (struct entry){
	    .c = c,
	    .what = *what,
	    .self_port = c->self_port,
	    .opened = m->now,
	    .last = m->now,
	    .order = ++m->order,
	};
	m->live++;
	m->active++;
	m->opened++;
	assert_int_equal(c->kind, what->kind);
	assert_int_equal(c->server, what->server_number);
	if (!has_server(e))
		return;
	if (what->self.port != 0)
		assert_int_equal(c->self_port, what->self.port);
	else
		assert_true(c->self_port >= 1024 && c->self_port % m->run->port_step == 0);
}

static void
do_open(struct model *m)
{
	struct connection_new what = random_connection(m);
	struct connection_key key = client_key(&what);
	enum connection_side side;
	struct entry *known = model_find(m, &key, &side);
	struct census census = count_groups(m);
	bool full = m->live == m->run->capacity && group_of_victim(m, &census, &what) == OTHERS;
	uint64_t evicted = connection_table_evicted(m->table);
	bool one_sided = what.kind == CONNECTION_TRANSFERRED || what.kind == CONNECTION_PASSED;
	bool free_port = one_sided || what.self.port == 0 || given_port_may_be_had(m, &what);
	uint32_t in_use = ports_in_use(m, &what);
	struct connection *c;
	bool existed;
	enum drop drop = connection_open(m->table, &what, &m->random, m->now, &c, &existed);

	assert_int_equal(existed, known != NULL);
	if (known != NULL) {
		assert_int_equal(drop, DROP_none);
		assert_ptr_equal(c, known->c);
		m->existed++;
	} else if (full) {
		assert_int_equal(drop, DROP_table_full);
		m->refused_full++;
	} else if (!free_port) {
		assert_int_equal(drop, DROP_out_of_ports);
		m->refused_ports++;
	} else if (drop == DROP_out_of_ports) {
		/* by chance, if only a few ports may be chosen and some of them are in use, or
		 * were a second ago, when a search that found none was remembered */
		assert_true(m->run->port_step > 100 && what.self.port == 0);
		assert_true(in_use > 0 ||
		    (m->scarce_at != 0 && m->now - m->scarce_at <= 2 * CLOCK_SECOND));
		m->scarce_at = m->now;
		m->refused_ports++;
	} else {
		assert_int_equal(drop, DROP_none);
		check_gone(m, census, &what, c);
		enter(m, &what, c);
	}
	if (drop != DROP_none || known != NULL)
		assert_int_equal(m->ended, 0);
	assert_int_equal(connection_table_evicted(m->table), evicted + m->ended);
}

static void
do_find(struct model *m)
{
	struct connection_key key;
	enum connection_side side, expected;
	struct connection_new what = random_connection(m);
	struct entry *e = random_entry(m);
	struct connection *c;

	key = client_key(&what);
	if (e != NULL && below(m, 3) != 0)
		key = server_key(m->table, e->c);
	if (e != NULL && below(m, 3) == 0)
		key = client_key(&e->what);
	if (below(m, 5) == 0)
		key.origin ^= 1;
	if (below(m, 5) == 0)
		key.destination.port ^= 1;
	e = model_find(m, &key, &expected);
	c = connection_find(m->table, &key, &side);
	if (e == NULL) {
		assert_null(c);
		m->missed++;
		return;
	}
	assert_ptr_equal(c, e->c);
	assert_int_equal(side, expected);
	m->found++;
}

static struct connection_event
random_event(struct model *m, const struct entry *e)
{
	static const uint8_t flags[] = {
	    SYN, SYN | ACK, ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK};
	struct connection_event event = {
	    .side = (enum connection_side)below(m, 2),
	    .len = 28 + below(m, 65000),
	};

	if (e->what.protocol != IPPROTO_TCP)
		return event;
	event.tcp_flags = flags[below(m, below(m, 4) == 0 ? 8 : 6)];
	event.payload = below(m, 2);
	event.tcp_seq = below(m, 3) + (event.side == CONNECTION_FROM_CLIENT ? 1000u : 5000u);
	event.tcp_ack = below(m, 3) + (event.side == CONNECTION_FROM_CLIENT ? 5000u : 1000u);
	if (event.tcp_flags & SYN)
		event.tcp_seq = event.side == CONNECTION_FROM_CLIENT ? 1000 : 5000;
	return event;
}

static void
track_event(struct model *m, struct entry *e, struct connection_event event)
{
	bool one_sided = !has_server(e), alive = true;
	int before = e->state;

	connection_track(m->table, e->c, &event, m->now);
	e->packets++;
	e->bytes += event.len;
	if (e->what.protocol == IPPROTO_TCP) {
		e->state = e->c->state;
		alive = !(event.tcp_flags & RST) || e->state != before;
		e->answered |=
		    e->state == CONNECTION_ESTABLISHED || e->state == CONNECTION_CLOSING;
	} else if (event.side == CONNECTION_FROM_SERVER || (one_sided && e->packets >= 2)) {
		e->state = CONNECTION_ESTABLISHED;
		e->answered = true;
	}
	if (alive)
		e->last = m->now;
	assert_true(e->state >= before);
	assert_int_equal(e->c->state, e->state);
	assert_true(e->c->packets == e->packets);
	assert_true(e->c->bytes == e->bytes);
	assert_int_equal(m->ended, 0);
}

static void
do_track(struct model *m)
{
	struct entry *e = random_entry(m);

	if (e != NULL)
		track_event(m, e, random_event(m, e));
}

/* Random packets rarely do that: a handshake, and a reset after it. */
static void
do_finish(struct model *m)
{
	struct entry *e = random_entry(m);
	struct connection_event event = {.len = 40};

	/* rather one that is not over yet */
	for (int i = 0; i < 16 && e != NULL && e->state == CONNECTION_TIME_WAIT; i++)
		e = random_entry(m);
	if (e == NULL || e->what.protocol != IPPROTO_TCP)
		return;
	event.tcp_flags = SYN;
	event.tcp_seq = 1000;
	track_event(m, e, event);
	event.side = CONNECTION_FROM_SERVER;
	event.tcp_flags = SYN | ACK;
	event.tcp_seq = 5000;
	event.tcp_ack = 1001;
	track_event(m, e, event);
	event.side = CONNECTION_FROM_CLIENT;
	event.tcp_flags = ACK;
	event.tcp_seq = e->c->client_seq;
	event.tcp_ack = e->c->server_seq;
	track_event(m, e, event);
	event.tcp_flags = RST;
	track_event(m, e, event);
	assert_int_equal(e->state, CONNECTION_TIME_WAIT);
}

static void
do_end(struct model *m)
{
	struct entry *e = random_entry(m);

	if (e == NULL)
		return;
	connection_end(m->table, e->c);
	assert_int_equal(m->ended, 1);
	assert_null(e->c);
}

/* None goes before its time; when all that is due has been done, none is left after it. */
static void
do_time(struct model *m)
{
	uint64_t due[ENTRIES_MAX];
	uint32_t budget = 1 + below(m, 50), ended;
	bool there[ENTRIES_MAX];

	m->now += (uint64_t)below(m, m->run->jump) * CLOCK_MILLISECOND;
	if (below(m, 100) == 0)
		m->now += 2000 * CLOCK_SECOND;
	if (below(m, 3) == 0)
		return;
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		there[i] = m->entries[i].c != NULL;
		due[i] = there[i] ? deadline(&m->entries[i]) : 0;
	}
	do {
		m->ended = 0;
		ended = connection_expire(m->table, m->now, budget);
		assert_true(ended <= budget);
		assert_int_equal(ended, m->ended);
		m->expired += ended;
	} while (connection_next_expiry(m->table) <= m->now);
	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		if (there[i] && m->entries[i].c == NULL)
			assert_true(due[i] <= m->now);
		if (m->entries[i].c != NULL)
			assert_true(due[i] + SLACK > m->now);
	}
}

/* Everything that can be counted. */
static void
check_all(struct model *m)
{
	uint64_t by_kind[CONNECTION_KINDS] = {0}, by_state[CONNECTION_STATES] = {0};
	uint64_t first = UINT64_MAX, next = connection_next_expiry(m->table);
	struct connection_counts counts;
	struct connection *c;
	uint32_t cursor = 0, n = 0;
	int64_t active = 0;

	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		const struct entry *e = &m->entries[i];

		if (e->c == NULL)
			continue;
		by_kind[e->what.kind]++;
		by_state[e->state]++;
		active += is_active(e->state);
		if (deadline(e) < first)
			first = deadline(e);
		assert_true(deadline(e) <= m->now +
			connection_remaining_ms(m->table, e->c, m->now) * CLOCK_MILLISECOND +
			CLOCK_MILLISECOND);
	}
	connection_table_counts(m->table, &counts);
	assert_int_equal(counts.live, m->live);
	assert_memory_equal(counts.by_kind, by_kind, sizeof(by_kind));
	assert_memory_equal(counts.by_state, by_state, sizeof(by_state));
	assert_true(active == m->active);
	assert_true(m->live == 0 ? next == UINT64_MAX : next <= first + SLACK);
	while ((c = connection_walk(m->table, &cursor)) != NULL) {
		entry_of(m, c);
		n++;
	}
	assert_int_equal(n, m->live);
}

static void
play(struct model *m, const struct run *run)
{
	struct connection_settings settings = settings_of(run->capacity);

	memset(m, 0, sizeof(*m));
	settings.timeouts = timeouts;
	settings.hash_key.k[0] = run->seed;
	m->run = run;
	m->now = START;
	random_init(&m->random, run->seed);
	m->table = connection_table_new(&settings, m->now);
	assert_non_null(m->table);
	connection_table_set_change(m->table, changed, m);
	connection_table_set_port_taken(m->table, port_taken, m);
	for (uint32_t i = 0; i < run->operations; i++) {
		uint32_t dice = below(m, 100), others = run->open + run->end;

		m->ended = 0;
		if (dice < run->open)
			do_open(m);
		else if (dice < others)
			do_end(m);
		else if (dice < others + run->finish)
			do_finish(m);
		else if (dice < others + run->finish + 3)
			do_time(m);
		else if (dice % 2 == 0)
			do_find(m);
		else
			do_track(m);
		if (i % 64 == 0)
			check_all(m);
	}
	check_all(m);
	connection_table_free(m->table);
}

static struct model model;

/* Room for all, ports for all: nothing but time ends a connection. */
static void
test_roomy(void **state)
{
	static const struct run run = {
	    .seed = 1,
	    .capacity = 1800,
	    .clients = 5,
	    .services = 2,
	    .servers = 4,
	    .selves = 2,
	    .port_step = 1,
	    .operations = 100000,
	    .open = 30,
	    .end = 1,
	    .jump = 8000,
	};

	(void)state;
	play(&model, &run);
	assert_true(model.opened > 10000 && model.existed > 500 && model.expired > 10000);
	assert_true(model.found > 5000 && model.missed > 5000);
	assert_int_equal(model.refused_full, 0);
}

/* The smallest table, full all the time. */
static void
test_tiny(void **state)
{
	static const struct run run = {
	    .seed = 2,
	    .capacity = 16,
	    .clients = 50,
	    .services = 2,
	    .servers = 3,
	    .selves = 1,
	    .port_step = 1,
	    .operations = 150000,
	    .open = 20,
	    .end = 2,
	    .finish = 2,
	    .jump = 20000,
	};

	(void)state;
	play(&model, &run);
	assert_true(model.evicted > 5000 && model.refused_full > 1000 && model.expired > 1000);
	assert_true(model.evicted_over > 500);
}

/* A flood: almost nothing but opening. */
static void
test_flood(void **state)
{
	static const struct run run = {
	    .seed = 3,
	    .capacity = 1000,
	    .clients = 100000,
	    .services = 1,
	    .servers = 10,
	    .selves = 3,
	    .port_step = 1,
	    .operations = 100000,
	    .open = 85,
	    .end = 0,
	    .jump = 200,
	};

	(void)state;
	play(&model, &run);
	assert_true(model.evicted > 30000);
}

/* Fewer ports than connections. */
static void
test_few_ports(void **state)
{
	static const struct run run = {
	    .seed = 4,
	    .capacity = 500,
	    .clients = 1000,
	    .services = 2,
	    .servers = 1,
	    .selves = 1,
	    .port_step = 256,
	    .operations = 100000,
	    .open = 30,
	    .end = 4,
	    .finish = 30,
	    .jump = 8000,
	    .tcp_only = true,
	};

	(void)state;
	play(&model, &run);
	assert_true(model.refused_ports > 300 && model.opened > 5000);
	assert_true(model.ports_taken > 100);
}

/* Short connections: most of the table is over. */
static void
test_short_connections(void **state)
{
	static const struct run run = {
	    .seed = 5,
	    .capacity = 300,
	    .clients = 100000,
	    .services = 1,
	    .servers = 3,
	    .selves = 1,
	    .port_step = 1,
	    .operations = 100000,
	    .open = 30,
	    .end = 0,
	    .finish = 40,
	    .jump = 600,
	    .tcp_only = true,
	};

	(void)state;
	play(&model, &run);
	assert_true(model.evicted_over > 5000 && model.expired > 100);
}

/* Many short runs of everything, from different seeds. */
static void
test_mixed(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 160; seed++) {
		struct run run = {
		    .seed = seed,
		    .capacity = 16u << seed % 7,
		    .clients = 1u + (uint32_t)(seed * seed % 97),
		    .services = 1 + seed % 3,
		    .servers = 1 + seed % 5,
		    .selves = 1 + seed % 2,
		    .port_step = seed % 4 == 0 ? 256 : 1,
		    .operations = 4000,
		    .open = 15 + seed % 40,
		    .end = seed % 5,
		    .finish = seed % 3 * 8,
		    .jump = 1u << (4 + seed % 14),
		};

		play(&model, &run);
		assert_true(model.opened > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roomy),
	    cmocka_unit_test(test_tiny),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_few_ports),
	    cmocka_unit_test(test_short_connections),
	    cmocka_unit_test(test_mixed),
	};

	return cmocka_run_group_tests_name("connection_model", tests, NULL, NULL);
}
