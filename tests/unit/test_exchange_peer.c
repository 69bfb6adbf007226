#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "load/exchange_internal.h"
#include "raw_peer.h"

#define SOON   8000 /* ms: what takes milliseconds, on a busy machine */
#define WLAD   "\x06wlad/1"
#define SECOND CLOCK_SECOND

/* mike is the site under test; alpha has the smaller name, so it dials. */
static struct rig *mike;
static uint16_t mike_port;

static struct rig_order
mike_order(void)
{
	return (struct rig_order){.site = "mike",
	    .authority = "main",
	    .port = mike_port,
	    .transfer_port = (uint16_t)(mike_port + 1),
	    .interval = 60,
	    .peers = {{"alpha", 1, ""}, {"beta", 10, ""}}};
}

static int
start_mike(void **state)
{
	struct rig_order order = mike_order();

	rig_forget_log(state);
	mike = rig_new(&order);
	return 0;
}

static int
stop_mike(void **state)
{
	(void)state;
	rig_free(mike);
	return 0;
}

static uint64_t
counted(enum counter counter)
{
	return mike->counters.counter[counter];
}

static struct site *
alpha(void)
{
	return rig_site(mike, "alpha");
}

static uint32_t
alpha_number(void)
{
	return load_table_find_site(mike->table, "alpha");
}

static struct peer *
alpha_peer(void)
{
	return exchange_peer(mike->exchange, alpha_number());
}

static struct raw *
dial_as(const char *authority, const char *certificate)
{
	struct raw_order order = {
	    .port = mike_port, .authority = authority, .certificate = certificate, .alpn = WLAD};
	struct raw *r = raw_new(&order);

	raw_handshake(r);
	return r;
}

/* A session of alpha's, with the keys that it offers ready if it does. */
static struct raw *
establish_with(const struct hello *hello, struct hello *answer)
{
	struct raw *r = dial_as("main", "alpha");
	const uint8_t *body = NULL;
	uint32_t len = 0;

	raw_say_hello(r, hello);
	assert_true(raw_expect(r, MESSAGE_HELLO, &body, &len));
	assert_int_equal(codec_decode_hello(body, len, answer), 0);
	assert_int_equal(alpha()->session, SITE_SESSION);
	return r;
}

static struct raw *
establish(uint64_t boot_id)
{
	struct hello hello = raw_hello_of("alpha"), answer;
	struct raw *r;

	hello.boot_id = boot_id;
	r = establish_with(&hello, &answer);
	hello_fini(&answer);
	return r;
}

static bool
has_keys(void *arg)
{
	(void)arg;
	return alpha()->keys;
}

/* The same, and its key may be used; returns the index of mike's receive key. */
static struct raw *
establish_keys(uint64_t boot_id, uint32_t *index)
{
	struct hello hello = raw_hello_of("alpha"), answer;
	struct codec_buffer b = {0};
	struct raw *r;

	hello.boot_id = boot_id;
	r = establish_with(&hello, &answer);
	*index = answer.key_index;
	hello_fini(&answer);
	assert_int_equal(codec_encode_key_ready(&b, hello.key_index), 0);
	raw_send(r, &b);
	assert_true(rig_until(has_keys, NULL, SOON));
	return r;
}

static bool
no_session(void *arg)
{
	(void)arg;
	return alpha()->session == SITE_NO_SESSION;
}

static void
lose(struct raw *r)
{
	raw_free(r);
	assert_true(rig_until(no_session, NULL, SOON));
}

static bool
index_is_known(uint32_t index)
{
	uint16_t site;
	struct addr from;

	return keyring_find(mike->keyring, index, &site, &from) != NULL;
}

static void
say_bye(struct raw *r, enum bye_reason reason)
{
	struct codec_buffer b = {0};

	assert_int_equal(codec_encode_bye(&b, reason), 0);
	raw_send(r, &b);
}

/* ---- CLOSED out ---- */

static struct connection_closed
entry_of(unsigned n)
{
	struct connection_closed entry = {
	    .protocol = IPPROTO_TCP, .reset = n % 2 == 1, .seq = 1000000 + n};

	assert_int_equal(ip_parse(n % 3 == 0 ? "2001:db8::1" : "192.0.2.1", &entry.client.ip), 0);
	assert_int_equal(
	    ip_parse(n % 3 == 0 ? "2001:db8::2" : "203.0.113.1", &entry.service.ip), 0);
	entry.client.port = (uint16_t)n;
	entry.service.port = 443;
	return entry;
}

static void
close_connections(unsigned from, unsigned count)
{
	for (unsigned n = from; n < from + count; n++) {
		struct connection_closed entry = entry_of(n);

		exchange_closed(mike->exchange, alpha_number(), &entry);
	}
}

/* Each entry that comes is one of those told, and comes once. */
struct reception {
	struct raw *raw;
	uint8_t *seen;
	unsigned limit, count, messages;
};

static void
receive(struct reception *r, const struct closed *closed)
{
	for (size_t i = 0; i < closed->count; i++) {
		const struct connection_closed *got = &closed->entries[i];
		unsigned n = got->seq - 1000000;
		struct connection_closed entry = entry_of(n);

		assert_true(n < r->limit && r->seen[n] == 0);
		assert_true(addr_equal(&got->client, &entry.client));
		assert_true(addr_equal(&got->service, &entry.service));
		assert_int_equal(got->protocol, entry.protocol);
		assert_int_equal(got->reset, entry.reset);
		r->seen[n] = 1;
		r->count++;
	}
	r->messages++;
}

static bool
received_all(void *arg)
{
	struct reception *r = arg;
	struct closed closed;
	const uint8_t *body;
	uint8_t type;
	uint32_t len;

	raw_step(r->raw);
	while (raw_message(r->raw, &type, &body, &len)) {
		if (type != MESSAGE_CLOSED)
			continue;
		assert_int_equal(codec_decode_closed(body, len, &closed), 0);
		receive(r, &closed);
		closed_fini(&closed);
	}
	/* room for more */
	memmove(r->raw->input, r->raw->input + r->raw->read_at,
	    r->raw->input_len - r->raw->read_at);
	r->raw->input_len -= r->raw->read_at;
	r->raw->read_at = 0;
	assert_false(r->raw->closed);
	return r->count == r->limit;
}

static unsigned
expect_closed(struct raw *raw, unsigned count)
{
	struct reception r = {.raw = raw, .seen = xcalloc(count, 1), .limit = count};

	assert_true(rig_until(received_all, &r, SOON));
	free(r.seen);
	return r.messages;
}

/* Many a message, not a message each; and not before there are many or time has passed. */
static void
closed_are_told_together(void **state)
{
	struct raw *r = establish(1);
	uint64_t before, start;

	(void)state;
	rig_until(rig_never, NULL, 20);
	before = counted(COUNTER_messages_out);
	start = clock_now();
	close_connections(0, 5);
	assert_int_equal(expect_closed(r, 5), 1);
	assert_true(clock_now() - start >= 99 * CLOCK_MILLISECOND);
	assert_int_equal(counted(COUNTER_messages_out), before + 1);
	raw_free(r);
}

/* A service of so many places at alpha and here. */
static void
serve_both(uint32_t places)
{
	struct site_service *s = xcalloc(1, sizeof(*s));
	struct service *own = load_table_service(mike->table, 0);

	s->name = xstrdup(own->name);
	s->local = LOAD_NONE;
	s->protocol = own->protocol;
	s->v4 = own->v4;
	s->transferable = places;
	own->capacity = 2 * places;
	load_table_site_services(mike->table, alpha_number(), s, 1);
	peer_closed_measure(alpha_peer());
}

/* Not to be told of them would make a difference to the load. */
static void
closed_that_matter_go_early(void **state)
{
	struct raw *r = establish(1);
	uint64_t start;
	unsigned told;

	(void)state;
	serve_both(30);
	assert_int_equal(alpha_peer()->closed.enough, 1);
	rig_until(rig_never, NULL, 20);
	start = clock_now();
	close_connections(0, 1);
	assert_int_equal(expect_closed(r, 1), 1);
	assert_true(clock_now() - start < 90 * CLOCK_MILLISECOND);
	/* but not one by one */
	for (unsigned n = 0; n < 200; n++)
		close_connections(n, 1);
	told = expect_closed(r, 200);
	assert_true(told >= 1 && told < 20);
	raw_free(r);
}

static void
few_of_many_can_wait(void **state)
{
	struct raw *r = establish(1);
	uint64_t start;

	(void)state;
	serve_both(1000);
	assert_int_equal(alpha_peer()->closed.enough, 20);
	rig_until(rig_never, NULL, 20);
	start = clock_now();
	close_connections(0, 19);
	assert_int_equal(expect_closed(r, 19), 1);
	assert_true(clock_now() - start >= 99 * CLOCK_MILLISECOND);
	serve_both(1000000);
	assert_int_equal(alpha_peer()->closed.enough, CLOSED_ENTRIES_MAX);
	raw_free(r);
}

static void
full_message_goes_at_once(void **state)
{
	struct raw *r = establish(1);

	(void)state;
	close_connections(0, CLOSED_ENTRIES_MAX + 500);
	assert_int_equal(expect_closed(r, CLOSED_ENTRIES_MAX + 500), 2);
	raw_free(r);
}

/* More wait than a session may hold at once; what is too much is counted. */
static void
closed_wait_for_a_session(void **state)
{
	struct raw *r;

	(void)state;
	close_connections(0, 65536);
	assert_int_equal(counted(COUNTER_closed_untold), 0);
	close_connections(65536, 10);
	assert_int_equal(counted(COUNTER_closed_untold), 10);
	r = establish(1);
	assert_int_equal(expect_closed(r, 65536), 64);
	assert_int_equal(alpha()->session, SITE_SESSION);
	/* and there is room again */
	close_connections(0, 3);
	assert_int_equal(expect_closed(r, 3), 1);
	assert_int_equal(counted(COUNTER_closed_untold), 10);
	raw_free(r);
}

/* The same process gets what it has missed ... */
static void
closed_survive_a_lost_session(void **state)
{
	struct raw *r = establish(7);

	(void)state;
	lose(r);
	close_connections(0, 2000);
	r = establish(7);
	assert_int_equal(expect_closed(r, 2000), 2);
	assert_int_equal(mike->forgotten, 0);
	raw_free(r);
}

/* ... a new one does not: it may have other connections between the same ends. */
static void
closed_are_not_for_the_next_process(void **state)
{
	struct raw *r = establish(7);

	(void)state;
	lose(r);
	close_connections(10, 2000);
	r = establish(8);
	assert_int_equal(mike->forgotten, 1);
	assert_int_equal(mike->told_of, alpha_number());
	close_connections(0, 1);
	assert_int_equal(expect_closed(r, 1), 1);
	raw_free(r);
}

static void
closed_to_nobody(void **state)
{
	struct connection_closed entry = entry_of(1), mixed = entry_of(1);
	struct raw *r = establish(1);

	(void)state;
	exchange_closed(mike->exchange, 77, &entry);
	exchange_closed(mike->exchange, LOAD_NONE, &entry);
	mixed.service = entry_of(0).service;
	exchange_closed(mike->exchange, alpha_number(), &mixed);
	close_connections(0, 1);
	assert_int_equal(expect_closed(r, 1), 1);
	raw_free(r);
}

/* ---- CLOSED and PROBE in ---- */

static void
say_closed(struct raw *r, unsigned count)
{
	struct connection_closed *entries = xcalloc(count, sizeof(entries[0]));
	struct codec_buffer b = {0};

	for (unsigned n = 0; n < count; n++)
		entries[n] = entry_of(3 * n + 1);
	assert_int_equal(codec_encode_closed(&b, entries, count), 0);
	free(entries);
	raw_send(r, &b);
}

static bool
told_three(void *arg)
{
	(void)arg;
	return mike->closed_count == 3 && mike->probes_seen == 1;
}

static void
say_probe(struct raw *r, uint64_t id)
{
	struct codec_buffer b = {0};

	assert_int_equal(codec_encode_probe(&b, &(struct probe_seen){id}), 0);
	raw_send(r, &b);
}

static void
closed_and_probes_are_handed_on(void **state)
{
	struct raw *r = establish(1);

	(void)state;
	say_closed(r, 3);
	say_probe(r, UINT64_C(0xfedcba9876543210));
	assert_true(rig_until(told_three, NULL, SOON));
	for (unsigned n = 0; n < 3; n++) {
		struct connection_closed entry = entry_of(3 * n + 1);

		assert_true(addr_equal(&mike->closed[n].client, &entry.client));
		assert_true(mike->closed[n].seq == entry.seq);
		assert_int_equal(mike->closed[n].reset, entry.reset);
	}
	assert_true(mike->probe_ids[0] == UINT64_C(0xfedcba9876543210));
	assert_int_equal(mike->told_of, alpha_number());
	assert_int_equal(counted(COUNTER_messages_unknown), 0);
	raw_free(r);
}

static void
expect_refusal(struct raw *r, const void *message, size_t len, const char *why)
{
	raw_write(r, message, len);
	assert_int_equal(raw_expect_bye(r), BYE_PROTOCOL);
	rig_expect_log(why, SOON);
	assert_int_equal(mike->closed_count, 0);
	assert_int_equal(mike->probes_seen, 0);
	/* somebody who breaks the protocol has not forgotten anything */
	assert_int_equal(mike->forgotten, 0);
	raw_free(r);
}

static void
malformed_closed(void **state)
{
	static const uint8_t message[] = {MESSAGE_CLOSED, 0, 0, 0, 0, 5, 0, 1, 0, 1, 9};

	(void)state;
	expect_refusal(establish(1), message, sizeof(message), "sent a malformed CLOSED");
}

static void
malformed_probe(void **state)
{
	static const uint8_t message[] = {MESSAGE_PROBE, 0, 0, 0, 0, 0};

	(void)state;
	expect_refusal(establish(1), message, sizeof(message), "sent a malformed PROBE");
}

static void
closed_before_hello(void **state)
{
	static const uint8_t message[] = {MESSAGE_CLOSED, 0, 0, 0, 0, 0};
	struct raw *r = dial_as("main", "alpha");

	(void)state;
	raw_write(r, message, sizeof(message));
	assert_true(rig_until(raw_is_closed, r, SOON));
	rig_expect_log("did not say HELLO first", SOON);
	raw_free(r);
}

struct probes {
	struct raw *raw;
	unsigned count;
};

static bool
count_probes(void *arg)
{
	struct probes *p = arg;
	const uint8_t *body;
	uint8_t type;
	uint32_t len;
	struct probe_seen seen;

	raw_step(p->raw);
	while (raw_message(p->raw, &type, &body, &len)) {
		if (type != MESSAGE_PROBE)
			continue;
		assert_int_equal(codec_decode_probe(body, len, &seen), 0);
		assert_true(seen.id == 5000 + p->count);
		p->count++;
	}
	return false;
}

/* Probes are confirmed, but who sends thousands does not get as many messages. */
static void
probes_are_confirmed(void **state)
{
	struct probes p = {.raw = establish(1)};

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		exchange_probe_seen(mike->exchange, alpha_number(), 5000 + i);
	exchange_probe_seen(mike->exchange, LOAD_NONE, 1);
	exchange_probe_seen(mike->exchange, load_table_find_site(mike->table, "beta"), 1);
	rig_until(count_probes, &p, 100);
	assert_in_range(p.count, 100, 130);
	raw_free(p.raw);
}

/* ---- who has forgotten ---- */

static bool
alpha_forgot(void *arg)
{
	(void)arg;
	return mike->forgotten == 1;
}

static void
stop_forgets(void **state)
{
	uint32_t index;
	struct raw *r = establish_keys(1, &index);

	(void)state;
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_ALIVE, clock_now());
	say_bye(r, BYE_STOP);
	close_connections(0, 5);
	assert_true(rig_until(alpha_forgot, NULL, SOON));
	/* although packets still get through */
	assert_false(alpha()->keys);
	assert_null(keyring_tx(mike->keyring, (uint16_t)alpha_number()));
	assert_true(rig_until(no_session, NULL, SOON));
	assert_false(index_is_known(index));
	raw_free(r);
	/* whoever comes next is another process, and no news */
	r = establish(2);
	assert_int_equal(mike->forgotten, 1);
	close_connections(0, 1);
	assert_int_equal(expect_closed(r, 1), 1);
	raw_free(r);
}

static void
new_session_of_the_same_process_forgets_nothing(void **state)
{
	struct raw *first = establish(1), *second = establish(1);

	(void)state;
	assert_int_equal(raw_expect_bye(first), BYE_REPLACED);
	assert_int_equal(mike->forgotten, 0);
	raw_free(first);
	first = establish(2);
	assert_int_equal(mike->forgotten, 1);
	raw_free(first);
	raw_free(second);
}

static bool
one_established(void *arg)
{
	struct raw **r = arg;

	raw_step(r[0]);
	raw_step(r[1]);
	return counted(COUNTER_sessions_opened) == 2 && counted(COUNTER_sessions_lost) == 1;
}

/* Two at once: one is left, and only what it says counts. */
static void
simultaneous_sessions(void **state)
{
	struct raw *r[2] = {dial_as("main", "alpha"), dial_as("main", "alpha")}, *left;
	struct hello hello = raw_hello_of("alpha");

	(void)state;
	raw_say_hello(r[0], &hello);
	raw_say_hello(r[1], &hello);
	say_closed(r[0], 2);
	assert_true(rig_until(one_established, r, SOON));
	assert_int_equal(alpha()->session, SITE_SESSION);
	left = r[0]->closed ? r[1] : r[0];
	mike->closed_count = 0;
	say_closed(left, 3);
	say_probe(left, 1);
	assert_true(rig_until(told_three, NULL, SOON));
	assert_int_equal(mike->forgotten, 0);
	raw_free(r[0]);
	raw_free(r[1]);
}

/* ---- keys of a session that is lost ---- */

static void
keys_stay_while_the_path_is_alive(void **state)
{
	uint32_t index, number = alpha_number();
	struct raw *r = establish_keys(1, &index);
	struct transfer_tx *tx = keyring_tx(mike->keyring, (uint16_t)number);
	uint64_t lost_at;

	(void)state;
	load_table_site_set_path(mike->table, number, SITE_PATH_ALIVE, clock_now());
	lose(r);
	lost_at = clock_now();
	assert_true(alpha()->keys);
	assert_ptr_equal(keyring_tx(mike->keyring, (uint16_t)number), tx);
	assert_true(index_is_known(index));
	peer_on_hold(alpha_peer(), lost_at + 11 * SECOND);
	peer_on_hold(alpha_peer(), lost_at + 3500 * SECOND);
	assert_true(alpha()->keys);
	assert_true(index_is_known(index));
	assert_int_equal(alpha()->session, SITE_NO_SESSION);
	/* an hour is all */
	peer_on_hold(alpha_peer(), lost_at + 3601 * SECOND);
	assert_false(alpha()->keys);
	assert_false(index_is_known(index));
	assert_null(keyring_tx(mike->keyring, (uint16_t)number));
	assert_int_equal(mike->forgotten, 0);
}

static void
keys_go_with_the_path(void **state)
{
	uint32_t index;
	struct raw *r = establish_keys(1, &index);

	(void)state;
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_ALIVE, clock_now());
	lose(r);
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_LOST, clock_now());
	peer_on_hold(alpha_peer(), clock_now() + 11 * SECOND);
	assert_false(alpha()->keys);
	assert_false(index_is_known(index));
}

static void
keys_go_at_once_without_a_path(void **state)
{
	uint32_t index;
	struct raw *r = establish_keys(1, &index);

	(void)state;
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_LOST, clock_now());
	lose(r);
	assert_false(alpha()->keys);
	assert_null(keyring_tx(mike->keyring, (uint16_t)alpha_number()));
}

/* The next session of the same process takes over without a gap. */
static void
held_keys_are_handed_over(void **state)
{
	uint32_t old_index, index;
	struct raw *r = establish_keys(1, &old_index);
	struct transfer_tx *tx = keyring_tx(mike->keyring, (uint16_t)alpha_number());

	(void)state;
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_ALIVE, clock_now());
	lose(r);
	r = establish(1);
	assert_true(alpha()->keys);
	assert_ptr_equal(keyring_tx(mike->keyring, (uint16_t)alpha_number()), tx);
	raw_free(r);
	assert_true(rig_until(no_session, NULL, SOON));
	r = establish_keys(1, &index);
	assert_int_not_equal(index, old_index);
	assert_true(index_is_known(index));
	peer_on_hold(alpha_peer(), clock_now() + 11 * SECOND);
	assert_true(index_is_known(index));
	assert_false(index_is_known(old_index));
	assert_true(alpha()->keys);
	raw_free(r);
}

/* Another process cannot know the key. */
static void
held_keys_are_not_for_the_next_process(void **state)
{
	uint32_t index;
	struct raw *r = establish_keys(1, &index);

	(void)state;
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_ALIVE, clock_now());
	lose(r);
	assert_true(alpha()->keys);
	r = establish(2);
	assert_false(alpha()->keys);
	assert_null(keyring_tx(mike->keyring, (uint16_t)alpha_number()));
	assert_int_equal(mike->forgotten, 1);
	raw_free(r);
}

/* ---- what is told at once, and what is not any more ---- */

static void
error_ends_with_the_next_session(void **state)
{
	struct raw *r = establish(1);

	(void)state;
	assert_null(alpha()->last_error);
	lose(r);
	assert_non_null(alpha()->last_error);
	r = establish(1);
	assert_null(alpha()->last_error);
	raw_free(r);
}

static void
next_load(struct raw *r, struct load_report *report)
{
	const uint8_t *body = NULL;
	uint32_t len = 0;

	assert_true(raw_expect(r, MESSAGE_LOAD, &body, &len));
	assert_int_equal(codec_decode_load(body, len, report), 0);
	/* only what is not of a service is looked at */
	free(report->services);
	report->services = NULL;
}

static void
path_is_reported_at_once(void **state)
{
	struct raw *r = establish(1);
	struct load_report report;
	uint64_t before;

	(void)state;
	next_load(r, &report);
	assert_int_equal(report.path_mtu, 0);
	assert_int_equal(report.direct, SITE_DIRECT_UNKNOWN);
	before = counted(COUNTER_messages_out);
	exchange_site_changed(mike->exchange, alpha_number());
	rig_until(rig_never, NULL, 150);
	assert_int_equal(counted(COUNTER_messages_out), before);
	load_table_site_set_mtu(mike->table, alpha_number(), 1400);
	exchange_site_changed(mike->exchange, alpha_number());
	next_load(r, &report);
	assert_int_equal(report.path_mtu, 1400);
	load_table_site_set_direct_out(mike->table, alpha_number(), SITE_DIRECT_BLOCKED);
	exchange_site_changed(mike->exchange, alpha_number());
	exchange_site_changed(mike->exchange, load_table_find_site(mike->table, "beta"));
	next_load(r, &report);
	assert_int_equal(report.path_mtu, 1400);
	assert_int_equal(report.direct, SITE_DIRECT_BLOCKED);
	raw_free(r);
}

/* ---- ciphers ---- */

static void
restart_mike(const char *cipher)
{
	struct rig_order order = mike_order();

	rig_free(mike);
	order.cipher = cipher;
	mike = rig_new(&order);
}

/* What mike answers, and which of it is used, when alpha dials with these. */
static enum keys_cipher
chosen(const char *mikes, uint8_t first, const char *others)
{
	struct hello hello = raw_hello_of("alpha"), answer;
	struct codec_buffer b = {0};
	struct keyring_entry entry;
	uint32_t cursor = 0;
	struct raw *r;

	restart_mike(mikes);
	hello.cipher = first;
	hello.ciphers_count = strlen(others);
	memcpy(hello.ciphers, others, hello.ciphers_count);
	r = establish_with(&hello, &answer);
	assert_int_not_equal(keys_key_len((enum keys_cipher)answer.cipher), 0);
	hello_fini(&answer);
	assert_int_equal(codec_encode_key_ready(&b, hello.key_index), 0);
	raw_send(r, &b);
	assert_true(rig_until(has_keys, NULL, SOON));
	raw_free(r);
	assert_true(keyring_next(mike->keyring, &cursor, &entry));
	assert_false(entry.transmit);
	return entry.cipher;
}

static void
dialer_prefers(void **state)
{
	(void)state;
	assert_int_equal(chosen("auto", 1, ""), KEYS_AES_128_GCM);
	assert_int_equal(chosen("auto", 3, "\2\1"), KEYS_CHACHA20_POLY1305);
	assert_int_equal(chosen("auto", 2, "\1"), KEYS_AES_256_GCM);
	assert_int_equal(chosen("aes-128-gcm", 3, "\2\1"), KEYS_AES_128_GCM);
	assert_int_equal(chosen("aes-256-gcm", 3, "\1\2"), KEYS_AES_256_GCM);
	assert_int_equal(chosen("chacha20-poly1305", 1, "\2\3"), KEYS_CHACHA20_POLY1305);
	/* those that do not exist yet are passed over */
	assert_int_equal(chosen("auto", 9, "\xc8\3\1"), KEYS_CHACHA20_POLY1305);
}

static void
no_common_cipher(void **state)
{
	struct hello hello = raw_hello_of("alpha");
	struct raw *r;

	(void)state;
	restart_mike("aes-256-gcm");
	r = dial_as("main", "alpha");
	hello.cipher = 3;
	hello.ciphers[0] = 1;
	hello.ciphers[1] = 77;
	hello.ciphers_count = 2;
	raw_say_hello(r, &hello);
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(
	    "wants cipher 3 (ChaCha20-Poly1305) for transfer packets, and names none "
	    "that transfer.cipher allows here",
	    0);
	assert_int_equal(alpha()->session, SITE_NO_SESSION);
	raw_free(r);
}

static void
ciphers_offered(void **state)
{
	struct hello hello = raw_hello_of("alpha"), answer;
	struct raw *r = establish_with(&hello, &answer);

	(void)state;
	assert_int_equal(answer.cipher, KEYS_AES_128_GCM);
	assert_int_equal(answer.ciphers_count, 2);
	assert_int_equal(answer.ciphers[0], KEYS_AES_256_GCM);
	assert_int_equal(answer.ciphers[1], KEYS_CHACHA20_POLY1305);
	/* and for rule 3 the servers: of web those without port, in one family */
	assert_int_equal(answer.services[0].servers_count, 2);
	assert_int_equal(answer.services[0].servers[1].port, 0);
	assert_int_equal(answer.services[0].servers[1].ip.octet[15], 2);
	hello_fini(&answer);
	raw_free(r);
}

/* ---- certificates that are revoked ---- */

/* Writes authority/file: a list of the certificates of sites (NULL ends it), for so long. */
static void
write_crl(const char *authority, const char *file, const char *const *sites, long valid)
{
	FILE *f = fopen(rig_path(authority, "ca.key"), "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *time = ASN1_TIME_new();
	X509 *ca, *cert;

	fclose(f);
	f = fopen(rig_path(authority, "ca.crt"), "r");
	ca = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
	X509_gmtime_adj(time, -7200);
	X509_CRL_set1_lastUpdate(crl, time);
	X509_gmtime_adj(time, valid);
	X509_CRL_set1_nextUpdate(crl, time);
	for (; *sites != NULL; sites++) {
		X509_REVOKED *entry = X509_REVOKED_new();
		char name[64];

		snprintf(name, sizeof(name), "%s.crt", *sites);
		f = fopen(rig_path(authority, name), "r");
		cert = PEM_read_X509(f, NULL, NULL, NULL);
		fclose(f);
		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert));
		X509_gmtime_adj(time, -3600);
		X509_REVOKED_set_revocationDate(entry, time);
		X509_CRL_add0_revoked(crl, entry);
		X509_free(cert);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	f = fopen(rig_path(authority, file), "w");
	assert_int_equal(PEM_write_X509_CRL(f, crl), 1);
	fclose(f);
	ASN1_TIME_free(time);
	X509_CRL_free(crl);
	X509_free(ca);
	EVP_PKEY_free(key);
}

static void
restart_mike_with(const char *crl, const char *fingerprint)
{
	struct rig_order order = mike_order();

	rig_free(mike);
	order.crl = crl;
	order.peers[0].fingerprint = fingerprint;
	mike = rig_new(&order);
}

static void
expect_refused(const char *why)
{
	struct raw *r = dial_as("main", "alpha");
	struct hello hello = raw_hello_of("alpha");

	raw_say_hello(r, &hello);
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(why, SOON);
	assert_int_equal(counted(COUNTER_sessions_opened), 0);
	raw_free(r);
}

static void
revoked_is_refused(void **state)
{
	(void)state;
	restart_mike_with("alpha.crl", "");
	expect_refused("reason=\"its certificate has been revoked\"");
}

static void
another_revoked_does_not_matter(void **state)
{
	struct raw *r;

	(void)state;
	restart_mike_with("beta.crl", "");
	r = establish(1);
	assert_int_equal(counted(COUNTER_sessions_opened), 1);
	raw_free(r);
}

static void
find_fingerprint(char text[65])
{
	FILE *f = fopen(rig_path("main", "alpha.crt"), "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
	uint8_t digest[32];
	unsigned len;

	fclose(f);
	assert_int_equal(X509_digest(cert, EVP_sha256(), digest, &len), 1);
	for (unsigned i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	X509_free(cert);
}

/* A fingerprint says who it is, not that its key is still its own. */
static void
revoked_is_refused_although_pinned(void **state)
{
	char fingerprint[65];
	struct raw *r;

	(void)state;
	find_fingerprint(fingerprint);
	restart_mike_with("beta.crl", fingerprint);
	r = establish(1);
	raw_free(r);
	restart_mike_with("alpha.crl", fingerprint);
	expect_refused("reason=\"its certificate has been revoked\"");
}

static void
lists_that_are_no_good(void **state)
{
	(void)state;
	restart_mike_with("expired.crl", "");
	rig_expect_log("load.crl: ", 0);
	rig_expect_log("has expired, and every peer is refused", 0);
	expect_refused("CRL has expired (load.crl is out of date)");
	restart_mike_with("other.crl", "");
	rig_expect_log("has no list of the authority", 0);
	expect_refused("(load.crl has no list of its authority)");
}

static void
dialer_refuses_revoked(void **state)
{
	struct rig_order order = {.site = "alpha",
	    .authority = "main",
	    .port = rig_free_port(),
	    .transfer_port = 1,
	    .crl = "mike.crl",
	    .peers = {{"mike", mike_port, ""}}};
	struct rig *dialer = rig_new(&order);

	(void)state;
	rig_expect_log("no session to peer, tries again site=mike", SOON);
	rig_expect_log("its certificate has been revoked", 0);
	assert_int_equal(dialer->counters.counter[COUNTER_sessions_opened], 0);
	assert_int_equal(dialer->counters.counter[COUNTER_messages_out], 0);
	rig_free(dialer);
}

/* A new list ends the session, and with it the keys, whatever the path. */
static void
reload_revokes(void **state)
{
	struct rig_order order = mike_order();
	struct config *old = mike->config;
	uint32_t index;
	struct raw *r = establish_keys(1, &index);
	char error[512];

	(void)state;
	load_table_site_set_path(mike->table, alpha_number(), SITE_PATH_ALIVE, clock_now());
	order.crl = "beta.crl";
	mike->config = rig_config(&order);
	assert_int_equal(exchange_reload(mike->exchange, mike->config, error, 512), 0);
	config_free(old);
	assert_true(alpha()->keys);
	assert_int_equal(raw_expect_bye(r), BYE_RESTART);
	raw_free(r);
	r = establish_keys(1, &index);

	old = mike->config;
	order.crl = "alpha.crl";
	mike->config = rig_config(&order);
	assert_int_equal(exchange_reload(mike->exchange, mike->config, error, 512), 0);
	config_free(old);
	assert_false(alpha()->keys);
	assert_false(index_is_known(index));
	assert_null(keyring_tx(mike->keyring, (uint16_t)alpha_number()));
	assert_int_equal(alpha()->session, SITE_NO_SESSION);
	assert_int_equal(mike->forgotten, 1);
	assert_string_equal(alpha()->last_error, "its certificate has been revoked");
	assert_int_equal(raw_expect_bye(r), BYE_PROTOCOL);
	raw_free(r);
	r = dial_as("main", "alpha");
	{
		struct hello hello = raw_hello_of("alpha");

		raw_say_hello(r, &hello);
	}
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	raw_free(r);
}

/* The handshake was done under the old list; who it is is asked under the new one. */
static void
reload_revokes_who_is_coming(void **state)
{
	struct rig_order order = mike_order();
	struct config *old = mike->config;
	struct hello hello = raw_hello_of("alpha");
	struct raw *r = dial_as("main", "alpha");
	char error[512];

	(void)state;
	order.crl = "alpha.crl";
	mike->config = rig_config(&order);
	assert_int_equal(exchange_reload(mike->exchange, mike->config, error, 512), 0);
	config_free(old);
	raw_say_hello(r, &hello);
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log("its certificate has been revoked", SOON);
	raw_free(r);
}

static void
expect_fault(const char *crl, const char *text)
{
	struct rig_order order = mike_order();
	struct config *config;
	char error[1024];

	order.crl = crl;
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	if (strstr(error, text) == NULL || strstr(error, "load.crl: ") == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error, text);
	config_free(config);
}

static void
crl_is_checked(void **state)
{
	struct rig_order order = mike_order();
	struct config *config;
	char error[1024];

	(void)state;
	expect_fault("nobody.crl", "No such file");
	expect_fault("ca.crt", "is no certificate revocation list in PEM");
	expect_fault("ca.key", "is no certificate revocation list in PEM");
	expect_fault("expired.crl", "has expired");
	expect_fault("other.crl", "has no list of the authority");
	order.crl = "beta.crl";
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), 0);
	config_free(config);
	/* our own certificate is on it */
	order.crl = "mike.crl";
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "certificate revoked"));
	config_free(config);
}

/* ---- set-up ---- */

static int
setup(void **state)
{
	static const char *const alpha_alone[] = {"alpha", NULL}, *const none[] = {NULL},
				 *const beta[] = {"beta", NULL}, *const self[] = {"mike", NULL};

	rig_setup(state);
	rig_authority("main");
	rig_authority("other");
	rig_certificate("main", "mike", 60 * RIG_DAY);
	rig_certificate("main", "alpha", 60 * RIG_DAY);
	rig_certificate("main", "beta", 60 * RIG_DAY);
	write_crl("main", "alpha.crl", alpha_alone, 3600);
	write_crl("main", "beta.crl", beta, 3600);
	write_crl("main", "mike.crl", self, 3600);
	write_crl("main", "expired.crl", none, -60);
	write_crl("other", "list.crl", none, 3600);
	assert_int_equal(rename(rig_path("other", "list.crl"), rig_path("main", "other.crl")), 0);
	mike_port = rig_free_port();
	return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start_mike, stop_mike)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(closed_are_told_together),
	    TEST(closed_that_matter_go_early),
	    TEST(few_of_many_can_wait),
	    TEST(full_message_goes_at_once),
	    TEST(closed_wait_for_a_session),
	    TEST(closed_survive_a_lost_session),
	    TEST(closed_are_not_for_the_next_process),
	    TEST(closed_to_nobody),
	    TEST(closed_and_probes_are_handed_on),
	    TEST(malformed_closed),
	    TEST(malformed_probe),
	    TEST(closed_before_hello),
	    TEST(probes_are_confirmed),
	    TEST(stop_forgets),
	    TEST(new_session_of_the_same_process_forgets_nothing),
	    TEST(simultaneous_sessions),
	    TEST(keys_stay_while_the_path_is_alive),
	    TEST(keys_go_with_the_path),
	    TEST(keys_go_at_once_without_a_path),
	    TEST(held_keys_are_handed_over),
	    TEST(held_keys_are_not_for_the_next_process),
	    TEST(error_ends_with_the_next_session),
	    TEST(path_is_reported_at_once),
	    TEST(dialer_prefers),
	    TEST(no_common_cipher),
	    TEST(ciphers_offered),
	    TEST(revoked_is_refused),
	    TEST(another_revoked_does_not_matter),
	    TEST(revoked_is_refused_although_pinned),
	    TEST(lists_that_are_no_good),
	    TEST(dialer_refuses_revoked),
	    TEST(reload_revokes),
	    TEST(reload_revokes_who_is_coming),
	    TEST(crl_is_checked),
	};

	return cmocka_run_group_tests_name("exchange_peer", tests, setup, rig_teardown);
}
