/*
 * datapath_path: the transfer paths to other sites: liveness and path MTU by messages that are
 * sealed and sent like client packets; and which sites are given up.
 *
 * transfer/path.h decides; here is what it takes to send, to answer, and to tell the load table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "datapath_internal.h"
#include "datapath_path.h"
#include "packet/packet.h"

/* Messages that are sent to a site in one go at most: a search that the socket answers at once. */
#define BURST 64

/* A liveness message to the port for demands is told from others by its size. */
#define DEMAND_MESSAGE_LEN (PATH_MESSAGE_LEN + 1)

/* Half of the buffer holds the sealed message, half its padding. */
#define SEALED_MAX (SEAL_BUFFER / 2)

_Static_assert(SEALED_MAX > UINT16_MAX, "the largest message has no room");

/* ---- sending ---- */

static uint32_t
overhead(const struct site *site)
{
	return ip_is_v4(&site->transfer.ip) ? TRANSFER_OVERHEAD_V4 : TRANSFER_OVERHEAD_V6;
}

/* A message of len octets of which the first are head, the rest zero.  0, or -1 with errno. */
static int
send_message(struct datapath *dp, uint32_t number, const struct addr *to,
    enum transfer_type type, const uint8_t head[PATH_MESSAGE_LEN], size_t len)
{
	struct transfer_tx *tx = keyring_tx(dp->keyring, (uint16_t)number);
	const struct transfer_info info = {0};
	uint8_t *padding = dp->lane->sealed + SEALED_MAX;
	size_t sealed = 0;

	datapath_send_sealed(dp); /* the buffer is wanted */
	memset(padding, 0, len - PATH_MESSAGE_LEN);
	if (tx != NULL)
		sealed = transfer_seal(tx, type, &info, head, PATH_MESSAGE_LEN, padding,
		    len - PATH_MESSAGE_LEN, dp->lane->sealed, SEALED_MAX);
	if (sealed == 0) {
		errno = ENOKEY;
		return -1;
	}
	if (dp->lane->io->ops->transfer_send(
		dp->lane->io, to, dp->lane->sealed, sealed, sealed) == -1)
		return -1;
	counter_add(dp->counters, COUNTER_path_messages_out, 1);
	return 0;
}

/* Whether it left or not: one that did not is missed like one that was lost on its way. */
static void
send_path(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	const struct site *site = load_table_site(dp->load, number);
	struct path_message message;
	uint8_t head[PATH_MESSAGE_LEN];

	for (int i = 0; i < BURST && path_next(&dpath->path, now, &message); i++) {
		size_t len = message.size == 0 ? PATH_MESSAGE_LEN : message.size - overhead(site);

		path_encode(message.sequence, 0, head);
		if (send_message(dp, number, &dpath->to, TRANSFER_PROBE, head, len) == -1 &&
		    errno == EMSGSIZE && message.size != 0)
			path_too_big(&dpath->path, message.size, now);
	}
}

static void
send_demand(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	struct addr to = {dpath->to.ip, dpath->demand_port};
	struct path_message message;
	uint8_t head[PATH_MESSAGE_LEN];

	while (path_next(&dpath->demand, now, &message)) {
		path_encode(message.sequence, 0, head);
		send_message(dp, number, &to, TRANSFER_PROBE, head, DEMAND_MESSAGE_LEN);
	}
}

static void
send_due(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	uint64_t demand;

	send_path(dp, number, dpath, now);
	dpath->due = path_due(&dpath->path);
	if (dpath->demand_port == 0)
		return;
	send_demand(dp, number, dpath, now);
	demand = path_due(&dpath->demand);
	if (demand < dpath->due)
		dpath->due = demand;
}

/* ---- what is known of a path, for all to see ---- */

/* Nothing new can be sent there unless both its ports can be reached. */
static enum site_path
state_of(const struct datapath_path *dpath)
{
	if (dpath->demand_port == 0 || dpath->path.state == SITE_PATH_LOST)
		return dpath->path.state;
	if (dpath->demand.state == SITE_PATH_ALIVE)
		return dpath->path.state;
	return dpath->demand.state;
}

static void
say_state(const struct site *site, const struct datapath_path *dpath, enum site_path state)
{
	struct addr to = dpath->to;
	char text[ADDR_TEXT];

	if (state == SITE_PATH_LOST && dpath->path.state != SITE_PATH_LOST)
		to.port = dpath->demand_port;
	addr_format(&to, text);
	if (state == SITE_PATH_ALIVE)
		log_change("transfer path is alive site=%s address=%s", site->name, text);
	else if (state == SITE_PATH_LOST)
		log_warnx("transfer path is lost site=%s address=%s", site->name, text);
}

static void
publish(struct datapath *dp, uint32_t number, const struct datapath_path *dpath, uint64_t now)
{
	struct site *site = load_table_site(dp->load, number);
	const struct path *path = &dpath->path;
	enum site_path state = state_of(dpath);
	uint32_t mtu = path_mtu(path);

	if (site->path_mtu != mtu && mtu != 0)
		log_info("transfer path takes packets of site=%s mtu=%u", site->name, mtu);
	load_table_site_set_mtu(dp->load, number, mtu);
	site->path_rtt = path_rtt(path);
	site->path_loss = path_loss(path, now);
	site->path_answered = path->answered_at;
	site->mtu_confirmed = path->confirmed_at;
	if (site->path == state)
		return;
	say_state(site, dpath, state);
	load_table_site_set_path(dp->load, number, state, now);
}

/* Nothing can be sealed for the site: nothing is known of its path either. */
static void
forget(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	struct site *site = load_table_site(dp->load, number);

	if (!dpath->running)
		return;
	dpath->running = false;
	load_table_site_set_mtu(dp->load, number, 0);
	site->path_rtt = site->path_loss = 0;
	datapath_direct_forget(dp, number);
	load_table_site_set_path(dp->load, number, SITE_PATH_UNKNOWN, now);
}

/* ---- sites that are given up ---- */

/* When the site last said anything in a load exchange that is still going on, or at all. */
static uint64_t
reported_at(const struct site *site)
{
	uint64_t at = site->session == SITE_SESSION ? site->session_since : 0;

	for (size_t i = 0; i < site->services_count; i++) {
		if (site->services[i].received_at > at)
			at = site->services[i].received_at;
	}
	return at;
}

/* Without session, and nothing heard by transfer packets either: its connections are over. */
static void
judge_given_up(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	const struct site *site = load_table_site(dp->load, number);
	uint64_t reported = reported_at(site);
	uint64_t limit = (uint64_t)(dp->config->transfer.give_up * CLOCK_SECOND);
	uint64_t heard = site->heard_at > reported ? site->heard_at : reported;

	if (heard > dpath->alive_at) {
		dpath->alive_at = heard;
		dpath->given_up = false;
	}
	if (dpath->alive_at == 0 || dpath->given_up || site->session == SITE_SESSION)
		return;
	if (now - dpath->alive_at < limit)
		return;
	dpath->given_up = true;
	log_warnx("site is given up: nothing heard of it site=%s seconds=%.0f", site->name,
	    (double)(now - dpath->alive_at) / CLOCK_SECOND);
	datapath_site_lost(dp, number, now);
}

/* ---- the timer ---- */

static void
make_room(struct datapath *dp)
{
	size_t count = load_table_sites(dp->load);

	if (count <= dp->paths_count)
		return;
	dp->paths = xrealloc_array(dp->paths, count, sizeof(*dp->paths));
	while (dp->paths_count < count)
		dp->paths[dp->paths_count++] = xcalloc(1, sizeof(**dp->paths));
}

static bool
can_be_reached(struct datapath *dp, uint32_t number)
{
	const struct site *site = load_table_site(dp->load, number);
	const struct transfer_tx *tx = keyring_tx(dp->keyring, (uint16_t)number);

	return site->present && tx != NULL && transfer_tx_usable(tx);
}

/* Begins with a path, again if it leads elsewhere now. */
static void
begin(struct datapath *dp, uint32_t number, struct datapath_path *dpath, uint64_t now)
{
	const struct site *site = load_table_site(dp->load, number);

	if (!dpath->running || !addr_equal(&dpath->to, &site->transfer)) {
		forget(dp, number, dpath, now);
		dpath->running = true;
		dpath->to = site->transfer;
		dpath->demand_port = 0;
		path_init(&dpath->path, dp->config->transfer.mtu,
		    (uint32_t)random_next(dp->random), now);
	}
	path_set_max(&dpath->path, dp->config->transfer.mtu, now);
	if (dpath->demand_port == site->demand_port)
		return;
	dpath->demand_port = site->demand_port;
	path_init(&dpath->demand, 0, (uint32_t)random_next(dp->random), now);
}

/* Returns when the site is to be looked at again. */
static uint64_t
probe_site(struct datapath *dp, uint32_t number, uint64_t now)
{
	struct datapath_path *dpath = dp->paths[number];
	uint64_t direct;

	/* many sites, each at its own time: who has nothing to do costs nothing */
	if (dpath->running && now < dpath->due)
		return dpath->due;
	judge_given_up(dp, number, dpath, now);
	dpath->looked_at = now;
	if (!can_be_reached(dp, number)) {
		forget(dp, number, dpath, now);
		return now + PATH_INTERVAL;
	}
	begin(dp, number, dpath, now);
	send_due(dp, number, dpath, now);
	publish(dp, number, dpath, now);
	direct = datapath_direct_probe(dp, number, now);
	if (direct < dpath->due)
		dpath->due = direct;
	return dpath->due;
}

uint64_t
datapath_probe_paths(struct datapath *dp, uint64_t now)
{
	uint64_t next = now + CLOCK_SECOND;

	make_room(dp);
	for (uint32_t i = 0; i < dp->paths_count; i++) {
		uint64_t due = probe_site(dp, i, now);

		if (due < next)
			next = due;
	}
	datapath_flush(dp, now);
	return next;
}

void
datapath_probe_now(struct datapath *dp, uint32_t site, uint64_t now)
{
	make_room(dp);
	if (site >= dp->paths_count || !dp->paths[site]->running)
		return;
	dp->paths[site]->due = now;
	path_renew(&dp->paths[site]->path, now);
	datapath_direct_renew(dp, site, now);
}

void
datapath_paths_free(struct datapath *dp)
{
	for (size_t i = 0; i < dp->paths_count; i++)
		free(dp->paths[i]);
	free(dp->paths);
	dp->paths = NULL;
	dp->paths_count = 0;
}

/* ---- arrivals ---- */

/* Answered at once, whatever we think of the path; the padding stays here. */
static enum drop
answer(struct datapath *dp, uint16_t site, uint32_t sequence, size_t size)
{
	const struct addr *to = &load_table_site(dp->load, site)->transfer;
	uint8_t head[PATH_MESSAGE_LEN];

	path_encode(sequence, (uint32_t)size, head);
	if (send_message(dp, site, to, TRANSFER_PROBE_ANSWER, head, sizeof(head)) == 0)
		return DROP_none;
	return errno == ENOKEY ? DROP_no_key : DROP_send_failed;
}

/* What it allows is done at once: the search for an MTU takes a round trip a step. */
static void
answered(struct datapath *dp, uint16_t number, uint32_t sequence, uint32_t size, uint64_t now)
{
	const struct site *site = load_table_site(dp->load, number);
	struct datapath_path *dpath;

	if (number >= dp->paths_count || !dp->paths[number]->running)
		return;
	dpath = dp->paths[number];
	if (size == PATH_MESSAGE_LEN)
		path_answer(&dpath->path, sequence, 0, now);
	else if (size == DEMAND_MESSAGE_LEN && dpath->demand_port != 0)
		path_answer(&dpath->demand, sequence, 0, now);
	else if (size <= UINT16_MAX)
		path_answer(&dpath->path, sequence, size + overhead(site), now);
	send_due(dp, number, dpath, now);
	publish(dp, number, dpath, now);
}

static enum drop
direct_arrived(struct datapath *dp, const struct transfer_opened *opened, uint16_t site)
{
	uint64_t id;
	enum drop drop = path_direct_decode(opened->inner, opened->inner_len, &id);

	if (drop == DROP_none && dp->peers.probe_seen != NULL)
		dp->peers.probe_seen(dp->peers.arg, site, id);
	return drop;
}

enum drop
datapath_path_message(
    struct datapath *dp, const struct transfer_opened *opened, uint16_t site, uint64_t now)
{
	uint32_t sequence, size;
	enum drop drop;

	counter_add(dp->counters, COUNTER_path_messages_in, 1);
	if (opened->type == TRANSFER_DIRECT)
		return direct_arrived(dp, opened, site);
	drop = path_decode(opened->inner, opened->inner_len, &sequence, &size);
	if (drop != DROP_none)
		return drop;
	if (opened->type == TRANSFER_PROBE)
		return answer(dp, site, sequence, opened->inner_len);
	answered(dp, site, sequence, size, now);
	return DROP_none;
}

void
datapath_path_too_big(struct datapath *dp, uint32_t number, size_t datagram)
{
	struct site *site = load_table_site(dp->load, number);
	struct datapath_path *dpath;

	if (number >= dp->paths_count || !dp->paths[number]->running)
		return;
	dpath = dp->paths[number];
	path_too_big(&dpath->path, (uint32_t)datagram + overhead(site) - TRANSFER_OVERHEAD,
	    dpath->looked_at);
	load_table_site_set_mtu(dp->load, number, path_mtu(&dpath->path));
}
