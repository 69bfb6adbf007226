#include "packet/segment.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/format.h"

#define TCP_CWR 0x80 /* RFC 3168, 6.1.2 */

static uint32_t
segment_size(const struct packet *p)
{
	uint32_t len = packet_payload_len(p);

	if (p->gso == PACKET_GSO_NONE || p->gso_size >= len)
		return len;
	return p->gso_size;
}

uint32_t
segment_count(const struct packet *p)
{
	uint32_t size = segment_size(p);

	if (size == 0)
		return 1;
	return (packet_payload_len(p) + size - 1) / size;
}

uint32_t
segment_max_len(const struct packet *p)
{
	return p->payload + segment_size(p);
}

void
segment_start(struct segmenter *s, const struct packet *p)
{
	s->packet = p;
	s->offset = 0;
	s->index = 0;
	s->done = false;
}

/* IPv4: length, identification and checksum; IPv6: length. */
static void
write_ip(const struct packet *p, uint32_t index, struct segment *out)
{
	uint32_t len = out->header_len + out->payload_len;
	uint8_t *ip = out->header;

	if (p->version == 6) {
		put16(ip + IPV6_LENGTH, (uint16_t)(len - IPV6_HEADER));
		return;
	}
	put16(ip + IPV4_LENGTH, (uint16_t)len);
	put16(ip + IPV4_ID, (uint16_t)(get16(ip + IPV4_ID) + index));
	put16(ip + IPV4_CHECKSUM, 0);
	put16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, p->transport)));
}

/* Returns the checksum field of the segment's TCP header. */
static uint8_t *
write_tcp(const struct segmenter *s, bool last, struct segment *out)
{
	uint8_t *tcp = out->header + s->packet->transport;

	put32(tcp + TCP_SEQ, s->packet->tcp_seq + s->offset);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (s->index > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	return tcp + TCP_CHECKSUM;
}

/* Returns the checksum field of the segment's UDP header; NULL if it has none and gets none. */
static uint8_t *
write_udp(const struct packet *p, struct segment *out)
{
	uint8_t *udp = out->header + p->transport;

	put16(udp + UDP_LENGTH, (uint16_t)(out->header_len - p->transport + out->payload_len));
	if (!p->partial && get16(udp + UDP_CHECKSUM) == 0)
		return NULL;
	return udp + UDP_CHECKSUM;
}

static void
write_checksum(const struct packet *p, struct segment *out, uint8_t *field)
{
	uint32_t len = out->header_len - p->transport;
	uint32_t sum;
	uint16_t checksum;

	sum = checksum_pseudo(
	    p->version, &p->source.ip, &p->destination.ip, p->protocol, len + out->payload_len);
	if (p->partial) {
		put16(field, checksum_fold(sum));
		return;
	}
	put16(field, 0);
	sum = checksum_add(sum, out->header + p->transport, len);
	sum = checksum_add(sum, out->payload, out->payload_len);
	checksum = (uint16_t)~checksum_fold(sum);
	put16(field, p->protocol == IPPROTO_UDP && checksum == 0 ? 0xffff : checksum);
}

/* What is no super-packet needs no new header, however long its own is. */
static void
take_whole(const struct packet *p, struct segment *out)
{
	out->header_len = p->payload < SEGMENT_HEADER_MAX ? p->payload : SEGMENT_HEADER_MAX;
	memcpy(out->header, p->data, out->header_len);
	out->payload = p->data + out->header_len;
	out->payload_len = p->len - out->header_len;
}

static void
take_segment(struct segmenter *s, uint32_t len, struct segment *out)
{
	const struct packet *p = s->packet;
	uint8_t *field;

	memcpy(out->header, p->data, p->payload);
	out->header_len = p->payload;
	out->payload = p->data + p->payload + s->offset;
	out->payload_len = len;
	write_ip(p, s->index, out);
	if (p->protocol == IPPROTO_TCP)
		field = write_tcp(s, s->done, out);
	else
		field = write_udp(p, out);
	if (field != NULL)
		write_checksum(p, out, field);
}

bool
segment_next(struct segmenter *s, struct segment *out)
{
	const struct packet *p = s->packet;
	uint32_t left, len;

	if (s->done)
		return false;
	if (p->gso == PACKET_GSO_NONE) {
		s->done = true;
		take_whole(p, out);
		return true;
	}
	if (p->payload > SEGMENT_HEADER_MAX) {
		s->done = true;
		return false;
	}
	left = packet_payload_len(p) - s->offset;
	len = segment_size(p);
	if (len >= left) {
		len = left;
		s->done = true;
	}
	take_segment(s, len, out);
	s->offset += len;
	s->index++;
	return true;
}

void
packet_complete_checksum(struct packet *p)
{
	uint8_t *transport = p->data + p->transport;
	uint8_t *field;
	uint16_t checksum;

	if (!p->partial)
		return;
	field = transport + (p->protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	/* The field is part of what is summed: that is how the pseudo-header comes in. */
	checksum = (uint16_t)~checksum_fold(checksum_add(0, transport, p->len - p->transport));
	put16(field, p->protocol == IPPROTO_UDP && checksum == 0 ? 0xffff : checksum);
	p->partial = false;
}
