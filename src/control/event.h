/*
 * event: a line of the log as JSON, for `monitor`.
 *
 * A line is a sentence and then key=value pairs (base/log.h).  Foreign text may be in it, so
 * whatever the line is, the outcome is one valid JSON object.  Pure.
 */
#ifndef WLAD_CONTROL_EVENT_H
#define WLAD_CONTROL_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "control/json.h"

#define EVENT_FIELDS_MAX 16   /* what comes after belongs to the last of them */
#define EVENT_TEXT_MAX   1024 /* octets of a text or a value with its NUL; more is cut off */

/* Points into the line. */
struct event_field {
	const char *key, *value;
	size_t key_len, value_len;
};

struct event {
	size_t text_len; /* the sentence begins the line */
	struct event_field field[EVENT_FIELDS_MAX];
	size_t count;
};

/*
 * A field begins with a word of small letters, digits and underscores and its '='; the value
 * ends at the next blank, or at its closing quote.  What stands behind that, as the text of
 * an errno does, is the value of the key "error".  No key appears twice.
 */
void event_parse(const char *line, struct event *event);

/* One object with a newline: schema, time, level, text, fields.  now_ms: since 1970. */
void event_json(struct json *json, enum log_level level, const char *line, uint64_t now_ms);

#endif
