/*
 * peering_hello: how a peering begins: who is it, what does it offer, which keys.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "load/peering_internal.h"
#include "load/report.h"

#define IDLE_INTERVALS  5
#define IDLE_MIN_NS     (5 * CLOCK_SECOND)
#define INTERVAL_MAX_MS 60000

/* ---- ciphers ---- */

/* Those that we accept, the one that we prefer first; returns how many, at least one. */
static size_t
own_ciphers(const struct config *config, uint8_t out[HELLO_CIPHERS_MAX])
{
	static const uint8_t all[] = {KEYS_AES_128_GCM, KEYS_AES_256_GCM, KEYS_CHACHA20_POLY1305};

	switch (config->transfer.cipher) {
	case CONFIG_CIPHER_AES_128_GCM:
		out[0] = KEYS_AES_128_GCM;
		return 1;
	case CONFIG_CIPHER_AES_256_GCM:
		out[0] = KEYS_AES_256_GCM;
		return 1;
	case CONFIG_CIPHER_CHACHA20_POLY1305:
		out[0] = KEYS_CHACHA20_POLY1305;
		return 1;
	case CONFIG_CIPHER_AUTO:
		break;
	}
	memcpy(out, all, sizeof(all));
	return sizeof(all);
}

/* Those that a HELLO names. */
static size_t
named_ciphers(const struct hello *hello, uint8_t out[1 + HELLO_CIPHERS_MAX])
{
	out[0] = hello->cipher;
	memcpy(out + 1, hello->ciphers, hello->ciphers_count);
	return 1 + hello->ciphers_count;
}

/* The first of the dialer's that the listener accepts.  0, or -1 if there is none. */
static int
choose_cipher(struct peering *p, const struct hello *hello)
{
	uint8_t own[HELLO_CIPHERS_MAX], named[1 + HELLO_CIPHERS_MAX];
	size_t own_count = own_ciphers(p->parts->config, own);
	size_t named_count = named_ciphers(hello, named);
	const uint8_t *dialer = p->info.dialled ? own : named;
	const uint8_t *listener = p->info.dialled ? named : own;
	size_t dialer_count = p->info.dialled ? own_count : named_count;
	size_t listener_count = p->info.dialled ? named_count : own_count;

	for (size_t i = 0; i < dialer_count; i++) {
		if (memchr(listener, dialer[i], listener_count) == NULL)
			continue;
		p->cipher = (enum keys_cipher)dialer[i];
		return 0;
	}
	return -1;
}

/* ---- HELLO out ---- */

/* An address of ours as others see it; a wildcard address says nothing. */
static struct addr
own_address(const struct addr *listen)
{
	static const uint8_t any[4];
	struct addr address = *listen;

	if (ip_is_v4(&address.ip) && memcmp(ip_v4(&address.ip), any, sizeof(any)) == 0)
		memset(&address.ip, 0, sizeof(address.ip));
	return address;
}

/* Without the servers, if it is too large with them: what needs them is rule 3 alone. */
static int
encode_hello(struct codec_buffer *b, struct hello *hello)
{
	if (codec_encode_hello(b, hello) == 0)
		return 0;
	hello_forget_servers(hello);
	if (codec_encode_hello(b, hello) != 0)
		return -1;
	log_warnx(
	    "servers not told to other sites, there are too many: no replies by way of the "
	    "transferor");
	return 0;
}

static void
fill_ciphers(const struct config *config, struct hello *hello)
{
	uint8_t ciphers[HELLO_CIPHERS_MAX];
	size_t count = own_ciphers(config, ciphers);

	hello->cipher = ciphers[0];
	hello->ciphers_count = count - 1;
	memcpy(hello->ciphers, ciphers + 1, count - 1);
}

/* Coordinators introduce us to others, who need to know where we take sessions. */
static bool
is_coordinator(const struct peering *p)
{
	const struct site *site = load_table_site(p->parts->table, p->info.site);

	return site != NULL && site->coordinator;
}

void
peering_say_hello(struct peering *p)
{
	const struct config *config = p->parts->config;
	struct codec_buffer b = {0};
	struct hello hello = {
	    .version = CODEC_VERSION,
	    .boot_id = p->parts->boot_id,
	    .transfer = own_address(&config->transfer.listen),
	    .demand_port = config->transfer.demand_port,
	    .interval_ms = (uint32_t)(config->load.interval * 1000),
	};
	size_t left_out;

	if (is_coordinator(p))
		hello.load = own_address(&config->load.listen);
	snprintf(hello.site, sizeof(hello.site), "%s", config->site);
	if (peering_transfers(p))
		p->index = keyring_reserve(p->parts->keyring);
	hello.key_index = p->index;
	random_system(p->random, sizeof(p->random));
	memcpy(hello.random, p->random, sizeof(hello.random));
	fill_ciphers(config, &hello);
	left_out = report_hello(p->parts->table, &hello);
	if (left_out > 0)
		log_warnx("services not told to other sites, at most %d can be left_out=%zu",
		    HELLO_SERVICES_MAX, left_out);
	left_out = report_servers(p->parts->table, &hello);
	if (left_out > 0)
		log_warnx(
		    "servers not told to other sites, at most %d addresses of a service can "
		    "be left_out=%zu",
		    HELLO_SERVERS_MAX, left_out);
	p->said_hello = true;
	if (encode_hello(&b, &hello) == 0)
		session_send(p->session, &b, 1);
	else
		session_close(p->session,
		    "our own HELLO is larger than a message: the "
		    "configuration has too many ports");
	hello_fini(&hello);
	codec_buffer_fini(&b);
}

/* ---- keys ---- */

/* Makes both keys.  Ours to receive with goes into the keyring, the other waits for KEY_READY. */
static int
make_keys(
    struct peering *p, const uint8_t out[KEYS_SECRET_LEN], const uint8_t in[KEYS_SECRET_LEN])
{
	if (p->index != 0) {
		struct transfer_rx *rx = transfer_rx_new(p->cipher, in);

		if (rx == NULL ||
		    keyring_enter(p->parts->keyring, p->index, rx, (uint16_t)p->info.site,
			&p->peer->transfer) != 0)
			return -1;
	}
	if (peering_transfers(p) && p->info.offered != 0) {
		p->tx = transfer_tx_new(p->cipher, out, p->info.offered);
		if (p->tx == NULL)
			return -1;
	}
	return 0;
}

static int
agree_keys(struct peering *p, const struct hello *hello)
{
	int own = p->info.dialled ? 0 : 1, other = 1 - own;
	struct keys_context context = {.cipher = p->cipher};
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
	explicit_bzero(direction, sizeof(direction));
	return ret;
}

static void
say_key_ready(struct peering *p)
{
	struct codec_buffer b = {0};

	if (p->index != 0 && codec_encode_key_ready(&b, p->index) == 0)
		session_send(p->session, &b, 1);
	codec_buffer_fini(&b);
}

/* ---- HELLO in ---- */

int
peering_verify(const struct peering *p, const struct config_peer *peer, char *why, size_t why_size)
{
	const struct tls *tls = p->parts->session.tls;
	struct ssl_st *ssl = session_tls(p->session);

	/* what others say of its certificate does not replace our authority's word */
	if (peer->chained && tls_verify_peer(tls, ssl, peer->site, NULL, why, why_size) != 0)
		return -1;
	return tls_verify_peer(tls, ssl, peer->site, peer->fingerprint, why, why_size);
}

/* The peer that says HELLO; NULL if it is none, and not welcome. */
static const struct config_peer *
find_peer(struct peering *p, const struct hello *hello, char *why, size_t why_size)
{
	const struct config_peer stranger = {
	    .site = (char *)(uintptr_t)hello->site, .chained = true};
	const struct config_peer *peer = p->handlers->find(p->arg, hello->site);

	if (peer == NULL && p->handlers->welcome != NULL &&
	    p->parts->config->load.accept_unknown &&
	    peering_verify(p, &stranger, why, why_size) == 0)
		peer = p->handlers->welcome(p->arg, p, hello);
	else if (peer == NULL && p->parts->config->load.accept_unknown)
		return NULL;
	if (peer == NULL)
		snprintf(why, why_size, "site %s is no peer of ours", hello->site);
	return peer;
}

/* Of two sites that know each other from their files one dials. */
static bool
may_dial(const struct peering *p, const struct config_peer *peer)
{
	return peer->chained || p->parts->config->role == CONFIG_ROLE_COORDINATOR ||
	    strcmp(peer->site, p->parts->config->site) < 0;
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
	peer = find_peer(p, hello, why, why_size);
	if (peer == NULL || peering_verify(p, peer, why, why_size) != 0)
		return -1;
	if (!may_dial(p, peer)) {
		snprintf(why, why_size,
		    "site %s must not dial: the site with the smaller name "
		    "does",
		    hello->site);
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
		log_warnx(
		    "peer names another transfer address than is configured; the configured "
		    "one is used site=%s configured=%s named=%s",
		    p->peer->site, addr_format(configured, a), addr_format(&full, b));
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
		peering_refuse(p, "speaks version %u, not %d", hello->version, CODEC_VERSION);
	else if (identify(p, hello, why, sizeof(why)) != 0)
		peering_refuse(p, "%s", why);
	else if (choose_cipher(p, hello) != 0)
		peering_refuse(p,
		    "wants cipher %u (%s) for transfer packets, and names none that "
		    "transfer.cipher allows here",
		    hello->cipher, keys_cipher_name((enum keys_cipher)hello->cipher));
	else {
		if (!p->info.dialled)
			peering_say_hello(p);
		if (agree_keys(p, hello) != 0) {
			peering_refuse(p, "no keys could be made");
			return;
		}
		check_transfer(p, &hello->transfer);
		p->info.boot_id = hello->boot_id;
		p->info.established = true;
		session_established(p->session, idle_limit(p, hello));
		p->handlers->established(p->arg, p);
		report_enter_hello(p->parts->table, p->info.site, hello);
		say_key_ready(p);
		if (p->handlers->hello != NULL)
			p->handlers->hello(p->arg, p, hello);
	}
}

void
peering_take_hello(struct peering *p, const uint8_t *body, size_t len)
{
	struct hello hello;

	if (p->info.established) {
		peering_refuse(p, "said HELLO twice");
		return;
	}
	if (codec_decode_hello(body, len, &hello) != 0) {
		peering_refuse(p, "sent a malformed HELLO");
		return;
	}
	accept_hello(p, &hello);
	hello_fini(&hello);
}
