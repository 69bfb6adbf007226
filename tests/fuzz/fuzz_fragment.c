/*
 * Fragments in any order through a site, and through two: what goes on is what came, converted, each
 * fragment once; the rest is dropped and counted; nothing stays for more than 2 seconds.
 *
 *   octet 0     bit 0 transferred, bits 1-3 all set: of each fragment as many as FLOOD, in as many
 *               datagrams
 *   then, five octets a fragment:
 *     octet 0   bit 0 IPv6, 1 more fragments, 2 TCP, 3 from the server, 4 don't fragment, 5-7 time by 0.3 s
 *     octet 1   identification
 *     octet 2   offset by 64 octets (IPv4, IPv6: bits 0-5), bits 6-7: 8 octets each more
 *     octets 3-4 length: by 8 octets if there are more, else plain
 */
#include <netinet/in.h>

#include "base/clock.h"
#include "packet/checksum.h"
#include "sites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP    5
#define LARGEST 1480
#define MOST    160 /* fragments of an input: more than are held, or known, of a datagram */
#define FLOOD \
	8 /* with these there are more of them, and more octets, than fit into the store */

/* What a datagram consists of behind its header: each octet tells where it belongs. */
static uint8_t pattern[65536 + LARGEST];

struct world {
	struct instance *x, *y;
	struct addr client[2], service[2], self[2], server[2]; /* by family; UDP */
};

static struct world worlds[2];
static uint64_t now = CLOCK_SECOND;

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static struct addr
address(const char *v4, const char *v6, bool six, uint16_t port)
{
	struct addr addr = {.port = port};

	require(ip_parse(six ? v6 : v4, &addr.ip) == 0);
	return addr;
}

struct shape {
	const struct addr *source, *destination;
	bool six, fragment, more, dont;
	uint8_t protocol;
	uint16_t id, offset, len;
};

static size_t
write_packet(uint8_t *out, const struct shape *s)
{
	size_t at = s->six ? (s->fragment ? 48 : 40) : 20;

	memset(out, 0, 48);
	memcpy(out + at, pattern + s->offset, s->len);
	if (s->six) {
		out[0] = 0x60;
		put16(out + 4, at - 40 + s->len);
		out[6] = s->fragment ? IPPROTO_FRAGMENT : s->protocol;
		out[7] = 64;
		memcpy(out + 8, s->source->ip.octet, 16);
		memcpy(out + 24, s->destination->ip.octet, 16);
		if (s->fragment) {
			out[40] = s->protocol;
			put16(out + 42, s->offset | s->more);
			put16(out + 46, s->id);
		}
	} else {
		out[0] = 0x45;
		put16(out + 2, at + s->len);
		put16(out + 4, s->id);
		put16(out + 6, s->offset / 8 | (s->more ? 0x2000 : 0) | (s->dont ? 0x4000 : 0));
		out[8] = 64;
		out[9] = s->protocol;
		memcpy(out + 12, ip_v4(&s->source->ip), 4);
		memcpy(out + 16, ip_v4(&s->destination->ip), 4);
		put16(out + 10, (uint16_t)~checksum_fold(checksum_add(0, out, 20)));
	}
	if (s->offset == 0 && s->len >= 8) {
		put16(out + at, s->source->port);
		put16(out + at + 2, s->destination->port);
		put16(out + at + 4, s->fragment ? 4000 : s->len);
		if (s->protocol == IPPROTO_TCP && s->len >= 14) {
			out[at + 12] = 0x50;
			out[at + 13] = TCP_SYN;
		}
	}
	return at + s->len;
}

/* A whole datagram of the client keeps the connection, or opens it again. */
static void
keep(struct world *w, bool remote, bool six)
{
	struct shape query = {
	    &w->client[six], &w->service[six], six, false, false, false, IPPROTO_UDP, 0, 0, 8};
	struct instance *end = remote ? w->y : w->x;
	struct memory_packet out;
	struct packet p;
	uint8_t octets[64];

	sites_device(w->x, octets, write_packet(octets, &query), now);
	if (remote)
		instance_carry(w->x, w->y, now);
	require(memory_take_packet(end->io, &out));
	p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
	require(packet_parse(&p) == DROP_none);
	w->self[six] = p.source;
	w->server[six] = p.destination;
}

static struct world *
world(bool remote)
{
	struct world *w = &worlds[remote];

	if (w->x == NULL) {
		sites_make(&w->x, &w->y, remote, now);
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (uint8_t)(i / 8);
	}
	load_table_site_keys(w->x->load, 0, true, now);
	instance_report(w->y, w->x, now);
	for (int six = 0; six < 2; six++) {
		w->client[six] = address("192.0.2.77", "2001:db8:77::1", six, 5353);
		w->service[six] = address("203.0.113.10", "2001:db8:1::10", six, 53);
		keep(w, remote, six);
	}
	return w;
}

static size_t
fragment(const struct world *w, const uint8_t *in, uint16_t datagram, uint8_t *out)
{
	bool six = in[0] & 1, from_server = in[0] & 8;
	struct shape s = {
	    .source = from_server ? &w->server[six] : &w->client[six],
	    .destination = from_server ? &w->self[six] : &w->service[six],
	    .six = six,
	    .fragment = true,
	    .more = in[0] & 2,
	    .dont = in[0] & 16,
	    .protocol = in[0] & 4 ? IPPROTO_TCP : IPPROTO_UDP,
	    .id = (uint16_t)(datagram << 8 | in[1]),
	    .offset = (uint16_t)((in[2] & 63) * 64 + (in[2] >> 6) * 8),
	    .len = (uint16_t)((in[3] << 8 | in[4]) % LARGEST),
	};

	if (s.more)
		s.len = (uint16_t)(s.len / 8 * 8);
	return write_packet(out, &s);
}

/* What is written to a device is a packet, no larger than what came, and has the octets that
 * belong where it says; those of a transport header aside. */
static void
check_output(const struct memory_packet *out)
{
	struct packet p = {.data = out->data, .len = (uint32_t)out->len};
	size_t skip;

	require(packet_parse(&p) == DROP_none);
	require(out->len <= LARGEST + 48);
	skip = p.fragment == PACKET_LATER_FRAGMENT ? 0 : 20;
	if (p.fragment == PACKET_WHOLE || p.len < p.transport + skip)
		return;
	require(memcmp(p.data + p.transport + skip, pattern + p.fragment_offset + skip,
		    p.len - p.transport - skip) == 0);
}

static uint64_t
take(struct instance *i)
{
	struct memory_packet out;
	uint64_t count = 0;

	for (; memory_take_packet(i->io, &out); count++)
		check_output(&out);
	return count;
}

/* A fragment out of one of the devices; returns how many packets went into them because of it. */
static uint64_t
send_fragment(struct world *w, bool remote, const uint8_t *in, uint16_t datagram)
{
	uint8_t octets[LARGEST + 48];
	size_t len = fragment(w, in, datagram, octets);

	sites_device(remote && (in[0] & 8) ? w->y : w->x, octets, len, now);
	instance_carry(w->x, w->y, now);
	return take(w->x) + take(w->y);
}

struct sums {
	uint64_t drops, answers, cut, sealed;
};

static struct sums
sums_of(const struct world *w)
{
	const uint64_t *x = w->x->counters.counter, *y = w->y->counters.counter;

	return (struct sums){
	    .drops = sites_drops(w->x) + sites_drops(w->y),
	    .answers = x[COUNTER_icmp_sent] + x[COUNTER_resets_sent] + y[COUNTER_icmp_sent] +
		y[COUNTER_resets_sent],
	    .cut = x[COUNTER_fragments_out],
	    .sealed = x[COUNTER_transfer_packets_out],
	};
}

/* What came went on, cut if it had to be, or was dropped once; answers come on top. */
static void
check_sums(const struct sums *before, const struct sums *after, uint64_t in, uint64_t out)
{
	uint64_t answers = after->answers - before->answers, cut = after->cut - before->cut;

	require(cut <= after->sealed - before->sealed);
	require(out - answers <= in + cut);
	require(out - answers + after->drops - before->drops >= in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool remote = size > 0 && (data[0] & 1);
	unsigned datagrams = size > 0 && (data[0] & 14) == 14 ? FLOOD : 1;
	struct world *w = world(remote);
	struct sums before = sums_of(w), after;
	uint64_t in = 0, out = 0;

	for (size_t at = 1; at + STEP <= size && at < 1 + MOST * STEP; at += STEP) {
		now += (data[at] >> 5) * (CLOCK_SECOND * 3 / 10);
		for (unsigned i = 0; i < datagrams; i++, in++)
			out += send_fragment(w, remote, data + at, (uint16_t)i);
	}
	now += 3 * CLOCK_SECOND;
	datapath_expire(w->x->datapath, now);
	datapath_expire(w->y->datapath, now);
	after = sums_of(w);
	check_sums(&before, &after, in, out);
	return 0;
}
