#include "load/peering.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "load/peering_internal.h"
#include "load/report.h"

#define RTT_MAX   60.0   /* seconds; more is not believed */
#define RTT_FLOOR 0.0005 /* what milliseconds can tell; 0 would say "unknown" */

static const char *const bye_texts[] = {
    [BYE_STOP] = "the peer stops",
    [BYE_RESTART] = "the peer wants a new session",
    [BYE_REPLACED] = "replaced by a newer session",
    [BYE_PROTOCOL] = "the peer says that we broke the protocol: see its log",
    [BYE_IDLE] = "of no use now",
};

static void
say_bye(struct peering *p, enum bye_reason reason, const char *why)
{
	struct codec_buffer b = {0};

	if (p->said_hello && codec_encode_bye(&b, reason) == 0)
		session_send(p->session, &b, 1);
	codec_buffer_fini(&b);
	session_finish(p->session, why);
}

void
peering_refuse(struct peering *p, const char *format, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	say_bye(p, BYE_PROTOCOL, why);
}

/* ---- KEY_READY ---- */

/* Once a session: the same key must not start counting anew. */
static void
on_key_ready(struct peering *p, const uint8_t *body, size_t len)
{
	uint32_t index;

	if (codec_decode_key_ready(body, len, &index) != 0)
		peering_refuse(p, "sent a malformed KEY_READY");
	else if (index != p->info.offered)
		peering_refuse(p, "sent KEY_READY for another key than it offered");
	else if (!peering_transfers(p))
		return;
	else if (p->tx == NULL)
		peering_refuse(p, "sent KEY_READY twice");
	else {
		keyring_set_tx(p->parts->keyring, (uint16_t)p->info.site, p->tx);
		p->tx = NULL;
		load_table_site_keys(p->parts->table, p->info.site, true, peering_now(p));
	}
}

/* ---- LOAD ---- */

void
peering_report(struct peering *p, enum peering_extent extent)
{
	static void (*const fill[])(struct load_table *, uint32_t, struct load_report *) = {
	    [PEERING_LOAD] = report_load,
	    [PEERING_BETWEEN] = report_between,
	    [PEERING_PATH] = report_path,
	};
	struct codec_buffer b = {0};
	struct load_report report = {0};
	uint64_t now = peering_now(p);

	if (!p->info.established || !session_is_open(p->session))
		return;
	report.sequence = ++p->sequence_out;
	report.sent_ms = now / CLOCK_MILLISECOND;
	report.echo_ms = p->heard_ms;
	report.echo_held_ms = (uint32_t)((now - p->heard_at) / CLOCK_MILLISECOND);
	load_table_measure(p->parts->table, now);
	fill[extent](p->parts->table, p->info.site, &report);
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
		  (double)report->echo_held_ms) /
	    1000;
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
	uint64_t now = peering_now(p);

	if (codec_decode_load(body, len, &report) != 0) {
		peering_refuse(p, "sent a malformed LOAD");
		return;
	}
	if ((int32_t)(report.sequence - p->sequence_in) > 0) {
		p->sequence_in = report.sequence;
		p->heard_ms = report.sent_ms;
		p->heard_at = now;
		measure_rtt(p, &report, now);
		report_enter_load(p->parts->table, p->info.site, &report, now);
		if (p->handlers->reported != NULL)
			p->handlers->reported(p->arg, p, &report);
	}
	load_report_fini(&report);
}

/* ---- CLOSED, PROBE and SITES ---- */

static void
on_closed(struct peering *p, const uint8_t *body, size_t len)
{
	struct closed closed;

	if (codec_decode_closed(body, len, &closed) != 0) {
		peering_refuse(p, "sent a malformed CLOSED");
		return;
	}
	p->handlers->closed(p->arg, p, &closed);
	closed_fini(&closed);
}

static void
on_probe(struct peering *p, const uint8_t *body, size_t len)
{
	struct probe_seen probe;

	if (codec_decode_probe(body, len, &probe) != 0)
		peering_refuse(p, "sent a malformed PROBE");
	else
		p->handlers->probe_seen(p->arg, p, probe.id);
}

static void
on_sites(struct peering *p, const uint8_t *body, size_t len)
{
	struct sites sites;

	if (codec_decode_sites(body, len, &sites) != 0) {
		peering_refuse(p, "sent a malformed SITES");
		return;
	}
	if (p->handlers->sites != NULL)
		p->handlers->sites(p->arg, p, &sites);
	sites_fini(&sites);
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

/* What is said between HELLO and BYE. */
static void
on_established_message(struct peering *p, uint8_t type, const uint8_t *body, size_t len)
{
	switch (type) {
	case MESSAGE_KEY_READY:
		on_key_ready(p, body, len);
		break;
	case MESSAGE_LOAD:
		on_load(p, body, len);
		break;
	case MESSAGE_CLOSED:
		on_closed(p, body, len);
		break;
	case MESSAGE_PROBE:
		on_probe(p, body, len);
		break;
	case MESSAGE_SITES:
		on_sites(p, body, len);
		break;
	default:
		counter_add(p->parts->session.counters, COUNTER_messages_unknown, 1);
	}
}

static void
on_message(void *arg, struct session *session, uint8_t type, const uint8_t *body, size_t len)
{
	struct peering *p = arg;

	(void)session;
	if (type == MESSAGE_HELLO)
		peering_take_hello(p, body, len);
	else if (type == MESSAGE_BYE && p->said_hello)
		on_bye(p, body, len);
	else if (!p->info.established)
		peering_refuse(p, "did not say HELLO first");
	else
		on_established_message(p, type, body, len);
}

static void
on_opened(void *arg, struct session *session)
{
	struct peering *p = arg;
	char why[256];

	p->info.secured = true;
	if (!p->info.dialled)
		return;
	if (peering_verify(p, p->peer, why, sizeof(why)) != 0)
		session_close(session, "%s", why);
	else
		peering_say_hello(p);
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

static const struct session_handlers handlers_of_session = {on_opened, on_message, on_ended};

/* ---- life ---- */

static struct peering *
peering_new(const struct peering_parts *parts, const struct peering_handlers *handlers, void *arg)
{
	struct peering *p = xcalloc(1, sizeof(*p));

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
	return with_session(
	    p, session_dial(&parts->session, &peer->load, &source.ip, &handlers_of_session, p));
}

struct peering *
peering_accept(const struct peering_parts *parts, int fd, const struct addr *from,
    const struct peering_handlers *handlers, void *arg)
{
	struct peering *p = peering_new(parts, handlers, arg);

	return with_session(
	    p, session_accept(&parts->session, fd, from, &handlers_of_session, p));
}

void
peering_bye(struct peering *p, enum bye_reason reason)
{
	say_bye(p, reason,
	    reason == BYE_REPLACED || reason == BYE_IDLE ? bye_texts[reason] : "said BYE");
}

void
peering_free(struct peering *p)
{
	if (p == NULL)
		return;
	session_free(p->session);
	dispose(p);
}

bool
peering_is_revoked(const struct peering *p)
{
	struct ssl_st *ssl = session_tls(p->session);

	return ssl != NULL && tls_is_revoked(p->parts->session.tls, ssl);
}

const struct peering_info *
peering_info(const struct peering *p)
{
	return &p->info;
}

int
peering_certificate(const struct peering *p, uint8_t digest[KEYS_DIGEST_LEN])
{
	uint8_t own[KEYS_DIGEST_LEN];

	return tls_digests(session_tls(p->session), own, digest);
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
