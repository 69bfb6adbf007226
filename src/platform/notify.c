#include "platform/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define MESSAGE 512 /* octets of a datagram; longer statuses are cut */

struct notify {
	int fd;            /* -1: nobody wants to know */
	uint64_t watchdog; /* nanoseconds; 0: none */
};

/* A path, or "@" and an abstract name, which has no NUL behind it.  The length, 0: neither. */
static socklen_t
socket_address(const char *name, struct sockaddr_un *un)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(un->sun_path))
		return 0;
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, name, len);
	if (name[0] == '@')
		un->sun_path[0] = '\0';
	else
		len++;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int
open_socket(const char *name)
{
	struct sockaddr_un un;
	socklen_t len = socket_address(name, &un);
	int fd;

	if (len == 0) {
		log_warnx("NOTIFY_SOCKET is no socket address value=\"%s\"", name);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&un, len) == 0)
		return fd;
	log_warn("service manager cannot be told socket=%s", name);
	if (fd != -1)
		close(fd);
	return -1;
}

/* A positive decimal number, or 0. */
static uint64_t
number(const char *text)
{
	char *end;
	unsigned long long value;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : 0;
}

/* The watchdog is this process's if there is no WATCHDOG_PID, or if it names it. */
static uint64_t
watchdog_interval(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t usec = number(getenv("WATCHDOG_USEC"));

	if (pid != NULL && number(pid) != (uint64_t)getpid())
		return 0;
	return usec <= UINT64_MAX / CLOCK_MICROSECOND ? usec * CLOCK_MICROSECOND : 0;
}

struct notify *
notify_open(void)
{
	struct notify *notify = xcalloc(1, sizeof(*notify));
	const char *name = getenv("NOTIFY_SOCKET");

	notify->fd = name != NULL && *name != '\0' ? open_socket(name) : -1;
	if (notify->fd != -1)
		notify->watchdog = watchdog_interval();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return notify;
}

void
notify_close(struct notify *notify)
{
	if (notify == NULL)
		return;
	if (notify->fd != -1)
		close(notify->fd);
	free(notify);
}

/* A manager that does not read is not waited for. */
static void
tell(struct notify *notify, const char *text)
{
	if (notify->fd != -1 && send(notify->fd, text, strlen(text), MSG_NOSIGNAL) == -1)
		log_warn("service manager cannot be told message=\"%.*s\"",
		    (int)strcspn(text, "\n"), text);
}

void
notify_ready(struct notify *notify)
{
	tell(notify, "READY=1");
}

void
notify_reloading(struct notify *notify, uint64_t now)
{
	char text[MESSAGE];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)(now / CLOCK_MICROSECOND));
	tell(notify, text);
}

void
notify_stopping(struct notify *notify)
{
	tell(notify, "STOPPING=1");
}

void
notify_status(struct notify *notify, const char *status)
{
	char text[MESSAGE];

	/* a line of its own would be another variable */
	snprintf(text, sizeof(text), "STATUS=%.*s", (int)strcspn(status, "\n"), status);
	tell(notify, text);
}

void
notify_watchdog(struct notify *notify)
{
	tell(notify, "WATCHDOG=1");
}

uint64_t
notify_watchdog_interval(const struct notify *notify)
{
	return notify->watchdog;
}
