/*
 * Servers that see their clients' own addresses: what they are sent and what comes back, by rules
 * 1 and 2; what is not theirs goes its way.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "two_sites.h"

#define KEEP(n) \
	"services: (" \
	"  { name = \"web\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n "::10\" ];" \
	"    ports = [ 80, 81 ]; client_address = \"keep\"; servers: ( { name = \"a\";" \
	"      address = [ \"10." n ".0.11\", \"2001:db8:" n "::11\" ]; port = 8080; } ); }," \
	"  { name = \"dns\"; address = [ \"203.0.113." n "0\", \"2001:db8:" n "::10\" ];" \
	"    protocol = \"udp\"; ports = [ 53 ]; client_address = \"keep\";" \
	"    servers: ( { name = \"a\"; address = [ \"10." n ".0.11\", \"2001:db8:" n \
	"::11\" ]; } ); } );"

#define KEEPING(name, n, peer, m, reply, more) \
	"site = \"" name "\"; limits: { connections = 1024; };" more \
	"peers: ( " PEER(peer, m, reply) " );" SELVES(n) KEEP(n) LOAD(n) TRANSFER(n, "")

static struct two_sites t;
static struct addr client, service, server, stranger;

static void
make(int version, bool local, const char *x)
{
	bool v4 = version == 4;

	two_sites_link(&t, x, KEEPING("osaka", "2", "tokyo", "1", "auto", ""));
	if (local)
		two_sites_servers(t.x, SERVER_UP, t.now);
	client = frame_addr(v4 ? "192.0.2.2" : "2001:db8:c::2", 40000);
	stranger = frame_addr(v4 ? "192.0.2.99" : "2001:db8:c::99", 7777);
	service = frame_addr(v4 ? "203.0.113.10" : "2001:db8:1::10", 80);
	if (local)
		server = frame_addr(v4 ? "10.1.0.11" : "2001:db8:1::11", 8080);
	else
		server = frame_addr(v4 ? "10.2.0.11" : "2001:db8:2::11", 8080);
}

#define DIRECT KEEPING("tokyo", "1", "osaka", "2", "direct", "")
#define RELAY  KEEPING("tokyo", "1", "osaka", "2", "transferor", "")
#define RAW    KEEPING("tokyo", "1", "osaka", "2", "direct", "device: { output = \"raw\"; };")

static void
each(void (*story)(void), bool local)
{
	for (int version = 4; version <= 6; version += 2) {
		make(version, local, DIRECT);
		story();
		two_sites_free(&t);
	}
}

static void
local_story(void)
{
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, 1, 0), DROP_none);
	two_sites_expect(&t, t.x, &client, &server);
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &server, &client, TCP_SYN | TCP_ACK, 9, 2), DROP_none);
	two_sites_expect(&t, t.x, &service, &client);
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_ACK, 2, 10), DROP_none);
	two_sites_expect(&t, t.x, &client, &server);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_ESTABLISHED);
}

static void
test_own_server(void **state)
{
	(void)state;
	each(local_story, true);
}

static void
direct_story(void)
{
	struct addr a;

	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, 1, 0), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	two_sites_expect(&t, t.y, &client, &server);
	assert_int_equal(
	    two_sites_tcp(&t, t.y, &server, &client, TCP_SYN | TCP_ACK, 9, 2), DROP_none);
	two_sites_expect(&t, t.y, &service, &client);
	a = connection_self(datapath_connections(t.y->datapath), two_sites_record(t.y));
	assert_true(addr_equal(&a, &client));
}

static void
test_direct_reply(void **state)
{
	(void)state;
	each(direct_story, false);
}

/* By rule 3 the server's packets have to come to the transferor, and so to its address. */
static void
test_relay(void **state)
{
	struct packet p;

	(void)state;
	make(4, false, RELAY);
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, 1, 0), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_true(two_sites_take(&t, t.y, &p));
	assert_true(ip_equal(&p.source.ip, &service.ip));
	assert_true(addr_equal(&p.destination, &server));
	two_sites_free(&t);
}

static void
udp_story(void)
{
	struct addr dns = service, target = server;

	dns.port = target.port = 53;
	assert_int_equal(two_sites_udp(&t, t.x, &client, &dns, 30), DROP_none);
	two_sites_expect(&t, t.x, &client, &target);
	assert_int_equal(two_sites_udp(&t, t.x, &target, &client, 90), DROP_none);
	two_sites_expect(&t, t.x, &dns, &client);
}

static void
test_udp(void **state)
{
	(void)state;
	each(udp_story, true);
}

/* The client's port is had or none is: the server could not tell the two apart. */
static void
collision_story(void)
{
	struct addr second = service;

	second.port = 81;
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, 1, 0), DROP_none);
	two_sites_expect(&t, t.x, &client, &server);
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &client, &second, TCP_SYN, 1, 0), DROP_out_of_ports);
	assert_true(two_sites_silent(t.x));
	/* another port of it, and another client with the same one, are other connections */
	client.port++;
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &second, TCP_SYN, 1, 0), DROP_none);
	two_sites_expect(&t, t.x, &client, &server);
	stranger.port = 40000;
	assert_int_equal(two_sites_tcp(&t, t.x, &stranger, &second, TCP_SYN, 1, 0), DROP_none);
	two_sites_expect(&t, t.x, &stranger, &server);
}

static void
test_collision(void **state)
{
	(void)state;
	each(collision_story, true);
}

/* What the server sends from its port to others is none of ours, and not lost. */
static void
passing_story(void)
{
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &server, &stranger, TCP_SYN | TCP_ACK, 9, 2), DROP_none);
	assert_int_equal(two_sites_expect(&t, t.x, &server, &stranger).tcp_seq, 9);
	assert_int_equal(t.x->counters.counter[COUNTER_passed_by], 1);
	/* but not to an address of ours, nor from anybody else */
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &server, &service, TCP_ACK, 9, 2), DROP_no_connection);
	assert_true(memory_take_packet(t.x->io, &t.out));
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &client, &stranger, TCP_ACK, 9, 2), DROP_not_ours);
	assert_true(two_sites_silent(t.x));
	assert_int_equal(t.x->counters.counter[COUNTER_passed_by], 1);
}

static void
test_passing(void **state)
{
	(void)state;
	each(passing_story, true);
}

/* An error of the server's about a client's packet is translated, its own echo passes. */
static void
test_icmp(void **state)
{
	struct frame quoted;
	struct addr from = {.ip = {{0}}};
	struct packet p;

	(void)state;
	make(4, true, DIRECT);
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, 1, 0), DROP_none);
	two_sites_expect(&t, t.x, &client, &server);
	frame_from(&quoted, t.out.data, t.out.len);
	from.ip = server.ip;
	frame_ip(&t.frame, &from, &client, IPPROTO_ICMP);
	frame_icmp(&t.frame, 3, 3, 0);
	frame_add(&t.frame, quoted.octets, quoted.len);
	assert_int_equal(two_sites_device(&t, t.x), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_true(ip_equal(&p.source.ip, &service.ip));
	assert_true(ip_equal(&p.destination.ip, &client.ip));
	assert_int_equal(t.x->counters.counter[COUNTER_icmp_converted], 1);
	frame_ip(&t.frame, &from, &stranger, IPPROTO_ICMP);
	frame_icmp(&t.frame, 8, 0, 77);
	assert_int_equal(two_sites_device(&t, t.x), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_true(ip_equal(&p.source.ip, &server.ip));
	assert_int_equal(t.x->counters.counter[COUNTER_passed_by], 1);
	two_sites_free(&t);
}

/* Raw sockets would send it to where it came from. */
static void
test_no_passing_by_raw_sockets(void **state)
{
	(void)state;
	make(4, true, RAW);
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &server, &stranger, TCP_ACK, 9, 2), DROP_not_ours);
	assert_true(two_sites_silent(t.x));
	two_sites_free(&t);
}

/* A server that is a client of its own service is shown another address than its own. */
static void
test_server_as_client(void **state)
{
	struct addr itself;
	struct packet p;

	(void)state;
	make(4, true, DIRECT);
	itself = (struct addr){server.ip, 50000};
	assert_int_equal(two_sites_tcp(&t, t.x, &itself, &service, TCP_SYN, 1, 0), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_false(ip_equal(&p.source.ip, &server.ip));
	assert_true(addr_equal(&p.destination, &server));
	two_sites_free(&t);
}

/* Addresses of clients do not fill the place of those that the configuration names. */
static void
test_many_clients(void **state)
{
	struct connection_counts counts;

	(void)state;
	make(6, true, DIRECT);
	for (unsigned i = 0; i < 700; i++) {
		client.ip.octet[14] = (uint8_t)(i >> 8);
		client.ip.octet[15] = (uint8_t)i;
		assert_int_equal(
		    two_sites_udp(&t, t.x, &client, &(struct addr){service.ip, 53}, 10),
		    DROP_none);
		assert_true(memory_take_packet(t.x->io, &t.out));
	}
	connection_table_counts(datapath_connections(t.x->datapath), &counts);
	assert_int_equal(counts.live, 700);
	two_sites_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_own_server),
	    cmocka_unit_test(test_direct_reply),
	    cmocka_unit_test(test_relay),
	    cmocka_unit_test(test_udp),
	    cmocka_unit_test(test_collision),
	    cmocka_unit_test(test_passing),
	    cmocka_unit_test(test_icmp),
	    cmocka_unit_test(test_no_passing_by_raw_sockets),
	    cmocka_unit_test(test_server_as_client),
	    cmocka_unit_test(test_many_clients),
	};

	return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
