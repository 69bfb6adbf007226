#include "transfer/path.h"

#include <string.h>

/* For how long an answer is waited for: as TCP would (RFC 6298), within these bounds. */
#define WAIT_UNKNOWN CLOCK_SECOND
#define WAIT_MIN     (300 * CLOCK_MILLISECOND)
#define WAIT_MAX     (2 * CLOCK_SECOND)

/* The same for one with padding, whose companion without has been answered. */
#define WAIT_PADDED_MIN (100 * CLOCK_MILLISECOND)

/* ---- liveness ---- */

static uint64_t
wait_of(const struct path *p, uint64_t least)
{
	uint64_t wait = p->rtt == 0 ? WAIT_UNKNOWN : p->rtt + 4 * p->deviation;

	return wait < least ? least : wait > WAIT_MAX ? WAIT_MAX : wait;
}

/* True if that liveness message is among those remembered. */
static bool
remembered(const struct path *p, uint32_t sequence)
{
	uint32_t age = p->next - 1 - sequence;

	return age < p->sent;
}

static bool
was_answered(const struct path *p, uint32_t sequence)
{
	return remembered(p, sequence) && p->answered[sequence % PATH_HISTORY];
}

static bool
is_overdue(const struct path *p, uint32_t sequence, uint64_t now)
{
	return now - p->sent_at[sequence % PATH_HISTORY] >= wait_of(p, WAIT_MIN);
}

/* How many in a row have been missed, up to the latest whose time is over. */
static uint32_t
missed(const struct path *p, uint64_t now)
{
	uint32_t count = 0;

	for (uint32_t i = 1; i <= p->sent; i++) {
		uint32_t sequence = p->next - i;

		if (p->answered[sequence % PATH_HISTORY])
			break;
		count += is_overdue(p, sequence, now);
	}
	return count;
}

/*
 * Liveness messages follow each other faster while the MTU is searched for, and answers may be
 * late because a queue is long: as long as some arrive the path is not lost.
 */
static void
judge_lost(struct path *p, uint64_t now)
{
	if (p->state == SITE_PATH_LOST || missed(p, now) < PATH_MISSED)
		return;
	if (p->answered_at == 0 || now - p->answered_at >= PATH_MISSED * PATH_INTERVAL)
		p->state = SITE_PATH_LOST;
}

static void
measure(struct path *p, uint64_t rtt)
{
	uint64_t difference;

	if (rtt == 0)
		rtt = 1; /* sent and answered in one wake-up; 0 is "not known" */
	if (p->rtt == 0) {
		p->rtt = rtt;
		p->deviation = rtt / 2;
		return;
	}
	difference = rtt > p->rtt ? rtt - p->rtt : p->rtt - rtt;
	p->deviation = (3 * p->deviation + difference) / 4;
	p->rtt = (7 * p->rtt + rtt) / 8;
}

static void
send_liveness(struct path *p, uint64_t now, struct path_message *message)
{
	*message = (struct path_message){.sequence = p->next};
	p->sent_at[p->next % PATH_HISTORY] = now;
	p->answered[p->next % PATH_HISTORY] = false;
	p->next++;
	if (p->sent < PATH_HISTORY)
		p->sent++;
	p->due = now + PATH_INTERVAL;
}

/* ---- the search for the MTU ---- */

static void
try_size(struct path *p, uint32_t size)
{
	p->size = size;
	p->tries = 0;
	p->trying = false;
}

static void
search(struct path *p, uint32_t low, uint32_t high, uint32_t first)
{
	p->phase = PATH_SEARCH;
	p->low = low;
	p->high = high;
	try_size(p, first);
}

/* The next size of the search, or its end. */
static void
narrow(struct path *p, uint64_t now)
{
	if (p->low < p->high) {
		try_size(p, p->low + (p->high - p->low + 1) / 2);
		return;
	}
	p->phase = PATH_FOUND;
	p->mtu = p->low;
	try_size(p, p->mtu);
	p->confirm_at = now; /* unless it just was */
	p->raise_at = now + PATH_RAISE;
}

static void
gets_through(struct path *p, uint64_t now)
{
	if (p->size >= p->mtu) {
		p->mtu = p->size;
		p->confirmed_at = now;
	}
	if (p->phase == PATH_SEARCH) {
		p->low = p->size;
		narrow(p, now);
	}
	if (p->phase == PATH_FOUND) {
		try_size(p, p->mtu);
		p->confirm_at = now + PATH_CONFIRM;
	}
}

/* Packets of that size and larger do not get through. */
static void
limit(struct path *p, uint32_t size, uint64_t now)
{
	if (size < PATH_MTU_MIN || (size == PATH_MTU_MIN && p->size != size))
		return;
	if (size == PATH_MTU_MIN) {
		/* every path carries that: it is something else, and to be tried again */
		if (p->phase == PATH_SEARCH) {
			p->high = p->low = PATH_MTU_MIN;
			narrow(p, now);
		}
		try_size(p, p->mtu);
		p->confirm_at = now + PATH_CONFIRM;
		return;
	}
	if (p->phase == PATH_FOUND) {
		if (size > p->mtu)
			return;
		p->mtu = PATH_MTU_MIN;
		search(p, PATH_MTU_MIN, size - 1, size - 1);
		narrow(p, now);
		return;
	}
	if (size > p->high)
		return;
	p->high = size - 1;
	if (p->low > p->high)
		p->low = PATH_MTU_MIN;
	if (p->mtu == 0 || p->mtu > p->high)
		p->mtu = p->low;
	narrow(p, now);
}

/* What became of the try that is under way, as far as can be told by now. */
static void
judge_try(struct path *p, uint64_t now)
{
	if (!p->trying)
		return;
	if (was_answered(p, p->companion)) {
		if (now - p->tried_at < wait_of(p, WAIT_PADDED_MIN))
			return;
		p->trying = false;
		if (++p->tries >= PATH_TRIES)
			limit(p, p->size, now);
		return;
	}
	/* both lost, which says nothing about their sizes */
	if (now - p->tried_at >= wait_of(p, WAIT_MIN))
		p->trying = false;
}

/* True if a message with padding is due; begins what its time has come for. */
static bool
wants_try(struct path *p, uint64_t now)
{
	if (p->state != SITE_PATH_ALIVE || p->trying || p->max == 0)
		return false;
	if (p->phase == PATH_SEARCH)
		return true;
	if (p->mtu < p->max && now >= p->raise_at) {
		search(p, p->mtu, p->max, p->max);
		return true;
	}
	return now >= p->confirm_at || p->tries > 0;
}

static void
send_try(struct path *p, uint64_t now, struct path_message *message)
{
	p->tried++;
	p->tried_at = now;
	p->trying = true;
	p->companion = p->next;
	p->due = now;
	*message = (struct path_message){.sequence = p->tried, .size = p->size};
}

/* ---- both ---- */

void
path_init(struct path *p, uint32_t max, uint32_t sequence, uint64_t now)
{
	memset(p, 0, sizeof(*p));
	p->state = SITE_PATH_UNKNOWN;
	p->next = sequence;
	p->tried = sequence - 1;
	p->due = now;
	p->max = max;
	search(p, PATH_MTU_MIN, max, max);
}

void
path_set_max(struct path *p, uint32_t max, uint64_t now)
{
	if (p->max == max)
		return;
	p->max = max;
	if (p->mtu > max)
		p->mtu = max;
	if (p->phase == PATH_FOUND && p->mtu == max) {
		try_size(p, max);
		p->confirm_at = now;
		return;
	}
	search(p, p->mtu != 0 ? p->mtu : PATH_MTU_MIN, max, max);
}

void
path_renew(struct path *p, uint64_t now)
{
	p->sent = 0;
	p->rtt = p->deviation = 0;
	p->due = now;
	search(p, PATH_MTU_MIN, p->max, p->max);
}

bool
path_next(struct path *p, uint64_t now, struct path_message *message)
{
	judge_lost(p, now);
	judge_try(p, now);
	if (wants_try(p, now)) {
		send_try(p, now, message);
		return true;
	}
	if (now < p->due)
		return false;
	send_liveness(p, now, message);
	return true;
}

uint64_t
path_due(const struct path *p)
{
	uint64_t due = p->due, padded;

	if (p->state != SITE_PATH_ALIVE || p->max == 0)
		return due;
	if (p->trying)
		padded = p->tried_at +
		    wait_of(p, was_answered(p, p->companion) ? WAIT_PADDED_MIN : WAIT_MIN);
	else if (p->phase == PATH_SEARCH || p->tries > 0)
		padded = 0;
	else if (p->mtu < p->max && p->raise_at < p->confirm_at)
		padded = p->raise_at;
	else
		padded = p->confirm_at;
	return padded < due ? padded : due;
}

static void
answer_liveness(struct path *p, uint32_t sequence, uint64_t now)
{
	uint32_t place = sequence % PATH_HISTORY;

	if (!remembered(p, sequence) || p->answered[place])
		return;
	p->answered[place] = true;
	p->answered_at = now;
	measure(p, now - p->sent_at[place]);
	if (p->state == SITE_PATH_ALIVE)
		return;
	p->state = SITE_PATH_ALIVE;
	/* it may be another way than before */
	try_size(p, p->size);
	p->confirm_at = now;
}

void
path_answer(struct path *p, uint32_t sequence, uint32_t size, uint64_t now)
{
	if (size == 0) {
		answer_liveness(p, sequence, now);
		return;
	}
	/* an earlier try of the same size is as good: it was only late */
	if (size == p->size && p->tried - sequence < PATH_TRIES)
		gets_through(p, now);
}

void
path_too_big(struct path *p, uint32_t size, uint64_t now)
{
	limit(p, size, now);
}

double
path_loss(const struct path *p, uint64_t now)
{
	unsigned lost = 0, answered = 0;

	for (uint32_t i = 1; i <= p->sent; i++) {
		uint32_t sequence = p->next - i;

		if (p->answered[sequence % PATH_HISTORY])
			answered++;
		else if (is_overdue(p, sequence, now))
			lost++;
	}
	return lost == 0 ? 0 : (double)lost / (lost + answered);
}

double
path_rtt(const struct path *p)
{
	return (double)p->rtt / CLOCK_SECOND;
}

/* ---- messages ---- */

static void
put32(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

static uint32_t
get32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 |
	    data[3];
}

void
path_encode(uint32_t sequence, uint32_t size, uint8_t out[PATH_MESSAGE_LEN])
{
	put32(out, sequence);
	put32(out + 4, size);
}

enum drop
path_decode(const uint8_t *data, size_t len, uint32_t *sequence, uint32_t *size)
{
	if (len < PATH_MESSAGE_LEN)
		return DROP_transfer_inner;
	*sequence = get32(data);
	*size = get32(data + 4);
	return DROP_none;
}

void
path_direct_encode(uint64_t id, uint8_t out[PATH_DIRECT_LEN])
{
	put32(out, (uint32_t)(id >> 32));
	put32(out + 4, (uint32_t)id);
}

enum drop
path_direct_decode(const uint8_t *data, size_t len, uint64_t *id)
{
	if (len < PATH_DIRECT_LEN)
		return DROP_transfer_inner;
	*id = (uint64_t)get32(data) << 32 | get32(data + 4);
	return DROP_none;
}
