/*
 * chain: three networks in series (Fig. 21): X transfers to Y, which passes on to Z.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "two_sites.h"

static struct two_sites t; /* X and Y */
static struct instance *z;
static struct addr client, service, server, relay;

static int
make(const char *x, const char *y)
{
	client = frame_addr("192.0.2.77", 40000);
	service = frame_addr("203.0.113.10", 80);
	server = frame_addr("10.3.0.11", 8080);
	two_sites_link(&t, x, y);
	z = instance_new(
	    SITE("nagoya", "3", "osaka", "2", "auto", "max_transfers = 2;"), 3, t.now);
	assert_non_null(z);
	assert_int_equal(instance_link(t.y, z, t.now), 0);
	instance_chain(t.x, t.y, z, t.now);
	two_sites_servers(t.y, SERVER_DOWN, t.now);
	return 0;
}

/* Y has both as peers. */
#define Y(transfer) \
	SITE_WITH("osaka", "2", transfer, \
	    PEER("tokyo", "1", "auto") ", " PEER("nagoya", "3", "auto"))

static int
setup_direct(void **state)
{
	(void)state;
	return make(SITE("tokyo", "1", "osaka", "2", "direct", ""), Y("max_transfers = 2;"));
}

static int
setup_relay(void **state)
{
	(void)state;
	return make(SITE("tokyo", "1", "osaka", "2", "transferor", ""), Y("max_transfers = 2;"));
}

static int
setup_short(void **state)
{
	(void)state;
	return make(SITE("tokyo", "1", "osaka", "2", "direct", ""), Y(""));
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&t);
	instance_free(z);
	return 0;
}

static enum drop
client_sends(uint8_t flags, uint32_t seq, uint32_t ack)
{
	enum drop drop = two_sites_tcp(&t, t.x, &client, &service, flags, seq, ack);

	if (drop == DROP_none) {
		assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
		instance_carry(t.y, z, t.now);
	}
	return drop;
}

/* What has come to Z's server. */
static void
at_server(void)
{
	struct packet p;

	assert_true(two_sites_take(&t, z, &p));
	assert_true(addr_equal(&p.destination, &server));
	relay = p.source;
}

static void
establish(struct instance *where)
{
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_int_equal(
	    two_sites_tcp(&t, where, &server, &relay, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	two_sites_expect(&t, where, &service, &client);
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	at_server();
}

static void
finish(struct instance *where)
{
	struct packet p;

	two_sites_tcp(&t, where, &server, &relay, TCP_FIN | TCP_ACK, 5001, 1001);
	assert_true(two_sites_take(&t, where, &p));
	client_sends(TCP_FIN | TCP_ACK, 1001, 5002);
	at_server();
	two_sites_tcp(&t, where, &server, &relay, TCP_ACK, 5002, 1002);
	assert_true(two_sites_take(&t, where, &p));
}

static void
third_site_answers_by_rule_2(void **state)
{
	struct addr self = frame_addr("198.51.100.30", 0);

	(void)state;
	establish(z); /* the server's packets arrive at Z, and leave it under X's address */
	assert_int_equal(two_sites_record(t.x)->kind, CONNECTION_TRANSFERRED);
	assert_int_equal(two_sites_record(t.y)->kind, CONNECTION_PASSED);
	assert_int_equal(two_sites_record(z)->kind, CONNECTION_RECEIVED);
	assert_int_equal(t.y->counters.counter[COUNTER_connections_passed], 1);
	assert_true(ip_equal(&relay.ip, &self.ip));
	assert_true(two_sites_silent(t.y));
}

static void
third_site_answers_by_rule_3(void **state)
{
	(void)state;
	establish(t.x); /* and here at X's relay port */
	assert_true(ip_equal(&relay.ip, &service.ip));
	assert_int_equal(two_sites_record(t.y)->relay_port, two_sites_record(t.x)->relay_port);
	assert_int_equal(two_sites_record(z)->relay_port, two_sites_record(t.x)->relay_port);
}

static void
end_travels_up_the_chain(void **state)
{
	(void)state;
	establish(z);
	finish(z);
	assert_int_equal(instance_tell(z, t.y, t.now), 1);
	assert_int_equal(two_sites_record(t.y)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(load_table_service(t.y->load, 0)->transferred, 0);
	assert_int_equal(load_table_service(t.y->load, 0)->received, 0);
}

static void
end_travels_down_the_chain(void **state)
{
	(void)state;
	establish(t.x);
	finish(t.x);
	assert_int_equal(instance_tell(t.x, t.y, t.now), 1);
	assert_int_equal(instance_tell(t.y, z, t.now), 1);
	assert_int_equal(two_sites_record(z)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(load_table_server(z->load, 0)->active, 0);
}

static void
chains_must_be_allowed(void **state)
{
	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(t.y->counters.drop[DROP_no_server], 1);
	assert_true(two_sites_silent(z));
}

static void
own_servers_come_first(void **state)
{
	(void)state;
	two_sites_servers(t.y, SERVER_UP, t.now);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(two_sites_record(t.y)->kind, CONNECTION_RECEIVED);
	assert_null(two_sites_record(z));
}

static void
never_back_to_the_sender(void **state)
{
	(void)state;
	two_sites_servers(z, SERVER_DOWN, t.now);
	instance_report(z, t.y, t.now);
	two_sites_servers(t.x, SERVER_UP, t.now);
	instance_report(t.x, t.y, t.now);
	two_sites_servers(t.x, SERVER_DOWN, t.now); /* X is the only site that could */
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(t.y->counters.drop[DROP_no_server], 1);
	assert_null(two_sites_record(t.y));
}

static void
service_of_a_stranger_is_not_taken(void **state)
{
	(void)state;
	/* Y passes on what is no service of a site that it has behind it */
	load_table_site_passes(z->load, 0, NULL);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(z->counters.drop[DROP_transfer_service], 1);
	assert_null(two_sites_record(z));
}

static void
lost_transferee_resets_the_client(void **state)
{
	struct packet p;

	(void)state;
	establish(z);
	t.now += CLOCK_SECOND;
	datapath_site_lost(t.y->datapath, 1, t.now);
	datapath_expire(t.y->datapath, t.now);
	assert_null(two_sites_record(t.y));
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	p = two_sites_expect(&t, t.x, &service, &client);
	assert_true(p.tcp_flags & TCP_RST);
}

static void
lost_transferor_is_told_down_the_chain(void **state)
{
	(void)state;
	establish(z);
	t.now += CLOCK_SECOND;
	datapath_site_lost(t.y->datapath, 0, t.now);
	datapath_expire(t.y->datapath, t.now);
	assert_int_equal(instance_tell(t.y, z, t.now), 1);
	assert_int_equal(two_sites_record(z)->state, CONNECTION_TIME_WAIT);
}

static void
icmp_travels_the_chain(void **state)
{
	struct addr router = frame_addr("192.0.2.1", 0);
	static struct frame quoted;
	struct packet p;

	(void)state;
	establish(z);
	frame_ip(&quoted, &service, &client, IPPROTO_TCP);
	frame_tcp(&quoted, service.port, client.port, 1, 2, TCP_ACK, NULL, 0);
	frame_finish(&quoted);
	frame_ip(&t.frame, &router, &service, IPPROTO_ICMP);
	frame_icmp(&t.frame, 3, 4, 1300);
	frame_add(&t.frame, quoted.octets, 28);
	assert_int_equal(two_sites_device(&t, t.x), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_int_equal(instance_carry(t.y, z, t.now), 1);
	assert_true(two_sites_take(&t, z, &p));
	assert_true(ip_equal(&p.destination.ip, &server.ip));
	assert_memory_equal(p.data + 28 + 16, relay.ip.octet + 12, 4);
}

/* A ring: Z has no server either, and takes Y for a way on. */
static void
ring_does_no_harm(void **state)
{
	(void)state;
	two_sites_servers(z, SERVER_DOWN, t.now);
	z->config->transfer.max_transfers = 15;
	t.y->config->transfer.max_transfers = 15;
	instance_report(t.y, z, t.now);
	for (size_t i = 0; i < load_table_site(z->load, 0)->services_count; i++) {
		struct site_service *s = &load_table_site(z->load, 0)->services[i];

		s->servers_up = 1; /* it lies, or its word is old */
		s->transferable = 100;
		s->permitted = true;
	}
	for (int i = 0; i < 20; i++) {
		client.port++;
		assert_int_equal(
		    two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, 1000, 0), DROP_none);
		for (int turn = 0; turn < 20; turn++) {
			if (instance_carry(t.x, t.y, t.now) + instance_carry(t.y, z, t.now) == 0)
				break;
			assert_true(turn < 3);
		}
	}
	assert_true(z->counters.drop[DROP_no_server] == 20);
}

/* Z passes to Y what Y has passed on: a ring of four sites would do that. */
static void
connection_that_comes_back_is_refused(void **state)
{
	struct transfer_info info = {.flags = TRANSFER_FLAG_DEMAND, .hops = 3};
	uint8_t datagram[256];
	size_t len;

	(void)state;
	establish(z);
	instance_chain(t.x, z, t.y, t.now);
	frame_ip(&t.frame, &client, &service, IPPROTO_TCP);
	frame_tcp(&t.frame, client.port, service.port, 1000, 0, TCP_SYN, NULL, 0);
	frame_finish(&t.frame);
	len = transfer_seal(keyring_tx(z->keyring, 0), TRANSFER_DATA, &info, t.frame.octets,
	    t.frame.len, NULL, 0, datagram, sizeof(datagram));
	assert_true(len > 0);
	memory_put_datagram(t.y->io, datagram, len, &z->config->transfer.listen);
	datapath_run_transfer(t.y->datapath, t.now);
	assert_int_equal(t.y->counters.drop[DROP_transfer_loop], 1);
	assert_int_equal(two_sites_record(t.y)->site, 0);

	/* another client's is taken */
	client.port++;
	frame_ip(&t.frame, &client, &service, IPPROTO_TCP);
	frame_tcp(&t.frame, client.port, service.port, 1000, 0, TCP_SYN, NULL, 0);
	frame_finish(&t.frame);
	two_sites_servers(t.y, SERVER_UP, t.now);
	len = transfer_seal(keyring_tx(z->keyring, 0), TRANSFER_DATA, &info, t.frame.octets,
	    t.frame.len, NULL, 0, datagram, sizeof(datagram));
	memory_put_datagram(t.y->io, datagram, len, &z->config->transfer.listen);
	datapath_run_transfer(t.y->datapath, t.now);
	assert_int_equal(t.y->counters.counter[COUNTER_connections_received], 1);
}

#define DIRECT(test) cmocka_unit_test_setup_teardown(test, setup_direct, teardown)
#define RELAY(test)  cmocka_unit_test_setup_teardown(test, setup_relay, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DIRECT(third_site_answers_by_rule_2),
	    RELAY(third_site_answers_by_rule_3),
	    DIRECT(end_travels_up_the_chain),
	    RELAY(end_travels_down_the_chain),
	    cmocka_unit_test_setup_teardown(chains_must_be_allowed, setup_short, teardown),
	    DIRECT(own_servers_come_first),
	    DIRECT(never_back_to_the_sender),
	    DIRECT(service_of_a_stranger_is_not_taken),
	    DIRECT(lost_transferee_resets_the_client),
	    DIRECT(lost_transferor_is_told_down_the_chain),
	    DIRECT(icmp_travels_the_chain),
	    DIRECT(ring_does_no_harm),
	    DIRECT(connection_that_comes_back_is_refused),
	};

	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
