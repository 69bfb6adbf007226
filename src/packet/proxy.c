#include "packet/proxy.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/format.h"

/* proxy-protocol.txt, 2.2 */
#define VERSION_LOCAL 0x20
#define VERSION_PROXY 0x21
#define TCP_OVER_IPV4 0x11
#define TCP_OVER_IPV6 0x21
#define ADDRESSES_V4  12
#define ADDRESSES_V6  36
#define FIXED_LEN     16

#define OPTION_END          0
#define OPTION_NOP          1
#define OPTION_TIMESTAMPS   8
#define OPTION_MULTIPATH    30  /* RFC 8684 */
#define OPTION_FAST_OPEN    34  /* RFC 7413 */
#define OPTION_EXPERIMENT   254 /* RFC 6994 */
#define EXPERIMENT_COOKIE   0xf989
#define TIMESTAMPS_LEN      10
#define ECN                 0x03
#define FLAGS_DATA          (TCP_ACK | TCP_PSH)
#define TCP_WINDOW          14
#define WINDOW_OF_AN_ANSWER 1024

static const uint8_t signature[12] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

size_t
proxy_header(const struct addr *client, const struct addr *service, uint8_t *buf)
{
	bool v4 = ip_is_v4(&client->ip);
	size_t ip_len = v4 ? 4 : 16;
	uint8_t *at = buf + FIXED_LEN;

	if (ip_is_v4(&service->ip) != v4)
		return 0;
	memcpy(buf, signature, sizeof(signature));
	buf[12] = VERSION_PROXY;
	buf[13] = v4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
	put16(buf + 14, v4 ? ADDRESSES_V4 : ADDRESSES_V6);
	memcpy(at, v4 ? ip_v4(&client->ip) : client->ip.octet, ip_len);
	memcpy(at + ip_len, v4 ? ip_v4(&service->ip) : service->ip.octet, ip_len);
	put16(at + 2 * ip_len, client->port);
	put16(at + 2 * ip_len + 2, service->port);
	return FIXED_LEN + 2 * ip_len + 4;
}

void
proxy_header_local(uint8_t buf[PROXY_LOCAL_LEN])
{
	memset(buf, 0, PROXY_LOCAL_LEN);
	memcpy(buf, signature, sizeof(signature));
	buf[12] = VERSION_LOCAL;
}

/* ---- the client's and the server's packets ---- */

/* A partial checksum is that of the pseudo-header alone. */
static void
replace(struct packet *p, uint32_t offset, const uint8_t *fresh, size_t len)
{
	uint8_t *at = p->data + p->transport + offset;
	uint8_t *field = p->data + p->transport + TCP_CHECKSUM;
	uint32_t sum;

	if (!p->partial) {
		sum = (uint16_t)~get16(field) + checksum_difference(at, fresh, len);
		put16(field, (uint16_t)~checksum_fold(sum));
	}
	memcpy(at, fresh, len);
}

void
proxy_set_seq(struct packet *p, uint32_t seq)
{
	uint8_t fresh[4];

	put32(fresh, seq);
	replace(p, TCP_SEQ, fresh, sizeof(fresh));
	p->tcp_seq = seq;
}

void
proxy_set_ack(struct packet *p, uint32_t ack)
{
	uint8_t fresh[4];

	put32(fresh, ack);
	replace(p, TCP_ACKNO, fresh, sizeof(fresh));
	p->tcp_ack = ack;
}

void
proxy_lower_window(struct packet *p, uint32_t octets)
{
	uint16_t window = get16(p->data + p->transport + TCP_WINDOW);
	uint8_t fresh[2];

	put16(fresh, window > octets ? (uint16_t)(window - octets) : 0);
	replace(p, TCP_WINDOW, fresh, sizeof(fresh));
}

/* Length of the option at at, 0 if it does not end before end. */
static size_t
option_len(const uint8_t *at, const uint8_t *end)
{
	if (*at == OPTION_NOP)
		return 1;
	return end - at < 2 || at[1] < 2 || at[1] > end - at ? 0 : at[1];
}

static bool
numbers_data(const uint8_t *option, size_t len)
{
	switch (option[0]) {
	case OPTION_MULTIPATH:
	case OPTION_FAST_OPEN:
		return true;
	case OPTION_EXPERIMENT:
		return len >= 4 && get16(option + 2) == EXPERIMENT_COOKIE;
	default:
		return false;
	}
}

static void
blank_options(uint8_t *at, const uint8_t *end)
{
	size_t len;

	for (; at < end && *at != OPTION_END; at += len) {
		len = option_len(at, end);
		if (len == 0)
			return;
		if (numbers_data(at, len))
			memset(at, OPTION_NOP, len);
	}
}

static void
cut_data(struct packet *p)
{
	p->len = p->payload;
	if (p->version == 6) {
		put16(p->data + IPV6_LENGTH, (uint16_t)(p->len - IPV6_HEADER));
		return;
	}
	put16(p->data + IPV4_LENGTH, (uint16_t)p->len);
	put16(p->data + IPV4_CHECKSUM, 0);
	put16(p->data + IPV4_CHECKSUM,
	    (uint16_t)~checksum_fold(checksum_add(0, p->data, (p->data[0] & 0x0fu) * 4)));
}

void
proxy_convert_syn(struct packet *p)
{
	uint8_t *tcp = p->data + p->transport;

	cut_data(p);
	p->tcp_seq -= proxy_header_len(p->version);
	put32(tcp + TCP_SEQ, p->tcp_seq);
	blank_options(tcp + TCP_HEADER, p->data + p->payload);
	p->partial = false;
	put16(tcp + TCP_CHECKSUM, 0);
	put16(tcp + TCP_CHECKSUM, (uint16_t)~packet_tcp_sum(p));
}

/* ---- the segment ---- */

static void
inherit_ip(struct proxy_segment *s, const struct packet *p)
{
	const uint8_t *ip = p->data;

	if (p->version == 4) {
		s->ttl = ip[IPV4_TTL];
		s->traffic_class = ip[IPV4_TOS];
	} else {
		s->ttl = ip[IPV6_HOPS];
		s->traffic_class = (uint8_t)(get16(ip) >> 4);
		s->flow_label = get32(ip) & 0xfffff;
	}
	s->traffic_class &= (uint8_t)~ECN;
}

void
proxy_segment_like(struct proxy_segment *s, const struct packet *p)
{
	const uint8_t *tcp = p->data + p->transport;

	inherit_ip(s, p);
	s->ack = p->tcp_ack;
	s->window = get16(tcp + TCP_WINDOW);
	s->options = tcp + TCP_HEADER;
	s->options_len = p->payload - p->transport - TCP_HEADER;
}

static const uint8_t *
find_timestamps(const struct packet *p)
{
	const uint8_t *at = p->data + p->transport + TCP_HEADER, *end = p->data + p->payload;
	size_t len;

	for (; at < end && *at != OPTION_END; at += len) {
		len = option_len(at, end);
		if (len == 0)
			return NULL;
		if (*at == OPTION_TIMESTAMPS && len == TIMESTAMPS_LEN)
			return at;
	}
	return NULL;
}

/* The server's clock is echoed, and what it echoed of the client's clock is that clock again. */
void
proxy_segment_answer(
    struct proxy_segment *s, const struct packet *p, uint8_t options[PROXY_TIMESTAMPS])
{
	const uint8_t *timestamps = find_timestamps(p);

	inherit_ip(s, p);
	s->flow_label = 0;
	s->ack = p->tcp_seq;
	s->window = WINDOW_OF_AN_ANSWER;
	s->options = options;
	s->options_len = 0;
	if (timestamps == NULL)
		return;
	options[0] = options[1] = OPTION_NOP;
	options[2] = OPTION_TIMESTAMPS;
	options[3] = TIMESTAMPS_LEN;
	memcpy(options + 4, timestamps + 6, 4);
	memcpy(options + 8, timestamps + 2, 4);
	s->options_len = PROXY_TIMESTAMPS;
}

/* IPv4: don't fragment, so that identification 0 is right (RFC 6864, 4.1). */
static size_t
write_ip(const struct proxy_segment *s, int version, size_t len, uint8_t *buf)
{
	if (version == 6) {
		put32(buf, 0x60000000 | (uint32_t)s->traffic_class << 20 | s->flow_label);
		put16(buf + IPV6_LENGTH, (uint16_t)len);
		buf[IPV6_NEXT] = IPPROTO_TCP;
		buf[IPV6_HOPS] = s->ttl;
		memcpy(buf + IPV6_SOURCE, s->client.ip.octet, 16);
		memcpy(buf + IPV6_DESTINATION, s->service.ip.octet, 16);
		return IPV6_HEADER;
	}
	memset(buf, 0, IPV4_HEADER);
	buf[0] = 0x45;
	buf[IPV4_TOS] = s->traffic_class;
	put16(buf + IPV4_LENGTH, (uint16_t)(IPV4_HEADER + len));
	put16(buf + IPV4_FRAGMENT, IPV4_DONT);
	buf[IPV4_TTL] = s->ttl;
	buf[IPV4_PROTOCOL] = IPPROTO_TCP;
	memcpy(buf + IPV4_SOURCE, ip_v4(&s->client.ip), 4);
	memcpy(buf + IPV4_DESTINATION, ip_v4(&s->service.ip), 4);
	put16(buf + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, buf, IPV4_HEADER)));
	return IPV4_HEADER;
}

size_t
proxy_segment(const struct proxy_segment *s, uint8_t *buf)
{
	int version = ip_is_v4(&s->client.ip) ? 4 : 6;
	size_t tcp_len = TCP_HEADER + s->options_len;
	size_t len = tcp_len + proxy_header_len(version);
	uint8_t *tcp = buf + write_ip(s, version, len, buf);
	uint32_t sum;

	memset(tcp, 0, TCP_HEADER);
	put16(tcp, s->client.port);
	put16(tcp + 2, s->service.port);
	put32(tcp + TCP_SEQ, s->seq);
	put32(tcp + TCP_ACKNO, s->ack);
	tcp[TCP_DATA] = (uint8_t)(tcp_len / 4 << 4);
	tcp[TCP_FLAGS] = FLAGS_DATA;
	put16(tcp + TCP_WINDOW, s->window);
	if (s->options_len > 0)
		memcpy(tcp + TCP_HEADER, s->options, s->options_len);
	proxy_header(&s->client, &s->service, tcp + tcp_len);
	sum = checksum_pseudo(version, &s->client.ip, &s->service.ip, IPPROTO_TCP, (uint32_t)len);
	put16(tcp + TCP_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(sum, tcp, len)));
	return (size_t)(tcp - buf) + len;
}
