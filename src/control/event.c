#include "control/event.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/commands.h"

#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"
#define ERROR_KEY      "error"
#define KEY_MAX        63 /* octets: a longer word is none */

static bool
has_key(const struct event *event, const char *key, size_t len)
{
	for (size_t i = 0; i < event->count; i++)
		if (event->field[i].key_len == len && memcmp(event->field[i].key, key, len) == 0)
			return true;
	return false;
}

/* The length of the key if a further field begins there, else 0. */
static size_t
field_begins(const struct event *event, const char *at)
{
	size_t len = strspn(at, KEY_CHARACTERS);

	if (len == 0 || len > KEY_MAX || at[len] != '=' || event->count == EVENT_FIELDS_MAX ||
	    has_key(event, at, len))
		return 0;
	return len;
}

/* Where the words that begin at a word end: at the blank before the next field, or at the end. */
static const char *
words_end(const struct event *event, const char *at)
{
	const char *blank;

	while ((blank = strchr(at, ' ')) != NULL) {
		if (field_begins(event, blank + 1) > 0)
			return blank;
		at = blank + 1;
	}
	return at + strlen(at);
}

/* The quote that closes a value: one in it is followed by neither a field nor the end. */
static const char *
closing_quote(const struct event *event, const char *at)
{
	while ((at = strchr(at, '"')) != NULL) {
		if (at[1] == '\0' || strncmp(at + 1, ": ", 2) == 0 ||
		    (at[1] == ' ' && field_begins(event, at + 2) > 0))
			return at;
		at++;
	}
	return NULL;
}

/* What follows a value and is no field: ": Permission denied", as a field of its own. */
static const char *
take_error(struct event *event, const char *at)
{
	struct event_field *field = &event->field[event->count];
	const char *end;

	if (event->count == EVENT_FIELDS_MAX || has_key(event, ERROR_KEY, strlen(ERROR_KEY)))
		return NULL;
	/* entered first: the words are not to end at a second field of that name */
	*field = (struct event_field){ERROR_KEY, at, strlen(ERROR_KEY), 0};
	event->count++;
	end = words_end(event, at);
	field->value_len = (size_t)(end - at);
	return end;
}

/* Takes the field whose key is at and key_len long.  Returns where it ends. */
static const char *
take_field(struct event *event, const char *at, size_t key_len)
{
	struct event_field *field = &event->field[event->count++];
	const char *value = at + key_len + 1, *end, *next;

	/* entered with its key first: what follows looks for a second one of that name */
	*field = (struct event_field){at, value, key_len, 0};
	end = *value == '"' ? closing_quote(event, value + 1) : NULL;
	if (end != NULL) {
		value++;
		next = end + 1;
	} else {
		next = end = value + strcspn(value, " ");
		if (*end == ' ' && end > value && end[-1] == ':')
			next = --end;
	}
	*field = (struct event_field){at, value, key_len, (size_t)(end - value)};
	if (strncmp(next, ": ", 2) == 0) {
		const char *behind = take_error(event, next + 2);

		if (behind != NULL)
			return behind;
	}
	if (*next == '\0' || (*next == ' ' && field_begins(event, next + 1) > 0))
		return next;
	/* words that nobody claims stay with the value, quotes and all */
	end = words_end(event, next);
	field->value = at + key_len + 1;
	field->value_len = (size_t)(end - field->value);
	return end;
}

void
event_parse(const char *line, struct event *event)
{
	const char *at = line;
	size_t key_len;

	event->count = 0;
	event->text_len = 0;
	if (field_begins(event, line) == 0) {
		at = words_end(event, line);
		event->text_len = (size_t)(at - line);
		while (event->text_len > 0 && strchr(", ", line[event->text_len - 1]) != NULL)
			event->text_len--;
		at += *at == ' ';
	}
	while ((key_len = field_begins(event, at)) > 0) {
		at = take_field(event, at, key_len);
		at += *at == ' ';
	}
}

static void
put_part(struct json *json, const char *key, const char *part, size_t len)
{
	char text[EVENT_TEXT_MAX];

	snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1),
	    part);
	json_put_string(json, key, text);
}

static void
put_time(struct json *json, uint64_t now_ms)
{
	time_t seconds = (time_t)(now_ms / 1000);
	char stamp[32], text[48];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03uZ", stamp, (unsigned)(now_ms % 1000));
	json_put_string(json, "time", text);
}

void
event_json(struct json *json, enum log_level level, const char *line, uint64_t now_ms)
{
	struct event event;
	char key[KEY_MAX + 1];

	event_parse(line, &event);
	json_begin_object(json, NULL);
	json_put_uint(json, "schema", COMMANDS_SCHEMA);
	put_time(json, now_ms);
	json_put_string(json, "level", log_level_name(level));
	put_part(json, "text", line, event.text_len);
	json_begin_object(json, "fields");
	for (size_t i = 0; i < event.count; i++) {
		snprintf(
		    key, sizeof(key), "%.*s", (int)event.field[i].key_len, event.field[i].key);
		put_part(json, key, event.field[i].value, event.field[i].value_len);
	}
	json_end_object(json);
	json_end_object(json);
	json_newline(json);
}
