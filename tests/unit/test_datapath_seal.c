/*
 * datapath_send, the way to another site: what a batch seals leaves by few calls, by one where
 * the kernel can cut it; everything leaves, in order, and what is refused is counted.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transfer/header.h"
#include "two_sites.h"

#define CALLS 64

static struct two_sites sites;
static struct addr client, service;
static uint32_t seq;

/* The calls of transfer_send at X: octets, and of each datagram. */
static struct {
	size_t len, segment;
} call[CALLS];
static unsigned calls;

static long (*send_datagrams)(
    struct io *io, const struct addr *to, const uint8_t *data, size_t len, size_t segment);
static struct io_ops watched;

static long
watch(struct io *io, const struct addr *to, const uint8_t *data, size_t len, size_t segment)
{
	assert_true(calls < CALLS);
	call[calls].len = len;
	call[calls++].segment = segment;
	return send_datagrams(io, to, data, len, segment);
}

/* A segment waits at X's device. */
static void
put(uint8_t flags, size_t len, uint8_t gso, uint16_t size)
{
	struct frame *f = &sites.frame;

	frame_ip(f, &client, &service, IPPROTO_TCP);
	frame_tcp(f, client.port, 80, seq, 500, flags, NULL, 0);
	frame_payload(f, len);
	if (gso != PACKET_GSO_NONE)
		frame_finish_partial(f);
	else
		frame_finish(f);
	assert_int_equal(
	    memory_put_packet(sites.x->io, f->octets, f->len, gso, size, gso != PACKET_GSO_NONE),
	    0);
	seq += (uint32_t)len + ((flags & TCP_SYN) != 0);
}

static void
run(void)
{
	calls = 0;
	assert_true(datapath_run_device(sites.x->datapath, sites.now) > 0);
}

/* Payload octets that reach Y's server, in order from a sequence number on. */
static size_t
arrived(uint32_t from)
{
	struct memory_packet out;
	size_t octets = 0;

	instance_carry(sites.x, sites.y, sites.now);
	while (memory_take_packet(sites.y->io, &out)) {
		struct packet p = {.data = out.data,
		    .len = (uint32_t)out.len,
		    .gso = out.gso,
		    .gso_size = out.gso_size,
		    .partial = out.partial};

		assert_int_equal(packet_parse(&p), DROP_none);
		assert_int_equal(p.tcp_seq, from + octets);
		octets += packet_payload_len(&p);
	}
	return octets;
}

static void
expect_call(unsigned i, size_t count, size_t payload, size_t last)
{
	size_t segment = payload + 40 + TRANSFER_OVERHEAD;

	assert_true(i < calls);
	assert_int_equal(call[i].segment, segment);
	assert_int_equal(call[i].len, (count - 1) * segment + last + 40 + TRANSFER_OVERHEAD);
}

static int
setup(void **state)
{
	(void)state;
	two_sites_make(&sites, "direct", "");
	client = frame_addr("192.0.2.9", 40000);
	service = frame_addr("203.0.113.10", 80);
	seq = 1000;
	send_datagrams = sites.x->io->ops->transfer_send;
	watched = *sites.x->io->ops;
	watched.transfer_send = watch;
	sites.x->io->ops = &watched;
	put(TCP_SYN, 0, 0, 0);
	run();
	assert_int_equal(calls, 1);
	arrived(1000);
	put(TCP_ACK, 0, 0, 0);
	run();
	arrived(1001);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&sites);
	return 0;
}

static void
test_equal(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		put(TCP_ACK, 300, 0, 0);
	run();
	assert_int_equal(calls, 1);
	expect_call(0, 10, 300, 300);
	assert_int_equal(arrived(1001), 3000);
}

/* One that is shorter ends a call, one that is longer begins one. */
static void
test_unequal(void **state)
{
	static const size_t len[] = {100, 100, 40, 40, 300, 20, 300, 301, 301, 0};
	size_t all = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		put(TCP_ACK, len[i], 0, 0);
		all += len[i];
	}
	run();
	assert_int_equal(calls, 5);
	expect_call(0, 3, 100, 40);
	expect_call(1, 1, 40, 40);
	expect_call(2, 2, 300, 20);
	expect_call(3, 1, 300, 300);
	expect_call(4, 3, 301, 0);
	assert_int_equal(arrived(1001), all);
}

/* Super-packets one after the other fill the calls. */
static void
test_super(void **state)
{
	size_t most = IO_SEND_LEN / (1300 + 40 + TRANSFER_OVERHEAD);

	(void)state;
	put(TCP_ACK, 47 * 1300, PACKET_GSO_TCP4, 1300);
	put(TCP_ACK, 47 * 1300, PACKET_GSO_TCP4, 1300);
	put(TCP_ACK | TCP_PSH, 500, 0, 0);
	put(TCP_ACK, 2 * 1300 + 1, PACKET_GSO_TCP4, 1300);
	run();
	assert_int_equal(most, 47);
	assert_int_equal(calls, 4);
	expect_call(0, most, 1300, 1300);
	expect_call(1, most, 1300, 1300);
	expect_call(2, 1, 500, 500);
	expect_call(3, 3, 1300, 1);
	assert_int_equal(arrived(1001), 2 * 47 * 1300 + 500 + 2 * 1300 + 1);

	put(TCP_ACK, 30 * 1300, PACKET_GSO_TCP4, 1300);
	put(TCP_ACK, 30 * 1300, PACKET_GSO_TCP4, 1300);
	run();
	assert_int_equal(calls, 2);
	expect_call(0, most, 1300, 1300);
	expect_call(1, 60 - most, 1300, 1300);
	assert_int_equal(arrived(seq - 60 * 1300), 60 * 1300);
}

static void
test_small(void **state)
{
	(void)state;
	put(TCP_ACK, 70 * 10, PACKET_GSO_TCP4, 10);
	run();
	assert_int_equal(calls, 2);
	expect_call(0, IO_SEND_SEGMENTS, 10, 10);
	expect_call(1, 70 - IO_SEND_SEGMENTS, 10, 10);
	assert_int_equal(arrived(1001), 700);
}

/* Nobody waits for a packet that is alone. */
static void
test_alone(void **state)
{
	struct packet p;

	(void)state;
	put(TCP_ACK, 100, 0, 0);
	assert_int_equal(sites.x->io->ops->device_receive(sites.x->io, &p), 1);
	calls = 0;
	datapath_device_packet(sites.x->datapath, &p, sites.now);
	assert_int_equal(calls, 1);
	expect_call(0, 1, 100, 100);
	assert_int_equal(arrived(1001), 100);
}

static void
test_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		put(TCP_ACK, 300, 0, 0);
	put(TCP_ACK, 10, 0, 0);
	memory_set_datagram_max(sites.x->io, 300);
	run();
	assert_int_equal(calls, 1);
	assert_int_equal(sites.x->counters.drop[DROP_send_failed], 6);
	assert_int_equal(arrived(1001), 0);
	/* the next ones go */
	memory_set_datagram_max(sites.x->io, 0);
	put(TCP_ACK, 20, 0, 0);
	run();
	assert_int_equal(sites.x->counters.drop[DROP_send_failed], 6);
	assert_int_equal(arrived(seq - 20), 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_equal),
	    TEST(test_unequal),
	    TEST(test_super),
	    TEST(test_small),
	    TEST(test_alone),
	    TEST(test_refused),
	};

	return cmocka_run_group_tests_name("datapath_seal", tests, NULL, NULL);
}
