/*
 * relay: rule 3 between two sites, and how the ends of connections get from one to the other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "two_sites.h"

static struct two_sites t;
static struct addr client, service, server, relay;

static int
setup(const char *x)
{
	client = frame_addr("192.0.2.77", 40000);
	service = frame_addr("203.0.113.10", 80);
	server = frame_addr("10.2.0.11", 8080);
	two_sites_link(&t, x, SITE("osaka", "2", "tokyo", "1", "auto", ""));
	return 0;
}

static int
setup_relay(void **state)
{
	(void)state;
	return setup(SITE("tokyo", "1", "osaka", "2", "transferor", ""));
}

static int
setup_auto(void **state)
{
	(void)state;
	return setup(SITE("tokyo", "1", "osaka", "2", "auto", ""));
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&t);
	return 0;
}

static uint64_t
counted(const struct instance *i, enum counter counter)
{
	return i->counters.counter[counter];
}

static enum drop
client_sends(uint8_t flags, uint32_t seq, uint32_t ack)
{
	return two_sites_tcp(&t, t.x, &client, &service, flags, seq, ack);
}

static enum drop
server_sends(struct instance *where, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return two_sites_tcp(&t, where, &server, &relay, flags, seq, ack);
}

/* Carries the client's packet on to the server; relay is its sender there. */
static struct packet
at_server(void)
{
	struct packet p;

	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_true(two_sites_take(&t, t.y, &p));
	assert_true(addr_equal(&p.destination, &server));
	relay = p.source;
	return p;
}

/* Its answers do not pass the transferee, who could wait for them for ever. */
static void
relayed_connection_is_no_trial(void **state)
{
	struct server *s = load_table_server(t.y->load, 0);

	(void)state;
	s->trial = true;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_int_equal(s->active, 1);
	assert_false(s->trial || s->avoided);
}

/* An established connection, whose server's packets arrive at that site. */
static void
establish(struct instance *where)
{
	struct packet p;

	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_int_equal(server_sends(where, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	two_sites_expect(&t, where, &service, &client);
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	p = at_server();
	assert_int_equal(p.tcp_seq, 1001);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_ESTABLISHED);
	assert_int_equal(two_sites_record(t.y)->state, CONNECTION_ESTABLISHED);
}

/* Both ends close; the server's packets arrive at that site. */
static void
finish(struct instance *where)
{
	struct packet p;

	assert_int_equal(server_sends(where, TCP_FIN | TCP_ACK, 5001, 1001), DROP_none);
	assert_true(two_sites_take(&t, where, &p));
	assert_int_equal(client_sends(TCP_FIN | TCP_ACK, 1001, 5002), DROP_none);
	at_server();
	assert_int_equal(server_sends(where, TCP_ACK, 5002, 1002), DROP_none);
	assert_true(two_sites_take(&t, where, &p));
}

/* ---- who may send to a relay port ---- */

static void
relay_port_takes_announced_servers_only(void **state)
{
	const char *const strangers[] = {"10.2.0.99", "192.0.2.66", "10.1.0.11", "203.0.113.10"};

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
		server = frame_addr(strangers[i], 8080);
		assert_int_equal(
		    server_sends(t.x, TCP_SYN | TCP_ACK, 5000, 1001), DROP_relay_server);
	}
	server = frame_addr("10.2.0.11", 8081); /* the right host, another port */
	assert_int_equal(server_sends(t.x, TCP_SYN | TCP_ACK, 5000, 1001), DROP_relay_server);
	assert_true(two_sites_silent(t.x));

	server.port = 8080;
	assert_int_equal(server_sends(t.x, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	two_sites_expect(&t, t.x, &service, &client);
}

static void
packet_from_nowhere_is_no_server(void **state)
{
	struct addr nowhere = {0};

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	nowhere.ip = frame_addr("0.0.0.0", 0).ip;
	assert_int_equal(two_sites_tcp(&t, t.x, &nowhere, &relay, TCP_SYN | TCP_ACK, 1, 1),
	    DROP_relay_server);

	/* the unspecified address of IPv6 is what the index has in place of a server */
	two_sites_free(&t);
	setup_relay(state);
	client = frame_addr("2001:db8:77::1", 40000);
	service = frame_addr("2001:db8:1::10", 80);
	server = frame_addr("2001:db8:2::11", 8080);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	nowhere = (struct addr){0};
	assert_int_equal(two_sites_tcp(&t, t.x, &nowhere, &relay, TCP_SYN | TCP_ACK, 1, 1),
	    DROP_relay_server);
	assert_true(two_sites_silent(t.x));
}

static void
first_server_is_pinned(void **state)
{
	(void)state;
	establish(t.x);
	server = frame_addr("10.2.0.12", 8080); /* announced, but for dns, and not the one */
	assert_int_equal(server_sends(t.x, TCP_ACK, 5001, 1001), DROP_relay_server);
	server = frame_addr("10.2.0.11", 8080);
	assert_int_equal(server_sends(t.x, TCP_ACK, 5001, 1001), DROP_none);
}

static void
udp_server_may_change(void **state)
{
	struct addr to, from = frame_addr("203.0.113.10", 53);
	struct packet p;

	(void)state;
	assert_int_equal(two_sites_udp(&t, t.x, &client, &from, 30), DROP_none);
	instance_carry(t.x, t.y, t.now);
	assert_true(two_sites_take(&t, t.y, &p));
	relay = p.source;
	to = p.destination;
	assert_int_equal(two_sites_udp(&t, t.x, &to, &relay, 50), DROP_none);
	two_sites_expect(&t, t.x, &from, &client);
	/* its server went down at Y, which allocated the next packet anew */
	to = frame_addr(to.ip.octet[15] == 11 ? "10.2.0.12" : "10.2.0.11", 53);
	assert_int_equal(two_sites_udp(&t, t.x, &to, &relay, 50), DROP_none);
	two_sites_expect(&t, t.x, &from, &client);
	to = frame_addr("10.2.0.13", 53);
	assert_int_equal(two_sites_udp(&t, t.x, &to, &relay, 50), DROP_relay_server);
}

static void
both_families(void **state)
{
	(void)state;
	establish(t.x);
	two_sites_free(&t);
	setup_relay(state);
	client = frame_addr("2001:db8:77::1", 40000);
	service = frame_addr("2001:db8:1::10", 80);
	server = frame_addr("2001:db8:2::11", 8080);
	establish(t.x);
}

static void
relay_ports_differ(void **state)
{
	bool used[65536] = {false};

	(void)state;
	for (int i = 0; i < 200; i++) {
		client.port = (uint16_t)(20000 + i);
		assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
		at_server();
		assert_false(used[relay.port]);
		assert_true(relay.port != 80 && relay.port != 53);
		used[relay.port] = true;
	}
}

/* ---- ways that are too narrow, errors on the way ---- */

static void
syn_ack_is_clamped_at_the_transferor(void **state)
{
	static const uint8_t mss[4] = {2, 4, 1460 >> 8, 1460 & 255};
	struct packet p;

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	frame_ip(&t.frame, &server, &relay, IPPROTO_TCP);
	frame_tcp(&t.frame, server.port, relay.port, 5000, 1001, TCP_SYN | TCP_ACK, mss, 4);
	assert_int_equal(two_sites_device(&t, t.x), DROP_none);
	p = two_sites_expect(&t, t.x, &service, &client);
	assert_int_equal(frame_get16(p.data + 42), 1500 - TRANSFER_OVERHEAD_V4 - 40);
	assert_int_equal(counted(t.x, COUNTER_mss_clamped), 1);
}

/* An ICMP error of a router about a packet, into a site's device. */
static enum drop
router_says(struct instance *i, const struct addr *quoted_from, const struct addr *quoted_to)
{
	struct addr router = frame_addr("192.0.2.1", 0);
	static struct frame quoted;

	frame_ip(&quoted, quoted_from, quoted_to, IPPROTO_TCP);
	frame_tcp(&quoted, quoted_from->port, quoted_to->port, 1, 2, TCP_ACK, NULL, 0);
	frame_finish(&quoted);
	frame_ip(&t.frame, &router, quoted_from, IPPROTO_ICMP);
	frame_icmp(&t.frame, 3, 4, 1300);
	frame_add(&t.frame, quoted.octets, 28);
	return two_sites_device(&t, i);
}

static void
icmp_errors_find_both_ends(void **state)
{
	struct packet p;

	(void)state;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_int_equal(router_says(t.x, &service, &client), DROP_icmp); /* no server yet */
	two_sites_free(&t);
	setup_relay(state);
	establish(t.x);

	/* about L:p > S, to the client as about C > L */
	assert_int_equal(router_says(t.x, &relay, &server), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_true(ip_equal(&p.destination.ip, &client.ip));
	assert_memory_equal(p.data + 28 + 12, client.ip.octet + 12, 4);
	assert_memory_equal(p.data + 28 + 16, service.ip.octet + 12, 4);

	/* about L > C, to the server as about S > L:p, under our own address */
	assert_int_equal(router_says(t.x, &service, &client), DROP_none);
	assert_true(two_sites_take(&t, t.x, &p));
	assert_true(ip_equal(&p.source.ip, &service.ip));
	assert_true(ip_equal(&p.destination.ip, &server.ip));
	assert_int_equal(frame_get16(p.data + 28 + 22), relay.port);

	/* about a packet to somebody whom the transferee has not announced */
	server = frame_addr("192.0.2.66", 8080);
	assert_int_equal(router_says(t.x, &relay, &server), DROP_relay_server);
}

/* ---- demands that meet ---- */

static void
demand_by_rule_3_overtakes(void **state)
{
	struct memory_packet late;
	static uint8_t copy[2048];
	size_t len;

	(void)state;
	/* two demands by rule 2, one of them long under way */
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_true(memory_take_datagram(t.x->io, &late));
	memcpy(copy, late.data, len = late.len);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_int_equal(two_sites_record(t.y)->relay_port, 0);

	t.now += 3 * CLOCK_SECOND;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_int_not_equal(two_sites_record(t.y)->relay_port, 0);
	assert_int_equal(counted(t.y, COUNTER_connections_received), 2);
	assert_int_equal(load_table_server(t.y->load, 0)->active, 1);

	memory_put_datagram(t.y->io, copy, len, &t.x->config->transfer.listen);
	datapath_run_transfer(t.y->datapath, t.now);
	assert_int_equal(t.y->counters.drop[DROP_transfer_stale], 1);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 0);
}

/* A client whose direct replies do not arrive. */
static void
repeated_client(uint16_t n)
{
	static uint16_t port = 30000;
	struct packet p;

	client.port = port++;
	client.ip.octet[15] = (uint8_t)n;
	instance_report(t.y, t.x, t.now);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
		at_server();
		if (i < 2) {
			assert_int_equal(
			    server_sends(t.y, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
			assert_true(two_sites_take(&t, t.y, &p)); /* and is lost */
		}
		t.now += CLOCK_SECOND << i;
	}
	assert_int_equal(server_sends(t.x, TCP_SYN | TCP_ACK, 5000, 1001), DROP_none);
	two_sites_expect(&t, t.x, &service, &client);
}

static void
third_syn_is_repeated_by_rule_3(void **state)
{
	(void)state;
	repeated_client(1);
	assert_int_equal(counted(t.x, COUNTER_connections_repeated), 1);
	assert_int_equal(load_table_site(t.x->load, 0)->direct, SITE_DIRECT_UNKNOWN);
	assert_int_equal(load_table_service(t.x->load, 0)->transferred, 1);
}

static void
three_clients_show_that_it_is_blocked(void **state)
{
	struct site *site;

	(void)state;
	repeated_client(1);
	repeated_client(2);
	repeated_client(2); /* again the same: proves nothing new */
	site = load_table_site(t.x->load, 0);
	assert_int_equal(site->direct, SITE_DIRECT_UNKNOWN);
	repeated_client(3);
	assert_int_equal(site->direct, SITE_DIRECT_BLOCKED);

	/* the next client need not wait */
	client.port = 31000;
	instance_report(t.y, t.x, t.now);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_true(ip_equal(&relay.ip, &service.ip));

	/* a probe's word is taken later */
	load_table_site_direct_reported(t.x->load, 0, SITE_DIRECT_OK, t.now + CLOCK_SECOND);
	assert_int_equal(site->direct, SITE_DIRECT_BLOCKED);
	load_table_site_direct_reported(t.x->load, 0, SITE_DIRECT_OK, t.now + 70 * CLOCK_SECOND);
	assert_int_equal(site->direct, SITE_DIRECT_OK);
}

static void
report_decides_under_auto(void **state)
{
	(void)state;
	load_table_site_direct_reported(t.x->load, 0, SITE_DIRECT_BLOCKED, t.now);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_true(ip_equal(&relay.ip, &service.ip));
	load_table_site_direct_reported(t.x->load, 0, SITE_DIRECT_OK, t.now);
	client.port++;
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	at_server();
	assert_false(ip_equal(&relay.ip, &service.ip));
}

/* ---- ends ---- */

static void
end_by_rule_2_is_told_by_the_transferee(void **state)
{
	(void)state;
	establish(t.y);
	finish(t.y);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_CLOSING);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(load_table_service(t.x->load, 0)->transferred, 0);
	assert_int_equal(instance_tell(t.x, t.y, t.now), 0); /* no echo */
}

static void
end_by_rule_3_is_told_by_the_transferor(void **state)
{
	(void)state;
	establish(t.x);
	finish(t.x);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(two_sites_record(t.y)->state, CONNECTION_CLOSING);
	assert_int_equal(instance_tell(t.x, t.y, t.now), 1);
	assert_int_equal(two_sites_record(t.y)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(load_table_server(t.y->load, 0)->active, 0);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 0);
	assert_int_equal(two_sites_silent(t.x) && two_sites_silent(t.y), true);
}

static void
server_that_closes_first_is_over_at_the_transferor(void **state)
{
	(void)state;
	establish(t.y);
	/* by a RST that X never sees: without a report it would wait for hours */
	assert_int_equal(server_sends(t.y, TCP_RST, 5001, 0), DROP_none);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_ESTABLISHED);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
}

static void
report_of_an_older_connection_is_not_believed(void **state)
{
	struct connection_closed entry;

	(void)state;
	establish(t.y);
	entry = (struct connection_closed){
	    .client = client, .service = service, .protocol = IPPROTO_TCP, .seq = 0x70000000};
	datapath_peer_closed(t.x->datapath, 0, &entry, t.now);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_ESTABLISHED);
	/* nor one of whoever has nothing to do with it */
	entry.seq = 1001;
	entry.from_transferor = true;
	datapath_peer_closed(t.x->datapath, 0, &entry, t.now);
	entry.from_transferor = false;
	datapath_peer_closed(t.x->datapath, 7, &entry, t.now);
	entry.client.port++;
	datapath_peer_closed(t.x->datapath, 0, &entry, t.now);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_ESTABLISHED);
	entry.client.port--;
	datapath_peer_closed(t.x->datapath, 0, &entry, t.now);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
	assert_true(two_sites_silent(t.x));
}

/* Y has forgotten all connections; the client's next packet goes there. */
static void
forgotten_at_y(void)
{
	connection_end(datapath_connections(t.y->datapath), two_sites_record(t.y));
	t.y->closed_count = 0;
	assert_int_equal(client_sends(TCP_ACK, 1001, 5001), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_int_equal(t.y->counters.drop[DROP_no_connection], 1);
}

static void
unknown_connection_is_reset_by_rule_2_from_y(void **state)
{
	struct packet p;

	(void)state;
	establish(t.y);
	forgotten_at_y();
	p = two_sites_expect(&t, t.y, &service, &client);
	assert_true(p.tcp_flags & TCP_RST);
	assert_int_equal(p.tcp_seq, 5001);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
	assert_true(two_sites_silent(t.x));
}

static void
unknown_connection_is_reset_by_rule_3_from_x(void **state)
{
	struct packet p;

	(void)state;
	establish(t.x);
	forgotten_at_y();
	assert_true(two_sites_silent(t.y)); /* it would be a direct reply */
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	p = two_sites_expect(&t, t.x, &service, &client);
	assert_true(p.tcp_flags & TCP_RST);
	assert_int_equal(p.tcp_seq, 5001);
	assert_int_equal(two_sites_record(t.x)->state, CONNECTION_TIME_WAIT);
}

static void
server_down_by_rule_3_is_told_to_x(void **state)
{
	struct packet p;

	(void)state;
	establish(t.x);
	two_sites_servers(t.y, SERVER_DOWN, t.now);
	datapath_server_down(t.y->datapath, 0, t.now);
	datapath_expire(t.y->datapath, t.now);
	assert_null(two_sites_record(t.y));
	assert_true(two_sites_silent(t.y));
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	p = two_sites_expect(&t, t.x, &service, &client);
	assert_true(p.tcp_flags & TCP_RST);
}

static void
no_server_at_y_is_told_to_x(void **state)
{
	(void)state;
	two_sites_servers(t.y, SERVER_DOWN, t.now);
	assert_int_equal(client_sends(TCP_SYN, 1000, 0), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_int_equal(t.y->counters.drop[DROP_no_server], 1);
	assert_true(two_sites_silent(t.y));
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	assert_true(two_sites_record(t.x)->state == CONNECTION_TIME_WAIT);
}

/* ---- sites that are gone ---- */

static void
lost_site_resets_clients(void **state)
{
	struct packet p;

	(void)state;
	establish(t.y);
	t.now += CLOCK_SECOND;
	datapath_site_lost(t.x->datapath, 0, t.now);
	datapath_expire(t.x->datapath, t.now);
	p = two_sites_expect(&t, t.x, &service, &client);
	assert_true(p.tcp_flags & TCP_RST);
	assert_int_equal(p.tcp_seq, 5001); /* what the client expects next */
	assert_null(two_sites_record(t.x));
	assert_int_equal(load_table_service(t.x->load, 0)->transferred, 0);
	assert_int_equal(instance_tell(t.x, t.y, t.now), 0);
}

static void
lost_transferor_resets_servers(void **state)
{
	struct packet p;

	(void)state;
	establish(t.x);
	t.now += CLOCK_SECOND;
	datapath_site_lost(t.y->datapath, 0, t.now);
	datapath_expire(t.y->datapath, t.now);
	p = two_sites_expect(&t, t.y, &relay, &server);
	assert_true(p.tcp_flags & TCP_RST);
	assert_int_equal(p.tcp_seq, 1001);
	assert_null(two_sites_record(t.y));
	assert_int_equal(load_table_server(t.y->load, 0)->active, 0);
}

static void
connections_after_the_loss_stay(void **state)
{
	(void)state;
	datapath_site_lost(t.x->datapath, 0, t.now);
	t.now += CLOCK_SECOND;
	instance_report(t.y, t.x, t.now);
	establish(t.y);
	datapath_expire(t.x->datapath, t.now);
	assert_non_null(two_sites_record(t.x));
	assert_true(two_sites_silent(t.x));
}

#define RELAY(test) cmocka_unit_test_setup_teardown(test, setup_relay, teardown)
#define AUTO(test)  cmocka_unit_test_setup_teardown(test, setup_auto, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RELAY(relay_port_takes_announced_servers_only),
	    RELAY(packet_from_nowhere_is_no_server),
	    RELAY(relayed_connection_is_no_trial),
	    RELAY(first_server_is_pinned),
	    RELAY(udp_server_may_change),
	    RELAY(both_families),
	    RELAY(relay_ports_differ),
	    RELAY(syn_ack_is_clamped_at_the_transferor),
	    RELAY(icmp_errors_find_both_ends),
	    AUTO(demand_by_rule_3_overtakes),
	    AUTO(third_syn_is_repeated_by_rule_3),
	    AUTO(three_clients_show_that_it_is_blocked),
	    AUTO(report_decides_under_auto),
	    AUTO(end_by_rule_2_is_told_by_the_transferee),
	    RELAY(end_by_rule_3_is_told_by_the_transferor),
	    AUTO(server_that_closes_first_is_over_at_the_transferor),
	    AUTO(report_of_an_older_connection_is_not_believed),
	    AUTO(unknown_connection_is_reset_by_rule_2_from_y),
	    RELAY(unknown_connection_is_reset_by_rule_3_from_x),
	    RELAY(server_down_by_rule_3_is_told_to_x),
	    RELAY(no_server_at_y_is_told_to_x),
	    AUTO(lost_site_resets_clients),
	    RELAY(lost_transferor_resets_servers),
	    AUTO(connections_after_the_loss_stay),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
