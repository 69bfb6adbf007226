#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/random.h"
#include "frames.h"
#include "packet/fragment.h"

static const struct siphash_key key = {{1, 2}};

struct rig {
	struct fragment_store *store;
	struct counters counters;
	uint64_t now;
};

/* What a fragment of the tests is made of. */
struct make {
	int version;
	uint8_t protocol;
	uint32_t offset, len;
	bool more;
	uint32_t id;
	int sender;
};

static struct frame f;

static int
setup(void **state)
{
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	rig.store = fragment_store_new(&key, &rig.counters);
	rig.now = CLOCK_SECOND;
	*state = &rig;
	return rig.store == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	fragment_store_free(r->store);
	return 0;
}

static struct packet
build(const struct make *m)
{
	struct addr source = frame_addr(m->version == 4 ? "192.0.2.1" : "2001:db8::1", 1000);
	struct addr destination = frame_addr(m->version == 4 ? "192.0.2.2" : "2001:db8::2", 53);
	struct packet p;

	source.ip.octet[15] = (uint8_t)(source.ip.octet[15] + m->sender);
	source.port = (uint16_t)(source.port + m->sender);
	frame_ip(&f, &source, &destination, m->protocol != 0 ? m->protocol : IPPROTO_UDP);
	frame_fragment(&f, m->offset, m->more, m->id);
	if (m->offset == 0 && m->protocol == IPPROTO_TCP)
		frame_tcp(&f, source.port, destination.port, 1, 2, TCP_ACK, NULL, 0);
	else if (m->offset == 0)
		frame_udp(&f, source.port, destination.port);
	frame_payload(&f, m->len - (f.len - f.transport));
	frame_finish(&f);
	p = frame_packet(&f);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.fragment_len, m->len);
	return p;
}

enum outcome { GOES_ON, WAITS, REFUSED };

/* Enters a fragment and lets those go on that waited; *released: how many. */
static enum outcome
enter_all(struct rig *r, const struct make *m, unsigned *released, enum drop *drop)
{
	struct packet p = build(m), out;
	struct fragment_datagram *d;

	*released = 0;
	*drop = fragment_enter(r->store, &p, 0, r->now, &d);
	if (*drop != DROP_none) {
		assert_null(d);
		return REFUSED;
	}
	if (d == NULL)
		return WAITS;
	assert_int_equal(p.source.port, 1000 + m->sender);
	assert_int_equal(p.destination.port, 53);
	while (fragment_next(r->store, d, &out)) {
		assert_int_equal(out.fragment, PACKET_LATER_FRAGMENT);
		assert_int_equal(out.source.port, 1000 + m->sender);
		assert_int_equal(out.destination.port, 53);
		assert_int_equal(out.fragment_id, m->id);
		assert_true(out.headroom >= FRAGMENT_HEADROOM);
		(*released)++;
	}
	fragment_done(r->store, d);
	return GOES_ON;
}

static enum outcome
enter(struct rig *r, struct make m)
{
	unsigned released;
	enum drop drop;

	return enter_all(r, &m, &released, &drop);
}

static unsigned
enter_first(struct rig *r, struct make m)
{
	unsigned released;
	enum drop drop;

	assert_int_equal(enter_all(r, &m, &released, &drop), GOES_ON);
	return released;
}

static enum drop
enter_bad(struct rig *r, struct make m)
{
	unsigned released;
	enum drop drop;

	assert_int_equal(enter_all(r, &m, &released, &drop), REFUSED);
	return drop;
}

static void
assert_empty(struct rig *r)
{
	assert_int_equal(fragment_bytes(r->store), 0);
	assert_int_equal(fragment_datagrams(r->store), 0);
	assert_true(fragment_next_expiry(r->store) == UINT64_MAX);
}

#define FIRST(v) \
	{ \
		.version = v, .offset = 0, .len = 800, .more = true, .id = 7 \
	}
#define SECOND(v) \
	{ \
		.version = v, .offset = 800, .len = 800, .more = true, .id = 7 \
	}
#define LAST(v) \
	{ \
		.version = v, .offset = 1600, .len = 100, .more = false, .id = 7 \
	}

static void
test_in_order(void **state)
{
	struct rig *r = *state;

	for (int v = 4; v <= 6; v += 2) {
		assert_int_equal(enter(r, (struct make)FIRST(v)), GOES_ON);
		assert_int_equal(fragment_datagrams(r->store), 1);
		assert_int_equal(enter(r, (struct make)SECOND(v)), GOES_ON);
		assert_int_equal(enter(r, (struct make)LAST(v)), GOES_ON);
		assert_empty(r);
	}
}

static void
test_early_ones_wait(void **state)
{
	struct rig *r = *state;

	for (int v = 4; v <= 6; v += 2) {
		assert_int_equal(enter(r, (struct make)LAST(v)), WAITS);
		assert_int_equal(enter(r, (struct make)SECOND(v)), WAITS);
		/* 100 and 800 octets, with headers: blocks of 512 */
		assert_int_equal(fragment_bytes(r->store), 3 * 512);
		assert_int_equal(enter_first(r, (struct make)FIRST(v)), 2);
		assert_empty(r);
	}
	assert_int_equal(r->counters.counter[COUNTER_fragments_held], 4);
}

/* What is released is what came, octet for octet. */
static void
test_released_octets(void **state)
{
	static uint8_t kept[8][PACKET_MAX + 64];
	struct rig *r = *state;
	struct fragment_datagram *d;
	struct packet p, out;
	uint32_t lens[] = {8, 448, 456, 464, 504, 512, 1480, 30000}, at = 2000, sizes[8];

	for (int v = 4; v <= 6; v += 2) {
		for (int i = 0; i < 8; i++, at += 8 + lens[i - 1]) {
			struct make m = {
			    .version = v, .offset = at, .len = lens[i], .more = true, .id = 9};

			p = build(&m);
			memcpy(kept[i], p.data, p.len);
			sizes[i] = p.len;
			assert_int_equal(fragment_enter(r->store, &p, 0, r->now, &d), DROP_none);
			assert_null(d);
			/* the copy counts, not what becomes of the buffer */
			memset(p.data, 0, p.len);
		}
		at = 2000;
		p = build(&(struct make){.version = v, .len = 800, .more = true, .id = 9});
		assert_int_equal(fragment_enter(r->store, &p, 0, r->now, &d), DROP_none);
		for (int i = 0; i < 8; i++) {
			assert_true(fragment_next(r->store, d, &out));
			assert_int_equal(out.len, sizes[i]);
			assert_memory_equal(out.data, kept[i], sizes[i]);
			memset(out.data - FRAGMENT_HEADROOM, 0xee, FRAGMENT_HEADROOM);
		}
		assert_false(fragment_next(r->store, d, &out));
		fragment_done(r->store, d);
		assert_int_equal(fragment_bytes(r->store), 0);
	}
}

/* Everything of the name tells datagrams apart. */
static void
test_names(void **state)
{
	struct rig *r = *state;
	struct fragment_datagram *d;
	struct packet p;

	assert_int_equal(enter(r, (struct make)FIRST(4)), GOES_ON);
	assert_int_equal(enter(r, (struct make)SECOND(6)), WAITS);
	assert_int_equal(enter(r, (struct make){4, 0, 800, 800, true, 8, 0}), WAITS);
	assert_int_equal(enter(r, (struct make){4, 0, 800, 800, true, 7, 1}), WAITS);
	assert_int_equal(enter(r, (struct make){4, IPPROTO_TCP, 800, 800, true, 7, 0}), WAITS);
	p = build(&(struct make)SECOND(4));
	assert_int_equal(fragment_enter(r->store, &p, 3, r->now, &d), DROP_none);
	assert_null(d);
	assert_int_equal(fragment_datagrams(r->store), 6);
	assert_int_equal(enter(r, (struct make)SECOND(4)), GOES_ON);
	/* identifications of IPv6 have 32 bits */
	assert_int_equal(enter(r, (struct make){6, 0, 800, 800, true, 0x10007, 0}), WAITS);
	assert_int_equal(fragment_datagrams(r->store), 7);
}

static void
test_doubled(void **state)
{
	struct rig *r = *state;

	assert_int_equal(enter(r, (struct make)SECOND(4)), WAITS);
	assert_int_equal(enter_bad(r, (struct make)SECOND(4)), DROP_fragment_overlap);
	assert_int_equal(enter_first(r, (struct make)FIRST(4)), 1);
	assert_int_equal(enter_bad(r, (struct make)FIRST(4)), DROP_fragment_overlap);
	assert_int_equal(enter_bad(r, (struct make)SECOND(4)), DROP_fragment_overlap);
	assert_int_equal(enter(r, (struct make)LAST(4)), GOES_ON);
	assert_empty(r);
}

/* Every pair of ranges: refused if and only if they share an octet or contradict each other. */
static void
test_every_overlap(void **state)
{
	struct rig *r = *state;
	uint32_t id = 0;

	for (uint32_t a = 1; a < 6; a++)
		for (uint32_t b = a + 1; b < 7; b++)
			for (uint32_t c = 1; c < 6; c++)
				for (uint32_t d = c + 1; d < 7; d++) {
					bool same = a == c && b == d;
					bool overlap = a < d && c < b;
					enum outcome outcome;

					id++;
					assert_int_equal(enter(r,
							     (struct make){4, 0, 8 * a,
								 8 * (b - a), true, id, 0}),
					    WAITS);
					outcome = enter(r,
					    (struct make){4, 0, 8 * c, 8 * (d - c), true, id, 0});
					assert_int_equal(outcome, overlap ? REFUSED : WAITS);
					/* the first tells what has become of them */
					outcome =
					    enter(r, (struct make){4, 0, 0, 8, true, id, 0});
					assert_int_equal(
					    outcome, overlap && !same ? REFUSED : GOES_ON);
				}
	assert_int_equal(fragment_bytes(r->store), 0);
}

static void
test_contradicting_ends(void **state)
{
	struct rig *r = *state;

	/* behind the last, before what came, a second last */
	assert_int_equal(enter(r, (struct make){4, 0, 800, 8, false, 1, 0}), WAITS);
	assert_int_equal(
	    enter_bad(r, (struct make){4, 0, 808, 8, true, 1, 0}), DROP_fragment_overlap);
	assert_int_equal(enter(r, (struct make){4, 0, 800, 8, true, 2, 0}), WAITS);
	assert_int_equal(
	    enter_bad(r, (struct make){4, 0, 400, 8, false, 2, 0}), DROP_fragment_overlap);
	assert_int_equal(enter(r, (struct make){4, 0, 800, 8, false, 3, 0}), WAITS);
	assert_int_equal(
	    enter_bad(r, (struct make){4, 0, 400, 8, false, 3, 0}), DROP_fragment_overlap);
	/* all that comes of them now is dropped, and what waited is gone */
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(
		    enter_bad(r, (struct make){4, 0, 0, 400, true, id, 0}), DROP_fragment);
	assert_int_equal(r->counters.drop[DROP_fragment_overlap], 3);
	assert_int_equal(fragment_bytes(r->store), 0);
}

static void
test_time(void **state)
{
	struct rig *r = *state;
	uint64_t start = r->now;

	assert_int_equal(enter(r, (struct make)SECOND(4)), WAITS);
	assert_true(fragment_next_expiry(r->store) == start + FRAGMENT_TIMEOUT);
	r->now = start + FRAGMENT_TIMEOUT - 1;
	assert_int_equal(enter(r, (struct make)LAST(4)), WAITS);
	assert_int_equal(enter(r, (struct make)SECOND(6)), WAITS);
	fragment_expire(r->store, r->now);
	assert_int_equal(fragment_datagrams(r->store), 2);
	fragment_expire(r->store, start + FRAGMENT_TIMEOUT);
	assert_int_equal(fragment_datagrams(r->store), 1);
	assert_int_equal(r->counters.drop[DROP_fragment_timeout], 2);
	assert_true(fragment_next_expiry(r->store) == r->now + FRAGMENT_TIMEOUT);
	fragment_expire(r->store, r->now + FRAGMENT_TIMEOUT);
	assert_int_equal(r->counters.drop[DROP_fragment_timeout], 3);
	assert_empty(r);
}

/* A refused datagram is remembered for its time, so that the rest of it is known. */
static void
test_refused(void **state)
{
	struct rig *r = *state;
	struct fragment_datagram *d;
	struct packet p = build(&(struct make)FIRST(4)), out;

	assert_int_equal(fragment_enter(r->store, &p, 0, r->now, &d), DROP_none);
	fragment_refuse(r->store, d);
	assert_false(fragment_next(r->store, d, &out));
	fragment_done(r->store, d);
	assert_int_equal(enter_bad(r, (struct make)SECOND(4)), DROP_fragment);
	assert_int_equal(enter_bad(r, (struct make)FIRST(4)), DROP_fragment);
	r->now += FRAGMENT_TIMEOUT;
	assert_int_equal(enter(r, (struct make)SECOND(4)), WAITS);
	p = build(&(struct make)FIRST(4));
	assert_int_equal(fragment_enter(r->store, &p, 0, r->now, &d), DROP_none);
	fragment_refuse(r->store, d);
	assert_int_equal(r->counters.drop[DROP_fragment], 1);
	fragment_done(r->store, d);
	assert_int_equal(fragment_bytes(r->store), 0);
}

static void
test_waiting_limit(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 1; i <= FRAGMENT_WAITING; i++)
		assert_int_equal(enter(r, (struct make){6, 0, 8 * i, 8, true, 1, 0}), WAITS);
	assert_int_equal(
	    enter_bad(r, (struct make){6, 0, 8000, 8, true, 1, 0}), DROP_fragment_limit);
	assert_int_equal(r->counters.drop[DROP_fragment_limit], FRAGMENT_WAITING);
	assert_int_equal(fragment_bytes(r->store), 0);
}

static void
test_pieces_limit(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 0; i < FRAGMENT_PIECES; i++)
		assert_int_equal(enter(r, (struct make){6, 0, 8 * i, 8, true, 1, 0}), GOES_ON);
	assert_int_equal(
	    enter_bad(r, (struct make){6, 0, 8000, 8, true, 1, 0}), DROP_fragment_limit);
	assert_int_equal(enter_bad(r, (struct make){6, 0, 9000, 8, true, 1, 0}), DROP_fragment);
}

/* The store is full of large ones: the oldest goes as a whole, nothing else. */
static void
test_bytes_limit(void **state)
{
	struct rig *r = *state;
	uint32_t count = 0;

	while (r->counters.drop[DROP_fragment_limit] == 0) {
		assert_int_equal(enter(r, (struct make){4, 0, 8, 32000, true, count, 0}), WAITS);
		assert_int_equal(
		    enter(r, (struct make){4, 0, 32008, 32000, true, count, 0}), WAITS);
		assert_true(fragment_bytes(r->store) <= FRAGMENT_BYTES);
		count++;
	}
	assert_true(fragment_bytes(r->store) > FRAGMENT_BYTES - 2 * 32768);
	assert_int_equal(count, FRAGMENT_BYTES / (2 * 63 * 512) + 1);
	assert_int_equal(r->counters.drop[DROP_fragment_limit], 2);
	assert_int_equal(enter_bad(r, (struct make){4, 0, 0, 8, true, 0, 0}), DROP_fragment);
	for (uint32_t id = 1; id < count; id++)
		assert_int_equal(enter_first(r, (struct make){4, 0, 0, 8, true, id, 0}), 2);
	assert_int_equal(fragment_bytes(r->store), 0);
}

/* A datagram never makes room for itself at its own cost: the oldest other one goes. */
static void
test_room_for_the_oldest(void **state)
{
	struct rig *r = *state;
	const uint32_t each = 63 * 512;
	uint32_t id;

	assert_int_equal(enter(r, (struct make){4, 0, 8, 32000, true, 0, 0}), WAITS);
	for (id = 1; fragment_bytes(r->store) + each <= FRAGMENT_BYTES; id++)
		assert_int_equal(enter(r, (struct make){4, 0, 8, 32000, true, id, 0}), WAITS);
	assert_int_equal(r->counters.drop[DROP_fragment_limit], 0);
	assert_int_equal(enter(r, (struct make){4, 0, 32008, 32000, true, 0, 0}), WAITS);
	assert_int_equal(r->counters.drop[DROP_fragment_limit], 1);
	assert_int_equal(enter_first(r, (struct make){4, 0, 0, 8, true, 0, 0}), 2);
	assert_int_equal(enter_bad(r, (struct make){4, 0, 0, 8, true, 1, 0}), DROP_fragment);
	while (--id > 1)
		assert_int_equal(enter_first(r, (struct make){4, 0, 0, 8, true, id, 0}), 1);
	assert_int_equal(fragment_bytes(r->store), 0);
}

static void
test_datagram_that_fills_much(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 0; i < 63; i++)
		assert_int_equal(
		    enter(r, (struct make){6, 0, 8 + i * 1032, 1032, true, 1, 0}), WAITS);
	assert_int_equal(r->counters.drop[DROP_fragment_limit], 0);
	assert_int_equal(enter_first(r, (struct make){6, 0, 0, 8, true, 1, 0}), 63);
}

static void
test_datagrams_limit(void **state)
{
	struct rig *r = *state;

	for (uint32_t id = 0; id < FRAGMENT_DATAGRAMS + 10; id++)
		assert_int_equal(enter(r, (struct make){4, 0, 800, 8, true, id, 0}), WAITS);
	assert_int_equal(fragment_datagrams(r->store), FRAGMENT_DATAGRAMS);
	assert_int_equal(r->counters.drop[DROP_fragment_limit], 10);
	/* from the youngest on, because each oldest that returns takes another's place */
	for (uint32_t id = FRAGMENT_DATAGRAMS + 10; id-- > 10;)
		assert_int_equal(enter_first(r, (struct make){4, 0, 0, 800, true, id, 0}), 1);
	assert_int_equal(enter_first(r, (struct make){4, 0, 0, 800, true, 3, 0}), 0);
}

static void
test_largest(void **state)
{
	struct rig *r = *state;

	for (int v = 4; v <= 6; v += 2) {
		uint32_t most = v == 4 ? 65515 : 65527;

		assert_int_equal(enter(r, (struct make){v, 0, 8, most - 8, false, 1, 0}), WAITS);
		assert_int_equal(enter_first(r, (struct make){v, 0, 0, 8, true, 1, 0}), 1);
		assert_empty(r);
	}
}

static void
test_first_of_tcp(void **state)
{
	struct rig *r = *state;

	assert_int_equal(enter(r, (struct make){4, IPPROTO_TCP, 40, 80, false, 1, 0}), WAITS);
	assert_int_equal(enter_first(r, (struct make){4, IPPROTO_TCP, 0, 40, true, 1, 0}), 1);
	assert_empty(r);
}

/*
 * Random fragments against a model that remembers, in plain arrays, which octets of which
 * datagram came.  Few names, so that everything happens to them; time passes.
 */
#define NAMES 6
#define UNITS 24 /* octets by 8 */

struct model {
	bool known, refused, first;
	uint8_t taken[UNITS]; /* the number of the fragment that brought it, 0: none */
	uint8_t fragments, last;
	unsigned waiting, end;
	uint64_t since;
};

static bool
model_is_same(const struct model *m, uint32_t start, uint32_t end)
{
	uint8_t number = m->taken[start];

	for (uint32_t i = start; i < end; i++)
		if (m->taken[i] != number)
			return false;
	return number != 0 && (start == 0 || m->taken[start - 1] != number) &&
	    (end == UNITS || m->taken[end] != number);
}

static bool
model_contradicts(const struct model *m, uint32_t start, uint32_t end, bool more)
{
	for (uint32_t i = 0; i < UNITS; i++) {
		if (m->taken[i] == 0)
			continue;
		if ((i >= start && i < end) || (!more && i >= end))
			return true;
	}
	return m->end != 0 && (end > m->end || !more);
}

static enum outcome
model_enter(struct model *m, uint32_t start, uint32_t end, bool more, unsigned *released)
{
	unsigned seen = 0;

	*released = 0;
	if (m->refused || model_is_same(m, start, end))
		return REFUSED;
	if (model_contradicts(m, start, end, more)) {
		m->refused = true;
		return REFUSED;
	}
	m->fragments++;
	memset(m->taken + start, m->fragments, end - start);
	if (!more)
		m->end = end;
	if (start == 0) {
		m->first = true;
		*released = m->waiting;
		m->waiting = 0;
	} else if (!m->first) {
		m->waiting++;
		return WAITS;
	}
	for (uint32_t i = 0; i < UNITS; i++)
		seen += m->taken[i] != 0;
	if (seen == m->end)
		memset(m, 0, sizeof(*m));
	return GOES_ON;
}

static void
test_model(void **state)
{
	static struct model models[NAMES];
	struct rig *r = *state;
	struct random random;
	unsigned released, expected, outcomes[3] = {0};
	enum drop drop;

	random_init(&random, 5722);
	memset(models, 0, sizeof(models));
	for (int i = 0; i < 300000; i++) {
		uint32_t name = random_below(&random, NAMES);
		uint32_t start = random_below(&random, UNITS / 4) * 4;
		uint32_t end = start + 1 + random_below(&random, UNITS - start);
		bool more = random_below(&random, 3) > 0 || start == 0;
		struct model *m = &models[name];
		struct make make = {
		    name % 2 ? 4 : 6, 0, 8 * start, 8 * (end - start), more, name, 0};
		enum outcome got;

		if (random_below(&random, 2) > 0)
			end = start + 4;
		make.len = 8 * (end - start);
		r->now += random_below(&random, 10) * (CLOCK_SECOND / 100);
		for (uint32_t n = 0; n < NAMES; n++)
			if (models[n].known && models[n].since + FRAGMENT_TIMEOUT <= r->now)
				memset(&models[n], 0, sizeof(models[n]));
		if (!m->known)
			m->since = r->now;
		m->known = true;
		got = enter_all(r, &make, &released, &drop);
		assert_int_equal(got, model_enter(m, start, end, more, &expected));
		if (got == GOES_ON)
			assert_int_equal(released, expected);
		outcomes[got]++;
	}
	for (int i = 0; i < 3; i++)
		assert_true(outcomes[i] > 10000);
	fragment_expire(r->store, r->now + FRAGMENT_TIMEOUT);
	assert_empty(r);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_in_order),
	    TEST(test_early_ones_wait),
	    TEST(test_released_octets),
	    TEST(test_names),
	    TEST(test_doubled),
	    TEST(test_every_overlap),
	    TEST(test_contradicting_ends),
	    TEST(test_time),
	    TEST(test_refused),
	    TEST(test_waiting_limit),
	    TEST(test_pieces_limit),
	    TEST(test_bytes_limit),
	    TEST(test_room_for_the_oldest),
	    TEST(test_datagram_that_fills_much),
	    TEST(test_datagrams_limit),
	    TEST(test_largest),
	    TEST(test_first_of_tcp),
	    TEST(test_model),
	};

	return cmocka_run_group_tests_name("fragment", tests, NULL, NULL);
}
