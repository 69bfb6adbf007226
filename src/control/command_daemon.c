/*
 * command_daemon: what concerns the daemon as a whole: reload, log level, monitor.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "control/views.h"

void
request_note_reload(struct control_reload *last, const char *faults, uint64_t now)
{
	char *copy = faults != NULL ? xstrdup(faults) : NULL;

	free(last->faults);
	last->faults = copy;
	last->at = now;
}

void
view_faults(struct json *json, const char *key, const char *faults)
{
	char *copy = faults != NULL ? xstrdup(faults) : NULL, *next = copy, *line;

	json_begin_array(json, key);
	while ((line = strsep(&next, "\n")) != NULL)
		if (*line != '\0')
			json_put_string(json, NULL, line);
	json_end_array(json);
	free(copy);
}

/* Faults are an answer, not an error: an error has room for one sentence only. */
void
command_reload(struct request *request)
{
	const struct control_parts *parts = request->parts;
	char *faults;
	bool done;

	if (parts->reload == NULL) {
		request_fail(request, CONTROL_FAILED, "reload is not supported");
		return;
	}
	log_info("reload requested uid=%u", (unsigned)request->uid);
	faults = xcalloc(1, CONTROL_FAULTS);
	done = parts->reload(parts->reload_arg, faults, CONTROL_FAULTS) == 0;
	if (parts->last_reload != NULL)
		request_note_reload(parts->last_reload, done ? NULL : faults, request->now);
	json_put_bool(&request->json, "reloaded", done);
	view_faults(&request->json, "faults", done ? NULL : faults);
	free(faults);
}

void
command_log(struct request *request)
{
	/* the choices of "log" in grammar.c are the levels in their order */
	enum log_level level = (enum log_level)request->match.choice[0];

	/* said under whichever level, the old or the new, lets more through */
	if (level >= LOG_LEVEL_INFO)
		log_set_level(level);
	log_info(
	    "log level changed level=%s uid=%u", log_level_name(level), (unsigned)request->uid);
	log_set_level(level);
	json_put_string(&request->json, "level", log_level_name(level));
}

/* The choices of "monitor" are the levels in their order as well. */
void
command_monitor(struct request *request)
{
	int level = request->match.choice[0];

	request->stream = true;
	request->stream_level = level >= 0 ? (enum log_level)level : LOG_LEVEL_DEBUG;
}
