/*
 * A site that sends more than it was granted, told by packets: what is refused, what the client
 * hears, and what a refusal leaves alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "packet/format.h"
#include "two_sites.h"

#define CLIENTS 400

#define SMALL(n) \
	"services: ( { name = \"web\"; address = \"203.0.113." n "0\"; ports = [ 80 ];" \
	"  on_unknown = \"reset\"; servers: ( { name = \"a\"; address = \"10." n ".0.11\";" \
	"    port = 8080; max_connections = 20; } ); } );"

#define SMALL_SITE(name, n, peer, m) \
	"site = \"" name "\"; limits: { connections = 4096; };" \
	"peers: ( " PEER(peer, m, "direct") " ); self_addresses = [ \"198.51.100." n \
					    "0\" ];" SMALL(n) LOAD(n) TRANSFER(n, "")

static struct two_sites t;
static struct addr client, service;

static int
setup(void **state)
{
	(void)state;
	two_sites_link(
	    &t, SMALL_SITE("tokyo", "1", "osaka", "2"), SMALL_SITE("osaka", "2", "tokyo", "1"));
	assert_int_equal(addr_parse("203.0.113.10:80", &service), 0);
	assert_int_equal(addr_parse("192.0.2.1:1024", &client), 0);
	load_table_measure(t.y->load, t.now);
	t.now += CLOCK_SECOND;
	load_table_measure(t.y->load, t.now);
	instance_report(t.y, t.x, t.now);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	two_sites_free(&t);
	return 0;
}

/* Osaka's own clients leave little room. */
static void
make_high(void)
{
	const struct service *own = load_table_service(t.y->load, 0);

	while (service_load(own) < own->high_load)
		load_table_server_opened(t.y->load, 0);
}

/* True if the SYN got to osaka's server; else the client gets a RST, straight from osaka. */
static bool
arrives(uint32_t seq)
{
	struct packet p;

	assert_int_equal(two_sites_tcp(&t, t.x, &client, &service, TCP_SYN, seq, 0), DROP_none);
	assert_int_equal(instance_carry(t.x, t.y, t.now), 1);
	assert_true(two_sites_take(&t, t.y, &p));
	if (p.destination.port == 8080)
		return true;
	assert_true(addr_equal(&p.source, &service) && addr_equal(&p.destination, &client));
	assert_true(p.tcp_flags & TCP_RST);
	return false;
}

/* The connection that is there ends, and both sites know it. */
static void
end(void)
{
	struct connection_table *table = datapath_connections(t.y->datapath);
	uint32_t cursor = 0;
	struct connection *c;

	do
		c = connection_walk(table, &cursor);
	while (c != NULL && c->client_port != client.port);
	assert_non_null(c);
	connection_close(table, c, t.now);
	connection_end(table, c);
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	client.port++;
}

/* One connection after the other, each of which is over at once, until one is refused; how many
 * were taken. */
static unsigned
until_refused(void)
{
	unsigned taken = 0;

	while (arrives(1000)) {
		assert_true(++taken < CLIENTS);
		end();
	}
	return taken;
}

static void
refused_client_is_reset_at_once(void **state)
{
	double granted = load_table_site(t.y->load, 0)->services[0].granted;
	unsigned taken;

	(void)state;
	make_high();
	taken = until_refused();
	assert_true(granted > 0 && taken >= (unsigned)granted);
	assert_int_equal(t.y->counters.drop[DROP_transfer_rate], 1);
	assert_null(two_sites_record(t.y));
	/* and the transferor's record ends */
	assert_int_equal(instance_tell(t.y, t.x, t.now), 1);
	assert_int_equal(load_table_service(t.x->load, 0)->transferred, 0);
	/* later it is as welcome as anybody */
	t.now += 2 * CLOCK_SECOND;
	instance_report(t.y, t.x, t.now);
	client.port++;
	assert_true(arrives(1000));
}

static void
repeated_demand_finds_its_record(void **state)
{
	struct addr first = client;

	(void)state;
	make_high();
	assert_true(arrives(1000));
	client.port++;
	until_refused();
	client = first;
	/* its answer was lost: not a new connection, whatever the rate */
	assert_true(arrives(1000));
	assert_int_equal(t.y->counters.drop[DROP_transfer_rate], 1);
}

static void
nobody_is_refused_while_there_is_room(void **state)
{
	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		assert_true(arrives(1000));
		end();
	}
	assert_int_equal(t.y->counters.drop[DROP_transfer_rate], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(refused_client_is_reset_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(repeated_demand_finds_its_record, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		nobody_is_refused_while_there_is_room, setup, teardown),
	};

	return cmocka_run_group_tests_name("datapath_rate", tests, NULL, NULL);
}
