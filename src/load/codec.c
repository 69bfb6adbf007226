#include "load/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/codec_internal.h"

enum key_ready_tag {
	KEY_READY_INDEX = 1 /* must (4): the index of its HELLO, which the sender can receive
	                     * under from now on */
};

enum bye_tag {
	BYE_REASON = 1 /* must (1): 1 the sender stops; 2 it wants a new session, 3 there is
	                * one already: until it is established the keys stay valid, 10 s at most;
	                * 4 the receiver broke the protocol; 5 the session is of no use now */
};

enum probe_tag {
	PROBE_ID = 1 /* must (8): what the receiver's probe carried */
};

void
codec_buffer_fini(struct codec_buffer *b)
{
	free(b->data);
	*b = (struct codec_buffer){0};
}

int
codec_header(const uint8_t *data, size_t len, uint8_t *type, uint32_t *body_len)
{
	if (len < CODEC_HEADER_LEN)
		return 0;
	*type = data[0];
	*body_len = (uint32_t)tlv_fetch(data + 2, 4);
	return data[1] == 0 && *body_len <= CODEC_MESSAGE_MAX ? 1 : -1;
}

size_t
codec_begin(struct codec_buffer *b, enum message_type type)
{
	uint8_t *at = tlv_append(b, CODEC_HEADER_LEN);

	memset(at, 0, CODEC_HEADER_LEN);
	at[0] = type;
	return b->len;
}

int
codec_cancel(struct codec_buffer *b, size_t start)
{
	b->len = start - CODEC_HEADER_LEN;
	return -1;
}

int
codec_end(struct codec_buffer *b, size_t start)
{
	if (b->len - start > CODEC_MESSAGE_MAX)
		return codec_cancel(b, start);
	tlv_store(b->data + start - 4, b->len - start, 4);
	return 0;
}

bool
codec_mark(uint8_t set[65536 / 8], uint16_t number)
{
	uint8_t bit = (uint8_t)(1 << number % 8);
	bool was = (set[number / 8] & bit) != 0;

	set[number / 8] |= bit;
	return was;
}

void *
codec_grow(void *array, size_t count, size_t limit, size_t size)
{
	if (count >= limit)
		return NULL;
	if ((count & (count - 1)) == 0)
		array = xrealloc_array(array, count == 0 ? 1 : count * 2, size);
	memset((char *)array + count * size, 0, size);
	return array;
}

void
codec_put_address(struct codec_buffer *b, uint16_t tag, const struct addr *address)
{
	uint8_t octets[CODEC_ADDRESS_LEN];

	memcpy(octets, address->ip.octet, 16);
	tlv_store(octets + 16, address->port, 2);
	tlv_put_bytes(b, tag, octets, sizeof(octets));
}

struct addr
codec_fetch_address(const uint8_t value[CODEC_ADDRESS_LEN])
{
	return (struct addr){ip_from_v6(value), (uint16_t)tlv_fetch(value + 16, 2)};
}

/* ---- KEY_READY ---- */

struct key_ready {
	uint32_t index;
};

static const struct tlv_field key_ready_fields[] = {
    [KEY_READY_INDEX] = TLV_NUMBER(struct key_ready, index, true, 0),
};

int
codec_encode_key_ready(struct codec_buffer *b, uint32_t key_index)
{
	size_t start = codec_begin(b, MESSAGE_KEY_READY);

	tlv_put_number(b, KEY_READY_INDEX, key_index, 4);
	return codec_end(b, start);
}

int
codec_decode_key_ready(const uint8_t *body, size_t len, uint32_t *key_index)
{
	struct key_ready message = {0};

	if (tlv_read(body, len, TLV_TABLE(key_ready_fields), &message) != 0 || message.index == 0)
		return -1;
	*key_index = message.index;
	return 0;
}

/* ---- BYE ---- */

struct bye {
	uint8_t reason;
};

static const struct tlv_field bye_fields[] = {
    [BYE_REASON] = TLV_NUMBER(struct bye, reason, true, BYE_IDLE),
};

int
codec_encode_bye(struct codec_buffer *b, enum bye_reason reason)
{
	size_t start = codec_begin(b, MESSAGE_BYE);

	tlv_put_number(b, BYE_REASON, reason, 1);
	return codec_end(b, start);
}

int
codec_decode_bye(const uint8_t *body, size_t len, enum bye_reason *reason)
{
	struct bye message = {0};

	if (tlv_read(body, len, TLV_TABLE(bye_fields), &message) != 0 || message.reason < BYE_STOP)
		return -1;
	*reason = (enum bye_reason)message.reason;
	return 0;
}

/* ---- PROBE ---- */

static const struct tlv_field probe_fields[] = {
    [PROBE_ID] = TLV_NUMBER(struct probe_seen, id, true, 0),
};

int
codec_encode_probe(struct codec_buffer *b, const struct probe_seen *probe)
{
	size_t start = codec_begin(b, MESSAGE_PROBE);

	tlv_put_number(b, PROBE_ID, probe->id, 8);
	return codec_end(b, start);
}

int
codec_decode_probe(const uint8_t *body, size_t len, struct probe_seen *probe)
{
	*probe = (struct probe_seen){0};
	return tlv_read(body, len, TLV_TABLE(probe_fields), probe);
}
