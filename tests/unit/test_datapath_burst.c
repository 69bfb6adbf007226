/*
 * datapath_burst: packets that come many at a time, from the device and from another site, fare
 * as they do one by one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "two_sites.h"

#define BATCH   60 /* packets put at once: more than are looked up together */
#define BATCHES 100
#define CLIENTS 12

/* What has left Y: enough to tell packets apart. */
struct seen {
	uint32_t len, mark;
	uint8_t version, protocol;
	uint16_t reply; /* of a server */
};

static struct two_sites together, alone;
static struct seen seen[2][2 * BATCH];
static struct frame frames[BATCH];
static uint32_t next[2][UINT16_MAX + 1]; /* lowest mark that may follow, by family and port */

static struct addr
client(unsigned number, bool v4)
{
	char text[IP_TEXT];

	snprintf(text, sizeof(text), v4 ? "192.0.2.%u" : "2001:db8:77::%x", number + 1);
	return frame_addr(text, (uint16_t)(4000 + number));
}

static struct addr
service(uint16_t port, bool v4)
{
	return frame_addr(v4 ? "203.0.113.10" : "2001:db8:1::10", port);
}

/* ---- what comes ---- */

/* Lengths grow: no two neighbours can be joined. */
static void
make_udp(struct frame *f, const struct addr *from, const struct addr *to, unsigned n)
{
	frame_ip(f, from, to, IPPROTO_UDP);
	frame_udp(f, from->port, to->port);
	frame_payload(f, 8 + n);
	frame_put32(f->octets + f->transport + 8, n);
	frame_finish(f);
}

static void
make_tcp(
    struct frame *f, const struct addr *from, const struct addr *to, uint8_t flags, unsigned n)
{
	frame_ip(f, from, to, IPPROTO_TCP);
	frame_tcp(f, from->port, to->port, n, 500, flags, NULL, 0);
	frame_finish(f);
}

static void
make_echo(struct frame *f, const struct addr *from, const struct addr *to, unsigned n)
{
	frame_ip(f, from, to, ip_is_v4(&to->ip) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	frame_icmp(f, ip_is_v4(&to->ip) ? 8 : 128, 0, n);
	frame_finish(f);
}

static void
make_packet(struct frame *f, struct random *random, unsigned n)
{
	bool v4 = random_below(random, 2) == 0;
	struct addr from = client(random_below(random, CLIENTS), v4);
	struct addr dns = service(53, v4), web = service(80, v4), stray = service(99, v4);

	switch (random_below(random, 12)) {
	case 0:
	case 1:
		make_tcp(f, &from, &web, TCP_SYN, n);
		break;
	case 2:
		make_tcp(f, &from, &web, TCP_ACK, n);
		break;
	case 3:
		make_echo(f, &from, &dns, n);
		break;
	case 4:
		make_udp(f, &from, &stray, n);
		break;
	case 5: /* no IP at all */
		make_udp(f, &from, &dns, n);
		f->octets[0] = 0;
		break;
	case 6: /* the only fragment of its datagram */
		frame_ip(f, &from, &dns, IPPROTO_UDP);
		frame_fragment(f, 0, true, n);
		frame_udp(f, from.port, dns.port);
		frame_payload(f, 64);
		frame_put32(f->octets + f->transport + 8, n);
		frame_finish(f);
		break;
	default:
		make_udp(f, &from, &dns, n);
	}
}

static void
make_batch(struct random *random)
{
	for (unsigned n = 0; n < BATCH; n++)
		make_packet(&frames[n], random, n);
}

/* ---- what comes of it ---- */

static void
put(struct instance *i, const struct frame *f)
{
	assert_int_equal(memory_put_packet(i->io, f->octets, f->len, 0, 0, false), 0);
}

static void
run_x(struct two_sites *t)
{
	struct memory_packet answer;

	while (datapath_run_device(t->x->datapath, t->now) > 0)
		;
	instance_carry(t->x, t->y, t->now);
	while (memory_take_packet(t->x->io, &answer))
		;
}

static void
run_y(struct two_sites *t)
{
	while (datapath_run_device(t->y->datapath, t->now) > 0)
		;
}

static uint32_t
mark_of(const struct packet *p)
{
	const uint8_t *transport = p->data + p->transport;

	return frame_get32(transport + (p->protocol == IPPROTO_UDP ? 8 : 4));
}

/* Flows may overtake each other, but nothing what is of its own flow; the source at Y tells
 * them apart. */
static void
assert_in_order(const struct packet *p)
{
	uint32_t *of_flow = &next[p->version == 4][p->source.port];

	assert_true(mark_of(p) >= *of_flow);
	*of_flow = mark_of(p) + 1;
}

static int
in_any_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seen));
}

static unsigned
take(struct two_sites *t, struct seen *list, unsigned count, bool reply, struct frame *answers)
{
	struct memory_packet out;

	while (memory_take_packet(t->y->io, &out)) {
		struct packet p = {.data = out.data, .len = (uint32_t)out.len};
		bool is_answer = answers != NULL;

		assert_true(count < 2 * BATCH);
		assert_int_equal(packet_parse(&p), DROP_none);
		is_answer &= p.protocol == IPPROTO_UDP && p.fragment == PACKET_WHOLE;
		if (!reply && p.protocol == IPPROTO_UDP)
			assert_in_order(&p);
		assert_true(p.fragment != PACKET_WHOLE || frame_is_right(out.data, out.len));
		list[count] = (struct seen){p.len, mark_of(&p), p.version, p.protocol, reply};
		if (is_answer)
			make_udp(&answers[count], &p.destination, &p.source, list[count].mark);
		else if (answers != NULL)
			answers[count].len = 0;
		count++;
	}
	return count;
}

/* All at once: to X, to Y, the servers' answers to Y. */
static unsigned
send_together(struct two_sites *t, struct seen *list)
{
	static struct frame answers[2 * BATCH];
	unsigned count, forth;

	memset(next, 0, sizeof(next));
	for (unsigned n = 0; n < BATCH; n++)
		put(t->x, &frames[n]);
	run_x(t);
	forth = take(t, list, 0, false, answers);
	for (unsigned n = 0; n < forth; n++)
		if (answers[n].len > 0)
			put(t->y, &answers[n]);
	run_y(t);
	count = take(t, list, forth, true, NULL);
	assert_true(count > forth);
	return count;
}

/* The same, each packet after the one before has arrived. */
static unsigned
send_alone(struct two_sites *t, struct seen *list)
{
	static struct frame answers[2 * BATCH];
	unsigned count = 0, forth;

	memset(next, 0, sizeof(next));
	for (unsigned n = 0; n < BATCH; n++) {
		put(t->x, &frames[n]);
		run_x(t);
		count = take(t, list, count, false, answers);
	}
	forth = count;
	for (unsigned n = 0; n < forth; n++) {
		if (answers[n].len == 0)
			continue;
		put(t->y, &answers[n]);
		run_y(t);
		count = take(t, list, count, true, NULL);
	}
	return count;
}

static void
assert_same_counts(const struct instance *a, const struct instance *b)
{
	assert_memory_equal(
	    a->counters.counter, b->counters.counter, sizeof(a->counters.counter));
	assert_memory_equal(a->counters.drop, b->counters.drop, sizeof(a->counters.drop));
}

static void
test_as_one_by_one(void **state)
{
	struct random random;
	unsigned told = 0;

	(void)state;
	random_init(&random, 17);
	for (int i = 0; i < BATCHES; i++) {
		unsigned count;

		make_batch(&random);
		count = send_together(&together, seen[0]);
		assert_int_equal(send_alone(&alone, seen[1]), count);
		qsort(seen[0], count, sizeof(seen[0][0]), in_any_order);
		qsort(seen[1], count, sizeof(seen[0][0]), in_any_order);
		assert_memory_equal(seen[0], seen[1], count * sizeof(seen[0][0]));
		assert_same_counts(together.x, alone.x);
		assert_same_counts(together.y, alone.y);
		together.now += CLOCK_SECOND;
		alone.now += CLOCK_SECOND;
		told += count;
	}
	print_message("%u packets out of %u\n", told, BATCHES * BATCH);
	assert_true(together.y->counters.counter[COUNTER_transfer_packets_in] > 0);
	assert_true(together.x->counters.drop[DROP_bad_version] > 0);
}

/* In the end no record names a server, however each has ended. */
static void
test_servers_are_let_go(void **state)
{
	struct load_table *load = together.y->load;
	struct random random;
	uint64_t named = 0;

	(void)state;
	random_init(&random, 19);
	make_batch(&random);
	send_together(&together, seen[0]);
	for (uint32_t i = 0; i < load_table_servers(load); i++)
		named += load_table_server(load, i)->records;
	assert_true(named > 0);
	for (int i = 0; i < 100000 && two_sites_record(together.y) != NULL; i++) {
		together.now += CLOCK_SECOND;
		datapath_expire(together.y->datapath, together.now);
	}
	for (uint32_t i = 0; i < load_table_servers(load); i++) {
		assert_int_equal(load_table_server(load, i)->records, 0);
		assert_int_equal(load_table_server(load, i)->active, 0);
	}
}

/* Among authentic ones are others: each is judged by itself. */
static void
test_forged_ones_among_them(void **state)
{
	struct memory_packet d;
	const struct addr *x = &together.x->config->transfer.listen;
	struct random random;
	uint64_t in = together.y->counters.counter[COUNTER_transfer_packets_in];
	unsigned sent = 0;

	(void)state;
	random_init(&random, 18);
	make_batch(&random);
	for (unsigned n = 0; n < BATCH; n++)
		put(together.x, &frames[n]);
	while (datapath_run_device(together.x->datapath, together.now) > 0)
		;
	while (memory_take_datagram(together.x->io, &d) && sent < BATCH / 4) {
		uint8_t copy[2048];

		memcpy(copy, d.data, d.len);
		assert_int_equal(memory_put_datagram(together.y->io, copy, d.len, x), 0);
		copy[d.len - 1] ^= 1;
		copy[15] ^= 0x40; /* another number: not simply one again */
		assert_int_equal(memory_put_datagram(together.y->io, copy, d.len, x), 0);
		sent++;
	}
	assert_int_equal(datapath_run_transfer(together.y->datapath, together.now), 2 * sent);
	assert_int_equal(together.y->counters.counter[COUNTER_transfer_packets_in], in + sent);
	assert_int_equal(together.y->counters.drop[DROP_transfer_tag], sent);
}

static int
setup(void **state)
{
	(void)state;
	two_sites_make(&together, "direct", "");
	two_sites_make(&alone, "direct", "");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&together);
	two_sites_free(&alone);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_as_one_by_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_servers_are_let_go, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forged_ones_among_them, setup, teardown),
	};

	return cmocka_run_group_tests_name("datapath_burst", tests, NULL, NULL);
}
