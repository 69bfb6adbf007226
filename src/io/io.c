#include "io/io.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "io/device.h"
#include "io/kept.h"
#include "io/raw.h"
#include "io/udp.h"

/* A device of the operating system, UDP sockets, raw sockets; each may be missing. */
struct system_io {
	struct io io; /* first: an io is cast to its system_io */
	struct device *device;
	struct udp *udp;
	struct udp *demands; /* the demand port's */
	bool demands_first;  /* who is read first takes turns */
	struct raw *raw;     /* packets leave there, not by the device */
	struct kept *kept;   /* packets wait there for device_flush; NULL: they do not */
	uint32_t refused;    /* of them, before the flush */
	bool further;        /* a queue beside the first: udp is the first's */
	unsigned queues;     /* of the device; only the first knows */
	struct device *queue[IO_QUEUES_MAX];
};

static int
receive_packet(struct io *io, struct packet *p)
{
	struct system_io *s = (struct system_io *)io;

	return s->device == NULL ? 0 : device_receive(s->device, p);
}

static int
receive_packets(struct io *io, struct packet *p, int max, bool *more)
{
	struct system_io *s = (struct system_io *)io;

	*more = false;
	return s->device == NULL ? 0 : device_receive_many(s->device, p, max, more);
}

/* True if the octets stay until the next receive. */
static bool
stays(const struct system_io *s, const uint8_t *data)
{
	if (!s->io.transferring)
		return device_holds(s->device, data);
	return udp_holds(s->udp, data) || (s->demands != NULL && udp_holds(s->demands, data));
}

/*
 * The answer to a packet comes by the queue that sent it.  What was transferred comes by the first
 * one's socket alone, so its connections are shared out here, each to one queue for good.
 */
static struct device *
queue_for(const struct system_io *s, const struct packet *p)
{
	return s->io.transferring ? s->queue[p->hash % s->queues] : s->device;
}

/* True if the packet waits; what waited before has left if it does not: what was made elsewhere
 * may not stay there. */
static bool
keep(struct system_io *s, struct device *device, const struct packet *p,
    const struct iovec *piece, unsigned count)
{
	if (s->kept == NULL)
		return false;
	if (stays(s, p->data) && kept_add(s->kept, device, p, piece, count))
		return true;
	s->refused += kept_send(s->kept);
	return false;
}

static int
send_packet(struct io *io, const struct packet *p)
{
	struct system_io *s = (struct system_io *)io;
	struct device *device;

	if (s->device == NULL) {
		errno = ENODEV;
		return -1;
	}
	if (s->raw == NULL || !raw_takes(s->raw, p->version)) {
		device = queue_for(s, p);
		return keep(s, device, p, NULL, 0) ? 0 : device_send(device, p);
	}
	raw_send(s->raw, p);
	return 0;
}

/* Only where there is a device and no raw output: takes_super and takes_uso say so. */
static int
send_pieces(struct io *io, const struct packet *p, const struct iovec *piece, unsigned count)
{
	struct system_io *s = (struct system_io *)io;
	struct device *device;

	if (s->device == NULL) {
		errno = ENODEV;
		return -1;
	}
	device = queue_for(s, p);
	return keep(s, device, p, piece, count) ? 0 : device_send_pieces(device, p, piece, count);
}

static uint32_t
flush_packets(struct io *io, struct io_refused *refused)
{
	struct system_io *s = (struct system_io *)io;

	memset(refused, 0, sizeof(*refused));
	if (s->raw != NULL)
		raw_flush(s->raw, refused);
	if (s->kept != NULL) {
		refused->count += s->refused + kept_send(s->kept);
		s->refused = 0;
	}
	return refused->count;
}

/* As many as there are, of at most max; an error counts only if there are none. */
static int
receive_from(struct udp *udp, bool demand, struct datagram *batch, int max)
{
	int n = udp == NULL || max == 0 ? 0 : udp_receive(udp, batch, max);

	for (int i = 0; i < n; i++)
		batch[i].demand = demand;
	return n;
}

static int
receive_datagrams(struct io *io, struct datagram *batch, int max)
{
	struct system_io *s = (struct system_io *)io;
	bool demands = s->demands_first;
	int first, second;

	if (s->demands == NULL)
		return receive_from(s->udp, false, batch, max);
	s->demands_first = !demands;
	first = receive_from(demands ? s->demands : s->udp, demands, batch, max);
	second = receive_from(demands ? s->udp : s->demands, !demands,
	    batch + (first > 0 ? first : 0), max - (first > 0 ? first : 0));
	if (first <= 0)
		return second != 0 ? second : first;
	return second > 0 ? first + second : first;
}

static long
send_datagrams(
    struct io *io, const struct addr *to, const uint8_t *data, size_t len, size_t segment)
{
	struct system_io *s = (struct system_io *)io;

	if (s->udp == NULL) {
		errno = ENODEV;
		return -1;
	}
	return udp_send(s->udp, to, data, len, segment);
}

static int
packet_fd(const struct io *io)
{
	const struct system_io *s = (const struct system_io *)io;

	return s->device == NULL ? -1 : device_fd(s->device);
}

static int
datagram_fd(const struct io *io)
{
	const struct system_io *s = (const struct system_io *)io;

	return s->udp == NULL ? -1 : udp_fd(s->udp);
}

static int
demand_fd(const struct io *io)
{
	const struct system_io *s = (const struct system_io *)io;

	return s->demands == NULL ? -1 : udp_fd(s->demands);
}

static void
close_all(struct io *io)
{
	struct system_io *s = (struct system_io *)io;

	device_close(s->device);
	if (!s->further)
		udp_close(s->udp);
	udp_close(s->demands);
	raw_close(s->raw);
	kept_free(s->kept);
	free(s);
}

static const struct io_ops system_ops = {
    .device_receive = receive_packet,
    .device_receive_many = receive_packets,
    .device_send = send_packet,
    .device_send_pieces = send_pieces,
    .device_flush = flush_packets,
    .transfer_receive = receive_datagrams,
    .transfer_send = send_datagrams,
    .device_fd = packet_fd,
    .transfer_fd = datagram_fd,
    .demand_fd = demand_fd,
    .close = close_all,
};

static int
set_mtu(const char *device, uint32_t mtu, char *error, size_t error_size)
{
	struct ifreq request;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = -1;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	request.ifr_mtu = (int)mtu;
	if (fd != -1)
		result = ioctl(fd, SIOCSIFMTU, &request);
	if (result == -1)
		snprintf(error, error_size, "device %s does not take an MTU of %u: %s", device,
		    (unsigned)mtu, strerror(errno));
	if (fd != -1)
		close(fd);
	return result;
}

/* Raw sockets take neither super-packets nor partial checksums: takes_* stay false. */
static int
open_raw(struct system_io *s, char *error, size_t error_size)
{
	s->raw = raw_open(error, error_size);
	return s->raw != NULL ? 0 : -1;
}

static int
open_device(
    struct system_io *s, const struct io_settings *settings, char *error, size_t error_size)
{
	struct device_wanted wanted = {settings->offload, settings->threaded, settings->queues};
	struct device_offload offload;

	s->device = device_open(settings->device_name, &wanted, error, error_size);
	if (s->device == NULL)
		return -1;
	s->queue[s->queues++] = s->device;
	if (settings->queues)
		s->kept = kept_new();
	if (settings->mtu != 0 &&
	    set_mtu(device_name(s->device), settings->mtu, error, error_size) == -1)
		return -1;
	if (settings->raw)
		return open_raw(s, error, error_size);
	offload = device_offload(s->device);
	s->io.takes_super = offload.super;
	s->io.takes_uso = offload.uso;
	s->io.takes_partial = offload.partial;
	return 0;
}

static int
open_sockets(
    struct system_io *s, const struct io_settings *settings, char *error, size_t error_size)
{
	struct addr demands = settings->transfer_listen;

	if (settings->transfer_listen.port == 0)
		return 0;
	s->udp = udp_open(&settings->transfer_listen, error, error_size);
	if (s->udp == NULL || settings->demand_port == 0)
		return s->udp == NULL ? -1 : 0;
	demands.port = settings->demand_port;
	s->demands = udp_open(&demands, error, error_size);
	return s->demands == NULL ? -1 : 0;
}

struct io *
io_open(const struct io_settings *settings, char *error, size_t error_size)
{
	struct system_io *s = xcalloc(1, sizeof(*s));

	s->io.ops = &system_ops;
	if (settings->device_name != NULL && open_device(s, settings, error, error_size) == -1)
		goto fail;
	if (open_sockets(s, settings, error, error_size) == -1)
		goto fail;
	return &s->io;

fail:
	close_all(&s->io);
	return NULL;
}

struct io *
io_open_queue(struct io *first, char *error, size_t error_size)
{
	struct system_io *f = (struct system_io *)first;
	struct system_io *s = xcalloc(1, sizeof(*s));

	s->io = *first;
	s->further = true;
	s->udp = f->udp;
	s->kept = kept_new();
	if (f->queues < IO_QUEUES_MAX)
		s->device = device_open_queue(f->device, error, error_size);
	else
		snprintf(error, error_size, "no more than %d queues", IO_QUEUES_MAX);
	if (s->device == NULL || (f->raw != NULL && open_raw(s, error, error_size) == -1)) {
		close_all(&s->io);
		return NULL;
	}
	f->queue[f->queues++] = s->device;
	return &s->io;
}

const char *
io_device_name(const struct io *io)
{
	const struct system_io *s = (const struct system_io *)io;

	if (io->ops != &system_ops || s->device == NULL)
		return "";
	return device_name(s->device);
}
