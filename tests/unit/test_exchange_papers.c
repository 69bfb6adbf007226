/*
 * exchange_papers: certificates at the wrong time, at either end; and that no session is a short
 * cut to another: no tickets, no resumption, no early data, no older TLS.
 *
 * What is wrong with a name, an authority or a fingerprint is in exchange_hostile, what is revoked
 * in exchange_peer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "raw_peer.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#define SOON 8000 /* ms: what takes milliseconds, on a busy machine */
#define WLAD "\x06wlad/1"
#define YEAR (365 * RIG_DAY)

static struct rig *mike;
static uint16_t mike_port, zulu_port;

/* Ours instead of the system's: the clock on the wall, which may be wrong. */
static time_t clock_error;

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += clock_error;
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

static int
start_mike(void **state)
{
	/* alpha dials mike, mike dials zulu */
	struct rig_order order = {.site = "mike",
	    .authority = "main",
	    .port = mike_port,
	    .transfer_port = (uint16_t)(mike_port + 1),
	    .peers = {{"alpha", 1, ""}, {"zulu", zulu_port, ""}}};

	clock_error = 0;
	rig_forget_log(state);
	mike = rig_new(&order);
	return 0;
}

static int
stop_mike(void **state)
{
	(void)state;
	clock_error = 0;
	rig_free(mike);
	return 0;
}

/* ---- the ends that the test plays ---- */

static struct raw *
dial_with(const char *certificate)
{
	struct raw_order order = {.port = mike_port,
	    .authority = certificate != NULL ? "main" : NULL,
	    .certificate = certificate,
	    .alpn = WLAD};

	return raw_new(&order);
}

static struct raw *
dial_as(const char *certificate)
{
	struct raw *r = dial_with(certificate);

	raw_handshake(r);
	return r;
}

static void
say_hello(struct raw *r)
{
	struct hello hello = raw_hello_of("alpha");

	raw_say_hello(r, &hello);
}

static bool
session_with(const char *site)
{
	return rig_site(mike, site)->session == SITE_SESSION;
}

static void
expect_let_in(struct raw *r)
{
	const uint8_t *body = NULL;
	uint32_t len = 0;

	assert_true(raw_expect(r, MESSAGE_HELLO, &body, &len));
	assert_true(session_with("alpha"));
	raw_free(r);
}

/* Refused for a reason, without having been told anything. */
static void
expect_refused(struct raw *r, const char *reason)
{
	say_hello(r);
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(reason, SOON);
	assert_int_equal(mike->counters.counter[COUNTER_sessions_opened], 0);
	assert_false(session_with("alpha"));
	raw_free(r);
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

/* Waits for mike's dial. */
static struct raw *
take_dial(int listener, const struct raw_order *order)
{
	struct accepting a = {listener, raw_new(order)};

	assert_true(rig_until(accepted, &a, SOON));
	return a.raw;
}

/* The one who dials must not say HELLO to somebody it has not verified. */
static void
expect_hung_up(const struct raw_order *order, const char *reason)
{
	int listener = listen_as_zulu();
	struct raw *r = take_dial(listener, order);

	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(r->input_len, 0);
	rig_expect_log(reason, SOON);
	assert_false(session_with("zulu"));
	raw_free(r);
	close(listener);
}

/* ---- the wrong time ---- */

static struct raw *
dial_and_say_hello(const char *certificate)
{
	struct raw *r = dial_as(certificate);

	say_hello(r);
	return r;
}

static void
expired(void **state)
{
	(void)state;
	expect_refused(dial_as("last-year"),
	    "reason=\"its certificate is not good: certificate has expired\"");
	expect_let_in(dial_and_say_hello("alpha"));
}

static void
not_yet_valid(void **state)
{
	(void)state;
	expect_refused(dial_as("next-year"),
	    "reason=\"its certificate is not good: certificate is not yet valid\"");
	expect_let_in(dial_and_say_hello("alpha"));
}

static void
dialled_expired(void **state)
{
	struct raw_order order = {.authority = "main", .certificate = "zulu-last-year"};

	(void)state;
	expect_hung_up(&order, "reason=\"its certificate is not good: certificate has expired\"");
}

static void
dialled_not_yet_valid(void **state)
{
	struct raw_order order = {.authority = "main", .certificate = "zulu-next-year"};

	(void)state;
	expect_hung_up(
	    &order, "reason=\"its certificate is not good: certificate is not yet valid\"");
}

/* Our own clock is a year off: everybody else's certificate seems to be. */
static void
clock_a_year_slow(void **state)
{
	(void)state;
	clock_error = -YEAR;
	expect_refused(dial_as("alpha"),
	    "reason=\"its certificate is not good: certificate is not yet valid\"");
	clock_error = 0;
	expect_let_in(dial_and_say_hello("alpha"));
}

static void
clock_a_year_fast(void **state)
{
	(void)state;
	clock_error = YEAR;
	expect_refused(dial_as("alpha"),
	    "reason=\"its certificate is not good: certificate has expired\"");
	clock_error = 0;
	expect_let_in(dial_and_say_hello("alpha"));
}

/* It starts all the same, and says at once what is wrong. */
static void
start_with_a_wrong_clock(void **state)
{
	struct rig_order order = {.site = "mike",
	    .authority = "main",
	    .port = mike_port,
	    .transfer_port = (uint16_t)(mike_port + 1),
	    .peers = {{"alpha", 1, ""}}};

	stop_mike(state);
	clock_error = -YEAR;
	mike = rig_new(&order);
	rig_expect_log("load.certificate: ", 0);
	rig_expect_log("certificate is not yet valid", 0);
	expect_refused(dial_as("alpha"), "certificate is not yet valid");
}

/* ---- no short cuts ---- */

static unsigned tickets;

static int
on_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	(void)session;
	tickets++;
	return 0;
}

static bool
some_messages(void *arg)
{
	raw_step(arg);
	return ((struct raw *)arg)->input_len > 500;
}

/* Not with the handshake, nor later. */
static void
no_tickets(void **state)
{
	struct raw *r = dial_with("alpha");

	(void)state;
	tickets = 0;
	SSL_CTX_set_session_cache_mode(r->ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(r->ctx, on_ticket);
	raw_handshake(r);
	say_hello(r);
	assert_true(rig_until(some_messages, r, SOON));
	assert_int_equal(tickets, 0);
	assert_false(SSL_SESSION_is_resumable(SSL_get_session(r->ssl)));
	expect_let_in(r);
}

/* A session as a ticket would have left it, with leave to send early data. */
static int
offer_session(SSL *ssl, const EVP_MD *digest, const unsigned char **id, size_t *id_len,
    SSL_SESSION **session)
{
	static const uint8_t cipher[] = {0x13, 0x01},
			     secret[32] = "a secret of an earlier session";

	*session = NULL;
	*id = (const unsigned char *)"ticket";
	*id_len = 6;
	if (digest != NULL && digest != EVP_sha256())
		return 1;
	*session = SSL_SESSION_new();
	return SSL_SESSION_set1_master_key(*session, secret, sizeof(secret)) == 1 &&
	    SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, cipher)) == 1 &&
	    SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION) == 1 &&
	    SSL_SESSION_set1_alpn_selected(*session, (const uint8_t *)WLAD + 1, 6) == 1 &&
	    SSL_SESSION_set_max_early_data(*session, 1000) == 1;
}

/* Dials with a session to resume, and says HELLO before the handshake. */
static struct raw *
dial_early(const char *certificate)
{
	struct raw *r = dial_with(certificate);
	struct hello hello = raw_hello_of("alpha");
	struct codec_buffer b = {0};
	size_t written = 0;

	SSL_set_psk_use_session_callback(r->ssl, offer_session);
	assert_int_equal(codec_encode_hello(&b, &hello), 0);
	assert_int_equal(SSL_write_early_data(r->ssl, b.data, b.len, &written), 1);
	assert_int_equal(written, b.len);
	codec_buffer_fini(&b);
	return r;
}

/* Who wants to resume a session has to prove who it is like everybody else. */
static void
no_resumption(void **state)
{
	struct raw *r = dial_early("alpha");

	(void)state;
	raw_handshake(r);
	assert_int_equal(SSL_session_reused(r->ssl), 0);
	assert_int_equal(SSL_get_early_data_status(r->ssl), SSL_EARLY_DATA_REJECTED);
	/* what was said early has not been heard */
	rig_until(rig_never, NULL, 50);
	assert_int_equal(mike->counters.counter[COUNTER_messages_in], 0);
	say_hello(r);
	expect_let_in(r);
}

static void
no_resumption_without_certificate(void **state)
{
	struct raw *r = dial_early(NULL);

	(void)state;
	assert_true(rig_until(raw_is_closed, r, SOON));
	assert_int_equal(
	    ERR_GET_REASON(r->error), SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED);
	assert_int_equal(r->input_len, 0);
	rig_expect_log("peer did not return a certificate", SOON);
	assert_int_equal(mike->counters.counter[COUNTER_messages_in], 0);
	raw_free(r);
}

/* What mike offers when it dials. */
static struct {
	bool psk, early_data, older, seen;
} offered;

static int
look_at_offer(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *data;
	size_t len;

	(void)alert;
	(void)arg;
	offered.seen = true;
	offered.psk |= SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &data, &len) == 1;
	offered.early_data |=
	    SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_early_data, &data, &len) == 1;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &len) != 1 ||
	    len != 3 || memcmp(data, "\x02\x03\x04", 3) != 0)
		offered.older = true;
	return SSL_CLIENT_HELLO_SUCCESS;
}

static struct raw *
established_dial(int listener)
{
	struct raw_order order = {.authority = "main", .certificate = "zulu"};
	struct accepting a = {listener, raw_new(&order)};
	struct hello hello = raw_hello_of("zulu");
	const uint8_t *body = NULL;
	uint32_t len = 0;

	memset(&offered, 0, sizeof(offered));
	SSL_CTX_set_client_hello_cb(a.raw->ctx, look_at_offer, NULL);
	assert_true(rig_until(accepted, &a, SOON));
	assert_true(raw_expect(a.raw, MESSAGE_HELLO, &body, &len));
	raw_say_hello(a.raw, &hello);
	return a.raw;
}

/* The first time the listener gives out tickets, as OpenSSL does if it is not told otherwise. */
static void
dialer_does_not_resume(void **state)
{
	int listener = listen_as_zulu();

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct raw *r = established_dial(listener);
		const uint8_t *body = NULL;
		uint32_t len = 0;

		assert_true(raw_expect(r, MESSAGE_LOAD, &body, &len));
		assert_true(offered.seen);
		assert_false(offered.psk);
		assert_false(offered.early_data);
		assert_false(offered.older);
		assert_int_equal(SSL_session_reused(r->ssl), 0);
		raw_free(r);
	}
	close(listener);
}

static void
dialled_tls_1_2(void **state)
{
	struct raw_order order = {.authority = "main", .certificate = "zulu", .tls12 = true};

	(void)state;
	expect_hung_up(&order, "reason=\"TLS: ");
}

/* ---- set-up ---- */

/* A certificate of the authority for a site, good from then to a year later. */
static void
write_certificate(const char *stem, const char *site, long from)
{
	char file[64];
	FILE *f = fopen(rig_path("main", "ca.key"), "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509 *cert;

	fclose(f);
	snprintf(file, sizeof(file), "%s.crt", site);
	f = fopen(rig_path("main", file), "r");
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), from));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), from + YEAR - RIG_DAY));
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	snprintf(file, sizeof(file), "%s.crt", stem);
	f = fopen(rig_path("main", file), "w");
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	snprintf(file, sizeof(file), "%s.key", site);
	{
		char link[64];

		snprintf(link, sizeof(link), "%s.key", stem);
		assert_int_equal(symlink(file, rig_path("main", link)), 0);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int
setup(void **state)
{
	rig_setup(state);
	rig_authority("main");
	rig_certificate("main", "mike", 10 * RIG_DAY);
	rig_certificate("main", "alpha", 10 * RIG_DAY);
	rig_certificate("main", "zulu", 10 * RIG_DAY);
	write_certificate("last-year", "alpha", -YEAR);
	write_certificate("next-year", "alpha", YEAR);
	write_certificate("zulu-last-year", "zulu", -YEAR);
	write_certificate("zulu-next-year", "zulu", YEAR);
	mike_port = rig_free_port();
	do
		zulu_port = rig_free_port();
	while (zulu_port == mike_port);
	return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start_mike, stop_mike)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(expired),
	    TEST(not_yet_valid),
	    TEST(dialled_expired),
	    TEST(dialled_not_yet_valid),
	    TEST(clock_a_year_slow),
	    TEST(clock_a_year_fast),
	    TEST(start_with_a_wrong_clock),
	    TEST(no_tickets),
	    TEST(no_resumption),
	    TEST(no_resumption_without_certificate),
	    TEST(dialer_does_not_resume),
	    TEST(dialled_tls_1_2),
	};

	return cmocka_run_group_tests_name("exchange_papers", tests, setup, rig_teardown);
}
