/*
 * format: where the fields of the headers are, and how to read and write them.
 *
 * Octets are read one by one or by memcpy, never through a struct cast onto them: a packet
 * in a buffer is aligned to nothing.  Used by packet/ alone.
 */
#ifndef WLAD_PACKET_FORMAT_H
#define WLAD_PACKET_FORMAT_H

#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>

/* RFC 791, 3.1 */
#define IPV4_TOS         1
#define IPV4_LENGTH      2
#define IPV4_ID          4
#define IPV4_FRAGMENT    6
#define IPV4_TTL         8
#define IPV4_PROTOCOL    9
#define IPV4_CHECKSUM    10
#define IPV4_SOURCE      12
#define IPV4_DESTINATION 16
#define IPV4_HEADER      20
#define IPV4_DONT        0x4000 /* DF */
#define IPV4_MORE        0x2000 /* MF */
#define IPV4_OFFSET_MASK 0x1fff /* in units of 8 octets */

/* RFC 8200, 3 and 4.5 */
#define IPV6_LENGTH      4
#define IPV6_NEXT        6
#define IPV6_HOPS        7
#define IPV6_SOURCE      8
#define IPV6_DESTINATION 24
#define IPV6_HEADER      40
/* inside the fragment header */
#define IPV6_FRAGMENT     2 /* offset, two zero bits, M */
#define IPV6_FRAGMENT_ID  4
#define IPV6_FRAGMENT_LEN 8
#define IPV6_MORE         0x0001
#define IPV6_OFFSET_MASK  0xfff8 /* in octets */

/* RFC 9293, 3.1; RFC 768; RFC 792; RFC 4443 */
#define TCP_SEQ       4
#define TCP_ACKNO     8
#define TCP_DATA      12 /* data offset in the upper half, in units of 4 octets */
#define TCP_FLAGS     13
#define TCP_CHECKSUM  16
#define TCP_HEADER    20
#define UDP_LENGTH    4
#define UDP_CHECKSUM  6
#define UDP_HEADER    8
#define ICMP_TYPE     0
#define ICMP_CODE     1
#define ICMP_CHECKSUM 2
#define ICMP_HEADER   8

#define ICMP4_ECHO_REPLY    0
#define ICMP4_UNREACHABLE   3
#define ICMP4_SOURCE_QUENCH 4
#define ICMP4_REDIRECT      5
#define ICMP4_ECHO_REQUEST  8
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER     12
#define ICMP6_UNREACHABLE   1
#define ICMP6_TOO_BIG       2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAMETER     4
#define ICMP6_REQUEST       128
#define ICMP6_REPLY         129
#define ICMP6_REDIRECT      137

static inline uint16_t
get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return ntohs(value);
}

static inline uint32_t
get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return ntohl(value);
}

static inline void
put16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
}

static inline void
put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, sizeof(value));
}

#endif
