/*
 * echo: the format of echo requests and of what comes back for them (RFC 792, RFC 4443).
 *
 * The data of a request are a token of 8 octets that only the sender knows.
 */
#ifndef WLAD_HEALTH_ECHO_H
#define WLAD_HEALTH_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define ECHO_SIZE 16 /* octets of a request: header, token */

enum echo_kind {
	ECHO_NONE,       /* of no interest */
	ECHO_REPLY,      /* id, sequence, token */
	ECHO_UNREACHABLE /* id, sequence and destination of the request that got nowhere */
};

struct echo {
	uint16_t id, sequence;
	uint64_t token;
	struct ip destination;
};

/* Writes a request.  The checksum of ICMPv6 is the kernel's to fill in (RFC 3542, 3.1). */
void echo_encode(bool v4, const struct echo *echo, uint8_t buf[ECHO_SIZE]);

/*
 * What a raw socket received: for IPv4 a packet with its IP header, for IPv6 the ICMPv6
 * message (RFC 3542, 3.1).  Fills the fields that the kind has.
 */
enum echo_kind echo_decode(bool v4, const uint8_t *data, size_t len, struct echo *echo);

#endif
