/* Several queues of the Linux device, in a network namespace of their own: needs root. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"
#include "device_rig.h"
#include "packet/convert.h"
#include "packet/segment.h"

static int
setup_one(void **state)
{
	(void)state;
	if (rig.possible)
		open_with(&(struct io_settings){.device_name = DEVICE, .mtu = 1400});
	return 0;
}

/* Two queues of it. */
static int
setup_queues(void **state)
{
	struct io_settings settings = {
	    .device_name = DEVICE, .mtu = 1400, .offload = true, .queues = true};
	char error[200] = "";

	(void)state;
	if (!rig.possible)
		return 0;
	open_with(&settings);
	rig.other = io_open_queue(rig.io, error, sizeof(error));
	if (rig.other == NULL)
		fail_msg("%s", error);
	return 0;
}

/* The queue to which the kernel gave a packet of ours, which is read; NULL: none. */
static struct io *
which_queue(struct packet *p)
{
	struct io *queue[] = {rig.io, rig.other};
	struct pollfd pfd[2];

	for (int turn = 0; turn < 10; turn++) {
		for (int i = 0; i < 2; i++)
			pfd[i] = (struct pollfd){
			    .fd = queue[i]->ops->device_fd(queue[i]), .events = POLLIN};
		if (poll(pfd, 2, 1000) <= 0)
			return NULL;
		for (int i = 0; i < 2; i++)
			if (pfd[i].revents != 0 &&
			    queue[i]->ops->device_receive(queue[i], p) == 1 &&
			    p->data[0] >> 4 == 4)
				return queue[i];
	}
	return NULL;
}

/* Turns a packet that was read around, in place: from there to here. */
static void
turn_around(struct packet *p)
{
	struct addr source, destination;

	assert_int_equal(packet_parse(p), DROP_none);
	source = p->source;
	destination = p->destination;
	packet_complete_checksum(p);
	packet_convert(p, &destination, &source);
}

/* Whichever queue answers a flow gets what else comes of it. */
static void
test_flow_follows_the_answer(void **state)
{
	struct io *queue[2];
	struct addr local, to = frame_addr(THERE4, 5000);
	struct io_refused refused;
	struct packet p;
	char buf[10];
	int fd;

	(void)state;
	need_root();
	queue[0] = rig.io;
	queue[1] = rig.other;
	fd = open_udp(HERE4, &local);
	for (int n = 0; n < 6; n++) {
		struct io *answering = queue[n / 3];

		/* the first of each three: wherever the kernel likes; it is answered by one */
		send_udp(fd, &to, "question", 8);
		if (n % 3 == 0)
			assert_non_null(which_queue(&p));
		else
			assert_ptr_equal(which_queue(&p), answering);
		turn_around(&p);
		assert_int_equal(answering->ops->device_send(answering, &p), 0);
		assert_int_equal(answering->ops->device_flush(answering, &refused), 0);
		assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000), 1);
		assert_int_equal(recv(fd, buf, sizeof(buf), 0), 8);
	}
	close(fd);
}

/* What lies where it was read waits for the flush; what was made elsewhere leaves at once, behind
 * what waited. */
static void
test_kept_until_the_flush(void **state)
{
	static uint8_t elsewhere[IO_HEADROOM + 2000];
	struct addr local, to = frame_addr(THERE4, 5000);
	struct io_refused refused;
	struct packet p, copy;
	struct io *io;
	int fd;

	(void)state;
	need_root();
	fd = open_udp(HERE4, &local);
	for (int n = 0; n < 2; n++) {
		send_udp(fd, &to, "first", 5);
		io = which_queue(&p);
		assert_non_null(io);
		turn_around(&p);
		copy = p;
		copy.data = elsewhere + IO_HEADROOM;
		memcpy(copy.data, p.data, p.len);
		copy.data[p.len - 1] = 'x'; /* "firsx", and no checksum */
		copy.data[26] = copy.data[27] = 0;
		assert_int_equal(io->ops->device_send(io, &p), 0);
		assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 50), 0);
		if (n == 0)
			assert_int_equal(io->ops->device_flush(io, &refused), 0);
		else
			assert_int_equal(io->ops->device_send(io, &copy), 0);
		assert_true(has_datagram(fd, "first", 5));
		if (n == 1)
			assert_true(has_datagram(fd, "firsx", 5));
		assert_int_equal(io->ops->device_flush(io, &refused), 0);
	}
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 50), 0);
	close(fd);
}

/* What the device refuses after all is counted by the flush. */
static void
test_refused_at_the_flush(void **state)
{
	struct addr local, to = frame_addr(THERE4, 5000);
	char error[200] = "";
	struct io_refused refused;
	struct packet p;
	struct ifreq request = {.ifr_name = DEVICE};
	struct io *io;
	int fd;

	(void)state;
	need_root();
	fd = open_udp(HERE4, &local);
	send_udp(fd, &to, "first", 5);
	io = which_queue(&p);
	assert_non_null(io);
	turn_around(&p);
	assert_int_equal(io->ops->device_send(io, &p), 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0); /* down */
	assert_int_equal(io->ops->device_flush(io, &refused), 1);
	assert_int_equal(refused.too_big, 0);
	assert_int_equal(io->ops->device_flush(io, &refused), 0);
	assert_int_equal(routes_device_up(DEVICE, 1400, error, sizeof(error)), 0);
	close(fd);
}

/* A device of one queue has no other, and one of several is none of one. */
static void
test_queues_refused(void **state)
{
	struct io_settings settings = {.device_name = DEVICE};
	char error[200] = "";

	(void)state;
	need_root();
	if (rig.other == NULL) {
		assert_null(io_open_queue(rig.io, error, sizeof(error)));
		assert_non_null(strstr(error, "device " DEVICE " has no other queue"));
	} else {
		assert_null(io_open(&settings, error, sizeof(error)));
		assert_non_null(strstr(error, "device " DEVICE " cannot be opened"));
		settings.queues = true; /* which would be a queue more */
		assert_null(io_open(&settings, error, sizeof(error)));
		assert_non_null(strstr(error, "(another program holds it)"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_queues, teardown)
	    TEST(test_flow_follows_the_answer),
	    TEST(test_kept_until_the_flush),
	    TEST(test_refused_at_the_flush),
	    TEST(test_queues_refused),
	    cmocka_unit_test_setup_teardown(test_queues_refused, setup_one, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("tun_queues", tests, group_setup, group_teardown);
}
