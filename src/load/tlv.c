#include "load/tlv.h"

#include <string.h>

#include "base/xalloc.h"

uint64_t
tlv_fetch(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | at[i];
	return value;
}

void
tlv_store(uint8_t *at, uint64_t value, size_t len)
{
	while (len-- > 0) {
		at[len] = (uint8_t)value;
		value >>= 8;
	}
}

/* Stores a number in host order into a member of as many octets. */
static int
take_number(const struct tlv_field *f, uint8_t *at, const uint8_t *value, size_t len)
{
	uint64_t number = tlv_fetch(value, len);
	uint16_t n16 = (uint16_t)number;
	uint32_t n32 = (uint32_t)number;

	if (f->most != 0 && number > f->most)
		return -1;
	switch (len) {
	case 1:
		*at = (uint8_t)number;
		return 0;
	case 2:
		memcpy(at, &n16, sizeof(n16));
		return 0;
	case 4:
		memcpy(at, &n32, sizeof(n32));
		return 0;
	case 8:
		memcpy(at, &number, sizeof(number));
		return 0;
	}
	return -1;
}

static int
take_value(const struct tlv_field *f, void *out, const uint8_t *value, size_t len)
{
	if (len < f->min || len > f->max)
		return -1;
	if (f->take != NULL)
		return f->take(out, value, len);
	return take_number(f, (uint8_t *)out + f->offset, value, len);
}

int
tlv_read(const uint8_t *data, size_t len, const struct tlv_field *fields, size_t count, void *out)
{
	uint32_t seen = 0;

	while (len > 0) {
		uint64_t tag;
		size_t value_len;

		if (len < TLV_HEADER_LEN)
			return -1;
		tag = tlv_fetch(data, 2);
		value_len = tlv_fetch(data + 2, 2);
		data += TLV_HEADER_LEN;
		len -= TLV_HEADER_LEN;
		if (value_len > len)
			return -1;
		if (tag < count && fields[tag].max != 0) {
			uint32_t bit = UINT32_C(1) << tag;

			if ((seen & bit) != 0 && !fields[tag].repeats)
				return -1;
			if (take_value(&fields[tag], out, data, value_len) != 0)
				return -1;
			seen |= bit;
		}
		data += value_len;
		len -= value_len;
	}
	for (size_t tag = 0; tag < count; tag++)
		if (fields[tag].must && (seen & UINT32_C(1) << tag) == 0)
			return -1;
	return 0;
}

uint8_t *
tlv_append(struct codec_buffer *b, size_t len)
{
	uint8_t *at;

	if (b->size - b->len < len) {
		while (b->size - b->len < len)
			b->size = b->size == 0 ? 1024 : b->size * 2;
		b->data = xrealloc_array(b->data, b->size, 1);
	}
	at = b->data + b->len;
	b->len += len;
	return at;
}

void
tlv_put_bytes(struct codec_buffer *b, uint16_t tag, const void *value, size_t len)
{
	uint8_t *at = tlv_append(b, TLV_HEADER_LEN + len);

	tlv_store(at, tag, 2);
	tlv_store(at + 2, len, 2);
	memcpy(at + TLV_HEADER_LEN, value, len);
}

void
tlv_put_number(struct codec_buffer *b, uint16_t tag, uint64_t value, size_t len)
{
	uint8_t octets[8];

	tlv_store(octets, value, len);
	tlv_put_bytes(b, tag, octets, len);
}

size_t
tlv_nest_begin(struct codec_buffer *b, uint16_t tag)
{
	tlv_store(tlv_append(b, TLV_HEADER_LEN), (uint64_t)tag << 16, TLV_HEADER_LEN);
	return b->len;
}

void
tlv_nest_end(struct codec_buffer *b, size_t start)
{
	tlv_store(b->data + start - 2, b->len - start, 2);
}
