/*
 * What is inside a transfer packet whose tag was good: additional information and client packet,
 * both as a peer that went mad might send them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "packet/packet.h"
#include "transfer/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

/* What was read says the same as what was there, but for the bits that are ignored. */
static void
check_info(const uint8_t *data, const struct transfer_info *info)
{
	uint8_t again[TRANSFER_INFO_LEN];

	transfer_info_encode(info, again);
	expect(memcmp(again, data, 5) == 0);
	expect(again[5] == (data[5] & 0xf0));
	expect(again[6] == 0 && again[7] == 0);
}

static void
check_packet(const struct packet *p, size_t len)
{
	expect(p->len <= len);
	expect(p->transport <= p->payload && p->payload <= p->len);
	expect(p->version == 4 || p->version == 6);
	expect(ip_is_v4(&p->source.ip) == (p->version == 4));
	expect(ip_is_v4(&p->destination.ip) == (p->version == 4));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct transfer_info info;
	struct packet p = {0};
	size_t len;

	if (transfer_info_decode(data, size, &info) != DROP_none)
		return 0;
	check_info(data, &info);

	len = size - TRANSFER_INFO_LEN;
	if (len > PACKET_MAX)
		return 0;
	p.data = malloc(len == 0 ? 1 : len);
	expect(p.data != NULL);
	memcpy(p.data, data + TRANSFER_INFO_LEN, len);
	p.len = (uint32_t)len;
	p.partial = (info.flags & TRANSFER_FLAG_PARTIAL) != 0;
	if (packet_parse(&p) == DROP_none)
		check_packet(&p, len);
	free(p.data);
	return 0;
}
