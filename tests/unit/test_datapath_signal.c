/*
 * datapath_signal: what packets of connections that open say of servers, and what becomes of a
 * client whose server is silent.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "two_sites.h"

#define MS CLOCK_MILLISECOND

#define TWO \
	"site = \"x\"; limits: { connections = 1024; };" SELVES( \
	    "1") "services: (" \
		 "  { name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8:1::10\" ]; " \
		 "ports = [ 80, 443 ];" \
		 "    scheduler = \"lc\"; servers: (" \
		 "      { name = \"a\"; address = [ \"10.1.0.11\", \"2001:db8:1::11\" ]; }," \
		 "      { name = \"b\"; address = [ \"10.1.0.12\", \"2001:db8:1::12\" ]; } " \
		 "); }," \
		 "  { name = \"dns\"; address = \"203.0.113.10\"; protocol = \"udp\"; ports " \
		 "= [ 53 ];" \
		 "    scheduler = \"lc\"; servers: (" \
		 "      { name = \"a\"; address = \"10.1.0.11\"; }," \
		 "      { name = \"b\"; address = \"10.1.0.12\"; } ); } );"

enum { WEB_A, WEB_B, DNS_A, DNS_B };

static struct two_sites t; /* of which x alone */
static struct addr service;

static void
on_changed(void *arg, enum load_change change, uint32_t number)
{
	(void)arg;
	if (change == LOAD_CHANGE_SERVER && !server_is_up(load_table_server(t.x->load, number)))
		datapath_server_down(t.x->datapath, number, t.now);
}

static int
setup(void **state)
{
	(void)state;
	t.now = 1000 * CLOCK_SECOND;
	t.x = instance_new(TWO, 1, t.now);
	assert_non_null(t.x);
	load_table_set_listener(t.x->load, on_changed, NULL);
	service = frame_addr("203.0.113.10", 80);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	instance_free(t.x);
	return 0;
}

static struct server *
server(uint32_t number)
{
	return load_table_server(t.x->load, number);
}

static struct addr
client(uint16_t number)
{
	return frame_addr(ip_is_v4(&service.ip) ? "192.0.2.77" : "2001:db8:ffff::77",
	    (uint16_t)(40000 + number));
}

/* A client's SYN, first or repeated; the packet that a server gets. */
static struct packet
syn(uint16_t number)
{
	struct addr from = client(number);
	struct packet p;

	assert_int_equal(
	    two_sites_tcp(&t, t.x, &from, &service, TCP_SYN, 1000u * number, 0), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	return p;
}

static bool
is_to(const struct packet *p, uint32_t number)
{
	const struct server *s = server(number);

	return ip_equal(&p->destination.ip, ip_is_v4(&p->destination.ip) ? &s->v4 : &s->v6);
}

/* What the server says to a packet that it got. */
static void
answer(const struct packet *to, uint8_t flags)
{
	struct addr from = to->destination, self = to->source;
	struct packet p;

	assert_int_equal(
	    two_sites_tcp(&t, t.x, &from, &self, flags, 77000, to->tcp_seq + 1), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
}

/* A new connection of the server: others are answered and stay, as lc wants. */
static struct packet
syn_to(uint32_t number, uint16_t *next)
{
	struct packet p;

	for (;;) {
		p = syn((*next)++);
		if (is_to(&p, number))
			return p;
		answer(&p, TCP_SYN | TCP_ACK);
	}
}

static void
test_answers_are_timed(void **state)
{
	struct packet p = syn(1);
	uint32_t number = is_to(&p, WEB_A) ? WEB_A : WEB_B;

	(void)state;
	t.now += 3 * MS;
	answer(&p, TCP_SYN | TCP_ACK);
	assert_int_equal(server(number)->signals.samples, 1);
	assert_true(fabs(server(number)->signals.fast - 0.003) < 5e-6);
	t.now += 100 * MS; /* the answer again: it is the first that counts */
	answer(&p, TCP_SYN | TCP_ACK);
	assert_int_equal(server(number)->signals.samples, 1);
}

/* Karn: which of two SYNs is answered nobody knows. */
static void
test_repeated_ones_are_not_timed(void **state)
{
	struct packet p = syn(1);
	uint32_t number = is_to(&p, WEB_A) ? WEB_A : WEB_B;

	(void)state;
	t.now += 1000 * MS;
	p = syn(1);
	assert_true(is_to(&p, number));
	assert_int_equal(server(number)->signals.unanswered, 1);
	t.now += MS;
	answer(&p, TCP_SYN | TCP_ACK);
	assert_int_equal(server(number)->signals.samples, 0);
	assert_int_equal(server(number)->signals.unanswered, 0);
	assert_false(server(number)->avoided);
}

/* The story of a server that has died: a, under each family. */
static void
dies(void)
{
	uint16_t next = 1, first[4];
	struct packet p;

	for (int i = 0; i < 4; i++) {
		syn_to(WEB_A, &next);
		first[i] = (uint16_t)(next - 1);
		t.now += 100 * MS;
	}
	assert_int_equal(server(WEB_A)->signals.unanswered, 0);
	t.now += 600 * MS;
	p = syn(first[0]); /* one may be a lost packet: it stays */
	assert_true(is_to(&p, WEB_A));
	assert_true(server(WEB_A)->avoided);
	for (int i = 0; i < 10; i++) { /* new ones go elsewhere, though a has the fewest */
		p = syn(next++);
		assert_true(is_to(&p, WEB_B));
		answer(&p, TCP_SYN | TCP_ACK);
	}
	syn(first[0]);
	assert_int_equal(server(WEB_A)->signals.unanswered, 1); /* counted once */
	t.now += 150 * MS;
	p = syn(first[1]); /* two are not: moved to b, which answers */
	assert_true(is_to(&p, WEB_B));
	assert_true(server_is_up(server(WEB_A)));
	answer(&p, TCP_SYN | TCP_ACK);
	t.now += 200 * MS;
	p = syn(first[2]);
	assert_true(is_to(&p, WEB_B));
	assert_false(server_is_up(server(WEB_A)));
	assert_string_equal(server_cause(server(WEB_A)), "new connections get no answer");
	/* the first one, which had stayed, has another one as well from its next SYN on */
	p = syn(first[0]);
	assert_true(is_to(&p, WEB_B));
	datapath_expire(t.x->datapath, t.now);
	p = syn(first[3]);
	assert_true(is_to(&p, WEB_B));
	assert_int_equal(server(WEB_A)->active, 0);
	assert_true(t.x->counters.counter[COUNTER_connections_moved] >= 3);
	assert_int_equal(t.x->counters.counter[COUNTER_connections_unanswered], 3);
}

static void
test_a_server_dies(void **state)
{
	(void)state;
	dies();
}

static void
test_a_server_dies_ipv6(void **state)
{
	(void)state;
	service = frame_addr("2001:db8:1::10", 80);
	dies();
}

/* Established connections of a server that takes no new ones stay. */
static void
test_established_ones_stay(void **state)
{
	uint16_t next = 1, number;
	struct packet p = syn_to(WEB_A, &next);
	struct addr from = client((uint16_t)(next - 1)), to;

	(void)state;
	number = (uint16_t)(next - 1);
	answer(&p, TCP_SYN | TCP_ACK);
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &from, &service, TCP_ACK, 1000u * number + 1, 77001),
	    DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	to = p.destination;
	for (uint64_t i = 0; i < 3; i++)
		load_table_server_unanswered(
		    t.x->load, WEB_A, SIGNALS_silent, t.now + i * 200 * MS);
	t.now += 400 * MS;
	assert_false(server_is_up(server(WEB_A)));
	datapath_expire(t.x->datapath, t.now);
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &from, &service, TCP_ACK, 1000u * number + 1, 77001),
	    DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_true(addr_equal(&p.destination, &to));
}

/* An attacker repeats his SYNs at once: they are being answered. */
static void
test_repeated_at_once(void **state)
{
	uint16_t next = 1;

	(void)state;
	for (int i = 0; i < 20; i++) {
		syn_to(WEB_A, &next);
		t.now += 700 * MS;
		syn((uint16_t)(next - 1));
	}
	assert_int_equal(server(WEB_A)->signals.unanswered, 0);
}

/* SYNs that no server needs to answer. */
static void
test_what_is_not_counted(void **state)
{
	static const uint8_t md5[20] = {19, 18}, broken[4] = {2, 9};
	uint16_t next = 1;

	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		struct addr from, to = service;
		struct packet p = syn_to(WEB_A, &next);

		from = client((uint16_t)(next - 1));
		t.now += 1100 * MS;
		frame_ip(&t.frame, &from, &to, IPPROTO_TCP);
		if (kind == 0)
			frame_ip_options(&t.frame, "\x01\x01\x01\x00", 4);
		frame_tcp(&t.frame, from.port, to.port, 1000u * (next - 1u), 0,
		    kind == 4 ? TCP_SYN | 0x20 : TCP_SYN, kind == 1 ? md5 : broken,
		    kind == 1       ? sizeof(md5)
			: kind == 2 ? sizeof(broken)
				    : 0);
		if (kind == 3)
			t.frame.octets[8] = 7; /* TTL */
		frame_finish(&t.frame);
		if (kind == 5)
			t.frame.octets[20 + 16] ^= 1; /* checksum */
		assert_int_equal(
		    memory_put_packet(t.x->io, t.frame.octets, t.frame.len, 0, 0, false), 0);
		assert_int_equal(datapath_run_device(t.x->datapath, t.now), 1);
		assert_true(memory_take_packet(t.x->io, &t.out)); /* it is passed on */
		assert_int_equal(server(WEB_A)->signals.unanswered, 0);
		(void)p;
	}
	/* and what would be: the same without any of this */
	syn_to(WEB_A, &next);
	t.now += 1100 * MS;
	syn((uint16_t)(next - 1));
	assert_int_equal(server(WEB_A)->signals.unanswered, 1);
}

/* Nobody says that the servers listen on all ports of the service. */
static void
test_other_ports_are_not_counted(void **state)
{
	uint16_t next = 1;

	(void)state;
	service.port = 443;
	for (int i = 0; i < 5; i++) {
		struct packet p = syn_to(WEB_A, &next);

		t.now += 1000 * MS;
		answer(&p, TCP_RST | TCP_ACK);
	}
	assert_int_equal(server(WEB_A)->signals.unanswered, 0);
	assert_true(server_is_up(server(WEB_A)));
}

static void
test_refused(void **state)
{
	uint16_t next = 1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct packet p = syn_to(WEB_A, &next);

		assert_true(server_is_up(server(WEB_A)));
		answer(&p, TCP_RST | TCP_ACK);
		assert_int_equal(server(WEB_A)->signals.unanswered, i + 1);
		t.now += 130 * MS;
		/* it would get nothing more: this is what a check that passes does */
		server(WEB_A)->avoided = false;
		load_table_service(t.x->load, 0)->version++;
	}
	assert_false(server_is_up(server(WEB_A)));
	assert_string_equal(server_cause(server(WEB_A)), "new connections are refused");
}

/* The end of a connection that was answered is none of this. */
static void
test_reset_later(void **state)
{
	uint16_t next = 1;
	struct packet p = syn_to(WEB_A, &next), q = p;

	(void)state;
	answer(&p, TCP_SYN | TCP_ACK);
	answer(&q, TCP_RST | TCP_ACK);
	assert_int_equal(server(WEB_A)->signals.unanswered, 0);
}

/* ICMP from the server's side about a packet that it was sent. */
static void
unreachable(const struct packet *about, uint8_t type, uint8_t code)
{
	uint8_t quote[60];
	size_t len = about->len < sizeof(quote) ? about->len : sizeof(quote);
	struct addr router = frame_addr("10.1.0.1", 0), self = about->source;
	struct packet p;

	memcpy(quote, about->data, len);
	self.port = 0;
	frame_ip(&t.frame, &router, &self, IPPROTO_ICMP);
	frame_icmp(&t.frame, type, code, 0);
	frame_add(&t.frame, quote, len);
	assert_int_equal(two_sites_device(&t, t.x), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
}

static void
test_unreachable(void **state)
{
	uint16_t next = 1;
	struct packet p = syn_to(WEB_A, &next);

	(void)state;
	unreachable(&p, 3, 4);  /* fragmentation needed */
	unreachable(&p, 11, 0); /* time exceeded */
	assert_int_equal(server(WEB_A)->signals.unanswered, 0);
	p = syn_to(WEB_A, &next);
	unreachable(&p, 3, 1);
	assert_int_equal(server(WEB_A)->signals.unanswered, 1);
	assert_int_equal(server(WEB_A)->signals.cause, SIGNALS_unreachable);
}

static struct packet
datagram(uint16_t number)
{
	struct addr from = client(number), to = frame_addr("203.0.113.10", 53);
	struct packet p;

	assert_int_equal(two_sites_udp(&t, t.x, &from, &to, 20), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	return p;
}

static void
test_udp(void **state)
{
	struct packet p;
	uint16_t next = 1, last = 0;

	(void)state;
	for (int i = 0; i < 3;) {
		p = datagram(last = next++);
		if (!is_to(&p, DNS_A))
			continue;
		unreachable(&p, 3, 3);
		server(DNS_A)->avoided = false;
		load_table_service(t.x->load, 1)->version++;
		t.now += 130 * MS;
		i++;
	}
	assert_false(server_is_up(server(DNS_A)));
	/* a client whose datagrams nobody answered goes to the other one */
	p = datagram(last);
	assert_true(is_to(&p, DNS_B));
}

static void
test_udp_is_timed(void **state)
{
	struct packet p = datagram(1), q;
	uint32_t number = is_to(&p, DNS_A) ? DNS_A : DNS_B;
	struct addr from = p.destination, to = p.source;

	(void)state;
	t.now += 2 * MS;
	assert_int_equal(two_sites_udp(&t, t.x, &from, &to, 30), DROP_none);
	assert_true(two_sites_take(&t, t.x, &q));
	assert_true(fabs(server(number)->signals.fast - 0.002) < 5e-6);
}

/* ---- at the site that a connection was transferred to ---- */

#define PEERED(name, n, peer, m, servers) \
	"site = \"" name \
	"\"; limits: { connections = 1024; }; peers: ( " PEER(peer, m, "direct") " );" SELVES(n) \
	    LOAD(n) TRANSFER(n, "") "services: ( { name = \"web\"; address = \"203.0.113." n \
				    "0\"; ports = [ 80 ];" \
				    " scheduler = \"lc\"; servers: ( " servers " ); } );"

static void
test_transferred(void **state)
{
	struct addr from = frame_addr("192.0.2.77", 41000);
	struct packet p;
	int at_a = 0, moved = 0;
	bool first_is_a[8];

	(void)state;
	instance_free(t.x);
	t.x = instance_new(
	    PEERED("tokyo", "1", "osaka", "2", "{ name = \"n\"; address = \"10.1.0.11\"; }"), 1,
	    t.now);
	t.y = instance_new(PEERED("osaka", "2", "tokyo", "1",
			       "{ name = \"a\"; address = \"10.2.0.11\"; },"
			       "{ name = \"b\"; address = \"10.2.0.12\"; }"),
	    2, t.now);
	assert_int_equal(instance_link(t.x, t.y, t.now), 0);
	two_sites_servers(t.x, SERVER_DOWN, t.now);
	service = frame_addr("203.0.113.10", 80);
	for (int round = 0; round < 2; round++) {
		for (uint16_t i = 0; i < 8; i++) {
			from.port = (uint16_t)(41000 + i);
			assert_int_equal(
			    two_sites_tcp(&t, t.x, &from, &service, TCP_SYN, 1000u + i, 0),
			    DROP_none);
			assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
			assert_true(two_sites_take(&t, t.y, &p));
			if (round == 0) {
				first_is_a[i] = p.destination.ip.octet[15] == 11;
				at_a += first_is_a[i];
			} else if (first_is_a[i]) {
				moved += p.destination.ip.octet[15] == 12;
			}
			t.now += 150 * MS;
			if (p.destination.ip.octet[15] == 12 && round == 0) {
				struct addr b = p.destination, self = p.source;

				assert_int_equal(two_sites_tcp(&t, t.y, &b, &self,
						     TCP_SYN | TCP_ACK, 1, p.tcp_seq + 1),
				    DROP_none);
				assert_true(two_sites_take(&t, t.y, &p));
			}
		}
	}
	assert_int_equal(at_a, 4);
	assert_int_equal(moved, 3); /* but for the first of them */
	assert_false(server_is_up(load_table_server(t.y->load, 0)));
	instance_free(t.y);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_answers_are_timed),
	    T(test_repeated_ones_are_not_timed),
	    T(test_a_server_dies),
	    T(test_a_server_dies_ipv6),
	    T(test_established_ones_stay),
	    T(test_repeated_at_once),
	    T(test_what_is_not_counted),
	    T(test_other_ports_are_not_counted),
	    T(test_refused),
	    T(test_reset_later),
	    T(test_unreachable),
	    T(test_udp),
	    T(test_udp_is_timed),
	    T(test_transferred),
	};

	return cmocka_run_group_tests_name("datapath_signal", tests, NULL, NULL);
}
