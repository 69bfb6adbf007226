#include "load/exchange.h"

#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "load/peering.h"

#define HANDSHAKES_MAX  64 /* accepted and not established, at a time ... */
#define HANDSHAKES_KEPT 16 /* ... these many of them for addresses of peers only */
#define BACKOFF_MIN     (CLOCK_SECOND / 2)
#define BACKOFF_MAX     (15 * CLOCK_SECOND)
#define LIVED           (10 * CLOCK_SECOND)   /* a session this old was a good one */
#define STOP_PAUSE      (2 * CLOCK_SECOND)    /* no dial after the peer's BYE */
#define RENEW           (3600 * CLOCK_SECOND) /* a new session, for new keys */
#define RENEW_SPREAD    300000                /* ms; not all sites at once */
#define HOLD            (10 * CLOCK_SECOND)   /* keys of a session that another one follows */
#define CHANGED_GAP     (CLOCK_SECOND / 10)   /* between two reports */
#define ACCEPT_PAUSE    CLOCK_SECOND          /* when descriptors have run out */
#define EXPIRY_WARN     (30 * 86400)

/* One configured peer. */
struct peer {
	struct exchange *exchange;
	const struct config_peer *config;
	uint32_t site;
	struct peering *current;  /* established */
	struct peering *dialling; /* by us, not established */
	struct loop_timer *dial_timer;
	uint64_t backoff;
	uint64_t since;   /* when current was established */
	uint64_t boot_id; /* of the current session, or the one before */
	bool failing;     /* its last dial failed and was logged */

	/* A session has ended that another is to follow: its receive key, and until then its
	 * transmit key and the site's state, stay. */
	uint32_t held;
	struct loop_timer *hold_timer;
};

struct exchange {
	struct peering_parts parts; /* first: peerings point to it */
	struct random *random;
	struct peer **peers;
	size_t peers_count;
	struct peering **peerings; /* all that have not ended */
	size_t peerings_count;
	struct evconnlistener *listener;
	struct loop_timer *accept_timer;
	struct loop_timer *report_timer;
	uint64_t reported_at;
	bool stopping;
	struct loop_timer *stop_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static const struct peering_handlers handlers;

static uint64_t
now_of(const struct exchange *x)
{
	return loop_now(x->parts.session.loop);
}

static void
count(struct exchange *x, enum counter counter)
{
	counter_add(x->parts.session.counters, counter, 1);
}

static struct peer *
peer_of(struct exchange *x, uint32_t site)
{
	for (size_t i = 0; i < x->peers_count; i++)
		if (x->peers[i]->site == site)
			return x->peers[i];
	return NULL;
}

/* True if we are the one who dials. */
static bool
dials(const struct peer *peer)
{
	return strcmp(peer->exchange->parts.config->site, peer->config->site) < 0;
}

static void
enter_peering(struct exchange *x, struct peering *p)
{
	x->peerings = xrealloc_array(x->peerings, x->peerings_count + 1, sizeof x->peerings[0]);
	x->peerings[x->peerings_count++] = p;
}

static void
remove_peering(struct exchange *x, const struct peering *p)
{
	for (size_t i = 0; i < x->peerings_count; i++) {
		if (x->peerings[i] != p)
			continue;
		x->peerings[i] = x->peerings[--x->peerings_count];
		return;
	}
}

/* ---- dialling ---- */

static void
dial_in(struct peer *peer, uint64_t delay)
{
	if (dials(peer) && !peer->exchange->stopping)
		loop_timer_set(peer->dial_timer, delay);
}

/* After a failure: half a second, doubled each time up to 15, half to one and a half of that. */
static void
dial_later(struct peer *peer)
{
	double jitter = 0.5 + random_unit(peer->exchange->random);

	dial_in(peer, (uint64_t)((double)peer->backoff * jitter));
	peer->backoff = peer->backoff * 2 < BACKOFF_MAX ? peer->backoff * 2 : BACKOFF_MAX;
}

static void
dial_failed(struct peer *peer, const char *why)
{
	struct load_table *table = peer->exchange->parts.table;
	const struct site *site = load_table_site(table, peer->site);
	char address[ADDR_TEXT];

	addr_format(&peer->config->load, address);
	if (!peer->failing || site->last_error == NULL || strcmp(site->last_error, why) != 0)
		log_warnx("no session to peer, tries again site=%s address=%s reason=\"%s\"",
		    peer->config->site, address, why);
	peer->failing = true;
	load_table_site_error(table, peer->site, "%s", why);
	dial_later(peer);
}

static void
on_dial(void *arg, uint64_t now)
{
	struct peer *peer = arg;
	struct exchange *x = peer->exchange;

	if (peer->dialling != NULL)
		return;
	peer->dialling = peering_dial(&x->parts, peer->config, &handlers, x);
	if (peer->dialling == NULL) {
		dial_failed(peer, strerror(errno));
		return;
	}
	enter_peering(x, peer->dialling);
	if (load_table_site(x->parts.table, peer->site)->session == SITE_NO_SESSION)
		load_table_site_session(x->parts.table, peer->site, SITE_CONNECTING, now);
}

/* ---- sessions come and go ---- */

static void
forget_tx(struct peer *peer)
{
	struct exchange *x = peer->exchange;

	keyring_set_tx(x->parts.keyring, (uint16_t)peer->site, NULL);
	load_table_site_keys(x->parts.table, peer->site, false, now_of(x));
}

/* No session, and none that was to follow. */
static void
peer_down(struct peer *peer)
{
	struct exchange *x = peer->exchange;

	forget_tx(peer);
	load_table_site_session(x->parts.table, peer->site, SITE_NO_SESSION, now_of(x));
}

static void
release_held(struct peer *peer)
{
	loop_timer_cancel(peer->hold_timer);
	if (peer->held != 0)
		keyring_remove(peer->exchange->parts.keyring, peer->held);
	peer->held = 0;
}

static void
on_hold(void *arg, uint64_t now)
{
	struct peer *peer = arg;

	(void)now;
	release_held(peer);
	if (peer->current == NULL)
		peer_down(peer);
}

/* The current session ends and another follows: what was sealed for its key is still opened. */
static void
hold(struct peer *peer)
{
	release_held(peer);
	peer->held = peering_take_index(peer->current);
	peer->current = NULL;
	loop_timer_set(peer->hold_timer, HOLD);
}

static void
on_established(void *arg, struct peering *p)
{
	struct exchange *x = arg;
	const struct peering_info *info = peering_info(p);
	struct peer *peer = peer_of(x, info->site);
	struct peering *old;
	char address[ADDR_TEXT];

	if (peer == NULL || x->stopping) {
		peering_bye(p, BYE_STOP);
		return;
	}
	if (p == peer->dialling)
		peer->dialling = NULL;
	old = peer->current;
	if (old != NULL) {
		hold(peer);
		peering_bye(old, BYE_REPLACED);
	}
	/* started anew, or does not take transfers any more: the key to it is no good */
	if (info->boot_id != peer->boot_id || info->offered == 0)
		forget_tx(peer);
	peer->boot_id = info->boot_id;
	peer->current = p;
	peer->since = now_of(x);
	peer->failing = false;
	dial_in(peer, RENEW - random_below(x->random, RENEW_SPREAD) * CLOCK_MILLISECOND);
	count(x, COUNTER_sessions_opened);
	load_table_site_session(x->parts.table, peer->site, SITE_SESSION, peer->since);
	log_info("session up site=%s address=%s dialled=%s replaces=%s", peer->config->site,
	    addr_format(peering_address(p), address), info->dialled ? "yes" : "no",
	    old != NULL ? "yes" : "no");
}

/* The session that was in use has ended. */
static void
current_ended(struct peer *peer, const struct peering_info *info, const char *why)
{
	bool another = info->said_bye == BYE_REPLACED || info->said_bye == BYE_RESTART;

	if (now_of(peer->exchange) - peer->since >= LIVED)
		peer->backoff = BACKOFF_MIN;
	if (info->said_bye == BYE_REPLACED && peer->dialling == NULL)
		log_warnx("session replaced by none of ours, does another daemon use the name of "
		    "this site? site=%s", peer->config->site);
	load_table_site_error(peer->exchange->parts.table, peer->site, "%s", why);
	if (another) {
		hold(peer);
	} else {
		peer->current = NULL;
		peer_down(peer);
	}
	if (peer->dialling != NULL)
		return;
	if (info->said_bye == BYE_RESTART)
		dial_in(peer, 0);
	else if (info->said_bye == BYE_STOP)
		dial_in(peer, STOP_PAUSE);
	else
		dial_later(peer);
}

static void
log_ended(struct exchange *x, struct peering *p, const char *why)
{
	const struct peering_info *info = peering_info(p);
	const struct site *site = load_table_site(x->parts.table, info->site);
	const char *name = site != NULL ? site->name : "unknown";
	char address[ADDR_TEXT];

	addr_format(peering_address(p), address);
	if (info->established) {
		count(x, COUNTER_sessions_lost);
		log_info("session ended site=%s address=%s reason=\"%s\"", name, address, why);
	} else if (!info->dialled || info->secured) {
		count(x, COUNTER_sessions_refused);
		log_warnx("session refused site=%s address=%s dialled=%s reason=\"%s\"", name,
		    address, info->dialled ? "yes" : "no", why);
	}
}

static void
on_ended(void *arg, struct peering *p, const char *why)
{
	struct exchange *x = arg;
	const struct peering_info *info = peering_info(p);
	struct peer *peer = peer_of(x, info->site);

	log_ended(x, p, why);
	remove_peering(x, p);
	if (peer != NULL && p == peer->current) {
		current_ended(peer, info, why);
	} else if (peer != NULL && p == peer->dialling) {
		peer->dialling = NULL;
		if (load_table_site(x->parts.table, peer->site)->session == SITE_CONNECTING)
			peer_down(peer);
		dial_failed(peer, why);
	}
	if (x->stopping && x->peerings_count == 0)
		loop_timer_set(x->stop_timer, 0);
}

static const struct peering_handlers handlers = { on_established, on_ended };

/* ---- listening ---- */

static bool
is_peer_ip(const struct exchange *x, const struct ip *ip)
{
	for (size_t i = 0; i < x->peers_count; i++)
		if (ip_equal(&x->peers[i]->config->load.ip, ip))
			return true;
	return false;
}

/* Strangers cannot take all places from peers. */
static bool
has_place(const struct exchange *x, const struct addr *from)
{
	size_t opening = 0;

	for (size_t i = 0; i < x->peerings_count; i++) {
		const struct peering_info *info = peering_info(x->peerings[i]);

		opening += !info->dialled && !info->established;
	}
	return opening < HANDSHAKES_MAX - HANDSHAKES_KEPT ||
	    (opening < HANDSHAKES_MAX && is_peer_ip(x, &from->ip));
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int len,
    void *arg)
{
	struct exchange *x = arg;
	struct addr from;
	char address[ADDR_TEXT];
	struct peering *p;

	(void)listener;
	(void)len;
	if (addr_from_sockaddr(sa, &from) != 0) {
		evutil_closesocket(fd);
		return;
	}
	if (!has_place(x, &from)) {
		evutil_closesocket(fd);
		count(x, COUNTER_sessions_refused);
		log_warnx("session refused, too many handshakes at a time address=%s",
		    addr_format(&from, address));
		return;
	}
	p = peering_accept(&x->parts, fd, &from, &handlers, x);
	if (p != NULL)
		enter_peering(x, p);
}

/* Most likely no descriptor is free: trying again at once would only burn time. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct exchange *x = arg;

	log_warn("cannot accept sessions, pausing");
	evconnlistener_disable(listener);
	loop_timer_set(x->accept_timer, ACCEPT_PAUSE);
}

static void
on_accept_again(void *arg, uint64_t now)
{
	struct exchange *x = arg;

	(void)now;
	if (x->listener != NULL)
		evconnlistener_enable(x->listener);
}

static int
listen_on(struct exchange *x, const struct addr *address, char *error, size_t error_size)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(address, &ss);
	char text[ADDR_TEXT];

	x->listener = evconnlistener_new_bind(loop_base(x->parts.session.loop), on_accept, x,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, -1,
	    (struct sockaddr *)&ss, (int)len);
	if (x->listener == NULL) {
		snprintf(error, error_size, "load.listen: cannot listen on %s: %s",
		    addr_format(address, text), strerror(errno));
		return -1;
	}
	evconnlistener_set_error_cb(x->listener, on_accept_error);
	return 0;
}

/* ---- reporting ---- */

static void
on_report(void *arg, uint64_t now)
{
	struct exchange *x = arg;

	x->reported_at = now;
	for (size_t i = 0; i < x->peers_count; i++)
		if (x->peers[i]->current != NULL)
			peering_report(x->peers[i]->current);
	loop_timer_set(x->report_timer,
	    (uint64_t)(x->parts.config->load.interval * (double)CLOCK_SECOND));
}

void
exchange_changed(struct exchange *x)
{
	uint64_t now = now_of(x), next = x->reported_at + CHANGED_GAP;

	if (x->report_timer != NULL && !x->stopping)
		loop_timer_set(x->report_timer, next > now ? next - now : 0);
}

/* ---- life ---- */

static struct peer *
peer_new(struct exchange *x, const struct config_peer *config)
{
	struct peer *peer = xcalloc(1, sizeof *peer);
	struct loop *loop = x->parts.session.loop;

	peer->exchange = x;
	peer->config = config;
	peer->site = load_table_find_site(x->parts.table, config->site);
	peer->backoff = BACKOFF_MIN;
	peer->dial_timer = loop_timer_new(loop, on_dial, peer);
	peer->hold_timer = loop_timer_new(loop, on_hold, peer);
	return peer;
}

static void
peer_free(struct peer *peer)
{
	release_held(peer);
	peer_down(peer);
	loop_timer_free(peer->dial_timer);
	loop_timer_free(peer->hold_timer);
	free(peer);
}

static int
add_peers(struct exchange *x, char *error, size_t error_size)
{
	const struct config *config = x->parts.config;

	x->peers = xcalloc(config->peers_count, sizeof x->peers[0]);
	for (size_t i = 0; i < config->peers_count; i++) {
		const struct config_peer *p = &config->peers[i];

		if (load_table_find_site(x->parts.table, p->site) > UINT16_MAX) {
			snprintf(error, error_size, "peer \"%s\" has no place in the load table",
			    p->site);
			return -1;
		}
		x->peers[x->peers_count] = peer_new(x, p);
		if (!dials(x->peers[x->peers_count]) && config->load.listen.port == 0)
			log_warnx("peer is to dial us, but load.listen is not set site=%s",
			    p->site);
		dial_in(x->peers[x->peers_count++], 0);
	}
	return 0;
}

static void
warn_certificate(const struct exchange *x)
{
	const struct tls *tls = x->parts.session.tls;
	int64_t left = tls_expiry(tls) - (int64_t)time(NULL);
	char text[1024];

	if (tls_check_own(tls, x->parts.config->site, text, sizeof text) != 0)
		log_warnx("%s", text);
	else if (left < EXPIRY_WARN)
		log_warnx("own certificate expires soon file=%s days=%d",
		    x->parts.config->load.certificate, (int)(left / 86400));
}

static void
on_stop(void *arg, uint64_t now)
{
	struct exchange *x = arg;

	(void)now;
	x->stopped(x->stopped_arg);
}

static struct exchange *
exchange_alloc(const struct exchange_parts *parts)
{
	struct exchange *x = xcalloc(1, sizeof *x);

	x->parts.session.loop = parts->loop;
	x->parts.session.counters = parts->counters;
	x->parts.config = parts->config;
	x->parts.table = parts->table;
	x->parts.keyring = parts->keyring;
	random_system(&x->parts.boot_id, sizeof x->parts.boot_id);
	x->random = parts->random;
	x->stop_timer = loop_timer_new(parts->loop, on_stop, x);
	return x;
}

struct exchange *
exchange_new(const struct exchange_parts *parts, char *error, size_t error_size)
{
	const struct config *config = parts->config;
	struct exchange *x = exchange_alloc(parts);

	if (config->peers_count == 0)
		return x;
	signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of write(2), no more */
	x->accept_timer = loop_timer_new(parts->loop, on_accept_again, x);
	x->report_timer = loop_timer_new(parts->loop, on_report, x);
	x->parts.session.tls = tls_new(config->load.certificate, config->load.key,
	    config->load.ca, error, error_size);
	if (x->parts.session.tls == NULL || add_peers(x, error, error_size) != 0 ||
	    (config->load.listen.port != 0 &&
	    listen_on(x, &config->load.listen, error, error_size) != 0)) {
		exchange_free(x);
		return NULL;
	}
	warn_certificate(x);
	loop_timer_set(x->report_timer, 0);
	return x;
}

void
exchange_stop(struct exchange *x, void (*done)(void *arg), void *arg)
{
	x->stopping = true;
	x->stopped = done;
	x->stopped_arg = arg;
	if (x->listener != NULL)
		evconnlistener_disable(x->listener);
	for (size_t i = 0; i < x->peers_count; i++)
		loop_timer_cancel(x->peers[i]->dial_timer);
	for (size_t i = 0; i < x->peerings_count; i++)
		peering_bye(x->peerings[i], BYE_STOP);
	loop_timer_set(x->stop_timer, x->peerings_count == 0 ? 0 : SESSION_FINISH_NS);
}

void
exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	if (x->listener != NULL)
		evconnlistener_free(x->listener);
	for (size_t i = 0; i < x->peerings_count; i++)
		peering_free(x->peerings[i]);
	for (size_t i = 0; i < x->peers_count; i++)
		peer_free(x->peers[i]);
	loop_timer_free(x->accept_timer);
	loop_timer_free(x->report_timer);
	loop_timer_free(x->stop_timer);
	tls_free(x->parts.session.tls);
	free(x->peers);
	free(x->peerings);
	free(x);
}

int
exchange_check_files(const struct config *config, char *error, size_t error_size)
{
	struct tls *tls;
	int ret;

	if (config->peers_count == 0)
		return 0;
	tls = tls_new(config->load.certificate, config->load.key, config->load.ca, error,
	    error_size);
	if (tls == NULL)
		return -1;
	ret = tls_check_own(tls, config->site, error, error_size);
	tls_free(tls);
	return ret;
}
