/*
 * codec_internal: what the messages have in common, for load/codec*.c alone.
 *
 * The tags are in the file of their message.  Each message and each nested TLV has its own
 * numbers.  A length in brackets; "must" marks what a message is malformed without; no tag but
 * "repeats" may come twice.  Integers are unsigned and big-endian.  A name has 1 to 63 octets out
 * of letters, digits, '-', '.' and '_', and no NUL.
 */
#ifndef WLAD_LOAD_CODEC_INTERNAL_H
#define WLAD_LOAD_CODEC_INTERNAL_H

#include "load/codec.h"
#include "load/tlv.h"

/* A message whose body is what is appended between begin and end; end is 0, or -1 if that is too
 * much: then nothing is appended.  cancel takes it back and is -1. */
size_t codec_begin(struct codec_buffer *b, enum message_type type);
int codec_end(struct codec_buffer *b, size_t start);
int codec_cancel(struct codec_buffer *b, size_t start);

/* What SITES has in common with HELLO and LOAD: names, a service of a HELLO (a function of tlv.h
 * whose out is a struct hello), what is ambiguous. */
void codec_put_service(struct codec_buffer *b, uint16_t tag, const struct hello_service *s);
int codec_take_service(void *hello, const uint8_t *value, size_t len);
int codec_take_name(char out[CODEC_NAME_MAX + 1], const uint8_t *value, size_t len);
bool codec_ambiguous_services(const struct hello *hello);
bool codec_ambiguous_report(const struct load_report *report);

/* IPv6 or IPv4-mapped address (16) and port (2). */
#define CODEC_ADDRESS_LEN 18
void codec_put_address(struct codec_buffer *b, uint16_t tag, const struct addr *address);
struct addr codec_fetch_address(const uint8_t value[CODEC_ADDRESS_LEN]);

/* Marks a number in a set of 65536; true if it was in there. */
bool codec_mark(uint8_t set[65536 / 8], uint16_t number);

/* Room for one more element, zeroed, at the end of an array; NULL if there are limit. */
void *codec_grow(void *array, size_t count, size_t limit, size_t size);

#endif
