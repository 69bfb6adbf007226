/*
 * json: writes JSON (RFC 8259) into a growing buffer.
 *
 * Members appear in the order of the calls; a key is given inside objects and NULL inside
 * arrays and for the outermost value.  The caller balances begin and end; the writer sees to
 * commas, escapes and numbers.  Text that is not UTF-8 becomes U+FFFD, numbers that are not
 * finite become null: whatever is written, the output is valid.  Does not read JSON.
 */
#ifndef WLAD_CONTROL_JSON_H
#define WLAD_CONTROL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *data; /* owned; not terminated */
	size_t len, size;
	bool comma; /* a value stands before the next one */
	bool line;  /* which begins a line */
};

void json_init(struct json *json);
void json_fini(struct json *json);

void json_begin_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_begin_array(struct json *json, const char *key);
void json_end_array(struct json *json);

/* NULL gives null. */
void json_put_string(struct json *json, const char *key, const char *value);
void json_put_uint(struct json *json, const char *key, uint64_t value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_null(struct json *json, const char *key);

/* At most decimals (0 to 9) places, rounded; null if the value is not finite. */
void json_put_real(struct json *json, const char *key, double value, int decimals);

/* The next value, or the end of what it could stand in, begins a line. */
void json_next_line(struct json *json);

/* Forgets what was written so far; what follows goes on from there. */
void json_taken(struct json *json);

/* Ends the text with a newline, so that it reads well on a terminal. */
void json_newline(struct json *json);

#endif
