#include "config/keys.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "config/statuses.h"

#define FINGERPRINT_DIGITS 64 /* of a SHA-256 */
#define LETTERS_AND_DIGITS \
	"abcdefghijklmnopqrstuvwxyz" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define NEAREST_NAME_MAX 32 /* longer names are compared with nothing */

static void *
field_of(const struct key *key, void *object)
{
	return (char *)object + key->offset;
}

void
key_store(const struct key *key, void *object, uint64_t number)
{
	void *field = field_of(key, object);
	uint8_t one = (uint8_t)number;
	uint16_t two = (uint16_t)number;
	uint32_t four = (uint32_t)number;

	switch (key->size) {
	case sizeof(one):
		memcpy(field, &one, sizeof(one));
		break;
	case sizeof(two):
		memcpy(field, &two, sizeof(two));
		break;
	case sizeof(four):
		memcpy(field, &four, sizeof(four));
		break;
	}
}

static bool
is_text(enum key_type type)
{
	return type <= KEY_FINGERPRINT;
}

static bool
is_in_place(enum key_type type)
{
	return type >= KEY_URL_PATH && type <= KEY_QUESTION;
}

void
keys_preset(const struct key *keys, void *object)
{
	for (; keys->name != NULL; keys++) {
		void *field = field_of(keys, object);

		if (is_text(keys->type))
			*(char **)field =
			    keys->preset_text != NULL ? xstrdup(keys->preset_text) : NULL;
		else if (keys->type == KEY_REAL)
			*(double *)field = keys->preset;
		else if (keys->type == KEY_BOOL || keys->type == KEY_INTEGER ||
		    keys->type == KEY_CHOICE)
			key_store(keys, object, (uint64_t)keys->preset);
		else if (is_in_place(keys->type))
			key_take_text(keys, object, keys->preset_text);
		else if (keys->type == KEY_GROUP)
			keys_preset(keys->keys, object);
	}
}

static void
free_array(const struct key *key, void *object)
{
	char *array = *(char **)field_of(key, object);
	size_t count = *(size_t *)((char *)object + key->second);

	if (key->type == KEY_GROUPS)
		for (size_t i = 0; i < count; i++)
			keys_fini(key->keys, array + i * key->element);
	free(array);
}

static void
own_array(const struct key *key, void *object)
{
	char **field = field_of(key, object), *array;
	size_t count = *(size_t *)((char *)object + key->second), element = key->element;

	if (*field == NULL)
		return;
	if (key->type != KEY_GROUPS)
		element = key->type == KEY_IPS ? sizeof(struct ip) : sizeof(uint16_t);
	array = xcalloc(count + 1, element);
	memcpy(array, *field, count * element);
	*field = array;
	if (key->type == KEY_GROUPS)
		for (size_t i = 0; i < count; i++)
			keys_own(key->keys, array + i * element);
}

void
keys_own(const struct key *keys, void *object)
{
	for (; keys->name != NULL; keys++) {
		if (is_text(keys->type)) {
			char **field = field_of(keys, object);

			*field = *field != NULL ? xstrdup(*field) : NULL;
		} else if (keys->type == KEY_IPS || keys->type == KEY_PORTS ||
		    keys->type == KEY_GROUPS) {
			own_array(keys, object);
		} else if (keys->type == KEY_GROUP) {
			keys_own(keys->keys, object);
		}
	}
}

void
keys_fini(const struct key *keys, void *object)
{
	for (; keys->name != NULL; keys++) {
		if (is_text(keys->type))
			free(*(char **)field_of(keys, object));
		else if (keys->type == KEY_IPS || keys->type == KEY_PORTS ||
		    keys->type == KEY_GROUPS)
			free_array(keys, object);
		else if (keys->type == KEY_GROUP)
			keys_fini(keys->keys, object);
	}
}

/* Edits that lead from one name to the other: change, insert, remove, swap neighbours. */
static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_NAME_MAX + 1], la = strlen(a), lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *top = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    top[j - 2] + 1 < best)
				best = top[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[la % 3][lb];
}

const char *
keys_nearest(const struct key *keys, const char *name)
{
	size_t len = strlen(name), best = 1 + len / 4 + 1;
	const char *nearest = NULL;

	if (len > NEAREST_NAME_MAX)
		return NULL;
	for (; keys->name != NULL; keys++) {
		size_t d = distance(name, keys->name);

		if (d < best && d < strlen(keys->name)) {
			best = d;
			nearest = keys->name;
		}
	}
	return nearest;
}

static const char *
choices_text(const struct key_choice *choices, char buf[KEY_WANTS])
{
	size_t n = 0;

	buf[0] = '\0';
	for (const struct key_choice *c = choices; c->name != NULL && n < KEY_WANTS; c++) {
		const char *glue = c == choices ? "" : c[1].name == NULL ? " or " : ", ";

		n += (size_t)snprintf(buf + n, KEY_WANTS - n, "%s\"%s\"", glue, c->name);
	}
	return buf;
}

const char *
key_wants(const struct key *key, char buf[KEY_WANTS])
{
	static const char *const texts[KEY_TYPES] = {
	    [KEY_NAME] = "a name of 1 to 63 letters, digits, '-', '_' and '.' "
			 "that begins with neither '-' nor '.'",
	    [KEY_ACCOUNT] = "\"\" or a name of at most 32 letters, digits, '-', '_' and '.' "
			    "that begins with neither '-' nor '.'",
	    [KEY_DEVICE] = "a device name of 1 to 15 letters, digits, '-', '_' and '.' "
			   "that begins with neither '-' nor '.'",
	    [KEY_FINGERPRINT] = "\"\" or the 64 hexadecimal digits of a SHA-256, "
				"with or without colons between octets",
	    [KEY_HOST] = "\"\" or a host name or address, if need be with its port, "
			 "such as \"www.example.net\"",
	    [KEY_STATUSES] = "HTTP status codes and ranges from 100 to 599, "
			     "such as \"200-299, 304\"",
	    [KEY_OCTETS] = "a text of at most 256 octets; "
			   "\\r, \\n, \\t, \\\\ and \\xHH are one octet each",
	    [KEY_QUESTION] = "a DNS name, perhaps with a type A, AAAA, NS, SOA, MX or TXT, "
			     "such as \"www.example.net AAAA\"",
	    [KEY_ADDR] = "an address with its port, "
			 "such as \"192.0.2.1:7210\" or \"[2001:db8::1]:7210\"",
	    [KEY_BOOL] = "true or false",
	    [KEY_IP_PAIR] = "an IPv4 or IPv6 address, or a list of one of each",
	    [KEY_IPS] = "a list of IPv4 and IPv6 addresses",
	    [KEY_PORTS] = "a list of ports from 1 to 65535, such as [ 80, 443 ]",
	    [KEY_GROUP] = "a group { }",
	    [KEY_GROUPS] = "a list of groups ( { }, { } )",
	};

	if (key->type == KEY_INTEGER)
		snprintf(buf, KEY_WANTS, "an integer from %.0f to %.0f", key->min, key->max);
	else if (key->type == KEY_REAL)
		snprintf(buf, KEY_WANTS, "a number from %g to %g", key->min, key->max);
	else if (key->type == KEY_PATH)
		snprintf(buf, KEY_WANTS,
		    "a path that begins with '/' and has at most %zu characters", key->length);
	else if (key->type == KEY_FILE)
		snprintf(buf, KEY_WANTS,
		    "a path that begins with '/' and has at most %zu characters", key->size - 1);
	else if (key->type == KEY_URL_PATH)
		snprintf(buf, KEY_WANTS,
		    "a path that begins with '/', of at most %zu printable ASCII characters "
		    "without blanks",
		    key->size - 1);
	else if (key->type == KEY_CHOICE)
		choices_text(key->choices, buf);
	else if (key->type == KEY_NAMES)
		snprintf(buf, KEY_WANTS, "\"%s\", \"%s\" or a list of names of sites",
		    key->choices[0].name, key->choices[1].name);
	else
		snprintf(buf, KEY_WANTS, "%s", texts[key->type]);
	return buf;
}

static void
set_text(const struct key *key, void *object, const char *text)
{
	char **field = field_of(key, object);

	free(*field);
	*field = text != NULL ? xstrdup(text) : NULL;
}

/* Letters and digits of ASCII, whatever the locale. */
static bool
is_name(const char *text, size_t max)
{
	static const char allowed[] = LETTERS_AND_DIGITS "-_.";

	return strspn(text, allowed) == strlen(text) && strlen(text) <= max;
}

static int
take_name(const struct key *key, void *object, const char *text)
{
	bool empty = *text == '\0', odd = *text == '-' || *text == '.';

	if (!is_name(text, key->length) || odd || (empty && key->type != KEY_ACCOUNT))
		return -1;
	set_text(key, object, text);
	return 0;
}

bool
key_is_name(const char *text)
{
	return *text != '\0' && *text != '-' && *text != '.' && is_name(text, CONFIG_NAME_MAX);
}

/* One of the choices; a list is put together by the reader. */
static int
take_names(const struct key *key, void *object, const char *text)
{
	for (const struct key_choice *c = key->choices; c->name != NULL; c++)
		if (strcmp(c->name, text) == 0) {
			set_text(key, object, text);
			return 0;
		}
	return -1;
}

static int
take_path(const struct key *key, void *object, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 && key->preset_text == NULL) {
		set_text(key, object, NULL);
		return 0;
	}
	if (text[0] != '/' || len > key->length)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]))
			return -1;
	set_text(key, object, text);
	return 0;
}

static int
take_fingerprint(const struct key *key, void *object, const char *text)
{
	char digits[FINGERPRINT_DIGITS + 1];
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		bool between = n > 0 && n % 2 == 0 && p[-1] != ':' && p[1] != '\0';

		if (*p == ':' && between)
			continue;
		if (!isxdigit((unsigned char)*p) || n == FINGERPRINT_DIGITS)
			return -1;
		digits[n++] = (char)tolower((unsigned char)*p);
	}
	if (n != 0 && n != FINGERPRINT_DIGITS)
		return -1;
	digits[n] = '\0';
	set_text(key, object, n > 0 ? digits : NULL);
	return 0;
}

/* Into an array of characters, if it holds nothing but those allowed (NULL: any printable). */
static int
take_chars(const struct key *key, void *object, const char *text, const char *allowed)
{
	size_t len = strlen(text);

	if (len >= key->size || (allowed != NULL && strspn(text, allowed) != len))
		return -1;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return -1;
	memcpy(field_of(key, object), text, len + 1);
	return 0;
}

static int
take_url_path(const struct key *key, void *object, const char *text)
{
	return text[0] == '/' ? take_chars(key, object, text, NULL) : -1;
}

static int
take_host(const struct key *key, void *object, const char *text)
{
	return take_chars(key, object, text, LETTERS_AND_DIGITS "-_.:[]");
}

static int
take_file(const struct key *key, void *object, const char *text)
{
	size_t len = strlen(text);

	if (len >= key->size || (len > 0 && text[0] != '/'))
		return -1;
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]))
			return -1;
	memcpy(field_of(key, object), text, len + 1);
	return 0;
}

static int
take_addr(const struct key *key, void *object, const char *text)
{
	struct addr addr = {0};

	if ((*text != '\0' || key->required) && addr_parse(text, &addr) == -1)
		return -1;
	*(struct addr *)field_of(key, object) = addr;
	return 0;
}

static int
take_choice(const struct key *key, void *object, const char *text)
{
	for (const struct key_choice *c = key->choices; c->name != NULL; c++)
		if (strcmp(c->name, text) == 0) {
			key_store(key, object, c->value);
			return 0;
		}
	return -1;
}

int
key_take_text(const struct key *key, void *object, const char *text)
{
	switch (key->type) {
	case KEY_NAME:
	case KEY_ACCOUNT:
	case KEY_DEVICE:
		return take_name(key, object, text);
	case KEY_NAMES:
		return take_names(key, object, text);
	case KEY_PATH:
		return take_path(key, object, text);
	case KEY_FINGERPRINT:
		return take_fingerprint(key, object, text);
	case KEY_URL_PATH:
		return take_url_path(key, object, text);
	case KEY_HOST:
		return take_host(key, object, text);
	case KEY_STATUSES:
		return statuses_parse(text, field_of(key, object));
	case KEY_FILE:
		return take_file(key, object, text);
	case KEY_OCTETS:
		return octets_parse(text, field_of(key, object));
	case KEY_QUESTION:
		return question_parse(text, field_of(key, object));
	case KEY_ADDR:
		return take_addr(key, object, text);
	case KEY_CHOICE:
		return take_choice(key, object, text);
	default:
		return -1;
	}
}
