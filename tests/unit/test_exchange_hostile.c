#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "load/session.h"
#include "load/tls.h"
#include "raw_peer.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#define SOON 8000 /* ms: what takes milliseconds, on a busy machine */
#define WLAD "\x06wlad/1"

/*
 * mike is the site under test.  alpha, beta and pinned are its peers with smaller names, so
 * they dial; zulu is one that mike dials.
 */
static struct rig *mike;
static uint16_t mike_port, zulu_port;
static char fingerprint[65];

static int
start_mike(void **state)
{
	struct rig_order order = {.site = "mike",
	    .authority = "main",
	    .port = mike_port,
	    .transfer_port = (uint16_t)(mike_port + 1),
	    .peers = {{"alpha", 1, ""}, {"beta", 10, fingerprint}}};

	rig_forget_log(state);
	mike = rig_new(&order);
	return 0;
}

/* The same with a peer to dial. */
static int
start_mike_dialling(void **state)
{
	struct rig_order order = {.site = "mike",
	    .authority = "main",
	    .port = mike_port,
	    .transfer_port = (uint16_t)(mike_port + 1),
	    .peers = {{"zulu", zulu_port, ""}}};

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

static struct raw *
dial_as(const char *authority, const char *certificate)
{
	struct raw_order order = {
	    .port = mike_port, .authority = authority, .certificate = certificate, .alpn = WLAD};
	struct raw *r = raw_new(&order);

	raw_handshake(r);
	return r;
}

/* ---- who is let in ---- */

/* Says HELLO as a site and must be refused for a reason, without having been told anything. */
static void
expect_refused(struct raw *r, const char *site, const char *reason)
{
	struct hello hello = raw_hello_of(site);

	raw_say_hello(r, &hello);
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(reason, SOON);
	assert_int_equal(counted(COUNTER_sessions_refused), 1);
	assert_int_equal(counted(COUNTER_sessions_opened), 0);
	assert_int_equal(counted(COUNTER_messages_out), 0);
	assert_int_equal(rig_site(mike, "alpha")->session, SITE_NO_SESSION);
	assert_int_equal(rig_site(mike, "beta")->session, SITE_NO_SESSION);
	raw_free(r);
}

static void
wrong_authority(void **state)
{
	(void)state;
	expect_refused(dial_as("other", "alpha"), "alpha", "its certificate is not good");
}

static void
wrong_name(void **state)
{
	(void)state;
	expect_refused(dial_as("main", "gamma"), "alpha", "its certificate is not that of site");
}

/* A certificate for "*" or of another case is not good for every site. */
static void
similar_name(void **state)
{
	(void)state;
	expect_refused(dial_as("main", "ALPHA"), "alpha", "its certificate is not that of site");
}

static void
not_a_peer(void **state)
{
	(void)state;
	expect_refused(dial_as("main", "gamma"), "gamma", "site gamma is no peer of ours");
}

static void
own_name(void **state)
{
	(void)state;
	expect_refused(dial_as("main", "mike"), "mike", "is no peer of ours");
}

static void
expired(void **state)
{
	(void)state;
	expect_refused(dial_as("late", "alpha"), "alpha", "certificate has expired");
}

static void
authority_as_site(void **state)
{
	(void)state;
	expect_refused(dial_as("main", "ca"), "alpha", "its certificate is not that of site");
}

static void
wrong_fingerprint(void **state)
{
	(void)state;
	/* although the authority is right */
	expect_refused(dial_as("main", "beta"), "beta", "does not have the fingerprint");
}

static void
right_fingerprint(void **state)
{
	struct raw *r = dial_as("other", "beta");
	struct hello hello = raw_hello_of("beta"), answer;
	const uint8_t *body = NULL;
	uint32_t len = 0;

	(void)state;
	raw_say_hello(r, &hello);
	assert_true(raw_expect(r, MESSAGE_HELLO, &body, &len));
	assert_int_equal(codec_decode_hello(body, len, &answer), 0);
	assert_string_equal(answer.site, "mike");
	assert_int_equal(answer.version, 1);
	assert_int_not_equal(answer.key_index, 0);
	assert_int_equal(answer.services_count, 2);
	assert_int_equal(answer.interval_ms, 100);
	hello_fini(&answer);
	assert_int_equal(counted(COUNTER_sessions_opened), 1);
	raw_free(r);
}

/* The right fingerprint does not make another site of it. */
static void
fingerprint_of_another(void **state)
{
	(void)state;
	expect_refused(dial_as("other", "beta"), "alpha", "its certificate is not that of site");
}

static void
wrong_dialer(void **state)
{
	struct raw *r;

	(void)state;
	rig_free(mike);
	start_mike_dialling(state);
	r = dial_as("main", "zulu");
	{
		struct hello hello = raw_hello_of("zulu");

		raw_say_hello(r, &hello);
	}
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log("must not dial", SOON);
	raw_free(r);
}

/* ---- handshakes ---- */

static void
expect_alert(const struct raw_order *order, int reason, const char *logged)
{
	struct raw *r = raw_new(order);

	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(ERR_GET_REASON(r->error), reason);
	assert_int_equal(r->input_len, 0);
	rig_expect_log(logged, SOON);
	assert_int_equal(counted(COUNTER_sessions_refused), 1);
	raw_free(r);
}

static void
no_certificate(void **state)
{
	struct raw_order order = {.port = mike_port, .alpn = WLAD};

	(void)state;
	expect_alert(&order, SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED,
	    "peer did not return a certificate");
}

static void
tls_1_2(void **state)
{
	struct raw_order order = {.port = mike_port,
	    .authority = "main",
	    .certificate = "alpha",
	    .alpn = WLAD,
	    .tls12 = true};

	(void)state;
	expect_alert(
	    &order, SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION, "unsupported protocol");
}

static void
no_alpn(void **state)
{
	struct raw_order order = {.port = mike_port, .authority = "main", .certificate = "alpha"};

	(void)state;
	expect_alert(&order, SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL,
	    "does not offer wlad/1");
}

static void
other_alpn(void **state)
{
	struct raw_order order = {.port = mike_port,
	    .authority = "main",
	    .certificate = "alpha",
	    .alpn = "\x02h2\x08http/1.1"};

	(void)state;
	expect_alert(&order, SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL,
	    "does not offer wlad/1");
}

static bool
refused_one(void *arg)
{
	(void)arg;
	return counted(COUNTER_sessions_refused) == 1;
}

static void
no_tls(void **state)
{
	struct raw_order order = {.port = mike_port, .plain = true};
	struct raw *r = raw_new(&order);

	(void)state;
	assert_int_equal(write(r->fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	assert_true(rig_until(refused_one, NULL, SOON));
	rig_expect_log("TLS: ", 0);
	raw_free(r);
}

static void
closed_at_once(void **state)
{
	struct raw_order order = {.port = mike_port, .plain = true};

	(void)state;
	raw_free(raw_new(&order));
	assert_true(rig_until(refused_one, NULL, SOON));
	rig_expect_log("session refused site=unknown", 0);
}

/* ---- messages before HELLO ---- */

static void
expect_refused_for(struct raw *r, const void *data, size_t len, const char *reason)
{
	raw_write(r, data, len);
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(reason, SOON);
	assert_int_equal(counted(COUNTER_sessions_refused), 1);
	raw_free(r);
}

static void
garbage(void **state)
{
	(void)state;
	expect_refused_for(dial_as("main", "alpha"), "GET / HTTP/1.0\r\n\r\n", 18,
	    "sent something that is no message");
}

static void
oversized_message(void **state)
{
	static const uint8_t header[] = {MESSAGE_HELLO, 0, 0x00, 0x01, 0x00, 0x01};

	(void)state;
	expect_refused_for(dial_as("main", "alpha"), header, sizeof(header),
	    "sent something that is no message");
}

static void
malformed_hello(void **state)
{
	static const uint8_t message[] = {MESSAGE_HELLO, 0, 0, 0, 0, 5, 0, 1, 0, 1, 1};

	(void)state;
	expect_refused_for(
	    dial_as("main", "alpha"), message, sizeof(message), "sent a malformed HELLO");
}

static void
not_hello_first(void **state)
{
	struct codec_buffer b = {0};
	struct load_report report = {.sequence = 1, .sent_ms = 1};

	(void)state;
	assert_int_equal(codec_encode_load(&b, &report), 0);
	expect_refused_for(dial_as("main", "alpha"), b.data, b.len, "did not say HELLO first");
	codec_buffer_fini(&b);
}

static void
bye_first(void **state)
{
	struct codec_buffer b = {0};

	(void)state;
	assert_int_equal(codec_encode_bye(&b, BYE_STOP), 0);
	expect_refused_for(dial_as("main", "alpha"), b.data, b.len, "did not say HELLO first");
	codec_buffer_fini(&b);
}

static void
unknown_type_first(void **state)
{
	static const uint8_t message[] = {99, 0, 0, 0, 0, 0};

	(void)state;
	expect_refused_for(
	    dial_as("main", "alpha"), message, sizeof(message), "did not say HELLO first");
}

static void
other_version(void **state)
{
	struct raw *r = dial_as("main", "alpha");
	struct hello hello = raw_hello_of("alpha");
	struct codec_buffer b = {0};

	(void)state;
	hello.version = 2;
	assert_int_equal(codec_encode_hello(&b, &hello), 0);
	expect_refused_for(r, b.data, b.len, "speaks version 2, not 1");
	codec_buffer_fini(&b);
}

static void
other_cipher(void **state)
{
	struct raw *r = dial_as("main", "alpha");
	struct hello hello = raw_hello_of("alpha");
	struct codec_buffer b = {0};

	(void)state;
	hello.cipher = 9;
	assert_int_equal(codec_encode_hello(&b, &hello), 0);
	expect_refused_for(r, b.data, b.len, "wants cipher 9");
	codec_buffer_fini(&b);
}

/* ---- established ---- */

static struct raw *
establish(const char *site, uint64_t boot_id)
{
	struct raw *r = dial_as("main", site);
	struct hello hello = raw_hello_of(site);
	struct hello_service services[2] = {{.name = "web", .number = 5, .protocol = IPPROTO_TCP},
	    {.name = "dns", .number = 9, .protocol = IPPROTO_UDP}};
	uint16_t port = 80;
	const uint8_t *body = NULL;
	uint32_t len = 0;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ip_parse("198.51.100.1", &services[i].v4), 0);
		services[i].ports = &port;
		services[i].ports_count = 1;
	}
	hello.boot_id = boot_id;
	hello.services = services;
	hello.services_count = 2;
	raw_say_hello(r, &hello);
	assert_true(raw_expect(r, MESSAGE_HELLO, &body, &len));
	assert_int_equal(rig_site(mike, site)->session, SITE_SESSION);
	return r;
}

static void
expect_bye(struct raw *r, enum bye_reason reason, const char *logged)
{
	assert_int_equal(raw_expect_bye(r), reason);
	assert_true(rig_until(raw_is_closed, r, SOON));
	rig_expect_log(logged, SOON);
	assert_int_equal(counted(COUNTER_sessions_lost), 1);
	assert_int_equal(rig_site(mike, "alpha")->session, SITE_NO_SESSION);
	assert_false(rig_site(mike, "alpha")->keys);
	raw_free(r);
}

static void
hello_twice(void **state)
{
	struct raw *r = establish("alpha", 1);
	struct hello hello = raw_hello_of("alpha");

	(void)state;
	raw_say_hello(r, &hello);
	expect_bye(r, BYE_PROTOCOL, "said HELLO twice");
}

static void
say_key_ready(struct raw *r, uint32_t index)
{
	struct codec_buffer b = {0};

	assert_int_equal(codec_encode_key_ready(&b, index), 0);
	raw_send(r, &b);
}

static bool
has_keys(void *arg)
{
	(void)arg;
	return rig_site(mike, "alpha")->keys;
}

static void
key_ready(void **state)
{
	struct raw *r = establish("alpha", 1);

	(void)state;
	assert_false(rig_site(mike, "alpha")->keys);
	assert_null(keyring_tx(mike->keyring, 0));
	say_key_ready(r, 4711);
	assert_true(rig_until(has_keys, NULL, SOON));
	assert_non_null(keyring_tx(mike->keyring, 0));
	raw_free(r);
}

static void
key_ready_for_another(void **state)
{
	struct raw *r = establish("alpha", 1);

	(void)state;
	say_key_ready(r, 4712);
	expect_bye(r, BYE_PROTOCOL, "KEY_READY for another key");
	assert_null(keyring_tx(mike->keyring, 0));
}

/* Were it taken, the packet counter would begin anew under the same key. */
static void
key_ready_twice(void **state)
{
	struct raw *r = establish("alpha", 1);

	(void)state;
	say_key_ready(r, 4711);
	assert_true(rig_until(has_keys, NULL, SOON));
	say_key_ready(r, 4711);
	expect_bye(r, BYE_PROTOCOL, "sent KEY_READY twice");
	assert_null(keyring_tx(mike->keyring, 0));
}

static void
malformed_key_ready(void **state)
{
	static const uint8_t message[] = {MESSAGE_KEY_READY, 0, 0, 0, 0, 0};
	struct raw *r = establish("alpha", 1);

	(void)state;
	raw_write(r, message, sizeof(message));
	expect_bye(r, BYE_PROTOCOL, "sent a malformed KEY_READY");
}

static void
malformed_load(void **state)
{
	static const uint8_t message[] = {MESSAGE_LOAD, 0, 0, 0, 0, 1, 0};
	struct raw *r = establish("alpha", 1);

	(void)state;
	raw_write(r, message, sizeof(message));
	expect_bye(r, BYE_PROTOCOL, "sent a malformed LOAD");
}

static bool
unknown_counted(void *arg)
{
	(void)arg;
	return counted(COUNTER_messages_unknown) == 4;
}

/* Later versions may say more. */
static void
unknown_types_are_skipped(void **state)
{
	static const uint8_t messages[] = {100, 0, 0, 0, 0, 2, 1, 2, 8, 0, 0, 0, 0, 0, 9, 0, 0,
	    0, 0, 1, 9, 200, 0, 0, 0, 0, 0};
	struct raw *r = establish("alpha", 1);

	(void)state;
	raw_write(r, messages, sizeof(messages));
	assert_true(rig_until(unknown_counted, NULL, SOON));
	assert_int_equal(rig_site(mike, "alpha")->session, SITE_SESSION);
	raw_free(r);
}

static struct load_report
report_of(uint32_t sequence, struct load_report_service *s, uint32_t active)
{
	*s = (struct load_report_service){.number = 9,
	    .servers_up = 3,
	    .servers_not_high = 2,
	    .transferable = 77,
	    .permitted = true,
	    .load = 640,
	    .active = active,
	    .held_from_you = 6};
	return (struct load_report){
	    .sequence = sequence, .sent_ms = 1000 + sequence, .services = s, .services_count = 1};
}

static void
say_load(struct raw *r, uint32_t sequence, uint32_t active)
{
	struct load_report_service s;
	struct load_report report = report_of(sequence, &s, active);
	struct codec_buffer b = {0};

	assert_int_equal(codec_encode_load(&b, &report), 0);
	raw_send(r, &b);
}

static bool
got_messages(void *arg)
{
	return counted(COUNTER_messages_in) >= *(uint64_t *)arg;
}

static void
load_arrives_and_old_load_does_not(void **state)
{
	struct raw *r = establish("alpha", 1);
	const struct site_service *s = &rig_site(mike, "alpha")->services[1];
	uint64_t n = 4;

	(void)state;
	say_load(r, 10, 100);
	say_load(r, 9, 90);
	say_load(r, 10, 91);
	assert_true(rig_until(got_messages, &n, SOON));
	assert_true(s->reported);
	assert_int_equal(s->active, 100);
	assert_int_equal(s->sequence, 10);
	assert_int_equal(s->servers_up, 3);
	assert_int_equal(s->servers_not_high, 2);
	assert_int_equal(s->transferable, 77);
	assert_true(s->permitted);
	assert_int_equal(s->load, 640);
	assert_int_equal(s->held_from_us, 6);
	assert_false(rig_site(mike, "alpha")->services[0].reported);
	say_load(r, 11, 110);
	n = 5;
	assert_true(rig_until(got_messages, &n, SOON));
	assert_int_equal(s->active, 110);
	raw_free(r);
}

/* What it gives back in echo is our own sent_ms, and how long it was held. */
static void
echo_gives_round_trip(void **state)
{
	struct raw *r = establish("alpha", 1);
	struct load_report report;
	const uint8_t *body = NULL;
	uint32_t len = 0;
	uint32_t sequence = 1;
	uint64_t n = 2, echo;
	struct codec_buffer b = {0};

	(void)state;
	assert_true(raw_expect(r, MESSAGE_LOAD, &body, &len));
	assert_int_equal(codec_decode_load(body, len, &report), 0);
	assert_int_equal(report.sequence, 1);
	assert_int_equal(report.echo_ms, 0);
	assert_int_equal(report.services_count, 2);
	report.services_count = 0;
	report.echo_ms = report.sent_ms - 2000;
	report.echo_held_ms = 1500;
	report.sent_ms = 424242;
	assert_int_equal(codec_encode_load(&b, &report), 0);
	load_report_fini(&report);
	raw_send(r, &b);
	assert_true(rig_until(got_messages, &n, SOON));
	assert_true(rig_site(mike, "alpha")->rtt >= 0.5 && rig_site(mike, "alpha")->rtt < 5);
	/* a report may have left before ours came */
	do {
		assert_true(raw_expect(r, MESSAGE_LOAD, &body, &len));
		assert_int_equal(codec_decode_load(body, len, &report), 0);
		assert_int_equal(report.sequence, ++sequence);
		assert_true(report.echo_held_ms < SOON);
		echo = report.echo_ms;
		load_report_fini(&report);
	} while (echo == 0);
	assert_int_equal(echo, 424242);
	raw_free(r);
}

static void
lies_about_time_are_ignored(void **state)
{
	struct raw *r = establish("alpha", 1);
	struct load_report report = {.sequence = 1,
	    .sent_ms = UINT64_MAX,
	    .echo_ms = UINT64_MAX,
	    .echo_held_ms = UINT32_MAX};
	struct codec_buffer b = {0};
	uint64_t n = 3;

	(void)state;
	assert_int_equal(codec_encode_load(&b, &report), 0);
	report.sequence = 2;
	report.echo_ms = 1;
	report.echo_held_ms = 0;
	assert_int_equal(codec_encode_load(&b, &report), 0);
	raw_send(r, &b);
	assert_true(rig_until(got_messages, &n, SOON));
	assert_true(rig_site(mike, "alpha")->rtt == 0);
	raw_free(r);
}

/* Many large messages at once, and one message octet by octet: all arrive. */
static void
burst_of_messages(void **state)
{
	struct raw *r = establish("alpha", 1);
	struct load_report_service *services = calloc(1024, sizeof(services[0]));
	struct load_report report = {.sent_ms = 1, .services = services, .services_count = 1024};
	struct codec_buffer b = {0};
	uint64_t n = 1 + 40;

	(void)state;
	for (int i = 0; i < 1024; i++)
		services[i].number = (uint16_t)i;
	for (uint32_t i = 1; i <= 40; i++) {
		report.sequence = i;
		services[9].active = i;
		assert_int_equal(codec_encode_load(&b, &report), 0);
	}
	raw_send(r, &b);
	free(services);
	assert_true(rig_until(got_messages, &n, SOON));
	assert_int_equal(rig_site(mike, "alpha")->services[1].active, 40);
	report.sequence = 41;
	report.services_count = 0;
	assert_int_equal(codec_encode_load(&b, &report), 0);
	for (size_t i = 0; i < b.len; i++)
		raw_write(r, b.data + i, 1);
	codec_buffer_fini(&b);
	n++;
	assert_true(rig_until(got_messages, &n, SOON));
	assert_int_equal(rig_site(mike, "alpha")->session, SITE_SESSION);
	raw_free(r);
}

/* The second shares a TLS record with the end of the first; nothing comes after it. */
static void
small_message_behind_the_largest(void **state)
{
	struct raw *r = establish("alpha", 1);
	struct load_report report = {.sequence = 1, .sent_ms = 1};
	struct codec_buffer b = {0};
	uint64_t n = 3;

	(void)state;
	b.size = b.len = CODEC_HEADER_LEN + CODEC_MESSAGE_MAX;
	b.data = calloc(1, b.len);
	b.data[0] = 200;
	b.data[3] = 1; /* length 65536 */
	assert_int_equal(codec_encode_load(&b, &report), 0);
	raw_send(r, &b);
	assert_true(rig_until(got_messages, &n, SOON));
	assert_int_equal(counted(COUNTER_messages_unknown), 1);
	raw_free(r);
}

static void
say_bye(struct raw *r, enum bye_reason reason)
{
	struct codec_buffer b = {0};

	assert_int_equal(codec_encode_bye(&b, reason), 0);
	raw_send(r, &b);
}

static void
bye_ends(void **state)
{
	struct raw *r = establish("alpha", 1);

	(void)state;
	say_bye(r, BYE_STOP);
	assert_true(rig_until(raw_is_closed, r, SOON));
	rig_expect_log("reason=\"the peer stops\"", SOON);
	assert_int_equal(rig_site(mike, "alpha")->session, SITE_NO_SESSION);
	assert_string_equal(rig_site(mike, "alpha")->last_error, "the peer stops");
	raw_free(r);
}

/* The older session ends only once the newer one is verified; keys of one start go over. */
static void
replaced_without_a_gap(void **state)
{
	struct raw *first = establish("alpha", 1), *thief, *second, *third;
	struct transfer_tx *tx;

	(void)state;
	say_key_ready(first, 4711);
	assert_true(rig_until(has_keys, NULL, SOON));
	tx = keyring_tx(mike->keyring, 0);

	thief = dial_as("other", "alpha");
	{
		struct hello hello = raw_hello_of("alpha");

		raw_say_hello(thief, &hello);
	}
	assert_true(rig_until(raw_is_closed, thief, SOON));
	raw_step(first);
	assert_false(first->closed);
	assert_ptr_equal(keyring_tx(mike->keyring, 0), tx);

	second = establish("alpha", 1);
	assert_int_equal(raw_expect_bye(first), BYE_REPLACED);
	assert_ptr_equal(keyring_tx(mike->keyring, 0), tx);
	assert_true(rig_site(mike, "alpha")->keys);
	say_key_ready(second, 4711);
	{
		uint64_t n = 5;

		assert_true(rig_until(got_messages, &n, SOON));
	}
	assert_ptr_not_equal(keyring_tx(mike->keyring, 0), NULL);
	assert_true(rig_site(mike, "alpha")->keys);

	/* another start of that site: it cannot know the old key */
	third = establish("alpha", 2);
	assert_null(keyring_tx(mike->keyring, 0));
	assert_false(rig_site(mike, "alpha")->keys);
	assert_int_equal(rig_site(mike, "alpha")->session, SITE_SESSION);
	raw_free(first);
	raw_free(second);
	raw_free(third);
	raw_free(thief);
}

/* ---- limits ---- */

static bool
no_strangers(void *arg)
{
	return counted(COUNTER_sessions_refused) == *(uint64_t *)arg;
}

/*
 * Strangers take 48 places of 64 and no more, so a peer still gets in.  When they have gone, others
 * come at a limited rate.
 */
static void
handshakes_are_limited(void **state)
{
	struct raw_order stranger = {.port = mike_port, .plain = true, .from = "127.0.0.2"};
	struct raw *strangers[60], *r;
	uint64_t refused, expected = 60;

	(void)state;
	for (int i = 0; i < 60; i++)
		strangers[i] = raw_new(&stranger);
	r = establish("alpha", 1);
	assert_int_equal(counted(COUNTER_sessions_refused), 60 - 48);
	rig_expect_log("too many handshakes", 0);
	for (int i = 0; i < 60; i++)
		raw_free(strangers[i]);
	assert_true(rig_until(no_strangers, &expected, SOON));
	for (int i = 0; i < 60; i++)
		strangers[i] = raw_new(&stranger);
	raw_free(r);
	r = establish("alpha", 1);
	refused = counted(COUNTER_sessions_refused) - 60;
	assert_in_range(refused, 20, 60);
	for (int i = 0; i < 60; i++)
		raw_free(strangers[i]);
	raw_free(r);
}

struct silent {
	struct raw *tcp, *tls, *established;
};

static bool
all_silent_gone(void *arg)
{
	struct silent *s = arg;

	raw_step(s->established);
	raw_step(s->tls);
	return counted(COUNTER_sessions_refused) == 2 && counted(COUNTER_sessions_lost) == 1;
}

/* One never begins TLS, one never says HELLO, one never reports. */
static void
silence_is_ended(void **state)
{
	struct raw_order plain = {.port = mike_port, .plain = true};
	struct silent s;
	uint64_t start = clock_now();

	(void)state;
	s.established = establish("alpha", 1);
	s.tls = dial_as("main", "alpha");
	s.tcp = raw_new(&plain);
	assert_true(rig_until(all_silent_gone, &s, 5000 + SOON));
	assert_true(clock_now() - start >= 5 * CLOCK_SECOND);
	rig_expect_log("not established within 5 s", 0);
	rig_expect_log("no message for 5.0 s", 0);
	raw_free(s.tcp);
	raw_free(s.tls);
	raw_free(s.established);
}

/* ---- mike dials ---- */

static int
listen_as_zulu(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(zulu_port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

struct accepting {
	int listener;
	struct raw *raw;
};

static bool
accepted(void *arg)
{
	struct accepting *a = arg;
	int fd = accept(a->listener, NULL, NULL);

	if (fd == -1)
		return false;
	raw_take(a->raw, fd);
	return true;
}

/* Waits for mike's dial and completes the handshake. */
static struct raw *
take_dial(int listener, const char *authority, const char *certificate)
{
	struct raw_order order = {.authority = authority, .certificate = certificate};
	struct accepting a = {listener, raw_new(&order)};

	SSL_CTX_set_verify(a.raw->ctx, SSL_VERIFY_NONE, NULL);
	assert_true(rig_until(accepted, &a, SOON));
	return a.raw;
}

/* The dialer must not say HELLO to somebody it has not verified. */
static void
expect_silence(const char *authority, const char *certificate, const char *reason)
{
	int listener = listen_as_zulu();
	struct raw *r = take_dial(listener, authority, certificate);

	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(reason, SOON);
	assert_int_equal(counted(COUNTER_messages_out), 0);
	assert_int_equal(counted(COUNTER_sessions_refused), 1);
	assert_int_equal(rig_site(mike, "zulu")->session, SITE_NO_SESSION);
	raw_free(r);
	close(listener);
}

static void
dialled_wrong_authority(void **state)
{
	(void)state;
	expect_silence("other", "zulu", "its certificate is not good");
}

static void
dialled_wrong_name(void **state)
{
	(void)state;
	expect_silence("main", "alpha", "its certificate is not that of site");
}

static void
dialled_says_other_name(void **state)
{
	int listener = listen_as_zulu();
	struct raw *r = take_dial(listener, "main", "zulu");
	struct hello hello = raw_hello_of("yankee");
	const uint8_t *body = NULL;
	uint32_t len = 0;

	(void)state;
	assert_true(raw_expect(r, MESSAGE_HELLO, &body, &len));
	raw_say_hello(r, &hello);
	assert_int_equal(raw_expect_bye(r), BYE_PROTOCOL);
	rig_expect_log("says that it is site", SOON);
	assert_int_equal(counted(COUNTER_sessions_opened), 0);
	raw_free(r);
	close(listener);
}

static bool
zulu_up(void *arg)
{
	(void)arg;
	return rig_site(mike, "zulu")->session == SITE_SESSION;
}

static struct raw *
established_dial(int listener)
{
	struct raw *r = take_dial(listener, "main", "zulu");
	struct hello hello = raw_hello_of("zulu");
	const uint8_t *body = NULL;
	uint32_t len = 0;

	assert_true(raw_expect(r, MESSAGE_HELLO, &body, &len));
	raw_say_hello(r, &hello);
	assert_true(rig_until(zulu_up, NULL, SOON));
	return r;
}

static bool
zulu_keys(void *arg)
{
	(void)arg;
	return rig_site(mike, "zulu")->keys;
}

/* Asked for a new session, the dialer dials at once, and keeps the keys until it is there. */
static void
restart_is_answered_by_a_dial(void **state)
{
	int listener = listen_as_zulu();
	struct raw *first = established_dial(listener), *second;
	struct transfer_tx *tx;

	(void)state;
	say_key_ready(first, 4711);
	assert_true(rig_until(zulu_keys, NULL, SOON));
	tx = keyring_tx(mike->keyring, 0);
	say_bye(first, BYE_RESTART);
	second = take_dial(listener, "main", "zulu");
	assert_int_equal(rig_site(mike, "zulu")->session, SITE_SESSION);
	assert_true(rig_site(mike, "zulu")->keys);
	assert_ptr_equal(keyring_tx(mike->keyring, 0), tx);
	raw_free(first);
	raw_free(second);
	close(listener);
}

/* A peer that stopped is left alone for a while; an ended session is dialled again. */
static void
stopped_peer_is_left_alone(void **state)
{
	int listener = listen_as_zulu();
	struct raw *first = established_dial(listener);
	struct accepting a = {listener, first};

	(void)state;
	say_bye(first, BYE_STOP);
	assert_false(rig_until(accepted, &a, 1200));
	assert_int_equal(rig_site(mike, "zulu")->session, SITE_NO_SESSION);
	assert_true(rig_until(accepted, &a, 2000));
	raw_free(first);
	close(listener);
}

/* ---- a session alone ---- */

static char session_why[256];

static void
nothing_opened(void *arg, struct session *s)
{
	(void)s;
	*(bool *)arg = true;
}

static void
nothing_message(void *arg, struct session *s, uint8_t type, const uint8_t *body, size_t len)
{
	(void)arg;
	(void)s;
	(void)type;
	(void)body;
	(void)len;
}

static void
note_ended(void *arg, struct session *s, const char *why)
{
	(void)arg;
	(void)s;
	snprintf(session_why, sizeof(session_why), "%s", why);
}

static bool
is_true(void *arg)
{
	return *(bool *)arg;
}

static bool
session_is_over(void *arg)
{
	(void)arg;
	return session_why[0] != '\0';
}

static bool
open_and_stepped(void *arg)
{
	struct accepting *a = arg;

	raw_step(a->raw);
	return a->raw->secured;
}

static void
peer_that_does_not_read(void **state)
{
	static const struct session_handlers handlers = {
	    nothing_opened, nothing_message, note_ended};
	struct counters counters = {{0}, {0}};
	char error[512];
	struct tls_files files = {rig_path("main", "mike.crt"), rig_path("main", "mike.key"),
	    rig_path("main", "ca.crt"), NULL};
	struct tls *tls = tls_new(&files, error, sizeof(error));
	struct session_parts parts = {rig_loop, tls, &counters};
	int listener = listen_as_zulu();
	struct addr to = {.port = zulu_port};
	struct ip any = {{0}};
	struct codec_buffer b = {0};
	bool opened = false;
	struct session *s;
	struct accepting a;
	unsigned sent = 0;

	(void)state;
	session_why[0] = '\0';
	assert_int_equal(ip_parse("127.0.0.1", &to.ip), 0);
	s = session_dial(&parts, &to, &any, &handlers, &opened);
	assert_non_null(s);
	a = (struct accepting){listener, take_dial(listener, "main", "zulu")};
	assert_true(rig_until(open_and_stepped, &a, SOON));
	assert_true(rig_until(is_true, &opened, SOON));
	a.raw->deaf = true;
	b.data = calloc(1, 65542);
	b.len = b.size = 65542;
	while (session_why[0] == '\0' && sent < 1000) {
		session_send(s, &b, 1);
		sent++;
		rig_until(session_is_over, NULL, 1);
	}
	assert_string_equal(session_why, "the peer does not read");
	assert_true(sent >= SESSION_OUTPUT_MAX / 65542);
	codec_buffer_fini(&b);
	raw_free(a.raw);
	close(listener);
	tls_free(tls);
}

/* ---- set-up ---- */

static void
find_fingerprint(void)
{
	FILE *file = fopen(rig_path("other", "beta.crt"), "r");
	X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
	uint8_t digest[32];
	unsigned len;

	fclose(file);
	assert_int_equal(X509_digest(cert, EVP_sha256(), digest, &len), 1);
	for (unsigned i = 0; i < len; i++)
		snprintf(fingerprint + 2 * i, 3, "%02x", digest[i]);
	X509_free(cert);
}

static int
setup(void **state)
{
	static const char *const sites[] = {"mike", "alpha", "beta", "gamma", "zulu", "ALPHA"};

	rig_setup(state);
	rig_authority("main");
	rig_authority("other");
	rig_authority("late");
	for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++)
		rig_certificate("main", sites[i], 60 * RIG_DAY);
	rig_certificate("other", "alpha", RIG_DAY);
	rig_certificate("other", "beta", RIG_DAY);
	rig_certificate("other", "zulu", RIG_DAY);
	rig_certificate("late", "alpha", -60);
	mike_port = rig_free_port();
	do
		zulu_port = rig_free_port();
	while (zulu_port == mike_port);
	find_fingerprint();
	return 0;
}

#define LISTENS(test) cmocka_unit_test_setup_teardown(test, start_mike, stop_mike)
#define DIALS(test)   cmocka_unit_test_setup_teardown(test, start_mike_dialling, stop_mike)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LISTENS(wrong_authority),
	    LISTENS(wrong_name),
	    LISTENS(similar_name),
	    LISTENS(not_a_peer),
	    LISTENS(own_name),
	    LISTENS(expired),
	    LISTENS(authority_as_site),
	    LISTENS(wrong_fingerprint),
	    LISTENS(right_fingerprint),
	    LISTENS(fingerprint_of_another),
	    LISTENS(wrong_dialer),
	    LISTENS(no_certificate),
	    LISTENS(tls_1_2),
	    LISTENS(no_alpn),
	    LISTENS(other_alpn),
	    LISTENS(no_tls),
	    LISTENS(closed_at_once),
	    LISTENS(garbage),
	    LISTENS(oversized_message),
	    LISTENS(malformed_hello),
	    LISTENS(not_hello_first),
	    LISTENS(bye_first),
	    LISTENS(unknown_type_first),
	    LISTENS(other_version),
	    LISTENS(other_cipher),
	    LISTENS(hello_twice),
	    LISTENS(key_ready),
	    LISTENS(key_ready_for_another),
	    LISTENS(key_ready_twice),
	    LISTENS(malformed_key_ready),
	    LISTENS(malformed_load),
	    LISTENS(unknown_types_are_skipped),
	    LISTENS(load_arrives_and_old_load_does_not),
	    LISTENS(echo_gives_round_trip),
	    LISTENS(lies_about_time_are_ignored),
	    LISTENS(burst_of_messages),
	    LISTENS(small_message_behind_the_largest),
	    LISTENS(bye_ends),
	    LISTENS(replaced_without_a_gap),
	    LISTENS(handshakes_are_limited),
	    LISTENS(silence_is_ended),
	    DIALS(dialled_wrong_authority),
	    DIALS(dialled_wrong_name),
	    DIALS(dialled_says_other_name),
	    DIALS(restart_is_answered_by_a_dial),
	    DIALS(stopped_peer_is_left_alone),
	    cmocka_unit_test_setup(peer_that_does_not_read, rig_forget_log),
	};

	return cmocka_run_group_tests_name("exchange_hostile", tests, setup, rig_teardown);
}
