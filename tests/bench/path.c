/*
 * path: sends packets of one kind through a datapath, for tests/bench/instructions to count
 * what one of them costs.  Input and output cost next to nothing.
 *
 *   path KIND[,KIND...] FAMILY PACKETS [OCTETS]    FAMILY 4 or 6; OCTETS of payload, default 1000
 *
 * Each kind has sites of its own, and all of its packets are sent by one call of run().
 *
 *   client    a client's packet of an established connection, to an own server
 *   server    the server's reply to it
 *   new       the first packet of a connection: allocated, entered, sent to an own server
 *   out       a client's packet of a transferred connection: sealed, sent to the other site
 *   through   the same, then at the other site: opened, sent to the server there
 *   direct    that server's reply, straight to the client
 *   foreign   a packet that is none of ours: parsed, looked up, dropped
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/frames.h"
#include "base/clock.h"
#include "instance.h"

#define NOW          (1000 * CLOCK_SECOND)
#define PACKETS_MAX  16000 /* half-open connections are bounded to a quarter of the table */
#define PAYLOAD_MAX  1300
#define DATAGRAM_MAX 2048

static const char X[] =
    "limits: { connections = 65536; };\n"
    "site = \"x\"; self_addresses = [ \"198.51.100.20\", \"2001:db8:100::20\" ];\n"
    "services: (\n"
    "  { name = \"own\"; address = [ \"203.0.113.10\", \"2001:db8:113::10\" ]; ports = [ 80 "
    "];\n"
    "    servers: ({ name = \"a\"; address = [ \"10.1.0.11\", \"2001:db8:1::11\" ];\n"
    "      max_connections = 1000000; }); },\n"
    "  { name = \"far\"; address = [ \"203.0.113.11\", \"2001:db8:113::11\" ]; ports = [ 80 "
    "];\n"
    "    prefer = \"remote\"; servers: (); });\n"
    "load: { listen = \"192.0.2.1:7210\"; certificate = \"/c\"; key = \"/k\"; ca = \"/a\"; };\n"
    "transfer: { listen = \"192.0.2.1:7210\"; };\n"
    "peers: ({ site = \"y\"; load = \"192.0.2.5:7210\"; transfer = \"192.0.2.5:7210\"; });\n";

static const char Y[] =
    "limits: { connections = 65536; };\n"
    "site = \"y\"; self_addresses = [ \"198.51.100.30\", \"2001:db8:100::30\" ];\n"
    "services: ({ name = \"far\"; address = [ \"203.0.113.21\", \"2001:db8:213::11\" ];\n"
    "    ports = [ 80 ];\n"
    "    servers: ({ name = \"b\"; address = [ \"10.2.0.11\", \"2001:db8:2::11\" ]; }); });\n"
    "load: { listen = \"192.0.2.5:7210\"; certificate = \"/c\"; key = \"/k\"; ca = \"/a\"; };\n"
    "transfer: { listen = \"192.0.2.5:7210\"; };\n"
    "peers: ({ site = \"x\"; load = \"192.0.2.1:7210\"; transfer = \"192.0.2.1:7210\"; });\n";

static const char *const CLIENT[] = {"100.64.0.1", "2001:db8:c::1"};
static const char *const OWN[] = {"203.0.113.10", "2001:db8:113::10"};
static const char *const FAR[] = {"203.0.113.11", "2001:db8:113::11"};
static const char *const FOREIGN[] = {"203.0.113.99", "2001:db8:113::99"};

struct bench {
	int family; /* 0: IPv4, 1: IPv6 */
	struct instance *x, *y;
	struct addr client, service;
	struct addr self, server; /* of the connection, at the site that has its server */
	uint8_t octets[IO_HEADROOM + 2000];
	uint8_t datagram[IO_HEADROOM + DATAGRAM_MAX];
	size_t datagram_len;
};

static struct frame frame;

static void
die(const char *what)
{
	fprintf(stderr, "path: %s\n", what);
	exit(1);
}

/* ---- input and output that cost nothing ---- */

static struct bench *sealing; /* whose datagram is kept for the other site */

static int
discard_packet(struct io *io, const struct packet *p)
{
	(void)io;
	(void)p;
	return 0;
}

static long
keep_datagram(
    struct io *io, const struct addr *to, const uint8_t *data, size_t len, size_t segment)
{
	(void)io;
	(void)to;
	(void)segment;
	if (len > DATAGRAM_MAX)
		die("a datagram is too long");
	memcpy(sealing->datagram + IO_HEADROOM, data, len);
	sealing->datagram_len = len;
	return (long)len;
}

static const struct io_ops nothing = {
    .device_send = discard_packet, .transfer_send = keep_datagram};

/* ---- a connection ---- */

static void
make(const struct addr *from, const struct addr *to, uint8_t flags, size_t len)
{
	frame_ip(&frame, from, to, IPPROTO_TCP);
	frame_tcp(&frame, from->port, to->port, 1000, 2000, flags, NULL, 0);
	frame_payload(&frame, len);
	frame_finish(&frame);
}

/* The frame arrives at a site; what leaves by its device, parsed, or false. */
static bool
pass(struct instance *site, struct packet *p)
{
	struct memory_packet out;

	memory_put_packet(site->io, frame.octets, frame.len, PACKET_GSO_NONE, 0, false);
	datapath_run_device(site->datapath, NOW);
	if (!memory_take_packet(site->io, &out))
		return false;
	*p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	return packet_parse(p) == DROP_none;
}

/* Client and server agree, at home or at the other site. */
static void
connect_client(struct bench *b, const char *service, bool far)
{
	struct instance *site = far ? b->y : b->x;
	struct memory_packet out;
	struct packet p;

	b->client = frame_addr(CLIENT[b->family], 40000);
	b->service = frame_addr(service, 80);
	make(&b->client, &b->service, TCP_SYN, 0);
	if (pass(b->x, &p) == far)
		die("the connection goes to the wrong site");
	if (far && instance_carry(b->x, b->y, NOW) != 1)
		die("nothing was transferred");
	if (far && !memory_take_packet(b->y->io, &out))
		die("the other site has not accepted the connection");
	if (far)
		p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	if (packet_parse(&p) != DROP_none)
		die("nothing reached the server");
	b->self = p.source;
	b->server = p.destination;
	make(&b->server, &b->self, TCP_SYN | TCP_ACK, 0);
	if (!pass(site, &p) || !addr_equal(&p.source, &b->service))
		die("no reply");
	make(&b->client, &b->service, TCP_ACK, 0);
	if (!far && !pass(b->x, &p))
		die("not established");
	if (far && (pass(b->x, &p) || instance_carry(b->x, b->y, NOW) != 1))
		die("not established there");
}

/* ---- the kinds: prepare the frame once, send it many times ---- */

/* A fresh copy, for it is converted where it lies. */
static void
arrive(struct bench *b, struct instance *site)
{
	struct packet p = {
	    .data = b->octets + IO_HEADROOM, .len = (uint32_t)frame.len, .headroom = IO_HEADROOM};

	memcpy(p.data, frame.octets, frame.len);
	datapath_device_packet(site->datapath, &p, NOW);
}

static void
prepare_client(struct bench *b, size_t octets)
{
	connect_client(b, OWN[b->family], false);
	make(&b->client, &b->service, TCP_ACK, octets);
}

static void
prepare_server(struct bench *b, size_t octets)
{
	connect_client(b, OWN[b->family], false);
	make(&b->server, &b->self, TCP_ACK, octets);
}

static void
prepare_new(struct bench *b, size_t octets)
{
	struct addr client = frame_addr(CLIENT[b->family], 1);
	struct addr service = frame_addr(OWN[b->family], 80);

	(void)octets;
	make(&client, &service, TCP_SYN, 0);
}

static void
prepare_out(struct bench *b, size_t octets)
{
	connect_client(b, FAR[b->family], true);
	make(&b->client, &b->service, TCP_ACK, octets);
}

static void
prepare_direct(struct bench *b, size_t octets)
{
	connect_client(b, FAR[b->family], true);
	make(&b->server, &b->self, TCP_ACK, octets);
}

static void
prepare_foreign(struct bench *b, size_t octets)
{
	struct addr client = frame_addr(CLIENT[b->family], 40000);
	struct addr foreign = frame_addr(FOREIGN[b->family], 80);

	make(&client, &foreign, TCP_ACK, octets);
}

static void
send_x(struct bench *b, uint32_t i)
{
	(void)i;
	arrive(b, b->x);
}

static void
send_y(struct bench *b, uint32_t i)
{
	(void)i;
	arrive(b, b->y);
}

/* Each from a port and an address of its own.  The checksum is not looked at. */
static void
send_new(struct bench *b, uint32_t i)
{
	size_t source = frame.version == 4 ? 12 + 4 : 8 + 16;

	frame_put16(frame.octets + source - 2, i / 60000);
	frame_put16(frame.octets + frame.transport, 1024 + i % 60000);
	if (frame.version == 4)
		frame_ip_checksum(&frame);
	arrive(b, b->x);
}

static void
send_through(struct bench *b, uint32_t i)
{
	(void)i;
	arrive(b, b->x);
	datapath_transfer_datagram(b->y->datapath, b->datagram + IO_HEADROOM, b->datagram_len,
	    &b->x->config->transfer.listen, false, NOW);
}

static uint64_t
out_of_x(const struct bench *b)
{
	return b->x->counters.counter[COUNTER_packets_out];
}

static uint64_t
out_of_y(const struct bench *b)
{
	return b->y->counters.counter[COUNTER_packets_out];
}

static uint64_t
transferred(const struct bench *b)
{
	return b->x->counters.counter[COUNTER_transfer_packets_out];
}

static uint64_t
not_ours(const struct bench *b)
{
	return b->x->counters.drop[DROP_not_ours];
}

static const struct kind {
	const char *name;
	void (*prepare)(struct bench *b, size_t octets);
	void (*send)(struct bench *b, uint32_t i);
	uint64_t (*done)(const struct bench *b);
} KINDS[] = {
    {"client", prepare_client, send_x, out_of_x},
    {"server", prepare_server, send_x, out_of_x},
    {"new", prepare_new, send_new, out_of_x},
    {"out", prepare_out, send_x, transferred},
    {"through", prepare_out, send_through, out_of_y},
    {"direct", prepare_direct, send_y, out_of_y},
    {"foreign", prepare_foreign, send_x, not_ours},
    {NULL, NULL, NULL, NULL},
};

#if __has_attribute(noclone)
#define OWN_FUNCTION __attribute__((noinline, noclone))
#else
#define OWN_FUNCTION __attribute__((noinline))
#endif

/* A function of its own in the program too: it is what callgrind looks at. */
static void OWN_FUNCTION
run(const struct kind *kind, struct bench *b, uint32_t packets)
{
	uint64_t before = kind->done(b);
	const struct io_ops *ops = b->x->io->ops;

	sealing = b;
	b->x->io->ops = b->y->io->ops = &nothing;
	for (uint32_t i = 0; i < packets; i++)
		kind->send(b, i);
	if (kind->done(b) - before != packets)
		die("not all packets went their way");
	b->x->io->ops = b->y->io->ops = ops;
}

static void
measure(const char *name, int family, uint32_t packets, size_t octets)
{
	static struct bench b;
	const struct kind *kind = KINDS;

	while (kind->name != NULL && strcmp(kind->name, name) != 0)
		kind++;
	if (kind->name == NULL)
		die("no such kind");
	b = (struct bench){.family = family};
	b.x = instance_new(X, 7, NOW);
	b.y = instance_new(Y, 8, NOW);
	if (b.x == NULL || b.y == NULL || instance_link(b.x, b.y, NOW) == -1)
		die("no sites");
	kind->prepare(&b, octets);
	run(kind, &b, packets);
	instance_free(b.x);
	instance_free(b.y);
}

int
main(int argc, char **argv)
{
	long packets, octets;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: path KIND[,KIND...] 4|6 PACKETS [OCTETS]\n");
		return 2;
	}
	packets = strtol(argv[3], NULL, 10);
	octets = argc > 4 ? strtol(argv[4], NULL, 10) : 1000;
	if ((strcmp(argv[2], "4") != 0 && strcmp(argv[2], "6") != 0) || packets < 1 ||
	    packets > PACKETS_MAX || octets < 0 || octets > PAYLOAD_MAX)
		die("no such family, or a number out of range");
	for (char *name = strtok(argv[1], ","); name != NULL; name = strtok(NULL, ","))
		measure(name, argv[2][0] == '6', (uint32_t)packets, (size_t)octets);
	return 0;
}
