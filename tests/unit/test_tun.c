/* The Linux device and its routes, in a network namespace of their own: needs root. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "device_rig.h"
#include "packet/convert.h"
#include "platform/routes.h"

static struct frame frame;

static void
read_file(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n = file == NULL ? 0 : fread(buf, 1, size - 1, file);

	buf[n] = '\0';
	if (file != NULL)
		fclose(file);
}

static void
open_device(bool offload)
{
	open_with(&(struct io_settings){.device_name = DEVICE, .mtu = 1400, .offload = offload});
}

static int
setup(void **state)
{
	(void)state;
	if (rig.possible)
		open_device(true);
	return 0;
}

static int
setup_plain(void **state)
{
	(void)state;
	if (rig.possible)
		open_device(false);
	return 0;
}

/* The next packet that the kernel gives to the device; false if none comes. */
static bool
receive_any(struct packet *p)
{
	struct pollfd pfd = {.fd = rig.io->ops->device_fd(rig.io), .events = POLLIN};
	int result = rig.io->ops->device_receive(rig.io, p);

	if (result == 0 && poll(&pfd, 1, 1000) == 1)
		result = rig.io->ops->device_receive(rig.io, p);
	assert_int_not_equal(result, -1);
	return result == 1;
}

/* The same without the kernel's reports of multicast groups, see test_silence. */
static bool
receive(struct packet *p)
{
	while (receive_any(p))
		if (p->data[0] >> 4 == 4 || p->data[24] != 0xff)
			return true;
	return false;
}

static void
test_device(void **state)
{
	struct ifreq request = {.ifr_name = DEVICE};
	int fd;

	(void)state;
	need_root();
	assert_string_equal(io_device_name(rig.io), DEVICE);
	assert_true(rig.io->takes_super);
	assert_true(rig.io->takes_partial);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCGIFMTU, &request), 0);
	assert_int_equal(request.ifr_mtu, 1400);
	assert_int_equal(ioctl(fd, SIOCGIFTXQLEN, &request), 0);
	assert_int_equal(request.ifr_qlen, 4096);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	assert_true(request.ifr_flags & IFF_UP);
	close(fd);
}

static void
test_routes(void **state)
{
	char table[4000], line[100];
	struct addr addr = frame_addr(THERE4, 0);
	uint32_t word;

	(void)state;
	need_root();
	memcpy(&word, ip_v4(&addr.ip), 4);
	snprintf(line, sizeof(line), DEVICE "\t%08X\t00000000", word);
	read_file("/proc/self/net/route", table, sizeof(table));
	assert_non_null(strstr(table, line));
	assert_non_null(strstr(strstr(table, line), "FFFFFFFF"));
	read_file("/proc/self/net/ipv6_route", table, sizeof(table));
	assert_non_null(strstr(table, "20010db8000200000000000000000010 80"));
	/* Again: an equal route is fine. */
	add_route(THERE4);
	add_route(THERE6);
}

static void
test_routes_refused(void **state)
{
	struct addr here4 = frame_addr(HERE4, 0), here6 = frame_addr(HERE6, 0);
	struct addr there = frame_addr(THERE4, 0);
	struct addr other = frame_addr("203.0.113.11", 0);
	char error[300] = "";

	(void)state;
	need_root();
	/* An address of this machine never reaches the device. */
	assert_int_equal(routes_add(DEVICE, &here4.ip, error, sizeof(error)), -1);
	assert_non_null(strstr(error, HERE4 " is an address of this machine"));
	assert_int_equal(routes_add(DEVICE, &here6.ip, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "is an address of this machine"));
	/* A route that somebody else made stays. */
	assert_int_equal(routes_add("lo", &other.ip, error, sizeof(error)), 0);
	assert_int_equal(routes_add(DEVICE, &other.ip, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "there is another route to 203.0.113.11, through lo"));
	assert_int_equal(routes_add("wladnone0", &there.ip, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "there is no device wladnone0"));
	assert_int_equal(routes_device_up("wladnone0", 1500, error, sizeof(error)), -1);
	assert_string_equal(error, "there is no device wladnone0");
	/* The kernel's reason comes through. */
	assert_int_equal(routes_device_up(DEVICE, 10000000, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "Invalid argument"));
}

/*
 * Nothing comes out that nobody sent: no router solicitations.  A router's kernel
 * insists on reporting its multicast groups (MLD), though without an address.
 */
static void
test_silence(void **state)
{
	static const uint8_t report[] = {0x3a, 0, 5, 2, 0, 0, 1, 0, 143};
	static const uint8_t none[16];
	struct packet p;

	(void)state;
	need_root();
	while (receive_any(&p)) {
		assert_int_equal(p.data[6], IPPROTO_HOPOPTS);
		assert_memory_equal(p.data + 8, none, sizeof(none));
		assert_memory_equal(p.data + 40, report, sizeof(report));
	}
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "0");
	io_close(rig.io);
	open_device(true);
	assert_false(receive_any(&p));
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
}

static void
receive_from_kernel(const char *here, const char *there, bool partial)
{
	struct addr local, to = frame_addr(there, 53);
	struct packet p;
	uint8_t data[1000];
	int fd = open_udp(here, &local);

	memset(data, 'x', sizeof(data));
	send_udp(fd, &to, data, sizeof(data));
	memset(&p, 0xa5, sizeof(p));
	assert_true(receive(&p));
	assert_int_equal(p.headroom, IO_HEADROOM);
	assert_int_equal(p.gso, PACKET_GSO_NONE);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.partial, partial);
	assert_true(addr_equal(&p.source, &local));
	assert_true(addr_equal(&p.destination, &to));
	assert_int_equal(packet_payload_len(&p), sizeof(data));
	assert_memory_equal(p.data + p.payload, data, sizeof(data));
	assert_int_equal(frame_is_right(p.data, p.len), !partial);
	memset(p.data - p.headroom, 0, p.headroom);
	assert_memory_equal(p.data + p.payload, data, sizeof(data));
	close(fd);
}

static void
test_receive(void **state)
{
	(void)state;
	need_root();
	receive_from_kernel(HERE4, THERE4, true);
	receive_from_kernel(HERE6, THERE6, true);
}

/* Without offload the kernel finishes the checksum. */
static void
test_receive_plain(void **state)
{
	(void)state;
	need_root();
	assert_false(rig.io->takes_super || rig.io->takes_uso || rig.io->takes_partial);
	receive_from_kernel(HERE4, THERE4, false);
	receive_from_kernel(HERE6, THERE6, false);
}

/* Many small packets are read at once, each to a place of its own, in the order in which they came. */
static void
receive_burst(size_t size, int at_once)
{
	struct addr local, to = frame_addr(THERE4, 53);
	static uint8_t data[20][1300];
	int fd = open_udp(HERE4, &local), seen = 0, most = 0;
	struct packet p[8];

	assert_true(size <= sizeof(data[0]));
	for (size_t i = 0; i < 20; i++) {
		memset(data[i], (int)i + 1, size);
		send_udp(fd, &to, data[i], size);
	}
	for (bool more = true; more;) {
		int got = rig.io->ops->device_receive_many(rig.io, p, 8, &more);

		assert_in_range(got, 0, 8);
		most = got > most ? got : most;
		for (int i = 0; i < got; i++)
			memset(p[i].data - p[i].headroom, 0xee, p[i].headroom);
		for (int i = 0; i < got; i++) {
			if (p[i].data[0] >> 4 != 4)
				continue; /* see test_silence */
			assert_int_equal(packet_parse(&p[i]), DROP_none);
			assert_int_equal(packet_payload_len(&p[i]), size);
			assert_memory_equal(p[i].data + p[i].payload, data[seen++], size);
		}
	}
	assert_int_equal(seen, 20);
	assert_int_equal(most, at_once);
	close(fd);
}

static void
test_receive_burst(void **state)
{
	(void)state;
	need_root();
	receive_burst(10, 8);
	receive_burst(1300, 8);
}

/* Nothing more, and no error. */
static void
test_receive_burst_of_none(void **state)
{
	struct packet p[2];
	bool more = true;

	(void)state;
	need_root();
	while (more)
		assert_int_not_equal(rig.io->ops->device_receive_many(rig.io, p, 2, &more), -1);
	assert_int_equal(rig.io->ops->device_receive_many(rig.io, p, 2, &more), 0);
	assert_false(more);
}

/* Ten segments in one go come as one super-packet where the kernel can. */
static void
receive_super_udp(const char *here, const char *there)
{
	struct addr local, to = frame_addr(there, 53);
	static uint8_t data[10 * 1000];
	struct packet p;
	int fd = open_udp(here, &local), size = 1000;
	size_t got = 0;

	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	send_udp(fd, &to, data, sizeof(data));
	while (got < sizeof(data)) {
		assert_true(receive(&p));
		assert_int_equal(packet_parse(&p), DROP_none);
		if (rig.io->takes_uso) {
			assert_int_equal(p.gso, PACKET_GSO_UDP);
			assert_int_equal(p.gso_size, 1000);
			assert_true(p.partial);
			assert_int_equal(packet_payload_len(&p), sizeof(data));
		}
		assert_memory_equal(p.data + p.payload, data + got, packet_payload_len(&p));
		got += packet_payload_len(&p);
	}
	assert_int_equal(got, sizeof(data));
	close(fd);
}

static void
test_receive_super(void **state)
{
	(void)state;
	need_root();
	receive_super_udp(HERE4, THERE4);
	receive_super_udp(HERE6, THERE6);
}

/* A TCP SYN of the kernel is partial, too. */
static void
test_receive_tcp(void **state)
{
	struct addr to = frame_addr(THERE4, 80);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&to, &ss);
	struct packet p;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)state;
	need_root();
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_true(receive(&p));
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.protocol, IPPROTO_TCP);
	assert_int_equal(p.tcp_flags, TCP_SYN);
	assert_true(p.partial);
	assert_true(addr_equal(&p.destination, &to));
	close(fd);
}

/* Sends a frame to the device as the kernel's other parts may: with any offload header. */
static void
inject(struct virtio_net_hdr vnet)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(frame.version == 4 ? ETH_P_IP : ETH_P_IPV6)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;
	struct iovec vector[] = {{&vnet, sizeof(vnet)}, {frame.octets, frame.len}};
	struct msghdr message = {
	    .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = vector, .msg_iovlen = 2};

	to.sll_ifindex = (int)if_nametoindex(DEVICE);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(sendmsg(fd, &message, 0), sizeof(vnet) + frame.len);
	close(fd);
}

/* A partial checksum that is not the packet's own (a tunnel's inner packet) comes completed. */
static void
test_receive_tunnel(void **state)
{
	struct addr from = frame_addr(HERE4, 0), to = frame_addr(THERE4, 0);
	struct packet p;
	uint16_t right;

	(void)state;
	need_root();
	/* A TCP segment with its right checksum is the payload of a UDP datagram with none. */
	frame_ip(&frame, &from, &to, IPPROTO_TCP);
	frame_tcp(&frame, 1, 2, 3, 4, TCP_ACK, NULL, 0);
	frame_payload(&frame, 101);
	frame_finish_partial(&frame);
	right = frame_transport_checksum(&frame);
	memmove(frame.octets + 28, frame.octets, frame.len);
	memset(frame.octets + 20, 0, 8);
	frame.len += 28;
	frame.protocol = frame.octets[9] = IPPROTO_UDP;
	frame_put16(frame.octets + 2, frame.len);
	frame_put16(frame.octets + 20, 1000);
	frame_put16(frame.octets + 22, 4789);
	frame_put16(frame.octets + 24, frame.len - 20);
	frame_ip_checksum(&frame);
	inject((struct virtio_net_hdr){
	    .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 48, .csum_offset = 16});
	assert_true(receive(&p));
	assert_false(p.partial);
	assert_int_equal(p.len, frame.len);
	assert_int_equal(frame_get16(p.data + 48 + 16), right);
	frame_put16(p.data + 48 + 16, frame_get16(frame.octets + 48 + 16));
	assert_memory_equal(p.data, frame.octets, frame.len);
}

/* The same behind extension headers. */
static void
test_receive_extension(void **state)
{
	struct addr from = frame_addr(HERE6, 0), to = frame_addr(THERE6, 0);
	struct packet p;
	uint16_t right;

	(void)state;
	need_root();
	frame_ip(&frame, &from, &to, IPPROTO_UDP);
	frame_extension(&frame, IPPROTO_DSTOPTS, 8);
	frame_udp(&frame, 1000, 53);
	frame_payload(&frame, 33);
	frame_finish_partial(&frame);
	right = frame_transport_checksum(&frame);
	inject((struct virtio_net_hdr){
	    .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 48, .csum_offset = 6});
	assert_true(receive(&p));
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.transport, 48);
	assert_false(p.partial);
	assert_int_equal(frame_get16(p.data + 48 + 6), right);
}

static void
receive_ecn(uint8_t cwr, uint8_t ecn)
{
	struct addr from = frame_addr(HERE4, 0), to = frame_addr(THERE4, 0);
	struct packet p;

	frame_ip(&frame, &from, &to, IPPROTO_TCP);
	frame_tcp(&frame, 1, 80, 3, 4, TCP_ACK | cwr, NULL, 0);
	frame_payload(&frame, 5000);
	frame_finish_partial(&frame);
	inject((struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | ecn,
	    .hdr_len = 40,
	    .gso_size = 1000,
	    .csum_start = 20,
	    .csum_offset = 16});
	assert_true(receive(&p));
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(p.gso, PACKET_GSO_TCP4);
	assert_int_equal(p.gso_size, 1000);
	assert_int_equal(p.gso_ecn, ecn != 0);
	assert_true(p.partial);
	/* And the kernel takes it back. */
	assert_int_equal(rig.io->ops->device_send(rig.io, &p), 0);
}

static void
test_receive_ecn(void **state)
{
	(void)state;
	need_root();
	receive_ecn(0x80, VIRTIO_NET_HDR_GSO_ECN);
	receive_ecn(0, 0);
}

enum form { FULL, PARTIAL, SUPER, SUPER_FULL, PIECES };

/* A super-packet whose payload lies about: 1000 octets a piece, each elsewhere. */
static int
send_pieces(const struct packet *p)
{
	static uint8_t room[16][1100];
	struct iovec piece[16];
	struct packet view = *p;
	size_t at = p->payload + 1000u;
	unsigned count = 1;

	memcpy(room[0] + 8, p->data, at);
	piece[0] = (struct iovec){room[0] + 8, at};
	for (; at < p->len; count++) {
		size_t n = p->len - at < 1000 ? p->len - at : 1000;

		piece[count] = (struct iovec){memcpy(room[15 - count], p->data + at, n), n};
		at += n;
	}
	view.data = piece[0].iov_base;
	view.headroom = 0;
	return rig.io->ops->device_send_pieces(rig.io, &view, piece, count);
}

/* Writes datagrams from there to a socket here in the form, and expects them at the socket. */
static void
send_to_kernel(
    const char *here, const char *there, enum form form, uint32_t headroom, size_t payload)
{
	static struct {
		uint8_t room[IO_HEADROOM];
		uint8_t octets[FRAME_MAX];
	} block;
	struct addr local, from = frame_addr(there, 53);
	struct packet p;
	size_t size = form >= SUPER ? 1000 : payload;
	size_t at = 0;
	int fd = open_udp(here, &local);

	frame_ip(&frame, &from, &local, IPPROTO_UDP);
	frame_udp(&frame, from.port, local.port);
	frame_payload(&frame, payload);
	if (form == FULL || form == SUPER_FULL)
		frame_finish(&frame);
	else
		frame_finish_partial(&frame);
	memcpy(block.octets, frame.octets, frame.len);
	p = frame_packet(&frame);
	p.data = block.octets;
	p.headroom = headroom;
	p.partial = form == PARTIAL || form == SUPER || form == PIECES;
	if (form >= SUPER) {
		p.gso = PACKET_GSO_UDP;
		p.gso_size = 1000;
	}
	assert_int_equal(packet_parse(&p), DROP_none);
	if (form == PIECES)
		assert_int_equal(send_pieces(&p), 0);
	else
		assert_int_equal(rig.io->ops->device_send(rig.io, &p), 0);
	do {
		size_t n = payload - at < size ? payload - at : size;

		assert_true(has_datagram(fd, p.data + p.payload + at, n));
		at += n;
	} while (at < payload);
	assert_int_equal(recv(fd, block.room, 1, 0), -1);
	close(fd);
}

static void
send_all_forms(void)
{
	static const char *const hosts[][2] = {{HERE4, THERE4}, {HERE6, THERE6}};

	for (int i = 0; i < 2; i++) {
		const char *here = hosts[i][0], *there = hosts[i][1];

		for (uint32_t room = 0; room <= IO_HEADROOM; room += IO_HEADROOM) {
			send_to_kernel(here, there, FULL, room, 100);
			send_to_kernel(here, there, FULL, room, 0);
			send_to_kernel(here, there, PARTIAL, room, 100);
			send_to_kernel(here, there, PARTIAL, room, 1001);
			send_to_kernel(here, there, SUPER, room, 10 * 1000);
			send_to_kernel(here, there, SUPER, room, 9001);
			send_to_kernel(here, there, SUPER_FULL, room, 9001);
			if (rig.io->takes_uso) {
				send_to_kernel(here, there, PIECES, room, 9001);
				send_to_kernel(here, there, PIECES, room, 10 * 1000);
			}
		}
	}
}

static void
test_send(void **state)
{
	(void)state;
	need_root();
	send_all_forms();
}

/* The same where the device takes none of it: segmented and completed by us. */
static void
test_send_plain(void **state)
{
	(void)state;
	need_root();
	send_all_forms();
}

/* What the kernel sees then are plain packets with full checksums. */
static void
test_send_completed(void **state)
{
	struct {
		struct virtio_net_hdr vnet;
		uint8_t octets[2000];
	} __attribute__((packed)) seen;
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd, on = 1, count = 0;
	ssize_t n;

	(void)state;
	need_root();
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	at.sll_ifindex = (int)if_nametoindex(DEVICE);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	send_to_kernel(HERE4, THERE4, PARTIAL, IO_HEADROOM, 101);
	send_to_kernel(HERE6, THERE6, PARTIAL, 0, 101);
	send_to_kernel(HERE4, THERE4, SUPER, IO_HEADROOM, 3001);
	send_to_kernel(HERE6, THERE6, SUPER_FULL, 0, 2999);
	while ((n = recv(fd, &seen, sizeof(seen), 0)) != -1) {
		n -= (ssize_t)sizeof(seen.vnet);
		if (seen.octets[0] >> 4 == 6 && seen.octets[24] == 0xff)
			continue;
		assert_int_equal(seen.vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		assert_int_equal(seen.vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_true(frame_is_right(seen.octets, (size_t)n));
		count++;
	}
	assert_int_equal(count, 1 + 1 + 4 + 3);
	close(fd);
}

/* A wrong checksum is not hidden: the kernel drops the packet. */
static void
test_send_wrong(void **state)
{
	struct addr local, from = frame_addr(THERE4, 53);
	struct packet p;
	int fd;

	(void)state;
	need_root();
	fd = open_udp(HERE4, &local);
	frame_ip(&frame, &from, &local, IPPROTO_UDP);
	frame_udp(&frame, from.port, local.port);
	frame_payload(&frame, 100);
	frame_finish(&frame);
	frame.octets[60] ^= 1;
	p = frame_packet(&frame);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(rig.io->ops->device_send(rig.io, &p), 0);
	frame.octets[60] ^= 1;
	assert_int_equal(rig.io->ops->device_send(rig.io, &p), 0);
	assert_true(has_datagram(fd, frame.octets + 28, 100));
	assert_int_equal(recv(fd, frame.octets, 1, 0), -1); /* one only */
	close(fd);
}

/*
 * A TCP connection of the kernel with itself by way of the device, where each packet
 * gets other addresses: client at here to there, which is server at here from behind.
 */
struct pump {
	struct addr client, there, behind, server;
	bool forth, back; /* super-packets seen */
	size_t packets;
};

static void
pump(struct pump *pump)
{
	struct packet p;

	while (rig.io->ops->device_receive(rig.io, &p) == 1) {
		if (p.data[0] >> 4 == 6 && p.data[24] == 0xff)
			continue;
		assert_int_equal(packet_parse(&p), DROP_none);
		assert_true(p.partial);
		if (addr_equal(&p.destination, &pump->there)) {
			pump->forth |= p.gso != PACKET_GSO_NONE;
			packet_convert(&p, &pump->behind, &pump->server);
		} else {
			assert_true(addr_equal(&p.source, &pump->server));
			assert_true(addr_equal(&p.destination, &pump->behind));
			pump->back |= p.gso != PACKET_GSO_NONE;
			packet_convert(&p, &pump->there, &pump->client);
		}
		assert_int_equal(rig.io->ops->device_send(rig.io, &p), 0);
		pump->packets++;
	}
}

static int
open_tcp(const char *ip, struct addr *local)
{
	struct addr addr = frame_addr(ip, 0);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&addr, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, local), 0);
	return fd;
}

/* Sends octets over the connection and compares what arrives. */
static void
stream(struct pump *p, int from, int to)
{
	static uint8_t data[1 << 20], got[1 << 20];
	size_t sent = 0, received = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
	for (int turns = 0; received < sizeof(data); turns++) {
		struct pollfd pfd[] = {
		    {rig.io->ops->device_fd(rig.io), POLLIN, 0},
		    {to, POLLIN, 0},
		};

		assert_true(turns < 100000);
		n = write(from, data + sent, sizeof(data) - sent);
		if (n > 0)
			sent += (size_t)n;
		pump(p);
		n = read(to, got + received, sizeof(got) - received);
		if (n > 0)
			received += (size_t)n;
		else
			assert_int_equal(poll(pfd, 2, 2000) > 0 || sent < sizeof(data), 1);
	}
	assert_memory_equal(data, got, sizeof(data));
}

static void
reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void
run_tcp(const char *here, const char *there, const char *behind)
{
	struct pump p = {.packets = 0};
	struct packet rest;
	struct sockaddr_storage ss;
	socklen_t len;
	int client, listener, server = -1;

	add_route(behind);
	client = open_tcp(here, &p.client);
	listener = open_tcp(here, &p.server);
	assert_int_equal(listen(listener, 1), 0);
	p.there = frame_addr(there, 80);
	p.behind = frame_addr(behind, 4321);
	len = addr_to_sockaddr(&p.there, &ss);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	for (int i = 0; i < 1000 && server == -1; i++) {
		pump(&p);
		server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	}
	assert_int_not_equal(server, -1);
	stream(&p, client, server);
	stream(&p, server, client);
	assert_true(p.forth);
	assert_true(p.back);
	/* 2 MiB took far fewer packets than the 1500 of 1400 octets. */
	assert_true(p.packets < 1500);
	reset(client);
	reset(server);
	close(listener);
	while (rig.io->ops->device_receive(rig.io, &rest) == 1)
		;
}

static void
test_tcp(void **state)
{
	(void)state;
	need_root();
	run_tcp(HERE4, THERE4, "203.0.113.12");
	run_tcp(HERE6, THERE6, "2001:db8:2::12");
}

static void
set_flags(short flags)
{
	struct ifreq request = {.ifr_name = DEVICE};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	request.ifr_flags = flags;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* Somebody sets the device down: packets are refused, nothing else happens. */
static void
test_down(void **state)
{
	struct addr local, from = frame_addr(THERE4, 53);
	struct packet p;
	int fd;

	(void)state;
	need_root();
	fd = open_udp(HERE4, &local);
	frame_ip(&frame, &from, &local, IPPROTO_UDP);
	frame_udp(&frame, from.port, local.port);
	frame_finish(&frame);
	p = frame_packet(&frame);
	assert_int_equal(packet_parse(&p), DROP_none);
	set_flags(0);
	assert_int_equal(rig.io->ops->device_send(rig.io, &p), -1);
	assert_int_equal(rig.io->ops->device_receive(rig.io, &p), 0);
	close(fd);
	set_flags(IFF_UP);
	add_route(THERE4);
	receive_from_kernel(HERE4, THERE4, true);
}

static void
test_open_refused(void **state)
{
	struct io_settings settings = {.device_name = DEVICE};
	char error[200] = "";

	(void)state;
	need_root();
	assert_null(io_open(&settings, error, sizeof(error)));
	assert_string_equal(error,
	    "device " DEVICE " cannot be opened: "
	    "Device or resource busy (another program holds it)");
	settings.device_name = "a-name-that-is-too-long";
	assert_null(io_open(&settings, error, sizeof(error)));
	assert_non_null(strstr(error, "too long"));
	settings.device_name = "wladtest1";
	settings.mtu = 10000000;
	assert_null(io_open(&settings, error, sizeof(error)));
	assert_non_null(strstr(error, "does not take an MTU of 10000000"));
}

static void
keep_log(void *arg, enum log_level level, const char *line)
{
	size_t used = strlen(rig.log);

	(void)arg;
	if (level == LOG_LEVEL_WARN)
		snprintf(rig.log + used, sizeof(rig.log) - used, "%s\n", line);
}

static const char *
warnings_for(bool raw)
{
	struct routes_use use = {.v4 = true, .v6 = true, .raw = raw};

	rig.log[0] = '\0';
	log_set_level(LOG_LEVEL_WARN);
	log_set_hook(keep_log, NULL);
	routes_warn(DEVICE, &use);
	log_set_hook(NULL, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	return rig.log;
}

static const char *
warnings(void)
{
	return warnings_for(false);
}

static void
test_warn(void **state)
{
	(void)state;
	need_root();
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	write_file("/proc/sys/net/ipv4/conf/" DEVICE "/rp_filter", "0");
	assert_string_equal(warnings(), "");

	write_file("/proc/sys/net/ipv4/ip_forward", "0");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "0");
	assert_string_equal(warnings(),
	    "IPv4 packets are not forwarded "
	    "remedy=\"sysctl -w net.ipv4.ip_forward=1\"\n"
	    "IPv6 packets are not forwarded "
	    "remedy=\"sysctl -w net.ipv6.conf.all.forwarding=1\"\n");

	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	write_file("/proc/sys/net/ipv4/conf/" DEVICE "/forwarding", "0");
	write_file("/proc/sys/net/ipv6/conf/" DEVICE "/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "1");
	assert_string_equal(warnings(),
	    "IPv4 packets from the device are not forwarded "
	    "remedy=\"sysctl -w net.ipv4.conf." DEVICE ".forwarding=1\"\n"
	    "strict reverse path filter drops packets of the device "
	    "remedy=\"sysctl -w net.ipv4.conf." DEVICE ".rp_filter=2\"\n"
	    "IPv6 is disabled on the device "
	    "remedy=\"sysctl -w net.ipv6.conf." DEVICE ".disable_ipv6=0\"\n");

	/* Loose at the device outweighs strict for all. */
	write_file("/proc/sys/net/ipv4/conf/" DEVICE "/rp_filter", "2");
	write_file("/proc/sys/net/ipv4/conf/" DEVICE "/forwarding", "1");
	write_file("/proc/sys/net/ipv6/conf/" DEVICE "/disable_ipv6", "0");
	assert_string_equal(warnings(), "");
	write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
}

/* Raw output needs nothing of the device itself, and of the others only that one forwards. */
static void
test_warn_raw(void **state)
{
	struct io_settings settings = {.device_name = "wladtest1"};
	char error[200] = "";
	struct io *other;

	(void)state;
	need_root();
	other = io_open(&settings, error, sizeof(error));
	assert_non_null(other);
	write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "1");
	write_file("/proc/sys/net/ipv4/ip_forward", "0");
	assert_string_equal(warnings_for(true),
	    "IPv4 packets are not forwarded "
	    "remedy=\"sysctl -w net.ipv4.ip_forward=1\"\n");
	write_file("/proc/sys/net/ipv4/conf/" DEVICE "/forwarding", "1");
	assert_non_null(strstr(warnings_for(true), "not forwarded"));
	write_file("/proc/sys/net/ipv4/conf/" DEVICE "/forwarding", "0");
	write_file("/proc/sys/net/ipv4/conf/wladtest1/forwarding", "1");
	assert_string_equal(warnings_for(true), "");
	/* One way in is enough for packets to the device, but not for those from it. */
	assert_non_null(strstr(warnings_for(false), "from the device are not forwarded"));
	assert_null(strstr(rig.log, "ip_forward"));
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "0");
	assert_string_equal(warnings_for(true),
	    "IPv6 packets are not forwarded "
	    "remedy=\"sysctl -w net.ipv6.conf.all.forwarding=1\"\n");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	io_close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, setup_plain, teardown)
	    TEST(test_device),
	    TEST(test_routes),
	    TEST(test_routes_refused),
	    TEST(test_silence),
	    TEST(test_receive),
	    TEST(test_receive_super),
	    TEST(test_receive_burst),
	    TEST(test_receive_burst_of_none),
	    TEST(test_receive_tcp),
	    TEST(test_receive_tunnel),
	    TEST(test_receive_extension),
	    TEST(test_receive_ecn),
	    PLAIN(test_receive_plain),
	    TEST(test_send),
	    PLAIN(test_send_plain),
	    PLAIN(test_send_completed),
	    TEST(test_send_wrong),
	    TEST(test_tcp),
	    TEST(test_down),
	    TEST(test_open_refused),
	    TEST(test_warn),
	    TEST(test_warn_raw),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("tun", tests, group_setup, group_teardown);
}
