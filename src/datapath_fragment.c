/*
 * datapath_fragment: fragments on their way into the stories.
 */
#include "datapath_internal.h"

/* Those that waited follow the first.  One that is dropped takes the others with it: without it
 * nobody can put the datagram together. */
static void
release(struct datapath *dp, struct fragment_datagram *datagram,
    const struct datapath_arrival *arrival, uint64_t now)
{
	struct packet p;
	enum drop drop;

	while (fragment_next(dp->fragments, datagram, &p)) {
		drop = datapath_story(dp, &p, arrival, now);
		if (drop == DROP_none)
			continue;
		counter_drop(dp->counters, drop);
		fragment_refuse(dp->fragments, datagram);
	}
}

enum drop
datapath_fragment(
    struct datapath *dp, struct packet *p, const struct datapath_arrival *arrival, uint64_t now)
{
	struct fragment_datagram *datagram;
	enum drop drop =
	    fragment_enter(dp->fragments, p, datapath_origin(arrival), now, &datagram);

	if (drop != DROP_none || datagram == NULL)
		return drop;
	drop = datapath_story(dp, p, arrival, now);
	if (drop == DROP_none)
		release(dp, datagram, arrival, now);
	else
		fragment_refuse(dp->fragments, datagram);
	fragment_done(dp->fragments, datagram);
	return drop;
}
