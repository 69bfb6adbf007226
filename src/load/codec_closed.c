/*
 * codec_closed: CLOSED, bytes <-> struct.
 *
 * Up to ten of them a second tell of thousands of connections, so entries are records of fixed
 * size, not TLVs:
 *
 *   client's address (4 or 16), port (2), service's address (4 or 16), port (2), protocol (1),
 *   flags (1), the client's next sequence number (4)
 */
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/codec_internal.h"

enum closed_tag {
	CLOSED_IPV4 = 1, /* (0-18432): records of 18 octets */
	CLOSED_IPV6 = 2  /* (0-43008): records of 42 octets; together 1024 at most */
};

/* Other flags are ignored. */
#define FLAG_RESET      0x01 /* the client is to be told by a RST */
#define FLAG_TRANSFEROR 0x02 /* the sender has transferred the connection, else received it */

#define REST                    (2 + 2 + 1 + 1 + 4) /* of a record, without its addresses */
#define RECORD_LEN(address_len) (2 * (size_t)(address_len) + REST)

static void
put_address(uint8_t *at, const struct ip *ip, size_t len)
{
	memcpy(at, len == 4 ? ip_v4(ip) : ip->octet, len);
}

static struct ip
fetch_address(const uint8_t *at, size_t len)
{
	return len == 4 ? ip_from_v4(at) : ip_from_v6(at);
}

static void
put_record(uint8_t *at, const struct connection_closed *entry, size_t address_len)
{
	put_address(at, &entry->client.ip, address_len);
	at += address_len;
	tlv_store(at, entry->client.port, 2);
	at += 2;
	put_address(at, &entry->service.ip, address_len);
	at += address_len;
	tlv_store(at, entry->service.port, 2);
	at[2] = entry->protocol;
	at[3] = (entry->reset ? FLAG_RESET : 0) | (entry->from_transferor ? FLAG_TRANSFEROR : 0);
	tlv_store(at + 4, entry->seq, 4);
}

/* The records of one family, if there are any. */
static void
put_family(struct codec_buffer *b, uint16_t tag, const struct connection_closed *entries,
    size_t count, size_t address_len)
{
	size_t start = 0;

	for (size_t i = 0; i < count; i++) {
		if (ip_is_v4(&entries[i].client.ip) != (address_len == 4))
			continue;
		if (start == 0)
			start = tlv_nest_begin(b, tag);
		put_record(tlv_append(b, RECORD_LEN(address_len)), &entries[i], address_len);
	}
	if (start != 0)
		tlv_nest_end(b, start);
}

int
codec_encode_closed(struct codec_buffer *b, const struct connection_closed *entries, size_t count)
{
	size_t start = codec_begin(b, MESSAGE_CLOSED);

	if (count > CLOSED_ENTRIES_MAX)
		return codec_cancel(b, start);
	for (size_t i = 0; i < count; i++)
		if (ip_is_v4(&entries[i].client.ip) != ip_is_v4(&entries[i].service.ip))
			return codec_cancel(b, start);
	put_family(b, CLOSED_IPV4, entries, count, 4);
	put_family(b, CLOSED_IPV6, entries, count, 16);
	return codec_end(b, start);
}

static int
take_record(struct connection_closed *entry, const uint8_t *at, size_t address_len)
{
	entry->client.ip = fetch_address(at, address_len);
	at += address_len;
	entry->client.port = (uint16_t)tlv_fetch(at, 2);
	at += 2;
	entry->service.ip = fetch_address(at, address_len);
	at += address_len;
	entry->service.port = (uint16_t)tlv_fetch(at, 2);
	entry->protocol = at[2];
	entry->reset = (at[3] & FLAG_RESET) != 0;
	entry->from_transferor = (at[3] & FLAG_TRANSFEROR) != 0;
	entry->seq = (uint32_t)tlv_fetch(at + 4, 4);
	/* an IPv4 address has one form only, or one connection would have two names */
	if (address_len == 16 && (ip_is_v4(&entry->client.ip) || ip_is_v4(&entry->service.ip)))
		return -1;
	return entry->protocol == IPPROTO_TCP || entry->protocol == IPPROTO_UDP ? 0 : -1;
}

static int
take_family(struct closed *closed, const uint8_t *value, size_t len, size_t address_len)
{
	size_t record_len = RECORD_LEN(address_len), count = len / record_len;

	if (len % record_len != 0 || count > CLOSED_ENTRIES_MAX - closed->count)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (take_record(&closed->entries[closed->count++], value + i * record_len,
			address_len) != 0)
			return -1;
	return 0;
}

static int
take_ipv4(void *out, const uint8_t *value, size_t len)
{
	return take_family(out, value, len, 4);
}

static int
take_ipv6(void *out, const uint8_t *value, size_t len)
{
	return take_family(out, value, len, 16);
}

static const struct tlv_field closed_fields[] = {
    [CLOSED_IPV4] = TLV_BYTES(0, CLOSED_ENTRIES_MAX *RECORD_LEN(4), false, take_ipv4),
    [CLOSED_IPV6] = TLV_BYTES(0, CLOSED_ENTRIES_MAX *RECORD_LEN(16), false, take_ipv6),
};

int
codec_decode_closed(const uint8_t *body, size_t len, struct closed *closed)
{
	*closed = (struct closed){0};
	closed->entries = xcalloc(CLOSED_ENTRIES_MAX, sizeof(closed->entries[0]));
	if (tlv_read(body, len, TLV_TABLE(closed_fields), closed) == 0)
		return 0;
	closed_fini(closed);
	return -1;
}

void
closed_fini(struct closed *closed)
{
	free(closed->entries);
	*closed = (struct closed){0};
}
