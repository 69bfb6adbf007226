#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/random.h"
#include "io/memory.h"

static struct addr
peer(uint16_t port)
{
	struct addr a = {.port = port};

	assert_int_equal(ip_parse("192.0.2.1", &a.ip), 0);
	return a;
}

static void
test_packet_in(void **state)
{
	struct io *io = memory_new(4);
	struct packet p;

	(void)state;
	assert_int_equal(io->ops->device_receive(io, &p), 0);
	assert_int_equal(memory_put_packet(io, "abcdef", 6, PACKET_GSO_TCP6, 1400, true), 0);
	assert_int_equal(memory_put_packet(io, "gh", 2, PACKET_GSO_NONE, 0, false), 0);
	memset(&p, 0xa5, sizeof(p));
	assert_int_equal(io->ops->device_receive(io, &p), 1);
	assert_int_equal(p.len, 6);
	assert_memory_equal(p.data, "abcdef", 6);
	assert_int_equal(p.gso, PACKET_GSO_TCP6);
	assert_int_equal(p.gso_size, 1400);
	assert_true(p.partial);
	assert_false(p.gso_ecn);
	assert_int_equal(p.version, 0); /* nothing parsed yet */
	assert_int_equal(p.headroom, IO_HEADROOM);
	memset(p.data - p.headroom, 0, p.headroom); /* may be overwritten */
	assert_memory_equal(p.data, "abcdef", 6);
	assert_int_equal(io->ops->device_receive(io, &p), 1);
	assert_int_equal(p.len, 2);
	assert_false(p.partial);
	assert_int_equal(io->ops->device_receive(io, &p), 0);
	io_close(io);
}

/* Several at once: each in a buffer of its own. */
static void
test_packets_in(void **state)
{
	static const char *const TEXT[] = {"one", "two", "three", "four", "five"};
	struct io *io = memory_new(8);
	struct packet p[4];
	bool more = true;

	(void)state;
	assert_int_equal(io->ops->device_receive_many(io, p, 4, &more), 0);
	assert_false(more);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(memory_put_packet(io, TEXT[i], strlen(TEXT[i]), 0, 0, false), 0);
	memset(p, 0xa5, sizeof(p));
	assert_int_equal(io->ops->device_receive_many(io, p, 4, &more), 4);
	assert_true(more);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(p[i].len, strlen(TEXT[i]));
		memset(p[i].data - p[i].headroom, 0, p[i].headroom);
	}
	for (size_t i = 0; i < 4; i++)
		assert_memory_equal(p[i].data, TEXT[i], p[i].len);
	assert_int_equal(io->ops->device_receive_many(io, p, 4, &more), 1);
	assert_false(more);
	assert_memory_equal(p[0].data, "five", 4);
	io_close(io);
}

static void
test_packet_out(void **state)
{
	struct io *io = memory_new(2);
	uint8_t octets[] = {1, 2, 3, 4};
	struct packet p = {.data = octets,
	    .len = 4,
	    .gso = PACKET_GSO_UDP,
	    .gso_size = 2,
	    .partial = true,
	    .gso_ecn = true};
	struct memory_packet out;

	(void)state;
	assert_false(memory_take_packet(io, &out));
	assert_int_equal(io->ops->device_send(io, &p), 0);
	octets[0] = 9; /* what was sent is a copy */
	assert_int_equal(io->ops->device_send(io, &p), 0);
	assert_int_equal(io->ops->device_send(io, &p), -1); /* full */
	assert_true(memory_take_packet(io, &out));
	assert_int_equal(out.len, 4);
	assert_int_equal(out.data[0], 1);
	assert_int_equal(out.gso, PACKET_GSO_UDP);
	assert_int_equal(out.gso_size, 2);
	assert_true(out.partial);
	assert_true(out.gso_ecn);
	assert_int_equal(io->ops->device_send(io, &p), 0); /* room again */
	assert_int_equal(out.data[0], 1);                  /* valid until the next take */
	assert_true(memory_take_packet(io, &out));
	assert_int_equal(out.data[0], 9);
	assert_true(memory_take_packet(io, &out));
	assert_false(memory_take_packet(io, &out));
	io_close(io);
}

/* All of a batch stays as it is while others come in. */
static void
test_datagrams_in(void **state)
{
	struct io *io = memory_new(100);
	struct datagram batch[IO_BATCH + 1];
	struct addr from;
	uint8_t octet;

	(void)state;
	assert_int_equal(io->ops->transfer_receive(io, batch, IO_BATCH), 0);
	for (int i = 0; i < 100; i++) {
		octet = (uint8_t)i;
		from = peer((uint16_t)(1000 + i));
		assert_int_equal(memory_put_datagram(io, &octet, 1, &from), 0);
	}
	assert_int_equal(memory_put_datagram(io, &octet, 1, &from), -1);
	assert_int_equal(io->ops->transfer_receive(io, batch, IO_BATCH + 1), IO_BATCH);
	for (int i = 0; i < IO_BATCH; i++) {
		octet = 0xee;
		assert_int_equal(memory_put_datagram(io, &octet, 1, &from), 0);
	}
	for (int i = 0; i < IO_BATCH; i++) {
		assert_int_equal(batch[i].len, 1);
		assert_int_equal(batch[i].segment, 1);
		assert_int_equal(batch[i].data[0], i);
		assert_int_equal(batch[i].from.port, 1000 + i);
	}
	assert_int_equal(io->ops->transfer_receive(io, batch, 3), 3);
	assert_int_equal(batch[2].data[0], 66);
	assert_false(batch[2].demand);
	while (io->ops->transfer_receive(io, batch, IO_BATCH) > 0)
		;
	assert_int_equal(memory_put_demand(io, "d", 1, &from), 0);
	assert_int_equal(memory_put_datagram(io, "s", 1, &from), 0);
	assert_int_equal(io->ops->transfer_receive(io, batch, IO_BATCH), 2);
	assert_true(batch[0].demand);
	assert_false(batch[1].demand);
	assert_int_equal(io->ops->demand_fd(io), -1);
	io_close(io);
}

static void
test_datagrams_out(void **state)
{
	struct io *io = memory_new(4);
	struct addr to = peer(7210);
	struct memory_packet out;

	(void)state;
	assert_int_equal(io->ops->transfer_send(io, &to, (const uint8_t *)"aaabbbc", 7, 3), 7);
	assert_true(memory_take_datagram(io, &out));
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "aaa", 3);
	assert_true(addr_equal(&out.peer, &to));
	assert_true(memory_take_datagram(io, &out));
	assert_memory_equal(out.data, "bbb", 3);
	assert_true(memory_take_datagram(io, &out));
	assert_int_equal(out.len, 1);
	assert_memory_equal(out.data, "c", 1);
	assert_false(memory_take_datagram(io, &out));
	/* Four fit: the fifth is refused, then all are. */
	assert_int_equal(
	    io->ops->transfer_send(io, &to, (const uint8_t *)"aabbccddee", 10, 2), 8);
	errno = 0;
	assert_int_equal(io->ops->transfer_send(io, &to, (const uint8_t *)"ee", 2, 2), -1);
	assert_int_equal(errno, EAGAIN);
	io_close(io);
}

static void
test_datagram_max(void **state)
{
	struct io *io = memory_new(8);
	struct addr to = peer(7210);
	struct memory_packet out;

	(void)state;
	memory_set_datagram_max(io, 3);
	assert_int_equal(io->ops->transfer_send(io, &to, (const uint8_t *)"aaabbb", 6, 3), 6);
	errno = 0;
	assert_int_equal(io->ops->transfer_send(io, &to, (const uint8_t *)"aaaab", 5, 4), -1);
	assert_int_equal(errno, EMSGSIZE);
	memory_set_datagram_max(io, 0);
	assert_int_equal(io->ops->transfer_send(io, &to, (const uint8_t *)"aaaab", 5, 4), 5);
	for (int i = 0; i < 4; i++)
		assert_true(memory_take_datagram(io, &out));
	assert_false(memory_take_datagram(io, &out));
	io_close(io);
}

/* Against two numbers: what went in last and what has to come out next. */
static void
test_order_over_many_turns(void **state)
{
	struct io *io = memory_new(7);
	struct random random;
	struct packet p;
	uint32_t in = 0, out = 0, refused = 0;

	(void)state;
	random_init(&random, 1);
	for (int i = 0; i < 20000; i++) {
		if (random_below(&random, 2) == 0) {
			size_t len = 4 + random_below(&random, 60);
			uint8_t octets[64] = {0};

			memcpy(octets, &in, sizeof(in));
			if (memory_put_packet(io, octets, len, 0, 0, false) == 0)
				in++;
			else
				refused++;
			assert_true(in - out <= 7);
		} else if (io->ops->device_receive(io, &p) == 1) {
			assert_memory_equal(p.data, &out, sizeof(out));
			out++;
		} else {
			assert_int_equal(in, out);
		}
	}
	assert_true(out > 1000);
	assert_true(refused > 100);
	io_close(io);
}

static void
test_no_descriptors(void **state)
{
	struct io *io = memory_new(1);

	(void)state;
	assert_int_equal(io->ops->device_fd(io), -1);
	assert_int_equal(io->ops->transfer_fd(io), -1);
	assert_true(io->takes_super && io->takes_uso && io->takes_partial);
	io_close(io);
	io_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_packet_in),
	    cmocka_unit_test(test_packets_in),
	    cmocka_unit_test(test_packet_out),
	    cmocka_unit_test(test_datagrams_in),
	    cmocka_unit_test(test_datagrams_out),
	    cmocka_unit_test(test_datagram_max),
	    cmocka_unit_test(test_order_over_many_turns),
	    cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
