#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"

#define LINE_MAX_LEN 1024
#define KINDS        64 /* format strings whose rate is remembered */
#define RATE_LINES   10
#define RATE_CHANGES 1000
#define RATE_PERIOD  (10 * CLOCK_SECOND)

/* How often a kind of line (a format string) came lately. */
struct kind {
	const char *format;
	uint64_t start;
	unsigned lines, suppressed;
};

static struct {
	atomic_int level; /* enum log_level */
	bool syslog;
	log_hook *hook;
	void *hook_arg;
	struct kind kinds[KINDS];
	pthread_mutex_t mutex; /* of hook and kinds: lines come from any thread */
} sink = {.level = LOG_LEVEL_INFO, .mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

void
log_open(const char *program, bool foreground)
{
	sink.syslog = !foreground;
	if (sink.syslog)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_set_level(enum log_level level)
{
	sink.level = level;
}

void
log_set_hook(log_hook *hook, void *arg)
{
	pthread_mutex_lock(&sink.mutex);
	sink.hook = hook;
	sink.hook_arg = arg;
	pthread_mutex_unlock(&sink.mutex);
}

int
log_level_parse(const char *text)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++) {
		if (strcmp(text, level_names[i]) == 0)
			return i;
	}
	return -1;
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

/* The slot of a kind: its own, else a free one, else the one that began longest ago. */
static struct kind *
kind_find(const char *format)
{
	struct kind *oldest = &sink.kinds[0];

	for (size_t i = 0; i < KINDS; i++) {
		struct kind *k = &sink.kinds[i];

		if (k->format == format)
			return k;
		if (k->start < oldest->start)
			oldest = k;
	}
	*oldest = (struct kind){.format = format};
	return oldest;
}

static bool
kind_allows(struct kind *k, unsigned lines, unsigned *suppressed)
{
	uint64_t now = clock_now();

	*suppressed = 0;
	if (k->start == 0 || now - k->start >= RATE_PERIOD) {
		*suppressed = k->suppressed;
		k->start = now;
		k->lines = 0;
		k->suppressed = 0;
	}
	if (k->lines >= lines) {
		k->suppressed++;
		return false;
	}
	k->lines++;
	return true;
}

/* True if the line may pass; *suppressed then says how many of its kind did not. */
static bool
rate_allows(const char *format, unsigned lines, unsigned *suppressed)
{
	bool allows;

	pthread_mutex_lock(&sink.mutex);
	allows = kind_allows(kind_find(format), lines, suppressed);
	pthread_mutex_unlock(&sink.mutex);
	return allows;
}

static void
emit_stderr(enum log_level level, const char *line)
{
	struct timespec ts;
	struct tm tm;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(
	    stderr, "%s.%03ldZ %s %s\n", stamp, ts.tv_nsec / 1000000, level_names[level], line);
}

/* Control characters of foreign text must not make new lines or colours. */
static void
make_printable(char *line)
{
	for (char *p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
}

static void
tell_hook(enum log_level level, const char *line)
{
	pthread_mutex_lock(&sink.mutex);
	if (sink.hook != NULL)
		sink.hook(sink.hook_arg, level, line);
	pthread_mutex_unlock(&sink.mutex);
}

/* lines: of its kind, at most. */
static void __attribute__((format(printf, 4, 0)))
emit(enum log_level level, unsigned lines, int error, const char *format, va_list ap)
{
	char line[LINE_MAX_LEN];
	unsigned suppressed;
	size_t len;
	int saved = errno;

	if ((int)level > atomic_load_explicit(&sink.level, memory_order_relaxed) ||
	    !rate_allows(format, lines, &suppressed)) {
		errno = saved;
		return;
	}
	vsnprintf(line, sizeof(line), format, ap);
	len = strlen(line);
	if (error != 0)
		len += (size_t)snprintf(line + len, sizeof(line) - len, ": %s", strerror(error));
	if (suppressed != 0 && len < sizeof(line))
		snprintf(line + len, sizeof(line) - len, " suppressed=%u", suppressed);
	make_printable(line);
	if (sink.syslog)
		syslog(priorities[level], "%s", line);
	else
		emit_stderr(level, line);
	tell_hook(level, line);
	errno = saved;
}

#define EMIT_UP_TO(lines, level, error) \
	do { \
		va_list ap; \
\
		va_start(ap, format); \
		emit(level, lines, error, format, ap); \
		va_end(ap); \
	} while (0)

#define EMIT(level, error) EMIT_UP_TO(RATE_LINES, level, error)

void
log_error(const char *format, ...)
{
	EMIT(LOG_LEVEL_ERROR, errno);
}

void
log_errorx(const char *format, ...)
{
	EMIT(LOG_LEVEL_ERROR, 0);
}

void
log_warn(const char *format, ...)
{
	EMIT(LOG_LEVEL_WARN, errno);
}

void
log_warnx(const char *format, ...)
{
	EMIT(LOG_LEVEL_WARN, 0);
}

void
log_info(const char *format, ...)
{
	EMIT(LOG_LEVEL_INFO, 0);
}

void
log_change(const char *format, ...)
{
	EMIT_UP_TO(RATE_CHANGES, LOG_LEVEL_INFO, 0);
}

void
log_debug(const char *format, ...)
{
	EMIT(LOG_LEVEL_DEBUG, 0);
}

void
log_fatal(const char *format, ...)
{
	EMIT(LOG_LEVEL_ERROR, errno);
	exit(1);
}

void
log_fatalx(const char *format, ...)
{
	EMIT(LOG_LEVEL_ERROR, 0);
	exit(1);
}
