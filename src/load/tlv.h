/*
 * tlv: tag (2), length (2), value: what the bodies of load exchange messages are made of.
 *
 * Reading is driven by a table of fields, so that lengths, duplicates and what must be there
 * are checked at one place.  Writing appends to a codec_buffer.  Used by codec.c only.
 */
#ifndef WLAD_LOAD_TLV_H
#define WLAD_LOAD_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/codec.h"

#define TLV_HEADER_LEN 4
#define TLV_VALUE_MAX  65535
#define TLV_FIELDS_MAX 32 /* tags known of one message or nested TLV: 0 to 31 */

/* Takes one value whose length is within its field's bounds; 0, or -1 if it is malformed. */
typedef int tlv_take(void *out, const uint8_t *value, size_t len);

/* What is known of one tag, which is its place in the table.  max 0: no such tag. */
struct tlv_field {
	size_t min, max; /* octets */
	bool must;       /* malformed without */
	bool repeats;    /* others may come once */
	tlv_take *take;  /* NULL: a number of max octets that is stored at offset */
	size_t offset;
	uint64_t most; /* largest number; 0: any */
};

/* Fields for a number whose member has the size that it has in the message. */
#define TLV_NUMBER(type, member, is_must, largest) \
	{ \
		.min = sizeof(((type *)0)->member), .max = sizeof(((type *)0)->member), \
		.offset = offsetof(type, member), .must = (is_must), .most = (largest) \
	}
#define TLV_BYTES(shortest, longest, is_must, function) \
	{ \
		.min = (shortest), .max = (longest), .must = (is_must), .take = (function) \
	}
#define TLV_NESTED(function) \
	{ \
		.max = TLV_VALUE_MAX, .repeats = true, .take = (function) \
	}

/* A table and its length, as arguments. */
#define TLV_TABLE(table) (table), sizeof(table) / sizeof((table)[0])

/*
 * Walks over data and puts what it finds into out.  Unknown tags are skipped.  0, or -1 if a length
 * does not fit, a tag comes twice that may not, one lacks that must be there, or a value
 * is malformed; out then holds what was read up to there.
 */
int tlv_read(
    const uint8_t *data, size_t len, const struct tlv_field *fields, size_t count, void *out);

/* An unsigned big-endian integer of up to 8 octets. */
uint64_t tlv_fetch(const uint8_t *at, size_t len);
void tlv_store(uint8_t *at, uint64_t value, size_t len);

/* Appends len octets whose content the caller writes. */
uint8_t *tlv_append(struct codec_buffer *b, size_t len);
void tlv_put_bytes(struct codec_buffer *b, uint16_t tag, const void *value, size_t len);
void tlv_put_number(struct codec_buffer *b, uint16_t tag, uint64_t value, size_t len);

/* A TLV whose value is what is appended between begin and end, at most TLV_VALUE_MAX octets. */
size_t tlv_nest_begin(struct codec_buffer *b, uint16_t tag);
void tlv_nest_end(struct codec_buffer *b, size_t start);

#endif
