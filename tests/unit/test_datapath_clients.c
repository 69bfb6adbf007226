/*
 * What clients meet at a datapath: limits, the same server again, datagrams one by one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "two_sites.h"

#define SERVERS(n) \
	"servers: ( { name = \"a\"; address = \"10." n ".0.11\"; }," \
	" { name = \"b\"; address = \"10." n ".0.12\"; }," \
	" { name = \"c\"; address = \"10." n ".0.13\"; } );"

/* web: tcp with what is given; dns: udp, one packet; both 203.0.113.n0. */
#define CONFIG(name, n, peer, m, reply, web) \
	"site = \"" name "\"; limits: { connections = 1024; };" \
	"self_addresses = [ \"198.51.100." n "0\" ];" \
	"services: ( { name = \"web\"; address = \"203.0.113." n \
	"0\"; ports = [ 80, 81 ];" web " scheduler = \"rr\"; " SERVERS( \
	    n) " }," \
	       " { name = \"dns\"; address = \"203.0.113." n \
	       "0\"; ports = [ 53 ]; protocol = \"udp\";" \
	       " scheduler = \"rr\"; one_packet = true; " SERVERS( \
		   n) " } );" \
		      "peers: ( " PEER(peer, m, reply) " );" LOAD(n) TRANSFER(n, "")

#define LIMIT   "client_limit: { connections = 2; };"
#define PERSIST "persistence: { timeout = 60; };"

static struct two_sites t;
static struct addr client, other, web, dns;

/* X has servers of its own unless down. */
static void
make(const char *x, const char *y, bool down)
{
	two_sites_link(&t, x, y);
	two_sites_servers(t.x, down ? SERVER_DOWN : SERVER_UP, t.now);
	client = frame_addr("192.0.2.1", 40000);
	other = frame_addr("192.0.2.2", 40000);
	web = frame_addr("203.0.113.10", 80);
	dns = frame_addr("203.0.113.10", 53);
}

#define MAKE(reply, options, down) \
	make(CONFIG("tokyo", "1", "osaka", "2", reply, options), \
	    CONFIG("osaka", "2", "tokyo", "1", reply, options), down)

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&t);
	return 0;
}

static void
reload(struct instance *i, const char *text)
{
	struct config *old = i->config;

	i->config = fixture_config(text);
	load_table_apply(i->load, i->config, t.now);
	datapath_set_config(i->datapath, i->config);
	config_free(old);
}

static uint64_t
live(struct instance *i)
{
	struct connection_counts counts;

	connection_table_counts(datapath_connections(i->datapath), &counts);
	return counts.live;
}

static enum drop
syn(const struct addr *from, uint16_t port)
{
	struct addr source = {from->ip, port};

	return two_sites_tcp(&t, t.x, &source, &web, TCP_SYN, 1000, 0);
}

/* The packet that X's device was given last has these flags. */
static struct packet
leaves(uint8_t flags)
{
	struct packet p;

	assert_true(two_sites_take(&t, t.x, &p));
	assert_int_equal(p.tcp_flags, flags);
	return p;
}

/* ---- limits ---- */

static void
test_limit(void **state)
{
	struct packet p;

	(void)state;
	MAKE("auto", LIMIT, false);
	assert_int_equal(syn(&client, 1), DROP_none);
	assert_int_equal(syn(&client, 1), DROP_none); /* the same again */
	assert_int_equal(syn(&client, 2), DROP_none);
	for (int i = 0; i < 3; i++)
		leaves(TCP_SYN);
	assert_int_equal(syn(&client, 3), DROP_client_connections);
	p = leaves(TCP_RST | TCP_ACK);
	assert_true(addr_equal(&p.source, &web));
	assert_int_equal(p.destination.port, 3);
	/* others go on */
	assert_int_equal(syn(&other, 3), DROP_none);
	leaves(TCP_SYN);
	/* half-open ones count until they are over: a RST of the client ends the first */
	client.port = 1;
	assert_int_equal(two_sites_tcp(&t, t.x, &client, &web, TCP_RST, 1001, 0), DROP_none);
	leaves(TCP_RST);
	assert_int_equal(syn(&client, 3), DROP_none);
	leaves(TCP_SYN);
	assert_int_equal(syn(&client, 4), DROP_client_connections);
	leaves(TCP_RST | TCP_ACK);
	/* the same port again is a new connection: refused as any other */
	assert_int_equal(syn(&client, 1), DROP_client_connections);
	leaves(TCP_RST | TCP_ACK);
	/* time ends all of them */
	t.now += 70 * CLOCK_SECOND;
	datapath_expire(t.x->datapath, t.now);
	assert_int_equal(syn(&client, 5), DROP_none);
	assert_int_equal(syn(&client, 6), DROP_none);
	assert_int_equal(syn(&client, 7), DROP_client_connections);
	assert_int_equal(limits_refused(allocation_limits(t.x->allocation), 0).connections, 4);
}

static void
test_limit_in_silence(void **state)
{
	(void)state;
	MAKE("auto", "client_limit: { rate = 1.0; burst = 2; }; on_unknown = \"drop\";", false);
	assert_int_equal(syn(&client, 1), DROP_none);
	assert_int_equal(syn(&client, 2), DROP_none);
	leaves(TCP_SYN);
	leaves(TCP_SYN);
	assert_int_equal(syn(&client, 3), DROP_client_rate);
	assert_true(two_sites_silent(t.x));
	t.now += CLOCK_SECOND;
	assert_int_equal(syn(&client, 3), DROP_none);
}

/* Connections count wherever they are served, at the site that the client came to. */
static void
test_limit_transferred(void **state)
{
	struct addr source = {client.ip, 3};

	(void)state;
	MAKE("auto", LIMIT, true);
	assert_int_equal(syn(&client, 1), DROP_none);
	assert_int_equal(syn(&client, 2), DROP_none);
	assert_int_equal(syn(&client, 3), DROP_client_connections);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 2);
	assert_int_equal(live(t.y), 2);
	/* the transferee does not hold its own limit against them */
	web.ip = frame_addr("203.0.113.20", 80).ip;
	source.ip = client.ip;
	assert_int_equal(two_sites_tcp(&t, t.y, &source, &web, TCP_SYN, 1000, 0), DROP_none);
}

/* Repeated by rule 3, a connection is the same one. */
static void
test_limit_repeated(void **state)
{
	(void)state;
	MAKE("auto", LIMIT, true);
	assert_int_equal(syn(&client, 1), DROP_none);
	assert_int_equal(syn(&client, 2), DROP_none);
	for (int i = 0; i < 3; i++) {
		t.now += CLOCK_SECOND + CLOCK_SECOND / 2;
		assert_int_equal(syn(&client, 1), DROP_none);
	}
	assert_int_equal(t.x->counters.counter[COUNTER_connections_repeated], 1);
	assert_int_equal(live(t.x), 2);
	assert_int_equal(syn(&client, 3), DROP_client_connections);
}

/* What is there when a limit comes counts, and by other prefixes as well. */
static void
test_limit_reload(void **state)
{
	(void)state;
	MAKE("auto", "", false);
	assert_int_equal(syn(&client, 1), DROP_none);
	assert_int_equal(syn(&client, 2), DROP_none);
	assert_int_equal(syn(&client, 3), DROP_none);
	reload(t.x, CONFIG("tokyo", "1", "osaka", "2", "auto", LIMIT));
	assert_int_equal(syn(&client, 4), DROP_client_connections);
	assert_int_equal(syn(&other, 1), DROP_none);
	reload(t.x,
	    CONFIG("tokyo", "1", "osaka", "2", "auto",
		"client_limit: { connections = 5; mask_v4 = 24; };"));
	assert_int_equal(syn(&other, 2), DROP_none);
	assert_int_equal(syn(&other, 3), DROP_client_connections);
	/* each is counted down once */
	for (uint16_t port = 1; port <= 3; port++) {
		client.port = port;
		assert_int_equal(
		    two_sites_tcp(&t, t.x, &client, &web, TCP_RST, 1001, 0), DROP_none);
	}
	for (uint16_t port = 11; port <= 13; port++)
		assert_int_equal(syn(&client, port), DROP_none);
	assert_int_equal(syn(&client, 14), DROP_client_connections);
	reload(t.x, CONFIG("tokyo", "1", "osaka", "2", "auto", ""));
	assert_int_equal(syn(&client, 14), DROP_none);
}

/* ---- persistence ---- */

static struct ip
server_of(struct instance *i)
{
	struct packet p;

	assert_true(two_sites_take(&t, i, &p));
	return p.destination.ip;
}

static void
test_persistence(void **state)
{
	struct ip first, next;

	(void)state;
	MAKE("auto", PERSIST, false);
	assert_int_equal(syn(&client, 1), DROP_none);
	first = server_of(t.x);
	for (uint16_t port = 2; port < 20; port++) {
		web.port = port % 2 ? 80 : 81; /* the service's ports share the entry */
		assert_int_equal(syn(&client, port), DROP_none);
		next = server_of(t.x);
		assert_true(ip_equal(&first, &next));
	}
	assert_int_equal(t.x->counters.counter[COUNTER_connections_persistent], 18);
	assert_int_equal(syn(&other, 1), DROP_none);
	next = server_of(t.x);
	assert_false(ip_equal(&first, &next));
	/* as long as connections live, whatever the timeout; then for its time */
	reload(t.x, CONFIG("tokyo", "1", "osaka", "2", "auto", PERSIST));
	t.now += 70 * CLOCK_SECOND;
	datapath_expire(t.x->datapath, t.now);
	assert_int_equal(live(t.x), 0);
	t.now += 55 * CLOCK_SECOND;
	assert_int_equal(syn(&client, 1), DROP_none);
	next = server_of(t.x);
	assert_true(ip_equal(&first, &next));
}

static void
test_persistence_received(void **state)
{
	struct ip first, next;

	(void)state;
	MAKE("auto", PERSIST, true);
	for (uint16_t port = 1; port < 10; port++) {
		assert_int_equal(syn(&client, port), DROP_none);
		assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
		next = server_of(t.y);
		if (port == 1)
			first = next;
		assert_true(ip_equal(&first, &next));
	}
	/* the client goes on being sent there although there is room here again */
	two_sites_servers(t.x, SERVER_UP, t.now);
	assert_int_equal(syn(&client, 11), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_int_equal(syn(&other, 11), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 0);
	assert_int_equal(t.x->counters.counter[COUNTER_connections_persistent], 9);
}

/* ---- one packet ---- */

/* A datagram of the client to the service; what the server was sent. */
static struct packet
query(const struct addr *from)
{
	struct packet p;

	assert_int_equal(two_sites_udp(&t, t.x, from, &dns, 30), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	return p;
}

/* The server's answer to what it was sent arrives at the client. */
static enum drop
answer(struct instance *i, const struct packet *asked)
{
	return two_sites_udp(&t, i, &asked->destination, &asked->source, 60);
}

static void
test_one_packet(void **state)
{
	unsigned got[256] = {0};
	struct packet asked[9], p;

	(void)state;
	MAKE("auto", "", false);
	for (int i = 0; i < 9; i++) {
		asked[i] = query(&client);
		got[ip_v4(&asked[i].destination.ip)[3]]++;
		for (int n = 0; n < i; n++)
			assert_false(addr_equal(&asked[n].source, &asked[i].source) &&
			    addr_equal(&asked[n].destination, &asked[i].destination));
	}
	assert_int_equal(got[11], 3);
	assert_int_equal(got[12], 3);
	assert_int_equal(got[13], 3);
	assert_int_equal(live(t.x), 9);
	/* in another order */
	for (int i = 8; i >= 0; i--) {
		assert_int_equal(answer(t.x, &asked[i]), DROP_none);
		p = two_sites_expect(&t, t.x, &dns, &client);
		assert_int_equal(live(t.x), i);
	}
	/* the first answer was the last */
	assert_int_equal(answer(t.x, &asked[0]), DROP_not_ours);
	assert_int_equal(load_table_service(t.x->load, 1)->active, 0);
	(void)p;
}

static void
test_one_packet_unanswered(void **state)
{
	(void)state;
	MAKE("auto", "", false);
	query(&client);
	query(&client);
	assert_int_equal(live(t.x), 2);
	t.now += 29 * CLOCK_SECOND;
	datapath_expire(t.x->datapath, t.now);
	assert_int_equal(live(t.x), 2);
	t.now += 2 * CLOCK_SECOND;
	datapath_expire(t.x->datapath, t.now);
	assert_int_equal(live(t.x), 0);
}

/* Many more than there is room for: the oldest unanswered ones go. */
static void
test_one_packet_flood(void **state)
{
	struct packet asked;

	(void)state;
	MAKE("auto", "", false);
	for (int i = 0; i < 3000; i++)
		asked = query(&client);
	assert_int_equal(live(t.x), 1024);
	assert_int_equal(answer(t.x, &asked), DROP_none);
	two_sites_expect(&t, t.x, &dns, &client);
	assert_int_equal(load_table_service(t.x->load, 1)->active, 1023);
}

/* A fragment of a datagram of 1008 octets behind the UDP header. */
static enum drop
fragment(
    struct instance *i, const struct addr *from, const struct addr *to, uint32_t id, bool first)
{
	frame_ip(&t.frame, from, to, IPPROTO_UDP);
	frame_fragment(&t.frame, first ? 0 : 512, first, id);
	if (first)
		frame_udp(&t.frame, from->port, to->port);
	frame_payload(&t.frame, 504);
	return two_sites_device(&t, i);
}

static void
expect_fragment(const struct ip *from, const struct ip *to)
{
	struct memory_packet out;
	struct packet p;

	assert_true(memory_take_packet(t.x->io, &out));
	p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_true(ip_equal(&p.source.ip, from));
	assert_true(ip_equal(&p.destination.ip, to));
}

static void
test_one_packet_fragments(void **state)
{
	struct memory_packet out;
	struct packet asked;

	(void)state;
	MAKE("auto", "", false);
	assert_int_equal(fragment(t.x, &client, &dns, 7, true), DROP_none);
	assert_true(memory_take_packet(t.x->io, &out));
	asked = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	assert_int_equal(packet_parse(&asked), DROP_none);
	assert_int_equal(fragment(t.x, &client, &dns, 7, false), DROP_none);
	expect_fragment(&asked.source.ip, &asked.destination.ip);
	assert_int_equal(live(t.x), 1);
	/* an answer in fragments keeps the record until its last one must have come */
	assert_int_equal(fragment(t.x, &asked.destination, &asked.source, 9, true), DROP_none);
	expect_fragment(&dns.ip, &client.ip);
	assert_int_equal(fragment(t.x, &asked.destination, &asked.source, 9, false), DROP_none);
	expect_fragment(&dns.ip, &client.ip);
	assert_int_equal(live(t.x), 1);
	t.now += 4 * CLOCK_SECOND;
	datapath_expire(t.x->datapath, t.now);
	assert_int_equal(live(t.x), 0);
}

/* Several datagrams in one super-packet go to different servers. */
static void
test_one_packet_bundle(void **state)
{
	unsigned got[256] = {0};
	struct packet p;

	(void)state;
	MAKE("auto", "", false);
	frame_ip(&t.frame, &client, &dns, IPPROTO_UDP);
	frame_udp(&t.frame, client.port, dns.port);
	frame_payload(&t.frame, 5 * 40 + 7);
	frame_finish_partial(&t.frame);
	assert_int_equal(
	    memory_put_packet(t.x->io, t.frame.octets, t.frame.len, PACKET_GSO_UDP, 40, true), 0);
	assert_int_equal(datapath_run_device(t.x->datapath, t.now), 1);
	for (int i = 0; i < 6; i++) {
		assert_true(memory_take_packet(t.x->io, &t.out));
		p = (struct packet){
		    .data = t.out.data, .len = (uint32_t)t.out.len, .partial = t.out.partial};
		assert_int_equal(packet_parse(&p), DROP_none);
		assert_int_equal(packet_payload_len(&p), i < 5 ? 40 : 7);
		got[ip_v4(&p.destination.ip)[3]]++;
	}
	assert_int_equal(got[11], 2);
	assert_int_equal(got[12], 2);
	assert_int_equal(got[13], 2);
	assert_int_equal(live(t.x), 6);
}

/* Rule 2: the transferor keeps nothing, the transferee answers. */
static void
test_one_packet_transferred(void **state)
{
	struct packet asked[3];

	(void)state;
	MAKE("direct", "", true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(two_sites_udp(&t, t.x, &client, &dns, 30), DROP_none);
		assert_int_equal(live(t.x), 0);
		assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
		assert_true(two_sites_take(&t, t.y, &asked[i]));
		assert_int_equal(live(t.y), i + 1);
	}
	assert_false(ip_equal(&asked[0].destination.ip, &asked[1].destination.ip));
	assert_false(ip_equal(&asked[1].destination.ip, &asked[2].destination.ip));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(answer(t.y, &asked[i]), DROP_none);
		two_sites_expect(&t, t.y, &dns, &client);
	}
	assert_int_equal(live(t.y), 0);
	assert_int_equal(load_table_service(t.x->load, 1)->transferred, 0);
	assert_int_equal(load_table_service(t.x->load, 1)->transferred_total, 3);
	assert_int_equal(load_table_service(t.y->load, 1)->received, 0);
}

/* Rule 3: the transferee keeps nothing, each datagram has its relay port at the transferor. */
static void
test_one_packet_relayed(void **state)
{
	struct packet asked[3];

	(void)state;
	MAKE("transferor", "", true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(two_sites_udp(&t, t.x, &client, &dns, 30), DROP_none);
		assert_int_equal(live(t.x), i + 1);
		assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
		assert_true(two_sites_take(&t, t.y, &asked[i]));
		assert_true(ip_equal(&asked[i].source.ip, &dns.ip));
		assert_int_equal(live(t.y), 0);
	}
	assert_int_not_equal(asked[0].source.port, asked[1].source.port);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(answer(t.x, &asked[i]), DROP_none);
		two_sites_expect(&t, t.x, &dns, &client);
	}
	assert_int_equal(live(t.x), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_limit, teardown),
	    cmocka_unit_test_teardown(test_limit_in_silence, teardown),
	    cmocka_unit_test_teardown(test_limit_transferred, teardown),
	    cmocka_unit_test_teardown(test_limit_repeated, teardown),
	    cmocka_unit_test_teardown(test_limit_reload, teardown),
	    cmocka_unit_test_teardown(test_persistence, teardown),
	    cmocka_unit_test_teardown(test_persistence_received, teardown),
	    cmocka_unit_test_teardown(test_one_packet, teardown),
	    cmocka_unit_test_teardown(test_one_packet_unanswered, teardown),
	    cmocka_unit_test_teardown(test_one_packet_flood, teardown),
	    cmocka_unit_test_teardown(test_one_packet_fragments, teardown),
	    cmocka_unit_test_teardown(test_one_packet_bundle, teardown),
	    cmocka_unit_test_teardown(test_one_packet_transferred, teardown),
	    cmocka_unit_test_teardown(test_one_packet_relayed, teardown),
	};

	return cmocka_run_group_tests_name("datapath_clients", tests, NULL, NULL);
}
