#include "agent/answers.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/standing.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define BACKLOG      64
#define ACCEPTS      16                 /* a wake-up: packets wait meanwhile */
#define ACCEPT_PAUSE CLOCK_SECOND       /* when descriptors have run out */
#define CALLER_TIME  (2 * CLOCK_SECOND) /* until a caller has closed */
#define CALLER_READS 16                 /* of what it says: then it is cut off */

/* Where a service listens. */
struct door {
	struct answers *answers;
	struct addr at;
	uint32_t service; /* number in the load table; LOAD_NONE: not wanted */
	int fd;
	struct loop_fd *watch; /* NULL: pausing */
	struct loop_timer *pause;
};

/* Who has been answered and has not closed yet. */
struct caller {
	struct answers *answers;
	int fd;
	unsigned reads;
	struct loop_fd *watch;
	struct loop_timer *timer;
	TAILQ_ENTRY(caller) entry;
};

struct answers {
	struct loop *loop;
	struct load_table *table;
	struct counters *counters;
	struct door **doors; /* in the order of their addresses, after answers_refresh() */
	size_t doors_count;
	TAILQ_HEAD(, caller) callers; /* the oldest first */
	size_t callers_count;
};

/* ---- callers ---- */

static void
hang_up(struct caller *c)
{
	TAILQ_REMOVE(&c->answers->callers, c, entry);
	c->answers->callers_count--;
	loop_fd_free(c->watch);
	loop_timer_free(c->timer);
	close(c->fd);
	free(c);
}

static void
on_late(void *arg, uint64_t now)
{
	(void)now;
	hang_up(arg);
}

/* What it says is of no interest, but read: an unread octet would turn the end into a reset, and
 * that may overtake the answer. */
static void
on_caller(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct caller *c = arg;
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	(void)readable;
	(void)writable;
	(void)now;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || ++c->reads > CALLER_READS)
		hang_up(c);
}

static void
wait_for_end(struct answers *a, int fd)
{
	struct caller *c = xcalloc(1, sizeof(*c));

	if (a->callers_count >= ANSWERS_CALLERS_MAX) {
		counter_add(a->counters, COUNTER_agent_answers_cut, 1);
		hang_up(TAILQ_FIRST(&a->callers));
	}
	c->answers = a;
	c->fd = fd;
	c->watch = loop_fd_add(a->loop, fd, true, false, on_caller, c);
	c->timer = loop_timer_new(a->loop, on_late, c);
	loop_timer_set(c->timer, CALLER_TIME);
	TAILQ_INSERT_TAIL(&a->callers, c, entry);
	a->callers_count++;
}

/* The line fits into the buffer of a connection that is new. */
static void
answer(struct door *door, int fd)
{
	struct answers *a = door->answers;
	struct words words = standing_of(a->table, door->service);
	char line[WORDS_LINE];
	size_t len = words_format(&words, line);

	counter_add(a->counters, COUNTER_agent_answers, 1);
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len || shutdown(fd, SHUT_WR) == -1)
		close(fd);
	else
		wait_for_end(a, fd);
}

/* ---- doors ---- */

static void on_door(void *arg, int fd, bool readable, bool writable, uint64_t now);

static void
watch_door(struct door *door)
{
	door->watch = loop_fd_add(door->answers->loop, door->fd, true, false, on_door, door);
}

static void
on_pause_over(void *arg, uint64_t now)
{
	struct door *door = arg;

	(void)now;
	if (door->watch == NULL)
		watch_door(door);
}

/* Most likely no descriptor is free: trying again at once would only burn time. */
static void
pause_door(struct door *door)
{
	log_warn("cannot accept questions to an agent, pausing");
	loop_fd_free(door->watch);
	door->watch = NULL;
	loop_timer_set(door->pause, ACCEPT_PAUSE);
}

static void
on_door(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct door *door = arg;

	(void)readable;
	(void)writable;
	(void)now;
	for (int i = 0; i < ACCEPTS; i++) {
		int caller = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (caller >= 0) {
			answer(door, caller);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			pause_door(door);
			return;
		}
	}
}

static void
door_free(struct door *door)
{
	loop_fd_free(door->watch);
	loop_timer_free(door->pause);
	close(door->fd);
	free(door);
}

/* A socket that listens, or -1 with errno. */
static int
listen_at(const struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(at, &ss);
	int on = 1, error;
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* ---- which there are ---- */

static int
compare_doors(const void *a, const void *b)
{
	const struct door *const *one = a, *const *other = b;

	return addr_compare(&(*one)->at, &(*other)->at);
}

/* Among the first count, which are in order. */
static struct door *
find(struct answers *a, size_t count, const struct addr *at)
{
	struct door key = {.at = *at}, *pointer = &key, **found;

	if (count == 0)
		return NULL;
	found = bsearch(&pointer, a->doors, count, sizeof(*a->doors), compare_doors);
	return found != NULL ? *found : NULL;
}

static int
open_door(struct answers *a, const struct config_service *service, char *error, size_t size)
{
	const struct addr *at = &service->agent_listen;
	char text[ADDR_TEXT];
	int fd = listen_at(at);
	struct door *door;

	if (fd == -1) {
		snprintf(error, size, "agent_listen of service %s: cannot listen on %s: %s",
		    service->name, addr_format(at, text), strerror(errno));
		return -1;
	}
	door = xcalloc(1, sizeof(*door));
	door->answers = a;
	door->at = *at;
	door->service = LOAD_NONE;
	door->fd = fd;
	door->pause = loop_timer_new(a->loop, on_pause_over, door);
	a->doors = xrealloc_array(a->doors, a->doors_count + 1, sizeof(struct door *));
	a->doors[a->doors_count++] = door;
	return 0;
}

int
answers_open(struct answers *a, const struct config *config, char *error, size_t size)
{
	size_t before = a->doors_count;

	for (size_t i = 0; i < config->services_count; i++) {
		const struct config_service *service = &config->services[i];

		if (service->agent_listen.port == 0 ||
		    find(a, before, &service->agent_listen) != NULL)
			continue;
		if (open_door(a, service, error, size) == -1) {
			while (a->doors_count > before)
				door_free(a->doors[--a->doors_count]);
			return -1;
		}
	}
	return 0;
}

/* Whose doors they are now. */
static void
assign(struct answers *a)
{
	for (size_t i = 0; i < a->doors_count; i++)
		a->doors[i]->service = LOAD_NONE;
	for (uint32_t i = 0; i < load_table_services(a->table); i++) {
		const struct service *service = load_table_service(a->table, i);
		struct door *door = NULL;

		if (service->present && service->agent_listen.port != 0)
			door = find(a, a->doors_count, &service->agent_listen);
		if (door != NULL)
			door->service = i;
	}
}

void
answers_refresh(struct answers *a)
{
	size_t kept = 0;

	if (a->doors_count > 0)
		qsort(a->doors, a->doors_count, sizeof(*a->doors), compare_doors);
	assign(a);
	for (size_t i = 0; i < a->doors_count; i++) {
		struct door *door = a->doors[i];

		if (door->service == LOAD_NONE) {
			door_free(door);
			continue;
		}
		if (door->watch == NULL)
			watch_door(door);
		a->doors[kept++] = door;
	}
	a->doors_count = kept;
}

struct answers *
answers_new(struct loop *loop, struct load_table *table, struct counters *counters)
{
	struct answers *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	a->table = table;
	a->counters = counters;
	TAILQ_INIT(&a->callers);
	return a;
}

void
answers_free(struct answers *a)
{
	struct caller *c;

	if (a == NULL)
		return;
	while ((c = TAILQ_FIRST(&a->callers)) != NULL)
		hang_up(c);
	while (a->doors_count > 0)
		door_free(a->doors[--a->doors_count]);
	free(a->doors);
	free(a);
}
