#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "datapath_internal.h"
#include "two_sites.h"
#include "transfer/path.h"
#include "transfer/reception.h"

#define MS    CLOCK_MILLISECOND
#define SITES 3

/* Three sites that know each other, and the wide area between them: datagrams of more octets than
 * mtu vanish, and so does all of a site that is cut off. */
struct world {
	struct instance *site[SITES];
	size_t count;
	uint64_t now;
	uint32_t mtu; /* of outer packets */
	bool v6;      /* transfer addresses are */
	bool cut[SITES];
	bool demand_cut;     /* nothing gets to a demand port */
	bool refuse_foreign; /* senders that are another site's service address */
	unsigned carried, direct;
	uint32_t largest;
};

static const char *const names[SITES] = {"tokyo", "osaka", "kobe"};
static struct world w;

static const char *
transfer_address(bool v6, size_t n)
{
	static char text[4][40];
	static size_t turn;
	char *out = text[turn++ % 4];

	snprintf(
	    out, sizeof(text[0]), v6 ? "[2001:db8:f::%zu]:7210" : "198.51.100.%zu:7210", n + 1);
	return out;
}

static void
config_text(char *out, size_t size, size_t n, size_t count, bool v6, const char *more)
{
	size_t len;

	len = (size_t)snprintf(out, size,
	    "site = \"%s\"; limits: { connections = 1024; };"
	    "services: ( { name = \"web\"; address = [ \"203.0.113.%zu\", \"2001:db8:%zu::1\" "
	    "];"
	    "  protocol = \"tcp\"; ports = [ 80, 443 ];"
	    "  servers: ( { name = \"a\"; address = [ \"10.%zu.0.11\", \"2001:db8:%zu::11\" ];"
	    "    port = 8080; } ); } );"
	    "load: { listen = \"198.51.100.%zu:7210\";"
	    "  certificate = \"/c\"; key = \"/k\"; ca = \"/a\"; };"
	    "transfer: { listen = \"%s\"; %s };"
	    "peers: (",
	    names[n], n + 1, n + 1, n + 1, n + 1, n + 1, transfer_address(v6, n), more);
	for (size_t i = 0, first = 1; i < count; i++) {
		if (i == n)
			continue;
		len += (size_t)snprintf(out + len, size - len,
		    "%s { site = \"%s\"; load = \"198.51.100.%zu:7210\"; transfer = \"%s\"; }",
		    first ? "" : ",", names[i], i + 1, transfer_address(v6, i));
		first = 0;
	}
	snprintf(out + len, size - len, " );");
}

static void
make_world(size_t count, bool v6, const char *more)
{
	char text[2048];

	memset(&w, 0, sizeof(w));
	w.now = 1000 * CLOCK_SECOND;
	w.count = count;
	w.mtu = 1500;
	w.v6 = v6;
	for (size_t n = 0; n < count; n++) {
		config_text(text, sizeof(text), n, count, v6, more);
		w.site[n] = instance_new(text, n + 1, w.now);
		assert_non_null(w.site[n]);
	}
	for (size_t a = 0; a < count; a++)
		for (size_t b = a + 1; b < count; b++)
			assert_int_equal(instance_link(w.site[a], w.site[b], w.now), 0);
	/* nothing is proved yet */
	for (size_t a = 0; a < count; a++)
		for (uint32_t s = 0; s < count - 1; s++)
			load_table_site_set_path(w.site[a]->load, s, SITE_PATH_UNKNOWN, w.now);
}

static void
free_world(void)
{
	for (size_t n = 0; n < w.count; n++)
		instance_free(w.site[n]);
}

static uint32_t
number_of(size_t at, size_t of)
{
	return load_table_find_site(w.site[at]->load, names[of]);
}

static struct site *
seen_from(size_t at, size_t of)
{
	return load_table_site(w.site[at]->load, number_of(at, of));
}

static size_t
whose(const struct addr *address)
{
	struct addr a;

	for (size_t n = 0; n < w.count; n++) {
		assert_int_equal(addr_parse(transfer_address(w.v6, n), &a), 0);
		if (addr_equal(&a, address))
			return n;
		a.port = w.site[n]->config->transfer.demand_port;
		if (addr_equal(&a, address))
			return n;
	}
	fail_msg("a datagram for nobody");
	return 0;
}

static void
arrive(size_t from, size_t to, const uint8_t *data, size_t len, const struct addr *source)
{
	uint32_t outer = (uint32_t)len + (w.v6 ? 48 : 28);

	if (outer > w.largest)
		w.largest = outer;
	w.carried++;
	if (!w.cut[from] && !w.cut[to] && outer <= w.mtu)
		assert_int_equal(memory_put_datagram(w.site[to]->io, data, len, source), 0);
}

/* What leaves a site by its device is a direct-reply probe here. */
static void
carry_direct(size_t from)
{
	struct memory_packet out;
	struct packet p;
	size_t to;

	while (memory_take_packet(w.site[from]->io, &out)) {
		assert_true(frame_is_right(out.data, out.len));
		p = (struct packet){.data = out.data, .len = (uint32_t)out.len};
		assert_int_equal(packet_parse(&p), DROP_none);
		if (p.protocol == IPPROTO_TCP)
			continue; /* a client's, for a server */
		assert_int_equal(p.protocol, IPPROTO_UDP);
		to = whose(&p.destination);
		w.direct++;
		/* the sender is a service of the third, or of the receiver if there is none */
		assert_int_not_equal(load_table_site_lookup(w.site[from]->load,
					 number_of(from, w.count == 3 ? 3 - from - to : to),
					 &p.source, IPPROTO_TCP),
		    LOAD_NONE);
		if (!w.refuse_foreign)
			arrive(from, to, p.data + p.payload, p.len - p.payload, &p.source);
	}
}

/* As PROBE does over TLS. */
static void
tell_seen(size_t from)
{
	struct instance *i = w.site[from];

	for (size_t n = 0; n < i->seen_count; n++) {
		const char *name = load_table_site(i->load, i->seen[n].site)->name;

		for (size_t to = 0; to < w.count; to++)
			if (strcmp(names[to], name) == 0)
				datapath_probe_seen(w.site[to]->datapath, number_of(to, from),
				    i->seen[n].id, w.now);
	}
	i->seen_count = 0;
}

static void
carry(void)
{
	for (size_t n = 0; n < w.count; n++) {
		struct memory_packet out;

		while (memory_take_datagram(w.site[n]->io, &out))
			if (out.peer.port == 7210 || !w.demand_cut)
				arrive(n, whose(&out.peer), out.data, out.len,
				    &w.site[n]->config->transfer.listen);
		carry_direct(n);
	}
	for (size_t n = 0; n < w.count; n++)
		while (datapath_run_transfer(w.site[n]->datapath, w.now) > 0)
			;
	for (size_t n = 0; n < w.count; n++)
		tell_seen(n);
}

/* Steps of 10 ms: that is what a datagram takes. */
static void
run(uint64_t ns)
{
	for (uint64_t end = w.now + ns; w.now < end; w.now += 10 * MS) {
		for (size_t n = 0; n < w.count; n++)
			assert_true(datapath_probe_paths(w.site[n]->datapath, w.now) > w.now);
		carry();
	}
}

static void
two(void)
{
	make_world(2, false, "");
}

/* ---- liveness ---- */

static void
test_alive(void **state)
{
	(void)state;
	two();
	assert_int_equal(seen_from(0, 1)->up_since, 0);
	run(CLOCK_SECOND);
	for (size_t n = 0; n < 2; n++) {
		const struct site *s = seen_from(n, 1 - n);

		assert_int_equal(s->path, SITE_PATH_ALIVE);
		assert_int_not_equal(s->up_since, 0);
		assert_true(s->path_rtt > 0.0099 && s->path_rtt < 0.0201);
		assert_true(s->path_loss == 0);
		assert_int_equal(s->path_mtu, 1500);
		assert_true(s->path_answered > w.now - 400 * MS);
		assert_true(s->mtu_confirmed > w.now - CLOCK_SECOND);
		assert_int_equal(w.site[n]->counters.drop[DROP_transfer_inner], 0);
		/* they are no client packets */
		assert_int_equal(w.site[n]->counters.counter[COUNTER_transfer_packets_in], 0);
		assert_true(w.site[n]->counters.counter[COUNTER_path_messages_in] > 6);
	}
	assert_int_equal(w.largest, 1500); /* exactly what is to be proved */
	free_world();
}

static void
test_lost_and_back(void **state)
{
	(void)state;
	two();
	run(2 * CLOCK_SECOND);
	w.cut[1] = true;
	run(2 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_LOST);
	assert_int_equal(seen_from(1, 0)->path, SITE_PATH_LOST);
	assert_int_equal(seen_from(0, 1)->up_since, 0);
	assert_true(seen_from(0, 1)->path_loss > 0.3);
	w.cut[1] = false;
	run(400 * MS);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_ALIVE);
	assert_true(seen_from(0, 1)->up_since > w.now - 400 * MS);
	free_world();
}

/* A lost path is no way for new connections, whatever was reported. */
static void
test_lost_path_gets_no_connections(void **state)
{
	struct allocation_decision d;
	struct ip client;

	(void)state;
	two();
	assert_int_equal(ip_parse("192.0.2.7", &client), 0);
	load_table_server_set_state(w.site[0]->load, 0, SERVER_DOWN, NULL, w.now);
	allocation_decide(w.site[0]->allocation, 0, &client, &w.site[0]->random, w.now, &d);
	assert_int_equal(d.where, ALLOCATION_NONE);
	run(CLOCK_SECOND);
	allocation_decide(w.site[0]->allocation, 0, &client, &w.site[0]->random, w.now, &d);
	assert_int_equal(d.where, ALLOCATION_SITE);
	w.cut[1] = true;
	run(2 * CLOCK_SECOND);
	instance_report(w.site[1], w.site[0], w.now);
	allocation_decide(w.site[0]->allocation, 0, &client, &w.site[0]->random, w.now, &d);
	assert_int_equal(d.where, ALLOCATION_NONE);
	free_world();
}

/* Demands have a way of their own: one of both is none. */
static void
test_demand_port(void **state)
{
	(void)state;
	make_world(2, false, "demand_port = 7211;");
	run(CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_ALIVE);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1500);
	w.demand_cut = true;
	run(2 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_LOST);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1500);
	assert_true(seen_from(0, 1)->path_loss == 0); /* of the other port's messages */
	w.demand_cut = false;
	run(400 * MS);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_ALIVE);
	w.cut[1] = true;
	run(2 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_LOST);
	w.cut[1] = false;
	w.demand_cut = true;
	run(10 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_LOST);
	/* a new session says that there is none */
	seen_from(0, 1)->demand_port = 0;
	run(400 * MS);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_ALIVE);
	seen_from(0, 1)->demand_port = 7211;
	run(400 * MS);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_UNKNOWN);
	free_world();
}

static void
test_without_key_nothing_is_known(void **state)
{
	(void)state;
	two();
	run(CLOCK_SECOND);
	keyring_set_tx(w.site[0]->keyring, 0, NULL);
	w.carried = 0;
	run(CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_UNKNOWN);
	assert_int_equal(seen_from(0, 1)->path_mtu, 0);
	assert_true(seen_from(0, 1)->path_rtt == 0);
	/* it cannot answer either */
	assert_true(w.site[0]->counters.drop[DROP_no_key] > 0);
	run(CLOCK_SECOND);
	assert_int_equal(seen_from(1, 0)->path, SITE_PATH_LOST);
	free_world();
}

static void
test_no_longer_configured(void **state)
{
	(void)state;
	two();
	run(CLOCK_SECOND);
	seen_from(0, 1)->present = false;
	run(CLOCK_SECOND);
	assert_int_equal(load_table_site(w.site[0]->load, 0)->path, SITE_PATH_UNKNOWN);
	free_world();
}

/* ---- MTU ---- */

static void
test_mtu_is_found(void **state)
{
	static const struct {
		uint32_t mtu, found;
		bool v6;
	} cases[] = {{1300, 1300, false}, {1300, 1300, true}, {1499, 1499, false},
	    {1499, 1499, true}, {9000, 1500, false}, {9000, 1500, true}, {1280, 1280, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct site *y;

		make_world(2, cases[i].v6, "");
		w.mtu = cases[i].mtu;
		run(4 * CLOCK_SECOND);
		y = seen_from(0, 1);
		assert_int_equal(y->path_mtu, cases[i].found);
		assert_int_equal(datapath_inner_mtu(w.site[0]->datapath, y),
		    cases[i].found - (cases[i].v6 ? 88 : 68));
		free_world();
	}
}

/* Until it is known the configured one counts. */
static void
test_inner_mtu_at_first(void **state)
{
	(void)state;
	make_world(2, false, "mtu = 1400;");
	assert_int_equal(datapath_inner_mtu(w.site[0]->datapath, seen_from(0, 1)), 1400 - 68);
	run(CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1400);
	assert_int_equal(w.largest, 1400);
	free_world();
}

/* The socket refuses what its interface does not take. */
static void
test_socket_says_too_big(void **state)
{
	(void)state;
	make_world(2, false, "mtu = 9000;");
	w.mtu = 9000;
	memory_set_datagram_max(w.site[0]->io, 1472);
	run(500 * MS);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1500);
	assert_int_equal(seen_from(1, 0)->path_mtu, 9000);
	/* and later on it takes less: what a client packet meets is learnt from */
	memory_set_datagram_max(w.site[0]->io, 1372);
	datapath_path_too_big(w.site[0]->datapath, 0, 1472);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1280);
	run(4 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1400);
	free_world();
}

/* The same by a client packet that is sealed and refused. */
static void
test_client_packet_is_too_big(void **state)
{
	struct addr client = frame_addr("192.0.2.7", 4000), web = frame_addr("203.0.113.1", 80);
	struct frame f;

	(void)state;
	two();
	load_table_server_set_state(w.site[0]->load, 0, SERVER_DOWN, NULL, w.now);
	run(CLOCK_SECOND);
	for (int i = 0; i < 2; i++) {
		frame_ip(&f, &client, &web, IPPROTO_TCP);
		frame_tcp(&f, client.port, web.port, 100, 0, i == 0 ? TCP_SYN : TCP_ACK, NULL, 0);
		if (i == 1) {
			frame_payload(&f, 1392);
			memory_set_datagram_max(w.site[0]->io, 1400);
		}
		frame_finish(&f);
		memory_put_packet(w.site[0]->io, f.octets, f.len, 0, 0, false);
		assert_int_equal(datapath_run_device(w.site[0]->datapath, w.now), 1);
	}
	assert_int_equal(w.site[0]->counters.counter[COUNTER_connections_transferred], 1);
	assert_int_equal(w.site[0]->counters.drop[DROP_send_failed], 1);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1280);
	free_world();
}

static void
test_mss_limit(void **state)
{
	struct connection received = {.kind = CONNECTION_RECEIVED};
	struct connection transferred = {.kind = CONNECTION_TRANSFERRED};
	struct connection local = {.kind = CONNECTION_LOCAL};
	struct packet v4 = {.version = 4}, v6 = {.version = 6};
	struct datapath *dp;
	struct site *y;

	(void)state;
	two();
	run(CLOCK_SECOND);
	dp = w.site[0]->datapath;
	y = seen_from(0, 1);
	assert_int_equal(datapath_mss_limit(dp, &v4, &received), 1500 - 68 - 40);
	y->peer_mtu = 1400; /* the client's segments come from there */
	assert_int_equal(datapath_mss_limit(dp, &v4, &received), 1400 - 68 - 40);
	assert_int_equal(datapath_mss_limit(dp, &v6, &received), 1400 - 68 - 60);
	assert_int_equal(datapath_mss_limit(dp, &v4, &transferred), 1500 - 68 - 40);
	assert_int_equal(datapath_mss_limit(dp, &v4, &local), 0);
	y->peer_mtu = 9000;
	assert_int_equal(datapath_mss_limit(dp, &v4, &received), 1500 - 68 - 40);
	y->peer_mtu = 50; /* no path is that narrow */
	assert_int_equal(datapath_mss_limit(dp, &v4, &received), 1500 - 68 - 40);
	y->path_mtu = 1300;
	assert_int_equal(datapath_mss_limit(dp, &v4, &transferred), 1300 - 68 - 40);
	free_world();
}

static void
test_reload_changes_mtu(void **state)
{
	struct config_faults faults;
	struct config *other;
	char text[2048];

	(void)state;
	two();
	w.mtu = 9000;
	run(CLOCK_SECOND);
	config_text(text, sizeof(text), 0, 2, false, "mtu = 4000;");
	other = config_parse(text, "other", &faults);
	config_faults_free(&faults);
	assert_non_null(other);
	datapath_set_config(w.site[0]->datapath, other);
	run(CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path_mtu, 4000);
	datapath_set_config(w.site[0]->datapath, w.site[0]->config);
	run(310 * MS);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1500);
	config_free(other);
	free_world();
}

static void
test_probe_now(void **state)
{
	uint64_t before;

	(void)state;
	make_world(3, false, "");
	w.mtu = 1400;
	run(20 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1400);
	w.mtu = 1500;
	before = w.now;
	datapath_probe_now(w.site[0]->datapath, 0, w.now);
	datapath_probe_now(w.site[0]->datapath, 7, w.now); /* who is that? */
	run(200 * MS);
	assert_int_equal(seen_from(0, 1)->path_mtu, 1500);
	assert_true(seen_from(0, 1)->path_answered >= before);
	assert_true(seen_from(0, 1)->mtu_confirmed >= before);
	assert_true(seen_from(0, 1)->direct_judged >= before);
	assert_int_equal(seen_from(0, 2)->path_mtu, 1400);
	free_world();
}

/* ---- messages ---- */

/* Seals at site 1 and hands it to site 0, as from that address. */
static enum drop
say(enum transfer_type type, const void *body, size_t len, const char *from)
{
	uint64_t before[DROP_COUNT];
	struct transfer_info info = {0};
	uint8_t sealed[2048];
	struct addr source;
	size_t n = transfer_seal(keyring_tx(w.site[1]->keyring, 0), type, &info, body, len,
	    NULL, 0, sealed, sizeof(sealed));

	assert_int_not_equal(n, 0);
	assert_int_equal(addr_parse(from, &source), 0);
	memcpy(before, w.site[0]->counters.drop, sizeof(before));
	memory_put_datagram(w.site[0]->io, sealed, n, &source);
	assert_int_equal(datapath_run_transfer(w.site[0]->datapath, w.now), 1);
	for (int d = 1; d < DROP_COUNT; d++)
		if (w.site[0]->counters.drop[d] != before[d])
			return (enum drop)d;
	return DROP_none;
}

#define OSAKA  "198.51.100.2:7210"
#define OTHERS "203.0.113.3:80"

static void
test_answer(void **state)
{
	uint8_t body[1000] = {1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff, 9};
	const uint8_t expected[] = {1, 2, 3, 4, 0, 0, 3, 0xe8};
	struct transfer_opened opened;
	struct memory_packet out;
	uint16_t site;

	(void)state;
	two();
	assert_int_equal(say(TRANSFER_PROBE, body, sizeof(body), OSAKA), DROP_none);
	assert_true(memory_take_datagram(w.site[0]->io, &out));
	assert_int_equal(whose(&out.peer), 1);
	/* the padding stays where it is */
	assert_int_equal(out.len, TRANSFER_OVERHEAD + PATH_MESSAGE_LEN);
	assert_int_equal(reception_open(w.site[1]->keyring, out.data, out.len,
			     &w.site[0]->config->transfer.listen, w.now, &opened, &site),
	    DROP_none);
	assert_int_equal(opened.type, TRANSFER_PROBE_ANSWER);
	assert_int_equal(opened.inner_len, sizeof(expected));
	assert_memory_equal(opened.inner, expected, sizeof(expected));
	assert_false(memory_take_datagram(w.site[0]->io, &out));
	/* the socket is full: that is counted */
	memory_set_datagram_max(w.site[0]->io, 1);
	assert_int_equal(say(TRANSFER_PROBE, body, 8, OSAKA), DROP_send_failed);
	free_world();
}

static void
test_bad_messages(void **state)
{
	static const enum transfer_type types[] = {
	    TRANSFER_PROBE, TRANSFER_PROBE_ANSWER, TRANSFER_DIRECT};
	uint8_t body[64] = {0};
	struct memory_packet out;

	(void)state;
	two();
	for (size_t t = 0; t < 3; t++)
		for (size_t len = 0; len < PATH_MESSAGE_LEN; len++)
			assert_int_equal(say(types[t], body, len, OSAKA), DROP_transfer_inner);
	assert_false(memory_take_datagram(w.site[0]->io, &out));
	assert_int_equal(w.site[0]->seen_count, 0);
	/* answers to nothing: before there is a path, and afterwards, of any size */
	assert_int_equal(say(TRANSFER_PROBE_ANSWER, body, 8, OSAKA), DROP_none);
	run(CLOCK_SECOND);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t number = random_next(&w.site[0]->random);

		memcpy(body, &number, 8);
		if (i % 2)
			body[4] = body[5] = 0;
		assert_int_equal(say(TRANSFER_PROBE_ANSWER, body, 8 + i % 50, OSAKA), DROP_none);
	}
	assert_int_equal(seen_from(0, 1)->path_mtu, 1500);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_ALIVE);
	free_world();
}

/* A foreign sender's address is what a direct-reply probe is about; nothing else may have one. */
static void
test_foreign_senders(void **state)
{
	uint8_t body[8] = {0, 0, 0, 0, 0, 0, 0, 77};

	(void)state;
	two();
	assert_int_equal(say(TRANSFER_PROBE, body, 8, OTHERS), DROP_transfer_source);
	assert_int_equal(say(TRANSFER_PROBE_ANSWER, body, 8, OTHERS), DROP_transfer_source);
	assert_int_equal(say(TRANSFER_DATA, body, 8, OTHERS), DROP_transfer_source);
	assert_int_equal(w.site[0]->seen_count, 0);
	assert_int_equal(say(TRANSFER_DIRECT, body, 8, OTHERS), DROP_none);
	assert_int_equal(say(TRANSFER_DIRECT, body, 8, OSAKA), DROP_none);
	assert_int_equal(w.site[0]->seen_count, 2);
	assert_int_equal(w.site[0]->seen[0].site, number_of(0, 1));
	assert_true(w.site[0]->seen[0].id == 77);
	free_world();
}

/* ---- direct-reply probes ---- */

static void
test_direct_ok_by_third_site(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		make_world(3, v6 != 0, "");
		run(2 * CLOCK_SECOND);
		for (size_t a = 0; a < 3; a++)
			for (size_t b = 0; b < 3; b++)
				if (a != b)
					assert_int_equal(
					    seen_from(a, b)->direct_out, SITE_DIRECT_OK);
		assert_int_equal(w.direct, 6);
		run(10 * CLOCK_SECOND); /* every ten seconds */
		assert_int_equal(w.direct, 12);
		free_world();
	}
}

static void
test_direct_ok_by_the_site_itself(void **state)
{
	(void)state;
	two();
	run(2 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_OK);
	assert_int_equal(seen_from(1, 0)->direct_out, SITE_DIRECT_OK);
	assert_int_equal(w.direct, 2);
	free_world();
}

static void
test_direct_blocked(void **state)
{
	(void)state;
	make_world(3, false, "");
	run(2 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_OK);
	w.refuse_foreign = true;
	w.direct = 0;
	run(10 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_OK); /* two missed so far */
	run(2 * CLOCK_SECOND);
	assert_int_equal(w.direct, 18);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_BLOCKED);
	assert_true(seen_from(0, 1)->direct_judged > w.now - 3 * CLOCK_SECOND);
	run(30 * CLOCK_SECOND);
	assert_int_equal(w.direct, 18 + 18); /* it is tried on */
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_BLOCKED);
	w.refuse_foreign = false;
	run(10 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_OK);
	free_world();
}

/* Where nobody could confirm a probe none is sent, and one on its way says nothing. */
static void
test_direct_unknown(void **state)
{
	(void)state;
	two();
	load_table_site_session(w.site[0]->load, 0, SITE_NO_SESSION, w.now);
	run(15 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_ALIVE);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_UNKNOWN);
	load_table_site_session(w.site[0]->load, 0, SITE_SESSION, w.now);
	w.refuse_foreign = true;
	run(1500 * MS);
	for (int i = 0; i < 10; i++) {
		load_table_site_session(w.site[0]->load, 0, SITE_NO_SESSION, w.now);
		run(2 * CLOCK_SECOND);
		load_table_site_session(w.site[0]->load, 0, SITE_SESSION, w.now);
		run(500 * MS);
	}
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_UNKNOWN);
	free_world();
}

/* Only the site that it was sent to, and only with its number. */
static void
test_direct_confirmations(void **state)
{
	struct datapath *dp;

	(void)state;
	make_world(3, false, "");
	dp = w.site[0]->datapath;
	w.refuse_foreign = true;
	run(CLOCK_SECOND);
	for (uint32_t site = 0; site < 2; site++) {
		datapath_probe_seen(dp, site, 0, w.now);
		datapath_probe_seen(dp, site, 12345, w.now);
	}
	datapath_probe_seen(dp, 99, 12345, w.now);
	assert_int_equal(seen_from(0, 1)->direct_out, SITE_DIRECT_UNKNOWN);
	assert_int_equal(seen_from(0, 2)->direct_out, SITE_DIRECT_UNKNOWN);
	free_world();
}

/* ---- sites that are given up ---- */

static struct connection *
open_connection(uint16_t port)
{
	struct addr client = frame_addr("192.0.2.7", port), web = frame_addr("203.0.113.1", 80);
	struct frame f;

	frame_ip(&f, &client, &web, IPPROTO_TCP);
	frame_tcp(&f, client.port, web.port, 100, 0, TCP_SYN, NULL, 0);
	frame_finish(&f);
	memory_put_packet(w.site[0]->io, f.octets, f.len, 0, 0, false);
	assert_int_equal(datapath_run_device(w.site[0]->datapath, w.now), 1);
	return two_sites_record(w.site[0]);
}

static void
run_and_expire(uint64_t ns)
{
	for (uint64_t end = w.now + ns; w.now < end;) {
		run(100 * MS);
		datapath_expire(w.site[0]->datapath, w.now);
	}
}

static struct connection *
transfer_one(void)
{
	struct connection *c;

	load_table_server_set_state(w.site[0]->load, 0, SERVER_DOWN, NULL, w.now);
	run(CLOCK_SECOND);
	instance_report(w.site[1], w.site[0], w.now);
	c = open_connection(4000);
	assert_non_null(c);
	assert_int_equal(c->kind, CONNECTION_TRANSFERRED);
	return c;
}

static void
test_given_up(void **state)
{
	struct datapath *dp;
	uint64_t at;

	(void)state;
	make_world(2, false, "give_up = 4.0;");
	dp = w.site[0]->datapath;
	transfer_one();
	w.cut[1] = true;
	load_table_site_session(w.site[0]->load, 0, SITE_NO_SESSION, w.now);
	at = seen_from(0, 1)->heard_at;
	run_and_expire(at + 3900 * MS - w.now);
	assert_non_null(two_sites_record(w.site[0]));
	run_and_expire(500 * MS);
	assert_null(two_sites_record(w.site[0]));
	/* once */
	for (int i = 0; i < 200; i++) {
		run(100 * MS);
		assert_false(dp->sweeping);
	}
	/* it comes back, and is given up again */
	w.cut[1] = false;
	run(2 * CLOCK_SECOND);
	w.cut[1] = true;
	run(3900 * MS);
	assert_false(dp->sweeping);
	run(500 * MS);
	assert_true(dp->sweeping);
	free_world();
}

static void
test_session_is_a_sign_of_life(void **state)
{
	(void)state;
	make_world(2, false, "give_up = 4.0;");
	transfer_one();
	w.cut[1] = true;
	run_and_expire(20 * CLOCK_SECOND);
	assert_int_equal(seen_from(0, 1)->path, SITE_PATH_LOST);
	assert_non_null(two_sites_record(w.site[0]));
	/* the last that it said in the session was now */
	instance_report(w.site[1], w.site[0], w.now);
	load_table_site_session(w.site[0]->load, 0, SITE_NO_SESSION, w.now);
	run_and_expire(3900 * MS);
	assert_non_null(two_sites_record(w.site[0]));
	run_and_expire(500 * MS);
	assert_null(two_sites_record(w.site[0]));
	free_world();
}

/* Any transfer packet of it is one, without a session too. */
static void
test_packets_are_signs_of_life(void **state)
{
	(void)state;
	make_world(2, false, "give_up = 4.0;");
	transfer_one();
	load_table_site_session(w.site[0]->load, 0, SITE_NO_SESSION, w.now);
	run_and_expire(20 * CLOCK_SECOND);
	assert_non_null(two_sites_record(w.site[0]));
	w.cut[1] = true;
	for (int i = 0; i < 10; i++) {
		run_and_expire(3 * CLOCK_SECOND);
		/* what it contains does not matter, who sealed it does */
		assert_int_equal(say(TRANSFER_DATA, "x", 1, OSAKA), DROP_transfer_inner);
	}
	assert_non_null(two_sites_record(w.site[0]));
	run_and_expire(5 * CLOCK_SECOND);
	assert_null(two_sites_record(w.site[0]));
	free_world();
}

static void
test_never_heard_is_not_given_up(void **state)
{
	(void)state;
	make_world(2, false, "give_up = 1.0;");
	w.cut[1] = true;
	load_table_site(w.site[0]->load, 0)->services[0].received_at = 0;
	load_table_site_session(w.site[0]->load, 0, SITE_NO_SESSION, w.now);
	run_and_expire(10 * CLOCK_SECOND);
	assert_false(w.site[0]->datapath->sweeping);
	free_world();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alive),
	    cmocka_unit_test(test_lost_and_back),
	    cmocka_unit_test(test_lost_path_gets_no_connections),
	    cmocka_unit_test(test_demand_port),
	    cmocka_unit_test(test_without_key_nothing_is_known),
	    cmocka_unit_test(test_no_longer_configured),
	    cmocka_unit_test(test_mtu_is_found),
	    cmocka_unit_test(test_inner_mtu_at_first),
	    cmocka_unit_test(test_socket_says_too_big),
	    cmocka_unit_test(test_client_packet_is_too_big),
	    cmocka_unit_test(test_mss_limit),
	    cmocka_unit_test(test_reload_changes_mtu),
	    cmocka_unit_test(test_probe_now),
	    cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_bad_messages),
	    cmocka_unit_test(test_foreign_senders),
	    cmocka_unit_test(test_direct_ok_by_third_site),
	    cmocka_unit_test(test_direct_ok_by_the_site_itself),
	    cmocka_unit_test(test_direct_blocked),
	    cmocka_unit_test(test_direct_unknown),
	    cmocka_unit_test(test_direct_confirmations),
	    cmocka_unit_test(test_given_up),
	    cmocka_unit_test(test_session_is_a_sign_of_life),
	    cmocka_unit_test(test_packets_are_signs_of_life),
	    cmocka_unit_test(test_never_heard_is_not_given_up),
	};

	return cmocka_run_group_tests_name("datapath_path", tests, NULL, NULL);
}
