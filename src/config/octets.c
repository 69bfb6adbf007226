#include "config/octets.h"

#include <stdio.h>
#include <string.h>

/* -1: no hexadecimal digit. */
static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octet that is written at *text, which moves behind it; -1: none is. */
static int
next_octet(const char **text)
{
	static const char letters[] = "rnt\\", meanings[] = "\r\n\t\\";
	const char *s = *text, *letter;
	int octet = -1;

	if (s[0] != '\\') {
		*text = s + 1;
		return (unsigned char)s[0];
	}
	if (s[1] == '\0')
		return -1;
	letter = strchr(letters, s[1]);
	if (letter != NULL) {
		*text = s + 2;
		return (unsigned char)meanings[letter - letters];
	}
	if (s[1] == 'x' && digit(s[2]) != -1 && digit(s[3]) != -1) {
		octet = digit(s[2]) * 16 + digit(s[3]);
		*text = s + 4;
	}
	return octet;
}

int
octets_parse(const char *text, struct octets *octets)
{
	struct octets parsed = {0};

	while (*text != '\0') {
		int octet = next_octet(&text);

		if (octet == -1 || parsed.len == OCTETS_MAX)
			return -1;
		parsed.data[parsed.len++] = (uint8_t)octet;
	}
	*octets = parsed;
	return 0;
}

const char *
octets_format(const struct octets *octets, char buf[OCTETS_TEXT])
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < octets->len; i++) {
		uint8_t octet = octets->data[i];
		const char *form = "%c";

		if (octet == '\\')
			form = "\\%c";
		else if (octet < ' ' || octet > '~')
			form = "\\x%02x";
		at += (size_t)snprintf(buf + at, OCTETS_TEXT - at, form, octet);
	}
	return buf;
}

bool
octets_equal(const struct octets *a, const struct octets *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}
