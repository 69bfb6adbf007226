#include "transfer/reception.h"

enum drop
reception_open(struct keyring *ring, uint8_t *data, size_t len, const struct addr *from,
    uint64_t now, struct transfer_opened *out, uint16_t *site)
{
	struct transfer_header header;
	struct transfer_rx *rx;
	struct addr expected;
	enum drop drop;

	*site = UINT16_MAX;
	drop = transfer_header_decode(data, len, &header);
	if (drop != DROP_none)
		return drop;
	rx = keyring_find(ring, header.key_index, site, &expected);
	if (rx == NULL)
		return DROP_transfer_key;
	/* one under a foreign address is what this type is for */
	if (header.type != TRANSFER_DIRECT && !addr_equal(from, &expected))
		return DROP_transfer_source;
	return transfer_open(rx, &header, data, len, now, out);
}
