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

static int
send_packet(struct io *io, const struct packet *p)
{
	struct system_io *s = (struct system_io *)io;

	if (s->device == NULL) {
		errno = ENODEV;
		return -1;
	}
	if (s->raw == NULL || !raw_takes(s->raw, p->version))
		return device_send(s->device, p);
	raw_send(s->raw, p);
	return 0;
}

/* Only where there is a device and no raw output: takes_super and takes_uso say so. */
static int
send_pieces(struct io *io, const struct packet *p, const struct iovec *piece, unsigned count)
{
	struct system_io *s = (struct system_io *)io;

	if (s->device == NULL) {
		errno = ENODEV;
		return -1;
	}
	return device_send_pieces(s->device, p, piece, count);
}

static uint32_t
flush_packets(struct io *io, struct io_refused *refused)
{
	struct system_io *s = (struct system_io *)io;

	if (s->raw != NULL)
		return raw_flush(s->raw, refused);
	memset(refused, 0, sizeof(*refused));
	return 0;
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
	udp_close(s->udp);
	udp_close(s->demands);
	raw_close(s->raw);
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
	struct device_wanted wanted = {settings->offload, settings->threaded};
	struct device_offload offload;

	s->device = device_open(settings->device_name, &wanted, error, error_size);
	if (s->device == NULL)
		return -1;
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

const char *
io_device_name(const struct io *io)
{
	const struct system_io *s = (const struct system_io *)io;

	if (io->ops != &system_ops || s->device == NULL)
		return "";
	return device_name(s->device);
}
