/* Several queues of the device: what comes by one leaves by it, and all of them know the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "base/guard.h"
#include "two_sites.h"

#define QUEUES  4
#define FLOWS   100
#define PACKETS 20
#define NARROW  1300

static const char CONFIG[] =
    "site = \"tokyo\";\n"
    "self_addresses = [ \"198.51.100.20\" ];\n"
    "services: ({ name = \"web\"; address = \"203.0.113.10\"; ports = [ 80 ];\n"
    "  servers: ({ name = \"a\"; address = \"10.1.0.11\"; port = 8080; }); });\n";

static struct instance *site;

static int
setup(void **state)
{
	(void)state;
	site = instance_new_queues(CONFIG, 7, QUEUES);
	return site == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	instance_free(site);
	return 0;
}

static struct packet
tcp(struct frame *frame, const struct addr *from, const struct addr *to, uint8_t flags, size_t len)
{
	frame_ip(frame, from, to, IPPROTO_TCP);
	if (frame->version == 4)
		frame->octets[6] = 0x40; /* don't fragment */
	frame_tcp(frame, from->port, to->port, 1000, 2000, flags, NULL, 0);
	frame_payload(frame, len);
	frame_finish(frame);
	return frame_packet(frame);
}

static int
put(struct io *io, const struct addr *from, const struct addr *to, uint8_t flags, size_t len)
{
	struct frame frame;
	struct packet p = tcp(&frame, from, to, flags, len);

	return memory_put_packet(io, p.data, p.len, 0, 0, false);
}

/* What left by the io, parsed; false if nothing did. */
static bool
take(struct io *io, struct packet *p)
{
	struct memory_packet out;

	if (!memory_take_packet(io, &out))
		return false;
	*p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	assert_int_equal(packet_parse(p), DROP_none);
	return true;
}

static void
test_it_leaves_by_the_queue_it_came(void **state)
{
	struct addr client = frame_addr("192.0.2.2", 40000);
	struct addr service = frame_addr("203.0.113.10", 80);
	struct addr server = frame_addr("10.1.0.11", 8080);
	struct packet p;
	struct addr self;

	(void)state;
	assert_int_equal(put(site->queue[2], &client, &service, TCP_SYN, 0), 0);
	assert_int_equal(datapath_run_device(site->datapath, clock_now()), 0);
	assert_int_equal(datapath_run_queue(site->datapath, 1), 0);
	assert_int_equal(datapath_run_queue(site->datapath, 2), 1);
	assert_false(take(site->io, &p));
	assert_false(take(site->queue[1], &p));
	assert_true(take(site->queue[2], &p));
	assert_true(addr_equal(&p.destination, &server));
	self = p.source;
	/* the answer by another one, as the kernel may give it: the connection is known there too */
	assert_int_equal(put(site->queue[3], &server, &self, TCP_SYN | TCP_ACK, 0), 0);
	assert_int_equal(datapath_run_queue(site->datapath, 3), 1);
	assert_true(take(site->queue[3], &p));
	assert_true(addr_equal(&p.destination, &client));
	assert_true(addr_equal(&p.source, &service));
	/* and by the first */
	assert_int_equal(put(site->io, &client, &service, TCP_ACK, 10), 0);
	assert_int_equal(datapath_run_device(site->datapath, clock_now()), 1);
	assert_true(take(site->io, &p));
	assert_true(addr_equal(&p.source, &self));
	assert_int_equal(site->counters.counter[COUNTER_connections_local], 1);
}

/* A way out that is too narrow is found out outside, counted inside, and answered. */
static void
test_refused_at_a_queue(void **state)
{
	struct addr client = frame_addr("192.0.2.2", 40000);
	struct addr service = frame_addr("203.0.113.10", 80);
	struct packet p;

	(void)state;
	assert_int_equal(put(site->queue[1], &client, &service, TCP_SYN, 0), 0);
	assert_int_equal(datapath_run_queue(site->datapath, 1), 1);
	assert_true(take(site->queue[1], &p));
	memory_set_device_max(site->queue[1], NARROW);
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(site->queue[1], &client, &service, TCP_ACK, NARROW), 0);
	assert_int_equal(datapath_run_queue(site->datapath, 1), 3);
	assert_int_equal(site->counters.drop[DROP_too_big], 3);
	assert_true(take(site->queue[1], &p));
	assert_int_equal(p.protocol, IPPROTO_ICMP);
	assert_false(take(site->queue[1], &p));
	assert_false(take(site->io, &p));
}

static void
test_no_more_than_there_may_be(void **state)
{
	(void)state;
	for (int i = QUEUES; i < IO_QUEUES_MAX; i++)
		assert_int_equal(datapath_add_queue(site->datapath, site->io), i);
	assert_int_equal(datapath_add_queue(site->datapath, site->io), -1);
}

/* ---- transferred ---- */

static struct two_sites t;

static int
setup_two(void **state)
{
	(void)state;
	t = (struct two_sites){.now = clock_now()};
	t.x = instance_new_queues(SITE("tokyo", "1", "osaka", "2", "direct", ""), 1, 2);
	t.y = instance_new_queues(SITE("osaka", "2", "tokyo", "1", "auto", ""), 2, 2);
	if (t.x == NULL || t.y == NULL || instance_link(t.x, t.y, t.now) == -1)
		return -1;
	two_sites_servers(t.x, SERVER_DOWN, t.now);
	return 0;
}

static int
teardown_two(void **state)
{
	(void)state;
	instance_free(t.x);
	instance_free(t.y);
	return 0;
}

static void
test_sealed_ones_leave_by_the_queue(void **state)
{
	struct addr client = frame_addr("192.0.2.2", 40000);
	struct addr service = frame_addr("203.0.113.10", 80);
	struct addr from;
	struct memory_packet out;
	struct packet p;

	(void)state;
	from = t.x->config->transfer.listen;
	assert_int_equal(put(t.x->queue[1], &client, &service, TCP_SYN, 0), 0);
	assert_int_equal(datapath_run_queue(t.x->datapath, 1), 1);
	assert_int_equal(t.x->counters.counter[COUNTER_connections_transferred], 1);
	assert_false(memory_take_datagram(t.x->io, &out));
	assert_true(memory_take_datagram(t.x->queue[1], &out));
	assert_int_equal(memory_put_datagram(t.y->io, out.data, out.len, &from), 0);
	assert_int_equal(datapath_run_transfer(t.y->datapath, t.now), 1);
	assert_true(take(t.y->io, &p));
	assert_true(
	    addr_equal(&p.destination, &(struct addr){frame_addr("10.2.0.11", 0).ip, 8080}));
	/* what the socket refuses is found out outside as well */
	memory_set_datagram_max(t.x->queue[1], 50);
	assert_int_equal(put(t.x->queue[1], &client, &service, TCP_SYN, 0), 0);
	assert_int_equal(datapath_run_queue(t.x->datapath, 1), 1);
	assert_int_equal(t.x->counters.drop[DROP_send_failed], 1);
}

/* ---- at once ---- */

struct sender {
	pthread_t thread;
	unsigned queue;
	unsigned handled, wrong;
};

/* Clients of its own, a SYN and data each; all of it leaves for the server by its queue. */
static void *
pump(void *arg)
{
	struct sender *s = arg;
	struct io *io = site->queue[s->queue];
	struct addr service = frame_addr("203.0.113.10", 80);
	struct addr client = frame_addr("192.0.2.2", 0);
	struct memory_packet out;

	client.ip.octet[15] = (uint8_t)(10 + s->queue);
	for (int flow = 0; flow < FLOWS; flow++) {
		client.port = (uint16_t)(1024 + flow);
		for (int n = 0; n < PACKETS; n++)
			s->wrong += put(io, &client, &service, n == 0 ? TCP_SYN : TCP_ACK,
					n == 0 ? 0 : 100) != 0;
		while (s->handled < (unsigned)(flow + 1) * PACKETS) {
			int got = datapath_run_queue(site->datapath, s->queue);

			if (got <= 0)
				break;
			s->handled += (unsigned)got;
		}
		for (int n = 0; n < PACKETS; n++)
			s->wrong += !memory_take_packet(io, &out);
	}
	return NULL;
}

static void
test_all_at_once(void **state)
{
	struct sender sender[QUEUES];
	const unsigned each = FLOWS * PACKETS, all = (QUEUES - 1) * each;

	(void)state;
	for (unsigned n = 1; n < QUEUES; n++) {
		sender[n] = (struct sender){.queue = n};
		assert_int_equal(pthread_create(&sender[n].thread, NULL, pump, &sender[n]), 0);
	}
	/* the loop's thread meanwhile: what time does */
	for (int i = 0; i < 200; i++) {
		datapath_expire(site->datapath, guard_enter(site->guard));
		guard_leave(site->guard);
	}
	for (unsigned n = 1; n < QUEUES; n++) {
		assert_int_equal(pthread_join(sender[n].thread, NULL), 0);
		assert_int_equal(sender[n].handled, each);
		assert_int_equal(sender[n].wrong, 0);
	}
	assert_int_equal(site->counters.counter[COUNTER_packets_in], all);
	assert_int_equal(site->counters.counter[COUNTER_packets_out], all);
	assert_int_equal(site->counters.counter[COUNTER_connections_local], (QUEUES - 1) * FLOWS);
	for (int drop = 0; drop < DROP_COUNT; drop++)
		assert_int_equal(site->counters.drop[drop], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_it_leaves_by_the_queue_it_came),
	    TEST(test_refused_at_a_queue),
	    TEST(test_no_more_than_there_may_be),
	    cmocka_unit_test_setup_teardown(
		test_sealed_ones_leave_by_the_queue, setup_two, teardown_two),
	    TEST(test_all_at_once),
	};

	return cmocka_run_group_tests_name("datapath_queues", tests, NULL, NULL);
}
