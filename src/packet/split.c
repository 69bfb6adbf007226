#include "packet/split.h"

#include "packet/checksum.h"
#include "packet/format.h"

#define MTU_MIN 68 /* RFC 791, 3.2: the longest header and 8 octets */

#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_COPY 0x80 /* into all fragments */

bool
split_possible(const struct packet *p, uint32_t mtu)
{
	return p->version == 4 && p->gso == PACKET_GSO_NONE && mtu >= MTU_MIN &&
	    (get16(p->data + IPV4_FRAGMENT) & IPV4_DONT) == 0;
}

void
split_start(struct splitter *s, const struct packet *p, uint32_t mtu)
{
	s->packet = p;
	s->size = (mtu - p->transport) / 8 * 8;
	s->offset = 0;
}

uint32_t
split_max_len(const struct splitter *s)
{
	return s->packet->transport + s->size;
}

/* Overwrites the options that are not for this fragment.  Malformed ones are left alone. */
static void
clear_options(uint8_t *header, uint32_t len)
{
	uint32_t at = IPV4_HEADER, option;

	while (at < len && header[at] != OPTION_END) {
		if (header[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (len - at < 2 || header[at + 1] < 2 || header[at + 1] > len - at)
			return;
		option = header[at + 1];
		if ((header[at] & OPTION_COPY) == 0)
			memset(header + at, OPTION_NOP, option);
		at += option;
	}
}

static void
write_header(const struct splitter *s, bool last, struct segment *out)
{
	const struct packet *p = s->packet;
	uint32_t field = get16(p->data + IPV4_FRAGMENT);
	uint8_t *ip = out->header;

	memcpy(ip, p->data, out->header_len);
	if (s->offset > 0)
		clear_options(ip, out->header_len);
	field += s->offset / 8;
	if (!last)
		field |= IPV4_MORE;
	put16(ip + IPV4_LENGTH, (uint16_t)(out->header_len + out->payload_len));
	put16(ip + IPV4_FRAGMENT, (uint16_t)field);
	put16(ip + IPV4_CHECKSUM, 0);
	put16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, out->header_len)));
}

bool
split_next(struct splitter *s, struct segment *out)
{
	const struct packet *p = s->packet;
	uint32_t left = p->len - p->transport - s->offset;

	if (left == 0)
		return false;
	out->header_len = p->transport;
	out->payload = p->data + p->transport + s->offset;
	out->payload_len = left > s->size ? s->size : left;
	write_header(s, left <= s->size, out);
	s->offset += out->payload_len;
	return true;
}
