/*
 * tun_open: the Linux TUN device is opened, with what it is asked for, and a queue at a time.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "io/tun_linux.h"

/* Since Linux 6.2; older headers lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* Octets that wait for the kernel's thread at most: what many streams have under way at a time. */
#define WAITING_MAX (16 * 1024 * 1024)

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
	case EINVAL:
		return " (it is there with other flags: ip tuntap, multi_queue for "
		       "device.queues)";
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
