#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"
#include "io/udp.h"

struct pair {
	struct udp *a, *b;
	struct addr a_addr, b_addr;
};

static struct addr
local_addr(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr addr;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &addr), 0);
	return addr;
}

static struct udp *
open_at(const char *ip)
{
	struct addr any = {.port = 0};
	char error[200] = "";
	struct udp *udp;

	assert_int_equal(ip_parse(ip, &any.ip), 0);
	udp = udp_open(&any, error, sizeof(error));
	if (udp == NULL)
		fail_msg("%s", error);
	return udp;
}

static void
open_pair(struct pair *p, const char *ip)
{
	p->a = open_at(ip);
	p->b = open_at(ip);
	p->a_addr = local_addr(udp_fd(p->a));
	p->b_addr = local_addr(udp_fd(p->b));
}

static void
close_pair(struct pair *p)
{
	udp_close(p->a);
	udp_close(p->b);
}

static bool
wait_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 2000) == 1;
}

/* Octet i of what is sent: no segment equals another. */
static uint8_t
octet(size_t i)
{
	return (uint8_t)(i ^ i >> 8 ^ i >> 13);
}

/*
 * What is left of len octets comes as datagrams of segment octets, several in one where the
 * kernel joins them.  Returns how many octets they are.
 */
static size_t
expect_datagram(const struct datagram *d, size_t done, size_t len, size_t segment, bool joining)
{
	size_t want = len - done < segment ? len - done : segment;

	if (!joining)
		assert_int_equal(d->len, want);
	assert_int_equal(d->segment, want);
	assert_in_range(d->len, want, len - done);
	assert_true(d->len == len - done || d->len % segment == 0);
	for (size_t k = 0; k < d->len; k++)
		assert_int_equal(d->data[k], octet(done + k));
	/* The room in front is ours. */
	memset(d->data - IO_HEADROOM, 0xee, IO_HEADROOM);
	return d->len;
}

/* Receives all of len octets as datagrams of segment octets and looks at each octet. */
static void
expect(struct udp *udp, const struct addr *from, size_t len, size_t segment)
{
	struct datagram batch[IO_BATCH];
	size_t done = 0;
	int n;

	while (done < len) {
		assert_true(wait_readable(udp_fd(udp)));
		n = udp_receive(udp, batch, IO_BATCH);
		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			assert_true(addr_equal(&batch[i].from, from));
			done += expect_datagram(&batch[i], done, len, segment, udp_joining(udp));
		}
	}
	assert_int_equal(udp_receive(udp, batch, IO_BATCH), 0);
}

static void
exchange(struct pair *p, size_t len, size_t segment)
{
	static uint8_t data[400000];

	assert_true(len <= sizeof(data));
	for (size_t i = 0; i < len; i++)
		data[i] = octet(i);
	assert_int_equal(udp_send(p->a, &p->b_addr, data, len, segment), len);
	expect(p->b, &p->a_addr, len, segment == 0 ? len : segment);
}

static void
exchange_sizes(struct pair *p)
{
	exchange(p, 1, 1);
	exchange(p, 100, 100);
	exchange(p, 100, 0);          /* 0: one datagram */
	exchange(p, 100, 1000);       /* shorter than a segment */
	exchange(p, 10 * 1400, 1400); /* ten equal ones */
	exchange(p, 9 * 1400 + 7, 1400);
	exchange(p, 64 * 100, 100);
	exchange(p, 300 * 100 + 1, 100);   /* more than one call carries */
	exchange(p, 46 * 1400, 1400);      /* 64400 octets in one call */
	exchange(p, 150 * 1400 + 9, 1400); /* several calls by length */
	exchange(p, 3 * 30000, 30000);
	exchange(p, 60000, 60000);
}

static void
test_segments_v4(void **state)
{
	struct pair p;
	bool segmentation;

	(void)state;
	open_pair(&p, "127.0.0.1");
	segmentation = udp_segmentation(p.a);
	if (!segmentation)
		print_message("no UDP_SEGMENT here: one message a datagram\n");
	exchange_sizes(&p);
	assert_int_equal(udp_segmentation(p.a), segmentation);
	close_pair(&p);
}

static void
test_segments_v6(void **state)
{
	struct pair p;

	(void)state;
	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	open_pair(&p, "::1");
	exchange_sizes(&p);
	close_pair(&p);
}

/* The kernel refuses segments on a socket without checksums: EINVAL, and for good. */
static void
test_fallback(void **state)
{
	struct pair p;
	int on = 1;

	(void)state;
	open_pair(&p, "127.0.0.1");
	assert_int_equal(setsockopt(udp_fd(p.a), SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	exchange(&p, 10 * 1400 + 3, 1400);
	assert_false(udp_segmentation(p.a));
	exchange_sizes(&p);
	assert_false(udp_segmentation(p.a));
	close_pair(&p);
}

static bool
turn_joining(const struct udp *udp, int on)
{
	return setsockopt(udp_fd(udp), IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0;
}

/* What goes by one call comes in one, unless the kernel was told otherwise. */
static void
test_joined(void **state)
{
	static uint8_t data[10 * 1000 + 7];
	struct datagram batch[IO_BATCH];
	struct pair p;

	(void)state;
	open_pair(&p, "127.0.0.1");
	if (!udp_joining(p.b) || !udp_segmentation(p.a)) {
		print_message("no UDP_GRO or UDP_SEGMENT here\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = octet(i);
	assert_int_equal(udp_send(p.a, &p.b_addr, data, sizeof(data), 1000), sizeof(data));
	assert_true(wait_readable(udp_fd(p.b)));
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 1);
	assert_int_equal(batch[0].len, sizeof(data));
	assert_int_equal(batch[0].segment, 1000);
	assert_memory_equal(batch[0].data, data, sizeof(data));
	assert_true(turn_joining(p.b, 0));
	assert_int_equal(udp_send(p.a, &p.b_addr, data, sizeof(data), 1000), sizeof(data));
	assert_true(wait_readable(udp_fd(p.b)));
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 11);
	for (int i = 0; i < 11; i++) {
		assert_int_equal(batch[i].len, i < 10 ? 1000 : 7);
		assert_int_equal(batch[i].segment, batch[i].len);
	}
	close_pair(&p);
}

/* After joined ones, one call takes fewer: what comes at once is bounded. */
static void
test_joined_bound(void **state)
{
	static uint8_t data[40 * 200];
	struct datagram batch[IO_BATCH];
	struct pair p;
	int n, all = 0;

	(void)state;
	open_pair(&p, "127.0.0.1");
	if (!udp_joining(p.b) || !udp_segmentation(p.a)) {
		print_message("no UDP_GRO or UDP_SEGMENT here\n");
		skip();
	}
	for (int i = 0; i < 3 * UDP_BATCH_JOINED; i++)
		assert_int_equal(udp_send(p.a, &p.b_addr, data, sizeof(data), 200), sizeof(data));
	assert_true(wait_readable(udp_fd(p.b)));
	assert_int_equal(udp_receive(p.b, batch, 2), 2);
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), UDP_BATCH_JOINED);
	while ((n = udp_receive(p.b, batch, IO_BATCH)) > 0) {
		assert_in_range(n, 1, UDP_BATCH_JOINED);
		all += n;
	}
	assert_int_equal(all, 2 * UDP_BATCH_JOINED - 2);
	/* single ones come in large batches again */
	for (int i = 0; i < 2 * IO_BATCH; i++)
		assert_int_equal(udp_send(p.a, &p.b_addr, data, 10, 10), 10);
	assert_true(wait_readable(udp_fd(p.b)));
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), IO_BATCH);
	close_pair(&p);
}

static void
test_batches(void **state)
{
	struct pair p;
	struct datagram batch[IO_BATCH];
	struct sockaddr_storage ss;
	uint8_t data[100] = {0};
	socklen_t len;

	(void)state;
	open_pair(&p, "127.0.0.1");
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 0);
	for (int i = 0; i < 100; i++) /* by themselves: none are joined */
		assert_int_equal(udp_send(p.a, &p.b_addr, data, 1, 1), 1);
	assert_true(wait_readable(udp_fd(p.b)));
	assert_int_equal(udp_receive(p.b, batch, 10), 10);
	assert_int_equal(udp_receive(p.b, batch, 1000), IO_BATCH);
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 26);
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 0);
	/* Nothing to send sends nothing; but somebody's empty datagram is one. */
	assert_int_equal(udp_send(p.a, &p.b_addr, data, 0, 0), 0);
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 0);
	len = addr_to_sockaddr(&p.b_addr, &ss);
	assert_int_equal(sendto(udp_fd(p.a), data, 0, 0, (struct sockaddr *)&ss, len), 0);
	assert_true(wait_readable(udp_fd(p.b)));
	assert_int_equal(udp_receive(p.b, batch, IO_BATCH), 1);
	assert_int_equal(batch[0].len, 0);
	close_pair(&p);
}

static void
test_too_big(void **state)
{
	static uint8_t data[70000];
	struct pair p;

	(void)state;
	open_pair(&p, "127.0.0.1");
	/* 65507 octets are what an IPv4 datagram holds. */
	errno = 0;
	assert_int_equal(udp_send(p.a, &p.b_addr, data, 65508, 65508), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(udp_send(p.a, &p.b_addr, data, 65507, 65507), 65507);
	close_pair(&p);
}

/* Nobody is at the port: the answers (port unreachable) must not be in the way. */
static void
test_refused_by_peer(void **state)
{
	struct pair p;
	struct addr nobody;
	struct datagram batch[IO_BATCH];

	(void)state;
	open_pair(&p, "127.0.0.1");
	nobody = p.b_addr;
	udp_close(p.b);
	for (int i = 0; i < 50; i++) {
		udp_send(p.a, &nobody, (const uint8_t *)"x", 1, 1);
		assert_int_equal(udp_receive(p.a, batch, IO_BATCH), 0);
	}
	p.b = open_at("127.0.0.1");
	p.b_addr = local_addr(udp_fd(p.b));
	exchange(&p, 10 * 100, 100);
	close_pair(&p);
}

/* The same on a connected socket, where the kernel does report them. */
static void
test_error_on_receive(void **state)
{
	struct pair p;
	struct sockaddr_storage ss;
	struct datagram batch[IO_BATCH];
	socklen_t len;

	(void)state;
	open_pair(&p, "127.0.0.1");
	len = addr_to_sockaddr(&p.b_addr, &ss);
	assert_int_equal(connect(udp_fd(p.a), (struct sockaddr *)&ss, len), 0);
	udp_close(p.b);
	p.b = NULL;
	assert_int_equal(send(udp_fd(p.a), "x", 1, 0), 1);
	assert_true(wait_readable(udp_fd(p.a)));
	assert_int_equal(udp_receive(p.a, batch, IO_BATCH), 0);
	close_pair(&p);
}

/* An IPv6 socket at "::" has IPv4 peers as well, whose addresses look like IPv4. */
static void
test_both_families(void **state)
{
	struct pair p;

	(void)state;
	if (access("/proc/sys/net/ipv6", F_OK) == -1) {
		print_message("no IPv6 here\n");
		skip();
	}
	p.a = open_at("::");
	p.b = open_at("127.0.0.1");
	p.a_addr = local_addr(udp_fd(p.a));
	p.b_addr = local_addr(udp_fd(p.b));
	assert_int_equal(ip_parse("127.0.0.1", &p.a_addr.ip), 0);
	exchange(&p, 10 * 1400, 1400);
	close_pair(&p);
}

static void
test_open_fails(void **state)
{
	struct udp *first = open_at("127.0.0.1");
	struct addr same = local_addr(udp_fd(first));
	struct addr foreign = {.port = 0};
	char error[200] = "";

	(void)state;
	assert_null(udp_open(&same, error, sizeof(error)));
	assert_non_null(strstr(error, "in use"));
	assert_int_equal(ip_parse("192.0.2.77", &foreign.ip), 0);
	assert_null(udp_open(&foreign, error, sizeof(error)));
	assert_non_null(strstr(error, "192.0.2.77"));
	udp_close(first);
	udp_close(NULL);
}

/* The whole io with no device: two of them talk. */
static void
test_io(void **state)
{
	struct io_settings settings = {.device_name = NULL};
	struct udp *probe = open_at("127.0.0.1");
	struct datagram batch[IO_BATCH];
	struct packet packet;
	char error[200] = "";
	struct addr to;
	struct io *a, *b;

	(void)state;
	settings.transfer_listen = local_addr(udp_fd(probe));
	assert_null(io_open(&settings, error, sizeof(error)));
	assert_non_null(strstr(error, "in use"));
	to = settings.transfer_listen;
	udp_close(probe); /* its port is free now */
	a = io_open(&settings, error, sizeof(error));
	if (a == NULL)
		fail_msg("%s", error);
	settings.transfer_listen.port = 0;
	b = io_open(&settings, error, sizeof(error));
	assert_non_null(b);

	assert_string_equal(io_device_name(a), "");
	assert_int_equal(a->ops->device_fd(a), -1);
	assert_int_not_equal(a->ops->transfer_fd(a), -1);
	assert_int_equal(b->ops->transfer_fd(b), -1);
	assert_int_equal(a->ops->demand_fd(a), -1);
	assert_int_equal(a->ops->device_receive(a, &packet), 0);
	assert_int_equal(a->ops->device_send(a, &packet), -1);
	assert_int_equal(b->ops->transfer_send(b, &to, (const uint8_t *)"x", 1, 1), -1);
	assert_int_equal(b->ops->transfer_receive(b, batch, IO_BATCH), 0);
	assert_int_equal(a->ops->transfer_send(a, &to, (const uint8_t *)"aa", 2, 2), 2);
	assert_int_equal(a->ops->transfer_send(a, &to, (const uint8_t *)"bb", 2, 2), 2);
	assert_int_equal(a->ops->transfer_send(a, &to, (const uint8_t *)"c", 1, 1), 1);
	assert_true(wait_readable(a->ops->transfer_fd(a)));
	assert_int_equal(a->ops->transfer_receive(a, batch, IO_BATCH), 3);
	assert_memory_equal(batch[1].data, "bb", 2);
	assert_true(addr_equal(&batch[2].from, &to));
	io_close(a);
	io_close(b);
}

/* An io with a demand port, both free a moment ago. */
static struct io *
open_with_demands(struct io_settings *settings)
{
	struct udp *first = open_at("127.0.0.1"), *second = open_at("127.0.0.1");
	char error[200] = "";
	struct io *io;

	*settings = (struct io_settings){.transfer_listen = local_addr(udp_fd(first)),
	    .demand_port = local_addr(udp_fd(second)).port};
	udp_close(first);
	assert_null(io_open(settings, error, sizeof(error)));
	assert_non_null(strstr(error, "in use")); /* the demand port still is */
	udp_close(second);
	io = io_open(settings, error, sizeof(error));
	if (io == NULL)
		fail_msg("%s", error);
	return io;
}

static void
test_demand_port(void **state)
{
	struct io_settings settings;
	struct io *io = open_with_demands(&settings);
	struct addr demands = settings.transfer_listen;
	struct datagram batch[IO_BATCH];
	struct udp *peer = open_at("127.0.0.1");
	unsigned kinds[2] = {0, 0};
	int n;

	(void)state;
	demands.port = settings.demand_port;
	assert_int_not_equal(io->ops->demand_fd(io), -1);
	assert_int_not_equal(io->ops->demand_fd(io), io->ops->transfer_fd(io));
	assert_int_equal(udp_send(peer, &demands, (const uint8_t *)"d", 1, 1), 1);
	assert_true(wait_readable(io->ops->demand_fd(io)));
	assert_int_equal(io->ops->transfer_receive(io, batch, IO_BATCH), 1);
	assert_true(batch[0].demand);
	assert_int_equal(batch[0].data[0], 'd');
	assert_int_equal(io->ops->transfer_receive(io, batch, IO_BATCH), 0);

	/* both at once, more than one call takes: neither waits for the other to be empty */
	for (int i = 0; i < 2 * IO_BATCH; i++) {
		assert_int_equal(
		    udp_send(peer, &settings.transfer_listen, (const uint8_t *)"s", 1, 1), 1);
		assert_int_equal(udp_send(peer, &demands, (const uint8_t *)"d", 1, 1), 1);
	}
	for (int calls = 0; calls < 4; calls++) {
		n = io->ops->transfer_receive(io, batch, IO_BATCH);
		assert_int_equal(n, IO_BATCH);
		for (int i = 0; i < n; i++) {
			assert_int_equal(batch[i].data[0], batch[i].demand ? 'd' : 's');
			kinds[batch[i].demand]++;
		}
		if (calls == 1)
			assert_true(kinds[0] > 0 && kinds[1] > 0);
	}
	assert_int_equal(kinds[0], 2 * IO_BATCH);
	assert_int_equal(kinds[1], 2 * IO_BATCH);
	/* a few of each come together */
	for (int i = 0; i < 3; i++)
		assert_int_equal(udp_send(peer, &demands, (const uint8_t *)"d", 1, 1), 1);
	assert_int_equal(
	    udp_send(peer, &settings.transfer_listen, (const uint8_t *)"s", 1, 1), 1);
	assert_int_equal(io->ops->transfer_receive(io, batch, IO_BATCH), 4);
	io_close(io);
	udp_close(peer);
}

static void
set_up_loopback(int mtu)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	request.ifr_mtu = mtu;
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
	request.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* A path of 1500 octets, in a network namespace of its own. */
static void
test_path_mtu(void **state)
{
	static uint8_t data[20000];
	struct pair p;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (home == -1 || unshare(CLONE_NEWNET) == -1) {
		print_message("needs root for a network namespace\n");
		skip();
	}
	set_up_loopback(1500);
	open_pair(&p, "127.0.0.1");
	/* Several too large ones at once, which older kernels refuse with EINVAL: no reason to
	 * give up segmentation. */
	errno = 0;
	assert_int_equal(udp_send(p.a, &p.b_addr, data, 10 * 1473, 1473), -1);
	assert_int_equal(errno, EMSGSIZE);
	exchange(&p, 10 * 1472, 1472);
	errno = 0;
	assert_int_equal(udp_send(p.a, &p.b_addr, data, 1473, 1473), -1);
	assert_int_equal(errno, EMSGSIZE); /* and not fragmented */
	assert_true(udp_segmentation(p.a));
	close_pair(&p);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_segments_v4),
	    cmocka_unit_test(test_segments_v6),
	    cmocka_unit_test(test_fallback),
	    cmocka_unit_test(test_joined),
	    cmocka_unit_test(test_joined_bound),
	    cmocka_unit_test(test_batches),
	    cmocka_unit_test(test_too_big),
	    cmocka_unit_test(test_refused_by_peer),
	    cmocka_unit_test(test_error_on_receive),
	    cmocka_unit_test(test_both_families),
	    cmocka_unit_test(test_open_fails),
	    cmocka_unit_test(test_io),
	    cmocka_unit_test(test_demand_port),
	    cmocka_unit_test(test_path_mtu),
	};

	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
