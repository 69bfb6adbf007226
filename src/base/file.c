#include "base/file.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

char *
file_read(const char *name, size_t limit, size_t *len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved;
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
file_error(int error)
{
	return error == EINVAL ? "it is not a regular file" : strerror(error);
}
