#include "load/peering.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "load/report.h"
#include "transfer/seal.h"

#define IDLE_INTERVALS  5
#define IDLE_MIN_NS     (5 * CLOCK_SECOND)
#define INTERVAL_MAX_MS 60000
#define RTT_MAX         60.0   /* seconds; more is not believed */
#define RTT_FLOOR       0.0005 /* what milliseconds can tell; 0 would say "unknown" */

struct peering {
	const struct peering_parts *parts;
	const struct peering_handlers *handlers;
	void *arg;
	struct session *session;
	const struct config_peer *peer; /* NULL: listener, before HELLO */
	struct peering_info info;
	bool said_hello;

	uint8_t random[KEYS_RANDOM_LEN]; /* of our HELLO */
	uint32_t index;                  /* of our receive key */
	struct transfer_tx *tx;          /* until KEY_READY */

	uint32_t sequence_out, sequence_in;
	uint64_t heard_ms; /* sent_ms of the last report received */
	uint64_t heard_at; /* when, ns */
};

static const char *const bye_texts[] = {
	[BYE_STOP] = "the peer stops",
	[BYE_RESTART] = "the peer wants a new session",
	[BYE_REPLACED] = "replaced by a newer session",
	[BYE_PROTOCOL] = "the peer says that we broke the protocol: see its log",
};

static uint64_t
now_of(const struct peering *p)
{
	return loop_now(p->parts->session.loop);
}

/* False: we have no transfer socket, and make no keys. */
static bool
transfers(const struct peering *p)
{
	return p->parts->config->transfer.listen.port != 0;
}

static void
say_bye(struct peering *p, enum bye_reason reason, const char *why)
{
	struct codec_buffer b = { 0 };

	if (p->said_hello && codec_encode_bye(&b, reason) == 0)
		session_send(p->session, &b, 1);
	codec_buffer_fini(&b);
	session_finish(p->session, why);
}

/* The peer breaks the protocol, or is not who it should be. */
static void refuse(struct peering *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
refuse(struct peering *p, const char *format, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof why, format, ap);
	va_end(ap);
	say_bye(p, BYE_PROTOCOL, why);
}

/* ---- HELLO out ---- */

/* Where our transfer packets come from; a wildcard address says nothing. */
static struct addr
own_transfer(const struct config *config)
{
	static const uint8_t any[4];
	struct addr transfer = config->transfer.listen;

	if (ip_is_v4(&transfer.ip) && memcmp(ip_v4(&transfer.ip), any, sizeof any) == 0)
		memset(&transfer.ip, 0, sizeof transfer.ip);
	return transfer;
}

static void
say_hello(struct peering *p)
{
	const struct config *config = p->parts->config;
	struct codec_buffer b = { 0 };
	struct hello hello = {
		.version = CODEC_VERSION,
		.boot_id = p->parts->boot_id,
		.transfer = own_transfer(config),
		.cipher = KEYS_AES_128_GCM,
		.interval_ms = (uint32_t)(config->load.interval * 1000),
	};
	size_t left_out;

	snprintf(hello.site, sizeof hello.site, "%s", config->site);
	if (transfers(p))
		p->index = keyring_reserve(p->parts->keyring);
	hello.key_index = p->index;
	random_system(p->random, sizeof p->random);
	memcpy(hello.random, p->random, sizeof hello.random);
	left_out = report_hello(p->parts->table, &hello);
	if (left_out > 0)
		log_warnx("services not told to other sites, at most %d can be left_out=%zu",
		    HELLO_SERVICES_MAX, left_out);
	p->said_hello = true;
	if (codec_encode_hello(&b, &hello) == 0)
		session_send(p->session, &b, 1);
	else
		session_close(p->session, "our own HELLO is larger than a message: the "
		    "configuration has too many ports");
	hello_fini(&hello);
	codec_buffer_fini(&b);
}

/* ---- keys ---- */

/* Makes both keys.  Ours to receive with goes into the keyring, the other waits for KEY_READY. */
static int
make_keys(struct peering *p, const uint8_t out[KEYS_SECRET_LEN],
    const uint8_t in[KEYS_SECRET_LEN])
{
	if (p->index != 0) {
		struct transfer_rx *rx = transfer_rx_new(KEYS_AES_128_GCM, in);

		if (rx == NULL || keyring_enter(p->parts->keyring, p->index, rx,
		    (uint16_t)p->info.site, &p->peer->transfer) != 0)
			return -1;
	}
	if (transfers(p) && p->info.offered != 0) {
		p->tx = transfer_tx_new(KEYS_AES_128_GCM, out, p->info.offered);
		if (p->tx == NULL)
			return -1;
	}
	return 0;
}

static int
agree_keys(struct peering *p, const struct hello *hello)
{
	int own = p->info.dialled ? 0 : 1, other = 1 - own;
	struct keys_context context = { .cipher = KEYS_AES_128_GCM };
	uint8_t direction[2][KEYS_SECRET_LEN];
	int ret = -1;

	context.site[own] = p->parts->config->site;
	context.site[other] = hello->site;
	memcpy(context.random[own], p->random, KEYS_RANDOM_LEN);
	memcpy(context.random[other], hello->random, KEYS_RANDOM_LEN);
	p->info.offered = hello->key_index;
	if (tls_digests(session_tls(p->session), context.certificate[own],
	    context.certificate[other]) == 0 &&
	    tls_derive(session_tls(p->session), &context, direction[0], direction[1]) == 0)
		ret = make_keys(p, direction[own], direction[other]);
	explicit_bzero(direction, sizeof direction);
	return ret;
}

static void
say_key_ready(struct peering *p)
{
	struct codec_buffer b = { 0 };

	if (p->index != 0 && codec_encode_key_ready(&b, p->index) == 0)
		session_send(p->session, &b, 1);
	codec_buffer_fini(&b);
}

/* Once a session: the same key must not start counting anew. */
static void
on_key_ready(struct peering *p, const uint8_t *body, size_t len)
{
	uint32_t index;

	if (codec_decode_key_ready(body, len, &index) != 0)
		refuse(p, "sent a malformed KEY_READY");
	else if (index != p->info.offered)
		refuse(p, "sent KEY_READY for another key than it offered");
	else if (!transfers(p))
		return;
	else if (p->tx == NULL)
		refuse(p, "sent KEY_READY twice");
	else {
		keyring_set_tx(p->parts->keyring, (uint16_t)p->info.site, p->tx);
		p->tx = NULL;
		load_table_site_keys(p->parts->table, p->info.site, true, now_of(p));
	}
}

/* ---- HELLO in ---- */

static const struct config_peer *
find_peer(const struct config *config, const char *site)
{
	for (size_t i = 0; i < config->peers_count; i++)
		if (strcmp(config->peers[i].site, site) == 0)
			return &config->peers[i];
	return NULL;
}

/* Who says HELLO?  The dialer has verified that before, a listener does it now. */
static int
identify(struct peering *p, const struct hello *hello, char *why, size_t why_size)
{
	const struct peering_parts *parts = p->parts;
	const struct config_peer *peer = p->peer;

	if (p->info.dialled) {
		if (strcmp(hello->site, peer->site) == 0)
			return 0;
		snprintf(why, why_size, "says that it is site %s", hello->site);
		return -1;
	}
	peer = find_peer(parts->config, hello->site);
	if (peer == NULL) {
		snprintf(why, why_size, "site %s is no peer of ours", hello->site);
		return -1;
	}
	if (tls_verify_peer(session_tls(p->session), peer->site, peer->fingerprint, why,
	    why_size) != 0)
		return -1;
	if (strcmp(hello->site, parts->config->site) >= 0) {
		snprintf(why, why_size, "site %s must not dial: the site with the smaller name "
		    "does", hello->site);
		return -1;
	}
	p->info.site = load_table_find_site(parts->table, peer->site);
	if (p->info.site > UINT16_MAX) {
		snprintf(why, why_size, "site %s is not in the load table", hello->site);
		return -1;
	}
	p->peer = peer;
	return 0;
}

static void
check_transfer(const struct peering *p, const struct addr *told)
{
	const struct addr *configured = &p->peer->transfer;
	char a[ADDR_TEXT], b[ADDR_TEXT];
	struct addr full = *told;

	if (ip_is_zero(&full.ip))
		full.ip = configured->ip;
	if (full.port != 0 && !addr_equal(&full, configured))
		log_warnx("peer names another transfer address than is configured; the configured "
		    "one is used site=%s configured=%s named=%s", p->peer->site,
		    addr_format(configured, a), addr_format(&full, b));
}

/* Silence that ends the session: the peer's own interval counts, it may be longer than ours. */
static uint64_t
idle_limit(const struct peering *p, const struct hello *hello)
{
	uint64_t interval = hello->interval_ms;

	if (interval == 0)
		interval = (uint64_t)(p->parts->config->load.interval * 1000);
	if (interval > INTERVAL_MAX_MS)
		interval = INTERVAL_MAX_MS;
	interval *= IDLE_INTERVALS * CLOCK_MILLISECOND;
	return interval > IDLE_MIN_NS ? interval : IDLE_MIN_NS;
}

static void
accept_hello(struct peering *p, const struct hello *hello)
{
	char why[256];

	if (hello->version != CODEC_VERSION)
		refuse(p, "speaks version %u, not %d", hello->version, CODEC_VERSION);
	else if (identify(p, hello, why, sizeof why) != 0)
		refuse(p, "%s", why);
	else if (hello->cipher != KEYS_AES_128_GCM)
		refuse(p, "wants cipher %u for transfer packets, which is unknown here",
		    hello->cipher);
	else {
		if (!p->info.dialled)
			say_hello(p);
		if (agree_keys(p, hello) != 0) {
			refuse(p, "no keys could be made");
			return;
		}
		check_transfer(p, &hello->transfer);
		p->info.boot_id = hello->boot_id;
		p->info.established = true;
		session_established(p->session, idle_limit(p, hello));
		p->handlers->established(p->arg, p);
		report_enter_hello(p->parts->table, p->info.site, hello);
		say_key_ready(p);
		peering_report(p);
	}
}

static void
on_hello(struct peering *p, const uint8_t *body, size_t len)
{
	struct hello hello;

	if (p->info.established) {
		refuse(p, "said HELLO twice");
		return;
	}
	if (codec_decode_hello(body, len, &hello) != 0) {
		refuse(p, "sent a malformed HELLO");
		return;
	}
	accept_hello(p, &hello);
	hello_fini(&hello);
}

/* ---- LOAD ---- */

void
peering_report(struct peering *p)
{
	struct codec_buffer b = { 0 };
	struct load_report report = { 0 };
	uint64_t now = now_of(p);

	if (!p->info.established || !session_is_open(p->session))
		return;
	report.sequence = ++p->sequence_out;
	report.sent_ms = now / CLOCK_MILLISECOND;
	report.echo_ms = p->heard_ms;
	report.echo_held_ms = (uint32_t)((now - p->heard_at) / CLOCK_MILLISECOND);
	report_load(p->parts->table, p->info.site, &report);
	if (codec_encode_load(&b, &report) == 0)
		session_send(p->session, &b, 1);
	load_report_fini(&report);
	codec_buffer_fini(&b);
}

/* Round-trip time: since our report was sent, less how long the peer held it; smoothed as RFC 6298 does. */
static void
measure_rtt(struct peering *p, const struct load_report *report, uint64_t now)
{
	struct site *site = load_table_site(p->parts->table, p->info.site);
	double rtt;

	if (report->echo_ms == 0)
		return;
	rtt = ((double)(now / CLOCK_MILLISECOND) - (double)report->echo_ms -
	    (double)report->echo_held_ms) / 1000;
	if (!(rtt > -RTT_MAX && rtt < RTT_MAX))
		return;
	if (rtt < RTT_FLOOR)
		rtt = RTT_FLOOR;
	site->rtt = site->rtt > 0 ? site->rtt * 0.875 + rtt * 0.125 : rtt;
}

static void
on_load(struct peering *p, const uint8_t *body, size_t len)
{
	struct load_report report;
	uint64_t now = now_of(p);

	if (codec_decode_load(body, len, &report) != 0) {
		refuse(p, "sent a malformed LOAD");
		return;
	}
	if ((int32_t)(report.sequence - p->sequence_in) > 0) {
		p->sequence_in = report.sequence;
		p->heard_ms = report.sent_ms;
		p->heard_at = now;
		measure_rtt(p, &report, now);
		report_enter_load(p->parts->table, p->info.site, &report, now);
	}
	load_report_fini(&report);
}

/* ---- BYE and the session's events ---- */

static void
on_bye(struct peering *p, const uint8_t *body, size_t len)
{
	enum bye_reason reason;

	if (codec_decode_bye(body, len, &reason) != 0) {
		session_close(p->session, "sent a malformed BYE");
		return;
	}
	p->info.said_bye = reason;
	session_close(p->session, "%s", bye_texts[reason]);
}

static void
on_message(void *arg, struct session *session, uint8_t type, const uint8_t *body, size_t len)
{
	struct peering *p = arg;

	(void)session;
	if (type == MESSAGE_HELLO)
		on_hello(p, body, len);
	else if (type == MESSAGE_BYE && p->said_hello)
		on_bye(p, body, len);
	else if (!p->info.established)
		refuse(p, "did not say HELLO first");
	else if (type == MESSAGE_KEY_READY)
		on_key_ready(p, body, len);
	else if (type == MESSAGE_LOAD)
		on_load(p, body, len);
	else
		counter_add(p->parts->session.counters, COUNTER_messages_unknown, 1);
}

static void
on_opened(void *arg, struct session *session)
{
	struct peering *p = arg;
	char why[256];

	p->info.secured = true;
	if (!p->info.dialled)
		return;
	if (tls_verify_peer(session_tls(session), p->peer->site, p->peer->fingerprint, why,
	    sizeof why) != 0)
		session_close(session, "%s", why);
	else
		say_hello(p);
}

static void
dispose(struct peering *p)
{
	if (p->index != 0)
		keyring_remove(p->parts->keyring, p->index);
	transfer_tx_free(p->tx);
	free(p);
}

static void
on_ended(void *arg, struct session *session, const char *why)
{
	struct peering *p = arg;

	(void)session;
	p->handlers->ended(p->arg, p, why);
	dispose(p);
}

static const struct session_handlers handlers_of_session = { on_opened, on_message, on_ended };

/* ---- life ---- */

static struct peering *
peering_new(const struct peering_parts *parts, const struct peering_handlers *handlers, void *arg)
{
	struct peering *p = xcalloc(1, sizeof *p);

	p->parts = parts;
	p->handlers = handlers;
	p->arg = arg;
	p->info.site = LOAD_NONE;
	return p;
}

static struct peering *
with_session(struct peering *p, struct session *session)
{
	int saved = errno;

	p->session = session;
	if (session != NULL)
		return p;
	free(p);
	errno = saved;
	return NULL;
}

struct peering *
peering_dial(const struct peering_parts *parts, const struct config_peer *peer,
    const struct peering_handlers *handlers, void *arg)
{
	struct peering *p = peering_new(parts, handlers, arg);
	struct addr source = parts->config->load.listen;

	p->info.dialled = true;
	p->peer = peer;
	p->info.site = load_table_find_site(parts->table, peer->site);
	return with_session(p, session_dial(&parts->session, &peer->load, &source.ip,
	    &handlers_of_session, p));
}

struct peering *
peering_accept(const struct peering_parts *parts, int fd, const struct addr *from,
    const struct peering_handlers *handlers, void *arg)
{
	struct peering *p = peering_new(parts, handlers, arg);

	return with_session(p, session_accept(&parts->session, fd, from, &handlers_of_session, p));
}

void
peering_bye(struct peering *p, enum bye_reason reason)
{
	say_bye(p, reason, reason == BYE_REPLACED ? bye_texts[BYE_REPLACED] : "said BYE");
}

void
peering_free(struct peering *p)
{
	if (p == NULL)
		return;
	session_free(p->session);
	dispose(p);
}

const struct peering_info *
peering_info(const struct peering *p)
{
	return &p->info;
}

const struct addr *
peering_address(const struct peering *p)
{
	return session_address(p->session);
}

uint32_t
peering_take_index(struct peering *p)
{
	uint32_t index = p->index;

	p->index = 0;
	return index;
}
