/*
 * Raw sockets as the way out, in a network namespace of their own: needs root.  What is sent
 * to an address behind the TUN device comes out of it as the kernel has made it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "frames.h"
#include "io/io.h"
#include "io/raw.h"
#include "platform/routes.h"

#define DEVICE "wladtest0"
#define MTU    1400

/* The sender is no address of this machine; the destination is behind the device. */
#define FROM4  "198.51.100.7"
#define THERE4 "203.0.113.10"
#define HERE4  "192.0.2.1"
#define FROM6  "2001:db8:3::7"
#define THERE6 "2001:db8:2::10"

static struct {
	bool possible; /* root, and a kernel with namespaces and TUN */
	int home;
	struct io *io;
} rig;

static struct frame frame;

static const struct {
	const char *from, *there;
} FAMILY[] = {{FROM4, THERE4}, {FROM6, THERE6}};

static void
set_up_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct addr here = frame_addr(HERE4, 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	memcpy(&sin.sin_addr, ip_v4(&here.ip), 4);
	memcpy(&request.ifr_addr, &sin, sizeof(sin));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	close(fd);
}

static int
group_setup(void **state)
{
	(void)state;
	rig.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) == -1 ||
	    access("/proc/sys/net/ipv6", F_OK) == -1 || rig.home == -1 ||
	    unshare(CLONE_NEWNET) == -1)
		return 0;
	rig.possible = true;
	set_up_loopback();
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	if (rig.possible)
		setns(rig.home, CLONE_NEWNET);
	return 0;
}

static int
setup(void **state)
{
	struct io_settings settings = {
	    .device_name = DEVICE, .mtu = MTU, .offload = true, .raw = true};
	char error[200] = "";

	(void)state;
	if (!rig.possible)
		return 0;
	rig.io = io_open(&settings, error, sizeof(error));
	if (rig.io == NULL || routes_device_up(DEVICE, MTU, error, sizeof(error)) == -1)
		fail_msg("%s", error);
	for (int i = 0; i < 2; i++) {
		struct addr there = frame_addr(FAMILY[i].there, 0);

		if (routes_add(DEVICE, &there.ip, error, sizeof(error)) == -1)
			fail_msg("%s", error);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	io_close(rig.io);
	rig.io = NULL;
	return 0;
}

static void
need_root(void)
{
	if (rig.possible)
		return;
	print_message("needs root, /dev/net/tun, IPv6 and network namespaces\n");
	skip();
}

/* ---- what is sent ---- */

static void
make(int family, uint8_t protocol, size_t len)
{
	struct addr from = frame_addr(FAMILY[family].from, 0);
	struct addr there = frame_addr(FAMILY[family].there, 0);

	frame_ip(&frame, &from, &there, protocol);
	if (frame.version == 4)
		frame.octets[6] = 0x40; /* don't fragment */
	if (protocol == IPPROTO_TCP)
		frame_tcp(&frame, 80, 40000, 0x10000, 7, TCP_ACK | TCP_PSH, NULL, 0);
	else
		frame_udp(&frame, 53, 40000);
	frame_payload(&frame, len);
}

static void
send_view(struct packet *p)
{
	assert_int_equal(packet_parse(p), DROP_none);
	assert_int_equal(rig.io->ops->device_send(rig.io, p), 0);
}

/* Sends the frame, whose octets may change right afterwards. */
static void
send_frame(void)
{
	struct packet p = frame_packet(&frame);

	frame_finish(&frame);
	p.len = (uint32_t)frame.len;
	send_view(&p);
}

static uint32_t
flush(struct io_refused *refused)
{
	memset(refused, 0xa5, sizeof(*refused));
	return rig.io->ops->device_flush(rig.io, refused);
}

static void
flush_all(void)
{
	struct io_refused refused;

	assert_int_equal(flush(&refused), 0);
	assert_int_equal(refused.too_big, 0);
	assert_int_equal(refused.mtu, 0);
}

/* ---- what comes out ---- */

/* The next packet, parsed; the kernel's own reports of multicast groups are passed over. */
static bool
take(struct packet *p, int timeout)
{
	struct pollfd pfd = {.fd = rig.io->ops->device_fd(rig.io), .events = POLLIN};
	int result;

	do {
		result = rig.io->ops->device_receive(rig.io, p);
		if (result == 0 && poll(&pfd, 1, timeout) == 1)
			result = rig.io->ops->device_receive(rig.io, p);
		assert_int_not_equal(result, -1);
	} while (result == 1 && p->data[0] >> 4 == 6 && p->data[24] == 0xff);
	return result == 1 && packet_parse(p) == DROP_none;
}

static void
take_right(struct packet *p)
{
	assert_true(take(p, 1000));
	assert_int_equal(p->gso, PACKET_GSO_NONE);
	assert_false(p->partial);
	assert_true(frame_is_right(p->data, p->len));
}

static void
nothing_left(void)
{
	struct packet p;

	assert_false(take(&p, 0));
}

/* ---- tests ---- */

static void
test_single(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	static uint8_t sent[2000];
	struct packet p;

	(void)state;
	need_root();
	assert_false(rig.io->takes_super || rig.io->takes_uso || rig.io->takes_partial);
	for (int i = 0; i < 4; i++) {
		make(i / 2, protocols[i % 2], 700 + (size_t)i);
		send_frame();
		memcpy(sent, frame.octets, frame.len);
		memset(frame.octets, 0xee, frame.len);
		nothing_left(); /* it waits for others */
		flush_all();
		take_right(&p);
		assert_int_equal(p.len, frame.len);
		assert_memory_equal(p.data, sent, frame.len);
	}
	flush_all();
	nothing_left();
}

static void
test_partial(void **state)
{
	static uint8_t sent[2000];
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		make(family, IPPROTO_TCP, 333);
		frame_finish_partial(&frame);
		memcpy(sent, frame.octets, frame.len);
		p = frame_packet(&frame);
		p.partial = true;
		send_view(&p);
		flush_all();
		/* what was given stays as it was */
		assert_memory_equal(frame.octets, sent, frame.len);
		take_right(&p);
		frame_finish(&frame);
		assert_memory_equal(p.data, frame.octets, frame.len);
	}
}

/* More than wait at a time, of both families in turn: each family keeps its order. */
static void
test_batch(void **state)
{
	enum { COUNT = 5 * IO_BATCH + 3 };
	uint32_t next[2] = {0, 0};
	struct packet p;

	(void)state;
	need_root();
	for (uint32_t i = 0; i < COUNT; i++) {
		make((int)(i % 2), IPPROTO_UDP, 200 + i);
		frame_put32(frame.octets + frame.transport + 8, i / 2);
		send_frame();
	}
	flush_all();
	for (int i = 0; i < COUNT; i++) {
		uint32_t *at;

		take_right(&p);
		at = &next[p.version == 4 ? 0 : 1];
		assert_int_equal(frame_get32(p.data + p.payload), *at);
		(*at)++;
	}
	nothing_left();
}

/* Packets of which few fit into the memory for those that wait. */
static void
test_large(void **state)
{
	char error[200];
	struct packet p;

	(void)state;
	need_root();
	assert_int_equal(routes_device_up(DEVICE, 65535, error, sizeof(error)), 0);
	for (int i = 0; i < 7; i++) {
		make(i % 2, IPPROTO_TCP, 65535 - 60 - (size_t)i);
		frame.octets[frame.transport + 4] = (uint8_t)i;
		send_frame();
	}
	flush_all();
	for (unsigned seen = 0, bit; seen != 0x7f; seen |= bit) {
		take_right(&p);
		assert_in_range(p.len, 65400, 65535);
		bit = 1u << p.data[p.transport + 4];
		assert_false(seen & bit);
	}
	nothing_left();
}

static struct packet
super_packet(int family, uint8_t protocol, size_t len, uint16_t size)
{
	struct packet p;

	make(family, protocol, len);
	frame_finish_partial(&frame);
	p = frame_packet(&frame);
	p.partial = true;
	p.gso_size = size;
	p.gso = protocol == IPPROTO_UDP ? PACKET_GSO_UDP
	    : family == 0               ? PACKET_GSO_TCP4
					: PACKET_GSO_TCP6;
	return p;
}

/* The segments of the frame come out, each with right checksums, the data whole. */
static void
take_segments(size_t len, uint16_t size)
{
	const uint8_t *data = frame.octets + frame.len - len;
	struct packet p;

	for (size_t at = 0; at < len; at += size) {
		size_t n = len - at < size ? len - at : size;

		take_right(&p);
		assert_int_equal(packet_payload_len(&p), n);
		assert_memory_equal(p.data + p.payload, data + at, n);
		if (p.protocol == IPPROTO_TCP)
			assert_int_equal(p.tcp_seq, 0x10000 + at);
	}
}

static void
test_super(void **state)
{
	static const struct {
		uint8_t protocol;
		uint16_t len, size;
	} cases[] = {
	    {IPPROTO_TCP, 40000, 1000}, {IPPROTO_UDP, 40001, 1300},
	    {IPPROTO_TCP, 60000, 200},      /* more segments than go at once */
	    {IPPROTO_TCP, 64 * 1000, 1000}, /* exactly as many */
	};
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			p = super_packet(family, cases[i].protocol, cases[i].len, cases[i].size);
			send_view(&p);
			flush_all();
			take_segments(cases[i].len, cases[i].size);
			nothing_left();
		}
	}
}

/* A small packet before a super-packet leaves before it. */
static void
test_order(void **state)
{
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		make(family, IPPROTO_UDP, 11);
		send_frame();
		p = super_packet(family, IPPROTO_TCP, 3000, 1000);
		send_view(&p);
		make(family, IPPROTO_UDP, 22);
		send_frame();
		flush_all();
		take_right(&p);
		assert_int_equal(packet_payload_len(&p), 11);
		for (int i = 0; i < 3; i++) {
			take_right(&p);
			assert_int_equal(packet_payload_len(&p), 1000);
		}
		take_right(&p);
		assert_int_equal(packet_payload_len(&p), 22);
	}
}

/* What may not be fragmented comes back with the MTU of its way; the others went. */
static void
test_too_big(void **state)
{
	struct io_refused refused;
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		size_t header = family == 0 ? 40 : 60;

		make(family, IPPROTO_TCP, MTU - header);
		send_frame();
		make(family, IPPROTO_TCP, MTU - header + 2);
		send_frame();
		make(family, IPPROTO_TCP, 5);
		send_frame();
		make(family, IPPROTO_TCP, MTU - header + 1);
		send_frame();
		assert_int_equal(flush(&refused), 2);
		assert_int_equal(refused.too_big, 2);
		assert_int_equal(refused.mtu, MTU);
		assert_int_equal(refused.packet.len, MTU + 2);
		make(family, IPPROTO_TCP, MTU - header + 2);
		frame_finish(&frame);
		assert_memory_equal(refused.packet.data, frame.octets, frame.len);
		assert_int_equal(refused.packet.destination.port, 40000);
		take_right(&p);
		assert_int_equal(p.len, MTU);
		take_right(&p);
		assert_int_equal(packet_payload_len(&p), 5);
		nothing_left();
		flush_all(); /* it is told once */
	}
}

/* Segments that are too large are one packet that is. */
static void
test_super_too_big(void **state)
{
	struct io_refused refused;
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		p = super_packet(family, IPPROTO_TCP, 60000, 1380);
		send_view(&p);
		assert_int_equal(flush(&refused), 1);
		assert_int_equal(refused.too_big, 1);
		assert_int_equal(refused.mtu, MTU);
		assert_true(frame_is_right(refused.packet.data, refused.packet.len));
		assert_int_equal(refused.packet.tcp_seq, 0x10000);
		assert_int_equal(packet_payload_len(&refused.packet), 1380);
		nothing_left();
	}
}

/* IPv4 without "don't fragment" is fragmented; all pieces are of one datagram, also where
 * its identification is 0, which the kernel would replace in each. */
static void
fragmented(uint16_t id)
{
	static uint8_t whole[4000];
	uint16_t seen = 0;
	struct packet p;
	size_t done = 0;

	make(0, IPPROTO_UDP, 3000);
	frame.octets[6] = 0;
	frame_put16(frame.octets + 4, id);
	send_frame();
	flush_all();
	while (done < frame.len - 20) {
		assert_true(take(&p, 1000));
		assert_int_not_equal(p.fragment, PACKET_WHOLE);
		assert_in_range(p.len, 28, MTU);
		assert_int_equal(p.fragment_offset, done);
		if (done > 0)
			assert_int_equal(frame_get16(p.data + 4), seen);
		seen = frame_get16(p.data + 4);
		memcpy(whole + done, p.data + 20, p.fragment_len);
		done += p.fragment_len;
		assert_int_equal(p.fragment_more, done < frame.len - 20);
	}
	assert_int_equal(seen, id == 0 ? 0xffff : id);
	assert_memory_equal(whole, frame.octets + 20, frame.len - 20);
	nothing_left();
}

static void
test_fragmented(void **state)
{
	(void)state;
	need_root();
	fragmented(0x1234);
	fragmented(0);
}

/* Fragments of others pass as they are. */
static void
test_fragments(void **state)
{
	struct addr from, there;
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		from = frame_addr(FAMILY[family].from, 0);
		there = frame_addr(FAMILY[family].there, 0);
		frame_ip(&frame, &from, &there, IPPROTO_UDP);
		frame_fragment(&frame, 800, false, 0x77);
		frame_payload(&frame, 123);
		frame_finish(&frame);
		send_frame();
		flush_all();
		assert_true(take(&p, 1000));
		assert_int_equal(p.len, frame.len);
		assert_memory_equal(p.data, frame.octets, frame.len);
	}
}

static void
test_no_route(void **state)
{
	static const char *const nowhere[] = {"198.18.0.1", "2001:db8:9::1"};
	struct io_refused refused;
	struct addr from, to;
	struct packet p;

	(void)state;
	need_root();
	for (int family = 0; family < 2; family++) {
		make(family, IPPROTO_UDP, 1);
		send_frame();
		from = frame_addr(FAMILY[family].from, 0);
		to = frame_addr(nowhere[family], 0);
		for (int i = 0; i < 3; i++) {
			frame_ip(&frame, &from, &to, IPPROTO_UDP);
			frame_udp(&frame, 1, 2);
			send_frame();
		}
		make(family, IPPROTO_UDP, 2);
		send_frame();
		assert_int_equal(flush(&refused), 3);
		assert_int_equal(refused.too_big, 0);
		assert_int_equal(refused.mtu, 0);
		for (uint32_t i = 1; i <= 2; i++) {
			take_right(&p);
			assert_int_equal(packet_payload_len(&p), i);
		}
		nothing_left();
	}
}

/* An ICMP error that names a packet of protocol 255, which anybody may send, is not held
 * against the next packet. */
static void
test_error_of_others(void **state)
{
	struct addr from = frame_addr(FROM4, 0), here = frame_addr(HERE4, 0);
	struct addr there = frame_addr(THERE4, 0);
	static struct frame quoted;
	struct packet p;

	(void)state;
	need_root();
	frame_ip(&quoted, &here, &there, 255);
	frame_payload(&quoted, 8);
	frame_put16(quoted.octets + 2, quoted.len);
	frame_ip_checksum(&quoted);
	frame_ip(&frame, &from, &here, IPPROTO_ICMP);
	frame_icmp(&frame, 3, 2, 0);
	frame_add(&frame, quoted.octets, quoted.len);
	send_frame();
	flush_all();
	for (uint32_t i = 1; i <= 3; i++) {
		make(0, IPPROTO_UDP, i);
		send_frame();
		flush_all();
		take_right(&p);
		assert_int_equal(packet_payload_len(&p), i);
	}
}

static void
test_rights(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_root();
	pid = fork();
	if (pid == 0) {
		char error[200] = "";
		struct raw *raw;

		if (setresuid(65534, 65534, 65534) == -1)
			_exit(2);
		raw = raw_open(error, sizeof(error));
		_exit(raw == NULL && strstr(error, "CAP_NET_RAW") != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_single),
	    TEST(test_partial),
	    TEST(test_batch),
	    TEST(test_large),
	    TEST(test_super),
	    TEST(test_order),
	    TEST(test_too_big),
	    TEST(test_super_too_big),
	    TEST(test_fragmented),
	    TEST(test_fragments),
	    TEST(test_no_route),
	    TEST(test_error_of_others),
	    TEST(test_rights),
#undef TEST
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("raw", tests, group_setup, group_teardown);
}
