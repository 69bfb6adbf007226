#include "base/xalloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void *
checked(void *p)
{
	if (p == NULL)
		log_fatalx("out of memory");
	return p;
}

void *
xmalloc(size_t size)
{
	return checked(malloc(size != 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
	if (count == 0 || size == 0)
		count = size = 1;
	return checked(calloc(count, size));
}

void *
xrealloc_array(void *old, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		log_fatalx("out of memory");
	return checked(realloc(old, count * size != 0 ? count * size : 1));
}

char *
xstrdup(const char *text)
{
	return checked(strdup(text));
}

char *
xasprintf(const char *format, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	return checked(len == -1 ? NULL : text);
}
