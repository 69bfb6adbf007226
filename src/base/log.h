/*
 * log: one line an event, "what key=value key=value", to syslog or stderr.
 *
 * The one mutable global of wlad is this sink.  Not for the packet path.  The wording of a
 * line: a short sentence without capital or full stop, then key=value pairs.
 * A kind is the format string's address: at most 10 lines of one kind in 10 seconds, 1000 where
 * they are about states, the next that passes says "suppressed=N".
 */
#ifndef WLAD_BASE_LOG_H
#define WLAD_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * A listener for each line that is logged (wladmctl monitor, tests), in the thread that does, one at
 * a time.  Text without newline.  It logs nothing and sets no hook.
 */
typedef void log_hook(void *arg, enum log_level level, const char *line);

/* Opens the sink: stderr if foreground, else syslog(3) with facility daemon. */
void log_open(const char *program, bool foreground);
void log_set_level(enum log_level level);
void log_set_hook(log_hook *hook, void *arg);

/* "error", "warn", "info", "debug"; -1 if it is none of them. */
int log_level_parse(const char *text);
const char *log_level_name(enum log_level level);

/* log_warn and log_error append ": strerror(errno)"; the x forms do not.  errno is kept. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_errorx(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* log_info of a server or site whose state has changed: when many do, each is news. */
void log_change(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Start-up only: log_error(x), then exit(1).  Foreign input never leads here. */
void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void log_fatalx(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
