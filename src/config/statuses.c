#include "config/statuses.h"

#include <stddef.h>
#include <string.h>

#define FIRST 100
#define LAST  599

/* Three digits from 100 to 599; returns what is behind them, or NULL. */
static const char *
take_code(const char *p, uint16_t *code)
{
	unsigned value = 0;

	for (int i = 0; i < 3; i++) {
		if (p[i] < '0' || p[i] > '9')
			return NULL;
		value = value * 10 + (unsigned)(p[i] - '0');
	}
	*code = (uint16_t)value;
	return value >= FIRST && value <= LAST ? p + 3 : NULL;
}

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static const char *
take_range(const char *p, uint16_t *from, uint16_t *to)
{
	p = take_code(p, from);
	if (p == NULL)
		return NULL;
	*to = *from;
	p = skip_blanks(p);
	if (*p != '-')
		return p;
	p = take_code(skip_blanks(p + 1), to);
	return p != NULL && *from <= *to ? skip_blanks(p) : NULL;
}

int
statuses_parse(const char *text, struct statuses *statuses)
{
	struct statuses taken = {0};
	const char *p = text;

	for (size_t i = 0; i < STATUSES_MAX; i++) {
		p = take_range(skip_blanks(p), &taken.range[i].from, &taken.range[i].to);
		if (p == NULL)
			return -1;
		if (*p == '\0') {
			*statuses = taken;
			return 0;
		}
		if (*p++ != ',')
			return -1;
	}
	return -1;
}

bool
statuses_have(const struct statuses *statuses, unsigned code)
{
	for (size_t i = 0; i < STATUSES_MAX && statuses->range[i].from != 0; i++)
		if (code >= statuses->range[i].from && code <= statuses->range[i].to)
			return true;
	return false;
}
