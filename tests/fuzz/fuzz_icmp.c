/*
 * ICMP messages from the device of a site that has connections: one of its own and one that it has
 * transferred, in both families.
 *
 *   octet 0     bit 0 IPv6, 1 transferred, 2 repair the checksum, 3 write the addresses and ports of
 *               the connection into the quote, 4 as the server's side sees them
 *   octets 1-   the ICMP message
 */
#include <netinet/in.h>

#include "packet/checksum.h"
#include "sites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW     UINT64_C(1000000000)
#define MESSAGE 2000

struct flow {
	struct instance *x, *y; /* y: NULL if the connection is X's own */
	struct addr client, service, self, server;
};

static struct flow flows[2][2]; /* transferred, IPv6 */

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* An IP header; returns its length. */
static size_t
write_ip(uint8_t *ip, const struct ip *source, const struct ip *destination, uint8_t protocol,
    size_t len)
{
	memset(ip, 0, 40);
	if (!ip_is_v4(source)) {
		ip[0] = 0x60;
		put16(ip + 4, len);
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, source->octet, 16);
		memcpy(ip + 24, destination->octet, 16);
		return 40;
	}
	ip[0] = 0x45;
	put16(ip + 2, 20 + len);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, ip_v4(source), 4);
	memcpy(ip + 16, ip_v4(destination), 4);
	put16(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, 20)));
	return 20;
}

static struct addr
address(const char *v4, const char *v6, bool six, uint16_t port)
{
	struct addr addr = {.port = port};

	require(ip_parse(six ? v6 : v4, &addr.ip) == 0);
	return addr;
}

/* Opens the connection by a SYN. */
static void
open_flow(struct flow *f, bool six)
{
	uint8_t packet[60] = {0};
	struct memory_packet out;
	struct packet p;
	size_t at;

	f->client = address("192.0.2.77", "2001:db8:77::1", six, 40000);
	f->service = address("203.0.113.10", "2001:db8:1::10", six, 80);
	at = write_ip(packet, &f->client.ip, &f->service.ip, IPPROTO_TCP, 20);
	put16(packet + at, f->client.port);
	put16(packet + at + 2, f->service.port);
	packet[at + 12] = 0x50;
	packet[at + 13] = TCP_SYN;
	sites_device(f->x, packet, at + 20, NOW);
	if (f->y != NULL)
		require(instance_carry(f->x, f->y, NOW) == 1);
	require(memory_take_packet((f->y != NULL ? f->y : f->x)->io, &out));
	p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	require(packet_parse(&p) == DROP_none);
	f->self = p.source;
	f->server = p.destination;
}

static void
make_flows(void)
{
	struct instance *x, *y;

	if (flows[0][0].x != NULL)
		return;
	for (int remote = 0; remote < 2; remote++) {
		sites_make(&x, &y, remote, NOW);
		for (int six = 0; six < 2; six++) {
			flows[remote][six].x = x;
			flows[remote][six].y = remote ? y : NULL;
			open_flow(&flows[remote][six], six);
		}
		if (!remote)
			instance_free(y);
	}
}

static void
write_ends(uint8_t *quote, size_t len, const struct addr *source, const struct addr *destination)
{
	bool v4 = ip_is_v4(&source->ip);
	size_t header = v4 ? 20 : 40;

	if (len < header + 4)
		return;
	if (v4) {
		memcpy(quote + 12, ip_v4(&source->ip), 4);
		memcpy(quote + 16, ip_v4(&destination->ip), 4);
	} else {
		memcpy(quote + 8, source->ip.octet, 16);
		memcpy(quote + 24, destination->ip.octet, 16);
	}
	put16(quote + header, source->port);
	put16(quote + header + 2, destination->port);
}

static uint16_t
message_sum(const uint8_t *packet, size_t at, size_t len)
{
	struct ip source, destination;
	uint32_t sum = 0;

	if (at == 40) {
		source = ip_from_v6(packet + 8);
		destination = ip_from_v6(packet + 24);
		sum = checksum_pseudo(
		    6, &source, &destination, IPPROTO_ICMPV6, (uint32_t)(len - at));
	}
	return checksum_fold(checksum_add(sum, packet + at, len - at));
}

/* What goes on is the message with other addresses, and right; shortened only for the transfer
 * path, and then without extensions and the length that speaks of them. */
static void
check_output(
    const struct memory_packet *out, const uint8_t *in, size_t at, size_t len, bool transferred)
{
	struct packet p = {.data = out->data, .len = (uint32_t)out->len};
	uint8_t rest[4];

	require(packet_parse(&p) == DROP_none);
	require(out->data[0] >> 4 == in[0] >> 4 && p.transport == at);
	require(out->len == len || (transferred && out->len == 1500 - 68 && len > out->len));
	if (in[at] == 8 || in[at] == 128)
		return; /* an echo, answered, as right as it was */
	require(message_sum(out->data, at, out->len) == 0xffff);
	memcpy(rest, in + at + 4, sizeof(rest));
	if (out->len < len)
		rest[at == 20 ? 1 : 0] = out->data[at + (at == 20 ? 5 : 4)];
	require(memcmp(out->data + at, in + at, 2) == 0);
	require(memcmp(out->data + at + 4, rest, sizeof(rest)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t packet[40 + MESSAGE];
	struct memory_packet out;
	struct flow *f;
	struct ip router;
	size_t at, len;
	uint64_t before;
	bool six, server_side;

	if (size < 9 || size - 1 > MESSAGE)
		return 0;
	make_flows();
	six = data[0] & 1;
	server_side = data[0] & 16;
	f = &flows[data[0] >> 1 & 1][six];
	router = address("198.51.100.99", "2001:db8:99::1", six, 0).ip;
	at = write_ip(packet, &router, server_side ? &f->self.ip : &f->service.ip,
	    six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, size - 1);
	memcpy(packet + at, data + 1, size - 1);
	len = at + size - 1;
	if (data[0] & 8)
		write_ends(packet + at + 8, len - at - 8, server_side ? &f->self : &f->service,
		    server_side ? &f->server : &f->client);
	if (data[0] & 4) {
		memset(packet + at + 2, 0, 2);
		put16(packet + at + 2, (uint16_t)~message_sum(packet, at, len));
	}

	if (server_side && f->y != NULL) { /* it is the transferee's server */
		sites_device(f->y, packet, len, NOW);
	} else {
		before = sites_drops(f->x);
		sites_device(f->x, packet, len, NOW);
		if (f->y != NULL)
			instance_carry(f->x, f->y, NOW);
		require(sites_drops(f->x) - before <= 1);
	}
	for (int i = 0; i < 2; i++)
		while (memory_take_packet((i == 0 || f->y == NULL ? f->x : f->y)->io, &out))
			check_output(&out, packet, at, len, f->y != NULL);
	return 0;
}
