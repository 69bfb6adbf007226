/*
 * A million random packets through conversion and back, against a model that makes each packet
 * anew: it draws up what a packet is to be, writes it out for any addresses, and computes
 * every checksum in full.  It shares no code with src/packet.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <string.h>

#include "base/random.h"
#include "packet/convert.h"
#include "packet/icmp.h"

#define PACKETS 1000000
#define ERRORS  200000

#define DATA_MAX  1480
#define WRITE_MAX 2048

struct ends {
	struct addr source, destination;
};

/* What a packet is to be, but for its addresses and ports. */
struct plan {
	int version;
	uint8_t protocol, tos, ttl;
	uint16_t id;
	uint8_t extra[40]; /* IPv4 options or IPv6 extension headers */
	size_t extra_len;
	uint8_t extra_kind;           /* IPv6: of the first one */
	bool fragment_header;         /* IPv6 */
	size_t from, to;              /* the part of the data that this fragment has */
	uint8_t data[DATA_MAX];       /* transport header and payload */
	size_t len, header, checksum; /* of data; of the header; where its checksum is */
	bool partial, no_checksum;
	uint16_t wrong; /* added to the right checksum, one's complement */
};

/* A packet written out, and where things are in it. */
struct written {
	uint8_t octets[WRITE_MAX];
	size_t len, transport;
};

/* ---- the model ---- */

static uint32_t
sum(uint32_t total, const uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		total += i % 2 == 0 ? (uint32_t)octets[i] << 8 : octets[i];
	while (total > 0xffff)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static void
put(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t
pseudo(const struct plan *p, const struct ends *e, size_t len)
{
	uint8_t tail[4] = {(uint8_t)(len >> 8), (uint8_t)len, 0, p->protocol};
	size_t skip = p->version == 4 ? 12 : 0;
	uint32_t total = sum(0, e->source.ip.octet + skip, 16 - skip);

	total = sum(total, e->destination.ip.octet + skip, 16 - skip);
	return sum(total, tail, sizeof(tail));
}

/* The checksum of the whole datagram, whatever part of it is in this packet. */
static uint16_t
checksum(const struct plan *p, const struct ends *e, const uint8_t *data)
{
	uint32_t total = p->protocol == IPPROTO_ICMP ? 0 : pseudo(p, e, p->len);
	uint16_t value;

	if (p->partial)
		return (uint16_t)total;
	if (p->no_checksum)
		return 0;
	value = (uint16_t)~sum(total, data, p->len);
	return p->protocol == IPPROTO_UDP && value == 0 ? 0xffff : value;
}

static size_t
write_ipv4(const struct plan *p, const struct ends *e, size_t len, uint8_t *out)
{
	size_t header = 20 + p->extra_len;
	bool more = p->to < p->len;

	memset(out, 0, 20);
	out[0] = (uint8_t)(0x40 + header / 4);
	out[1] = p->tos;
	put(out + 2, header + len);
	put(out + 4, p->id);
	put(out + 6, p->from / 8 + (more ? 0x2000 : 0));
	out[8] = p->ttl;
	out[9] = p->protocol;
	memcpy(out + 12, e->source.ip.octet + 12, 4);
	memcpy(out + 16, e->destination.ip.octet + 12, 4);
	memcpy(out + 20, p->extra, p->extra_len);
	put(out + 10, (uint16_t)~sum(0, out, header));
	return header;
}

static size_t
write_ipv6(const struct plan *p, const struct ends *e, size_t len, uint8_t *out)
{
	uint8_t behind = p->fragment_header ? IPPROTO_FRAGMENT : p->protocol;
	size_t at = 40;

	memset(out, 0, 56);
	out[0] = (uint8_t)(0x60 | p->tos >> 4);
	out[1] = (uint8_t)(p->tos << 4);
	put(out + 2, p->id);
	put(out + 4, p->extra_len + (p->fragment_header ? 8 : 0) + len);
	out[6] = p->extra_len > 0 ? p->extra_kind : behind;
	out[7] = p->ttl;
	memcpy(out + 8, e->source.ip.octet, 16);
	memcpy(out + 24, e->destination.ip.octet, 16);
	if (p->extra_len > 0) {
		memcpy(out + at, p->extra, p->extra_len);
		out[at] = behind;
		at += p->extra_len;
	}
	if (p->fragment_header) {
		memset(out + at, 0, 8);
		out[at] = p->protocol;
		put(out + at + 2, p->from + (p->to < p->len ? 1 : 0));
		put(out + at + 6, p->id);
		at += 8;
	}
	return at;
}

static void
write_out(const struct plan *p, const struct ends *e, struct written *w)
{
	uint8_t data[DATA_MAX];
	size_t len = p->to - p->from;

	memcpy(data, p->data, p->len);
	if (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) {
		put(data, e->source.port);
		put(data + 2, e->destination.port);
	}
	put(data + p->checksum, 0);
	put(data + p->checksum, checksum(p, e, data));
	w->transport = p->version == 4 ? write_ipv4(p, e, len, w->octets)
				       : write_ipv6(p, e, len, w->octets);
	memcpy(w->octets + w->transport, data + p->from, len);
	w->len = w->transport + len;
}

/* ---- chance ---- */

static bool
one_in(struct random *r, uint32_t n)
{
	return random_below(r, n) == 0;
}

static void
fill(struct random *r, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)random_next(r);
	/* words that make sums interesting */
	if (one_in(r, 4))
		memset(to, one_in(r, 2) ? 0 : 0xff, len);
}

static struct addr
draw_addr(struct random *r, int version)
{
	uint8_t octets[16];
	struct addr addr = {.port = one_in(r, 8) ? 0xffff : (uint16_t)random_next(r)};

	fill(r, octets, sizeof(octets));
	octets[0] = (uint8_t)(octets[0] | 0x20); /* never IPv4-mapped */
	addr.ip = version == 4 ? ip_from_v4(octets) : ip_from_v6(octets);
	return addr;
}

static struct ends
draw_ends(struct random *r, int version)
{
	return (struct ends){draw_addr(r, version), draw_addr(r, version)};
}

static void
draw_extra(struct random *r, struct plan *p)
{
	if (!one_in(r, 4))
		return;
	if (p->version == 4) {
		p->extra_len = 4 * (1 + random_below(r, 10));
		fill(r, p->extra, p->extra_len);
		return;
	}
	p->extra_len = 8 * (1 + random_below(r, 4));
	fill(r, p->extra, p->extra_len);
	p->extra[1] = (uint8_t)(p->extra_len / 8 - 1);
	p->extra_kind = one_in(r, 2) ? IPPROTO_HOPOPTS : IPPROTO_DSTOPTS;
}

static void
draw_transport(struct random *r, struct plan *p)
{
	size_t payload = one_in(r, 16) ? random_below(r, 1400) : random_below(r, 48);
	bool tcp = p->protocol == IPPROTO_TCP;

	p->header = tcp ? 20 + 4 * (size_t)random_below(r, 11) : 8;
	p->len = p->header + payload;
	p->checksum = tcp ? 16 : p->protocol == IPPROTO_UDP ? 6 : 2;
	fill(r, p->data, p->len);
	if (tcp)
		p->data[12] = (uint8_t)(p->header / 4 << 4);
	if (p->protocol == IPPROTO_UDP)
		put(p->data + 4, p->len);
}

/* A fragment now and then: cut at a multiple of 8, the header whole in the first. */
static void
draw_fragment(struct random *r, struct plan *p)
{
	size_t first = (p->header + 7) / 8, blocks = (p->len - 1) / 8;

	p->from = 0;
	p->to = p->len;
	if (!one_in(r, 4) || blocks < first)
		return;
	p->fragment_header = true;
	if (one_in(r, 2))
		p->to = 8 * (first + random_below(r, (uint32_t)(blocks - first + 1)));
	else
		p->from = 8 * (first + random_below(r, (uint32_t)(blocks - first + 1)));
}

static void
draw(struct random *r, struct plan *p)
{
	memset(p, 0, offsetof(struct plan, data));
	p->version = one_in(r, 2) ? 4 : 6;
	switch (random_below(r, 5)) {
	case 0:
		p->protocol = p->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		break;
	case 1:
	case 2:
		p->protocol = IPPROTO_UDP;
		break;
	default:
		p->protocol = IPPROTO_TCP;
	}
	p->tos = (uint8_t)random_next(r);
	p->ttl = (uint8_t)random_next(r);
	p->id = (uint16_t)random_next(r);
	p->partial = p->no_checksum = false;
	p->wrong = 0;
	draw_extra(r, p);
	draw_transport(r, p);
	draw_fragment(r, p);
	if (p->fragment_header || p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
		return;
	p->partial = one_in(r, 4);
	p->no_checksum = p->protocol == IPPROTO_UDP && !p->partial && one_in(r, 8);
	if (!p->partial && !p->no_checksum && one_in(r, 8))
		p->wrong = (uint16_t)(1 + random_below(r, 0xfffe));
}

/* ---- the comparison ---- */

static bool
has_checksum(const struct plan *p)
{
	return p->from == 0;
}

/* Puts in a checksum that is wrong by so much; UDP's 0 has its own meaning. */
static void
spoil(const struct plan *p, struct written *w)
{
	uint8_t *field = w->octets + w->transport + p->checksum;
	uint32_t value = (uint32_t)(field[0] << 8 | field[1]) + p->wrong;

	value = (value & 0xffff) + (value >> 16);
	put(field, value == 0 ? 0xffff : value);
}

/* In one's complement 0 and 0xffff are one number: a wrong checksum may become either. */
static void
assert_written(const struct plan *p, const struct packet *got, struct written *wanted)
{
	uint8_t *a, *b;

	assert_int_equal(got->len, wanted->len);
	if (p->wrong != 0 && has_checksum(p)) {
		a = got->data + wanted->transport + p->checksum;
		b = wanted->octets + wanted->transport + p->checksum;
		assert_int_equal((a[0] << 8 | a[1]) % 0xffff, (b[0] << 8 | b[1]) % 0xffff);
		memcpy(b, a, 2);
	}
	assert_memory_equal(got->data, wanted->octets, wanted->len);
}

static struct packet
parsed(const struct plan *p, struct written *w)
{
	struct packet view = {.data = w->octets, .len = (uint32_t)w->len, .partial = p->partial};

	assert_int_equal(packet_parse(&view), DROP_none);
	assert_int_equal(view.transport, w->transport);
	assert_int_equal(view.len, w->len);
	return view;
}

static void
assert_ends(const struct packet *view, const struct ends *e, bool ports)
{
	assert_true(ip_equal(&view->source.ip, &e->source.ip));
	assert_true(ip_equal(&view->destination.ip, &e->destination.ip));
	assert_int_equal(view->source.port, ports ? e->source.port : 0);
	assert_int_equal(view->destination.port, ports ? e->destination.port : 0);
}

static void
make(const struct plan *p, const struct ends *e, struct written *w)
{
	write_out(p, e, w);
	if (p->wrong != 0 && has_checksum(p))
		spoil(p, w);
}

static void
test_there_and_back(void **state)
{
	static struct written original, converted, work;
	static struct plan p;
	struct ends before, after;
	struct packet view;
	struct random r;
	bool ports;

	(void)state;
	random_init(&r, 20);
	for (int i = 0; i < PACKETS; i++) {
		draw(&r, &p);
		before = draw_ends(&r, p.version);
		after = one_in(&r, 16) ? before : draw_ends(&r, p.version);
		make(&p, &before, &original);
		make(&p, &after, &converted);
		work = original;
		view = parsed(&p, &work);
		ports = p.from == 0 && (p.protocol == IPPROTO_TCP || p.protocol == IPPROTO_UDP);
		assert_ends(&view, &before, ports);
		packet_convert(&view, &after.source, &after.destination);
		assert_written(&p, &view, &converted);
		view = parsed(&p, &work);
		assert_ends(&view, &after, ports);
		packet_convert(&view, &before.source, &before.destination);
		assert_written(&p, &view, &original);
	}
}

/* ---- the same for errors that quote such a packet ---- */

static void
draw_quoted(struct random *r, struct plan *p, int version)
{
	do
		draw(r, p);
	while (p->version != version || p->from > 0 || p->partial || p->wrong != 0 ||
	    p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6);
}

/* An error around the first cut octets of a quoted packet. */
static void
draw_error(struct random *r, struct plan *error, int version)
{
	static const uint8_t types4[] = {3, 11, 12}, types6[] = {1, 2, 3, 4};

	memset(error, 0, offsetof(struct plan, data));
	error->version = version;
	error->protocol = version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	error->ttl = (uint8_t)random_next(r);
	error->id = (uint16_t)random_next(r);
	error->partial = error->no_checksum = false;
	error->wrong = 0;
	draw_extra(r, error);
	fill(r, error->data, 8);
	error->data[0] = version == 4 ? types4[random_below(r, 3)] : types6[random_below(r, 4)];
	error->data[version == 4 ? 5 : 4] = 0; /* no extensions */
	error->header = 8;
	error->checksum = 2;
}

static void
quote(struct plan *error, const struct written *quoted, size_t cut)
{
	memcpy(error->data + 8, quoted->octets, cut);
	error->len = error->to = 8 + cut;
	error->from = 0;
}

static void
convert_error(struct packet *view, const struct ends *quoted, const struct ends *outer)
{
	struct packet inner;

	assert_int_equal(icmp_read_quote(view, &inner), DROP_none);
	icmp_convert(view, &inner, &outer->source.ip, &quoted->source, &quoted->destination);
}

/* How much of the packet the error quotes: never half of a TCP checksum. */
static size_t
draw_cut(struct random *r, const struct plan *p, const struct written *quoted)
{
	size_t least = quoted->transport + 8, cut;
	size_t most = quoted->len < DATA_MAX - 8 ? quoted->len : DATA_MAX - 8;

	if (one_in(r, 4))
		return least;
	do
		cut = least + random_below(r, (uint32_t)(most - least + 1));
	while (p->protocol == IPPROTO_TCP && cut == quoted->transport + 17);
	return cut;
}

static void
test_errors_there_and_back(void **state)
{
	static struct written original, converted, work, inner;
	static struct plan p, error;
	struct ends before, after, outer, outer_after;
	struct packet view;
	struct random r;
	size_t cut;

	(void)state;
	random_init(&r, 792);
	for (int i = 0; i < ERRORS; i++) {
		int version = one_in(&r, 2) ? 4 : 6;

		draw_quoted(&r, &p, version);
		draw_error(&r, &error, version);
		before = draw_ends(&r, version);
		after = draw_ends(&r, version);
		outer = outer_after = draw_ends(&r, version);
		outer.destination = before.source;
		outer_after.destination = after.source;
		if (one_in(&r, 2))
			outer_after.source = draw_addr(&r, version);

		write_out(&p, &before, &inner);
		cut = draw_cut(&r, &p, &inner);
		quote(&error, &inner, cut);
		write_out(&error, &outer, &original);
		write_out(&p, &after, &inner);
		quote(&error, &inner, cut);
		write_out(&error, &outer_after, &converted);

		work = original;
		view = parsed(&error, &work);
		assert_true(icmp_is_error(&view));
		convert_error(&view, &after, &outer_after);
		assert_written(&error, &view, &converted);
		view = parsed(&error, &work);
		convert_error(&view, &before, &outer);
		assert_written(&error, &view, &original);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_errors_there_and_back),
	};

	return cmocka_run_group_tests_name("convert_model", tests, NULL, NULL);
}
