/*
 * agent_rig: a load table in a loop, and scripted agents in the same loop.  Included after cmocka.h.
 */
#ifndef WLAD_TESTS_AGENT_RIG_H
#define WLAD_TESTS_AGENT_RIG_H

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/random.h"
#include "load/table.h"
#include "loop.h"

#define RIG_SERVICES 3
#define RIG_SERVERS  600
#define RIG_CALLERS  1024

/* An agent: says the lines of its script in turn, one a caller; the last one again and again. */
struct scripted {
	struct loop *loop;
	int fd;
	uint16_t port;
	struct loop_fd *watch;
	const char *const *script; /* ends in NULL; an empty line: it closes without a word */
	size_t at;
	const char *wants;          /* it says nothing before it has heard this */
	bool holds;                 /* it accepts, and neither says nor closes anything */
	unsigned asked, open, most; /* callers ever, at a time, at most at a time */
	struct heard {
		struct scripted *agent;
		int fd;
		struct loop_fd *watch;
		char text[512];
		size_t len;
	} * callers[RIG_CALLERS];
};

struct rig {
	struct loop *loop;
	struct load_table *table;
	struct counters counters;
	struct random random;
	struct loop_timer *patience;
	bool impatient;
	struct config config;
	struct config_service services[RIG_SERVICES];
	struct config_server servers[RIG_SERVICES][RIG_SERVERS];
	char names[RIG_SERVERS][16];
	uint16_t port;
	struct scripted agents[2];
	char log[2000];
};

static inline void
rig_keep_log(void *arg, enum log_level level, const char *line)
{
	struct rig *r = arg;
	size_t used = strlen(r->log);

	(void)level;
	snprintf(r->log + used, sizeof(r->log) - used, "%s\n", line);
}

static inline void
rig_on_patience(void *arg, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	r->impatient = true;
	loop_stop(r->loop);
}

static inline struct rig *
rig_new(void)
{
	static struct rig r;
	static const char *const names[RIG_SERVICES] = {"web", "mail", "dns"};

	memset(&r, 0, sizeof(r));
	r.loop = loop_new();
	r.table = load_table_new();
	random_init(&r.random, 1);
	r.patience = loop_timer_new(r.loop, rig_on_patience, &r);
	r.port = 80;
	r.config.services = r.services;
	r.config.services_count = 1;
	for (int i = 0; i < RIG_SERVICES; i++) {
		struct config_service *s = &r.services[i];
		uint8_t octets[4] = {203, 0, 113, (uint8_t)(10 + i)};

		s->name = (char *)names[i];
		s->v4 = ip_from_v4(octets);
		s->protocol = IPPROTO_TCP;
		s->ports = &r.port;
		s->ports_count = 1;
		s->high_load = 0.75;
		s->check.type = CONFIG_CHECK_NONE;
		s->agent.interval = 0.05;
		s->agent.timeout = 0.05;
		s->servers = r.servers[i];
	}
	log_set_level(LOG_LEVEL_ERROR);
	return &r;
}

static inline struct config_server *
rig_server(struct rig *r, int service, const char *ip)
{
	struct config_service *s = &r->services[service];
	struct config_server *c = &s->servers[s->servers_count];
	struct ip parsed;

	assert_int_equal(ip_parse(ip, &parsed), 0);
	memset(c, 0, sizeof(*c));
	snprintf(r->names[s->servers_count], sizeof(r->names[0]), "s%zu", s->servers_count);
	c->name = r->names[s->servers_count++];
	if (ip_is_v4(&parsed))
		c->v4 = parsed;
	else
		c->v6 = parsed;
	c->weight = 10;
	return c;
}

/* Runs for so many milliseconds. */
static inline void
rig_run(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->patience, ms * CLOCK_MILLISECOND);
	loop_run(r->loop);
	assert_true(r->impatient);
	r->impatient = false;
}

/* Runs until it holds, for 5 s at most. */
#define rig_until(r, condition) \
	do { \
		uint64_t rig_end = clock_now() + 5 * CLOCK_SECOND; \
		while (!(condition) && clock_now() < rig_end) \
			rig_run(r, 5); \
		assert_true(condition); \
	} while (0)

static inline int
rig_socket(const char *ip, uint16_t *port)
{
	struct addr addr = {.port = *port};
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, on = 1;

	assert_int_equal(ip_parse(ip, &addr.ip), 0);
	len = addr_to_sockaddr(&addr, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_not_equal(fd, -1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 1024), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &addr), 0);
	*port = addr.port;
	return fd;
}

static inline void
scripted_hang_up(struct heard *h)
{
	for (int i = 0; i < RIG_CALLERS; i++)
		if (h->agent->callers[i] == h)
			h->agent->callers[i] = NULL;
	h->agent->open--;
	loop_fd_free(h->watch);
	close(h->fd);
	free(h);
}

static inline void
scripted_say(struct scripted *s, int fd)
{
	const char *line = s->script[s->at];

	if (s->script[s->at + 1] != NULL)
		s->at++;
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	shutdown(fd, SHUT_WR);
}

static inline void
scripted_on_caller(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct heard *h = arg;
	ssize_t n = recv(fd, h->text + h->len, sizeof(h->text) - 1 - h->len, 0);

	(void)readable;
	(void)writable;
	(void)now;
	if (n <= 0) {
		scripted_hang_up(h);
		return;
	}
	h->len += (size_t)n;
	if (h->agent->wants != NULL && strcmp(h->text, h->agent->wants) == 0)
		scripted_say(h->agent, fd);
}

static inline void
scripted_on_door(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct scripted *s = arg;
	int caller = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct heard *h;

	(void)readable;
	(void)writable;
	(void)now;
	if (caller == -1)
		return;
	h = calloc(1, sizeof(*h));
	assert_non_null(h);
	h->agent = s;
	h->fd = caller;
	s->asked++;
	if (++s->open > s->most)
		s->most = s->open;
	for (int i = 0; i < RIG_CALLERS; i++)
		if (s->callers[i] == NULL) {
			s->callers[i] = h;
			break;
		}
	h->watch = loop_fd_add(s->loop, caller, true, false, scripted_on_caller, h);
	if (!s->holds && s->wants == NULL)
		scripted_say(s, caller);
}

/* An agent at that address; port 0: any. */
static inline struct scripted *
rig_agent(struct rig *r, int number, const char *ip, uint16_t port, const char *const *script)
{
	struct scripted *s = &r->agents[number];

	memset(s, 0, sizeof(*s));
	s->loop = r->loop;
	s->port = port;
	s->fd = rig_socket(ip, &s->port);
	s->script = script;
	s->watch = loop_fd_add(r->loop, s->fd, true, false, scripted_on_door, s);
	return s;
}

static inline void
scripted_stop(struct scripted *s)
{
	if (s->loop == NULL)
		return;
	for (int i = 0; i < RIG_CALLERS; i++)
		if (s->callers[i] != NULL)
			scripted_hang_up(s->callers[i]);
	loop_fd_free(s->watch);
	close(s->fd);
	s->loop = NULL;
}

static inline void
rig_free(struct rig *r)
{
	scripted_stop(&r->agents[0]);
	scripted_stop(&r->agents[1]);
	load_table_free(r->table);
	loop_timer_free(r->patience);
	loop_free(r->loop);
	log_set_hook(NULL, NULL);
}

#endif
