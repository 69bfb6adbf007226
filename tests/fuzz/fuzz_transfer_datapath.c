/*
 * A peer whose keys are good and whose packets are not: what it seals reaches the whole
 * datapath.  Whatever comes of it, only our own servers are sent to, and answers go out under
 * the service address of the site that sealed it, or to that site.
 *
 * The input is the additional information and what is behind it; where it has reserved octets
 * they say: octet 6 bit 0, from a stranger's address, bit 1, to the demand port; octet 7 bits 0-1,
 * the type.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/packet.h"
#include "sites.h"
#include "transfer/seal.h"

static struct instance *x, *y;
static uint64_t now = CLOCK_SECOND;

static bool
is_either(const struct ip *ip, const char *v4, const char *v6)
{
	struct ip a, b;

	require(ip_parse(v4, &a) == 0 && ip_parse(v6, &b) == 0);
	return ip_equal(ip, &a) || ip_equal(ip, &b);
}

/* What Y wrote to its device. */
static void
check_output(const struct memory_packet *out)
{
	struct packet p = {.data = out->data, .len = (uint32_t)out->len, .partial = out->partial};

	require(packet_parse(&p) == DROP_none);
	if (is_either(&p.destination.ip, "10.2.0.11", "2001:db8:2::11"))
		return;
	require(is_either(&p.source.ip, "203.0.113.10", "2001:db8:1::10"));
	require(!ip_is_martian(&p.destination.ip));
}

struct request {
	enum transfer_type type;
	bool strange, demand;
	size_t len; /* of the datagram */
};

/* What Y says to X itself: one answer to a probe, to where X is. */
static void
check_datagrams(const struct request *r)
{
	struct memory_packet out;

	if (!memory_take_datagram(y->io, &out))
		return;
	require(r->type == TRANSFER_PROBE && !r->strange);
	require(addr_equal(&out.peer, &x->config->transfer.listen));
	require(out.len <= r->len);
	require(!memory_take_datagram(y->io, &out));
}

static void
inject(const uint8_t *data, size_t size, struct request *r)
{
	static uint8_t sealed[IO_HEADROOM + TRANSFER_OVERHEAD + 4096];
	uint8_t *datagram = sealed + IO_HEADROOM;
	struct transfer_tx *tx = keyring_tx(x->keyring, 0);
	struct addr from = x->config->transfer.listen;
	uint64_t refused = y->counters.drop[DROP_transfer_source];
	struct transfer_info info;

	if (transfer_info_decode(data, size, &info) != DROP_none)
		return;
	*r = (struct request){TRANSFER_DATA + (data[7] & 3), data[6] & 1, data[6] & 2, 0};
	r->len = transfer_seal(tx, r->type, &info, data + TRANSFER_INFO_LEN,
	    size - TRANSFER_INFO_LEN, NULL, 0, datagram, sizeof(sealed) - IO_HEADROOM);
	require(r->len != 0);
	from.port = (uint16_t)(from.port + r->strange);
	if (r->demand) {
		datapath_transfer_datagram(y->datapath, datagram, r->len, &from, true, now);
	} else {
		require(memory_put_datagram(y->io, datagram, r->len, &from) == 0);
		require(datapath_run_transfer(y->datapath, now) == 1);
	}
	refused = y->counters.drop[DROP_transfer_source] - refused;
	require(refused == (r->strange && r->type != TRANSFER_DIRECT));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_packet out;
	struct request r = {0};

	if (x == NULL)
		sites_make(&x, &y, true, now);
	if (size > 4000)
		return 0;
	now += CLOCK_MILLISECOND;
	inject(data, size, &r);
	while (memory_take_packet(y->io, &out))
		check_output(&out);
	check_datagrams(&r);
	datapath_expire(y->datapath, now);
	return 0;
}
