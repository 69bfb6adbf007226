#include "control/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define JSON_FIRST_SIZE 1024

void
json_init(struct json *json)
{
	memset(json, 0, sizeof(*json));
}

void
json_fini(struct json *json)
{
	free(json->data);
	json_init(json);
}

static void
append(struct json *json, const char *data, size_t len)
{
	if (json->size - json->len < len) {
		size_t size = json->size > 0 ? json->size : JSON_FIRST_SIZE;

		while (size - json->len < len)
			size *= 2;
		json->data = xrealloc_array(json->data, size, 1);
		json->size = size;
	}
	memcpy(json->data + json->len, data, len);
	json->len += len;
}

static void
append_text(struct json *json, const char *text)
{
	append(json, text, strlen(text));
}

/*
 * Length of the UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF); 0 if there is none.  s is terminated, so that reading stops at its end.
 */
static size_t
utf8_sequence(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static void
append_escape(struct json *json, unsigned char octet)
{
	char text[8];

	switch (octet) {
	case '"':
		append_text(json, "\\\"");
		break;
	case '\\':
		append_text(json, "\\\\");
		break;
	case '\n':
		append_text(json, "\\n");
		break;
	case '\r':
		append_text(json, "\\r");
		break;
	case '\t':
		append_text(json, "\\t");
		break;
	default:
		snprintf(text, sizeof(text), "\\u%04x", octet);
		append_text(json, text);
	}
}

static void
append_quoted(struct json *json, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	append(json, "\"", 1);
	while (*s != '\0') {
		size_t len = utf8_sequence(s);

		if (len == 0) {
			append_text(json, "\xef\xbf\xbd");
			s++;
		} else if (*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f) {
			append_escape(json, *s++);
		} else {
			append(json, (const char *)s, len);
			s += len;
		}
	}
	append(json, "\"", 1);
}

/* A new line, if one was asked for. */
static void
break_line(struct json *json)
{
	if (json->line)
		append(json, "\n", 1);
	json->line = false;
}

/* What stands before a value: comma and key. */
static void
lead(struct json *json, const char *key)
{
	if (json->comma)
		append(json, ",", 1);
	break_line(json);
	if (key != NULL) {
		append_quoted(json, key);
		append(json, ":", 1);
	}
	json->comma = true;
}

void
json_begin_object(struct json *json, const char *key)
{
	lead(json, key);
	append(json, "{", 1);
	json->comma = false;
}

void
json_end_object(struct json *json)
{
	break_line(json);
	append(json, "}", 1);
	json->comma = true;
}

void
json_begin_array(struct json *json, const char *key)
{
	lead(json, key);
	append(json, "[", 1);
	json->comma = false;
}

void
json_end_array(struct json *json)
{
	break_line(json);
	append(json, "]", 1);
	json->comma = true;
}

void
json_put_string(struct json *json, const char *key, const char *value)
{
	if (value == NULL) {
		json_put_null(json, key);
		return;
	}
	lead(json, key);
	append_quoted(json, value);
}

void
json_put_uint(struct json *json, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	lead(json, key);
	append_text(json, text);
}

void
json_put_bool(struct json *json, const char *key, bool value)
{
	lead(json, key);
	append_text(json, value ? "true" : "false");
}

void
json_put_null(struct json *json, const char *key)
{
	lead(json, key);
	append_text(json, "null");
}

/* Takes zeros off the end of the fraction, and the locale's mark out of its place. */
static void
tidy_fraction(char *text)
{
	char *mark = text + strcspn(text, ".,"), *end = text + strlen(text);

	if (*mark == '\0')
		return;
	*mark = '.';
	while (end[-1] == '0')
		end--;
	if (end[-1] == '.')
		end--;
	*end = '\0';
}

void
json_put_real(struct json *json, const char *key, double value, int decimals)
{
	char text[400]; /* the largest double has 309 digits before the point */

	if (!isfinite(value)) {
		json_put_null(json, key);
		return;
	}
	snprintf(text, sizeof(text), "%.*f", decimals, value);
	tidy_fraction(text);
	lead(json, key);
	append_text(json, strcmp(text, "-0") == 0 ? "0" : text);
}

void
json_next_line(struct json *json)
{
	json->line = true;
}

void
json_taken(struct json *json)
{
	json->len = 0;
}

void
json_newline(struct json *json)
{
	append(json, "\n", 1);
}
