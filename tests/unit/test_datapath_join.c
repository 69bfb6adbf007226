/*
 * datapath_join: what comes in transfer packets leaves joined, nothing overtakes anything of its
 * flow, nothing is lost, and a device that takes no super-packets gets none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "packet/segment.h"
#include "two_sites.h"

#define SIZE  200
#define FLOWS 12

static struct two_sites sites;
static struct addr service, service6;

/* A client and how far it has come. */
struct flow {
	struct addr client;
	uint32_t seq;
	uint16_t id;
};

static struct flow flow[FLOWS];

static int
setup(void **state)
{
	(void)state;
	two_sites_make(&sites, "direct", "");
	service = frame_addr("203.0.113.10", 80);
	service6 = frame_addr("2001:db8:1::10", 80);
	for (uint16_t i = 0; i < FLOWS; i++)
		flow[i] = (struct flow){frame_addr("192.0.2.9", (uint16_t)(40000 + i)), 1000, i};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&sites);
	return 0;
}

/* The client's next packet goes to X. */
static void
put(struct flow *f, uint8_t flags, size_t len, bool partial)
{
	struct frame *frame = &sites.frame;

	frame_ip(frame, &f->client, ip_is_v4(&f->client.ip) ? &service : &service6, IPPROTO_TCP);
	if (frame->version == 4)
		frame_put16(frame->octets + 4, f->id++);
	frame_tcp(frame, f->client.port, 80, f->seq, 500, flags, NULL, 0);
	frame_payload(frame, len);
	if (partial)
		frame_finish_partial(frame);
	else
		frame_finish(frame);
	assert_int_equal(
	    memory_put_packet(sites.x->io, frame->octets, frame->len, 0, 0, partial), 0);
	assert_int_equal(datapath_run_device(sites.x->datapath, sites.now), 1);
	f->seq += (uint32_t)len + ((flags & TCP_SYN) != 0);
}

/* What X sent arrives at Y: one wake-up. */
static void
carry(void)
{
	assert_true(instance_carry(sites.x, sites.y, sites.now) > 0);
}

/* The connection is open at Y, both have seen that. */
static void
open_flow(struct flow *f)
{
	struct memory_packet out;

	put(f, TCP_SYN, 0, false);
	carry();
	assert_true(memory_take_packet(sites.y->io, &out));
	put(f, TCP_ACK, 0, false);
	carry();
	assert_true(memory_take_packet(sites.y->io, &out));
	assert_false(memory_take_packet(sites.y->io, &out));
}

static struct packet
take(void)
{
	struct memory_packet out;
	struct packet p;

	assert_true(memory_take_packet(sites.y->io, &out));
	p = (struct packet){.data = out.data,
	    .len = (uint32_t)out.len,
	    .gso = out.gso,
	    .gso_size = out.gso_size,
	    .partial = out.partial};
	assert_int_equal(packet_parse(&p), DROP_none);
	if (!p.partial)
		assert_true(frame_is_right(p.data, p.len));
	return p;
}

static void
nothing_left(void)
{
	struct memory_packet out;

	assert_false(memory_take_packet(sites.y->io, &out));
}

static uint64_t
counted(enum counter counter)
{
	return sites.y->counters.counter[counter];
}

/* A super-packet's segments, complete, must have right checksums, and its payload be that of frames. */
static void
check_super(struct packet *p, unsigned count, uint32_t seq, size_t len)
{
	static struct frame wanted;
	static uint8_t octets[PACKET_MAX];
	struct segmenter s;
	struct segment segment;
	size_t at = 0;

	assert_int_equal(p->gso, p->version == 4 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6);
	assert_true(p->partial);
	assert_int_equal(p->gso_size, SIZE);
	assert_int_equal(p->tcp_seq, seq);
	assert_int_equal(packet_payload_len(p), len);
	assert_int_equal(segment_count(p), count);
	p->partial = false;
	wanted.len = 0;
	frame_payload(&wanted, SIZE);
	segment_start(&s, p);
	while (segment_next(&s, &segment)) {
		memcpy(octets, segment.header, segment.header_len);
		memcpy(octets + segment.header_len, segment.payload, segment.payload_len);
		assert_true(frame_is_right(octets, segment.header_len + segment.payload_len));
		assert_memory_equal(segment.payload, wanted.octets, segment.payload_len);
		at += segment.payload_len;
	}
	assert_int_equal(at, len);
}

static void
check_train(const char *client, bool partial)
{
	struct flow f = {frame_addr(client, 41000), 7000, 65530};
	uint64_t joined = counted(COUNTER_packets_joined), out;
	struct packet p;

	open_flow(&f);
	out = counted(COUNTER_packets_out);
	for (int i = 0; i < 9; i++)
		put(&f, TCP_ACK, SIZE, partial);
	put(&f, TCP_ACK | TCP_PSH, SIZE / 2, partial);
	carry();
	p = take();
	assert_int_equal(p.tcp_flags, TCP_ACK | TCP_PSH);
	check_super(&p, 10, 7001, 9 * SIZE + SIZE / 2);
	nothing_left();
	assert_int_equal(counted(COUNTER_packets_joined), joined + 10);
	assert_int_equal(counted(COUNTER_packets_out), out + 1);
}

static void
test_train(void **state)
{
	(void)state;
	check_train("192.0.2.77", true);
	check_train("192.0.2.78", false);
	check_train("2001:db8:77::1", true);
	check_train("2001:db8:77::2", false);
	/* the records have seen each segment */
	assert_int_equal(load_table_server(sites.y->load, 0)->packets_in, 4 * 12);
}

/* What cannot join follows what was sent before it. */
static void
test_order(void **state)
{
	struct flow *f = &flow[0];
	struct packet p;

	(void)state;
	open_flow(f);
	put(f, TCP_ACK, SIZE, true);
	put(f, TCP_ACK, SIZE, true);
	put(f, TCP_ACK, 0, false); /* a pure acknowledgement */
	put(f, TCP_ACK, SIZE, true);
	f->seq += 5; /* lost on its way */
	put(f, TCP_ACK, SIZE, true);
	put(f, TCP_ACK, SIZE, true);
	put(f, TCP_ACK | TCP_FIN, SIZE, true);
	carry();
	p = take();
	check_super(&p, 2, 1001, 2 * SIZE);
	p = take();
	assert_int_equal(packet_payload_len(&p), 0);
	p = take();
	assert_int_equal(p.gso, PACKET_GSO_NONE);
	assert_int_equal(p.tcp_seq, 1001 + 2 * SIZE);
	p = take();
	check_super(&p, 2, 1006 + 3 * SIZE, 2 * SIZE);
	p = take();
	assert_int_equal(p.tcp_flags, TCP_ACK | TCP_FIN);
	assert_int_equal(p.gso, PACKET_GSO_NONE);
	nothing_left();
}

/* More flows at a time than are joined: all come, each in order. */
static void
test_flows(void **state)
{
	uint32_t seq[FLOWS];
	uint32_t octets[FLOWS] = {0};
	uint16_t port[FLOWS] = {0};
	struct memory_packet out;

	(void)state;
	for (int i = 0; i < FLOWS; i++) {
		open_flow(&flow[i]);
		seq[i] = flow[i].seq;
	}
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < FLOWS; i++)
			put(&flow[i], TCP_ACK, SIZE, true);
	carry();
	while (memory_take_packet(sites.y->io, &out)) {
		struct packet p = {.data = out.data,
		    .len = (uint32_t)out.len,
		    .gso = out.gso,
		    .gso_size = out.gso_size,
		    .partial = out.partial};
		int i = 0;

		assert_int_equal(packet_parse(&p), DROP_none);
		while (port[i] != 0 && port[i] != p.source.port)
			i++;
		port[i] = p.source.port;
		assert_int_equal(p.tcp_seq, seq[i] + octets[i]);
		octets[i] += packet_payload_len(&p);
	}
	for (int i = 0; i < FLOWS; i++)
		assert_int_equal(octets[i], 4 * SIZE);
}

/* Two by turns: each is joined by itself. */
static void
test_turns(void **state)
{
	struct packet p;

	(void)state;
	open_flow(&flow[0]);
	open_flow(&flow[1]);
	for (int i = 0; i < 10; i++)
		put(&flow[i % 2], TCP_ACK, SIZE, true);
	carry();
	p = take();
	check_super(&p, 5, 1001, 5 * SIZE);
	p = take();
	check_super(&p, 5, 1001, 5 * SIZE);
	nothing_left();
}

static void
test_device_without(void **state)
{
	struct packet p;

	(void)state;
	sites.y->io->takes_super = sites.y->io->takes_uso = false;
	open_flow(&flow[0]);
	for (int i = 0; i < 5; i++)
		put(&flow[0], TCP_ACK, SIZE, true);
	carry();
	for (uint32_t i = 0; i < 5; i++) {
		p = take();
		assert_int_equal(p.gso, PACKET_GSO_NONE);
		assert_int_equal(p.tcp_seq, 1001 + i * SIZE);
	}
	nothing_left();
	assert_int_equal(counted(COUNTER_packets_joined), 0);
}

/* A client's datagrams, joined where the device takes that. */
static void
check_udp(bool uso)
{
	struct addr client = frame_addr("192.0.2.9", 5353), dns = frame_addr("203.0.113.10", 53);
	struct packet p;

	sites.y->io->takes_uso = uso;
	for (uint16_t i = 0; i < 4; i++) {
		frame_ip(&sites.frame, &client, &dns, IPPROTO_UDP);
		frame_put16(sites.frame.octets + 4, 100u + i);
		frame_udp(&sites.frame, client.port, 53);
		frame_payload(&sites.frame, 60);
		assert_int_equal(two_sites_device(&sites, sites.x), DROP_none);
	}
	carry();
	p = take();
	if (uso) {
		assert_int_equal(p.gso, PACKET_GSO_UDP);
		assert_int_equal(p.gso_size, 60);
		assert_int_equal(packet_payload_len(&p), 4 * 60);
		nothing_left();
		return;
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(p.gso, PACKET_GSO_NONE);
		p = take();
	}
	nothing_left();
}

static void
test_udp(void **state)
{
	(void)state;
	check_udp(true);
	check_udp(false);
}

/* What the device refuses is counted, all of it. */
static void
test_refused(void **state)
{
	struct memory_packet out;
	uint8_t octet = 0;
	int room = 0;

	(void)state;
	open_flow(&flow[0]);
	/* an answer to a stranger takes a place at a time, until there is none */
	while (sites.y->io->ops->device_send(
		   sites.y->io, &(struct packet){.data = &octet, .len = 1}) == 0)
		room++;
	assert_true(room > 0);
	for (int i = 0; i < 5; i++)
		put(&flow[0], TCP_ACK, SIZE, true);
	put(&flow[0], TCP_ACK, 0, true);
	carry();
	assert_int_equal(sites.y->counters.drop[DROP_write_failed], 6);
	while (memory_take_packet(sites.y->io, &out))
		assert_int_equal(out.len, 1);
}

/* A batch ends, and with it the waiting. */
static void
test_outside_a_batch(void **state)
{
	struct memory_packet d;
	static uint8_t room[IO_HEADROOM + 2000];
	struct packet p;

	(void)state;
	open_flow(&flow[0]);
	for (uint32_t i = 0; i < 3; i++) {
		put(&flow[0], TCP_ACK, SIZE, true);
		assert_true(memory_take_datagram(sites.x->io, &d));
		memcpy(room + IO_HEADROOM, d.data, d.len);
		datapath_transfer_datagram(sites.y->datapath, room + IO_HEADROOM, d.len,
		    &sites.x->config->transfer.listen, false, sites.now);
		p = take();
		assert_int_equal(p.tcp_seq, 1001 + i * SIZE);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_train),
	    TEST(test_order),
	    TEST(test_flows),
	    TEST(test_turns),
	    TEST(test_device_without),
	    TEST(test_udp),
	    TEST(test_refused),
	    TEST(test_outside_a_batch),
	};

	return cmocka_run_group_tests_name("datapath_join", tests, NULL, NULL);
}
