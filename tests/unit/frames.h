/*
 * frames: packets built octet by octet for tests, with checksums computed the plain way.
 *
 * Shares no code with src/packet, so that neither can hide a mistake of the other.
 */
#ifndef WLAD_TESTS_FRAMES_H
#define WLAD_TESTS_FRAMES_H

#include <netinet/in.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "packet/packet.h"

#define FRAME_MAX (PACKET_MAX + 64)

struct frame {
	uint8_t octets[FRAME_MAX];
	size_t len;
	size_t transport;
	int version;
	uint8_t protocol;
	bool fragment_later; /* no transport header, no checksum to write */
};

/* The sum over 16-bit words, one by one; an odd last octet is padded with zero. */
static inline uint16_t
frame_sum(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (uint16_t)sum;
}

static inline uint16_t
frame_pseudo(const struct frame *f, size_t len)
{
	uint8_t tail[8] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
	    (uint8_t)len, 0, 0, 0, f->protocol};
	uint32_t sum;

	if (f->version == 4)
		sum = frame_sum(0, f->octets + 12, 8);
	else
		sum = frame_sum(0, f->octets + 8, 32);
	return frame_sum(sum, tail, sizeof(tail));
}

static inline void
frame_put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint16_t
frame_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void
frame_put32(uint8_t *at, uint32_t value)
{
	frame_put16(at, value >> 16);
	frame_put16(at + 2, value & 0xffff);
}

static inline uint32_t
frame_get32(const uint8_t *at)
{
	return (uint32_t)frame_get16(at) << 16 | frame_get16(at + 2);
}

static inline struct addr
frame_addr(const char *text, uint16_t port)
{
	struct addr addr = {.port = port};

	if (ip_parse(text, &addr.ip) == -1)
		memset(&addr.ip, 0xee, sizeof(addr.ip));
	return addr;
}

static inline void
frame_add(struct frame *f, const void *data, size_t len)
{
	if (len > 0)
		memcpy(f->octets + f->len, data, len);
	f->len += len;
}

/* Starts a packet; options (IPv4) or extension headers (IPv6) are added by frame_add(). */
static inline void
frame_ip(struct frame *f, const struct addr *source, const struct addr *destination,
    uint8_t protocol)
{
	memset(f, 0, sizeof(*f));
	f->version = ip_is_v4(&source->ip) ? 4 : 6;
	f->protocol = protocol;
	if (f->version == 4) {
		f->len = 20;
		f->octets[0] = 0x45;
		f->octets[1] = 0x10;
		frame_put16(f->octets + 4, 0xabcd);
		f->octets[8] = 57;
		f->octets[9] = protocol;
		memcpy(f->octets + 12, source->ip.octet + 12, 4);
		memcpy(f->octets + 16, destination->ip.octet + 12, 4);
	} else {
		f->len = 40;
		f->octets[0] = 0x60;
		f->octets[3] = 0x99;
		f->octets[6] = protocol;
		f->octets[7] = 57;
		memcpy(f->octets + 8, source->ip.octet, 16);
		memcpy(f->octets + 24, destination->ip.octet, 16);
	}
	f->transport = f->len;
}

/* IPv4 options, a multiple of 4 octets, right after frame_ip(). */
static inline void
frame_ip_options(struct frame *f, const void *options, size_t len)
{
	frame_add(f, options, len);
	f->octets[0] = (uint8_t)(0x45 + len / 4);
	f->transport = f->len;
}

/* An IPv6 extension header of len octets (a multiple of 8), padded by PadN where it has options. */
static inline void
frame_extension(struct frame *f, uint8_t kind, size_t len)
{
	uint8_t header[2048] = {f->protocol, (uint8_t)(len / 8 - 1), 1, (uint8_t)(len - 4)};
	size_t at = 6, end = 40;

	if (len > 256 + 3) /* one PadN cannot fill it: the octets stay what they are, Pad1 */
		header[2] = header[3] = 0;
	while (end < f->len) { /* find the last "next header" */
		at = end;
		end += f->octets[end + 1] * 8u + 8;
	}
	f->octets[at] = kind;
	frame_add(f, header, len);
	f->transport = f->len;
}

/* Makes it a fragment: offset in octets.  IPv6: adds the header, so call it last of the extensions. */
static inline void
frame_fragment(struct frame *f, uint32_t offset, bool more, uint32_t id)
{
	if (f->version == 4) {
		frame_put16(f->octets + 4, id);
		frame_put16(f->octets + 6, offset / 8 | (more ? 0x2000u : 0));
	} else {
		frame_extension(f, IPPROTO_FRAGMENT, 8);
		frame_put16(f->octets + f->len - 8 + 2, offset | (more ? 1u : 0));
		f->octets[f->len - 8 + 1] = 0;
		frame_put32(f->octets + f->len - 4, id);
	}
	f->fragment_later = offset > 0;
}

static inline void
frame_tcp(struct frame *f, uint16_t source, uint16_t destination, uint32_t seq, uint32_t ack,
    uint8_t flags, const void *options, size_t options_len)
{
	uint8_t header[20] = {0};

	frame_put16(header, source);
	frame_put16(header + 2, destination);
	frame_put32(header + 4, seq);
	frame_put32(header + 8, ack);
	header[12] = (uint8_t)((5 + options_len / 4) << 4);
	header[13] = flags;
	frame_put16(header + 14, 0x7210);
	frame_add(f, header, sizeof(header));
	frame_add(f, options, options_len);
}

static inline void
frame_udp(struct frame *f, uint16_t source, uint16_t destination)
{
	uint8_t header[8] = {0};

	frame_put16(header, source);
	frame_put16(header + 2, destination);
	frame_add(f, header, sizeof(header));
}

static inline void
frame_icmp(struct frame *f, uint8_t type, uint8_t code, uint32_t rest)
{
	uint8_t header[8] = {type, code};

	frame_put32(header + 4, rest);
	frame_add(f, header, sizeof(header));
}

/* Octets without a pattern that a shifted copy would match. */
static inline void
frame_payload(struct frame *f, size_t len)
{
	uint32_t state = 12345;

	for (size_t i = 0; i < len; i++) {
		state = state * 1103515245 + 12345;
		f->octets[f->len++] = (uint8_t)(state >> 16);
	}
}

/* Offset of the checksum field in the transport header. */
static inline size_t
frame_checksum_at(const struct frame *f)
{
	switch (f->protocol) {
	case IPPROTO_TCP:
		return f->transport + 16;
	case IPPROTO_UDP:
		return f->transport + 6;
	default:
		return f->transport + 2;
	}
}

/* The right transport checksum of the packet as it is. */
static inline uint16_t
frame_transport_checksum(const struct frame *f)
{
	size_t at = frame_checksum_at(f);
	uint32_t sum = 0;
	uint16_t checksum;

	if (f->protocol != IPPROTO_ICMP)
		sum = frame_pseudo(f, f->len - f->transport);
	sum = frame_sum(sum, f->octets + f->transport, at - f->transport);
	sum = frame_sum(sum, f->octets + at + 2, f->len - at - 2);
	checksum = (uint16_t)~sum;
	return f->protocol == IPPROTO_UDP && checksum == 0 ? 0xffff : checksum;
}

static inline void
frame_ip_checksum(struct frame *f)
{
	size_t header = (f->octets[0] & 15u) * 4;

	frame_put16(f->octets + 10, 0);
	frame_put16(f->octets + 10, (uint16_t)~frame_sum(0, f->octets, header));
}

/* Writes all lengths and checksums. */
static inline void
frame_finish(struct frame *f)
{
	if (f->version == 4) {
		frame_put16(f->octets + 2, f->len);
		frame_ip_checksum(f);
	} else
		frame_put16(f->octets + 4, f->len - 40);
	if (f->fragment_later)
		return;
	if (f->protocol == IPPROTO_UDP)
		frame_put16(f->octets + f->transport + 4, f->len - f->transport);
	frame_put16(f->octets + frame_checksum_at(f), frame_transport_checksum(f));
}

/* The same with a partial checksum. */
static inline void
frame_finish_partial(struct frame *f)
{
	frame_finish(f);
	frame_put16(f->octets + frame_checksum_at(f), frame_pseudo(f, f->len - f->transport));
}

/* A view of it, not parsed. */
static inline struct packet
frame_packet(struct frame *f)
{
	struct packet p;

	memset(&p, 0xa5, sizeof(p)); /* nothing of it is to be relied upon */
	p.data = f->octets;
	p.len = (uint32_t)f->len;
	p.headroom = 0;
	p.gso = PACKET_GSO_NONE;
	p.gso_size = 0;
	p.partial = false;
	p.gso_ecn = false;
	return p;
}

/* Reads a finished packet back, far enough to check its checksums: no extension headers. */
static inline void
frame_from(struct frame *f, const uint8_t *data, size_t len)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->octets, data, len);
	f->len = len;
	f->version = data[0] >> 4;
	f->protocol = f->version == 4 ? data[9] : data[6];
	f->transport = f->version == 4 ? (data[0] & 15u) * 4 : 40;
}

/* Are the lengths and checksums of a packet without extension headers right? */
static inline bool
frame_is_right(const uint8_t *data, size_t len)
{
	static struct frame f;

	frame_from(&f, data, len);
	if (f.version == 4) {
		if (frame_sum(0, data, f.transport) != 0xffff || frame_get16(data + 2) != len)
			return false;
	} else if (frame_get16(data + 4) + 40u != len)
		return false;
	if (f.protocol == IPPROTO_UDP && frame_get16(data + f.transport + 4) != len - f.transport)
		return false;
	return frame_get16(data + frame_checksum_at(&f)) == frame_transport_checksum(&f);
}

#endif
