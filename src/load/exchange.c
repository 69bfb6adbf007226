#include "load/exchange.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "load/exchange_internal.h"

#define EXPIRY_WARN (30 * 86400)        /* seconds */
#define CHANGED_GAP (CLOCK_SECOND / 10) /* between two reports */

static const struct exchange_handlers no_handlers;

/* ---- reporting ---- */

static enum peering_extent
extent_for(const struct peer *peer, const struct site *site)
{
	if (peer->kind == PEER_COORDINATOR)
		return PEERING_LOAD;
	if (site->introduced)
		return PEERING_BETWEEN;
	switch (config_reports_to(peer->exchange->parts.config, site->name)) {
	case CONFIG_REPORT_YES:
		return PEERING_LOAD;
	case CONFIG_REPORT_SENDERS:
		return peer->reports ? PEERING_LOAD : PEERING_PATH;
	case CONFIG_REPORT_NO:
		break;
	}
	return PEERING_PATH;
}

void
peer_report(struct peer *peer)
{
	const struct site *site = load_table_site(peer->exchange->parts.table, peer->site);

	if (peer->current == NULL)
		return;
	peering_report(peer->current, extent_for(peer, site));
	peer_closed_measure(peer);
	peer->told_mtu = site->path_mtu;
	peer->told_direct = site->direct_out;
}

static void
on_report(void *arg, uint64_t now)
{
	struct exchange *x = arg;

	x->reported_at = now;
	if (x->coordinator != NULL)
		coordinator_speak(x);
	for (size_t i = 0; i < x->peers_count && x->coordinator == NULL; i++) {
		peer_end_if_idle(x->peers[i]);
		peer_report(x->peers[i]);
	}
	loop_timer_set(
	    x->report_timer, (uint64_t)(x->parts.config->load.interval * (double)CLOCK_SECOND));
}

void
exchange_changed(struct exchange *x)
{
	uint64_t now = exchange_now(x), next = x->reported_at + CHANGED_GAP;

	if (x->report_timer != NULL && !x->stopping)
		loop_timer_set(x->report_timer, next > now ? next - now : 0);
}

void
exchange_site_changed(struct exchange *x, uint32_t number)
{
	const struct site *site = load_table_site(x->parts.table, number);
	const struct peer *peer = exchange_peer(x, number);

	if (peer != NULL && peer->current != NULL &&
	    (peer->told_mtu != site->path_mtu || peer->told_direct != site->direct_out))
		exchange_changed(x);
}

void
exchange_closed(struct exchange *x, uint32_t site, const struct connection_closed *entry)
{
	struct peer *peer = exchange_peer(x, site);

	if (peer != NULL && ip_is_v4(&entry->client.ip) == ip_is_v4(&entry->service.ip))
		peer_closed_add(peer, entry);
}

void
exchange_probe_seen(struct exchange *x, uint32_t site, uint64_t id)
{
	struct peer *peer = exchange_peer(x, site);

	if (peer != NULL && peer->current != NULL &&
	    ratelimit_take(&peer->probes, exchange_now(x)))
		peering_send_probe(peer->current, id);
}

/* ---- life ---- */

static int
add_peers(struct exchange *x, const struct config_peer *list, size_t count, enum peer_kind kind,
    char *error, size_t error_size)
{
	for (size_t i = 0; i < count; i++) {
		struct peer *peer = peer_new(x, &list[i], kind);

		if (peer == NULL) {
			snprintf(error, error_size,
			    "peer \"%s\" has no place in the load table", list[i].site);
			return -1;
		}
		if (!peer_is_dialled(peer) && x->parts.config->load.listen.port == 0)
			log_warnx("peer is to dial us, but load.listen is not set site=%s",
			    peer->config->site);
	}
	return 0;
}

static int
add_all(struct exchange *x, char *error, size_t error_size)
{
	const struct config *config = x->parts.config;

	if (add_peers(
		x, config->peers, config->peers_count, PEER_CONFIGURED, error, error_size) != 0)
		return -1;
	return add_peers(x, config->load.coordinators, config->load.coordinators_count,
	    PEER_COORDINATOR, error, error_size);
}

static void
warn_certificate(const struct exchange *x)
{
	const struct tls *tls = x->parts.session.tls;
	int64_t left = tls_expiry(tls) - (int64_t)time(NULL);
	char text[1024];

	if (tls_check_own(tls, x->parts.config->site, text, sizeof(text)) != 0)
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
	struct exchange *x = xcalloc(1, sizeof(*x));

	x->parts.session.loop = parts->loop;
	x->parts.session.counters = parts->counters;
	x->parts.config = parts->config;
	x->parts.table = parts->table;
	x->parts.keyring = parts->keyring;
	random_system(&x->parts.boot_id, sizeof(x->parts.boot_id));
	x->random = parts->random;
	x->handlers = parts->handlers != NULL ? parts->handlers : &no_handlers;
	x->handlers_arg = parts->handlers_arg;
	x->stop_timer = loop_timer_new(parts->loop, on_stop, x);
	exchange_sites_init(x);
	return x;
}

static struct tls *
load_tls(const struct config *config, char *error, size_t error_size)
{
	const struct tls_files files = {
	    config->load.certificate, config->load.key, config->load.ca, config->load.crl};

	return tls_new(&files, error, error_size);
}

struct exchange *
exchange_new(const struct exchange_parts *parts, char *error, size_t error_size)
{
	const struct config *config = parts->config;
	struct exchange *x = exchange_alloc(parts);

	if (!config_exchanges(config))
		return x;
	signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of write(2), no more */
	x->report_timer = loop_timer_new(parts->loop, on_report, x);
	x->parts.session.tls = load_tls(config, error, error_size);
	if (x->parts.session.tls == NULL || add_all(x, error, error_size) != 0 ||
	    (config->load.listen.port != 0 &&
		exchange_listen(x, &config->load.listen, error, error_size) != 0)) {
		exchange_free(x);
		return NULL;
	}
	warn_certificate(x);
	loop_timer_set(x->report_timer, 0);
	return x;
}

static const struct config_peer *
find_config(const struct config_peer *list, size_t count, const char *site)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].site, site) == 0)
			return &list[i];
	return NULL;
}

/* What a peer is under a new configuration; NULL if it is none any more. */
static const struct config_peer *
config_of(const struct peer *peer, const struct config *config)
{
	const struct config_peer *configured =
	    find_config(config->peers, config->peers_count, peer->config->site);
	const struct config_peer *coordinator = find_config(
	    config->load.coordinators, config->load.coordinators_count, peer->config->site);

	switch (peer->kind) {
	case PEER_CONFIGURED:
		return configured;
	case PEER_COORDINATOR:
		return coordinator;
	case PEER_ENTERED:
		break;
	}
	if (configured != NULL || coordinator != NULL ||
	    (config->load.coordinators_count == 0 && !config->load.accept_unknown))
		return NULL;
	return &peer->own;
}

static void
add_new(struct exchange *x, const struct config_peer *list, size_t count, enum peer_kind kind)
{
	size_t known = x->peers_count;

	for (size_t i = 0; i < count; i++) {
		bool old = false;

		for (size_t k = 0; k < known; k++)
			old |= x->peers[k]->config == &list[i];
		if (!old)
			peer_new(x, &list[i], kind);
	}
}

/* Dismisses, renews, and makes what is new.  The load table has a place for each. */
static void
change_peers(struct exchange *x, const struct config *config)
{
	size_t count = x->peers_count, kept = 0, gone = 0;
	struct peer **dismissed = xcalloc(count, sizeof(dismissed[0]));

	for (size_t i = 0; i < count; i++) {
		struct peer *peer = x->peers[i];

		if (config_of(peer, config) == NULL)
			dismissed[gone++] = peer;
		else
			x->peers[kept++] = peer;
	}
	x->peers_count = kept;
	for (size_t i = 0; i < gone; i++)
		peer_dismiss(dismissed[i]);
	free(dismissed);
	for (size_t i = 0; i < kept; i++)
		peer_renew(x->peers[i], config_of(x->peers[i], config));
	add_new(x, config->peers, config->peers_count, PEER_CONFIGURED);
	add_new(x, config->load.coordinators, config->load.coordinators_count, PEER_COORDINATOR);
}

int
exchange_reload(struct exchange *x, const struct config *config, char *error, size_t error_size)
{
	struct tls *tls = NULL;
	int result = 0;

	if (config_exchanges(config)) {
		tls = load_tls(config, error, error_size);
		result = tls != NULL ? 0 : -1;
	}
	/* without peers the listener goes on, and needs something to refuse strangers with */
	if (tls != NULL) {
		tls_free(x->parts.session.tls);
		x->parts.session.tls = tls;
	}
	x->parts.config = config;
	if (tls != NULL && config->load.crl != NULL)
		for (size_t i = 0; i < x->peers_count; i++)
			peer_judge(x->peers[i]);
	change_peers(x, config);
	if (tls != NULL)
		warn_certificate(x);
	return result;
}

void
exchange_tell(struct exchange *x)
{
	change_peers(x, x->parts.config);
}

void
exchange_stop(struct exchange *x, void (*done)(void *arg), void *arg)
{
	x->stopping = true;
	x->stopped = done;
	x->stopped_arg = arg;
	exchange_listen_stop(x);
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
	exchange_listen_fini(x);
	for (size_t i = 0; i < x->peerings_count; i++)
		peering_free(x->peerings[i]);
	for (size_t i = 0; i < x->peers_count; i++)
		peer_free(x->peers[i]);
	exchange_sites_fini(x);
	loop_timer_free(x->report_timer);
	loop_timer_free(x->stop_timer);
	tls_free(x->parts.session.tls);
	free(x->peers);
	free(x->peerings);
	free(x);
}

int64_t
exchange_certificate_expiry(const struct exchange *x)
{
	return x->parts.session.tls != NULL ? tls_expiry(x->parts.session.tls) : 0;
}

int
exchange_check_files(const struct config *config, char *error, size_t error_size)
{
	struct tls *tls;
	int ret;

	if (!config_exchanges(config))
		return 0;
	tls = load_tls(config, error, error_size);
	if (tls == NULL)
		return -1;
	ret = tls_check_own(tls, config->site, error, error_size);
	tls_free(tls);
	return ret;
}
