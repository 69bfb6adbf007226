/*
 * datapath_send: the two ways out: the device, and in transfer packets to another site.
 */
#include "datapath_internal.h"
#include "packet/split.h"
#include "transfer/path.h"
#include "transfer/transmission.h"

/* IP and TCP headers without options: what an MSS leaves out of an MTU (RFC 6691). */
#define MSS_HEADERS_V4 40
#define MSS_HEADERS_V6 60

enum drop
datapath_output(struct datapath *dp, const struct packet *p)
{
	return dp->joining ? datapath_join(dp, p) : datapath_write(dp, p);
}

enum drop
datapath_write(struct datapath *dp, const struct packet *p)
{
	if (dp->lane->io->ops->device_send(dp->lane->io, p) == -1)
		return DROP_write_failed;
	counter_add(dp->counters, COUNTER_packets_out, 1);
	counter_add(dp->counters, COUNTER_bytes_out, p->len);
	return DROP_none;
}

static uint32_t
overhead(const struct site *site)
{
	return ip_is_v4(&site->transfer.ip) ? TRANSFER_OVERHEAD_V4 : TRANSFER_OVERHEAD_V6;
}

static uint32_t
smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t
datapath_inner_mtu(const struct datapath *dp, const struct site *site)
{
	uint32_t mtu = site->path_mtu != 0 ? site->path_mtu : dp->config->transfer.mtu;

	return mtu - overhead(site);
}

uint16_t
datapath_mss_limit(const struct datapath *dp, const struct packet *p, const struct connection *c)
{
	uint32_t headers = p->version == 4 ? MSS_HEADERS_V4 : MSS_HEADERS_V6;
	const struct site *site;
	uint32_t mtu;

	if (c->kind == CONNECTION_LOCAL)
		return 0;
	site = load_table_site(dp->load, c->site);
	mtu = datapath_inner_mtu(dp, site);
	/* they come from there: what it has measured counts */
	if (c->kind == CONNECTION_RECEIVED && site->peer_mtu >= PATH_MTU_MIN)
		mtu = smaller(mtu, site->peer_mtu - overhead(site));
	return (uint16_t)(mtu - headers);
}

bool
datapath_way(struct datapath *dp, const struct connection *c, struct datapath_way *way)
{
	uint16_t site = datapath_transferee(c);
	uint32_t index = load_table_site_service(dp->load, site, c->service);

	way->number = site;
	way->site = load_table_site(dp->load, site);
	way->tx = keyring_tx(dp->keyring, site);
	if (way->tx == NULL || index == LOAD_NONE)
		return false;
	way->to = way->site->transfer;
	way->service = way->site->services[index].number;
	way->mtu = datapath_inner_mtu(dp, way->site);
	return true;
}

void
datapath_make_demand(struct datapath_way *way, struct transfer_info *info)
{
	if (way->site->demand_port != 0)
		way->to.port = way->site->demand_port;
	else
		info->flags |= TRANSFER_FLAG_DEMAND;
}

static void
start(struct datapath *dp, struct transmission *t, struct packet *p,
    const struct transfer_info *info, const struct datapath_way *way)
{
	if (segment_max_len(p) <= way->mtu) {
		transmission_start(t, p, info);
		return;
	}
	packet_complete_checksum(p);
	transmission_start_split(t, p, way->mtu, info);
	counter_add(dp->counters, COUNTER_fragments_out,
	    (p->len - p->transport + t->fragments.size - 1) / t->fragments.size);
}

/* What one system call takes; one datagram at least. */
static size_t
limit(const struct datapath_outgoing *o)
{
	size_t len = smaller(IO_SEND_SEGMENTS * (uint32_t)o->segment, IO_SEND_LEN);

	return len < o->segment ? o->segment : len;
}

/* Among datagrams of equal size only the last may be shorter. */
static bool
goes_along(const struct datapath_outgoing *o, const struct datapath_way *way, size_t segment,
    bool single)
{
	return o->used % o->segment == 0 && limit(o) - o->used >= segment &&
	    (segment == o->segment || (single && segment < o->segment)) &&
	    addr_equal(&o->to, &way->to);
}

static struct datapath_outgoing *
last(struct datapath_lane *lane)
{
	return lane->outgoings == 0 ? NULL : &lane->outgoing[lane->outgoings - 1];
}

/* Behind what waits already, which leaves before if there is no room, or nobody to wait for: with one
 * thread what was sealed last is sent while the caches hold it. */
static struct datapath_outgoing *
another(struct datapath *dp)
{
	struct datapath_lane *lane = dp->lane;
	const struct datapath_outgoing *before = last(lane);
	size_t at = before == NULL ? 0 : before->at + before->used;

	if (dp->guard == NULL || lane->outgoings == OUTGOING_MAX ||
	    SEAL_BUFFER - at < IO_SEND_LEN) {
		datapath_send_sealed(dp);
		at = 0;
	}
	lane->outgoing[lane->outgoings].at = at;
	return &lane->outgoing[lane->outgoings++];
}

/* Where another datagram of a transmission goes. */
static struct datapath_outgoing *
make_room(struct datapath *dp, const struct transmission *t, const struct packet *p,
    const struct datapath_way *way)
{
	struct datapath_outgoing *o = last(dp->lane);
	size_t segment = t->most + TRANSFER_OVERHEAD;
	bool single = p->gso == PACKET_GSO_NONE && t->fragments.packet == NULL;

	if (o != NULL && o->used > 0 && goes_along(o, way, segment, single))
		return o;
	if (o == NULL || o->used > 0)
		o = another(dp);
	o->used = 0;
	o->to = way->to;
	o->site = way->number;
	o->segment = segment;
	return o;
}

enum drop
datapath_seal(struct datapath *dp, struct packet *p, const struct transfer_info *info,
    const struct datapath_way *way)
{
	struct transmission t;
	size_t segment;
	long len;

	start(dp, &t, p, info, way);
	do {
		struct datapath_outgoing *o = make_room(dp, &t, p, way);

		len = transmission_next(&t, way->tx, dp->lane->sealed + o->at + o->used,
		    limit(o) - o->used, &segment);
		if (len > 0)
			o->used += (size_t)len;
	} while (len > 0);
	if (!dp->batch)
		datapath_send_sealed(dp);
	if (len < 0)
		return DROP_no_key;
	if (p->gso != PACKET_GSO_NONE)
		counter_add(dp->counters, COUNTER_segments_out, t.count);
	counter_add(dp->counters, COUNTER_transfer_packets_out, t.count);
	counter_add(dp->counters, COUNTER_transfer_bytes_out, p->len);
	way->site->transfer_packets_out += t.count;
	way->site->transfer_bytes_out += p->len;
	return DROP_none;
}
