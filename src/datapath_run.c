/*
 * datapath_run: making a datapath, reading what has come, and what time does to connections.
 */
#include <netinet/in.h>

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/guard.h"
#include "datapath.h"
#include "datapath_internal.h"

/* Answers of wlad itself, a second and at once. */
#define RESET_RATE  1000
#define RESET_BURST 1000
#define ICMP_RATE   1000
#define ICMP_BURST  100
#define ECHO_RATE   200
#define ECHO_BURST  50

/* Reports of unknown connections to other sites. */
#define REPORT_RATE  10000
#define REPORT_BURST 10000

/* Seconds: RFC 9293's 2 MSL, and RFC 4787 until a reply is seen. */
#define TIME_WAIT   120
#define UDP_OPENING 30

/* Records ended in one go, so that no wake-up takes long. */
#define EXPIRE_BUDGET 1024

static struct connection_timeouts
timeouts_of(const struct config *config)
{
	return (struct connection_timeouts){
	    .tcp_opening = config->timeouts.tcp_opening,
	    .tcp_established = config->timeouts.tcp_established,
	    .tcp_closing = config->timeouts.tcp_closing,
	    .tcp_time_wait = TIME_WAIT,
	    .udp = config->timeouts.udp,
	    .udp_opening = UDP_OPENING,
	    .icmp = config->timeouts.icmp,
	};
}

static struct connection_table *
make_table(const struct config *config, uint64_t now)
{
	struct connection_settings settings = {
	    .capacity = config->limits.connections,
	    .timeouts = timeouts_of(config),
	};

	random_system(&settings.hash_key, sizeof(settings.hash_key));
	return connection_table_new(&settings, now);
}

static struct fragment_store *
make_fragments(struct counters *counters)
{
	struct siphash_key key;

	random_system(&key, sizeof(key));
	return fragment_store_new(&key, counters);
}

static int
remember_clients(struct datapath *dp)
{
	struct siphash_key key;

	random_system(&key, sizeof(key));
	return allocation_remember_clients(dp->allocation, dp->config->limits.connections, &key);
}

void
datapath_set_config(struct datapath *dp, const struct config *config)
{
	struct connection_timeouts timeouts = timeouts_of(config);

	dp->config = config;
	connection_table_set_timeouts(dp->connections, &timeouts);
	allocation_apply_clients(
	    dp->allocation, dp->connections, connection_table_now(dp->connections));
}

struct datapath *
datapath_new(const struct datapath_parts *parts, uint64_t now)
{
	struct datapath *dp = calloc(1, sizeof(*dp));

	if (dp == NULL)
		return NULL;
	if (datapath_add_queue(dp, parts->io) == -1) {
		free(dp);
		errno = ENOMEM;
		return NULL;
	}
	dp->lane = dp->lanes[0];
	dp->config = parts->config;
	dp->guard = parts->guard;
	dp->load = parts->load;
	dp->allocation = parts->allocation;
	dp->keyring = parts->keyring;
	dp->counters = parts->counters;
	dp->random = parts->random;
	dp->resets = ratelimit_make(RESET_RATE, RESET_BURST);
	dp->icmp = ratelimit_make(ICMP_RATE, ICMP_BURST);
	dp->peers = parts->peers;
	dp->reports = ratelimit_make(REPORT_RATE, REPORT_BURST);
	dp->echoes = ratelimit_make(ECHO_RATE, ECHO_BURST);
	dp->connections = make_table(parts->config, now);
	dp->fragments = make_fragments(parts->counters);
	dp->received = datapath_received_new();
	if (dp->connections == NULL || dp->fragments == NULL || dp->received == NULL ||
	    remember_clients(dp) == -1) {
		datapath_free(dp);
		errno = ENOMEM;
		return NULL;
	}
	connection_table_set_port_taken(dp->connections, datapath_port_taken, dp);
	connection_table_set_change(dp->connections, datapath_connection_changed, dp);
	allocation_apply_clients(dp->allocation, dp->connections, now);
	return dp;
}

void
datapath_free(struct datapath *dp)
{
	if (dp == NULL)
		return;
	datapath_paths_free(dp);
	fragment_store_free(dp->fragments);
	connection_table_free(dp->connections);
	free(dp->sites);
	free(dp->received);
	for (unsigned i = 0; i < dp->lanes_count; i++)
		free(dp->lanes[i]);
	free(dp);
}

int
datapath_add_queue(struct datapath *dp, struct io *io)
{
	struct datapath_lane *lane;

	if (dp->lanes_count == IO_QUEUES_MAX)
		return -1;
	lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return -1;
	lane->io = io;
	dp->lanes[dp->lanes_count] = lane;
	return (int)dp->lanes_count++;
}

struct connection_table *
datapath_connections(struct datapath *dp)
{
	return dp->connections;
}

/* Up to max packets of the device: as many as the io has buffers for, or one. */
static int
receive(struct io *io, struct packet *p, int max, bool *more)
{
	int got;

	if (io->ops->device_receive_many != NULL)
		return io->ops->device_receive_many(io, p, max, more);
	got = io->ops->device_receive(io, p);
	*more = got == 1;
	return got;
}

/* Others may be inside before: it may be later then. */
static uint64_t
enter(struct datapath *dp, struct datapath_lane *lane, uint64_t now)
{
	if (dp->guard != NULL)
		now = guard_enter(dp->guard);
	dp->lane = lane;
	dp->batch = true;
	return now;
}

/* What was handled leaves; with other threads, when they may come in again. */
static void
leave(struct datapath *dp, uint64_t now)
{
	struct datapath_lane *lane = dp->lane;

	dp->batch = false;
	if (dp->guard == NULL) {
		datapath_flush(dp, now);
		return;
	}
	dp->lane = dp->lanes[0];
	guard_leave(dp->guard);
	datapath_flush_outside(dp, lane);
}

/* Packets that were read together leave together, but where there is one thread: it may read more
 * before. */
static int
read_lane(struct datapath *dp, struct datapath_lane *lane, uint64_t now)
{
	struct packet burst[DATAPATH_BURST];
	bool more = true;
	int count = 0;

	while (more && count < IO_BATCH) {
		int left = IO_BATCH - count;
		int got = receive(
		    lane->io, burst, left < DATAPATH_BURST ? left : DATAPATH_BURST, &more);

		if (got == -1)
			return -1;
		if (got == 0)
			break;
		if (dp->guard != NULL)
			now = enter(dp, lane, now);
		datapath_device_burst(dp, burst, (unsigned)got, now);
		if (dp->guard != NULL)
			leave(dp, now);
		count += got;
	}
	return count;
}

int
datapath_run_queue(struct datapath *dp, unsigned queue)
{
	return read_lane(dp, dp->lanes[queue], 0);
}

int
datapath_run_device(struct datapath *dp, uint64_t now)
{
	int count, error;

	if (dp->guard != NULL)
		return datapath_run_queue(dp, 0);
	enter(dp, dp->lane, now);
	count = read_lane(dp, dp->lane, now);
	error = errno;
	leave(dp, now);
	errno = error;
	return count;
}

/* An empty one is a datagram too: counted as too short. */
static void
split_datagram(struct datapath *dp, const struct datagram *d, uint64_t now)
{
	uint32_t at = 0;

	do {
		uint32_t left = d->len - at;

		datapath_receive(dp, d->data + at, left < d->segment ? left : d->segment,
		    &d->from, d->demand, now);
		at += d->segment;
	} while (at < d->len);
}

int
datapath_run_transfer(struct datapath *dp, uint64_t now)
{
	struct datapath_lane *lane = dp->lanes[0];
	struct datagram batch[IO_BATCH];
	int count = lane->io->ops->transfer_receive(lane->io, batch, IO_BATCH);

	if (count <= 0)
		return count;
	now = enter(dp, lane, now);
	lane->io->transferring = true;
	datapath_join_begin(dp);
	for (int i = 0; i < count; i++)
		split_datagram(dp, &batch[i], now);
	datapath_received(dp, now);
	datapath_join_end(dp);
	lane->io->transferring = false;
	leave(dp, now);
	return count;
}

uint64_t
datapath_expire(struct datapath *dp, uint64_t now)
{
	uint32_t ended = connection_expire(dp->connections, now, EXPIRE_BUDGET);
	uint64_t next, fragments;

	counter_add(dp->counters, COUNTER_connections_expired, ended);
	fragment_expire(dp->fragments, now);
	allocation_expire_clients(dp->allocation, dp->counters, now);
	if (dp->sweeping)
		datapath_sweep(dp);
	datapath_flush(dp, now);
	if (ended == EXPIRE_BUDGET || dp->sweeping)
		return now + CLOCK_MILLISECOND;
	next = connection_next_expiry(dp->connections);
	fragments = fragment_next_expiry(dp->fragments);
	return fragments < next ? fragments : next;
}
