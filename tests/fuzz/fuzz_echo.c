/*
 * Fuzz target: what a raw ICMP socket receives.  The first octet chooses the family.
 *
 * A request that is encoded again from what was decoded is found again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "health/echo.h"
#include "packet/checksum.h"

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

/* The reply to a request with these values, as a host would send it. */
static void
check_round_trip(int v4, const struct echo *echo)
{
	uint8_t packet[20 + ECHO_SIZE] = {0x45}, *message = v4 ? packet + 20 : packet;
	struct echo again = {0};
	uint16_t sum;

	echo_encode(v4, echo, message);
	message[0] = v4 ? 0 : 129;
	message[2] = message[3] = 0;
	sum = (uint16_t)~checksum_fold(checksum_add(0, message, ECHO_SIZE));
	message[2] = (uint8_t)(sum >> 8);
	message[3] = (uint8_t)sum;
	expect(echo_decode(v4, packet, (size_t)(message - packet) + ECHO_SIZE, &again) ==
	    ECHO_REPLY);
	expect(again.id == echo->id && again.sequence == echo->sequence &&
	    again.token == echo->token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct echo echo = {0};
	uint8_t *copy;
	int v4;

	if (size == 0)
		return 0;
	v4 = data[0] & 1;
	/* a copy of exactly that size, so that reading beyond it is noticed */
	copy = malloc(size > 1 ? size - 1 : 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	switch (echo_decode(v4, copy, size - 1, &echo)) {
	case ECHO_REPLY:
		check_round_trip(v4, &echo);
		break;
	case ECHO_UNREACHABLE:
		expect(!v4 || ip_is_v4(&echo.destination));
		break;
	case ECHO_NONE:
		break;
	}
	free(copy);
	return 0;
}
