/*
 * A peer whose keys are good and whose packets are not: what it seals reaches the whole
 * datapath.  Whatever comes of it, only our own servers are sent to, and answers go out under
 * the service address of the site that sealed it.
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

static void
inject(const uint8_t *data, size_t size)
{
	static uint8_t sealed[TRANSFER_OVERHEAD + 4096];
	struct transfer_tx *tx = keyring_tx(x->keyring, 0);
	struct transfer_info info;
	size_t len;

	if (transfer_info_decode(data, size, &info) != DROP_none)
		return;
	len = transfer_seal(tx, TRANSFER_DATA, &info, data + TRANSFER_INFO_LEN,
	    size - TRANSFER_INFO_LEN, NULL, 0, sealed, sizeof(sealed));
	require(len != 0);
	require(memory_put_datagram(y->io, sealed, len, &x->config->transfer.listen) == 0);
	require(datapath_run_transfer(y->datapath, now) == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_packet out;

	if (x == NULL)
		sites_make(&x, &y, true, now);
	if (size > 4000)
		return 0;
	now += CLOCK_MILLISECOND;
	inject(data, size);
	while (memory_take_packet(y->io, &out))
		check_output(&out);
	require(!memory_take_datagram(y->io, &out));
	datapath_expire(y->datapath, now);
	return 0;
}
