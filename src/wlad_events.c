/*
 * wlad_events: what the loop, the load table, the load exchange and the datapath call while wlad runs:
 * each hands on what one part has found to the parts that are to know.
 */
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "wlad_internal.h"

/* A key's epoch ends by itself after so many packets; here, after so long. */
#define KEY_EPOCH (600 * CLOCK_SECOND)
/* How often keys of epochs that are over are looked for, to be wiped. */
#define KEY_EXPIRY (2 * CLOCK_SECOND)

static void
arm_expiry(struct wlad *w, uint64_t next, uint64_t now)
{
	uint64_t delay = next > now ? next - now : 0;

	if (delay > CLOCK_SECOND)
		delay = CLOCK_SECOND; /* connections opened meanwhile may expire earlier */
	loop_timer_set(w->expiry, delay);
}

static void
on_expiry(void *arg, uint64_t now)
{
	struct wlad *w = arg;
	uint64_t servers = load_table_attend(w->load, now); /* may end some that then expire */
	uint64_t expiry = datapath_expire(w->datapath, now);

	arm_expiry(w, servers < expiry ? servers : expiry, now);
}

/* Somebody removed it: a descriptor that stays in error would keep us busy for nothing. */
static void
give_up(struct wlad *w)
{
	log_error("device is gone device=%s", io_device_name(w->io));
	w->broken = true;
	loop_stop(w->loop);
}

static void
on_broken_queue(void *arg, uint64_t now)
{
	(void)now;
	give_up(arg);
}

static void
on_device(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct wlad *w = arg;

	(void)fd;
	(void)writable;
	if (readable && datapath_run_device(w->datapath, now) == -1)
		give_up(w);
}

static void
on_transfer(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct wlad *w = arg;

	(void)fd;
	(void)writable;
	if (readable && datapath_run_transfer(w->datapath, now) == -1)
		log_warn("transfer socket cannot be read");
}

static void
on_paths(void *arg, uint64_t now)
{
	struct wlad *w = arg;
	uint64_t next = datapath_probe_paths(w->datapath, now);

	loop_timer_set(w->paths, next > now ? next - now : 0);
}

static void
on_key_expiry(void *arg, uint64_t now)
{
	struct wlad *w = arg;

	keyring_expire(w->keyring, now);
	loop_timer_set(w->key_expiry, KEY_EXPIRY);
}

static void
on_key_epoch(void *arg, uint64_t now)
{
	struct wlad *w = arg;

	(void)now;
	keyring_next_epoch(w->keyring);
	loop_timer_set(w->key_epoch, KEY_EPOCH);
}

/* Their sessions are renewed, which says anew what our servers are. */
static void
on_tell(void *arg, uint64_t now)
{
	struct wlad *w = arg;

	(void)now;
	if (w->exchange != NULL)
		exchange_tell(w->exchange);
}

/* What the packets of clients have found out before any check. */
static void
log_passive(struct wlad *w, struct server *server)
{
	const char *service = load_table_service(w->load, server->service)->name;

	if (server->passive_told == server->passive_down)
		return;
	server->passive_told = server->passive_down;
	if (server->passive_down)
		log_change("server down service=%s server=%s cause=\"%s\" connections=%u",
		    service, server->name, signals_cause_text(server->signals.cause),
		    server->signals.unanswered);
	else if (server_is_up(server))
		log_change("server tried again service=%s server=%s", service, server->name);
}

static void
on_load_changed(void *arg, enum load_change change, uint32_t number)
{
	struct wlad *w = arg;
	struct server *server;

	if (change == LOAD_CHANGE_SERVER) {
		server = load_table_server(w->load, number);
		log_passive(w, server);
		if (w->datapath != NULL && server->ramp < LOAD_RAMP)
			loop_timer_set(w->expiry, 0);
		if (!server_is_up(server)) {
			datapath_server_down(w->datapath, number, loop_now(w->loop));
			loop_timer_set(w->expiry, 0);
		}
	}
	if (change == LOAD_CHANGE_SITE) {
		site_events_changed(w->site_events, number);
		if (w->paths != NULL)
			loop_timer_set(w->paths, 0); /* who has keys now is probed at once */
		if (w->exchange != NULL)
			exchange_site_changed(w->exchange, number);
	} else if (w->exchange != NULL)
		exchange_changed(w->exchange);
	manager_changed(w->manager);
}

static void
on_stopped(void *arg)
{
	struct wlad *w = arg;

	loop_stop(w->loop);
}

static void
on_terminate(void *arg, uint64_t now)
{
	struct wlad *w = arg;

	(void)now;
	if (w->stopping)
		return;
	w->stopping = true;
	log_info("stopping");
	notify_stopping(w->notify);
	if (w->exchange != NULL)
		exchange_stop(w->exchange, on_stopped, w);
	else
		loop_stop(w->loop);
}

static void
on_hangup(void *arg, uint64_t now)
{
	struct wlad *w = arg;
	char error[4096];
	int done = wlad_reload(w, error, sizeof(error)); /* which logs what it has to say */

	control_reloaded(w->control, done == 0 ? NULL : error, now);
}

void
wlad_probe_site(void *arg, uint32_t site)
{
	struct wlad *w = arg;

	datapath_probe_now(w->datapath, site, loop_now(w->loop));
	loop_timer_set(w->paths, 0);
}

int64_t
wlad_certificate_expiry(void *arg)
{
	const struct wlad *w = arg;

	return w->exchange != NULL ? exchange_certificate_expiry(w->exchange) : 0;
}

/* ---- between the load exchange and the datapath ---- */

static void
on_peer_closed(void *arg, uint32_t site, const struct connection_closed *entry)
{
	struct wlad *w = arg;

	datapath_peer_closed(w->datapath, site, entry, loop_now(w->loop));
}

static void
on_peer_seen(void *arg, uint32_t site, uint64_t id)
{
	struct wlad *w = arg;

	datapath_probe_seen(w->datapath, site, id, loop_now(w->loop));
}

static void
on_peer_forgotten(void *arg, uint32_t site)
{
	struct wlad *w = arg;

	datapath_site_lost(w->datapath, site, loop_now(w->loop));
	loop_timer_set(w->expiry, 0);
}

const struct exchange_handlers wlad_exchange_handlers = {
    .closed = on_peer_closed, .probe_seen = on_peer_seen, .forgotten = on_peer_forgotten};

static void
tell_closed(void *arg, uint32_t site, const struct connection_closed *entry)
{
	struct wlad *w = arg;

	if (w->exchange != NULL)
		exchange_closed(w->exchange, site, entry);
}

static void
tell_seen(void *arg, uint32_t site, uint64_t id)
{
	struct wlad *w = arg;

	if (w->exchange != NULL)
		exchange_probe_seen(w->exchange, site, id);
}

struct datapath_peers
wlad_datapath_peers(struct wlad *w)
{
	return (struct datapath_peers){.arg = w, .closed = tell_closed, .probe_seen = tell_seen};
}

/* ---- all of it together ---- */

static void
on_wanted(void *arg, uint32_t site)
{
	struct wlad *w = arg;

	if (w->exchange != NULL)
		exchange_wanted(w->exchange, site);
}

/* What packets need; a coordinator sees none. */
static void
connect_packets(struct wlad *w)
{
	int transfer = w->io->ops->transfer_fd(w->io);
	int demand = w->io->ops->demand_fd(w->io);

	w->device_fd = loop_fd_add_outside(
	    w->loop, w->io->ops->device_fd(w->io), true, false, on_device, w);
	if (transfer != -1)
		w->transfer_fd =
		    loop_fd_add_outside(w->loop, transfer, true, false, on_transfer, w);
	if (demand != -1)
		w->demand_fd = loop_fd_add_outside(w->loop, demand, true, false, on_transfer, w);
	w->broken_queue = loop_timer_new(w->loop, on_broken_queue, w);
	w->expiry = loop_timer_new(w->loop, on_expiry, w);
	loop_timer_set(w->expiry, CLOCK_SECOND);
	w->paths = loop_timer_new(w->loop, on_paths, w);
	loop_timer_set(w->paths, 0);
	w->key_expiry = loop_timer_new(w->loop, on_key_expiry, w);
	loop_timer_set(w->key_expiry, KEY_EXPIRY);
	w->key_epoch = loop_timer_new(w->loop, on_key_epoch, w);
	loop_timer_set(w->key_epoch, KEY_EPOCH);
	allocation_set_wanted(w->allocation, on_wanted, w);
}

void
wlad_connect(struct wlad *w)
{
	if (w->datapath != NULL)
		connect_packets(w);
	w->tell = loop_timer_new(w->loop, on_tell, w);
	w->signals[0] = loop_signal_add(w->loop, SIGTERM, on_terminate, w);
	w->signals[1] = loop_signal_add(w->loop, SIGINT, on_terminate, w);
	w->signals[2] = loop_signal_add(w->loop, SIGHUP, on_hangup, w);
	load_table_set_listener(w->load, on_load_changed, w);
}

static void
queue_broke(void *arg)
{
	struct wlad *w = arg;

	loop_timer_set(w->broken_queue, 0);
}

int
wlad_start_queues(struct wlad *w)
{
	struct queues_parts parts = {
	    .datapath = w->datapath, .guard = w->guard, .broken = queue_broke, .arg = w};

	if (w->queues == NULL)
		return 0;
	return queues_start(w->queues, &parts, w->error, sizeof(w->error));
}

void
wlad_disconnect(struct wlad *w)
{
	for (size_t i = 0; i < sizeof(w->signals) / sizeof(w->signals[0]); i++)
		loop_signal_free(w->signals[i]);
	loop_timer_free(w->tell);
	loop_timer_free(w->key_epoch);
	loop_timer_free(w->key_expiry);
	loop_timer_free(w->paths);
	loop_timer_free(w->expiry);
	loop_timer_free(w->broken_queue);
	loop_fd_free(w->demand_fd);
	loop_fd_free(w->transfer_fd);
	loop_fd_free(w->device_fd);
}
