#include "io/device.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "io/io.h"
#include "packet/checksum.h"
#include "packet/segment.h"

/*
 * The virtio-net header in front of each packet (VIRTIO 1.2, 5.1.6), little-endian:
 *
 *  0       1          2         4          6            8             10
 * | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset |
 */
#define VNET_LEN 10

/* Pieces of one packet at most; the kernel takes 1024 with the header. */
#define DEVICE_PIECES_MAX 256

/* Offsets of the checksum field in the TCP and the UDP header. */
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6

/* Since Linux 6.2; older headers lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Packets of one read after the other: one of any size, or many small ones and one. */
#define IN_EACH  (IO_HEADROOM + PACKET_MAX)
#define IN_SIZE  (2 * IN_EACH)
#define IN_ALIGN 64

/* Octets that wait for the thread at most: what many streams have under way at a time. */
#define WAITING_MAX (16 * 1024 * 1024)

/* One so large is the last: what follows is read to where the caches hold it. */
#define IN_LARGE 4096

struct device {
	int fd;
	short flags; /* of TUNSETIFF */
	char name[IFNAMSIZ];
	struct device_offload offload;
	int failed; /* errno of a read behind packets that were handed over; 0: none */
	uint8_t in[IN_SIZE];
	uint8_t scratch[PACKET_MAX]; /* a packet whose checksum is completed */
	struct iovec vector[1 + DEVICE_PIECES_MAX];
};

static const struct {
	unsigned flags;
	struct device_offload offload;
	const char *name;
} OFFLOADS[] = {
    {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
	{true, true, true}, "tcp,udp,checksum"},
    {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, {true, false, true}, "tcp,checksum"},
    {TUN_F_CSUM, {false, false, true}, "checksum"},
    {0, {false, false, false}, "none"},
};

#define OFFLOADS_COUNT (sizeof(OFFLOADS) / sizeof(OFFLOADS[0]))

static void
put_le16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static uint16_t
get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static int
set_offload(struct device *d, bool wanted)
{
	size_t i = wanted ? 0 : OFFLOADS_COUNT - 1;

	while (i < OFFLOADS_COUNT &&
	    ioctl(d->fd, TUNSETOFFLOAD, (unsigned long)OFFLOADS[i].flags) == -1)
		i++;
	if (i == OFFLOADS_COUNT)
		return -1;
	d->offload = OFFLOADS[i].offload;
	log_info("device open name=%s offload=%s", d->name, OFFLOADS[i].name);
	return 0;
}

/* Of each queue that is attached by now. */
static int
bound_waiting(struct device *d)
{
	int waiting = WAITING_MAX;

	return ioctl(d->fd, TUNSETSNDBUF, &waiting);
}

/*
 * What is written waits, and a thread of the kernel forwards it, on another processor if there
 * is one.  How much may wait is bounded here: as it comes, nothing would ever be refused.
 */
static int
set_threaded(struct device *d)
{
	char path[sizeof("/sys/class/net//threaded") + IFNAMSIZ];
	ssize_t n = -1;
	int fd;

	if (bound_waiting(d) == -1)
		return -1;
	snprintf(path, sizeof(path), "/sys/class/net/%s/threaded", d->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd != -1) {
		n = write(fd, "1", 1);
		close(fd);
	}
	if (n != 1)
		log_warn("device has no thread remedy=\"as root: echo 1 > %s\"", path);
	return 0;
}

static short
wanted_flags(const struct device_wanted *wanted)
{
	return (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | (wanted->threaded ? IFF_NAPI : 0) |
	    (wanted->queues ? IFF_MULTI_QUEUE : 0));
}

/* A device of several queues would take another program's for one of them; it runs where it is up and
 * somebody holds it. */
static bool
is_held(const char *name)
{
	struct ifreq request;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool held;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	held = fd != -1 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
	    (request.ifr_flags & IFF_RUNNING) != 0;
	if (fd != -1)
		close(fd);
	return held;
}

static int
set_up(struct device *d, const char *name, const struct device_wanted *wanted)
{
	struct ifreq request;
	int vnet_len = VNET_LEN, on = 1;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_flags = wanted_flags(wanted);
	if (wanted->queues && is_held(name)) {
		errno = EBUSY;
		return -1;
	}
	if (ioctl(d->fd, TUNSETIFF, &request) == -1)
		return -1;
	d->flags = wanted_flags(wanted);
	memcpy(d->name, request.ifr_name, sizeof(d->name));
	d->name[sizeof(d->name) - 1] = '\0';
	if (ioctl(d->fd, TUNSETVNETHDRSZ, &vnet_len) == -1 ||
	    ioctl(d->fd, TUNSETVNETLE, &on) == -1)
		return -1;
	if (wanted->threaded && set_threaded(d) == -1)
		return -1;
	return set_offload(d, wanted->offload);
}

static const char *
open_hint(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
		return " (modprobe tun)";
	case EPERM:
	case EACCES:
		return " (needs CAP_NET_ADMIN)";
	case EBUSY:
		return " (another program holds it)";
	default:
		return "";
	}
}

/* Of a device that is there: nearly all that was set is the device's. */
static int
attach(struct device *d, const struct device *first)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, first->name, sizeof(request.ifr_name));
	request.ifr_flags = first->flags;
	if (ioctl(d->fd, TUNSETIFF, &request) == -1)
		return -1;
	if ((first->flags & IFF_NAPI) != 0 && bound_waiting(d) == -1)
		return -1;
	memcpy(d->name, first->name, sizeof(d->name));
	d->flags = first->flags;
	d->offload = first->offload;
	return 0;
}

struct device *
device_open_queue(const struct device *first, char *error, size_t error_size)
{
	struct device *d = xcalloc(1, sizeof(*d));

	d->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (d->fd != -1 && attach(d, first) == 0)
		return d;
	snprintf(error, error_size, "device %s has no other queue: %s", first->name,
	    strerror(errno));
	device_close(d);
	return NULL;
}

struct device *
device_open(const char *name, const struct device_wanted *wanted, char *error, size_t error_size)
{
	struct device *d;

	if (strlen(name) >= IFNAMSIZ) {
		snprintf(error, error_size, "device name %s is too long", name);
		return NULL;
	}
	d = xcalloc(1, sizeof(*d));
	d->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (d->fd != -1 && set_up(d, name, wanted) == 0)
		return d;
	snprintf(error, error_size, "device %s cannot be opened: %s%s", name, strerror(errno),
	    open_hint(errno));
	device_close(d);
	return NULL;
}

void
device_close(struct device *d)
{
	if (d == NULL)
		return;
	if (d->fd != -1)
		close(d->fd);
	free(d);
}

int
device_fd(const struct device *d)
{
	return d->fd;
}

const char *
device_name(const struct device *d)
{
	return d->name;
}

struct device_offload
device_offload(const struct device *d)
{
	return d->offload;
}

/* True if the checksum to complete is the one of the packet's own TCP or UDP header. */
static bool
is_own_checksum(const struct packet *p, uint16_t start, uint16_t offset)
{
	uint8_t protocol;

	if (p->len >= 20 && p->data[0] >> 4 == 4) {
		protocol = p->data[9];
		if (start != (p->data[0] & 15) * 4)
			return false;
	} else if (p->len >= 40 && p->data[0] >> 4 == 6) {
		protocol = p->data[6];
		if (start != 40)
			return false;
	} else {
		return false;
	}
	return (protocol == IPPROTO_TCP && offset == TCP_CHECKSUM) ||
	    (protocol == IPPROTO_UDP && offset == UDP_CHECKSUM);
}

/*
 * The kernel may leave a checksum to us that the view cannot stand for: of the packet
 * inside a packet (VXLAN), or behind extension headers.  It is completed here.
 */
static void
complete_checksum(struct packet *p, uint16_t start, uint16_t offset)
{
	uint16_t sum = checksum_fold(checksum_add(0, p->data + start, p->len - start));

	sum = (uint16_t)~sum;
	if (sum == 0 && offset == UDP_CHECKSUM)
		sum = 0xffff;
	p->data[start + offset] = (uint8_t)(sum >> 8);
	p->data[start + offset + 1] = (uint8_t)sum;
	p->partial = false;
}

/* Fills the view's offload part from the header; -1 if the kernel says what cannot be. */
static int
take_offload(struct packet *p, const uint8_t *vnet)
{
	uint16_t start = get_le16(vnet + 6), offset = get_le16(vnet + 8);

	switch (vnet[1] & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		p->gso = PACKET_GSO_NONE;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		p->gso = PACKET_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		p->gso = PACKET_GSO_TCP6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		p->gso = PACKET_GSO_UDP;
		break;
	default:
		return -1;
	}
	if (p->gso != PACKET_GSO_NONE) {
		p->gso_size = get_le16(vnet + 4);
		p->gso_ecn = (vnet[1] & VIRTIO_NET_HDR_GSO_ECN) != 0;
	}
	if ((vnet[0] & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0)
		return 0;
	if ((uint32_t)start + offset + 2 > p->len)
		return -1;
	p->partial = true;
	if (p->gso == PACKET_GSO_NONE && !is_own_checksum(p, start, offset))
		complete_checksum(p, start, offset);
	return 0;
}

/* Reads a packet to a place for IN_EACH octets; as device_receive(). */
static int
receive_to(struct device *d, uint8_t *place, struct packet *p)
{
	uint8_t *vnet = place + IO_HEADROOM - VNET_LEN;
	ssize_t n;

	do
		n = read(d->fd, vnet, VNET_LEN + PACKET_MAX);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	memset(p, 0, sizeof(*p));
	p->data = place + IO_HEADROOM;
	p->len = n < VNET_LEN ? 0 : (uint32_t)n - VNET_LEN;
	p->headroom = IO_HEADROOM;
	if (n < VNET_LEN || take_offload(p, vnet) == -1) {
		errno = EPROTO;
		return -1;
	}
	return 1;
}

bool
device_holds(const struct device *d, const uint8_t *data)
{
	return data >= d->in && data < d->in + sizeof(d->in);
}

int
device_receive(struct device *d, struct packet *p)
{
	return receive_to(d, d->in, p);
}

int
device_receive_many(struct device *d, struct packet *p, int max, bool *more)
{
	size_t used = 0;
	int count = 0, got = 1;

	if (d->failed != 0) {
		errno = d->failed;
		d->failed = 0;
		return -1;
	}
	while (count < max && used + IN_EACH <= sizeof(d->in)) {
		got = receive_to(d, d->in + used, &p[count]);
		if (got != 1)
			break;
		used += (IO_HEADROOM + p[count].len + IN_ALIGN - 1) / IN_ALIGN * IN_ALIGN;
		if (p[count++].len > IN_LARGE)
			break;
	}
	*more = got != 0;
	if (got == -1 && count > 0)
		d->failed = errno;
	return got == -1 && count == 0 ? -1 : count;
}

/* The header for a parsed packet that the device takes as it is. */
static void
make_vnet(uint8_t vnet[VNET_LEN], const struct packet *p)
{
	static const uint8_t types[] = {
	    [PACKET_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
	    [PACKET_GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
	    [PACKET_GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
	    [PACKET_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4,
	};

	memset(vnet, 0, VNET_LEN);
	if (p->partial) {
		vnet[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		put_le16(vnet + 6, p->transport);
		put_le16(vnet + 8, p->protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	}
	if (p->gso != PACKET_GSO_NONE) {
		vnet[1] = types[p->gso];
		if (p->gso_ecn)
			vnet[1] |= VIRTIO_NET_HDR_GSO_ECN;
		put_le16(vnet + 2, p->payload);
		put_le16(vnet + 4, p->gso_size);
	}
}

static int
write_vector(struct device *d, const struct iovec *vector, int count)
{
	ssize_t n;

	do
		n = writev(d->fd, vector, count);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

/* With headroom the packet and its header are one piece: the cheaper call. */
static int
write_packet(struct device *d, const struct packet *p)
{
	uint8_t *front = p->data - VNET_LEN, vnet[VNET_LEN];
	ssize_t n;

	if (p->headroom < VNET_LEN) {
		struct iovec vector[] = {{vnet, VNET_LEN}, {p->data, p->len}};

		make_vnet(vnet, p);
		return write_vector(d, vector, 2);
	}
	make_vnet(front, p);
	do
		n = write(d->fd, front, VNET_LEN + p->len);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static int
write_segments(struct device *d, const struct packet *super)
{
	struct packet whole = *super, one;
	struct segmenter s;
	struct segment segment;
	uint8_t vnet[VNET_LEN];
	int result = 0;
	bool any = false;

	/* A super-packet that is not partial gets segments with full checksums. */
	whole.partial = super->partial && d->offload.partial;
	one = whole;
	one.gso = PACKET_GSO_NONE;
	make_vnet(vnet, &one);
	segment_start(&s, &whole);
	while (result == 0 && segment_next(&s, &segment)) {
		struct iovec vector[] = {
		    {vnet, VNET_LEN},
		    {segment.header, segment.header_len},
		    {(void *)segment.payload, segment.payload_len},
		};

		result = write_vector(d, vector, 3);
		any = true;
	}
	if (!any) {
		errno = EMSGSIZE; /* headers longer than a segment's may be */
		result = -1;
	}
	return result;
}

static int
write_completed(struct device *d, const struct packet *p)
{
	struct packet copy = *p;

	if (p->len > sizeof(d->scratch)) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(d->scratch, p->data, p->len);
	copy.data = d->scratch;
	copy.headroom = 0;
	packet_complete_checksum(&copy);
	return write_packet(d, &copy);
}

int
device_send(struct device *d, const struct packet *p)
{
	bool taken = p->gso == PACKET_GSO_UDP ? d->offload.uso : d->offload.super;

	if (p->gso != PACKET_GSO_NONE && (!taken || !p->partial))
		return write_segments(d, p);
	if (p->partial && !d->offload.partial)
		return write_completed(d, p);
	return write_packet(d, p);
}

int
device_send_pieces(
    struct device *d, const struct packet *p, const struct iovec *piece, unsigned count)
{
	uint8_t vnet[VNET_LEN];

	if (count > DEVICE_PIECES_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	make_vnet(vnet, p);
	d->vector[0] = (struct iovec){vnet, VNET_LEN};
	memcpy(d->vector + 1, piece, count * sizeof(*piece));
	return write_vector(d, d->vector, (int)count + 1);
}
