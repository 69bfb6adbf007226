/*
 * join: what joins and what does not, one difference at a time; what a super-packet is made of;
 * and trains of segments, which cutting what was joined has to give back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "packet/join.h"
#include "packet/segment.h"

#define SIZE 100
#define PSH  (TCP_PSH | TCP_ACK)

static const uint8_t STAMPS[] = {1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4};

/* A packet of a train, by the rules until somebody changes it. */
struct car {
	int version;
	uint8_t protocol;
	bool partial;
	uint8_t flags;
	size_t len;
	uint32_t at; /* payload octets in front of it */
	uint16_t id;
	bool dont_fragment;
};

static struct frame frame[2];

static void
make(struct frame *f, const struct car *car)
{
	struct addr client = frame_addr(car->version == 4 ? "192.0.2.9" : "2001:db8::9", 40000);
	struct addr server = frame_addr(car->version == 4 ? "10.0.0.8" : "2001:db8:1::8", 80);

	frame_ip(f, &client, &server, car->protocol);
	if (car->version == 4) {
		frame_put16(f->octets + 4, car->id);
		f->octets[6] = car->dont_fragment ? 0x40 : 0;
	}
	if (car->protocol == IPPROTO_TCP)
		frame_tcp(f, client.port, server.port, 0xfffffff0u + car->at, 7000, car->flags,
		    STAMPS, sizeof(STAMPS));
	else
		frame_udp(f, client.port, server.port);
	frame_payload(f, car->len);
	if (car->partial)
		frame_finish_partial(f);
	else
		frame_finish(f);
}

static struct packet
view(struct frame *f, bool partial)
{
	struct packet p = frame_packet(f);

	p.partial = partial;
	assert_int_equal(packet_parse(&p), DROP_none);
	return p;
}

/* Checksums made anew after a change of the octets. */
static void
finish(struct frame *f, bool partial)
{
	if (partial)
		frame_finish_partial(f);
	else
		frame_finish(f);
}

/* ---- pairs of packets with one difference ---- */

enum finishing { FINISH, AS_IT_IS };

struct difference {
	const char *name;
	int version;       /* 0: both */
	uint8_t protocol;  /* 0: TCP and UDP */
	int at, transport; /* octet changed, from the start or from the transport header; -1 */
	uint8_t by;        /* exclusive or */
	enum finishing finishing;
	bool flow; /* it is another flow then */
};

static const struct difference DIFFERENCES[] = {
    {"class", 4, 0, 1, -1, 0x04, FINISH, false},
    {"ECN", 4, 0, 1, -1, 0x01, FINISH, false},
    {"identification", 4, 0, 5, -1, 0x40, FINISH, false},
    {"identification, upper half", 4, 0, 4, -1, 0x01, FINISH, false},
    {"DF", 4, 0, 6, -1, 0x40, FINISH, false},
    {"TTL", 4, 0, 8, -1, 0x01, FINISH, false},
    {"source", 4, 0, 15, -1, 0x01, FINISH, true},
    {"destination", 4, 0, 16, -1, 0x80, FINISH, true},
    {"class", 6, 0, 0, -1, 0x04, FINISH, false},
    {"ECN", 6, 0, 1, -1, 0x10, FINISH, false},
    {"flow label", 6, 0, 3, -1, 0x01, FINISH, false},
    {"hop limit", 6, 0, 7, -1, 0x01, FINISH, false},
    {"source", 6, 0, 8, -1, 0x01, FINISH, true},
    {"destination", 6, 0, 39, -1, 0x80, FINISH, true},
    {"source port", 0, 0, -1, 1, 0x01, FINISH, true},
    {"destination port", 0, 0, -1, 2, 0x80, FINISH, true},
    {"sequence", 0, IPPROTO_TCP, -1, 7, 0x01, FINISH, false},
    {"sequence, upper half", 0, IPPROTO_TCP, -1, 4, 0x80, FINISH, false},
    {"acknowledgement", 0, IPPROTO_TCP, -1, 11, 0x01, FINISH, false},
    {"reserved bits", 0, IPPROTO_TCP, -1, 12, 0x01, FINISH, false},
    {"window", 0, IPPROTO_TCP, -1, 15, 0x01, FINISH, false},
    {"urgent pointer", 0, IPPROTO_TCP, -1, 19, 0x01, FINISH, false},
    {"time stamp", 0, IPPROTO_TCP, -1, 27, 0x01, FINISH, false},
    {"echoed time stamp", 0, IPPROTO_TCP, -1, 31, 0x01, FINISH, false},
    {"kind of option", 0, IPPROTO_TCP, -1, 22, 0x10, FINISH, false},
    {"wrong checksum of TCP", 0, IPPROTO_TCP, -1, 17, 0x01, AS_IT_IS, false},
    {"wrong checksum of UDP", 0, IPPROTO_UDP, -1, 7, 0x01, AS_IT_IS, false},
};

static struct car
first_car(int version, uint8_t protocol, bool partial)
{
	return (struct car){.version = version,
	    .protocol = protocol,
	    .partial = partial,
	    .flags = TCP_ACK,
	    .len = SIZE,
	    .id = 0xffff,
	    .dont_fragment = true};
}

static struct car
next_car(const struct car *before)
{
	struct car car = *before;

	car.at += (uint32_t)before->len;
	car.id++;
	return car;
}

/* Two packets, the second or the first changed. */
static void
check_difference(
    const struct difference *d, int version, uint8_t protocol, bool partial, int whose)
{
	struct car car = first_car(version, protocol, partial), second = next_car(&car);
	struct packet p[2];
	struct join j;
	uint8_t before[200];
	size_t at;

	make(&frame[0], &car);
	make(&frame[1], &second);
	at = d->at >= 0 ? (size_t)d->at : frame[whose].transport + (size_t)d->transport;
	frame[whose].octets[at] ^= d->by;
	if (d->finishing == FINISH)
		finish(&frame[whose], partial);
	p[0] = view(&frame[0], partial);
	p[1] = view(&frame[1], partial);
	assert_true(join_possible(&p[0]) && join_possible(&p[1]));
	join_start(&j, &p[0]);
	assert_int_equal(join_same_flow(&j, &p[1]), !d->flow);
	memcpy(before, frame[0].octets, frame[0].len);
	if (!d->flow && join_add(&j, &p[1]))
		fail_msg("joined in spite of: %s", d->name);
	join_finish(&j);
	assert_memory_equal(before, frame[0].octets, frame[0].len);
	assert_int_equal(j.packet.gso, PACKET_GSO_NONE);
	assert_int_equal(j.packet.len, frame[0].len);
}

static void
test_differences(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(DIFFERENCES) / sizeof(DIFFERENCES[0]); i++) {
		const struct difference *d = &DIFFERENCES[i];

		for (int n = 0; n < 16; n++) {
			int version = n & 1 ? 6 : 4;
			uint8_t protocol = n & 2 ? IPPROTO_UDP : IPPROTO_TCP;

			if ((d->version == 0 || d->version == version) &&
			    (d->protocol == 0 || d->protocol == protocol))
				check_difference(d, version, protocol, (n & 4) != 0, n >> 3);
		}
	}
}

/* ---- what joins ---- */

/* Joins what car says to a fresh packet of SIZE octets. */
static bool
joins(struct join *j, const struct car *first, const struct car *second)
{
	struct packet p;

	make(&frame[0], first);
	make(&frame[1], second);
	p = view(&frame[0], first->partial);
	assert_true(join_possible(&p));
	join_start(j, &p);
	p = view(&frame[1], second->partial);
	return join_possible(&p) && join_same_flow(j, &p) && join_add(j, &p);
}

static void
check_joined(int version, uint8_t protocol, bool partial, bool second_partial)
{
	struct car first = first_car(version, protocol, partial), second = next_car(&first);
	struct join j;

	second.partial = second_partial;
	second.len = SIZE - 1;
	second.flags = PSH;
	assert_true(joins(&j, &first, &second));
	assert_true(j.closed);
	join_finish(&j);
	assert_int_equal(j.packet.gso,
	    protocol == IPPROTO_UDP ? PACKET_GSO_UDP
		: version == 4      ? PACKET_GSO_TCP4
				    : PACKET_GSO_TCP6);
	assert_int_equal(j.packet.gso_size, SIZE);
	assert_true(j.packet.partial);
	assert_false(j.packet.gso_ecn);
	assert_int_equal(j.count, 2);
	assert_ptr_equal(j.piece[0].iov_base, frame[0].octets);
	assert_int_equal(j.piece[0].iov_len, frame[0].len);
	assert_ptr_equal(j.piece[1].iov_base, frame[1].octets + frame[1].len - (SIZE - 1));
	assert_int_equal(j.piece[1].iov_len, SIZE - 1);
	assert_int_equal(j.packet.len, frame[0].len + SIZE - 1);

	/* the whole, by the plain way */
	first.len = 2 * SIZE - 1;
	first.flags = PSH;
	first.partial = true;
	memcpy(frame[0].octets + frame[0].len, j.piece[1].iov_base, SIZE - 1);
	make(&frame[1], &first);
	memcpy(frame[1].octets + j.packet.payload, frame[0].octets + j.packet.payload,
	    2 * SIZE - 1);
	assert_memory_equal(frame[0].octets, frame[1].octets, frame[1].len);
}

static void
test_joined(void **state)
{
	(void)state;
	for (int n = 0; n < 16; n++)
		check_joined(n & 1 ? 6 : 4, n & 2 ? IPPROTO_UDP : IPPROTO_TCP, (n & 4) != 0,
		    (n & 8) != 0);
}

static void
test_identification(void **state)
{
	struct car first = first_car(4, IPPROTO_TCP, false), second = next_car(&first), third;
	struct packet p;
	struct join j;

	(void)state;
	/* all the same is fine where it means nothing */
	second.id = first.id;
	assert_true(joins(&j, &first, &second));
	third = next_car(&second);
	make(&frame[1], &third);
	p = view(&frame[1], false);
	assert_false(join_add(&j, &p)); /* counted up now */
	third.id = first.id + 2;
	make(&frame[1], &third);
	p = view(&frame[1], false);
	assert_false(join_add(&j, &p));
	third.id = first.id;
	make(&frame[1], &third);
	p = view(&frame[1], false);
	assert_true(join_add(&j, &p));

	first.dont_fragment = second.dont_fragment = false;
	assert_false(joins(&j, &first, &second));
	second.id = first.id + 1; /* 0 */
	assert_true(joins(&j, &first, &second));
	third = next_car(&second);
	third.dont_fragment = false;
	third.id = first.id + 1;
	make(&frame[1], &third);
	p = view(&frame[1], false);
	assert_false(join_add(&j, &p));
	third.id++;
	make(&frame[1], &third);
	p = view(&frame[1], false);
	assert_true(join_add(&j, &p));
}

static void
test_sizes(void **state)
{
	struct car first = first_car(6, IPPROTO_TCP, true), second = next_car(&first);
	struct packet p;
	struct join j;

	(void)state;
	assert_true(joins(&j, &first, &second));
	assert_false(j.closed);
	second.len = SIZE + 1;
	assert_false(joins(&j, &first, &second));
	second.len = 1;
	assert_true(joins(&j, &first, &second));
	assert_true(j.closed);
	second.at += 1;
	make(&frame[1], &second);
	p = view(&frame[1], true);
	assert_false(join_add(&j, &p));

	first.flags = PSH;
	second = next_car(&first);
	assert_false(joins(&j, &first, &second));
	first.flags = second.flags = TCP_ACK;
	second.len = 0;
	assert_false(joins(&j, &first, &second));
}

static void
test_not_possible_tcp(void **state)
{
	static const uint8_t flags[] = {0, TCP_PSH, TCP_SYN, TCP_ACK | TCP_SYN, TCP_FIN | TCP_ACK,
	    TCP_RST, TCP_RST | TCP_ACK, 0x20 | TCP_ACK, 0x40 | TCP_ACK, 0x80 | TCP_ACK};
	struct car car = first_car(4, IPPROTO_TCP, false);
	struct frame *f = &frame[0];
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		car.flags = flags[i];
		make(f, &car);
		p = view(f, false);
		assert_false(join_possible(&p));
	}
	car.flags = PSH;
	make(f, &car);
	p = view(f, false);
	assert_true(join_possible(&p));
	p.gso = PACKET_GSO_TCP4;
	assert_false(join_possible(&p));
}

static void
test_not_possible_others(void **state)
{
	static const uint8_t nops[4] = {1, 1, 1, 1};
	struct addr a = frame_addr("192.0.2.9", 1), b = frame_addr("10.0.0.8", 2);
	struct addr a6 = frame_addr("2001:db8::9", 1), b6 = frame_addr("2001:db8:1::8", 2);
	struct car car = first_car(4, IPPROTO_UDP, false);
	struct frame *f = &frame[0];
	struct packet p;

	(void)state;
	make(f, &car);
	frame_put16(f->octets + 26, 0); /* no checksum */
	p = view(f, false);
	assert_false(join_possible(&p));
	make(f, &car);
	frame_put16(f->octets + 24, SIZE + 8 - 1); /* octets behind the datagram */
	p = view(f, false);
	assert_false(join_possible(&p));
	make(f, &car);
	f->octets[6] = 0x80; /* the reserved bit */
	frame_ip_checksum(f);
	p = view(f, false);
	assert_false(join_possible(&p));

	frame_ip(f, &a, &b, IPPROTO_UDP);
	frame_ip_options(f, nops, sizeof(nops));
	frame_udp(f, 1, 2);
	frame_payload(f, SIZE);
	frame_finish(f);
	p = view(f, false);
	assert_false(join_possible(&p));

	frame_ip(f, &a6, &b6, IPPROTO_UDP);
	frame_extension(f, IPPROTO_DSTOPTS, 8);
	frame_udp(f, 1, 2);
	frame_payload(f, SIZE);
	frame_finish(f);
	p = view(f, false);
	assert_false(join_possible(&p));

	frame_ip(f, &a, &b, IPPROTO_UDP);
	frame_fragment(f, 0, true, 7);
	frame_udp(f, 1, 2);
	frame_payload(f, SIZE - SIZE % 8);
	frame_finish(f);
	p = view(f, false);
	assert_false(join_possible(&p));

	frame_ip(f, &a, &b, IPPROTO_ICMP);
	frame_icmp(f, 8, 0, 7);
	frame_payload(f, SIZE);
	frame_finish(f);
	p = view(f, false);
	assert_false(join_possible(&p));
}

/* ---- bounds ---- */

/* Adds the same train until no more fits; returns how many packets. */
static unsigned
fill(struct join *j, struct car *car)
{
	static uint8_t octets[JOIN_SEGMENTS_MAX + 1][2048];
	unsigned count = 0;

	for (;; count++) {
		struct packet p;

		make(&frame[0], car);
		assert_true(count <= JOIN_SEGMENTS_MAX && frame[0].len <= sizeof(octets[0]));
		p = view(&frame[0], true);
		p.data = memcpy(octets[count], frame[0].octets, frame[0].len);
		if (count == 0)
			join_start(j, &p);
		else if (!join_add(j, &p))
			return count;
		*car = next_car(car);
	}
}

static void
test_bounds(void **state)
{
	struct car car = first_car(4, IPPROTO_TCP, true);
	struct packet p;
	struct join j;

	(void)state;
	assert_int_equal(fill(&j, &car), JOIN_SEGMENTS_MAX);
	assert_true(j.closed);

	car = first_car(4, IPPROTO_TCP, true);
	car.len = 1400;
	assert_int_equal(fill(&j, &car), (JOIN_LEN_MAX - 52) / 1400);
	assert_true(j.closed);
	assert_true(j.packet.len <= JOIN_LEN_MAX);
	join_finish(&j);
	assert_int_equal(frame_get16((uint8_t *)j.piece[0].iov_base + 2), j.packet.len);

	/* two large ones */
	car = first_car(4, IPPROTO_UDP, true);
	car.len = 40000;
	make(&frame[0], &car);
	p = view(&frame[0], true);
	join_start(&j, &p);
	car = next_car(&car);
	make(&frame[1], &car);
	p = view(&frame[1], true);
	assert_false(join_add(&j, &p));

	/* a last, smaller one would fit exactly: 65535 in all */
	car = first_car(6, IPPROTO_UDP, true);
	car.len = (JOIN_LEN_MAX - 48) / 47;
	assert_int_equal(fill(&j, &car), 47);
	assert_true(j.packet.len <= JOIN_LEN_MAX);
}

/* ---- trains ---- */

#define TRAIN 200

static uint32_t
pick(uint32_t n)
{
	static uint32_t state = 7;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

static struct train {
	uint8_t octets[TRAIN][700];
	uint8_t sent[TRAIN][700]; /* as they were */
	size_t len[TRAIN];
	bool partial[TRAIN];
} train;

/* A train that is cut, shuffled, spoiled now and then. */
static unsigned
make_train(int version, uint8_t protocol)
{
	struct car car = first_car(version, protocol, pick(2) == 0);
	unsigned count = 2 + pick(TRAIN - 2);

	car.id = (uint16_t)pick(65536);
	for (unsigned i = 0; i < count; i++) {
		struct car one = car;

		if (pick(9) == 0)
			car.len = 1 + pick(600);
		if (pick(9) == 0)
			one.len = 1 + pick((uint32_t)car.len);
		if (pick(9) == 0)
			one.flags = PSH;
		if (pick(20) == 0)
			one.partial = !one.partial;
		if (pick(30) == 0)
			one.at += 1;
		if (pick(30) == 0)
			one.id += 1;
		make(&frame[0], &one);
		if (pick(30) == 0)
			frame[0].octets[frame[0].len - 1] ^= 1; /* a wrong checksum */
		train.len[i] = frame[0].len;
		train.partial[i] = one.partial;
		memcpy(train.octets[i], frame[0].octets, frame[0].len);
		memcpy(train.sent[i], frame[0].octets, frame[0].len);
		one.flags = car.flags;
		one.partial = car.partial;
		car.at = one.at + (uint32_t)one.len;
		car.id = (uint16_t)(one.id + 1);
	}
	return count;
}

/* One of those that were joined, as it was sent but for a checksum that is complete now. */
static void
check_segment(const struct segment *s, unsigned i)
{
	static struct frame sent;
	uint8_t octets[700];
	struct packet p = {.data = train.sent[i], .len = (uint32_t)train.len[i]};

	assert_int_equal(s->header_len + s->payload_len, train.len[i]);
	memcpy(octets, s->header, s->header_len);
	memcpy(octets + s->header_len, s->payload, s->payload_len);
	p.partial = train.partial[i];
	assert_int_equal(packet_parse(&p), DROP_none);
	frame_from(&sent, train.sent[i], train.len[i]);
	if (p.partial)
		frame_finish(&sent);
	assert_memory_equal(octets, sent.octets, train.len[i]);
}

/* What leaves is cut again and compared with what came, from packet first on; returns how many. */
static unsigned
check_leaving(struct join *j, unsigned first)
{
	static uint8_t octets[PACKET_MAX];
	struct packet p;
	struct segmenter s;
	struct segment segment;
	unsigned count = 0;
	size_t len = 0;

	join_finish(j);
	if (j->count == 1) {
		assert_ptr_equal(j->packet.data, train.octets[first]);
		assert_memory_equal(train.octets[first], train.sent[first], train.len[first]);
		return 1;
	}
	for (unsigned i = 0; i < j->count; i++) {
		memcpy(octets + len, j->piece[i].iov_base, j->piece[i].iov_len);
		len += j->piece[i].iov_len;
	}
	assert_int_equal(len, j->packet.len);
	p = (struct packet){.data = octets,
	    .len = j->packet.len,
	    .gso = j->packet.gso,
	    .gso_size = j->packet.gso_size,
	    .partial = true};
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.tcp_flags, j->packet.tcp_flags);
	assert_int_equal(segment_count(&p), j->count);
	p.partial = false; /* the segments get their full checksum */
	segment_start(&s, &p);
	while (segment_next(&s, &segment))
		check_segment(&segment, first + count++);
	assert_int_equal(count, j->count);
	return count;
}

static void
test_trains(void **state)
{
	unsigned together = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		unsigned count =
		    make_train(round & 1 ? 6 : 4, round & 2 ? IPPROTO_UDP : IPPROTO_TCP);
		unsigned left = 0;
		struct join j = {.count = 0};

		for (unsigned i = 0; i < count; i++) {
			struct packet p = {.data = train.octets[i],
			    .len = (uint32_t)train.len[i],
			    .partial = train.partial[i]};

			assert_int_equal(packet_parse(&p), DROP_none);
			assert_true(join_possible(&p));
			if (j.count > 0 && join_add(&j, &p)) {
				together++;
				continue;
			}
			if (j.count > 0)
				left += check_leaving(&j, left);
			join_start(&j, &p);
		}
		left += check_leaving(&j, left);
		assert_int_equal(left, count);
	}
	assert_true(together > 5000); /* of some 40000 */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_differences),
	    cmocka_unit_test(test_joined),
	    cmocka_unit_test(test_identification),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_not_possible_tcp),
	    cmocka_unit_test(test_not_possible_others),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_trains),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
