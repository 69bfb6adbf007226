/*
 * datapath_flush: what waits in a lane leaves it: sealed datagrams, and packets that the io has kept.
 *
 * System calls first, then what they said: with several threads the former are outside the guard.
 */
#include <errno.h>

#include "base/guard.h"
#include "datapath_internal.h"

/* ---- outside the guard or inside ---- */

/* True if all of it was taken. */
static bool
send_sealed(struct datapath_lane *lane)
{
	bool all = true;

	for (unsigned i = 0; i < lane->outgoings; i++) {
		struct datapath_outgoing *o = &lane->outgoing[i];

		o->sent = o->used == 0 ? 0
				       : lane->io->ops->transfer_send(lane->io, &o->to,
					     lane->sealed + o->at, o->used, o->segment);
		o->error = errno;
		all = all && o->sent == (long)o->used;
	}
	return all;
}

/* How many packets the way out refused. */
static uint32_t
send_kept(struct datapath_lane *lane, struct io_refused *refused)
{
	if (lane->io->ops->device_flush == NULL)
		return 0;
	return lane->io->ops->device_flush(lane->io, refused);
}

/* ---- inside ---- */

static void
count_outgoing(struct datapath *dp, const struct datapath_outgoing *o)
{
	size_t left = o->sent == -1 ? o->used : o->used - (size_t)o->sent;

	if (left == 0)
		return;
	if (o->sent == -1 && o->error == EMSGSIZE)
		datapath_path_too_big(dp, o->site, o->segment);
	dp->counters->drop[DROP_send_failed] += (left + o->segment - 1) / o->segment;
}

static void
count_sealed(struct datapath *dp)
{
	struct datapath_lane *lane = dp->lane;

	for (unsigned i = 0; i < lane->outgoings; i++)
		count_outgoing(dp, &lane->outgoing[i]);
	lane->outgoings = 0;
}

/* True if wlad has answered one of them. */
static bool
count_kept(struct datapath *dp, uint32_t count, const struct io_refused *refused, uint64_t now)
{
	if (count == 0)
		return false;
	dp->counters->drop[DROP_too_big] += refused->too_big;
	dp->counters->drop[DROP_write_failed] += count - refused->too_big;
	if (refused->mtu == 0)
		return false;
	datapath_answer_too_big(dp, &refused->packet,
	    refused->mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)refused->mtu, now);
	return true;
}

void
datapath_send_sealed(struct datapath *dp)
{
	if (send_sealed(dp->lane))
		dp->lane->outgoings = 0;
	else
		count_sealed(dp);
}

/* An answer may be refused in its turn, and is not answered. */
void
datapath_flush(struct datapath *dp, uint64_t now)
{
	struct io_refused refused;

	datapath_send_sealed(dp);
	if (count_kept(dp, send_kept(dp->lane, &refused), &refused, now))
		count_kept(dp, send_kept(dp->lane, &refused), &refused, now);
}

void
datapath_flush_outside(struct datapath *dp, struct datapath_lane *lane)
{
	struct io_refused refused;
	bool sealed = send_sealed(lane);
	uint32_t count = send_kept(lane, &refused);
	uint64_t now;

	if (sealed && count == 0) {
		lane->outgoings = 0;
		return;
	}
	now = guard_enter(dp->guard);
	dp->lane = lane;
	count_sealed(dp);
	if (count_kept(dp, count, &refused, now))
		datapath_flush(dp, now);
	dp->lane = dp->lanes[0];
	guard_leave(dp->guard);
}
