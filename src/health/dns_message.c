#include "health/dns_message.h"

#include <string.h>

#define CLASS_IN 1

/* Bits of the second pair of octets. */
#define FLAG_RESPONSE  0x8000
#define FLAG_RECURSION 0x0100
#define OPCODE         0x7800
#define RCODE          0x000f

static void
put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static unsigned
get16(const uint8_t *from)
{
	return (unsigned)from[0] << 8 | from[1];
}

/*
 *   0                   1
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
 *  +-------------------------------+
 *  |              id               |
 *  |Q|opcode |A|T|R|R|  Z  | rcode |  Q: response, the first R: recursion desired
 *  |           questions           |  1
 *  |            answers            |  0 in a query
 *  |           authority           |
 *  |           additional          |
 *  |      name, type, class        |
 *  +-------------------------------+
 */
size_t
dns_message_query(const struct dns_question *question, uint16_t id, uint8_t buf[DNS_QUERY_MAX])
{
	uint8_t *end = buf + DNS_HEADER + question->len;

	memset(buf, 0, DNS_HEADER);
	put16(buf, id);
	put16(buf + 2, FLAG_RECURSION);
	put16(buf + 4, 1);
	memcpy(buf + DNS_HEADER, question->name, question->len);
	put16(end, question->type);
	put16(end + 2, CLASS_IN);
	return DNS_HEADER + question->len + 4u;
}

static uint8_t
lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet + ('a' - 'A')) : octet;
}

/* Lengths of labels are below 'A': they may be compared as letters are. */
static bool
same_question(const uint8_t *data, size_t len, const struct dns_question *question)
{
	if (len < question->len + 4u)
		return false;
	for (size_t i = 0; i < question->len; i++)
		if (lower(data[i]) != lower(question->name[i]))
			return false;
	return get16(data + question->len) == question->type &&
	    get16(data + question->len + 2) == CLASS_IN;
}

bool
dns_message_answers(const uint8_t *data, size_t len, const struct dns_question *question,
    uint16_t id, unsigned *rcode)
{
	unsigned flags, questions;

	if (len < DNS_HEADER || get16(data) != id)
		return false;
	flags = get16(data + 2);
	questions = get16(data + 4);
	if ((flags & FLAG_RESPONSE) == 0 || (flags & OPCODE) != 0)
		return false;
	*rcode = flags & RCODE;
	if (questions == 0)
		return *rcode != 0;
	return questions == 1 && same_question(data + DNS_HEADER, len - DNS_HEADER, question);
}
