/*
 * flowcharts: the steps of the seed's Figs. 11, 12, 13 and 18, a test each, on two sites with all
 * their units and queues for networks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "two_sites.h"

static struct two_sites t;
static struct addr client, service, server, self, own_server, own_self;

static void
addresses(void)
{
	client = frame_addr("192.0.2.77", 40000);
	service = frame_addr("203.0.113.10", 80);
	server = frame_addr("10.2.0.11", 8080);
	self = frame_addr("198.51.100.20", 0);
	own_server = frame_addr("10.1.0.11", 8080);
	own_self = frame_addr("198.51.100.10", 0);
}

static int
with(const char *reply)
{
	addresses();
	two_sites_link(&t,
	    strcmp(reply, "direct") == 0 ? SITE("tokyo", "1", "osaka", "2", "direct", "")
					 : SITE("tokyo", "1", "osaka", "2", "transferor", ""),
	    SITE("osaka", "2", "tokyo", "1", "auto", ""));
	return 0;
}

static int
setup_direct(void **state)
{
	(void)state;
	return with("direct");
}

static int
setup_relay(void **state)
{
	(void)state;
	return with("transferor");
}

static int
setup_port(void **state)
{
	(void)state;
	addresses();
	two_sites_make(&t, "direct", "demand_port = 7211;");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&t);
	return 0;
}

static uint64_t
opened_at_y(void)
{
	return t.y->counters.counter[COUNTER_connections_received];
}

static enum drop
client_sends(uint8_t flags, uint32_t seq, uint32_t ack)
{
	return two_sites_tcp(&t, t.x, &client, &service, flags, seq, ack);
}

/* The client's SYN comes to Y's server; self is the address it came from. */
static void
demand_arrives(void)
{
	struct packet p;

	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_true(two_sites_take(&t, t.y, &p));
	assert_true(addr_equal(&p.destination, &server));
	self = p.source;
}

/* What X has sealed: the datagram's destination. */
static struct addr
datagram_to(void)
{
	struct memory_packet d;

	assert_true(memory_take_datagram(t.x->io, &d));
	return d.peer;
}

/* ---- Fig. 11: rules 1 and 2 ---- */

static void
fig11_s1_s2_client_packet_is_allocated_by_load(void **state)
{
	(void)state;
	two_sites_servers(t.x, SERVER_UP, t.now);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(two_sites_record(t.x)->kind, CONNECTION_LOCAL);

	/* the own server is down: the same demand of another client goes elsewhere */
	two_sites_servers(t.x, SERVER_DOWN, t.now);
	client.port++;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(t.x->counters.counter[COUNTER_connections_local], 1);
	assert_int_equal(t.x->counters.counter[COUNTER_connections_transferred], 1);
}

static void
fig11_s3_s4_other_network_transfer_packet(void **state)
{
	struct addr to, transfer = frame_addr("198.51.100.2", 7210);

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	to = datagram_to();
	assert_true(addr_equal(&to, &transfer));
	assert_true(two_sites_silent(t.x)); /* and nothing else */
}

static void
fig11_s3_s5_own_network_direct_transfer(void **state)
{
	struct packet p;

	(void)state;
	two_sites_servers(t.x, SERVER_UP, t.now);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_true(addr_equal(&p.destination, &own_server));
	assert_true(ip_equal(&p.source.ip, &own_self.ip));
	assert_true(two_sites_silent(t.x));
}

static void
fig11_s6_s7_transfer_packet_is_looked_up(void **state)
{
	struct connection_key key = {.protocol = IPPROTO_TCP};
	enum connection_side side;

	(void)state;
	demand_arrives();
	/* by the client's and the transferor's address, and who the transferor is */
	key.source = client;
	key.destination = service;
	key.origin = 1;
	assert_non_null(connection_find(datapath_connections(t.y->datapath), &key, &side));
	key.origin = 0;
	assert_null(connection_find(datapath_connections(t.y->datapath), &key, &side));
}

static void
fig11_s8_s9_s10_not_found_allocated_and_entered(void **state)
{
	const struct connection *c;

	(void)state;
	assert_null(two_sites_record(t.y));
	demand_arrives();
	c = two_sites_record(t.y);
	assert_non_null(c);
	assert_int_equal(c->kind, CONNECTION_RECEIVED);
	assert_int_equal(opened_at_y(), 1);
	assert_int_equal(load_table_server(t.y->load, c->server)->active, 1);
}

static void
fig11_s8_found_same_server(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	two_sites_expect(&t, t.y, &self, &server);
	assert_int_equal(opened_at_y(), 1);
}

static void
fig11_s11_server_transfer(void **state)
{
	struct packet p;

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	instance_carry(t.x, t.y, t.now);
	/* C > L has become A > S, where A is the transferee's */
	assert_true(two_sites_take(&t, t.y, &p));
	assert_true(ip_equal(&p.source.ip, &self.ip));
	assert_true(addr_equal(&p.destination, &server));
	assert_int_equal(p.tcp_seq, 1000);
}

static void
fig11_s12_s13_s14_server_packet_to_client(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(
	    two_sites_tcp(&t, t.y, &server, &self, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	/* S > A has become L > C, where L is the transferor's, and it leaves by Y's own device */
	two_sites_expect(&t, t.y, &service, &client);
	assert_true(two_sites_silent(t.y));
	assert_true(two_sites_silent(t.x));
}

/* ---- Fig. 12: demand by port ---- */

static void
fig12_s1_s2_s3_demand_port_allocates_without_retrieving(void **state)
{
	struct memory_packet d;

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_true(memory_take_datagram(t.x->io, &d));
	assert_int_equal(d.peer.port, 7211);
	memory_put_datagram(t.y->io, d.data, 0, &d.peer); /* nothing in it: goes nowhere */
	assert_int_equal(opened_at_y(), 0);

	client.port++;
	demand_arrives();
	assert_int_equal(opened_at_y(), 1);
}

static void
fig12_s1_s4_s5_in_service_port_retrieves(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	assert_int_equal(datagram_to().port, 7210);
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	instance_carry(t.x, t.y, t.now);
	two_sites_expect(&t, t.y, &self, &server);
	assert_int_equal(opened_at_y(), 1);
}

static void
fig12_s6_server_transfer(void **state)
{
	(void)state;
	fig11_s11_server_transfer(state);
}

static void
fig12_demand_again_is_the_same_connection(void **state)
{
	(void)state;
	demand_arrives();
	for (int i = 0; i < 3; i++) { /* retransmitted: demands again, until something is heard */
		assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
		assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
		two_sites_expect(&t, t.y, &self, &server);
	}
	assert_int_equal(opened_at_y(), 1);
}

/* ---- Fig. 13: demand by flag ---- */

/* X's datagrams, opened with Y's keys: the flags of the additional information. */
static uint8_t
flags_of_datagram(void)
{
	struct memory_packet d;
	struct transfer_header header;
	struct transfer_opened opened;
	struct addr from;
	uint16_t site;

	assert_true(memory_take_datagram(t.x->io, &d));
	assert_int_equal(transfer_header_decode(d.data, d.len, &header), DROP_none);
	assert_int_equal(transfer_open(keyring_find(t.y->keyring, header.key_index, &site, &from),
			     &header, d.data, d.len, t.now, &opened),
	    DROP_none);
	return opened.info.flags;
}

static void
fig13_s1_flag_tells_demand_from_in_service(void **state)
{
	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(flags_of_datagram() & TRANSFER_FLAG_DEMAND, TRANSFER_FLAG_DEMAND);
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	assert_int_equal(flags_of_datagram() & TRANSFER_FLAG_DEMAND, 0);
}

static void
fig13_s2_s3_demand_is_allocated_and_entered(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(opened_at_y(), 1);
	assert_non_null(two_sites_record(t.y));
}

static void
fig13_s4_s5_in_service_retrieves(void **state)
{
	(void)state;
	fig11_s8_found_same_server(state);
}

static void
fig13_s6_server_transfer(void **state)
{
	(void)state;
	fig11_s11_server_transfer(state);
}

static void
fig13_demand_lost_syn_in_service_allocates(void **state)
{
	(void)state;
	/* claim 5: without a record and in service; the first datagram is lost */
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	(void)datagram_to();
	demand_arrives();
	assert_int_equal(opened_at_y(), 1);
}

/* ---- Fig. 18: rule 3 ---- */

static void
fig18_s3_s5_own_network_follows_rule_1(void **state)
{
	(void)state;
	fig11_s3_s5_own_network_direct_transfer(state);
	assert_int_equal(two_sites_record(t.x)->relay_port, 0);
}

static void
fig18_s4_port_is_opened_and_entered(void **state)
{
	const struct connection *c;

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	c = two_sites_record(t.x);
	assert_non_null(c);
	assert_int_equal(c->kind, CONNECTION_TRANSFERRED);
	assert_true(c->relay_port >= 1024);
	self = connection_self(datapath_connections(t.x->datapath), c);
	assert_true(ip_equal(&self.ip, &service.ip));
	assert_int_equal(self.port, c->relay_port);
}

static void
fig18_s6_s10_entered_with_the_relay_port(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(opened_at_y(), 1);
	assert_int_equal(two_sites_record(t.y)->relay_port, two_sites_record(t.x)->relay_port);
}

static void
fig18_s11_server_transfer(void **state)
{
	(void)state;
	demand_arrives();
	/* C > L has become L:p > S */
	assert_true(ip_equal(&self.ip, &service.ip));
	assert_int_equal(self.port, two_sites_record(t.x)->relay_port);
}

static void
fig18_s12_s13_server_packet_is_retrieved_by_its_port(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &server, &self, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	assert_true(two_sites_silent(t.y)); /* nothing comes by there */
}

static void
fig18_s14_client_relay(void **state)
{
	(void)state;
	demand_arrives();
	assert_int_equal(
	    two_sites_tcp(&t, t.x, &server, &self, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	/* S > L:p has become L > C */
	two_sites_expect(&t, t.x, &service, &client);
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_ESTABLISHED);
	instance_carry(t.x, t.y, t.now);
	two_sites_expect(&t, t.y, &self, &server);
	assert_int_equal(two_sites_record(t.y)->state, CONNECTION_ESTABLISHED);
}

#define DIRECT(test) cmocka_unit_test_setup_teardown(test, setup_direct, teardown)
#define PORT(test)   cmocka_unit_test_setup_teardown(test, setup_port, teardown)
#define RELAY(test)  cmocka_unit_test_setup_teardown(test, setup_relay, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DIRECT(fig11_s1_s2_client_packet_is_allocated_by_load),
	    DIRECT(fig11_s3_s4_other_network_transfer_packet),
	    DIRECT(fig11_s3_s5_own_network_direct_transfer),
	    DIRECT(fig11_s6_s7_transfer_packet_is_looked_up),
	    DIRECT(fig11_s8_s9_s10_not_found_allocated_and_entered),
	    DIRECT(fig11_s8_found_same_server),
	    DIRECT(fig11_s11_server_transfer),
	    DIRECT(fig11_s12_s13_s14_server_packet_to_client),
	    PORT(fig12_s1_s2_s3_demand_port_allocates_without_retrieving),
	    PORT(fig12_s1_s4_s5_in_service_port_retrieves),
	    PORT(fig12_s6_server_transfer),
	    PORT(fig12_demand_again_is_the_same_connection),
	    DIRECT(fig13_s1_flag_tells_demand_from_in_service),
	    DIRECT(fig13_s2_s3_demand_is_allocated_and_entered),
	    DIRECT(fig13_s4_s5_in_service_retrieves),
	    DIRECT(fig13_s6_server_transfer),
	    DIRECT(fig13_demand_lost_syn_in_service_allocates),
	    RELAY(fig18_s3_s5_own_network_follows_rule_1),
	    RELAY(fig18_s4_port_is_opened_and_entered),
	    RELAY(fig18_s6_s10_entered_with_the_relay_port),
	    RELAY(fig18_s11_server_transfer),
	    RELAY(fig18_s12_s13_server_packet_is_retrieved_by_its_port),
	    RELAY(fig18_s14_client_relay),
	};

	return cmocka_run_group_tests_name("flowcharts", tests, NULL, NULL);
}
