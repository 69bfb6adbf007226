/*
 * wan: a wide area between two network devices.  What comes in at one goes out at the other:
 * late, out of order, twice, or not at all.
 *
 *   wan SEED DEVICE-A DEVICE-B [SETTING...] [ab SETTING...] [ba SETTING...]
 *
 * A setting holds for both directions, after "ab" or "ba" for that one:
 *
 *   delay=MS jitter=MS      jitter is uniform on both sides of the delay and keeps the order
 *   loss=SHARE              0 to 1, as all shares
 *   duplicate=SHARE         the second one follows the first
 *   reorder=SHARE           held back until distance=PACKETS (3) later ones have gone, or 20 ms
 *   rate=MBIT burst=OCTETS  a token bucket, of octets from the IP header on; limit=OCTETS may
 *                           wait for it, the rest is dropped
 *
 * The fate of a direction's n-th packet depends on the seed and n only: a run can be repeated.
 * What the link itself needs (ARP, neighbour discovery, multicast) passes at once, unharmed and
 * uncounted.  Packets of more than 2,000 octets do not pass: the devices' other ends have to be
 * without segmentation offload, and without checksum offload, for a packet socket does not say
 * which checksum is partial.
 *
 * Prints "ready", and a line of counters for each direction when SIGTERM or SIGINT ends it.
 */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <net/if.h>

#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"

#define BATCH          64
#define SLOT           2016 /* octets of a frame */
#define SLOTS          16384
#define QUEUE          (SLOTS - 2 * BATCH) /* packets under way in one direction */
#define HOLD_NS        20000000
#define NS_PER_MS      1e6
#define ETHERNET       14
#define RECEIVE_BUFFER (64 << 20)

enum counter {
	IN,
	LOST,
	DUPLICATED,
	REORDERED,
	LIMITED,
	FULL,
	OVERSIZE,
	UNSENT,
	OUT,
	OCTETS,
	COUNTERS
};

static const char *const counter_names[COUNTERS] = {"in", "lost", "duplicated", "reordered",
    "limited", "full", "oversize", "unsent", "out", "octets"};

struct settings {
	double delay, jitter; /* ms */
	double loss, duplicate, reorder;
	double distance;           /* packets */
	double rate, burst, limit; /* Mbit/s, 0: unlimited; octets; octets */
};

/* A frame under way. */
struct frame {
	uint64_t due;   /* ns */
	uint64_t after; /* held back: until so many have gone out */
	uint32_t slot, len;
	bool hold;
};

struct ring {
	struct frame frames[SLOTS];
	uint32_t head, count;
};

struct direction {
	const char *name;
	int from, to; /* sockets */
	struct settings settings;
	struct random random;
	uint64_t bucket;   /* when the token bucket has let through all that it was given, ns */
	uint64_t last;     /* the latest time that was given out: order is kept */
	struct ring queue; /* by time */
	struct ring held;  /* by time, and by number */
	uint64_t sent;     /* frames that have left, but the held ones */
	uint64_t counters[COUNTERS];
	uint32_t spare[SLOTS]; /* slots that are free */
	uint32_t spares;
	uint8_t slots[SLOTS][SLOT];
};

/* What goes out with one system call. */
struct outgoing {
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	uint32_t slots[BATCH];
	unsigned count;
};

static volatile sig_atomic_t over;

static void
end(int number)
{
	(void)number;
	over = 1;
}

/* ---- rings ---- */

static void
ring_put(struct ring *ring, const struct frame *frame)
{
	ring->frames[(ring->head + ring->count++) % SLOTS] = *frame;
}

static struct frame *
ring_first(struct ring *ring)
{
	return ring->count == 0 ? NULL : &ring->frames[ring->head];
}

static struct frame
ring_take(struct ring *ring)
{
	struct frame frame = ring->frames[ring->head];

	ring->head = (ring->head + 1) % SLOTS;
	ring->count--;
	return frame;
}

/* ---- out ---- */

static void
flush(struct direction *d, struct outgoing *out)
{
	unsigned done = 0;

	while (done < out->count) {
		int n = sendmmsg(d->to, out->messages + done, out->count - done, 0);

		if (n <= 0) {
			d->counters[UNSENT]++;
			n = 1;
		}
		done += (unsigned)n;
	}
	for (unsigned i = 0; i < out->count; i++)
		d->spare[d->spares++] = out->slots[i];
	out->count = 0;
}

static void
leave(struct direction *d, struct outgoing *out, const struct frame *frame)
{
	unsigned i = out->count++;

	out->vectors[i] = (struct iovec){d->slots[frame->slot], frame->len};
	out->messages[i].msg_hdr = (struct msghdr){.msg_iov = &out->vectors[i], .msg_iovlen = 1};
	out->slots[i] = frame->slot;
	d->counters[OUT]++;
	d->counters[OCTETS] += frame->len - ETHERNET;
	if (out->count == BATCH)
		flush(d, out);
}

/* Held frames that enough others have overtaken, or that have waited long enough. */
static void
leave_held(struct direction *d, struct outgoing *out, uint64_t now)
{
	struct frame *first;

	while ((first = ring_first(&d->held)) != NULL &&
	    (first->after <= d->sent || first->due <= now)) {
		struct frame frame = ring_take(&d->held);

		leave(d, out, &frame);
	}
}

/* All that is due; returns when the next one is. */
static uint64_t
release(struct direction *d, uint64_t now)
{
	struct outgoing out = {.count = 0};
	struct frame *first;
	uint64_t next = UINT64_MAX;

	leave_held(d, &out, now);
	while ((first = ring_first(&d->queue)) != NULL && first->due <= now) {
		struct frame frame = ring_take(&d->queue);

		if (frame.hold) {
			frame.due = now + HOLD_NS;
			frame.after = d->sent + (uint64_t)d->settings.distance;
			ring_put(&d->held, &frame);
			continue;
		}
		leave(d, &out, &frame);
		d->sent++;
		leave_held(d, &out, now);
	}
	flush(d, &out);
	if (first != NULL)
		next = first->due;
	first = ring_first(&d->held);
	return first != NULL && first->due < next ? first->due : next;
}

/* ---- in ---- */

/* ARP, neighbour discovery, multicast. */
static bool
is_of_the_link(const uint8_t *frame, uint32_t len)
{
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	if (frame[0] & 1 || type != 0x86dd)
		return frame[0] & 1 || type != 0x0800;
	return len > ETHERNET + 40 && frame[ETHERNET + 6] == IPPROTO_ICMPV6 &&
	    frame[ETHERNET + 40] >= 133 && frame[ETHERNET + 40] <= 137;
}

/* When the token bucket lets it through; 0: too many octets wait already. */
static uint64_t
limit(struct direction *d, uint32_t octets, uint64_t now)
{
	const struct settings *s = &d->settings;
	double ns_per_octet = 8e3 / s->rate;
	uint64_t burst = (uint64_t)(s->burst * ns_per_octet);

	if (s->rate == 0)
		return now;
	if (d->bucket > now && (double)(d->bucket - now) > s->limit * ns_per_octet)
		return 0;
	if (d->bucket + burst < now)
		d->bucket = now - burst;
	d->bucket += (uint64_t)(octets * ns_per_octet);
	return d->bucket > now ? d->bucket : now;
}

/* A frame is given its time, or none.  Each takes as many draws, whatever becomes of it. */
static bool
fate(struct direction *d, struct frame *frame, bool *twice, uint64_t now)
{
	const struct settings *s = &d->settings;
	bool lost = random_unit(&d->random) < s->loss;
	double jitter = (2 * random_unit(&d->random) - 1) * s->jitter;
	uint64_t start;

	*twice = random_unit(&d->random) < s->duplicate;
	frame->hold = random_unit(&d->random) < s->reorder;
	d->counters[IN]++;
	if (lost) {
		d->counters[LOST]++;
		return false;
	}
	start = limit(d, frame->len - ETHERNET, now);
	if (start == 0) {
		d->counters[LIMITED]++;
		return false;
	}
	if (d->queue.count + d->held.count >= QUEUE) {
		d->counters[FULL]++;
		return false;
	}
	frame->due =
	    start + (uint64_t)((s->delay + jitter > 0 ? s->delay + jitter : 0) * NS_PER_MS);
	if (frame->due < d->last)
		frame->due = d->last;
	d->last = frame->due;
	d->counters[REORDERED] += frame->hold;
	return true;
}

static void
copy(struct direction *d, const struct frame *frame)
{
	struct frame second = *frame;

	second.slot = d->spare[--d->spares];
	memcpy(d->slots[second.slot], d->slots[frame->slot], frame->len);
	ring_put(&d->queue, &second);
	d->counters[DUPLICATED]++;
}

static void
arrived(struct direction *d, uint32_t slot, uint32_t len, bool whole, uint64_t now)
{
	struct frame frame = {.slot = slot, .len = len};
	bool twice, passes = false;

	if (!whole || len <= ETHERNET) {
		d->counters[OVERSIZE] += !whole;
	} else if (is_of_the_link(d->slots[slot], len)) {
		send(d->to, d->slots[slot], len, 0);
	} else {
		passes = fate(d, &frame, &twice, now);
	}
	if (!passes) {
		d->spare[d->spares++] = slot;
		return;
	}
	ring_put(&d->queue, &frame);
	if (twice)
		copy(d, &frame);
}

/* What is there, up to a batch; true if there may be more.  QUEUE leaves slots enough. */
static bool
receive(struct direction *d)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	struct sockaddr_ll from[BATCH];
	uint32_t slots[BATCH];
	uint64_t now;
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		slots[i] = d->spare[--d->spares];
		vectors[i] = (struct iovec){d->slots[slots[i]], SLOT};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
		    .msg_namelen = sizeof(from[i]),
		    .msg_iov = &vectors[i],
		    .msg_iovlen = 1};
	}
	n = recvmmsg(d->from, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n == -1 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
		err(1, "%s: receive", d->name);
	now = clock_now();
	for (int i = 0; i < (n < 0 ? 0 : n); i++)
		if (from[i].sll_pkttype == PACKET_OUTGOING)
			d->spare[d->spares++] = slots[i];
		else
			arrived(d, slots[i], messages[i].msg_len,
			    !(messages[i].msg_hdr.msg_flags & MSG_TRUNC), now);
	for (int i = n < 0 ? 0 : n; i < BATCH; i++)
		d->spare[d->spares++] = slots[i];
	return n == BATCH;
}

/* ---- settings ---- */

struct name {
	const char *name;
	size_t offset;
	double max;
};

#define SETTING(name, max) \
	{ \
#name, offsetof(struct settings, name), max \
	}
static const struct name names[] = {SETTING(delay, 10000), SETTING(jitter, 10000),
    SETTING(loss, 1), SETTING(duplicate, 1), SETTING(reorder, 1), SETTING(distance, 1000),
    SETTING(rate, 100000), SETTING(burst, 1e9), SETTING(limit, 1e9)};

static void
set(struct settings *settings, const char *word)
{
	const char *equals = strchr(word, '=');
	char *rest;
	double value;

	for (size_t i = 0; equals != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = (size_t)(equals - word);

		if (strlen(names[i].name) != len || strncmp(word, names[i].name, len) != 0)
			continue;
		value = strtod(equals + 1, &rest);
		if (rest == equals + 1 || *rest != '\0' || !(value >= 0 && value <= names[i].max))
			errx(2, "%s: 0 to %g", word, names[i].max);
		memcpy((char *)settings + names[i].offset, &value, sizeof(value));
		return;
	}
	errx(2, "%s: no such setting", word);
}

static void
set_all(struct direction *ways[2], char **words)
{
	unsigned first = 0, last = 1;

	for (; *words != NULL; words++) {
		if (strcmp(*words, "ab") == 0)
			first = last = 0;
		else if (strcmp(*words, "ba") == 0)
			first = last = 1;
		else
			for (unsigned i = first; i <= last; i++)
				set(&ways[i]->settings, *words);
	}
}

/* ---- start, run, end ---- */

static int
open_device(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	int buffer = RECEIVE_BUFFER, one = 1, fd;

	address.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
	if (address.sll_ifindex == 0)
		err(1, "%s", name);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) == -1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		err(1, "%s: packet socket", name);
	/* our own packets do not come back; where the kernel does not know it, receive() looks */
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	return fd;
}

static struct direction *
direction_new(const char *name, int from, int to, uint64_t seed)
{
	struct direction *d = calloc(1, sizeof(*d));

	if (d == NULL)
		err(1, NULL);
	d->name = name;
	d->from = from;
	d->to = to;
	d->settings.distance = 3;
	d->settings.burst = 10000;
	d->settings.limit = 256 << 10;
	random_init(&d->random, seed);
	while (d->spares < SLOTS) {
		d->spare[d->spares] = SLOTS - 1 - d->spares;
		d->spares++;
	}
	return d;
}

static void
report(const struct direction *d)
{
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof(stats);

	getsockopt(d->from, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	printf("%s:", d->name);
	for (unsigned i = 0; i < COUNTERS; i++)
		printf(" %s=%llu", counter_names[i], (unsigned long long)d->counters[i]);
	printf(" missed=%u\n", stats.tp_drops);
}

static void
run(struct direction *ways[2], const sigset_t *meanwhile)
{
	struct pollfd fds[2] = {
	    {.fd = ways[0]->from, .events = POLLIN}, {.fd = ways[1]->from, .events = POLLIN}};

	while (!over) {
		uint64_t now = clock_now(), next = UINT64_MAX;
		struct timespec wait = {0, 0};

		for (unsigned i = 0; i < 2; i++) {
			uint64_t due = release(ways[i], now);

			next = due < next ? due : next;
		}
		now = clock_now();
		if (next > now) {
			wait.tv_sec =
			    next == UINT64_MAX ? 3600 : (time_t)((next - now) / 1000000000);
			wait.tv_nsec = next == UINT64_MAX ? 0 : (long)((next - now) % 1000000000);
		}
		if (ppoll(fds, 2, &wait, meanwhile) == -1)
			continue;
		for (unsigned i = 0; i < 2; i++)
			for (unsigned rounds = 0; rounds < 16 && receive(ways[i]); rounds++)
				continue;
	}
}

int
main(int argc, char **argv)
{
	struct direction *ways[2];
	struct sigaction action = {.sa_handler = end};
	sigset_t signals, before;
	char *rest;
	uint64_t seed;
	int a, b;

	if (argc < 4)
		errx(2, "usage: wan SEED DEVICE-A DEVICE-B [SETTING...] [ab SETTING...] [ba SETTING...]");
	seed = strtoull(argv[1], &rest, 0);
	if (*rest != '\0')
		errx(2, "%s: not a number", argv[1]);
	a = open_device(argv[2]);
	b = open_device(argv[3]);
	ways[0] = direction_new("ab", a, b, seed);
	ways[1] = direction_new("ba", b, a, ~seed);
	set_all(ways, argv + 4);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, &before);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1UL);
	puts("ready");
	fflush(stdout);
	run(ways, &before);
	report(ways[0]);
	report(ways[1]);
	free(ways[0]);
	free(ways[1]);
	return 0;
}
