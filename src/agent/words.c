#include "agent/words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const OPERATIONS[] = {
    [WORDS_UNTOLD] = "untold",
    [WORDS_UP] = "up",
    [WORDS_DOWN] = "down",
    [WORDS_FAIL] = "fail",
    [WORDS_STOPPED] = "stopped",
};

static const char *const ADMINS[] = {
    [WORDS_NO_ADMIN] = "none",
    [WORDS_READY] = "ready",
    [WORDS_DRAIN] = "drain",
    [WORDS_MAINT] = "maint",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_word(const char *data, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(data, word, len) == 0;
}

/* The number of the name in the list behind its first, which is no word; 0 if there is none. */
static size_t
find(const char *const *names, size_t count, const char *data, size_t len)
{
	for (size_t i = 1; i < count; i++)
		if (is_word(data, len, names[i]))
			return i;
	return 0;
}

/* What stands behind "weight:" or "maxconn:"; NULL if it begins otherwise. */
static const char *
behind(const char *data, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len > n && strncasecmp(data, prefix, n) == 0 ? data + n : NULL;
}

/* Digits and nothing else, of a number up to max. */
static bool
take_number(const char *data, size_t len, uint32_t max, uint32_t *number)
{
	uint64_t n = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (data[i] < '0' || data[i] > '9')
			return false;
		n = 10 * n + (uint64_t)(data[i] - '0');
		if (n > max)
			return false;
	}
	*number = (uint32_t)n;
	return true;
}

/* "75%", and "75" where plain numbers are allowed. */
static bool
take_weight(struct words *words, const char *data, size_t len, bool plain)
{
	bool percent = len > 0 && data[len - 1] == '%';
	uint32_t number;

	if ((!percent && !plain) || !take_number(data, len - percent, WORDS_WEIGHT_MAX, &number))
		return false;
	words->kind = percent ? WORDS_PERCENT : WORDS_ABSOLUTE;
	words->weight = number;
	return true;
}

static bool
take_word(struct words *words, const char *data, size_t len)
{
	size_t operation = find(OPERATIONS, COUNT(OPERATIONS), data, len);
	size_t admin = find(ADMINS, COUNT(ADMINS), data, len);
	const char *rest;

	if (operation != 0) {
		words->operation = (enum words_operation)operation;
		return true;
	}
	if (admin != 0) {
		words->admin = (enum words_admin)admin;
		return true;
	}
	if ((rest = behind(data, len, "weight:")) != NULL)
		return take_weight(words, rest, (size_t)(data + len - rest), true);
	if ((rest = behind(data, len, "maxconn:")) != NULL &&
	    take_number(rest, (size_t)(data + len - rest), UINT32_MAX, &words->max_connections)) {
		words->limited = true;
		return true;
	}
	return take_weight(words, data, len, false);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The octets before the first CR or LF. */
static size_t
line_length(const char *data, size_t len)
{
	size_t n = 0;

	while (n < len && data[n] != '\n' && data[n] != '\r')
		n++;
	return n;
}

/* Whatever an agent writes is shown as it is: control characters are not. */
static void
take_description(struct words *words, const char *data, size_t len)
{
	size_t n = 0;

	while (len > 0 && is_blank(*data)) {
		data++;
		len--;
	}
	for (; n < len && n < WORDS_DESCRIPTION - 1; n++)
		words->description[n] = data[n] >= ' ' && data[n] <= '~' ? data[n] : '?';
	words->description[n] = '\0';
}

enum words_result
words_parse(struct words *words, const char *data, size_t len)
{
	size_t end = line_length(data, len), word = 0, i;

	memset(words, 0, sizeof(*words));
	if (end >= WORDS_LINE)
		return WORDS_LONG;
	if (end == len)
		return len < WORDS_LINE ? WORDS_MORE : WORDS_LONG;
	for (i = 0; i <= end; i++) {
		if (i < end && !is_blank(data[i]) && data[i] != '#')
			continue;
		if (i > word && take_word(words, data + word, i - word))
			words->known++;
		else if (i > word)
			words->unknown++;
		word = i + 1;
		if (i < end && data[i] == '#') {
			take_description(words, data + word, end - word);
			break;
		}
	}
	return words->known > 0 ? WORDS_FOUND : WORDS_BAD;
}

/* Appends a word; there is always room: a line of every kind of word is short. */
#define ADD(...) \
	do { \
		if (len > 0) \
			line[len++] = ' '; \
		len += (size_t)snprintf(line + len, WORDS_LINE - len, __VA_ARGS__); \
	} while (0)

size_t
words_format(const struct words *words, char line[WORDS_LINE])
{
	size_t len = 0;

	if (words->operation != WORDS_UNTOLD)
		ADD("%s", words_operation_name(words->operation));
	if (words->admin != WORDS_NO_ADMIN)
		ADD("%s", words_admin_name(words->admin));
	if (words->kind == WORDS_PERCENT)
		ADD("%u%%", words->weight);
	else if (words->kind == WORDS_ABSOLUTE)
		ADD("weight:%u", words->weight);
	if (words->limited)
		ADD("maxconn:%u", words->max_connections);
	if (words->description[0] != '\0')
		ADD("#%s", words->description);
	line[len++] = '\n';
	line[len] = '\0';
	return len;
}

const char *
words_operation_name(enum words_operation operation)
{
	return OPERATIONS[(unsigned)operation < COUNT(OPERATIONS) ? operation : WORDS_UNTOLD];
}

const char *
words_admin_name(enum words_admin admin)
{
	return ADMINS[(unsigned)admin < COUNT(ADMINS) ? admin : WORDS_NO_ADMIN];
}
