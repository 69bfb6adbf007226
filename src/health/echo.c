#include "health/echo.h"

#include <netinet/in.h>

#include <string.h>

#include "packet/checksum.h"

/* type, code, checksum, id, sequence number, data */
#define CHECKSUM 2
#define ID       4
#define SEQUENCE 6
#define TOKEN    8
#define HEADER   8

#define FRAGMENTATION_NEEDED 4 /* a code of "unreachable" that says no such thing */

#define V4_HEADER      20
#define V4_PROTOCOL    9
#define V4_DESTINATION 16
#define V6_HEADER      40
#define V6_NEXT        6
#define V6_DESTINATION 24

struct types {
	uint8_t request, reply, unreachable, protocol;
};

static const struct types v4_types = {8, 0, 3, IPPROTO_ICMP};
static const struct types v6_types = {128, 129, 1, IPPROTO_ICMPV6};

static uint16_t
read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void
write16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void
echo_encode(bool v4, const struct echo *echo, uint8_t buf[ECHO_SIZE])
{
	memset(buf, 0, ECHO_SIZE);
	buf[0] = v4 ? v4_types.request : v6_types.request;
	write16(buf + ID, echo->id);
	write16(buf + SEQUENCE, echo->sequence);
	memcpy(buf + TOKEN, &echo->token, sizeof(echo->token));
	if (v4)
		write16(
		    buf + CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, buf, ECHO_SIZE)));
}

/* The length of the IPv4 header, or 0 if there is none. */
static size_t
v4_header(const uint8_t *data, size_t len)
{
	size_t header = len > 0 ? (size_t)(data[0] & 0x0f) * 4 : 0;

	if (len < V4_HEADER || data[0] >> 4 != 4 || header < V4_HEADER || header > len)
		return 0;
	return header;
}

/* The packet that an error quotes: one of our requests? */
static enum echo_kind
decode_quote(bool v4, const uint8_t *data, size_t len, struct echo *echo)
{
	const struct types *types = v4 ? &v4_types : &v6_types;
	size_t header = v4 ? v4_header(data, len) : V6_HEADER;

	if (header == 0 || len < header + HEADER || (!v4 && data[0] >> 4 != 6))
		return ECHO_NONE;
	if (data[v4 ? V4_PROTOCOL : V6_NEXT] != types->protocol || data[header] != types->request)
		return ECHO_NONE;
	echo->destination =
	    v4 ? ip_from_v4(data + V4_DESTINATION) : ip_from_v6(data + V6_DESTINATION);
	echo->id = read16(data + header + ID);
	echo->sequence = read16(data + header + SEQUENCE);
	return ECHO_UNREACHABLE;
}

enum echo_kind
echo_decode(bool v4, const uint8_t *data, size_t len, struct echo *echo)
{
	const struct types *types = v4 ? &v4_types : &v6_types;
	size_t header = v4 ? v4_header(data, len) : 0;

	if (v4 && header == 0)
		return ECHO_NONE;
	data += header;
	len -= header;
	/* the kernel has verified ICMPv6 checksums, but not those of ICMP */
	if (len < HEADER || (v4 && checksum_fold(checksum_add(0, data, len)) != 0xffff))
		return ECHO_NONE;
	if (data[0] == types->unreachable && !(v4 && data[1] == FRAGMENTATION_NEEDED))
		return decode_quote(v4, data + HEADER, len - HEADER, echo);
	if (data[0] != types->reply || data[1] != 0 || len != ECHO_SIZE)
		return ECHO_NONE;
	echo->id = read16(data + ID);
	echo->sequence = read16(data + SEQUENCE);
	memcpy(&echo->token, data + TOKEN, sizeof(echo->token));
	return ECHO_REPLY;
}
