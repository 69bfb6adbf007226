/*
 * datapath_run: making a datapath, reading what has come, and what time does to connections.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "datapath.h"
#include "datapath_internal.h"

/* Answers of wlad itself, a second and at once. */
#define RESET_RATE  1000
#define RESET_BURST 1000
#define ICMP_RATE   1000
#define ICMP_BURST  100
#define ECHO_RATE   200
#define ECHO_BURST  50

/* Records ended or looked at in one go, so that no wake-up takes long. */
#define EXPIRE_BUDGET 1024
#define SWEEP_BUDGET  4096

static struct connection_table *
make_table(const struct config *config, uint64_t now)
{
	struct connection_settings settings = {
	    .capacity = config->limits.connections,
	    .timeouts = {
	        .tcp_opening = config->timeouts.tcp_opening,
	        .tcp_established = config->timeouts.tcp_established,
	        .tcp_closing = config->timeouts.tcp_closing,
	        .tcp_time_wait = 120,
	        .udp = config->timeouts.udp,
	        .udp_opening = 30,
	        .icmp = config->timeouts.icmp,
	    },
	};

	random_system(&settings.hash_key, sizeof(settings.hash_key));
	return connection_table_new(&settings, now);
}

struct datapath *
datapath_new(const struct datapath_parts *parts, uint64_t now)
{
	struct datapath *dp = calloc(1, sizeof(*dp));

	if (dp == NULL)
		return NULL;
	dp->config = parts->config;
	dp->io = parts->io;
	dp->load = parts->load;
	dp->allocation = parts->allocation;
	dp->keyring = parts->keyring;
	dp->counters = parts->counters;
	dp->random = parts->random;
	dp->resets = ratelimit_make(RESET_RATE, RESET_BURST);
	dp->icmp = ratelimit_make(ICMP_RATE, ICMP_BURST);
	dp->echoes = ratelimit_make(ECHO_RATE, ECHO_BURST);
	dp->connections = make_table(parts->config, now);
	if (dp->connections == NULL) {
		free(dp);
		return NULL;
	}
	connection_table_set_port_taken(dp->connections, datapath_port_taken, dp);
	connection_table_set_change(dp->connections, datapath_connection_changed, dp);
	return dp;
}

void
datapath_free(struct datapath *dp)
{
	if (dp == NULL)
		return;
	connection_table_free(dp->connections);
	free(dp);
}

struct connection_table *
datapath_connections(struct datapath *dp)
{
	return dp->connections;
}

int
datapath_run_device(struct datapath *dp, uint64_t now)
{
	struct packet p;

	for (int i = 0; i < IO_BATCH; i++) {
		int got = dp->io->ops->device_receive(dp->io, &p);

		if (got != 1)
			return got == 0 ? i : -1;
		datapath_device_packet(dp, &p, now);
	}
	return IO_BATCH;
}

static void
split_datagram(struct datapath *dp, const struct datagram *d, uint64_t now)
{
	for (uint32_t at = 0; at < d->len; at += d->segment) {
		uint32_t left = d->len - at;

		datapath_transfer_datagram(dp, d->data + at,
		    left < d->segment ? left : d->segment, &d->from, now);
	}
}

int
datapath_run_transfer(struct datapath *dp, uint64_t now)
{
	struct datagram batch[IO_BATCH];
	int count = dp->io->ops->transfer_receive(dp->io, batch, IO_BATCH);

	for (int i = 0; i < count; i++)
		split_datagram(dp, &batch[i], now);
	return count;
}

void
datapath_server_down(struct datapath *dp, uint32_t server, uint64_t now)
{
	(void)server;
	(void)now;
	dp->sweeping = true;
	dp->sweep_cursor = 0;
}

/* Ends the connections of servers that are down, a part of the table at a time. */
static void
sweep(struct datapath *dp, uint64_t now)
{
	for (int i = 0; i < SWEEP_BUDGET; i++) {
		struct connection *c = connection_walk(dp->connections, &dp->sweep_cursor);
		const struct server *server;

		if (c == NULL) {
			dp->sweeping = false;
			return;
		}
		if (c->server == CONNECTION_NO_SERVER)
			continue;
		server = load_table_server(dp->load, c->server);
		if (server->state == SERVER_UP)
			continue;
		datapath_reset_client(dp, c, now);
		connection_end(dp->connections, c);
	}
}

uint64_t
datapath_expire(struct datapath *dp, uint64_t now)
{
	uint32_t ended = connection_expire(dp->connections, now, EXPIRE_BUDGET);

	counter_add(dp->counters, COUNTER_connections_expired, ended);
	if (dp->sweeping)
		sweep(dp, now);
	if (ended == EXPIRE_BUDGET || dp->sweeping)
		return now + CLOCK_MILLISECOND;
	return connection_next_expiry(dp->connections);
}
