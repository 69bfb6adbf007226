#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "io/family.h"

/* A socket pair that keeps boundaries stands for the device: far is the kernel's end. */
struct rig {
	int fd, far;
	struct family_buffer buffer;
	uint8_t got[FRAME_MAX];
};

static struct rig rig;
static struct frame frame;

static int
setup(void **state)
{
	int fd[2], octets = 4 * 1024 * 1024;

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == -1)
		return -1;
	rig.fd = fd[0];
	rig.far = fd[1];
	setsockopt(rig.fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	fcntl(rig.fd, F_SETFL, O_NONBLOCK);
	fcntl(rig.far, F_SETFL, O_NONBLOCK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(rig.fd);
	if (rig.far != -1)
		close(rig.far);
	return 0;
}

/* Takes one packet at the far end, its family checked and cut off. */
static size_t
take(void)
{
	ssize_t n = read(rig.far, rig.got, sizeof(rig.got));
	uint8_t family[FAMILY_LEN] = {0};

	if (n == -1)
		return 0;
	assert_true(n > FAMILY_LEN);
	family[3] = rig.got[FAMILY_LEN] >> 4 == 4 ? AF_INET : AF_INET6;
	assert_memory_equal(rig.got, family, FAMILY_LEN);
	memmove(rig.got, rig.got + FAMILY_LEN, (size_t)n - FAMILY_LEN);
	return (size_t)n - FAMILY_LEN;
}

static void
test_receive(void **state)
{
	struct packet p;
	uint8_t octets[] = {0, 0, 0, AF_INET, 0x45, 1, 2};

	(void)state;
	assert_int_equal(family_receive(rig.fd, &rig.buffer, &p), 0);
	assert_int_equal(write(rig.far, octets, sizeof(octets)), sizeof(octets));
	memset(&p, 0xa5, sizeof(p));
	assert_int_equal(family_receive(rig.fd, &rig.buffer, &p), 1);
	assert_int_equal(p.len, 3);
	assert_memory_equal(p.data, octets + 4, 3);
	assert_int_equal(p.headroom, IO_HEADROOM);
	assert_int_equal(p.gso, PACKET_GSO_NONE);
	assert_false(p.partial);
	memset(p.data - p.headroom, 0, p.headroom);
	assert_memory_equal(p.data, octets + 4, 3);
}

static void
test_receive_short(void **state)
{
	struct packet p;

	(void)state;
	assert_int_equal(write(rig.far, "abc", 3), 3);
	errno = 0;
	assert_int_equal(family_receive(rig.fd, &rig.buffer, &p), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(write(rig.far, "abcd", 4), 4); /* no packet in it */
	assert_int_equal(family_receive(rig.fd, &rig.buffer, &p), 1);
	assert_int_equal(p.len, 0);
}

static void
build(const char *from, const char *to, uint8_t protocol, size_t payload)
{
	struct addr a = frame_addr(from, 0), b = frame_addr(to, 0);

	frame_ip(&frame, &a, &b, protocol);
	if (protocol == IPPROTO_TCP)
		frame_tcp(&frame, 1000, 80, 77, 88, TCP_ACK | TCP_PSH, NULL, 0);
	else
		frame_udp(&frame, 1000, 53);
	frame_payload(&frame, payload);
}

static void
test_send_plain(void **state)
{
	struct packet p;

	(void)state;
	build("198.51.100.1", "203.0.113.1", IPPROTO_TCP, 100);
	frame_finish(&frame);
	p = frame_packet(&frame);
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(family_send(rig.fd, &rig.buffer, &p), 0);
	assert_int_equal(take(), frame.len);
	assert_memory_equal(rig.got, frame.octets, frame.len);
	assert_int_equal(take(), 0);
}

static void
test_send_partial(void **state)
{
	struct packet p;
	uint16_t before;

	(void)state;
	build("2001:db8::1", "2001:db8::2", IPPROTO_UDP, 101);
	frame_finish_partial(&frame);
	before = frame_get16(frame.octets + 46);
	p = frame_packet(&frame);
	p.partial = true;
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(family_send(rig.fd, &rig.buffer, &p), 0);
	assert_int_equal(take(), frame.len);
	assert_true(frame_is_right(rig.got, frame.len));
	/* The caller's packet is as it was. */
	assert_true(p.partial);
	assert_int_equal(frame_get16(frame.octets + 46), before);
}

static void
test_send_super(void **state)
{
	struct packet p;
	size_t count = 0, len;

	(void)state;
	build("198.51.100.1", "203.0.113.1", IPPROTO_TCP, 10 * 1000 + 1);
	frame_finish_partial(&frame);
	p = frame_packet(&frame);
	p.partial = true;
	p.gso = PACKET_GSO_TCP4;
	p.gso_size = 1000;
	assert_int_equal(packet_parse(&p), DROP_none);
	assert_int_equal(family_send(rig.fd, &rig.buffer, &p), 0);
	while ((len = take()) != 0) {
		assert_int_equal(len, count == 10 ? 41 : 1040);
		assert_true(frame_is_right(rig.got, len));
		assert_memory_equal(rig.got + 40, frame.octets + 40 + count * 1000, len - 40);
		count++;
	}
	assert_int_equal(count, 11);
}

static void
test_send_refused(void **state)
{
	struct packet p;

	(void)state;
	build("198.51.100.1", "203.0.113.1", IPPROTO_UDP, 10);
	frame_finish(&frame);
	p = frame_packet(&frame);
	assert_int_equal(packet_parse(&p), DROP_none);
	shutdown(rig.fd, SHUT_WR);
	errno = 0;
	assert_int_equal(family_send(rig.fd, &rig.buffer, &p), -1);
	assert_int_equal(errno, EPIPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_receive),
	    TEST(test_receive_short),
	    TEST(test_send_plain),
	    TEST(test_send_partial),
	    TEST(test_send_super),
	    TEST(test_send_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("family", tests, NULL, NULL);
}
