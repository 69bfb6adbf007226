/*
 * A transfer path whatever happens to it: answers to what was sent and to what was not, refusals,
 * reloads, pauses.  The size that it names is one that may be, and what it sends comes to an
 * end.
 *
 * The input is a row of actions of 4 octets: what, and a number of 24 bits.
 */
#include <stdint.h>
#include <stdlib.h>

#include "transfer/path.h"

#define REMEMBERED 64

static struct path p;
static struct path_message sent[REMEMBERED];
static unsigned sent_count;
static uint64_t now;

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
send_all(uint32_t refused)
{
	struct path_message m;
	unsigned burst = 0;

	while (path_next(&p, now, &m)) {
		require(++burst < 64);
		require(m.size == 0 || (m.size >= PATH_MTU_MIN && m.size <= p.max));
		if (refused != 0 && m.size >= refused)
			path_too_big(&p, m.size, now);
		else
			sent[sent_count++ % REMEMBERED] = m;
	}
	require(path_due(&p) > now);
}

static void
act(uint8_t what, uint32_t number)
{
	const struct path_message *m = &sent[number % REMEMBERED];
	static uint32_t refused;

	switch (what % 8) {
	case 0:
		path_answer(&p, m->sequence, m->size, now);
		break;
	case 1:
		path_answer(&p, m->sequence + (number >> 8), m->size ^ (number >> 16), now);
		break;
	case 2:
		path_too_big(&p, number & 0x1ffff, now);
		break;
	case 3:
		refused = number & 0x1ffff;
		break;
	case 4:
		path_set_max(&p, PATH_MTU_MIN + number % (65536 - PATH_MTU_MIN), now);
		break;
	case 5:
		path_renew(&p, now);
		break;
	default:
		now += (uint64_t)number * CLOCK_MICROSECOND;
		break;
	}
	send_all(refused);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t octets[PATH_MESSAGE_LEN];
	uint32_t sequence = 0, number;

	if (path_decode(data, size, &sequence, &number) == DROP_none) {
		path_encode(sequence, number, octets);
		for (size_t i = 0; i < sizeof(octets); i++)
			require(octets[i] == data[i]);
	}
	now = CLOCK_SECOND;
	sent_count = 0;
	path_init(&p, 1500, sequence, now);
	for (size_t i = 0; i + 4 <= size; i += 4) {
		number = (uint32_t)data[i + 1] << 16 | (uint32_t)data[i + 2] << 8 | data[i + 3];
		act(data[i], number);
		require(path_mtu(&p) == 0 ||
		    (path_mtu(&p) >= PATH_MTU_MIN && path_mtu(&p) <= p.max));
		require(path_loss(&p, now) >= 0 && path_loss(&p, now) <= 1);
		require(path_rtt(&p) >= 0);
	}
	return 0;
}
