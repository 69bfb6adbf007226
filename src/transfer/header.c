#include "transfer/header.h"

#include <assert.h>

static_assert(TRANSFER_OVERHEAD_V4 == 68 && TRANSFER_OVERHEAD_V6 == 88,
    "the overhead that architecture and manual name");

static void
put_be(uint8_t *out, uint64_t value, size_t octets)
{
	while (octets-- > 0) {
		out[octets] = value & 0xff;
		value >>= 8;
	}
}

static uint64_t
get_be(const uint8_t *data, size_t octets)
{
	uint64_t value = 0;

	for (size_t i = 0; i < octets; i++)
		value = value << 8 | data[i];
	return value;
}

void
transfer_header_encode(const struct transfer_header *h, uint8_t out[TRANSFER_HEADER_LEN])
{
	out[0] = TRANSFER_VERSION << 4 | (h->type & 0x0f);
	out[1] = 0;
	out[2] = 0;
	out[3] = 0;
	put_be(out + 4, h->key_index, 4);
	put_be(out + 8, h->epoch, 2);
	put_be(out + 10, h->counter, 6);
}

static bool
type_known(uint8_t type)
{
	return type >= TRANSFER_DATA && type <= TRANSFER_DIRECT;
}

enum drop
transfer_header_decode(const uint8_t *data, size_t len, struct transfer_header *h)
{
	if (len < TRANSFER_OVERHEAD)
		return DROP_transfer_short;
	if (data[0] >> 4 != TRANSFER_VERSION || !type_known(data[0] & 0x0f))
		return DROP_transfer_version;
	if (data[1] != 0 || data[2] != 0 || data[3] != 0)
		return DROP_transfer_version;

	h->type = data[0] & 0x0f;
	h->key_index = (uint32_t)get_be(data + 4, 4);
	h->epoch = (uint16_t)get_be(data + 8, 2);
	h->counter = get_be(data + 10, 6);
	return DROP_none;
}

void
transfer_info_encode(const struct transfer_info *info, uint8_t out[TRANSFER_INFO_LEN])
{
	put_be(out, info->service, 2);
	put_be(out + 2, info->relay_port, 2);
	out[4] = info->flags;
	out[5] = (uint8_t)(info->hops << 4);
	out[6] = 0;
	out[7] = 0;
}

enum drop
transfer_info_decode(const uint8_t *data, size_t len, struct transfer_info *info)
{
	if (len < TRANSFER_INFO_LEN)
		return DROP_transfer_short;
	if ((data[4] & ~TRANSFER_FLAGS_KNOWN) != 0)
		return DROP_transfer_inner;

	info->service = (uint16_t)get_be(data, 2);
	info->relay_port = (uint16_t)get_be(data + 2, 2);
	info->flags = data[4];
	info->hops = data[5] >> 4;
	return DROP_none;
}
