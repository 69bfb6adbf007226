/*
 * tun: packets of a queue of the Linux TUN device, in and out.
 *
 * The virtio-net header in front of each packet (VIRTIO 1.2, 5.1.6), little-endian:
 *
 *  0       1          2         4          6            8             10
 * | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset |
 */
#include "io/tun_linux.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "packet/checksum.h"
#include "packet/segment.h"

/* Offsets of the checksum field in the TCP and the UDP header. */
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6

/* Since Linux 6.2; older headers lack it. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define IN_ALIGN 64

/* One so large is the last: what follows is read to where the caches hold it. */
#define IN_LARGE 4096

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
