#include "health/script.h"

#include <sys/queue.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "health/probe.h"
#include "health/script_line.h"
#include "platform/inherit.h"

#define OUTPUT_MAX 65536 /* octets that a script may write */
#define BUDGET     16    /* reads of one wake-up */

struct script {
	struct probe probe;
	struct scripts *scripts;
	pid_t pid; /* 0: none, or it has ended */
	int fd;    /* of what it writes; -1: none */
	struct loop_fd *watch;
	size_t written;             /* octets of it that have come */
	char line[SCRIPT_LINE_MAX]; /* the beginning of the first line */
	size_t line_len;
	bool line_over;
	TAILQ_ENTRY(script) entry;
};

/* One that has been killed, and is to be waited for. */
struct dying {
	pid_t pid;
	TAILQ_ENTRY(dying) entry;
};

struct scripts {
	struct loop *loop;
	struct loop_signal *ended;
	TAILQ_HEAD(, script) running;
	TAILQ_HEAD(, dying) dying;
	unsigned count; /* of both */
	loop_callback *freed;
	void *freed_arg;
};

/* ---- output ---- */

static void
take_output(struct script *s, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);
	size_t part = end != NULL ? (size_t)(end - data) : len;
	size_t room = sizeof(s->line) - s->line_len;

	s->written += len;
	if (s->line_over)
		return;
	memcpy(s->line + s->line_len, data, part < room ? part : room);
	s->line_len += part < room ? part : room;
	s->line_over = end != NULL || part > room;
	if (part > room)
		s->line_len = 0; /* too long to tell a load */
}

static void
close_output(struct script *s)
{
	loop_fd_free(s->watch);
	s->watch = NULL;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

/* What is there, as far as it may be.  False if that is too much. */
static bool
read_output(struct script *s)
{
	char buf[4096];
	ssize_t n;

	for (int i = 0; i < BUDGET && s->written <= OUTPUT_MAX; i++) {
		n = read(s->fd, buf, sizeof(buf));
		if (n == -1)
			break;
		if (n == 0) {
			close_output(s);
			break;
		}
		take_output(s, buf, (size_t)n);
	}
	return s->written <= OUTPUT_MAX;
}

static void
on_output(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct script *s = arg;

	(void)fd;
	(void)readable;
	(void)writable;
	if (!read_output(s))
		probe_finish(&s->probe, HEALTH_script_output, 0, now);
}

/* ---- the end ---- */

static void
release(struct probe *probe)
{
	struct script *s = (struct script *)probe;
	struct dying *dying;

	close_output(s);
	if (s->pid == 0)
		return;
	TAILQ_REMOVE(&s->scripts->running, s, entry);
	kill(-s->pid, SIGKILL);
	dying = xcalloc(1, sizeof(*dying));
	dying->pid = s->pid;
	TAILQ_INSERT_TAIL(&s->scripts->dying, dying, entry);
}

/* Its exit status says whether the server is up. */
static void
judge(struct script *s, int status, uint64_t now)
{
	bool whole = WIFEXITED(status);

	s->probe.has_load = script_line_load(s->line, s->line_len, &s->probe.load);
	if (whole && WEXITSTATUS(status) == 0)
		probe_finish(&s->probe, HEALTH_none, 0, now);
	else
		probe_finish(&s->probe, whole ? HEALTH_script : HEALTH_script_signal,
		    (unsigned)(whole ? WEXITSTATUS(status) : WTERMSIG(status)), now);
}

/*
 * True if it has ended.  Whom it has left in its group goes too; as long as nobody has waited for
 * it, the number of the group is nobody else's.
 */
static bool
reap(struct script *s, int *status)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1 ||
	    info.si_pid != s->pid)
		return false;
	kill(-s->pid, SIGKILL);
	return waitpid(s->pid, status, 0) == s->pid;
}

/* One that has ended; who is told of it may start others.  False if there is none. */
static bool
finish_one(struct scripts *scripts, uint64_t now)
{
	struct script *s;
	int status;

	TAILQ_FOREACH (s, &scripts->running, entry) {
		if (!reap(s, &status))
			continue;
		TAILQ_REMOVE(&scripts->running, s, entry);
		scripts->count--;
		s->pid = 0;
		if (s->fd != -1 && !read_output(s))
			probe_finish(&s->probe, HEALTH_script_output, 0, now);
		else
			judge(s, status, now);
		return true;
	}
	return false;
}

static void
bury(struct scripts *scripts)
{
	struct dying *d, *next;

	for (d = TAILQ_FIRST(&scripts->dying); d != NULL; d = next) {
		next = TAILQ_NEXT(d, entry);
		if (waitpid(d->pid, NULL, WNOHANG) == 0)
			continue;
		TAILQ_REMOVE(&scripts->dying, d, entry);
		free(d);
		scripts->count--;
	}
}

/* While there are programs to wait for: a loop with nothing else to do ends. */
static void on_ended(void *arg, uint64_t now);

static void
watch_ends(struct scripts *scripts)
{
	if (scripts->ended == NULL)
		scripts->ended = loop_signal_add(scripts->loop, SIGCHLD, on_ended, scripts);
}

static void
unwatch_ends(struct scripts *scripts)
{
	if (scripts->count > 0)
		return;
	loop_signal_free(scripts->ended);
	scripts->ended = NULL;
}

static void
on_ended(void *arg, uint64_t now)
{
	struct scripts *scripts = arg;

	bury(scripts);
	while (finish_one(scripts, now))
		;
	if (scripts->freed != NULL)
		scripts->freed(scripts->freed_arg, now);
	unwatch_ends(scripts);
}

/* ---- the beginning ---- */

/* What a program that is started finds as it would find it from a shell. */
static int
set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t every, none;

	sigfillset(&every);
	sigemptyset(&none);
	if (posix_spawnattr_setsigdefault(attributes, &every) != 0 ||
	    posix_spawnattr_setsigmask(attributes, &none) != 0 ||
	    posix_spawnattr_setpgroup(attributes, 0) != 0 ||
	    posix_spawnattr_setflags(attributes,
		POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) != 0)
		return -1;
	return 0;
}

static int
set_descriptors(posix_spawn_file_actions_t *actions, int output)
{
	if (posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0) != 0 ||
	    posix_spawn_file_actions_adddup2(actions, output, 1) != 0 ||
	    posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0) != 0)
		return -1;
	return 0;
}

/* Its process, or 0.  posix_spawn() shares our memory until the program begins: no copy of it. */
static pid_t
spawn(const char *command, char *const argv[], char *const environment[], int output)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = 0;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return 0;
	if (posix_spawnattr_init(&attributes) == 0) {
		if (set_attributes(&attributes) == -1 || set_descriptors(&actions, output) == -1 ||
		    posix_spawn(&pid, command, &actions, &attributes, argv, environment) != 0)
			pid = 0;
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

#define VARIABLE (CONFIG_NAME_MAX + 32) /* octets that hold any NAME=VALUE */

static pid_t
run(const struct probe_request *request, int output)
{
	char ip[IP_TEXT], port[8],
	    path[] = "PATH=/usr/local/sbin:/usr/local/bin:"
		     "/usr/sbin:/usr/bin:/sbin:/bin";
	char variables[4][VARIABLE];
	char *environment[] = {
	    path, variables[0], variables[1], variables[2], variables[3], NULL};
	char command[CONFIG_CHECK_TEXT], service[CONFIG_NAME_MAX + 1],
	    server[CONFIG_NAME_MAX + 1];
	char *argv[] = {command, service, server, ip, port, NULL};

	ip_format(&request->to.ip, ip);
	snprintf(port, sizeof(port), "%u", request->to.port);
	snprintf(command, sizeof(command), "%s", request->check->command);
	snprintf(service, sizeof(service), "%s", request->service);
	snprintf(server, sizeof(server), "%s", request->server);
	snprintf(variables[0], VARIABLE, "WLAD_SERVICE=%s", service);
	snprintf(variables[1], VARIABLE, "WLAD_SERVER=%s", server);
	snprintf(variables[2], VARIABLE, "WLAD_ADDRESS=%s", ip);
	snprintf(variables[3], VARIABLE, "WLAD_PORT=%s", port);
	return spawn(command, argv, environment, output);
}

struct probe *
script_start(const struct probe_request *request)
{
	struct script *s = xcalloc(1, sizeof(*s));
	int ends[2];

	s->scripts = request->scripts;
	s->fd = -1;
	probe_init(&s->probe, request, HEALTH_script_timeout, release);
	if (!scripts_room(s->scripts) || pipe2(ends, O_CLOEXEC) == -1) {
		probe_end_soon(&s->probe, HEALTH_local);
		return &s->probe;
	}
	watch_ends(s->scripts);
	s->pid = run(request, ends[1]);
	close(ends[1]);
	if (s->pid == 0) {
		close(ends[0]);
		unwatch_ends(s->scripts);
		probe_end_soon(&s->probe, HEALTH_script_start);
		return &s->probe;
	}
	s->fd = ends[0];
	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	s->watch = loop_fd_add(request->loop, s->fd, true, false, on_output, s);
	TAILQ_INSERT_TAIL(&s->scripts->running, s, entry);
	s->scripts->count++;
	return &s->probe;
}

/* ---- all of them ---- */

struct scripts *
scripts_new(struct loop *loop)
{
	struct scripts *scripts = xcalloc(1, sizeof(*scripts));

	scripts->loop = loop;
	TAILQ_INIT(&scripts->running);
	TAILQ_INIT(&scripts->dying);
	inherit_nothing();
	return scripts;
}

void
scripts_free(struct scripts *scripts)
{
	struct dying *d;

	if (scripts == NULL)
		return;
	loop_signal_free(scripts->ended);
	bury(scripts);
	while ((d = TAILQ_FIRST(&scripts->dying)) != NULL) {
		TAILQ_REMOVE(&scripts->dying, d, entry);
		free(d);
	}
	free(scripts);
}

bool
scripts_room(const struct scripts *scripts)
{
	return scripts->count < SCRIPTS_MAX;
}

void
scripts_set_freed(struct scripts *scripts, loop_callback *freed, void *arg)
{
	scripts->freed = freed;
	scripts->freed_arg = arg;
}
