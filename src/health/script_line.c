#include "health/script_line.h"

#include <string.h>

/* A decimal number of at least one digit, its point perhaps among them; moves *at behind it. */
static bool
take_number(const char *line, size_t len, size_t *at, double *number)
{
	double value = 0, place = 1;
	bool point = false, digits = false;

	for (; *at < len; (*at)++) {
		char c = line[*at];

		if (c == '.' && !point) {
			point = true;
		} else if (c >= '0' && c <= '9') {
			digits = true;
			if (point)
				value += (c - '0') * (place /= 10);
			else
				value = value * 10 + (c - '0');
		} else {
			break;
		}
	}
	*number = value;
	return digits;
}

static size_t
skip_blanks(const char *line, size_t len, size_t at)
{
	while (at < len && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r'))
		at++;
	return at;
}

bool
script_line_load(const char *line, size_t len, double *load)
{
	static const char word[] = "load";
	size_t at = skip_blanks(line, len, 0);
	bool named = len - at > sizeof(word) && strncmp(line + at, word, sizeof(word) - 1) == 0 &&
	    (line[at + sizeof(word) - 1] == ' ' || line[at + sizeof(word) - 1] == '\t');
	bool percent = false;
	double number;

	if (len > SCRIPT_LINE_MAX)
		return false;
	if (named)
		at = skip_blanks(line, len, at + sizeof(word) - 1);
	if (!take_number(line, len, &at, &number))
		return false;
	if (at < len && line[at] == '%') {
		percent = true;
		at++;
	}
	if (skip_blanks(line, len, at) != len || (!named && !percent))
		return false;
	if (percent)
		number /= 100;
	*load = number < 1 ? number : 1;
	return true;
}
