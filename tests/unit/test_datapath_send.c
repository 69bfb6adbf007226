/*
 * datapath_send: what becomes of packets that their way out is too narrow for: an ICMP error
 * goes to one of our addresses, comes back by the device, and reaches the sender in the
 * terms that the sender knows.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "frames.h"
#include "instance.h"

#define NOW    (1000 * CLOCK_SECOND)
#define NARROW 1300

static const char CONFIG[] =
    "site = \"tokyo\";\n"
    "self_addresses = [ \"198.51.100.20\", \"2001:db8:100::20\" ];\n"
    "services: ({ name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8:113::10\" ];\n"
    "  ports = [ 80 ]; servers: ({ name = \"a\";\n"
    "    address = [ \"10.1.0.11\", \"2001:db8:1::11\" ]; port = 8080; }); });\n";

static const struct {
	const char *client, *service, *self, *server;
	size_t header; /* IP and TCP */
} FAMILY[] = {
    {"192.0.2.2", "203.0.113.10", "198.51.100.20", "10.1.0.11", 40},
    {"2001:db8:c::2", "2001:db8:113::10", "2001:db8:100::20", "2001:db8:1::11", 60},
};

static struct instance *site;
static struct frame frame;

static int
setup(void **state)
{
	(void)state;
	site = instance_new(CONFIG, 7, NOW);
	return site == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	instance_free(site);
	return 0;
}

static uint64_t
dropped(enum drop drop)
{
	return site->counters.drop[drop];
}

/* A packet comes in by the device; what leaves, parsed, or false. */
static bool
pass(struct packet *p)
{
	struct memory_packet out;
	bool any;

	assert_int_equal(
	    memory_put_packet(site->io, p->data, p->len, p->gso, p->gso_size, p->partial), 0);
	assert_int_equal(datapath_run_device(site->datapath, NOW), 1);
	any = memory_take_packet(site->io, &out);
	if (!any)
		return false;
	*p = (struct packet){.data = out.data,
	    .len = (uint32_t)out.len,
	    .gso = out.gso,
	    .gso_size = out.gso_size,
	    .partial = out.partial};
	assert_int_equal(packet_parse(p), DROP_none);
	return true;
}

static struct packet
tcp(const struct addr *from, const struct addr *to, uint8_t flags, size_t len)
{
	frame_ip(&frame, from, to, IPPROTO_TCP);
	if (frame.version == 4)
		frame.octets[6] = 0x40; /* don't fragment */
	frame_tcp(&frame, from->port, to->port, 1000, 2000, flags, NULL, 0);
	frame_payload(&frame, len);
	frame_finish(&frame);
	return frame_packet(&frame);
}

struct ends {
	struct addr client, service, self, server;
};

/* An established connection, and by which addresses each side knows it. */
static struct ends
connect_client(int family)
{
	struct ends e = {frame_addr(FAMILY[family].client, 40000),
	    frame_addr(FAMILY[family].service, 80), frame_addr(FAMILY[family].self, 0),
	    frame_addr(FAMILY[family].server, 8080)};
	struct packet p = tcp(&e.client, &e.service, TCP_SYN, 0);

	assert_true(pass(&p));
	assert_true(ip_equal(&p.source.ip, &e.self.ip));
	assert_true(addr_equal(&p.destination, &e.server));
	e.self = p.source;
	p = tcp(&e.server, &e.self, TCP_SYN | TCP_ACK, 0);
	assert_true(pass(&p));
	p = tcp(&e.client, &e.service, TCP_ACK, 0);
	assert_true(pass(&p));
	return e;
}

/* The MTU that an ICMP error tells, which has to be of this type and right. */
static uint32_t
told_mtu(const struct packet *p)
{
	const uint8_t *icmp = p->data + p->transport;

	if (p->version == 6) {
		frame_from(&frame, p->data, p->len);
		assert_int_equal(frame_get16(icmp + 2), frame_transport_checksum(&frame));
		assert_int_equal(icmp[0], 2);
		return frame_get32(icmp + 4);
	}
	assert_true(frame_is_right(p->data, p->len));
	assert_int_equal(icmp[0], 3);
	assert_int_equal(icmp[1], 4);
	return frame_get16(icmp + 6);
}

/* The addresses and ports that the quoted packet has. */
static void
check_quote(const struct packet *p, const struct addr *source, const struct addr *destination)
{
	const uint8_t *quote = p->data + p->transport + 8;
	size_t at = p->version == 4 ? 12 : 8, len = p->version == 4 ? 4 : 16;
	const uint8_t *ports = quote + (p->version == 4 ? 20 : 40);

	assert_memory_equal(quote + at, source->ip.octet + 16 - len, len);
	assert_memory_equal(quote + at + len, destination->ip.octet + 16 - len, len);
	assert_int_equal(frame_get16(ports), source->port);
	assert_int_equal(frame_get16(ports + 2), destination->port);
}

/* A packet from one side is too large behind wlad: both halves of the error's way. */
static void
too_big(struct packet p, const struct addr *in_from, const struct addr *in_to,
    const struct addr *out_from, const struct addr *out_to)
{
	uint64_t before = dropped(DROP_too_big);

	memory_set_device_max(site->io, NARROW);
	assert_true(pass(&p));
	assert_int_equal(dropped(DROP_too_big), before + 1);
	assert_true(ip_equal(&p.destination.ip, &out_from->ip));
	assert_int_equal(told_mtu(&p), NARROW);
	check_quote(&p, out_from, out_to);

	/* the kernel brings it back: it is for one of our addresses */
	assert_true(pass(&p));
	assert_true(ip_equal(&p.destination.ip, &in_from->ip));
	assert_int_equal(told_mtu(&p), NARROW);
	check_quote(&p, in_from, in_to);
	memory_set_device_max(site->io, 0);
}

static void
test_too_big(void **state)
{
	(void)state;
	for (int family = 0; family < 2; family++) {
		struct ends e = connect_client(family);
		size_t len = NARROW - FAMILY[family].header + 1;

		too_big(tcp(&e.client, &e.service, TCP_ACK, len), &e.client, &e.service,
		    &e.self, &e.server);
		too_big(tcp(&e.server, &e.self, TCP_ACK, len), &e.server, &e.self, &e.service,
		    &e.client);
	}
	assert_int_equal(dropped(DROP_write_failed), 0);
	assert_int_equal(site->counters.counter[COUNTER_icmp_sent], 4);
	assert_int_equal(site->counters.counter[COUNTER_icmp_converted], 4);
}

static void
test_fits(void **state)
{
	(void)state;
	memory_set_device_max(site->io, NARROW);
	for (int family = 0; family < 2; family++) {
		struct ends e = connect_client(family);
		struct packet p =
		    tcp(&e.client, &e.service, TCP_ACK, NARROW - FAMILY[family].header);

		assert_true(pass(&p));
		assert_int_equal(p.len, NARROW);
	}
	assert_int_equal(dropped(DROP_too_big), 0);
}

static void
test_super_too_big(void **state)
{
	(void)state;
	for (int family = 0; family < 2; family++) {
		struct ends e = connect_client(family);
		struct packet p = tcp(&e.client, &e.service, TCP_ACK, 20000);

		frame_finish_partial(&frame);
		p.gso = family == 0 ? PACKET_GSO_TCP4 : PACKET_GSO_TCP6;
		p.gso_size = NARROW;
		p.partial = true;
		too_big(p, &e.client, &e.service, &e.self, &e.server);
	}
}

/* Within the rate of all ICMP messages, and many refused packets are one answer. */
static void
test_many(void **state)
{
	struct ends e = connect_client(0);
	struct memory_packet out;
	struct packet p;

	(void)state;
	memory_set_device_max(site->io, NARROW);
	for (int i = 0; i < IO_BATCH; i++) {
		p = tcp(&e.client, &e.service, TCP_ACK, NARROW);
		assert_int_equal(memory_put_packet(site->io, p.data, p.len, 0, 0, false), 0);
	}
	assert_int_equal(datapath_run_device(site->datapath, NOW), IO_BATCH);
	assert_int_equal(dropped(DROP_too_big), IO_BATCH);
	assert_true(memory_take_packet(site->io, &out));
	assert_false(memory_take_packet(site->io, &out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_too_big),
	    TEST(test_fits),
	    TEST(test_super_too_big),
	    TEST(test_many),
#undef TEST
	};

	return cmocka_run_group_tests_name("datapath_send", tests, NULL, NULL);
}
