/*
 * datapath_keep: servers that see their clients' own addresses (client_address = "keep").
 *
 * What they send to clients is led to the device by its sender; what else they send from the same
 * port, or by ICMP, comes with it, is none of ours, and goes its way.
 */
#include "datapath_internal.h"
#include "packet/convert.h"

bool
datapath_passes_by(const struct datapath *dp, const struct packet *p)
{
	/* out of a raw socket it would come back */
	return load_table_keeps(dp->load, &p->source.ip) &&
	    dp->config->device.output == CONFIG_OUTPUT_TUN &&
	    !datapath_is_martian(dp, &p->destination.ip);
}

enum drop
datapath_pass_by(struct datapath *dp, struct packet *p, uint64_t now)
{
	enum drop drop;

	if (!packet_decrement_ttl(p)) {
		datapath_answer_ttl(dp, p, now);
		return DROP_ttl;
	}
	drop = datapath_output(dp, p);
	if (drop == DROP_none)
		counter_add(dp->counters, COUNTER_passed_by, 1);
	return drop;
}
