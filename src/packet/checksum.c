#include "packet/checksum.h"

#include <arpa/inet.h>
#include <string.h>

/*
 * One's complement sums do not care for the order of octets within a word (RFC 1071, 2 (B)):
 * everything is added as the machine's own 32-bit words into 64 bits, and only the folded
 * result is brought into network order.  2^32 such words fit before the sum could overflow.
 */

static uint32_t
load32(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint16_t
fold64(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The last 1 to 3 octets as a word, padded with zero. */
static uint32_t
load_rest(const uint8_t *at, size_t len)
{
	uint32_t word = 0;

	memcpy(&word, at, len);
	return word;
}

uint32_t
checksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t a = 0, b = 0;

	for (; len >= 32; at += 32, len -= 32) {
		a += (uint64_t)load32(at) + load32(at + 4);
		b += (uint64_t)load32(at + 8) + load32(at + 12);
		a += (uint64_t)load32(at + 16) + load32(at + 20);
		b += (uint64_t)load32(at + 24) + load32(at + 28);
	}
	for (; len >= 4; at += 4, len -= 4)
		a += load32(at);
	if (len > 0)
		b += load_rest(at, len);
	return sum + ntohs(fold64(a + b));
}

uint16_t
checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint32_t
checksum_pseudo(int version, const struct ip *source, const struct ip *destination,
    uint8_t protocol, uint32_t len)
{
	uint32_t sum = protocol + (len >> 16) + (len & 0xffff);

	if (version == 4) {
		sum = checksum_add(sum, ip_v4(source), 4);
		return checksum_add(sum, ip_v4(destination), 4);
	}
	sum = checksum_add(sum, source->octet, sizeof(source->octet));
	return checksum_add(sum, destination->octet, sizeof(destination->octet));
}

uint32_t
checksum_difference(const void *old, const void *new, size_t len)
{
	const uint8_t *from = old, *to = new;
	uint64_t sum = 0;

	for (; len >= 4; from += 4, to += 4, len -= 4)
		sum += (uint64_t)(uint32_t)~load32(from) + load32(to);
	if (len > 0)
		sum += (uint64_t)(uint32_t)~load_rest(from, len) + load_rest(to, len);
	return ntohs(fold64(sum));
}
