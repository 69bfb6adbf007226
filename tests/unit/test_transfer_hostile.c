/*
 * transfer_hostile: what somebody may send to the transfer port by the million: packets again,
 * packets with a bit changed, noise; and what a peer may who has lost its mind.  None of it is
 * accepted, answered, or leaves anything behind but a count.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "transfer/seal.h"
#include "two_sites.h"

#define MILLION  1000000
#define RECORDED 64
#define ROOM     2048

struct sealed {
	uint8_t data[ROOM];
	size_t len;
};

/* All that y keeps of what came. */
struct kept {
	struct counters counters;
	struct connection_counts connections;
	uint64_t packets_in, bytes_in, opened, received;
	size_t closed;
};

static struct two_sites sites;
static struct instance *x, *y;
static struct addr peer, stranger, other_port;
static struct random source;
static uint64_t now;
static unsigned pending;
static struct frame frame;

static int
setup(void **state)
{
	(void)state;
	two_sites_make(&sites, "direct", "");
	x = sites.x;
	y = sites.y;
	now = sites.now;
	pending = 0;
	random_init(&source, 11);
	peer = x->config->transfer.listen;
	stranger = frame_addr("192.0.2.66", peer.port);
	other_port = peer;
	other_port.port++;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&sites);
	return 0;
}

/* ---- what comes, and what comes of it ---- */

static void
handle(void)
{
	if (pending > 0)
		assert_int_equal(datapath_run_transfer(y->datapath, now), pending);
	pending = 0;
}

static void
deliver(const uint8_t *data, size_t len, const struct addr *from)
{
	assert_int_equal(memory_put_datagram(y->io, data, len, from), 0);
	if (++pending == IO_BATCH)
		handle();
}

static struct kept
look(void)
{
	const struct site *site =
	    load_table_site(y->load, load_table_find_site(y->load, "tokyo"));
	struct kept kept = {.counters = y->counters,
	    .packets_in = site->transfer_packets_in,
	    .bytes_in = site->transfer_bytes_in,
	    .closed = y->closed_count};

	connection_table_counts(datapath_connections(y->datapath), &kept.connections);
	for (size_t i = 0; i < site->services_count; i++)
		kept.received += site->services[i].received_total;
	for (uint32_t i = 0; i < load_table_servers(y->load); i++)
		kept.opened += load_table_server(y->load, i)->total;
	return kept;
}

/* All since then was dropped and nothing else; y has said nothing. */
static void
expect_nothing(const struct kept *before, uint64_t dropped)
{
	struct memory_packet out;
	struct kept after;
	uint64_t sum = 0;

	handle();
	after = look();
	assert_false(memory_take_packet(y->io, &out));
	assert_false(memory_take_datagram(y->io, &out));
	for (int i = 1; i < DROP_COUNT; i++)
		sum += after.counters.drop[i] - before->counters.drop[i];
	assert_int_equal(sum, dropped);
	assert_memory_equal(
	    &after.counters.counter, &before->counters.counter, sizeof(after.counters.counter));
	assert_memory_equal(&after.connections, &before->connections, sizeof(after.connections));
	assert_int_equal(after.packets_in, before->packets_in);
	assert_int_equal(after.bytes_in, before->bytes_in);
	assert_int_equal(after.received, before->received);
	assert_int_equal(after.opened, before->opened);
	assert_int_equal(after.closed, before->closed);
}

static uint64_t
dropped_since(const struct kept *before, enum drop drop)
{
	return y->counters.drop[drop] - before->counters.drop[drop];
}

static void
make_datagram(const char *client, uint16_t client_port, const char *service, uint16_t port,
    size_t payload)
{
	struct addr from = frame_addr(client, client_port), to = frame_addr(service, port);

	frame_ip(&frame, &from, &to, IPPROTO_UDP);
	frame_udp(&frame, client_port, port);
	frame_payload(&frame, payload);
	frame_finish(&frame);
}

/* A client's packet, as x seals it for y. */
static void
record(struct sealed *s, uint16_t client_port, size_t payload)
{
	struct memory_packet out;

	make_datagram("192.0.2.77", client_port, "203.0.113.10", 53, payload);
	assert_int_equal(memory_put_packet(x->io, frame.octets, frame.len, 0, 0, false), 0);
	assert_int_equal(datapath_run_device(x->datapath, now), 1);
	assert_true(memory_take_datagram(x->io, &out));
	assert_true(out.len <= sizeof(s->data));
	memcpy(s->data, out.data, out.len);
	s->len = out.len;
	assert_false(memory_take_datagram(x->io, &out));
}

/* It is accepted, and goes to one of y's servers. */
static void
expect_accepted(const struct sealed *s)
{
	static const uint8_t servers[] = {10, 2, 0};
	struct memory_packet out;

	deliver(s->data, s->len, &peer);
	handle();
	assert_true(memory_take_packet(y->io, &out));
	assert_memory_equal(out.data + 16, servers, sizeof(servers));
	assert_false(memory_take_packet(y->io, &out));
}

/* ---- without the keys ---- */

/* Again and again, in any order, while epochs go by. */
static void
test_a_million_replays(void **state)
{
	static struct sealed sealed[RECORDED];
	const struct addr *from[] = {
	    &peer, &peer, &peer, &peer, &peer, &peer, &stranger, &other_port};
	struct kept first = look(), before;

	(void)state;
	for (unsigned i = 0; i < RECORDED; i++) {
		record(&sealed[i], (uint16_t)(4000 + i), i);
		expect_accepted(&sealed[i]);
	}
	for (unsigned round = 0; round < 20; round++) {
		before = look();
		for (unsigned i = 0; i < MILLION / 20; i++) {
			const struct sealed *s = &sealed[random_below(&source, RECORDED)];

			deliver(s->data, s->len, from[i % 8]);
		}
		expect_nothing(&before, MILLION / 20);
		/* some go on in time: a new epoch, a second more */
		now += CLOCK_SECOND;
		keyring_next_epoch(x->keyring);
		record(&sealed[round], 4000, round);
		expect_accepted(&sealed[round]);
	}
	assert_int_equal(dropped_since(&first, DROP_transfer_source), MILLION / 4);
	assert_int_equal(dropped_since(&first, DROP_transfer_replay) +
		dropped_since(&first, DROP_transfer_epoch),
	    MILLION - MILLION / 4);
	assert_true(dropped_since(&first, DROP_transfer_replay) > MILLION / 40);
	assert_true(dropped_since(&first, DROP_transfer_epoch) > MILLION / 8);
}

/* Each bit of packets of all lengths; the packet itself is as good as before. */
static void
test_a_million_bits(void **state)
{
	struct sealed s;
	unsigned flipped = 0;

	(void)state;
	for (unsigned round = 0; flipped < MILLION; round++) {
		struct kept before;

		record(&s, 4000, round % 64);
		before = look();
		for (size_t bit = 0; bit < s.len * 8; bit++) {
			s.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			deliver(s.data, s.len, &peer);
			s.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		expect_nothing(&before, s.len * 8);
		expect_accepted(&s);
		flipped += (unsigned)s.len * 8;
		now += CLOCK_MILLISECOND;
	}
}

/* Random octets, as they are and behind a header that is right as far as a stranger may know. */
static void
test_a_million_random(void **state)
{
	struct kept before;
	struct sealed good, s;
	uint64_t word;

	(void)state;
	record(&good, 4000, 20);
	before = look();
	for (unsigned i = 0; i < MILLION; i++) {
		size_t right = i % 4 == 0 ? 0 : random_below(&source, 24);

		s.len = 1 + random_below(&source, i % 1024 == 0 ? ROOM : 160);
		for (size_t at = 0; at < s.len; at += sizeof(word)) {
			word = random_next(&source);
			memcpy(s.data + at, &word, sizeof(word));
		}
		memcpy(s.data, good.data, right < s.len ? right : s.len);
		if (right > 0)
			s.data[0] = (uint8_t)(0x10 + TRANSFER_DATA + i % 16 / 4);
		deliver(s.data, s.len, i % 2 == 0 ? &peer : &stranger);
	}
	expect_nothing(&before, MILLION);
	for (int i = 1; i < DROP_COUNT; i++)
		if (dropped_since(&before, i) > 0)
			assert_int_equal(strncmp(drop_name(i), "transfer_", 9), 0);
	assert_true(dropped_since(&before, DROP_transfer_tag) > MILLION / 20);
	expect_accepted(&good);
}

/* ---- with the keys ---- */

/* The frame, sealed by one site for the other as its owner never would. */
static void
seal_frame(struct instance *by, const struct transfer_info *info, struct sealed *s)
{
	s->len = transfer_seal(keyring_tx(by->keyring, 0), TRANSFER_DATA, info, frame.octets,
	    frame.len, NULL, 0, s->data, sizeof(s->data));
	assert_int_not_equal(s->len, 0);
}

/* y drops the frame for that reason, whatever the flags and the relay port. */
static void
expect_refused(uint16_t service, enum drop reason)
{
	static const uint8_t flags[] = {0, TRANSFER_FLAG_DEMAND};
	static const uint16_t ports[] = {0, 1024, 53, 40000};
	struct kept before = look();
	struct sealed s;

	for (unsigned i = 0; i < 8; i++) {
		struct transfer_info info = {.service = service,
		    .relay_port = ports[i / 2],
		    .flags = flags[i % 2],
		    .hops = 1};

		seal_frame(x, &info, &s);
		deliver(s.data, s.len, &peer);
	}
	handle();
	assert_int_equal(dropped_since(&before, reason), 8);
	/* it was authentic: that is counted, and nothing else */
	before.counters.counter[COUNTER_transfer_packets_in] += 8;
	before.counters.counter[COUNTER_transfer_bytes_in] += 8 * frame.len;
	before.packets_in += 8;
	before.bytes_in += 8 * frame.len;
	expect_nothing(&before, 8);
}

static uint16_t
number_of(const char *service)
{
	return (uint16_t)load_table_find_service(y->load, service);
}

static void
test_service_of_others(void **state)
{
	(void)state;
	/* y's own address, a server's, somebody's */
	make_datagram("192.0.2.77", 4000, "203.0.113.20", 53, 8);
	expect_refused(number_of("dns"), DROP_transfer_service);
	make_datagram("192.0.2.77", 4000, "10.2.0.11", 53, 8);
	expect_refused(number_of("dns"), DROP_transfer_service);
	make_datagram("192.0.2.77", 4000, "8.8.8.8", 53, 8);
	expect_refused(number_of("dns"), DROP_transfer_service);
	make_datagram("2001:db8:77::1", 4000, "2001:db8:2::10", 53, 8);
	expect_refused(number_of("dns"), DROP_transfer_service);
	/* its own, but for the number of another one, or of none */
	make_datagram("192.0.2.77", 4000, "203.0.113.10", 53, 8);
	expect_refused(number_of("web"), DROP_transfer_service);
	expect_refused(2, DROP_transfer_service);
	expect_refused(UINT16_MAX, DROP_transfer_service);
	/* a port or protocol that it does not have */
	make_datagram("192.0.2.77", 4000, "203.0.113.10", 54, 8);
	expect_refused(number_of("dns"), DROP_transfer_service);
	make_datagram("192.0.2.77", 4000, "203.0.113.10", 80, 8);
	expect_refused(number_of("web"), DROP_transfer_service);
}

static void
test_martian_clients(void **state)
{
	static const char *const clients[] = {"127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1",
	    "239.255.255.250", "240.0.0.1", "255.255.255.255", "203.0.113.20", "198.51.100.20"};
	static const char *const clients6[] = {
	    "::", "::1", "ff02::1", "::ffff:7f00:1", "2001:db8:2::10", "2001:db8:2::20"};

	(void)state;
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		make_datagram(clients[i], 4000, "203.0.113.10", 53, 8);
		expect_refused(number_of("dns"), DROP_martian);
	}
	for (size_t i = 0; i < sizeof(clients6) / sizeof(clients6[0]); i++) {
		struct ip ip;

		if (ip_parse(clients6[i], &ip) == -1 || ip_is_v4(&ip))
			continue;
		make_datagram(clients6[i], 4000, "2001:db8:1::10", 53, 8);
		expect_refused(number_of("dns"), DROP_martian);
	}
}

/* A peer's packet for a port that waits for its servers' answers: those come by the device. */
static void
test_relay_port(void **state)
{
	struct addr client = frame_addr("192.0.2.77", 4000), service, server, to;
	struct connection_counts before, after;
	struct memory_packet out;
	struct sealed s;

	(void)state;
	teardown(state);
	two_sites_make(&sites, "transferor", "");
	service = frame_addr("203.0.113.10", 80);
	server = frame_addr("10.2.0.11", 8080);
	assert_int_equal(
	    two_sites_tcp(&sites, sites.x, &client, &service, TCP_SYN, 1, 0), DROP_none);
	to = (struct addr){service.ip, two_sites_record(sites.x)->relay_port};
	assert_int_not_equal(to.port, 0);
	instance_carry(sites.x, sites.y, sites.now);
	connection_table_counts(datapath_connections(sites.x->datapath), &before);
	frame_ip(&frame, &server, &to, IPPROTO_TCP);
	frame_tcp(&frame, server.port, to.port, 9, 2, TCP_SYN | TCP_ACK, NULL, 0);
	frame_finish(&frame);
	for (uint16_t i = 0; i < 8; i++) {
		struct transfer_info info = {
		    .service = i / 4, .relay_port = i & 1 ? to.port : 0, .flags = i >> 1 & 1};

		seal_frame(sites.y, &info, &s);
		memory_put_datagram(
		    sites.x->io, s.data, s.len, &sites.y->config->transfer.listen);
		assert_int_equal(datapath_run_transfer(sites.x->datapath, sites.now), 1);
		assert_int_equal(sites.x->counters.drop[DROP_transfer_service], i + 1);
	}
	assert_false(memory_take_packet(sites.x->io, &out));
	connection_table_counts(datapath_connections(sites.x->datapath), &after);
	assert_memory_equal(&after, &before, sizeof(after));
	/* it is the connection's, where it comes from */
	assert_int_equal(
	    two_sites_tcp(&sites, sites.x, &server, &to, TCP_SYN | TCP_ACK, 9, 2), DROP_none);
	two_sites_expect(&sites, sites.x, &service, &client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_million_replays, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_million_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_million_random, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_service_of_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_martian_clients, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_relay_port, setup, teardown),
	};

	return cmocka_run_group_tests_name("transfer_hostile", tests, NULL, NULL);
}
