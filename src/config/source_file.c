/*
 * source_file: files as they are: read whole, and quoted where something is wrong.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "config/source.h"

char *
source_read_whole(const char *file, size_t limit, size_t *len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved;
	struct stat st;
	char *data;
	ssize_t n = 0;

	if (fd == -1)
		return NULL;
	data = xmalloc(limit + 1);
	*len = 0;
	if (fstat(fd, &st) == -1)
		n = -1;
	else if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		n = -1;
	}
	while (n != -1 && *len < limit) {
		n = read(fd, data + *len, limit - *len);
		if (n == 0)
			break;
		if (n > 0)
			*len += (size_t)n;
		else if (errno == EINTR)
			n = 0;
	}
	saved = errno;
	close(fd);
	if (n == -1) {
		free(data);
		errno = saved;
		return NULL;
	}
	data[*len] = '\0';
	return xrealloc_array(data, *len + 1, 1);
}

const char *
source_error(int error)
{
	return error == EINVAL ? "it is not a regular file" : strerror(error);
}

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
