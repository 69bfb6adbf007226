/*
 * source_place: from a line of the text to the file that it stands in.
 */
#include <stdio.h>
#include <string.h>

#include "config/source.h"

/* The file (its index) and the line there of a line of the text. */
static size_t
locate(const struct source *source, unsigned line, unsigned *file_line)
{
	size_t i = source->parts_count;

	*file_line = line;
	while (i-- > 0)
		if (source->parts[i].line <= line) {
			*file_line = source->parts[i].file_line + line - source->parts[i].line;
			return source->parts[i].file;
		}
	return 0;
}

void
source_locate(const struct source *source, unsigned line, const char **file, unsigned *file_line)
{
	*file = source->files[locate(source, line, file_line)].name;
}

static bool
is_blank_line(const char *p)
{
	return p[strspn(p, " \t\r")] == '\n' || p[strspn(p, " \t\r")] == '\0';
}

const char *
source_quote(const struct source *source, unsigned *line, char *buf, size_t size)
{
	unsigned file_line;
	const char *text = source->files[locate(source, *line, &file_line)].text, *p = text;
	size_t len, n = 0;

	for (unsigned left = file_line; left > 1; left--) {
		const char *lf = strchr(p, '\n');

		if (lf == NULL) {
			*line -= left - 1; /* the newline at the end is ours */
			break;
		}
		p = lf + 1;
	}
	while (p > text && is_blank_line(p)) {
		for (p--; p > text && p[-1] != '\n'; p--)
			;
		(*line)--;
	}
	p += strspn(p, " \t\r");
	len = strcspn(p, "\r\n");
	for (; n < len && n + 4 < size; n++)
		buf[n] = (unsigned char)p[n] < ' ' || p[n] == 127 ? '.' : p[n];
	snprintf(buf + n, size - n, "%s", n < len ? "..." : "");
	return buf;
}
